"""Profiles: what is read, what is refused, and what this machine says of itself."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from harness.errors import ConfigurationError, UnknownNameError
from harness.profile import DeviceProfile, accelerator_facts
from harness.profile_file import builtin_folder, detect_host, load_profile, load_profiles, resolve_profile

if TYPE_CHECKING:
    from pathlib import Path

RPI4 = builtin_folder() / "rpi4.toml"


@pytest.fixture(scope="module")
def text() -> str:
    return RPI4.read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def host() -> DeviceProfile:
    return detect_host()


def refused(tmp_path: Path, text: str) -> str:
    path = tmp_path / "mine.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigurationError) as caught:
        load_profile(path)
    assert "mine.toml" in str(caught.value)
    return str(caught.value)


def test_a_profile_is_read_with_its_numbers_and_their_origin() -> None:
    profile = load_profile(RPI4)
    assert profile.big.core == "Cortex-A72"
    assert profile.memory.memcpy.unit == "GB/s"
    assert profile.memory.memcpy.source
    assert 3 * 2**30 < profile.available_bytes < 4 * 2**30


@pytest.mark.parametrize("missing", ["unit", "source", "date"])
def test_a_number_without_its_origin_is_refused(tmp_path: Path, text: str, missing: str) -> None:
    broken = re.sub(rf"(memcpy = .*?){missing} = \"[^\"]*\",? ?", r"\1", text, count=1).replace(", }", " }")
    message = refused(tmp_path, broken)
    assert f"memory.memcpy.{missing}" in message
    assert "missing" in message


def test_a_bare_number_is_refused_with_the_form_that_is_allowed(tmp_path: Path, text: str) -> None:
    message = refused(tmp_path, re.sub(r"^memcpy = .*$", "memcpy = 2.33", text, flags=re.MULTILINE))
    assert "memory.memcpy is 2.33" in message
    assert "source =" in message


def test_another_unit_is_refused_and_the_allowed_one_named(tmp_path: Path, text: str) -> None:
    message = refused(tmp_path, re.sub(r"(memcpy = .*)GB/s", r"\1MB/s", text))
    assert "memory.memcpy.unit is 'MB/s', allowed is 'GB/s'" in message


@pytest.mark.parametrize(
    ("key", "old", "new"),
    [
        ("memory.memcpy.value", "value = 2.33", "value = 0"),
        ("memory.memcpy.value", "value = 2.33", "value = -1"),
        ("memory.memcpy.value", "value = 2.33", 'value = "fast"'),
        ("memory.memcpy.value", "value = 2.33", "value = nan"),
        ("memory.memcpy.value", "value = 2.33", "value = true"),
        ("memory.total.date", 'the 4 GB model", date = "read 2026-11"', 'the 4 GB model", date = "lately"'),
        ("memory.total.source", '"assumed: the 4 GB model"', '" "'),
        ("clusters.0.count.value", "{ value = 4, unit", "{ value = 4.5, unit"),
        ("isa", 'isa = "aarch64"', 'isa = "mips"'),
        ("name", 'name = "rpi4"', 'name = "host"'),
        ("name", 'name = "rpi4"', 'name = "Rpi 4"'),
    ],
)
def test_a_value_that_makes_no_sense_is_refused_by_key(tmp_path: Path, text: str, key: str, old: str, new: str) -> None:
    assert old in text
    message = refused(tmp_path, text.replace(old, new, 1))
    assert f"{key} is" in message
    assert "llow" in message or "nput should" in message


def with_kernels(text: str, lines: str) -> str:
    """The profile with another table of kernels."""
    found, count = re.subn(r"^\[kernels\]\n(.+\n)+", f"[kernels]\n{lines}\n", text, flags=re.MULTILINE)
    assert count == 1
    return found


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("swift = 5", "kernels.swift is 5"),
        ('swift = ""', "kernels.swift is ''"),
        ('swift = "Quick Kernels"', "kernels.swift is 'Quick Kernels'"),
        ("swift = []", "kernels.swift is []"),
        ('"Swift Runtime" = "quick"', "kernels has the key 'Swift Runtime'"),
    ],
)
def test_kernels_that_are_no_name_are_refused_with_what_is_allowed(
    tmp_path: Path, text: str, line: str, said: str
) -> None:
    message = refused(tmp_path, with_kernels(text, line))
    assert said in message
    assert "allowed is the name of a" in message


def test_kernels_that_are_no_table_are_refused_with_the_form_that_is_allowed(tmp_path: Path, text: str) -> None:
    message = refused(tmp_path, 'kernels = "quick"\n' + re.sub(r"^\[kernels\]\n(.+\n)+", "", text, flags=re.MULTILINE))
    assert "kernels is 'quick', allowed is a table with a line for each backend" in message


def test_the_profile_has_the_last_word_about_whose_kernels_compute(tmp_path: Path, text: str) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(with_kernels(text, 'swift = "quick"'), encoding="utf-8")
    profile = load_profile(path)
    assert profile.kernel_family("swift", {"aarch64": "slow"}) == "quick"
    assert profile.kernel_family("other", {"aarch64": "slow"}) == "slow"
    assert profile.kernel_family("other", {"x86_64": "slow"}) is None


def test_an_unknown_key_is_refused_with_the_nearest_one(tmp_path: Path, text: str) -> None:
    message = refused(tmp_path, text.replace("memcpy =", "memcopy ="))
    assert "memory.memcopy" in message
    assert "memcpy" in message


def test_a_missing_table_is_named(tmp_path: Path, text: str) -> None:
    assert "isa is missing" in refused(tmp_path, text.replace('isa = "aarch64"\n', ""))


def test_malformed_toml_names_file_and_place(tmp_path: Path) -> None:
    assert "line 1" in refused(tmp_path, "name = \n")


def test_a_file_that_is_not_there_is_one_clear_message(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"nowhere\.toml cannot be read"):
        load_profile(tmp_path / "nowhere.toml")


def test_toml_dates_are_as_good_as_text(tmp_path: Path, text: str) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(text.replace('date = "2022-02-04"', "date = 2022-02-04"), encoding="utf-8")
    assert load_profile(path).memory.memcpy.date == "2022-02-04"


def test_two_files_of_one_name_are_refused_and_both_named(tmp_path: Path, text: str) -> None:
    for name in ("a.toml", "b.toml"):
        (tmp_path / name).write_text(text, encoding="utf-8")
    with pytest.raises(ConfigurationError, match=r"b\.toml and .*a\.toml"):
        load_profiles([tmp_path])


def test_a_name_a_path_and_a_near_miss_resolve(tmp_path: Path, text: str) -> None:
    known = load_profiles([builtin_folder()])
    path = tmp_path / "mine.toml"
    path.write_text(text.replace('name = "rpi4"', 'name = "mine"'), encoding="utf-8")
    assert resolve_profile("rpi4", known).name == "rpi4"
    assert resolve_profile(str(path), known).name == "mine"
    with pytest.raises(UnknownNameError, match="rpi4"):
        resolve_profile("rpi-4", known)


def test_facts_come_in_the_units_that_backends_expect() -> None:
    (coral,) = load_profile(RPI4).accelerators
    facts = accelerator_facts(coral)
    assert coral.optional
    assert facts["macs_per_s"] == pytest.approx(1.13e12)
    assert facts["link_bytes_per_s"] == pytest.approx(496e6)
    assert facts["cache_bytes"] == pytest.approx(6.0e6)
    assert set(facts) == {
        "peak_macs_per_s", "t0_ms", "macs_per_s", "link_bytes_per_s", "cache_bytes", "power_w",
    }  # fmt: skip


def test_this_machine_is_described_and_says_how_it_knows(host: DeviceProfile) -> None:
    assert host.name == "host"
    assert host.power is None
    assert "power" in host.note
    assert host.big.count.value >= 1
    assert host.memory.memcpy.value > 0
    assert host.memory.memcpy.source.startswith("measured here")
    assert host.available_bytes > 0


def test_every_detected_number_carries_a_source_that_says_so(host: DeviceProfile) -> None:
    cluster = host.big
    for quantity in (cluster.count, cluster.clock, cluster.fp32, cluster.int8, host.memory.total, host.memory.reserved):
        assert quantity.source.startswith(("detected", "assumed", "measured here"))
