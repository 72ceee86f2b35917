"""CSV and Parquet: types, empty places, and texts that a spreadsheet would run."""

from __future__ import annotations

import csv
import io

import pandas as pd
import pytest

from harness.export.column import Column
from harness.export.flat import COLUMNS, flat_rows
from harness.export.samples import SAMPLE_COLUMNS, sample_rows
from harness.export.table_file import as_csv, write_parquet

TEXT = Column(name="x", type="text", kind="run", meaning="", read=lambda line: line)
PANDAS = {"integer": "int64", "real": "float64", "flag": "bool", "time": "datetime64[us]"}


def read(text):
    return list(csv.DictReader(io.StringIO(text)))


def test_csv_leaves_empty_what_is_missing_and_says_times_in_utc(stored):
    first, *_, last = read(as_csv(COLUMNS, flat_rows(stored)))
    assert first["time_utc"] == "2026-01-01T12:00:00Z"
    assert first["estimated_in_domain"] == "false"
    assert first["failure_error"] == ""
    assert float(last["estimated_latency_p50_ms"]) == 2.0


def test_csv_and_parquet_say_the_same(stored, tmp_path):
    lines = flat_rows(stored)
    write_parquet(COLUMNS, lines, tmp_path / "x.parquet")
    left, right = pd.read_csv(io.StringIO(as_csv(COLUMNS, lines))), pd.read_parquet(tmp_path / "x.parquet")
    for column in COLUMNS:
        if column.type in ("integer", "real"):
            pd.testing.assert_series_equal(left[column.name], right[column.name], check_dtype=False)


def test_parquet_opens_in_pandas_with_the_types_of_the_columns(stored, tmp_path):
    lines = [line for line in flat_rows(stored) if line["cell"] == "c2"]
    write_parquet(COLUMNS, lines, tmp_path / "x.parquet")
    found = pd.read_parquet(tmp_path / "x.parquet")
    assert list(found.columns) == [c.name for c in COLUMNS]
    filled = [c for c in COLUMNS if lines[0][c.name] is not None and c.type != "text"]
    assert {c.name: str(found[c.name].dtype) for c in filled} == {c.name: PANDAS[c.type] for c in filled}


def test_parquet_keeps_the_types_of_columns_that_are_empty(stored, tmp_path):
    import pyarrow.parquet

    write_parquet(COLUMNS, [], tmp_path / "x.parquet")
    arrow = {"text": "string", "time": "timestamp[us]", "integer": "int64", "real": "double", "flag": "bool"}
    schema = pyarrow.parquet.read_schema(tmp_path / "x.parquet")
    assert [str(schema.field(c.name).type) for c in COLUMNS] == [arrow[c.type] for c in COLUMNS]


def test_samples_open_in_pandas(stored, tmp_path):
    write_parquet(SAMPLE_COLUMNS, sample_rows(stored), tmp_path / "x.parquet")
    found = pd.read_parquet(tmp_path / "x.parquet")
    assert found[~found.warmup].groupby("recipe").measured_latency_ns.count().to_dict() == {
        "baseline": 120, "round": 120, "same": 120,
    }  # fmt: skip


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\n", "＝"])
def test_a_text_that_a_spreadsheet_would_run_gets_an_apostrophe_in_csv(start):
    (line,) = csv.reader(io.StringIO(as_csv([TEXT], [{"x": f"{start}1+1"}]).removeprefix("x\n"), newline=""))
    assert line == [f"'{start}1+1"]


def test_line_breaks_in_csv_are_of_one_kind_and_a_line_stays_a_record():
    text = as_csv([TEXT], [{"x": "\r1+1"}, {"x": "a\r\nb\rc"}])
    assert list(csv.reader(io.StringIO(text, newline=""))) == [["x"], ["'\n1+1"], ["a\nb\nc"]]


def test_a_negative_number_gets_none(stored):
    number = Column(name="x", type="real", kind="scored", meaning="", read=lambda line: line)
    assert as_csv([number], [{"x": -0.5}]) == "x\n-0.5\n"


@pytest.mark.parametrize("text", ["=1+1", 'two\nlines, "quoted"', "ü × 日本", "', x: 'y'"])
def test_parquet_keeps_a_text_as_it_is(text, tmp_path):
    write_parquet([TEXT], [{"x": text}], tmp_path / "x.parquet")
    assert pd.read_parquet(tmp_path / "x.parquet").x.tolist() == [text]
