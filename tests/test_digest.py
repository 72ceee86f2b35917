"""Digests: equal for what is equal, different for what is not, whatever the order of keys and files."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.digest import digest_of, file_sha256, installed_version, source_digest, tree_sha256

text = st.text(st.characters(codec="utf-8"), max_size=5)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(text, inner, max_size=3),
    max_leaves=6,
)


def package(folder: Path, work: str) -> str:
    """Make a package of two modules; return where it starts."""
    (folder / "inner").mkdir(parents=True)
    (folder / "__init__.py").write_text("", encoding="utf-8")
    (folder / "inner" / "work.py").write_text(work, encoding="utf-8")
    return str(folder / "__init__.py")


@given(st.dictionaries(text, values, max_size=5))
def test_the_order_of_keys_does_not_matter(value: dict[str, object]) -> None:
    assert digest_of(value) == digest_of(dict(reversed(value.items())))


@given(values, values)
def test_values_that_differ_have_digests_that_differ(one: object, other: object) -> None:
    same = json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)
    assert (digest_of(one) == digest_of(other)) == same


def test_a_value_that_went_through_json_keeps_its_digest() -> None:
    assert digest_of({"shape": (1, 2), "path": Path("a")}) == digest_of({"shape": [1, 2], "path": "a"})


def test_a_digest_is_the_same_in_every_version_of_this_program() -> None:
    """A change here empties everybody's cache; that is allowed, and should not happen by accident."""
    assert digest_of([1, "é", None, {"b": 0.5, "a": True}]).startswith("a8ba0025ccc0c4e5")


def test_the_digest_of_a_folder_is_of_names_and_bytes(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name / "inner").mkdir(parents=True)
        (tmp_path / name / "inner" / "a.txt").write_text("a", encoding="utf-8")
        (tmp_path / name / "b.txt").write_text("b", encoding="utf-8")
    assert tree_sha256(tmp_path / "one") == tree_sha256(tmp_path / "two")
    (tmp_path / "two" / "b.txt").rename(tmp_path / "two" / "c.txt")
    assert tree_sha256(tmp_path / "one") != tree_sha256(tmp_path / "two")


def test_the_digest_of_one_file_is_of_its_bytes(tmp_path: Path) -> None:
    path = tmp_path / "a.bin"
    path.write_bytes(b"abc")
    assert tree_sha256(path) == file_sha256(path)
    assert file_sha256(path) == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"  # FIPS 180-2, B.1


def test_the_digest_of_a_package_changes_with_any_of_its_modules(tmp_path: Path) -> None:
    first = package(tmp_path / "v1", "x = 1\n")
    same = package(tmp_path / "v2", "x = 1\n")
    edited = package(tmp_path / "v3", "x = 2\n")
    assert source_digest(first) == source_digest(same) != source_digest(edited)


def test_the_digest_of_a_plugin_file_is_of_that_file_alone(tmp_path: Path) -> None:
    plugin = tmp_path / "bench_one.py"
    plugin.write_text("x = 1\n", encoding="utf-8")
    before = source_digest(str(plugin))
    (tmp_path / "beside.py").write_text("y = 1\n", encoding="utf-8")
    source_digest.cache_clear()
    assert source_digest(str(plugin)) == before == file_sha256(plugin)


@pytest.mark.parametrize("origin", ["", "no/such/file.py"])
def test_a_plugin_without_source_has_no_digest(origin: str) -> None:
    assert source_digest(origin) == ""


def test_the_version_of_what_is_not_installed_is_empty() -> None:
    assert installed_version("a-distribution-that-nobody-has") == ""
    assert installed_version("numpy").count(".") == 2
