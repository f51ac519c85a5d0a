"""The frameworks as published: known answers, on the public data that MESH_DATA names."""

import os
from pathlib import Path

import pytest

from mesh_fl.agents.compliance.attack import read_attack_mapping
from mesh_fl.agents.compliance.catalogue import Control, Framework
from mesh_fl.agents.compliance.frameworks import read_framework
from mesh_fl.agents.compliance.mapping import map_control


def data(name: str) -> Path:
    folder = os.environ.get("MESH_DATA")
    assert folder, "set MESH_DATA to the folder with the public data"
    return Path(folder) / name


def found(framework: Framework, reference: str) -> Control:
    control = framework.find(reference)
    assert control is not None
    return control


def test_oscal_catalog() -> None:
    nist = read_framework(data("nist80053r5_high_catalog.oscal.json.gz"))
    assert (len(nist.controls), nist.skipped, nist.version) == (370, 0, "5.1.1+u4")
    account = found(nist, "ac_02")
    assert (account.id, account.title, account.family) == (
        "AC-2",
        "Account Management",
        "Access Control",
    )
    assert account.text.startswith("a. Define and document the types of accounts allowed")
    assert "c. Require [organisation-defined prerequisites and criteria] for" in account.text
    assert "d. Specify: 1. Authorized users of the system; 2. Group" in account.text
    assert account.guidance.startswith("Examples of system account types")
    assert account.related[:3] == ("AC-3", "AC-5", "AC-6")
    assert found(nist, "AC-02(01)").parent == "AC-2"
    assert "{{" not in "".join(one.text + one.guidance for one in nist.controls)
    assert (
        "[choice of organization-level; mission/business process-level; system-level]"
        in found(nist, "AC-1").text
    )


@pytest.mark.parametrize(
    ("name", "count", "reference", "written", "title"),
    [
        ("soc2", 27, "cc_6_1", "CC6.1", "The entity implements logical access security"),
        ("hipaa", 32, "164_308_a_1_ii_a", "164.308(a)(1)(ii)(A)", "Risk analysis"),
        ("iso27001_2022", 92, "a.8.24", "A.8.24", "Use of Cryptography"),
        ("gdpr", 3, "Art. 32", "Article 32", "Security of processing"),
        ("nist_800_53_revision_5", 287, "ac_3", "AC-3", "Access Enforcement"),
        ("nist_800_53_revision_5", 287, "AC-2(3)(a)", "AC-2(3)(a)", "Disable Accounts"),
        ("cis_4.0", 64, "2.1.1", "2.1.1", "Ensure S3 Bucket Policy is set to deny HTTP"),
        ("pci_4.0", 107, "1.2.5", "1.2.5", "Network security controls (NSCs) are configured"),
    ],
)
def test_requirements(name: str, count: int, reference: str, written: str, title: str) -> None:
    framework = read_framework(data(f"prowler_compliance_aws/{name}_aws.json.gz"))
    control = found(framework, reference)
    assert (len(framework.controls), framework.skipped) == (count, 0)
    assert control.id == written
    assert control.title.startswith(title)
    assert control.text


def test_entries_of_one_requirement_are_put_together() -> None:
    pci = read_framework(data("prowler_compliance_aws/pci_4.0_aws.json.gz"))
    control = found(pci, "1.2.5")
    assert pci.find("1.2.5.14") is None
    assert len(control.checks) == 12
    assert found(pci, "10.2.1.1").parent == "10.2.1"
    check = control.checks[0]
    assert control in pci.with_check(check)


def test_what_two_entries_print_alike_keeps_its_own_id() -> None:
    hipaa = read_framework(data("prowler_compliance_aws/hipaa_aws.json.gz"))
    assert found(hipaa, "164.308(a)(4)(ii)(C)").title == "Access authorization"
    soc2 = read_framework(data("prowler_compliance_aws/soc2_aws.json.gz"))
    assert found(soc2, "A1.2") is found(soc2, "cc_a_1_1")


def test_published_frameworks_meet_in_their_checks() -> None:
    folder = "prowler_compliance_aws"
    soc2 = read_framework(data(f"{folder}/soc2_aws.json.gz"), "SOC 2")
    iso = read_framework(data(f"{folder}/iso27001_2022_aws.json.gz"), "ISO")
    control = soc2.find("CC6.6")
    assert control is not None
    found = map_control(control, soc2, [iso])
    assert found
    for one in found:
        assert one.framework == "ISO"
        assert one.strength is not None
        assert 0 < one.strength <= 1
        assert set(one.shared) <= set(control.checks)


def test_the_published_file() -> None:
    mapping = read_attack_mapping(data("ctid_nist80053r5_attack16.json.gz"))
    assert sum(map(len, mapping.by_technique.values())) == 5314
    assert (len(mapping.by_technique), mapping.skipped) == (470, 96)
    phishing = {one.control for one in mapping.controls_for("t1566.001")}
    assert {"SI-3", "SC-7", "AC-4"} <= phishing
    assert mapping.source.endswith("(ATT&CK 16.1 to nist_800_53)")


def test_a_sub_technique_falls_back_to_its_parent_and_says_so() -> None:
    mapping = read_attack_mapping(data("ctid_nist80053r5_attack16.json.gz"))
    assert {one.technique for one in mapping.controls_for("T1566.999")} == {"T1566"}
    assert mapping.controls_for("T9999") == mapping.controls_for("") == ()
