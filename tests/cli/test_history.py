"""`bench history`: the runs there are, a cell followed through them, and questions in SQL."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.measure.statistics import ratio, summarise
from harness.run_folder import read_records

GALLERY = Path(__file__).parents[2] / "reports" / "techniques" / "har-watch" / "timed"


def rows(done) -> list[dict]:
    assert done.exit_code == 0, done.stderr
    return json.loads(done.stdout)["rows"]


@pytest.fixture
def runs(tmp_path) -> Path:
    return tmp_path / "runs"


@pytest.fixture
def make(runs) -> Callable[..., Path]:
    """Copy a run that was really made, at another time, as if the machine were so many times slower."""

    def copy(name: str, day: int, *, slower: float = 1.0, change: Callable[[dict], object] = id, **facts) -> Path:
        folder = shutil.copytree(GALLERY, runs / name)
        path = folder / "records.jsonl"
        lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        for line in lines:
            line["run"] = name
            line["measurement"]["group"] += name
            line["measurement"]["latency_ns"] = [round(ns * slower) for ns in line["measurement"]["latency_ns"]]
            change(line)
        path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
        environment = json.loads((folder / "environment.json").read_text(encoding="utf-8"))
        environment |= {"time": f"2026-01-{day:02}T12:00:00+00:00", **facts}
        (folder / "environment.json").write_text(json.dumps(environment), encoding="utf-8")
        return folder

    return copy


def one_process(line: dict) -> None:
    timed = line["measurement"]
    timed["processes"] = timed["processes"][:1]
    for name, count in (("latency_ns", "samples"), ("rounds", "samples"), ("warmup_ns", "warmup")):
        timed[name] = timed[name][: timed["processes"][0][count]]


@pytest.fixture(scope="module")
def within() -> float:
    """A change that the interval of the followed cell covers, whatever run the gallery holds."""
    found = (r for r in read_records(GALLERY) if (r.recipe, r.backend) == ("int8-static", "onnxruntime"))
    summary = summarise(next(found).measurement)
    return 1 + (summary.hi95_ns / summary.median_ns - 1) / 4


@pytest.fixture
def follow(invoke, runs) -> Callable[..., list[dict]]:
    """Points of one cell."""

    def points(recipe: str = "int8-static") -> list[dict]:
        done = invoke("history", runs, "--recipe", recipe, "--backend", "onnxruntime", "--json")
        assert done.exit_code == 0, done.stderr
        (course,) = json.loads(done.stdout)["courses"]
        return course["points"]

    return points


# --- the runs there are


def test_runs_are_listed_with_the_oldest_first(invoke, make, runs):
    make("new", 9)
    make("old", 2)
    listed = json.loads(invoke("history", runs, "--json").stdout)["runs"]
    assert [run["folder"] for run in listed] == [str(runs / "old"), str(runs / "new")]
    assert listed[0]["time_utc"] == "2026-01-02T12:00:00Z"
    assert listed[0]["measured"] == len(read_records(runs / "old"))
    assert (listed[0]["profiles"], listed[0]["bench"]) == ("rpi4", "0.1.0")


def test_noise_is_the_median_spread_between_processes(invoke, make, runs):
    from statistics import median

    folder = make("a", 1)
    spreads = [summarise(record.measurement).between_process_sd for record in read_records(folder)]
    (run,) = json.loads(invoke("history", runs, "--json").stdout)["runs"]
    assert run["noise"] == pytest.approx(median(spreads))


def test_runs_stand_in_runs_when_no_folder_is_given(invoke, make, monkeypatch, tmp_path):
    make("a", 1)
    monkeypatch.chdir(tmp_path)
    assert "runs/a" in invoke("history").stdout


def test_runs_are_found_below_a_folder_and_a_run_is_one_itself(invoke, make, runs, tmp_path):
    folder = make("a", 1)
    deep = tmp_path / "project" / "results" / "rpi4"
    deep.mkdir(parents=True)
    shutil.copytree(folder, deep / "b")
    listed = json.loads(invoke("history", tmp_path / "project", folder, folder, "--json").stdout)["runs"]
    assert {run["folder"] for run in listed} == {str(deep / "b"), str(folder)}


def test_what_all_runs_have_alike_is_said_once(invoke, make, runs):
    make("a", 1)
    make("b", 2)
    told = invoke("history", runs, columns=160).stdout
    assert told.count("AMD EPYC") == 1
    assert "All: " in told


def test_a_torn_last_line_is_left_out(invoke, make, runs):
    path = make("a", 1) / "records.jsonl"
    whole = path.read_bytes()
    path.write_bytes(whole[:-100])
    (run,) = json.loads(invoke("history", runs, "--json").stdout)["runs"]
    assert run["measured"] == whole.count(b"\n") - 1


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("records.jsonl", '{"schema": 99}\n', "schema 99"),
        ("records.jsonl", "no json\n", "line 1 is not a record"),
        ("records.jsonl", '{"torn', "no record is finished"),
        ("environment.json", "{", "is not JSON"),
    ],
)
def test_a_folder_that_cannot_be_read_is_named_and_stops_nothing(invoke, make, runs, name, content, told):
    make("good", 1)
    (make("bad", 2) / name).write_text(content, encoding="utf-8")
    done = invoke("history", runs, "--json")
    found = json.loads(done.stdout)
    assert done.exit_code == 0
    assert [run["folder"] for run in found["runs"]] == [str(runs / "good")]
    assert [unread["folder"] for unread in found["unread"]] == [str(runs / "bad")]
    assert told in found["unread"][0]["problem"]
    assert f"Left out {runs / 'bad'}" in done.stderr


def test_an_environment_that_is_no_mapping_is_an_unknown_machine(invoke, make, runs):
    (make("a", 1) / "environment.json").write_text("[1]", encoding="utf-8")
    assert "a machine that is not named" in invoke("history", runs, columns=200).stdout
    assert invoke("history", runs, "--since", "2026-01-01").exit_code == 2


def test_a_place_without_runs_is_said_with_what_to_do(invoke, tmp_path):
    for place, told in ((tmp_path / "nowhere", "no folder"), (tmp_path, "no run in")):
        done = invoke("history", place)
        assert done.exit_code == 2
        assert told in done.stderr


def test_only_runs_since_a_date_are_taken(invoke, make, runs):
    make("a", 1)
    make("b", 5)
    listed = json.loads(invoke("history", runs, "--since", "2026-01-05", "--json").stdout)["runs"]
    assert [run["folder"] for run in listed] == [str(runs / "b")]
    done = invoke("history", runs, "--since", "2026-02-01")
    assert done.exit_code == 2
    assert "since 2026-02-01" in done.stderr


def test_names_from_a_record_cannot_steer_the_terminal(invoke, make, runs):
    make("a", 1, change=lambda line: line.update(model="\x1b[2Jnet\nwork"), cpu="\x1b]0;title\x07")
    for extra in ([], ["--recipe", "baseline"], ["--sql", "select model, cpu from records"]):
        told = invoke("history", runs, *extra)
        assert told.exit_code == 0
        assert "\x1b" not in told.stdout + told.stderr


# --- a cell from run to run


def test_a_cell_is_followed_with_the_numbers_of_the_report(make, follow):
    folder = make("a", 1)
    records = {(r.recipe, r.backend): r for r in read_records(folder)}
    here, base = (records[recipe, "onnxruntime"].measurement for recipe in ("int8-static", "baseline"))
    (point,) = follow()
    assert point["change"] is None
    assert point["record"]["measured_latency_median_ns"] == round(summarise(here).median_ns)
    assert point["record"]["measured_ratio"] == ratio(base, here).ratio


def test_a_change_beyond_the_interval_is_marked(make, follow, within):
    for name, day, slower in (("a", 1, 1.0), ("b", 2, within), ("c", 3, 1.6), ("d", 4, 0.7)):
        make(name, day, slower=slower)
    assert [p["change"] and p["change"]["verdict"] for p in follow()] == [
        None, "no difference shown", "slower", "faster",
    ]  # fmt: skip


def test_the_ratio_to_the_baseline_stays_where_the_whole_machine_is_slower(make, follow):
    make("a", 1)
    make("b", 2, slower=1.6)
    first, second = follow()
    assert second["record"]["measured_ratio"] == pytest.approx(first["record"]["measured_ratio"], rel=1e-3)


def test_a_run_of_one_process_is_not_compared_and_later_ones_are_with_the_run_before_it(
    invoke, make, follow, runs, within
):
    make("a", 1)
    make("b", 2, slower=3, change=one_process)
    make("c", 3, slower=within)
    assert [p["change"] and p["change"]["verdict"] for p in follow()] == [None, None, "no difference shown"]
    assert "one process" in " ".join(invoke("history", runs, "--recipe", "int8-static", columns=200).stdout.split())


def test_another_machine_is_another_course(invoke, make, runs):
    make("a", 1)
    make("b", 2, slower=2, cpu="Cortex-A72", cores=4)
    done = invoke("history", runs, "--recipe", "baseline", "--backend", "onnxruntime", "--json")
    found = json.loads(done.stdout)["courses"]
    assert [(c["cpu"], c["cores"], len(c["points"])) for c in found] == [("AMD EPYC", 2, 1), ("Cortex-A72", 4, 1)]


def test_another_file_and_other_versions_are_told(make, follow):
    def later(line: dict) -> None:
        line["variant"]["sha256"] = "ff" * 32
        line["versions"] = {"onnxruntime": "9.0"}

    make("a", 1)
    make("b", 2, change=later, bench="0.2.0")
    differences = follow()[1]["change"]["differences"]
    assert differences[0] == "another file"
    assert differences[1].endswith("→ 9.0")
    assert differences[2] == "bench 0.1.0 → 0.2.0"


def test_other_threads_are_told_and_latencies_not_compared(make, follow):
    make("a", 1)
    make("b", 2, slower=2, change=lambda line: line["measurement"].update(threads=4))
    change = follow()[1]["change"]
    assert (change["verdict"], change["differences"]) == (None, ["threads 2 → 4"])


def test_a_cell_that_failed_later_is_shown_and_the_next_is_compared_with_the_one_before(invoke, make, follow, runs):
    failure = {"stage": "open", "plugin": "p", "error": "it broke", "hint": ""}
    make("a", 1)
    make("b", 2, change=lambda line: line.update(outcome="failed", failure=failure))
    make("c", 3, slower=1.6)
    points = follow()
    assert [p["record"]["outcome"] for p in points] == ["measured", "failed", "measured"]
    assert points[2]["change"]["verdict"] == "slower"
    assert "failed" in invoke("history", runs, "--recipe", "int8-static").stdout


def test_a_measurement_that_two_profiles_share_is_one_point(make, follow, runs):
    path = make("a", 1) / "records.jsonl"
    text = path.read_text(encoding="utf-8")
    lines = [json.loads(line) for line in text.splitlines()]
    twice = [{**line, "profile": "rpi5", "cell": line["cell"][::-1]} for line in lines]
    path.write_text(text + "".join(json.dumps(line) + "\n" for line in twice), encoding="utf-8")
    assert len(follow()) == 1


def test_a_pattern_and_the_beginning_of_an_identity_choose_cells(invoke, make, runs):
    records = read_records(make("a", 1))
    done = invoke("history", runs, "--recipe", "prune-*", "--json")
    chosen = {(c["recipe"], c["backend"]) for c in json.loads(done.stdout)["courses"]}
    assert chosen == {(r.recipe, r.backend) for r in records if r.recipe.startswith("prune-")}
    done = invoke("history", runs, "--cell", records[0].cell[:8], "--json")
    assert [c["recipe"] for c in json.loads(done.stdout)["courses"]] == [records[0].recipe]
    assert invoke("history", runs, "--recipe", "no-such").stdout.strip() == "none"


# --- questions


def test_a_question_is_answered_over_the_columns_of_an_export(invoke, make, runs):
    from harness.export.flat import COLUMNS

    make("a", 1)
    found = rows(invoke("history", runs, "--json", "--sql", "DESCRIBE records"))
    assert [row["column_name"] for row in found] == [c.name for c in COLUMNS]


def test_an_answer_is_a_table(invoke, make, runs):
    make("a", 1)
    done = invoke("history", runs, "--sql", "SELECT recipe, measured_ratio, NULL AS gone FROM records LIMIT 1")
    assert done.stdout.split()[:3] == ["recipe", "measured_ratio", "gone"]
    assert done.stdout.split()[-1] == "–"


def test_an_answer_is_json_whatever_it_holds(invoke, make, runs):
    make("a", 1)
    question = "SELECT 'nan'::DOUBLE AS a, [time_utc] AS b, {'c': 1} AS c, 1::DECIMAL(3,1) AS d FROM records LIMIT 1"
    (row,) = rows(invoke("history", runs, "--json", "--sql", question))
    assert row == {"a": None, "b": ["2026-01-01T12:00:00Z"], "c": {"c": 1}, "d": "1.0"}


@pytest.mark.parametrize(
    "question",
    [
        "SELECT * FROM read_text('{file}')",
        "SELECT * FROM read_csv('{file}')",
        "SELECT * FROM '{file}'",
        "SELECT * FROM glob('/*')",
        "SELECT * FROM read_csv('https://example.org/x.csv')",
        "COPY records TO '{file}'",
        "COPY (SELECT 1) TO '{file}'",
        "ATTACH '{file}' AS other",
        "EXPORT DATABASE '{file}'",
        "INSTALL httpfs",
        "SET enable_external_access = true",
        "DROP TABLE records",
        "DELETE FROM records",
        "UPDATE records SET model = 'x'",
        "CREATE TABLE x AS SELECT 1",
        "SELECT 1; DROP TABLE records",
        "SELECT * FROM records_; SELECT 1",
        "SELECT * FROM folders",
        "SELEC 1",
        "SELECT no_such FROM records",
        "",
        "-- nothing",
    ],
)
def test_a_question_reaches_no_file_and_changes_nothing(invoke, make, runs, tmp_path, question):
    make("a", 1)
    secret = tmp_path / "secret.csv"
    secret.write_text("a\nsecret\n", encoding="utf-8")
    done = invoke("history", runs, "--sql", question.format(file=secret))
    assert done.exit_code == 2, done.stdout
    assert "secret\n" not in done.stdout + done.stderr
    assert "DESCRIBE records" in done.stderr
    assert "Traceback" not in done.stderr
    assert secret.read_text(encoding="utf-8") == "a\nsecret\n"


def test_what_chooses_a_cell_narrows_a_question(invoke, make, runs):
    make("a", 1)
    found = rows(
        invoke("history", runs, "--recipe", "baseline", "--json", "--sql", "SELECT DISTINCT recipe FROM records")
    )
    assert found == [{"recipe": "baseline"}]


def test_a_missing_library_is_named_with_what_installs_it(invoke, make, runs, monkeypatch):
    make("a", 1)
    monkeypatch.setitem(sys.modules, "duckdb", None)
    done = invoke("history", runs)
    assert done.exit_code == 2
    assert "pip install 'edge-bench[report]'" in done.stderr
