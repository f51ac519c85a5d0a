import gzip
import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mesh_fl.agents.compliance.catalogue import MOST_CONTROLS, MOST_PROBLEMS, Control, Framework
from mesh_fl.agents.compliance.frameworks import read_framework
from mesh_fl.errors import ConfigError


def read(folder: Path, document: object, name: str = "own.json") -> Framework:
    path = folder / name
    path.write_text(document if isinstance(document, str) else json.dumps(document))
    return read_framework(path)


def catalog(*controls: object, **more: object) -> dict[str, object]:
    metadata = {"title": "Mine", "version": "2"}
    groups = [{"id": "x", "title": "First family", "controls": list(controls)}]
    return {"catalog": {"metadata": metadata, "groups": groups, **more}}


def found(framework: Framework, reference: str) -> Control:
    control = framework.find(reference)
    assert control is not None
    return control


REQUIREMENTS = {
    "Framework": "OWN",
    "Name": "Own rules",
    "Version": "3",
    "Requirements": [
        {
            "Id": "1.2.5.1",
            "Name": "s3",
            "Description": "Checks buckets",
            "Checks": ["a"],
            "Attributes": [{"Section": "1.2.5: Network is controlled. "}],
        },
        {
            "Id": "1.2.5.2",
            "Name": "ec2",
            "Description": "Checks machines.",
            "Checks": ["b", "a"],
            "Attributes": [{"Section": "1.2.5: Network is controlled. "}],
        },
        {"Id": "164_308_a_4_ii_c", "Name": "164.308(a)(4)(ii)(B) Second", "Description": "two"},
        {"Id": "164_308_a_4_ii_b", "Name": "164.308(a)(4)(ii)(B) First", "Description": "one"},
        {"Id": "cc_a_1_1", "Name": "A1.2 Printed", "Description": "three"},
        {
            "Id": "ac_2_3_a",
            "Name": "AC-2(3)(a)",
            "Description": "four",
            "Attributes": [{"SubGroup": "AC-2(3) Disable Accounts", "Section": "Access"}],
        },
        {"Id": "4.1", "Description": "No name", "Checks": ["c", 5, None, "c"]},
        {"Name": "no id"},
        "junk",
    ],
}


class TestRequirements:
    def test_ids_titles_and_checks(self, tmp_path: Path) -> None:
        own = read(tmp_path, REQUIREMENTS)
        assert (own.name, own.version, own.skipped) == ("Own rules", "3", 2)
        assert own.source == "own.json (Own rules 3)"
        assert {one.id: one.title for one in own.controls} == {
            "1.2.5": "Network is controlled.",
            "164.308(a)(4)(ii)(C)": "Second",
            "164.308(a)(4)(ii)(B)": "First",
            "A1.2": "Printed",
            "AC-2(3)(a)": "Disable Accounts",
            "4.1": "No name",
        }
        assert found(own, "4.1").checks == ("c",)
        assert found(own, "cc_a_1_1").id == "A1.2"

    def test_entries_of_one_requirement_are_put_together(self, tmp_path: Path) -> None:
        control = found(read(tmp_path, REQUIREMENTS), "1.2.5")
        assert control.text == "Network is controlled. Checks buckets. Checks machines."
        assert control.checks == ("a", "b")


class TestOscal:
    def test_a_resolved_value_and_a_choice_that_names_itself(self, tmp_path: Path) -> None:
        control = {
            "id": "ac-1",
            "title": "T",
            "params": [
                {"id": "p", "values": ["30 days"]},
                {"id": "q", "select": {"choice": ["{{ insert: param, q }}", "none"]}},
            ],
            "parts": [
                {
                    "name": "statement",
                    "prose": "In {{ insert: param, p }}, {{insert:param,q}}, {{insert: param, z}}",
                }
            ],
        }
        text = found(read(tmp_path, catalog(control)), "AC-1").text
        assert text == (
            "In 30 days, [choice of [organisation-defined value]; none],"
            " [organisation-defined value]"
        )

    def test_withdrawn_controls_are_counted(self, tmp_path: Path) -> None:
        withdrawn = {
            "id": "ac-9",
            "title": "Old",
            "props": [{"name": "status", "value": "withdrawn"}],
        }
        framework = read(tmp_path, catalog({"id": "ac-1", "title": "T"}, withdrawn))
        assert [one.id for one in framework.controls] == ["AC-1"]
        assert (framework.withdrawn, framework.skipped) == (1, 0)

    @pytest.mark.parametrize(
        "bad",
        [
            5,
            None,
            [],
            "x",
            {},
            {"id": 7, "title": "T"},
            {"id": "ac-1", "title": "again"},
            {"id": "ac-2"},
            {"id": "---", "title": "no id"},
            {"id": "a" * 150, "title": "long"},
        ],
    )
    def test_a_bad_entry_is_skipped_and_told(self, tmp_path: Path, bad: object) -> None:
        framework = read(tmp_path, catalog({"id": "ac-1", "title": "T"}, bad))
        assert [one.id for one in framework.controls] == ["AC-1"]
        assert framework.skipped == 1
        assert "own.json: catalog/groups[0]/controls[1]: " in framework.problems[0] or (
            "ac-2" in framework.problems[0].lower()
        )

    def test_problems_are_told_up_to_a_number(self, tmp_path: Path) -> None:
        framework = read(tmp_path, catalog({"id": "ac-1", "title": "T"}, *[5] * 1000))
        assert (framework.skipped, len(framework.problems)) == (1000, MOST_PROBLEMS)

    @pytest.mark.parametrize("model", ["profile", "system-security-plan", "assessment-results"])
    def test_another_model_is_named(self, tmp_path: Path, model: str) -> None:
        with pytest.raises(ConfigError, match=f"expected an OSCAL catalog, found a {model}"):
            read(tmp_path, {model: {}})

    def test_a_hundred_levels(self, tmp_path: Path) -> None:
        node: dict[str, object] = {"id": "ac-99", "title": "deepest"}
        for level in range(98, 0, -1):
            part = {"name": "item", "prose": "p", "parts": node.get("parts", [])}
            node = {"id": f"ac-{level}", "title": "T", "controls": [node], "parts": [part]}
        assert 5 < len(read(tmp_path, catalog(node)).controls) < 99

    def test_arrays_beyond_reason(self, tmp_path: Path) -> None:
        text = '{"catalog":' + "[" * 200_000
        with pytest.raises(ConfigError, match="nested too deeply"):
            read(tmp_path, text)

    def test_choices_that_multiply_do_not_explode(self, tmp_path: Path) -> None:
        insert = "{{ insert: param, p }}"
        parameter = {"id": "p", "select": {"choice": [insert * 10] * 50}}
        part = {"name": "statement", "prose": insert * 500}
        control = {"id": "ac-1", "title": "T", "params": [parameter], "parts": [part]}
        assert len(found(read(tmp_path, catalog(control)), "ac-1").text) <= 20_000


class TestPlain:
    CSV = "\ufeffID,Title,Text,Checks\nX-1,One,Do one,a;b\nX-1,Again,,\n,,no id,\nX-1.2,Two,,\n"

    def test_csv(self, tmp_path: Path) -> None:
        framework = read(tmp_path, self.CSV, "my_rules.csv")
        assert [(one.id, one.parent) for one in framework.controls] == [
            ("X-1", None),
            ("X-1.2", "X-1"),
        ]
        assert (framework.name, framework.skipped) == ("my_rules", 2)
        assert found(framework, "x1").checks == ("a", "b")

    def test_toml_and_json_say_the_same(self, tmp_path: Path) -> None:
        toml = 'name="M"\nversion="1"\n[[controls]]\nid="ac-2.1"\ntitle="T"\nchecks=["a"]\n'
        entry = {"id": "ac-2.1", "title": "T", "checks": ["a"]}
        json_form = {"name": "M", "version": "1", "controls": [entry]}
        ours, theirs = read(tmp_path, toml, "a.toml"), read(tmp_path, json_form, "a.json")
        assert ours.controls == theirs.controls
        assert ours.controls[0].id == "AC-2(1)"
        assert read(tmp_path, [entry]).controls[0].title == "T"

    @pytest.mark.parametrize(
        ("name", "content", "message"),
        [
            ("a.json", "", "expected JSON, found at line 1"),
            ("a.json", "{}", "found an object"),
            ("a.json", '"x"', "found 'x'"),
            ("a.json", "[]", "found none that can be used"),
            ("a.json", '[{"id": 1}, 5]', "the first problem: a.json: entry 1"),
            ("a.json", '{"Requirements": {"a": 1}}', "found none that can be used"),
            ("a.json", "[" + "9" * 5000 + "]", "a number of too many digits"),
            ("a.csv", "name,text\na,b\n", "expected the columns id, title, text"),
            ("a.csv", "", "found nothing"),
            ("a.csv", 'id,title\n"a,b', "found none|expected CSV"),
            ("a.csv", "id,title\n" + "a" * 200_000, "expected CSV"),
            ("a.toml", "x = ", "expected TOML"),
            ("a.toml", "x = " + "[" * 100_000, "nested too deeply"),
            ("a.json.gz", "not gzip", "expected a whole gzip file"),
        ],
    )
    def test_a_wrong_file(self, tmp_path: Path, name: str, content: str, message: str) -> None:
        with pytest.raises(ConfigError, match=message):
            read(tmp_path, content, name)

    def test_files_that_cannot_be_read(self, tmp_path: Path) -> None:
        (tmp_path / "latin.csv").write_bytes(b"id,title\na,\xe9\n")
        (tmp_path / "cut.json.gz").write_bytes(gzip.compress(b"[1, 2, 3]" * 100)[:-9])
        for name, message in [
            ("none.json", "found none"),
            (".", "cannot be read: Is a directory"),
            ("latin.csv", "line 2: expected UTF-8, found byte 0xe9"),
            ("cut.json.gz", "expected a whole gzip file"),
        ]:
            with pytest.raises(ConfigError, match=message):
                read_framework(tmp_path / name)

    def test_a_bomb_is_not_unpacked_to_its_end(self, tmp_path: Path) -> None:
        path = tmp_path / "bomb.json.gz"
        with gzip.open(path, "wb", compresslevel=1) as file:
            for _ in range(65):
                file.write(bytes(2**20))
        with pytest.raises(ConfigError, match="at most 64 MiB once unpacked"):
            read_framework(path)

    def test_too_many_controls(self, tmp_path: Path) -> None:
        rows = "".join(f"x-{n},t\n" for n in range(MOST_CONTROLS + 1))
        with pytest.raises(ConfigError, match=f"at most {MOST_CONTROLS} controls"):
            read(tmp_path, "id,title\n" + rows, "a.csv")

    def test_hidden_signs_and_half_characters_are_left_out(self, tmp_path: Path) -> None:
        content = '[{"id": "x-1", "title": "a\\ud800\\u0000b\\u202ec\\n d"}]'
        assert read(tmp_path, content).controls[0].title == "a b c d"


KEYS = (
    "id title text props parts params controls groups name value values select choice prose label"
    " links href rel Id Name Checks Attributes Section"
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(KEYS.split()),
            inner,
            max_size=5,
        )
    ),
    max_leaves=25,
)


@settings(max_examples=150)
@given(inner=JSON, key=st.sampled_from(["catalog", "Requirements", "controls"]))
def test_any_json_is_a_framework_or_a_clear_error(
    inner: object, key: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.getbasetemp() / "any.json"
    path.write_text(json.dumps({key: inner}))
    try:
        assert read_framework(path).controls
    except ConfigError as error:
        message = str(error)
    else:
        message = ""
    assert message == "" or message.startswith("any.json")
