"""The profiles that ship, and their README."""

from __future__ import annotations

import tomllib
from typing import TYPE_CHECKING, Any

import pytest

from harness.profile_file import DATE, builtin_folder, key_table, load_profile, load_profiles

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

FILES = sorted(builtin_folder().glob("*.toml"))


def numbers(node: Any, where: str = "") -> Iterator[tuple[str, Any]]:
    """Every bare number, and every table that holds a `value`."""
    if isinstance(node, dict):
        if "value" in node:
            yield where, node
            return
        for key, value in node.items():
            yield from numbers(value, f"{where}.{key}")
    elif isinstance(node, list):
        for index, value in enumerate(node):
            yield from numbers(value, f"{where}.{index}")
    elif isinstance(node, int | float) and not isinstance(node, bool):
        yield where, node


def test_the_promised_devices_are_there() -> None:
    assert set(load_profiles([builtin_folder()])) >= {"rpi4", "rpi5", "rpi-zero-2w", "coral-dev-board"}


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


def test_the_readme_lists_every_key_with_its_unit() -> None:
    readme = (builtin_folder() / "README.md").read_text(encoding="utf-8")
    assert key_table() in readme, "paste the output of harness.profile.key_table() into profiles/README.md"


def test_cores_without_half_precision_say_so() -> None:
    known = load_profiles([builtin_folder()])
    for profile in known.values():
        assert (profile.big.fp16.value > 0) == ("asimdhp" in profile.isa_flags)


def test_accelerators_are_optional_only_where_they_have_to_be_attached() -> None:
    known = load_profiles([builtin_folder()])
    assert [a.optional for a in known["coral-dev-board"].accelerators] == [False]
    assert [a.optional for a in known["rpi4"].accelerators] == [True]
    assert known["rpi-zero-2w"].accelerators == ()
