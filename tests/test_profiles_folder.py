"""The profiles that ship, and their README."""

from __future__ import annotations

import csv
import re
import tomllib
from typing import TYPE_CHECKING, Any

import pytest

from harness.profile_file import DATE, builtin_folder, key_table, load_profile, load_profiles

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PUBLISHED = builtin_folder() / "published"
DEVICES = PUBLISHED / "devices"
FILES = sorted([*builtin_folder().glob("*.toml"), *DEVICES.glob("*.toml")])
MICROCONTROLLERS = {"stm32-nucleo-l4r5zi", "stm32-nucleo-h7a3zi-q", "stm32-nucleo-u575zi-q"}
SAYS_NOTHING = re.compile(r"\b(unknown|unsure|tbd|todo|various|n/a|see above|internet)\b", re.IGNORECASE)


WRITTEN = frozenset({"calibrations"})
"""Tables that `bench` writes: one source and one date for all of a table, units in the README."""


def numbers(node: Any, where: str = "") -> Iterator[tuple[str, Any]]:
    """Every bare number, and every table that holds a `value`."""
    if isinstance(node, dict):
        if "value" in node:
            yield where, node
            return
        for key, value in node.items():
            if key not in WRITTEN:
                yield from numbers(value, f"{where}.{key}")
    elif isinstance(node, list):
        for index, value in enumerate(node):
            yield from numbers(value, f"{where}.{index}")
    elif isinstance(node, int | float) and not isinstance(node, bool):
        yield where, node


def test_the_promised_devices_are_there() -> None:
    assert set(load_profiles([builtin_folder()])) >= MICROCONTROLLERS | {
        "rpi4", "rpi5", "rpi-zero-2w", "rpi3b-plus", "coral-dev-board", "coral-usb", "rk3399", "rk3588",
        "jetson-nano", "jetson-orin-nano", "jetson-agx-xavier", "pixel3", "pixel4",
    }  # fmt: skip


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.stem)
def test_a_file_is_named_as_its_profile(path: Path) -> None:
    assert load_profile(path).name == path.stem


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.stem)
def test_every_number_has_unit_source_and_date(path: Path) -> None:
    found = list(numbers(tomllib.loads(path.read_text(encoding="utf-8"))))
    assert found
    for where, number in found:
        assert isinstance(number, dict), f"{where} is a bare number"
        assert number["unit"], where
        assert len(number["source"]) > 10, where
        assert DATE.match(number["date"]), where


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.stem)
def test_every_calibration_has_source_and_date(path: Path) -> None:
    lines = (PUBLISHED / "sources.csv").read_text(encoding="utf-8").splitlines()
    sources = {line["source_id"] for line in csv.DictReader(lines)}
    for each in load_profile(path).calibrations:
        assert set(each.source.split("; ")) <= sources
        assert DATE.match(each.date), each
        assert 0 < each.models <= each.rows


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.stem)
def test_a_source_names_something_that_can_be_opened(path: Path) -> None:
    for where, number in numbers(tomllib.loads(path.read_text(encoding="utf-8"))):
        if isinstance(number, dict):
            source = number["source"]
            assert source == source.strip(), where
            assert not SAYS_NOTHING.search(source), where


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.stem)
def test_a_number_that_nobody_published_says_what_it_was_taken_from(path: Path) -> None:
    for where, number in numbers(tomllib.loads(path.read_text(encoding="utf-8"))):
        if isinstance(number, dict) and number["source"].startswith("assumed"):
            assert number["source"].startswith("assumed: "), where
            assert len(number["source"]) > 20, where


def test_the_readme_lists_every_key_with_its_unit() -> None:
    readme = (builtin_folder() / "README.md").read_text(encoding="utf-8")
    assert key_table() in readme, "paste the output of harness.profile.key_table() into profiles/README.md"


def test_cores_without_half_precision_say_so() -> None:
    known = load_profiles([builtin_folder(), DEVICES])
    for profile in known.values():
        assert (profile.big.fp16.value > 0) == ("asimdhp" in profile.isa_flags)


def test_accelerators_are_optional_only_where_they_have_to_be_attached() -> None:
    known = load_profiles([builtin_folder()])
    assert [a.optional for a in known["coral-dev-board"].accelerators] == [False]
    assert [a.optional for a in known["rpi4"].accelerators] == [True]
    assert [a.optional for a in known["coral-usb"].accelerators] == [False]
    assert known["rpi-zero-2w"].accelerators == ()


def test_the_same_stick_has_the_same_facts_at_every_host() -> None:
    known = load_profiles([builtin_folder()])
    sticks = [a.facts for profile in known.values() for a in profile.accelerators if a.name == "coral-usb"]
    assert len(sticks) > 1
    assert all(facts == sticks[0] for facts in sticks)


def test_only_microcontrollers_have_flash_and_all_of_them() -> None:
    known = load_profiles([builtin_folder(), DEVICES])
    assert {name for name, profile in known.items() if profile.memory.flash is not None} == MICROCONTROLLERS
    assert {name for name, profile in known.items() if profile.isa == "armv7m"} == MICROCONTROLLERS


def test_big_and_little_cores_are_clusters_with_names_of_their_own() -> None:
    known = load_profiles([builtin_folder()])
    assert [c.name for c in known["rk3399"].clusters] == ["big", "little"]
    assert [c.name for c in known["pixel4"].clusters] == ["prime", "big", "little"]
    for profile in load_profiles([builtin_folder(), DEVICES]).values():
        assert len({c.name for c in profile.clusters}) == len(profile.clusters)


def test_every_64_bit_arm_device_names_the_kernels_of_every_runtime_and_the_same_ones() -> None:
    tables = {name: dict(each.kernels) for name, each in load_profiles([builtin_folder()]).items()}
    arm = [tables[name] for name, each in load_profiles([builtin_folder()]).items() if each.isa == "aarch64"]
    assert all(table == arm[0] for table in arm)
    assert arm[0] == {
        "litert": "tflite-xnnpack", "executorch": "tflite-xnnpack", "onnxruntime": "mlas", "openvino": "armnn",
        "torch": "torch", "tract": "tract",
    }  # fmt: skip


def test_a_microcontroller_names_no_kernels_since_no_runtime_here_runs_there() -> None:
    known = load_profiles([builtin_folder()])
    assert all(not known[name].kernels for name in MICROCONTROLLERS)


def test_calibration_devices_are_no_profiles() -> None:
    profiles, devices = load_profiles([builtin_folder()]), load_profiles([DEVICES])
    assert devices
    assert not set(profiles) & set(devices)


# --- published measurements


def rows(name: str) -> list[dict[str, str]]:
    with (PUBLISHED / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_every_row_has_a_source_and_every_source_a_row() -> None:
    sources = [row["source_id"] for row in rows("sources.csv")]
    assert len(sources) == len(set(sources))
    assert set(sources) == {row["source_id"] for row in rows("measurements.csv")}


def test_a_source_says_where_it_is_and_under_which_licence() -> None:
    for row in rows("sources.csv"):
        assert row["title"].strip(), row
        assert row["url_or_repo_path_commit"].strip(), row
        assert row["licence"].strip(), row


def test_every_calibration_device_has_rows_that_it_calibrates() -> None:
    measured = {row["device_id"].replace(".", "-") for row in rows("measurements.csv")}
    assert set(load_profiles([DEVICES])) <= measured


def test_what_runs_on_other_processors_is_not_kept() -> None:
    assert {row["exec_unit"] for row in rows("measurements.csv")} == {"cpu", "edgetpu", "npu"}


def test_a_latency_is_a_positive_time_between_its_extremes() -> None:
    for row in rows("measurements.csv"):
        latency = float(row["latency_ms"]) if row["latency_ms"] else None
        assert latency is None or latency > 0, row
        for key, sign in (("latency_min_ms", 1), ("latency_max_ms", -1)):
            if latency is not None and row[key]:
                assert sign * (latency - float(row[key])) >= -0.01 * latency, row


def test_the_readme_explains_every_column() -> None:
    readme = (PUBLISHED / "README.md").read_text(encoding="utf-8")
    for column in rows("measurements.csv")[0]:
        assert f"`{column}`" in readme, column


def test_the_readme_explains_every_flag() -> None:
    readme = (PUBLISHED / "README.md").read_text(encoding="utf-8")
    flags = {flag for row in rows("measurements.csv") for flag in row["flag"].split("|") if flag}
    for flag in flags:
        assert re.split(r"[:>(]", flag)[0].strip() in readme, flag
