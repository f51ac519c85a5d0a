import gzip
import json
import re
import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mesh_fl.agents.threat import _attack_files
from mesh_fl.agents.threat._attack_files import read_attack_file, read_controls
from mesh_fl.agents.threat.techniques import (
    MARGIN,
    MOST_WORDS,
    NAMED,
    NOT_IN_CATALOGUE,
    SIMILAR,
    WORD_WEIGHT,
    TechniqueMatch,
    Techniques,
    load_techniques,
    read_attack,
)
from mesh_fl.errors import ConfigError, DataError
from mesh_fl.text.encoder import load_encoder

CATALOGUE = tomllib.loads(
    (Path(_attack_files.__file__).parents[1] / "_techniques.toml").read_text("utf-8")
)
TEXTS = [
    (id_, text)
    for id_, texts in tomllib.loads(Path(__file__).with_name("texts.toml").read_text("utf-8"))[
        "techniques"
    ].items()
    for text in texts
]
TACTICS = {
    "reconnaissance",
    "resource-development",
    "initial-access",
    "execution",
    "persistence",
    "privilege-escalation",
    "defense-evasion",
    "credential-access",
    "discovery",
    "lateral-movement",
    "collection",
    "command-and-control",
    "exfiltration",
    "impact",
}
NOWHERE = np.zeros(384, dtype=np.float32)


@pytest.fixture(scope="module")
def techniques() -> Techniques:
    return load_techniques(load_encoder())


def find(techniques: Techniques, text: str, most: int = 5) -> tuple[TechniqueMatch, ...]:
    return techniques.find(load_encoder().encode([text])[0], text, most)


def pattern(id_: str, name: str, **more: object) -> dict[str, Any]:
    reference = {"source_name": "mitre-attack", "external_id": id_}
    return {
        "type": "attack-pattern",
        "id": f"attack-pattern--{id_}",
        "name": name,
        "external_references": [{"source_name": "capec"}, reference],
        "kill_chain_phases": [{"kill_chain_name": "mitre-attack", "phase_name": "impact"}],
        **more,
    }


def course(id_: str, name: str, **more: object) -> dict[str, Any]:
    return {**pattern(id_, name), "type": "course-of-action", "id": f"course--{id_}", **more}


def mitigates(course: str, technique: str, description: str, **more: object) -> dict[str, Any]:
    return {
        "type": "relationship",
        "relationship_type": "mitigates",
        "source_ref": f"course--{course}",
        "target_ref": f"attack-pattern--{technique}",
        "description": description,
        **more,
    }


def bundle(tmp_path: Path, *objects: object) -> Path:
    path = tmp_path / "enterprise-attack.json"
    path.write_text(json.dumps({"type": "bundle", "objects": objects}), "utf-8")
    return path


def mapping(tmp_path: Path, *entries: object) -> Path:
    path = tmp_path / "mapping.json"
    document = {"metadata": {"attack_version": "16.1"}, "mapping_objects": entries}
    path.write_text(json.dumps(document), "utf-8")
    return path


def mapped(technique: str, name: str, control: str | None, title: str) -> dict[str, Any]:
    return {
        "attack_object_id": technique,
        "attack_object_name": name,
        "capability_id": control,
        "capability_description": title,
    }


class TestCatalogue:
    def test_it_holds_the_techniques_met_most(self, techniques: Techniques) -> None:
        ids = [key for key in CATALOGUE if key.startswith("T")]
        assert len(techniques) == len(ids) >= 120
        assert all(re.fullmatch(r"T\d{4}(\.\d{3})?", id_) for id_ in ids)

    def test_every_technique_is_whole(self) -> None:
        for id_, entry in CATALOGUE.items():
            if id_.startswith("T"):
                assert entry["name"]
                assert entry["examples"]
                assert entry["steps"]
                assert entry["tactics"]
                assert set(entry["tactics"]) <= TACTICS, id_

    def test_names_of_sub_techniques_follow_their_parents(self, techniques: Techniques) -> None:
        assert techniques.name("T1566.001") == "Phishing: Spearphishing Attachment"
        assert techniques.name("T1566") == "Phishing"
        assert techniques.name("T1547.001") == "Registry Run Keys / Startup Folder"
        assert techniques.name("T0000") is None

    def test_what_is_measured_on_is_not_in_the_catalogue(self) -> None:
        own = {
            text for id_, entry in CATALOGUE.items() if id_[0] == "T" for text in entry["examples"]
        }
        assert not own & {text for _, text in TEXTS}


class TestRetrieval:
    def test_the_right_technique_comes_first_or_among_the_first(
        self, techniques: Techniques
    ) -> None:
        held = TEXTS[1::2]
        found = [[match.id for match in find(techniques, text)] for _, text in held]
        first = sum(ids[:1] == [id_] for ids, (id_, _) in zip(found, held, strict=True))
        third = sum(id_ in ids[:3] for ids, (id_, _) in zip(found, held, strict=True))
        assert first / len(held) >= 0.8
        assert third / len(held) >= 0.9

    def test_a_match_tells_its_likeness_and_shared_words(self, techniques: Techniques) -> None:
        first, *rest = find(techniques, "rundll32.exe was used to run a DLL from the temp folder")
        assert first.id == "T1218.011"
        assert first.how == SIMILAR
        assert first.similarity is not None
        assert first.similarity > 0.5
        assert "rundll32" in first.words
        assert first.tactics == ("defense-evasion",)
        assert all(match.similarity is not None for match in rest)
        assert first.source == techniques.source

    def test_what_is_like_nothing_finds_nothing(self, techniques: Techniques) -> None:
        assert techniques.find(NOWHERE, "Lunch is at noon") == ()
        assert find(techniques, "The weather will be sunny tomorrow") == ()
        assert techniques.find(NOWHERE, "") == ()

    def test_no_more_than_asked_for(self, techniques: Techniques) -> None:
        text = "Files were encrypted, backups deleted, services stopped, T1490 T1489 T1003"
        for most in range(4):
            assert len(find(techniques, text, most)) <= most

    def test_all_told_by_likeness_are_near_the_best(self, techniques: Techniques) -> None:
        for _, text in TEXTS:
            similar = [match.similarity or 0 for match in find(techniques, text)]
            assert max(similar) - min(similar) <= MARGIN + MOST_WORDS * WORD_WEIGHT

    def test_a_vector_of_another_dimension_is_refused(self, techniques: Techniques) -> None:
        with pytest.raises(DataError, match="expected a vector"):
            techniques.find(np.zeros(12, dtype=np.float32), "text")


class TestNamed:
    def test_ids_come_first_in_the_order_of_the_text(self, techniques: Techniques) -> None:
        text = "T1490, then T1566.001 (twice: T1566.001). Files were encrypted for ransom"
        found = find(techniques, text)
        assert [match.id for match in found[:2]] == ["T1490", "T1566.001"]
        assert [match.how for match in found[:2]] == [NAMED, NAMED]
        assert len({match.id for match in found}) == len(found)

    def test_an_id_that_is_named_is_not_told_again_by_likeness(
        self, techniques: Techniques
    ) -> None:
        found = find(techniques, "Files on all shares were encrypted and a ransom was asked T1486")
        assert [match.how for match in found if match.id == "T1486"] == [NAMED]

    def test_an_id_that_the_catalogue_lacks_is_told_as_such(self, techniques: Techniques) -> None:
        (found,) = techniques.find(NOWHERE, "see T9999.")
        assert (found.id, found.name, found.similarity) == ("T9999", None, None)
        assert found.how == NOT_IN_CATALOGUE

    @pytest.mark.parametrize(
        "text",
        [
            "T15660",
            "XT1566",
            "T1566.0011",
            "T156",
            "t1566",
            "T\u0661\u0665\u0666\u0666",
            "3.T1566x",
            "_T1566_",
        ],
    )
    def test_what_is_no_id_is_not_taken_for_one(self, techniques: Techniques, text: str) -> None:
        assert techniques.find(NOWHERE, text) == ()

    @pytest.mark.parametrize("unit", ["T1566 ", "T1", "T9999.", "T1566.001", ".", "mimikatz "])
    def test_a_million_characters_are_no_burden(self, techniques: Techniques, unit: str) -> None:
        assert len(techniques.find(NOWHERE, unit * (1_000_000 // len(unit)))) <= 5

    @settings(max_examples=50)
    @given(text=st.text(alphabet="T0123456789. xé\n", max_size=200))
    def test_any_text_has_an_answer(self, techniques: Techniques, text: str) -> None:
        for match in techniques.find(NOWHERE, text):
            assert match.id in text


class TestBundle:
    def test_it_replaces_the_catalogue(self, tmp_path: Path) -> None:
        path = bundle(
            tmp_path,
            {"type": "x-mitre-collection", "x_mitre_version": "17.0"},
            pattern("T1486", "Data Encrypted for Impact", description="Data are made useless."),
            pattern("T7000", "Juggling", description="Clowns juggle torches in the circus."),
        )
        techniques = read_attack(path, load_encoder())
        assert len(techniques) == 2
        assert techniques.source == "enterprise-attack.json (ATT&CK 17.0)"
        assert find(techniques, "A clown juggles with torches")[0].id == "T7000"
        assert find(techniques, "Files are encrypted and a ransom is demanded")[0].id == "T1486"
        (lost,) = techniques.find(NOWHERE, "T1566")
        assert lost.how == NOT_IN_CATALOGUE

    def test_names_tactics_and_texts(self, tmp_path: Path) -> None:
        described = "First (Citation: A 2020) see [Tool](https://x.example/S1). " + "More. " * 200
        file = read_attack_file(
            bundle(
                tmp_path,
                pattern(
                    "T7000.001", "Torches", description=described, x_mitre_is_subtechnique=True
                ),
                pattern("T7000", "Juggling"),
            )
        )
        sub, parent = file.techniques
        assert sub.texts[0].startswith(
            "Juggling: Torches. First  see Tool. More.".replace("  ", " ")
        )
        assert len(sub.texts[0]) < 400
        assert parent.texts == ("Juggling",)
        assert parent.tactics == ("impact",)

    def test_the_outdated_the_foreign_and_the_malformed_are_left_out(self, tmp_path: Path) -> None:
        mobile = pattern("T7003", "Mobile")
        mobile["external_references"][1]["source_name"] = "mitre-mobile-attack"
        file = read_attack_file(
            bundle(
                tmp_path,
                pattern("T7001", "Revoked", revoked=True),
                pattern("T7002", "Deprecated", x_mitre_deprecated=True),
                mobile,
                pattern("TA0001", "A tactic"),
                {**pattern("T7004", ""), "name": 5},
                {"type": "attack-pattern"},
                {"type": ["attack-pattern"]},
                None,
                [],
                7,
                pattern("T7005", "Right"),
                pattern("T7005", "Again"),
                pattern("T7006", "Odd", kill_chain_phases={"a": 1}, description=["x"]),
            )
        )
        assert [(each.id, each.name) for each in file.techniques] == [
            ("T7005", "Right"),
            ("T7006", "Odd"),
        ]

    def test_mitigations_tell_their_source_and_stand_in_for_sub_techniques(
        self, tmp_path: Path
    ) -> None:
        path = bundle(
            tmp_path,
            pattern("T7000", "Juggling"),
            pattern("T7000.001", "Torches"),
            pattern("T1486", "Data Encrypted for Impact"),
            course("M1", "Nets"),
            course("M2", "Old", x_mitre_deprecated=True),
            mitigates("M1", "T7000", "Hang up a net. (Citation: Net 2001)"),
            mitigates("M2", "T7000", "Do nothing."),
            mitigates("M1", "T7000", "Withdrawn.", revoked=True),
            mitigates("M1", "T7000", "Used.", relationship_type="uses"),
            mitigates("M9", "T7000", "Nobody."),
        )
        techniques = read_attack(path, load_encoder())
        (own,) = techniques.mitigations("T7000")
        assert own.action == "Nets: Hang up a net."
        assert own.source.endswith("mitigation M1")
        assert techniques.mitigations("T7000.001") == (own,)
        assert techniques.mitigations("T1486")[0].source == "mesh_fl catalogue"
        assert techniques.mitigations("T9999") == ()

    def test_it_may_be_packed(self, tmp_path: Path) -> None:
        plain = bundle(tmp_path, pattern("T7000", "Juggling"))
        packed = tmp_path / "attack.json.gz"
        packed.write_bytes(gzip.compress(plain.read_bytes()))
        assert read_attack_file(packed).techniques == read_attack_file(plain).techniques

    @pytest.mark.parametrize(
        "content",
        [
            "",
            "[]",
            "null",
            "not JSON",
            "{}",
            '{"type": "bundle"}',
            '{"type": "bundle", "objects": 5}',
            '{"type": "bundle", "objects": []}',
            '{"type": "bundle", "objects": [',
            '{"type": "bundle", "objects": [{"type": "attack-pattern"',
            '{"type": "bundle", "objects": [{]}',
            '{"objects": [' + "[" * 100_000,
            '{"objects": [' + "9" * 5000 + "]}",
            '{"mapping_objects": 5}',
            '{"mapping_objects": [{"attack_object_id": "T1"}]}',
            '{"mapping_objects": ' + "[" * 100_000,
            '["mapping_objects"]',
        ],
    )
    def test_another_file_is_refused_by_name(self, tmp_path: Path, content: str) -> None:
        path = tmp_path / "attack.json"
        path.write_text(content)
        with pytest.raises(ConfigError, match=r"attack\.json.*expected"):
            read_attack_file(path)

    def test_a_file_that_is_not_there(self, tmp_path: Path) -> None:
        with pytest.raises(ConfigError, match=r"none\.json"):
            read_attack(tmp_path / "none.json", load_encoder())

    def test_too_many_techniques_are_refused(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(_attack_files, "MOST_TECHNIQUES", 2)
        path = bundle(tmp_path, *(pattern(f"T700{n}", "Name") for n in range(3)))
        with pytest.raises(ConfigError, match="expected 1 to 2 enterprise techniques, found 3"):
            read_attack_file(path)

    @settings(max_examples=60)
    @given(
        objects=st.lists(
            st.fixed_dictionaries(
                {"type": st.sampled_from(["attack-pattern", "course-of-action", "relationship"])},
                optional={
                    name: st.recursive(
                        st.none() | st.booleans() | st.integers() | st.text(max_size=8),
                        lambda inner: (
                            st.lists(inner, max_size=2)
                            | st.dictionaries(st.text(max_size=3), inner, max_size=2)
                        ),
                        max_leaves=4,
                    )
                    for name in (
                        "id",
                        "name",
                        "description",
                        "external_references",
                        "kill_chain_phases",
                        "source_ref",
                        "target_ref",
                        "relationship_type",
                        "revoked",
                    )
                },
            ),
            max_size=4,
        )
    )
    def test_any_objects_are_read_or_left_out(
        self, tmp_path_factory: pytest.TempPathFactory, objects: list[dict[str, Any]]
    ) -> None:
        path = bundle(tmp_path_factory.mktemp("any"), *objects, pattern("T7000", "Juggling"))
        assert [each.id for each in read_attack_file(path).techniques] == ["T7000"]


class TestMapping:
    def test_its_names_are_a_catalogue_that_knows_our_sentences(self, tmp_path: Path) -> None:
        path = mapping(
            tmp_path,
            mapped("T1486", "Data Encrypted for Impact", "CP-09", "System Backup"),
            mapped("T1110", "Brute Force", None, ""),
            mapped("not an id", "Nothing", None, ""),
        )
        techniques = read_attack(path, load_encoder())
        assert len(techniques) == 2
        assert techniques.source == "mapping.json (CTID mapping of ATT&CK 16.1)"
        (match,) = find(techniques, "Our files are encrypted and a ransom is demanded")
        assert (match.id, match.tactics) == ("T1486", ("impact",))

    def test_controls_are_written_as_people_write_them(self, tmp_path: Path) -> None:
        path = mapping(
            tmp_path,
            mapped("T1486", "Data Encrypted for Impact", "CP-09", "System Backup"),
            mapped("T1486", "Data Encrypted for Impact", "CP-09", "System Backup"),
            mapped("T1486", "Data Encrypted for Impact", "AC-02(01)", "Automated"),
            mapped("T1110", "Brute Force", None, ""),
            mapped("T1110", "Brute Force", "rm -rf", ""),
            5,
        )
        controls = read_controls(path)
        assert list(controls) == ["T1486"]
        assert [control.id for control in controls["T1486"]] == ["CP-9", "AC-2(1)"]
        assert controls["T1486"][0].name == "System Backup"

    @pytest.mark.parametrize("content", ["[]", "{}", '{"mapping_objects": {"a": []}}', "x"])
    def test_a_file_that_maps_nothing_is_refused(self, tmp_path: Path, content: str) -> None:
        path = tmp_path / "map.json"
        path.write_text(content)
        with pytest.raises(ConfigError, match=r"map\.json.*expected"):
            read_controls(path)
