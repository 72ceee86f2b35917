"""The run folder: what is written is read again, whatever a kill leaves behind, and only by one run at a time."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from harness.errors import ConfigurationError, UsageError
from harness.estimate.interval import Estimate, Interval
from harness.record import (
    SCHEMA,
    Failure,
    LineageStep,
    Measurement,
    ProcessReading,
    Quality,
    Record,
    SkipReason,
    Variant,
)
from harness.run_folder import RecordLog, create_run_folder, read_environment, read_records

finite = st.floats(allow_nan=False, allow_infinity=False)
share = st.floats(0, 1)
count = st.integers(0, 2**63)
text = st.text(st.characters(codec="utf-8"), max_size=12)
nanoseconds = st.lists(count, max_size=4).map(tuple)
interval = st.builds(Interval, p50=finite, lo90=finite, hi90=finite)
steps = st.builds(LineageStep, name=text, plugin=text, format=text, seconds=finite, notes=st.lists(text).map(tuple))
variants = st.builds(
    Variant, format=text, sha256=text, int8_macs_share=share, lineage=st.lists(steps, max_size=2).map(tuple)
)
readings = st.builds(ProcessReading)
measurements = st.builds(
    Measurement,
    latency_ns=nanoseconds,
    rounds=nanoseconds,
    warmup_ns=nanoseconds,
    group=text,
    processes=st.lists(readings, max_size=2).map(tuple),
)
estimates = st.builds(
    Estimate,
    latency_ms=interval,
    peak_memory_bytes=interval,
    energy_mj=st.none() | interval,
    energy_above_idle_mj=st.none() | interval,
    basis=text,
    reasons=st.lists(text, max_size=2).map(tuple),
    unmodelled=st.lists(text, max_size=2).map(tuple),
    accelerator=text,
)
qualities = st.builds(
    Quality,
    metric=text,
    value=st.none() | share,
    lo95=st.none() | share,
    hi95=st.none() | share,
    agreement=st.none() | share,
    reference=text,
    data=text,
    note=text,
    max_abs_error=st.none() | finite,
)
failures = st.builds(
    Failure,
    stage=text,
    plugin=text,
    error=text,
    hint=text,
    reason=st.sampled_from(["", *(r.name for r in SkipReason)]),
)
records = st.builds(
    Record,
    schema=st.just(SCHEMA),
    run=text,
    cell=text,
    model=text,
    recipe=text,
    backend=text,
    backend_options=st.dictionaries(text, st.none() | st.booleans() | st.integers() | finite | text, max_size=3),
    profile=text,
    variant=st.none() | variants,
    measurement=st.none() | measurements,
    estimate=st.none() | estimates,
    quality=st.none() | qualities,
    failure=st.none() | failures,
    versions=st.dictionaries(text, text, max_size=2),
)


def record(cell: str = "cell", **more: object) -> Record:
    blank = Record(
        schema=SCHEMA, run="r", cell=cell, model="m", recipe="baseline", backend="b", backend_options={},
        profile="rpi4", outcome="failed",
    )  # fmt: skip
    return replace(blank, **more)  # type: ignore[arg-type]


def log(folder: Path, *items: Record) -> Path:
    with RecordLog(folder) as opened:
        for item in items:
            opened.append(item)
    return folder / "records.jsonl"


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], max_examples=60)
@given(st.lists(records, min_size=1, max_size=2))
def test_a_record_is_read_as_it_was_written(tmp_path: Path, written: list[Record]) -> None:
    (tmp_path / "records.jsonl").unlink(missing_ok=True)
    path = log(tmp_path, *written)
    assert read_records(tmp_path) == tuple(written)
    for line in path.read_bytes().splitlines():
        json.loads(line, parse_constant=lambda constant: pytest.fail(f"{constant} is not JSON"))


def test_a_record_is_one_line_of_plain_json(tmp_path: Path) -> None:
    path = log(tmp_path, record(model="two\nlines × é"))
    assert path.read_bytes().count(b"\n") == 1
    assert json.loads(path.read_bytes())["model"] == "two\nlines × é"


def test_what_was_appended_later_comes_later(tmp_path: Path) -> None:
    log(tmp_path, record("1"), record("2"))
    log(tmp_path, record("3"))
    assert [r.cell for r in read_records(tmp_path)] == ["1", "2", "3"]


def test_a_last_line_torn_at_any_byte_loses_that_line_alone(tmp_path: Path) -> None:
    path = log(tmp_path, record("1"), record("2"))
    whole = path.read_bytes()
    second = whole.index(b"\n") + 1
    for end in range(second, len(whole)):
        path.write_bytes(whole[:end])
        assert [r.cell for r in read_records(tmp_path)] == ["1"]
        log(tmp_path, record("3"))
        assert [r.cell for r in read_records(tmp_path)] == ["1", "3"]
        assert path.read_bytes().startswith(whole[:second])


def test_a_file_torn_in_its_first_line_is_an_empty_run(tmp_path: Path) -> None:
    path = log(tmp_path, record("1"))
    path.write_bytes(path.read_bytes()[:10])
    assert read_records(tmp_path) == ()
    log(tmp_path)
    assert path.read_bytes() == b""


def test_a_run_that_another_process_writes_is_refused(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from harness.run_folder import RecordLog\n"
        "with RecordLog(Path(sys.argv[1])):\n print('held', flush=True); sys.stdin.read()"
    )
    holder = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(UsageError, match="being written by another run"):
            RecordLog(tmp_path)
        holder.kill()
    log(tmp_path, record("1"))
    assert [r.cell for r in read_records(tmp_path)] == ["1"]


def test_reading_does_not_wait_for_a_run_that_writes(tmp_path: Path) -> None:
    with RecordLog(tmp_path) as opened:
        opened.append(record("1"))
        assert [r.cell for r in read_records(tmp_path)] == ["1"]


def test_a_line_of_another_schema_is_refused_with_its_number(tmp_path: Path) -> None:
    log(tmp_path, record("1"), record("2", schema=SCHEMA + 1))
    with pytest.raises(ConfigurationError) as caught:
        read_records(tmp_path)
    assert f"line 2: schema {SCHEMA + 1}, this bench reads {SCHEMA}" in caught.value.message
    assert "another version of bench" in caught.value.hint


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (b"nonsense", "line 2 is not a record"),
        (b"[1, 2]", "line 2 is not a record"),
        (b'"text"', "line 2 is not a record"),
        (b"\xff\xfe", "line 2 is not a record"),
        (b"", "line 2 is not a record"),
        (b"{}", "line 2: schema None"),
        (b'{"schema": 1}', "line 2: run"),
        (b'{"schema": 1, "run": 5}', "line 2: run = '5'"),
    ],
)
def test_a_line_that_is_no_record_is_named_with_its_number_and_advice(tmp_path: Path, line: bytes, said: str) -> None:
    path = log(tmp_path, record("1"))
    path.write_bytes(path.read_bytes() + line + b"\n")
    with pytest.raises(ConfigurationError) as caught:
        read_records(tmp_path)
    assert str(path) in caught.value.message
    assert said in caught.value.message
    assert caught.value.hint


def test_an_outcome_that_nobody_knows_is_refused(tmp_path: Path) -> None:
    log(tmp_path, record(outcome="perhaps"))
    with pytest.raises(ConfigurationError, match="outcome = 'perhaps'"):
        read_records(tmp_path)


def test_a_folder_without_a_run_says_what_to_give(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"no records.jsonl.*runs/"):
        read_records(tmp_path)


def test_a_new_run_folder_holds_plan_and_environment_and_nothing_half_written(tmp_path: Path) -> None:
    folder = tmp_path / "a" / "b"
    create_run_folder(folder, "threads = 2\n", {"cores": 2})
    assert sorted(p.name for p in folder.iterdir()) == ["environment.json", "plan.toml"]
    assert read_environment(folder) == {"cores": 2}


def test_a_folder_that_holds_a_run_is_not_written_over(tmp_path: Path) -> None:
    create_run_folder(tmp_path, "threads = 2\n", {})
    log(tmp_path, record())
    with pytest.raises(UsageError, match="--resume"):
        create_run_folder(tmp_path, "threads = 4\n", {})
    assert (tmp_path / "plan.toml").read_text(encoding="utf-8") == "threads = 2\n"


def test_a_folder_that_cannot_be_made_is_one_message(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(UsageError, match=r"cannot be written.*--out"):
        create_run_folder(tmp_path / "file" / "run", "", {})


def test_records_that_cannot_be_opened_are_one_message(tmp_path: Path) -> None:
    (tmp_path / "records.jsonl").mkdir()
    with pytest.raises(UsageError, match=r"cannot be written.*--out"):
        RecordLog(tmp_path)


def test_a_missing_environment_is_empty_and_a_broken_one_is_named(tmp_path: Path) -> None:
    assert read_environment(tmp_path) == {}
    (tmp_path / "environment.json").write_text("{", encoding="utf-8")
    with pytest.raises(ConfigurationError, match=r"environment\.json is not JSON"):
        read_environment(tmp_path)
