import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mesh_fl.agents.collaboration.skills import (
    OTHER,
    Likeness,
    Skill,
    Vocabulary,
    declared,
    listed,
    words_of,
)

SHIPPED = Vocabulary(declared())


def named(text: str) -> list[str]:
    return [SHIPPED.names[place] for place in SHIPPED.named(text)]


def test_fifty_skills_ship_and_no_phrase_stands_for_two() -> None:
    assert len(declared()) == 50
    owners: dict[tuple[str, ...], str] = {}
    for skill in declared():
        assert skill.about
        for phrase in {words_of(one) for one in (skill.name, *skill.phrases)}:
            assert owners.setdefault(phrase, skill.name) == skill.name
    assert SHIPPED.names[SHIPPED.other] == OTHER


@pytest.mark.parametrize(
    ("text", "skills"),
    [
        ("FortiGate firewall, VPN", ["firewalls", "remote access"]),
        ("SD-WAN between two offices", ["wide area networks"]),
        ("Windows Server 2022", ["Windows servers"]),
        ("Google Cloud migration", ["Google Cloud"]),
        ("firewalled", []),
        ("", []),
        ("Wi-Fi wifi, then one printer", ["wireless", "printing"]),
    ],
)
def test_words_name_skills(text: str, skills: list[str]) -> None:
    assert named(text) == skills


def test_the_most_often_named_comes_first() -> None:
    assert named("a printer, a router, and again a router")[0] == "networking"


def test_a_phrase_at_the_very_end_is_found_whole_only() -> None:
    two = Vocabulary((Skill(name="a b c"), Skill(name="b")))
    assert two.named("a b") == (1,)
    assert two.named("x a b c") == (0,)


@given(st.text(max_size=300))
def test_any_text_is_read(text: str) -> None:
    assert all(0 <= place < SHIPPED.other for place in SHIPPED.named(text))
    assert all(entry.strip() == entry != "" for entry in listed(text))


def test_lists_keep_each_entry_once() -> None:
    assert listed("Azure; VMware,\nAzure |  MS  365 ;;") == ("Azure", "VMware", "MS 365")


def test_likeness_needs_its_least() -> None:
    vectors = np.eye(3, dtype=np.float32)
    likeness = Likeness(vectors, 0.5)
    assert likeness.meant(np.array([0.6, 0.8, 0], dtype=np.float32)) == (1, 0)
    assert likeness.meant(np.array([0.4, 0.4, 0.4], dtype=np.float32)) == ()


def test_a_megabyte_takes_no_time() -> None:
    for unit in ("azure ", "a", "a,", "漢", "managed detection "):
        text = (unit * 1_000_000)[:1_000_000]
        assert len(SHIPPED.named(text)) <= 50
        assert len(listed(text)) <= 20_000
