import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from mesh_fl.agents.compliance.attack import read_attack_mapping
from mesh_fl.agents.compliance.catalogue import Control, Framework
from mesh_fl.agents.compliance.likeness import Likeness
from mesh_fl.agents.compliance.mapping import map_control
from mesh_fl.errors import ConfigError


def framework(name: str, *controls: tuple[str, tuple[str, ...]], related: str = "") -> Framework:
    return Framework(
        name=name,
        version="",
        source=f"{name}.json",
        controls=tuple(
            Control(
                framework=name,
                id=key,
                title=f"title of {key}",
                text="",
                checks=checks,
                related=(related,) if related else (),
            )
            for key, checks in controls
        ),
    )


ONE = framework("one", ("A-1", ("a", "b", "c")), ("A-2", ()), related="A-2")
TWO = framework("two", ("B-1", ("b", "c", "d")), ("B-2", ("c",)), ("B-3", ("x",)))
THREE = framework("three", ("C-1", ()), ("C-2", ()))


def alike(controls: Sequence[Control], sentences: Sequence[str]) -> Likeness:
    cosine = np.array([[0.9 if one.id.endswith("2") else 0.59] for one in controls])
    return Likeness(np.ones_like(cosine), cosine, cosine > 0)


def test_each_way_names_its_source_and_its_degree() -> None:
    found = map_control(ONE.controls[0], ONE, [ONE, TWO, THREE], alike)
    assert [(one.control, one.how, one.strength) for one in found] == [
        ("B-1", "shared checks", 0.5),
        ("B-2", "shared checks", pytest.approx(1 / 3)),
        ("A-2", "related in the catalog", None),
        ("C-2", "similar text", 0.9),
    ]
    assert found[0].shared == ("b", "c")
    assert found[0].source == "one.json; two.json"
    assert found[2].source == "one.json"


def test_without_a_matcher_nothing_is_guessed() -> None:
    assert not map_control(THREE.controls[0], THREE, [ONE, TWO])
    assert len(map_control(ONE.controls[0], ONE, [TWO], most=1)) == 2


def test_guesses_are_few() -> None:
    many = framework("many", *[(f"D-{k}2", ()) for k in range(30)])
    found = map_control(THREE.controls[0], THREE, [many], alike, most=50)
    assert [one.how for one in found] == ["similar text"] * 5


def test_ids_meet_only_where_they_are_of_nist() -> None:
    here = framework("here", ("AC-2(1)", ()), ("1.2.5", ()))
    there = framework("there", ("ac-2.1", ("z",)), ("1.2.5", ()))
    same, other = (map_control(one, here, [there]) for one in here.controls)
    assert [(one.control, one.how) for one in same] == [("ac-2.1", "same id")]
    assert other == ()


class TestAttack:
    def test_pairs_by_technique(self, tmp_path: Path) -> None:
        def pair(control: object, technique: object) -> dict[str, object]:
            return {
                "capability_id": control,
                "capability_description": "title",
                "attack_object_id": technique,
                "attack_object_name": "name",
                "mapping_type": "mitigates",
            }

        path = tmp_path / "m.json"
        pairs = [pair("AC-02", "T1566"), pair("si-3", "T1566.001"), pair(None, "T1"), 5]
        document = {"metadata": {"attack_version": "16.1"}, "mapping_objects": pairs}
        path.write_text(json.dumps(document))
        mapping = read_attack_mapping(path)
        assert mapping.skipped == 2
        assert [one.control for one in mapping.controls_for(" t1566 ")] == ["AC-2"]
        assert [one.control for one in mapping.controls_for("T1566.001")] == ["SI-3"]
        (fallback,) = mapping.controls_for("T1566.999")
        assert (fallback.control, fallback.technique) == ("AC-2", "T1566")
        assert mapping.controls_for("T9999") == mapping.controls_for("") == ()

    @pytest.mark.parametrize(
        "document",
        [
            [],
            {},
            {"mapping_objects": {}},
            {"mapping_objects": [1, None, {"capability_id": "AC-2"}]},
            {"mapping_objects": [{"capability_id": ["AC-2"], "attack_object_id": "T1566"}]},
            {"mapping_objects": [{"capability_id": "AC-2", "attack_object_id": "x"}]},
        ],
    )
    def test_files_that_map_nothing(self, document: object, tmp_path: Path) -> None:
        path = tmp_path / "m.json"
        path.write_text(json.dumps(document))
        with pytest.raises(ConfigError, match=r"m\.json: expected"):
            read_attack_mapping(path)
