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
    signed_words_of,
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
        told = (skill.name, *skill.phrases, *skill.entries)
        for phrase in {words_of(one) for one in told}:
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
        ("SAN", ["storage"]),
        (" Updates. ", ["patching"]),
        ("Teams", ["Microsoft 365"]),
        ("exchange", ["e-mail"]),
        ("a room for storage", []),
        ("our teams see ups and downs", []),
        ("a breach of contract, and a bash for San Francisco", []),
        ("updates of the roadmap, in exchange", ["advisory"]),
        ("a data breach", ["incident response"]),
        ("Exchange Server", ["e-mail"]),
        ("Azure+ and .Linux", ["Azure", "Linux"]),
    ],
)
def test_words_name_skills(text: str, skills: list[str]) -> None:
    assert named(text) == skills


def test_the_most_often_named_comes_first() -> None:
    assert named("a printer, a router, and again a router")[0] == "networking"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("C++ or C#, then .NET. And F#", ("c++", "or", "c#", "then", ".net", "and", "f#")),
        ("CompTIA A+/Network+", ("comptia", "a+", "network+")),
        ("a.b, C+D, 24/7+, #1, ..x", ("a", "b", "c", "d", "24", "7", "1", "x")),
    ],
)
def test_signs_belong_to_some_words(text: str, words: tuple[str, ...]) -> None:
    assert signed_words_of(text) == words


def test_signs_tell_declared_skills_apart() -> None:
    three = Vocabulary((Skill(name="C++"), Skill(name="C#"), Skill(name="net", phrases=(".NET",))))
    assert three.named("C#") == (1,)
    assert three.named("c++, twice C++") == (0,)
    assert three.named("building C") == ()
    assert three.named(".net net") == (2,)


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
