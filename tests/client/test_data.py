import csv
import json
import math
import string
import subprocess
import sys
import tracemalloc
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from mesh_fl.client.data import ColumnMap, Problem, Records, TableSource, read_records
from mesh_fl.client.report import data_report, public_cap
from mesh_fl.config import load_toml
from mesh_fl.errors import ConfigError, DataError
from mesh_fl.schema import Field

TERM = Field(name="term", kind="category", levels=("month", "year"))
COST = Field(name="cost", kind="number", low=-5, high=200)
PAID = Field(name="paid", kind="flag")
CARE = Field(name="care", kind="number", low=0, high=1, optional=True)
NOTE = Field(name="note", kind="text", optional=True)
SCHEMA = (TERM, COST, PAID, CARE, NOTE)

HEADER = "id,term,cost,paid,care,note"
GOOD = "g,year,1,no,,"

Line = Mapping[str, object]
WORDS = {"M": "month", "Y": "year"}


def source(path: Path, **columns: ColumnMap) -> TableSource:
    return TableSource(path=path, id="id", columns=columns)


def read_csv(
    folder: Path, text: str | bytes, schema: tuple[Field, ...] = SCHEMA, **columns: ColumnMap
) -> Records:
    path = folder / "customers.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_records(source(path, **columns), schema)


def refusal(read: Callable[..., Records], *arguments: object, **options: object) -> str:
    with pytest.raises(DataError) as caught:
        read(*arguments, **options)
    return str(caught.value)


def said(records: Records) -> list[str]:
    return [str(problem) for problem in records.problems]


def write_csv(path: Path, lines: Sequence[Line], delimiter: str = ",") -> Path:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, lines[0], delimiter=delimiter)
        writer.writeheader()
        writer.writerows(lines)
    return path


def write_jsonl(path: Path, lines: Sequence[Line]) -> Path:
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def write_parquet(path: Path, lines: Sequence[Line]) -> Path:
    pq.write_table(pa.Table.from_pylist([dict(line) for line in lines]), path)
    return path


def same(one: Records, other: Records) -> bool:
    return (
        one.ids == other.ids
        and [problem.line for problem in one.problems]
        == [problem.line for problem in other.problems]
        and all(
            np.array_equal(values, other.table[name], equal_nan=values.dtype.kind == "f")
            for name, values in one.table.items()
        )
    )


# Good tables.


def test_a_table_is_read(tmp_path: Path) -> None:
    text = "\ufeff id ;Contract; note;cost;A;B;email;paid\r\n"
    text += '0012;M;a;1.5;Yes;No;a@b;yes\r\n\r\n 13 ;year;"x;\r\ny";-5;1;1;c@d;0\r\n'
    records = read_csv(
        tmp_path,
        text,
        term=ColumnMap(column="Contract", values=WORDS),
        care=ColumnMap(columns=("A", "B")),
    )
    assert records.ids == ("0012", "13")
    assert {name: values.tolist() for name, values in records.table.items()} == {
        "term": ["month", "year"],
        "cost": [1.5, -5.0],
        "paid": [1.0, 0.0],
        "care": [0.5, 1.0],
        "note": ["a", "x;\r\ny"],
    }
    assert records.problems == ()
    assert records.rows_read == 2
    assert records.sources["care"] == ("A", "B")


def test_nothing_private_is_in_the_repr(tmp_path: Path) -> None:
    records = read_csv(tmp_path, f"{HEADER}\nsecret-id,year,123,no,,\nbad,secret,1,no,,\n")
    assert "secret" not in repr(records)
    assert "123" not in repr(records)


TEXTS = st.text(string.ascii_letters + string.digits + " ;,\"'\r\n\t|é€", max_size=12)
LINES = st.lists(
    st.fixed_dictionaries(
        {
            "id": st.text(string.ascii_letters + string.digits + "é|", min_size=1, max_size=3),
            "Contract": st.sampled_from(["M", "Y", "month", "year"]),
            "cost": st.floats(-10, 250) | st.none(),
            "paid": st.booleans(),
            "A": st.booleans(),
            "B": st.booleans(),
            "note": TEXTS.map(str.strip),
            "phone": TEXTS,
        }
    ),
    min_size=1,
    max_size=8,
)


@settings(deadline=None)
@given(LINES, st.sampled_from([",", ";", "\t", "|"]))
def test_csv_jsonl_and_parquet_agree(
    tmp_path_factory: pytest.TempPathFactory, lines: list[Line], delimiter: str
) -> None:
    folder = tmp_path_factory.getbasetemp()
    first_good = {**lines[0], "id": "good", "cost": 1.0}
    lines = [first_good, *lines]
    maps = {
        "term": ColumnMap(column="Contract", values=WORDS),
        "care": ColumnMap(columns=("A", "B")),
    }
    paths = (
        write_csv(folder / "t.csv", lines, delimiter),
        write_jsonl(folder / "t.ndjson", lines),
        write_parquet(folder / "t.parquet", lines),
    )
    by_csv, by_json, by_parquet = (read_records(source(path, **maps), SCHEMA) for path in paths)
    assert same(by_json, by_parquet)
    assert by_csv.ids == by_json.ids
    assert len(by_csv.problems) == len(by_json.problems)
    assert by_csv.table["note"].tolist() == by_json.table["note"].tolist()
    assert by_csv.table["cost"].tolist() == by_json.table["cost"].tolist()
    expected: dict[object, Line] = {}
    for line in lines:
        sound = line["cost"] is not None and -5 <= float(str(line["cost"])) <= 200
        if sound:
            expected.setdefault(line["id"], line)
    assert by_csv.ids == tuple(expected)
    assert by_csv.table["cost"].tolist() == [line["cost"] for line in expected.values()]
    assert by_csv.rows_read == len(lines)


@settings(deadline=None)
@given(st.lists(st.floats(0, 1), min_size=2, max_size=6))
def test_a_mean_stays_among_its_values(
    tmp_path_factory: pytest.TempPathFactory, values: list[float]
) -> None:
    names = tuple(f"c{number}" for number in range(len(values)))
    line = {"id": "a", **dict(zip(names, values, strict=True))}
    path = write_csv(tmp_path_factory.getbasetemp() / "mean.csv", [line])
    (mean,) = read_records(source(path, care=ColumnMap(columns=names)), (CARE,)).table["care"]
    assert min(values) <= mean <= max(values)
    assert math.isclose(mean, sum(values) / len(values), abs_tol=1e-15)


def test_a_mean_of_missing_values_is_missing(tmp_path: Path) -> None:
    maps = {"care": ColumnMap(columns=("A", "B"), values={"No phone": "no", "?": ""})}
    records = read_csv(tmp_path, "id,A,B\n1,Yes,\n2,No phone,TRUE\n3,?,1\n", (CARE,), **maps)
    assert np.isnan(records.table["care"]).tolist() == [True, False, True]
    assert records.table["care"][1] == 0.5
    strict = CARE.model_copy(update={"optional": False})
    assert said(read_csv(tmp_path, "id,A,B\n1,Yes,\n2,0,1\n", (strict,), **maps)) == [
        "customers.csv line 2, column B: expected a number from 0 to 1, found nothing"
    ]


def test_words_are_mapped_in_every_format(tmp_path: Path) -> None:
    maps = {"paid": ColumnMap(column="p", values={"true": False, "7": True, "": "no"})}
    lines: list[Line] = [{"id": "a", "p": True}, {"id": "b", "p": None}, {"id": "c", "p": False}]
    for path in (
        write_jsonl(tmp_path / "t.jsonl", lines),
        write_parquet(tmp_path / "t.parquet", lines),
    ):
        assert read_records(source(path, **maps), (PAID,)).table["paid"].tolist() == [0, 0, 0]
    records = read_csv(tmp_path, "id,p\na,true\nb,7\nc, 7 \nd,TRUE\n", (PAID,), **maps)
    assert records.table["paid"].tolist() == [0, 1, 1, 1]


def test_an_optional_field_needs_no_column(tmp_path: Path) -> None:
    records = read_csv(tmp_path, "id,term,cost,paid\na,year,1,no\n")
    assert math.isnan(records.table["care"][0])
    assert records.table["note"].tolist() == [""]


def test_a_map_may_list_fields_of_other_schemas(tmp_path: Path) -> None:
    maps = {"paid": ColumnMap(column="p"), "churned": ColumnMap(column="nowhere")}
    assert read_csv(tmp_path, "id,p\na,1\n", (PAID,), **maps).ids == ("a",)


def test_other_encodings_and_delimiters(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes("id^note\na^café €\n".encode("cp1252"))
    chosen = TableSource(path=path, id="id", encoding="cp1252", delimiter="^")
    assert read_records(chosen, (NOTE,)).table["note"].tolist() == ["café €"]
    path.write_bytes("id\tnote\na\té\n".encode("utf-16"))
    chosen = TableSource(path=path, id="id", encoding="utf-16")
    assert read_records(chosen, (NOTE,)).table["note"].tolist() == ["é"]


def test_the_delimiter_is_the_one_that_shows_the_columns(tmp_path: Path) -> None:
    text = "id;cost, net, in EUR;paid\na;1;yes\n"
    records = read_csv(tmp_path, text, (COST, PAID), cost=ColumnMap(column="cost, net, in EUR"))
    assert records.table["cost"].tolist() == [1.0]


# Bad rows: named, and the good ones go on.


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        ("b,year,abc,no,,", ", column cost: expected a number from -5 to 200, found 'abc'"),
        ('b,year,"1,234.50",no,,', ", column cost: expected a number from -5 to 200, found '1,2"),
        ("b,year,€ 20,no,,", ", column cost: expected a number from -5 to 200, found '€ 20'"),
        ("b,year,20 %,no,,", ", column cost: expected a number from -5 to 200, found '20 %'"),
        ("b,year,nan,no,,", ", column cost: expected a number from -5 to 200, found 'nan'"),
        ("b,year,,no,,", ", column cost: expected a number from -5 to 200, found nothing"),
        ("b,year,201,no,,", ", column cost: expected a number from -5 to 200, found '201'"),
        ("b,weekly,1,no,,", ", column term: expected one of month, year, found 'weekly'"),
        ("b,year,1,maybe,,", ", column paid: expected yes or no, found 'maybe'"),
        ("b,year,1,no,nan,", ", column care: expected a number from 0 to 1, found 'nan'"),
        (" ,year,1,no,,", ", column id: expected a record id, found nothing"),
        ("g,month,2,yes,,", ", column id: expected each record id once, found it again; line 2"),
        (" g ,month,2,yes,,", ", column id: expected each record id once, found it again; line 2"),
        ("b,year,1,no", ": expected 6 cells, found 4"),
        ("b,year,1,no,,,", ": expected 6 cells, found 7"),
        ('b,year,1,no,,"a"b', ": expected quotes around whole cells only: "),
        ('b,"ye\nar",1,no,,', ", column term: expected one of month, year, found 'ye\\nar'"),
        ("b,year,1,no,," + "x" * 200_000, ": expected cells of up to 131072 characters, found"),
        ("b,year,1," + "x" * 131_072 + ",,", ", column paid: expected yes or no, found 'xxx"),
    ],
)
def test_a_bad_row_is_named_and_the_good_go_on(tmp_path: Path, row: str, problem: str) -> None:
    records = read_csv(tmp_path, f"{HEADER}\n{GOOD}\n\n{row}\nlast,month,2,1,0.5,\n")
    assert records.ids == ("g", "last")
    assert records.table["cost"].tolist() == [1.0, 2.0]
    assert records.rows_read == 3
    (found,) = said(records)
    assert found.startswith(f"customers.csv line 4{problem}")
    assert len(found) < 250


def test_line_numbers_count_quoted_line_ends(tmp_path: Path) -> None:
    text = f'{HEADER}\r\n"a",year,1,no,,"1\r\n2\n3"\r\n\r\nb,year,x,no,,"\n"\r\nc,year,x,no,,\r\n'
    assert [problem.line for problem in read_csv(tmp_path, text).problems] == [6, 8]


def test_an_unclosed_quote_says_what_it_swallowed(tmp_path: Path) -> None:
    text = f'{HEADER}\n{GOOD}\nb,year,1,no,,"oops\nc,year,1,no,,\n'
    assert said(read_csv(tmp_path, text)) == [
        "customers.csv line 3: expected quotes around whole cells only, found lines 3 to 4 run"
        " together: unexpected end of data"
    ]
    text += 'd,year,1,no,,"x"\ne,year,1,no,,\n'
    assert read_csv(tmp_path, text).ids == ("g", "e")


def test_every_problem_of_a_row_is_named(tmp_path: Path) -> None:
    records = read_csv(tmp_path, f"{HEADER}\n{GOOD}\n,weekly,x,maybe,2,\n")
    assert " ".join(problem.column for problem in records.problems) == "id term cost paid care"
    assert records.problems[2] == Problem(
        "customers.csv", 3, "cost", "x", "expected a number from -5 to 200, found 'x'"
    )


def test_the_first_good_row_of_an_id_is_kept(tmp_path: Path) -> None:
    records = read_csv(tmp_path, f"{HEADER}\na,year,x,no,,\na,year,2,no,,\na,year,3,no,,\n")
    assert records.ids == ("a",)
    assert records.table["cost"].tolist() == [2.0]
    assert [problem.line for problem in records.problems] == [2, 4]


@settings(deadline=None)
@given(st.lists(st.sampled_from(["a", "b", "c", " a", ""]), max_size=12))
def test_no_record_counts_twice(tmp_path_factory: pytest.TempPathFactory, ids: list[str]) -> None:
    rows = "".join(f'"{record_id}",year,1,no,,\n' for record_id in ["z", *ids])
    records = read_csv(tmp_path_factory.getbasetemp(), f"{HEADER}\n{rows}")
    assert records.ids == tuple(dict.fromkeys(["z", *(i.strip() for i in ids if i)]))
    assert len(records.ids) + len(records.problems) == records.rows_read == len(ids) + 1


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("{oops", ": expected a JSON object, found broken JSON: "),
        ('{"id": "b", "paid": tru', ": expected a JSON object, found broken JSON: "),
        ("[1]", ": expected a JSON object, found a list"),
        ("1", ": expected a JSON object, found a int"),
        ('{"id": "b", "paid": 1, "paid": 0}', ": expected a JSON object: a key stands twice"),
        ('{"id": ' + "[" * 100_000, ": expected a JSON object, found "),
        ('{"id": ' + "1" * 5000 + "}", ": expected a JSON object: "),
        ('{"id": "\\ud800", "paid": 1}', ", column id: expected a record id in Unicode"),
        ('{"id": 1.0, "paid": 1}', ", column id: expected text or a whole number, found a float"),
        ('{"id": true, "paid": 1}', ", column id: expected text or a whole number, found a bool"),
        ('{"id": ["b"], "paid": 1}', ", column id: expected text or a whole number, found a list"),
        ('{"id": null, "paid": 1}', ", column id: expected a record id, found nothing"),
        ('{"paid": 1}', ", column id: expected a record id, found nothing"),
        ('{"id": 7, "paid": 1}', ", column id: expected each record id once"),
        ('{"id": "b"}', ", column paid: expected yes or no, found nothing"),
        ('{"id": "b", "paid": NaN}', ", column paid: expected yes or no, found nothing"),
        ('{"id": "b", "paid": {"x": 1}}', ", column paid: expected yes or no, found a dict"),
        ('{"id": "b", "paid": "\\udfff"}', ", column paid: expected yes or no, found what cannot"),
        ('{"id": "b", "paid": 1, "care": Infinity}', ", column care: expected a number from 0 to"),
        ('{"id": "b", "paid": "' + "x" * 131_073 + '"}', ", column paid: expected up to 131072"),
    ],
)
def test_a_bad_json_line_is_named(tmp_path: Path, line: str, problem: str) -> None:
    path = tmp_path / "t.jsonl"
    path.write_text(f'\ufeff{{"id": "7", "paid": 0}}\n\n{line}\n{{"id": 12, "paid": true}}\n')
    records = read_records(source(path), (PAID, CARE))
    assert records.ids == ("7", "12")
    (found,) = said(records)
    assert found.startswith(f"t.jsonl line 3{problem}")
    found.encode()
    json.dumps([problem.value for problem in records.problems], ensure_ascii=False).encode()


def test_parquet_types(tmp_path: Path) -> None:
    table = pa.table(
        {
            "id": pa.array([Decimal("0012"), Decimal(13), Decimal(14)], pa.decimal128(9, 0)),
            "term": pa.array(["year", "month", "weekly"]).dictionary_encode(),
            "cost": pa.array([1.25, None, math.nan], pa.float32()),
            "a.b": pa.array([1, 0, 2], pa.int8()),
            "a": pa.array([{"b": 1}] * 3),
            "note": pa.array([b"x", b"y", b"z"]),
        }
    )
    path = tmp_path / "t.PARQUET"
    pq.write_table(table, path, row_group_size=2)
    records = read_records(source(path, paid=ColumnMap(column="a.b")), (TERM, COST, PAID))
    assert records.ids == ("12",)
    assert records.table["cost"].tolist() == [1.25]
    assert [one.partition("; values")[0] for one in said(records)] == [
        "t.PARQUET row 2, column cost: expected a number from -5 to 200, found nothing",
        "t.PARQUET row 3, column term: expected one of month, year, found 'weekly'",
        "t.PARQUET row 3, column cost: expected a number from -5 to 200, found nothing",
        "t.PARQUET row 3, column a.b: expected yes or no, found '2'",
    ]
    assert "column note: expected text, found a bytes" in refusal(
        read_records, source(path), (NOTE,)
    )


# Tables that cannot be used at all.


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "expected a table, found an empty file"),
        ("\n\n", "expected a row of column names, found none"),
        ("\ufeff", "expected a row of column names, found none"),
        (f"{HEADER}\r\n", "expected rows below the column names, found none"),
        (f"{HEADER},cost\n{GOOD},1\n", "2 columns are named 'cost'"),
        (f"{HEADER}, cost \n{GOOD},1\n", "2 columns are named 'cost'"),
        ("id,term,cst,paid\na,year,1,no\n", "'cost' for field cost; did you mean 'cst'?"),
        ("id,term,cst,paid\na,year,1,no\n", "its columns are 'id', 'term', 'cst', 'paid'"),
        ("ID,term,cost,paid\na,year,1,no\n", "no column 'id' for the record id; did you mean"),
        (f"{HEADER}\n{GOOD}\nb,year,1,no,,\xff".encode("latin-1"), "line 3: expected text in utf"),
        (f"{HEADER}\n{GOOD}\n".encode("utf-16"), "found the byte order mark of utf-16"),
        (f"{HEADER}\n{GOOD}\n".encode() * 9999 + b"\xff", "line 19999: expected text in utf-8"),
    ],
)
def test_an_unusable_csv_is_refused(tmp_path: Path, text: str | bytes, message: str) -> None:
    assert message in refusal(read_csv, tmp_path, text)


def test_unnamed_columns_are_no_duplicates(tmp_path: Path) -> None:
    assert read_csv(tmp_path, f"{HEADER},,\n{GOOD},,\n").ids == ("g",)


def test_a_mapped_column_must_exist_even_for_an_optional_field(tmp_path: Path) -> None:
    maps = {"note": ColumnMap(column="Remraks")}
    message = refusal(read_csv, tmp_path, f"{HEADER},Remarks\n{GOOD},x\n", SCHEMA, **maps)
    assert "no column 'Remraks' for field note; did you mean 'Remarks'?" in message


def test_a_misspelt_field_of_the_map_is_named(tmp_path: Path) -> None:
    maps = {"notes": ColumnMap(column="x")}
    message = refusal(read_csv, tmp_path, f"{HEADER},x\n{GOOD},x\n", SCHEMA, **maps)
    assert "no field 'notes' in this schema; did you mean 'note'?" in message


def test_a_table_without_one_good_row_shows_a_problem_of_each_column(tmp_path: Path) -> None:
    text = f"{HEADER}\n" + "a,year,x,no,,\n" * 6 + "b,decade,1,maybe,,\n"
    message = refusal(read_csv, tmp_path, text)
    assert "none of 7 rows can be used" in message
    told = [line.split(": ")[0] for line in message.splitlines()[1:]]
    assert told == [
        "  customers.csv line 2, column cost",
        "  customers.csv line 8, column term",
        "  customers.csv line 8, column paid",
    ]


@pytest.mark.parametrize("kind", ["number", "flag"])
def test_only_a_number_can_be_a_mean(tmp_path: Path, kind: str) -> None:
    field = Field.model_validate({"name": "x", "kind": kind})
    maps = {"x": ColumnMap(columns=("A", "B"))}
    text = "id,A,B\n1,1,0\n"
    if kind == "number":
        assert read_csv(tmp_path, text, (field,), **maps).table["x"].tolist() == [0.5]
    else:
        message = refusal(read_csv, tmp_path, text, (field,), **maps)
        assert "only a number can be the mean" in message


def test_a_map_onto_no_canonical_value_is_refused(tmp_path: Path) -> None:
    maps = {"term": ColumnMap(column="term", values={"M": "mnth"})}
    message = refusal(read_csv, tmp_path, f"{HEADER}\n{GOOD}\n", SCHEMA, **maps)
    assert "'M' is mapped to: term: expected one of month, year, found 'mnth'" in message


def test_missing_files_folders_and_strange_names(tmp_path: Path) -> None:
    for name, message in (
        ("none.csv", "found no such file"),
        ("folder.csv", "cannot read the table: Is a directory"),
        ("table.xlsx", "expected a file named .csv or"),
        ("x" * 300 + ".csv", "cannot read the table"),
        ("a\0b.csv", "cannot read the table"),
    ):
        (tmp_path / "folder.csv").mkdir(exist_ok=True)
        path = tmp_path / name
        bad = TableSource.model_construct(path=path, id="id", columns={})
        assert message in refusal(read_records, bad, SCHEMA)


def test_broken_jsonl_as_a_whole(tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    path.write_text('[\n  {"id": 1,\n "paid": 1}\n]\n')
    message = refusal(read_records, source(path), (PAID,))
    assert "none of 4 rows can be used" in message
    assert "t.jsonl line 1: expected a JSON object" in message
    path.write_text('{"id": 1, "Paid": 1}\n{"id": 2, "x": 1}\n')
    message = refusal(read_records, source(path), (PAID,))
    assert "did you mean 'Paid'?" in message
    assert "its columns are 'id', 'Paid', 'x'" in message
    path.write_text("\n")
    assert "found none" in refusal(read_records, source(path), (PAID,))
    path.write_bytes(b'{"id": 1, "paid": 1}\n{"id": "\xff", "paid": 1}\n')
    assert "t.jsonl line 2: expected text in utf-8" in refusal(read_records, source(path), (PAID,))


@pytest.fixture(scope="module")
def sound_parquet() -> bytes:
    sink = pa.BufferOutputStream()
    rows = range(50)
    table = pa.table({"id": [str(row) for row in rows], "note": [f"é{row}" for row in rows]})
    pq.write_table(table, sink)
    return bytes(sink.getvalue())


@settings(deadline=None)
@given(data=st.data())
def test_a_damaged_parquet_gives_records_or_a_data_error(
    tmp_path_factory: pytest.TempPathFactory, sound_parquet: bytes, data: st.DataObject
) -> None:
    damaged = bytearray(sound_parquet)
    for place in data.draw(st.lists(st.integers(0, len(damaged) - 1), max_size=6)):
        damaged[place] = data.draw(st.integers(0, 255))
    length = data.draw(st.integers(1, len(damaged)) | st.just(len(damaged)))
    path = tmp_path_factory.getbasetemp() / "damaged.parquet"
    path.write_bytes(damaged[:length])
    try:
        records = read_records(source(path), (NOTE,))
    except DataError:
        assert bytes(damaged[:length]) != sound_parquet
    else:
        assert len(set(records.ids)) == len(records.ids)


def test_parquet_without_rows_or_with_twin_columns(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    pq.write_table(
        pa.table({"id": pa.array([], pa.string()), "paid": pa.array([], pa.int8())}), path
    )
    assert "found none" in refusal(read_records, source(path), (PAID,))
    twins = pa.Table.from_arrays([pa.array(["1"])] * 3, names=["id", "paid", "paid"])
    pq.write_table(twins, path)
    assert "2 columns are named 'paid'" in refusal(read_records, source(path), (PAID,))
    path.write_text("id,paid\n1,1\n")
    assert "expected a sound Parquet file" in refusal(read_records, source(path), (PAID,))


@settings(deadline=None)
@given(st.binary(max_size=80) | st.text('id,\n\r"; éab{}[]:1', max_size=60).map(str.encode))
def test_any_bytes_give_records_or_a_data_error(
    tmp_path_factory: pytest.TempPathFactory, raw: bytes
) -> None:
    for name in ("any.csv", "any.jsonl", "any.parquet"):
        path = tmp_path_factory.getbasetemp() / name
        path.write_bytes(b"id,note\n" + raw if name == "any.csv" else raw)
        try:
            records = read_records(source(path), (NOTE,))
        except DataError:
            continue
        assert 0 < len(records.ids) <= records.rows_read


# Settings.


def test_a_source_is_read_from_toml(tmp_path: Path) -> None:
    (tmp_path / "client.toml").write_text(
        'path = "t.csv"\nid = " No "\n[columns]\n'
        'term = {column = "Contract", values = {M = "month"}}\n'
        'care = {columns = ["A", "B"], values = {Yes = 1, No = 0, "No internet" = 0}}\n'
    )
    (tmp_path / "t.csv").write_text("No,Contract,A,B\n7,M,Yes,No internet\n")
    records = read_records(load_toml(tmp_path / "client.toml", TableSource), (TERM, CARE))
    assert records.ids == ("7",)
    assert records.table["care"].tolist() == [0.5]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("columns.x = {}", "'x' in [columns] of s.toml: expected exactly one of column and"),
        ('columns.x = {column = "a", columns = ["b"]}', "expected exactly one of column and"),
        ('columns.x = {colunm = "a"}', "did you mean 'column'?"),
        ('columns.x = {column = " "}', "'column' in [columns.x] of s.toml: "),
        ('encoding = "utf-9"', "expected a text encoding such as utf-8 or cp1252, found 'utf-9'"),
        ('encoding = "hex"', "expected a text encoding"),
        ('delimiter = "::"', "expected one character such as , or ;, found '::'"),
        ("delimiter = '\"'", "expected one character such as"),
    ],
)
def test_a_bad_source_is_named(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "s.toml").write_text(f'path = "t.csv"\nid = "id"\n{text}\n')
    with pytest.raises(ConfigError) as caught:
        load_toml(tmp_path / "s.toml", TableSource)
    assert message in str(caught.value)


def test_a_column_map_needs_a_column() -> None:
    with pytest.raises(ValidationError):
        ColumnMap()


# The report, the cap, and what is not kept.


def test_the_report_tells_what_was_read(tmp_path: Path) -> None:
    text = f"{HEADER}\na,year,1,no,0.5,\nb,year,9,yes,,x\nc,weekly,x,yes,,\n"
    report = data_report(read_csv(tmp_path, text), SCHEMA)
    assert (report.rows_read, report.kept, report.left_out, report.problems) == (3, 2, 1, 2)
    assert report.public_cap == 64
    term, cost, paid, care, note = report.fields
    assert term.counts == {"month": 0, "year": 2}
    assert (cost.low, cost.high, cost.present, cost.columns) == (1.0, 9.0, 1.0, ("cost",))
    assert paid.counts == {"no": 1, "yes": 1}
    assert (care.low, care.high, care.present) == (0.5, 0.5, 0.5)
    assert (note.present, note.low, note.counts) == (0.5, None, {})
    assert type(report).model_validate_json(report.model_dump_json()) == report


def test_the_report_of_a_field_that_nobody_has(tmp_path: Path) -> None:
    (care,) = data_report(read_csv(tmp_path, "id\na\n", (CARE,)), (CARE,)).fields
    assert (care.present, care.low, care.high) == (0.0, None, None)


@pytest.mark.parametrize(
    ("rows", "cap"),
    [(0, 64), (64, 64), (65, 256), (256, 256), (257, 512), (1024, 1024), (1025, 2048)],
)
def test_public_caps(rows: int, cap: int) -> None:
    assert public_cap(rows) == cap


@settings(deadline=None)
@given(st.integers(1, 10**9))
def test_a_cap_is_the_smallest_step_that_holds_the_rows(rows: int) -> None:
    steps = [64, *(2**power for power in range(8, 31))]
    assert public_cap(rows) == min(step for step in steps if step >= rows)


def test_cells_of_other_columns_are_not_kept(tmp_path: Path) -> None:
    path = tmp_path / "wide.csv"
    rows = "".join(f"{number},1,{'x' * 5000}{number}\n" for number in range(2000))
    path.write_text(f"id,paid,contact\n{rows}")
    read_records(source(path), (PAID,))
    tracemalloc.start()
    try:
        read_records(source(path), (PAID,))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < path.stat().st_size / 10


def test_pyarrow_is_loaded_only_for_parquet(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "t.csv", [{"id": "a", "paid": 1}])
    code = (
        "import sys; from pathlib import Path; from mesh_fl.client.data import *;"
        "from mesh_fl.schema import Field;"
        f"read_records(TableSource(path=Path({str(path)!r}), id='id'),"
        " (Field(name='paid', kind='flag'),));"
        "sys.exit(bool({'pyarrow', 'torch', 'flwr', 'pandas'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_line_that_names_the_delimiter_is_no_header(tmp_path: Path) -> None:
    for line in ("sep=,", "SEP=;"):
        assert read_csv(tmp_path, f"{line}\n{HEADER}\n{GOOD}\n").rows_read == 1


def test_rows_that_end_with_a_delimiter_are_told_what_to_do(tmp_path: Path) -> None:
    (problem,) = read_csv(tmp_path, f"{HEADER}\n{GOOD}\nb,year,1,no,,,\n").problems
    assert str(problem).endswith("; where rows end with a delimiter, column names have to")


@pytest.mark.parametrize(
    ("start", "encoding", "message"),
    [
        ("\ufeff".encode(), "cp1252", "the byte order mark of utf-8: leave encoding out"),
        (b"\xff\xfe", "utf-8", 'the byte order mark of utf-16: set encoding = "utf-16"'),
    ],
)
def test_a_byte_order_mark_tells_the_encoding(
    tmp_path: Path, start: bytes, encoding: str, message: str
) -> None:
    (tmp_path / "t.csv").write_bytes(start + f"{HEADER}\n{GOOD}\n".encode(encoding))
    source = TableSource(path=tmp_path / "t.csv", id="id", encoding=encoding)
    with pytest.raises(DataError, match=message):
        read_records(source, SCHEMA)


def test_sheets_have_to_be_saved_as_csv(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"save the sheet as CSV \(UTF-8\)"):
        read_records(TableSource(path=tmp_path / "t.xlsx", id="id"), SCHEMA)
