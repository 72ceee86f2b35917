"""Published rows: which are admitted, and what is made of a line of the table."""

from __future__ import annotations

import csv
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.estimate.published import (
    AGAINST,
    CALIBRATED_SETS,
    FAMILY_OF,
    MOST_THREADS,
    READ,
    PublishedData,
    PublishedRow,
    model_family,
    published_data,
    published_folder,
    table_rows,
)
from harness.profile_file import builtin_folder

LINE = {
    "source_id": "made-up", "device_id": "rk3399", "soc": "RK3399", "threads": "2", "framework": "ncnn",
    "framework_version_or_date": "2024-01-15", "model": "squeezenet_v1.1", "precision": "fp32", "latency_ms": "50",
    "exec_unit": "cpu",
}  # fmt: skip
Read = Callable[..., tuple[PublishedRow, ...]]


@pytest.fixture(scope="module")
def data() -> PublishedData:
    return published_data()


@pytest.fixture
def read(tmp_path: Path) -> Read:
    """Rows of a table of lines that differ from `LINE`."""
    with (published_folder() / "measurements.csv").open(encoding="utf-8", newline="") as file:
        columns = next(csv.reader(file))

    def call(*lines: dict[str, str]) -> tuple[PublishedRow, ...]:
        folder = tmp_path / "published"
        (folder / "workloads").mkdir(parents=True)
        (folder / "devices").mkdir()
        shutil.copy(builtin_folder() / "rk3399.toml", tmp_path)
        for name in ("ncnn-squeezenet_v1.1", "tf-mobilenet_v2_1.0_224", "ncnn-squeezenet_ssd_300"):
            shutil.copy(published_folder() / "workloads" / f"{name}.json", folder / "workloads")
        with (folder / "measurements.csv").open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, columns, restval="")
            writer.writeheader()
            writer.writerows({**LINE, **line} for line in lines)
        return published_data(folder).rows

    return call


# --- the table that ships


def test_every_row_has_a_profile_and_a_graph(data: PublishedData) -> None:
    assert len(data.rows) > 2500
    for row in data.rows:
        assert data.profiles[row.device].soc in {row.soc, ""}
        assert data.graph_of(row).operators
        assert row.latency_ms > 0


def test_every_family_of_rows_is_one_that_is_named(data: PublishedData) -> None:
    assert {row.family for row in data.rows} <= {family for family, _ in FAMILY_OF.values()}


def test_rows_with_something_against_them_are_in_the_table_and_left_out(data: PublishedData) -> None:
    flags = {flag for line in table_rows(published_folder()) for flag in AGAINST if flag in line["flag"]}
    assert flags == set(AGAINST), "a flag that nothing bears"
    doubted = sum(any(flag in line["flag"] for flag in AGAINST) for line in table_rows(published_folder()))
    assert doubted > 100
    assert len(data.rows) <= sum(1 for _ in table_rows(published_folder())) - doubted


@pytest.mark.parametrize("precision", ["fp32", "fp16", "int8"])
def test_what_calibrates_is_of_the_instruction_sets_that_are_modelled_and_of_few_threads(
    data: PublishedData, precision: str
) -> None:
    for family in {family for family, _ in FAMILY_OF.values()}:
        for row in data.calibrating(family, precision):
            assert (row.family, row.precision) == (family, precision)
            assert data.profiles[row.device].isa in CALIBRATED_SETS
            assert (row.threads or 1) <= MOST_THREADS


def test_the_cores_that_calibrate_are_of_64_bits(data: PublishedData) -> None:
    rows = data.calibrating("ncnn", "fp32")
    assert {data.profiles[row.device].isa for row in rows} == {"aarch64"}
    assert {"armv7a", "riscv64"} & {data.profiles[row.device].isa for row in data.rows}


def test_networks_with_a_detection_head_do_not_calibrate_while_enough_others_do(data: PublishedData) -> None:
    assert any(row.detection for row in data.rows if row.family == "ncnn")
    assert not any(row.detection for row in data.calibrating("ncnn", "fp32"))


def test_one_processor_is_held_out_together_whatever_board_it_is_on(data: PublishedData) -> None:
    boards: dict[str, set[str]] = {}
    for row in data.rows:
        boards.setdefault(row.soc, set()).add(row.device)
    assert any(len(devices) > 1 for devices in boards.values())


def test_a_run_is_of_one_device_family_and_number_of_threads(data: PublishedData) -> None:
    seen: dict[str, tuple[object, ...]] = {}
    for row in data.rows:
        conditions = (row.device, row.family, row.threads, row.cluster)
        assert seen.setdefault(row.run, conditions) == conditions


# --- one line


def test_a_line_becomes_a_row(read: Read) -> None:
    (row,) = read({})
    assert (row.device, row.soc, row.family, row.precision, row.model) == (
        "rk3399", "rk3399", "ncnn", "fp32", "squeezenet_v1.1",
    )  # fmt: skip
    assert (row.threads, row.cluster, row.latency_ms, row.date) == (2, "", 50.0, "2024-01-15")


@pytest.mark.parametrize("flag", AGAINST)
def test_a_flag_against_a_line_leaves_it_out(read: Read, flag: str) -> None:
    assert len(read({}, {"flag": f"something|{flag}"}, {"flag": f"{flag}:because"})) == 1


@pytest.mark.parametrize(
    "wrong",
    [
        {"device_id": "abacus"}, {"model": "nobody_knows"}, {"latency_ms": ""}, {"exec_unit": "npu"},
        {"framework": "tflite"}, {"framework": "sorcery"},
    ],
    ids=lambda wrong: next(iter(wrong)),
)  # fmt: skip
def test_a_line_without_profile_graph_time_or_kernels_is_left_out(read: Read, wrong: dict[str, str]) -> None:
    assert read(wrong) == ()


def test_a_noisy_line_counts_with_its_shortest_time(read: Read) -> None:
    (row,) = read({"latency_ms": "70", "latency_min_ms": "48", "flag": "noisy:avg>1.25*min"})
    assert row.latency_ms == 48


def test_little_cores_are_the_last_cluster_of_the_profile(read: Read) -> None:
    little, big, every = read({"affinity": "little"}, {"affinity": "big"}, {"affinity": "all"})
    assert [row.cluster for row in (little, big, every)].count("") == 2
    (named,) = {row.cluster for row in (little, big, every)} - {""}
    assert named == "little"


def test_a_stated_clock_is_that_of_the_cores_that_ran_it(read: Read, tmp_path: Path) -> None:
    fast, slow = read({"clock_ghz_stated": "1.1", "affinity": "big"}, {"clock_ghz_stated": "0.9", "affinity": "little"})
    if fast.cluster:
        fast, slow = slow, fast
    found = published_data(tmp_path / "published")
    big, little = sorted(found.profile_of(fast).clusters, key=lambda c: c.name)
    assert (big.clock.value, little.clock.value) == (1.1, found.profiles["rk3399"].clusters[-1].clock.value)
    big, little = sorted(found.profile_of(slow).clusters, key=lambda c: c.name)
    assert (big.clock.value, little.clock.value) == (found.profiles["rk3399"].big.clock.value, 0.9)
    assert found.profile_of(fast, as_stated=False) == found.profiles["rk3399"]


def test_kernels_that_a_source_does_not_name_are_known_from_its_date(read: Read) -> None:
    (row,) = read({"framework": "tflite", "source_id": "tflite-hosted", "model": "mobilenet_v2_1.0_224"})
    assert row.family == "tflite-ruy"


def test_threads_that_a_source_does_not_state_are_those_of_its_tool_or_all(read: Read) -> None:
    tool, other = read(
        {"framework": "tflite", "source_id": "coral-benchmarks", "model": "mobilenet_v2_1.0_224", "threads": ""},
        {"threads": ""},
    )
    assert {tool.threads, other.threads} == {1, None}


def test_threads_builds_and_cores_are_runs_of_their_own(read: Read) -> None:
    rows = read({}, {"threads": "1"}, {"framework_version_or_date": "2020-01-01"}, {"affinity": "little"}, {})
    assert len(rows) == 5
    assert len({row.run for row in rows}) == 4


def test_rows_come_in_an_order_of_their_own(read: Read) -> None:
    lines = [{"latency_ms": str(ms), "threads": threads} for ms in (9, 100, 20) for threads in ("2", "1")]
    assert [(row.threads, row.latency_ms) for row in read(*lines)] == [
        (1, 9.0), (1, 20.0), (1, 100.0), (2, 9.0), (2, 20.0), (2, 100.0),
    ]  # fmt: skip


def test_without_three_model_families_heads_are_admitted(read: Read, tmp_path: Path) -> None:
    read({}, {"model": "squeezenet_ssd_300"})
    assert len(published_data(tmp_path / "published").calibrating("ncnn", "fp32")) == 2


def test_the_newest_date_stands_for_several_rows(read: Read, tmp_path: Path) -> None:
    rows = read({}, {"framework_version_or_date": "v1 of 2021-06"}, {"framework_version_or_date": "v1"})
    data = published_data(tmp_path / "published")
    assert data.date_of(rows) == "2024-01-15"
    assert data.date_of([row for row in rows if not row.date]) == READ


@pytest.mark.parametrize(
    ("model", "family"),
    [
        ("mobilenet_v1_0.25_128", "mobilenet_v1"), ("mobilenet_v1_ssd_300", "mobilenet_v1"),
        ("nanodet_m_320", "shufflenet_v2"), ("squeezenet_v1.1", "squeezenet"), ("squeezenet_ssd_300", "squeezenet"),
        ("efficientnet_lite0", "efficientnet_lite"), ("alexnet_227", "alexnet_227"),
    ],
)  # fmt: skip
def test_networks_of_one_architecture_are_one_family(model: str, family: str) -> None:
    assert model_family(model) == family
