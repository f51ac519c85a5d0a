"""Security compliance: controls for attack techniques, and for what other frameworks require."""

import gzip
import json
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path

import numpy as np

from mesh_fl.agent import Data
from mesh_fl.agents.compliance.controls import base_control, public_controls
from mesh_fl.agents.compliance.frameworks import Control, read_framework
from mesh_fl.agents.compliance.records import is_right
from mesh_fl.errors import DataError
from mesh_fl.planning import configure
from mesh_fl.quality import Metric
from mesh_fl.schema import Table
from mesh_fl.simulate.benchmarks.benchmark import Baseline, Benchmark, data_folder
from mesh_fl.simulate.trial import Workload

ATTACK = "ctid_nist80053r5_attack16.json.gz"
REQUIREMENTS = "prowler_compliance_aws"
COUNTED = "nist_800_53_revision_5_aws.json.gz"
ASKED = ("cis_4.0", "gdpr", "hipaa", "iso27001_2022", "pci_4.0", "soc2")

HIT = Metric("hit_at_1", higher_is_better=True)

SHARED_CHECKS = 1 / 3
"""A control is right for a requirement if it has at least such a share of its checks. One check
alone would make the controls with the most checks right for nearly everything."""

Line = tuple[str, str, str, bool]
"""Technique, text, control, whether the control is right."""


def benchmarks() -> tuple[Benchmark, ...]:
    """Return the benchmarks of security compliance."""
    constant = Baseline(
        "one's most frequent control",
        most_frequent_hit,
        "It gives one answer to everything: the control that one's own records name most often; "
        "pooled, the one that all records name most often.",
    )
    return (
        Benchmark(
            workload=attack_controls,
            dataset="attack_controls",
            members=50,
            records=80,
            baseline=constant,
            source="5,314 mappings of 470 ATT&CK techniques to NIST SP 800-53 controls by the "
            "Center for Threat-Informed Defense (Apache-2.0); a fifth of the techniques "
            "is kept for comparing, drawn anew for each seed; most of them have a relative, a "
            "sub-technique or what it refines, among the others. Settings were chosen on other "
            "splits of this table",
        ),
        Benchmark(
            workload=requirement_controls,
            dataset="requirement_controls",
            members=100,
            records=77,
            baseline=constant,
            source="Requirements of CIS, GDPR, HIPAA, ISO 27001, PCI DSS and SOC 2 with AWS checks "
            "by Prowler (Apache-2.0), each judged against the NIST SP 800-53 controls that have "
            "checks; right means at least a third of the requirement's checks. A fifth of the "
            "requirements, some 25, is kept for comparing, drawn anew for each seed. Settings were "
            "chosen on other splits of these tables",
        ),
    )


@cache
def attack_controls() -> Workload:
    """Return mappings of techniques, of which some are held out with all their controls."""
    mappings = _json(data_folder() / ATTACK).get("mapping_objects", [])
    names = {one["attack_object_id"]: one["attack_object_name"] for one in mappings}
    lines = [
        (
            f"{one['attack_object_id']} {_whole_name(one['attack_object_id'], names)}",
            "",
            base_control(one["capability_id"]),
            True,
        )
        for one in mappings
        if one["capability_id"]
    ]
    mapped = [one for one in lines if one[2] in _known()]
    return _workload("ATT&CK to NIST SP 800-53", {}, mapped, "query")


def _whole_name(technique: str, names: Mapping[str, str]) -> str:
    """Name a sub-technique after its technique: others bear the same name."""
    parent = technique.split(".")[0]
    return ": ".join(names[one] for one in dict.fromkeys((parent, technique)) if one in names)


@cache
def requirement_controls() -> Workload:
    """Return requirements of six frameworks, each judged against every control with checks."""
    folder = data_folder() / REQUIREMENTS
    checks: dict[str, set[str]] = {}
    for control in read_framework(folder / COUNTED).controls:
        checks.setdefault(base_control(control.id), set()).update(control.checks)
    counted = {name: held for name, held in checks.items() if held and name in _known()}
    lines = [
        line
        for name in ASKED
        for control in read_framework(folder / f"{name}_aws.json.gz").controls
        for line in _judged(control, counted)
    ]
    return _workload("requirements to NIST SP 800-53", {"controls": tuple(counted)}, lines, "query")


def most_frequent_hit(train: Data, test: Data, seed: int) -> float:
    """Return the share of questions that one's most frequent right control answers."""
    right, control = is_right(train), train["control"].astype(np.int64)
    if not right.any():
        return 0.0
    best = int(np.bincount(control[right]).argmax())
    asked = np.unique(test["query"][is_right(test)])
    answered = np.unique(test["query"][is_right(test) & (test["control"] == best)])
    return len(answered) / len(asked)


def _judged(requirement: Control, counted: Mapping[str, set[str]]) -> list[Line]:
    """Judge a requirement against all controls; none where no control is right."""
    asked = set(requirement.checks)
    least = SHARED_CHECKS * len(asked)
    lines = [
        ("", _wording(requirement), name, len(asked & held) >= least)
        for name, held in counted.items()
    ]
    return lines if asked and any(right for *_, right in lines) else []


def _wording(requirement: Control) -> str:
    title, text = requirement.title, requirement.text
    # A text that repeats its title goes on with what the checks look at, which would tell too much.
    return title if text.startswith(title) else f"{title}. {text}"


def _workload(
    dataset: str, config: Mapping[str, object], lines: list[Line], together: str
) -> Workload:
    data = configure("compliance", config, {"all": len(lines)}).prepare(_table(lines))
    return Workload(dataset, "compliance", config, data, HIT, together=together)


def _table(lines: Iterable[Line]) -> Table:
    techniques, texts, controls, right = zip(*lines, strict=True)
    # A mapping is no judgement of a text.
    satisfied = [
        np.nan if name else float(held) for name, held in zip(techniques, right, strict=True)
    ]
    return {
        "technique": np.array(techniques),
        "control_ref": np.array(controls),
        "text": np.array(texts),
        "satisfied": np.array(satisfied),
    }


def _known() -> Mapping[str, object]:
    return public_controls()


def _json(path: Path) -> dict[str, list[dict[str, str]]]:
    try:
        with gzip.open(path, "rt", encoding="utf-8") as file:
            found: dict[str, list[dict[str, str]]] = json.load(file)
    except (OSError, ValueError) as error:
        raise DataError(f"cannot read {path}: {error}") from None
    return found
