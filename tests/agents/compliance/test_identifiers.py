import pytest
from hypothesis import given
from hypothesis import strategies as st

from mesh_fl.agents.compliance.identifiers import (
    canonical_id,
    is_nist,
    leading_id,
    written_id,
)


@pytest.mark.parametrize(
    ("spellings", "canonical"),
    [
        (("AC-2(1)", "ac-2.1", "AC-02(01)", "ac_2_1", " Ac 2 (1)", "NIST AC-2(1)"), "ac.2.1"),
        (("AC-2", "ac-02", "ac_2", "ac-2_smt", "AC2"), "ac.2"),
        (("A.5.1", "a.5.1", "A 5.1", "Annex A.5.1", "A.05.01"), "a.5.1"),
        (("CC6.1", "cc_6_1", "CC 6.1"), "cc.6.1"),
        (("164.308(a)(1)(ii)(A)", "164_308_a_1_ii_a", "§164.308(a)(1)(ii)(A)"), "164.308.a.1.ii.a"),
        (("45 CFR 164.312(b)", "164.312(b)"), "164.312.b"),
        (("Article 32", "article_32", "Art. 32", "art 32"), "article.32"),
        (("1.2.5", "PCI DSS 1.2.5", "Requirement 1.2.5", "1_2_5"), "1.2.5"),
        (("", "---", "()", "界"), ""),
    ],
)
def test_spellings_of_one_id_meet(spellings: tuple[str, ...], canonical: str) -> None:
    assert {canonical_id(spelling) for spelling in spellings} == {canonical}


def test_different_ids_stay_apart() -> None:
    ids = ["AC-2", "AC-2(1)", "AC-2(11)", "AC-21", "CC6.1", "C6.1", "1.2.5", "1.25", "A.1.2"]
    assert len({canonical_id(one) for one in ids}) == len(ids)


@pytest.mark.parametrize(
    ("key", "written"),
    [
        ("ac_2_1", "AC-2(1)"),
        ("ac-02.01", "AC-2(1)"),
        ("cp_1_a_1_b", "CP-1(a)(1)(b)"),
        ("164_308_a_1_ii_a", "164.308(a)(1)(ii)(A)"),
        ("164_312_b", "164.312(b)"),
        ("cc_6_1", "CC6.1"),
        ("article_32", "Article 32"),
        ("2.1.1", "2.1.1"),
        ("own_7", "own_7"),
    ],
)
def test_keys_are_written_as_people_do(key: str, written: str) -> None:
    assert written_id(key) == written
    assert canonical_id(written) == canonical_id(key)


@pytest.mark.parametrize(
    ("name", "split"),
    [
        ("AC-2(1) Automated Account Management", ("AC-2(1)", "Automated Account Management")),
        ("Access Enforcement (AC-3)", ("AC-3", "Access Enforcement")),
        ("164.308(a)(8) Evaluation", ("164.308(a)(8)", "Evaluation")),
        ("CC6.1 The entity", ("CC6.1", "The entity")),
        ("Article 32 Security", ("Article 32", "Security")),
        ("A1.2 The entity", ("A1.2", "The entity")),
        ("Policies (general)", ("", "Policies (general)")),
        ("A1 sauce", ("", "A1 sauce")),
        ("", ("", "")),
    ],
)
def test_a_name_gives_its_id(name: str, split: tuple[str, str]) -> None:
    assert leading_id(name) == split


def test_only_nist_looks_like_nist() -> None:
    assert is_nist("ac-2.1")
    assert not any(map(is_nist, ("A.5.1", "CC6.1", "1.2.5", "Article 32", "164.312(b)", "ac")))


@given(st.text(max_size=200))
def test_any_text_has_a_stable_canonical_form(text: str) -> None:
    once = canonical_id(text)
    assert canonical_id(once) == once or "cfr" in text.lower() or not once.isascii()
    written_id(text)
    leading_id(text)
