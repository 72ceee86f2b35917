"""The cache: entries appear whole, once, and in a place that the user can choose."""

from __future__ import annotations

import os
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from harness.build.cache import Cache, discard, open_cache
from harness.errors import UsageError


@pytest.fixture
def opened(tmp_path: Path) -> Cache:
    return Cache(root=tmp_path / "cache")


def filled(cache: Cache, content: str) -> Path:
    scratch = cache.scratch()
    (scratch / "node.json").write_text(content, encoding="utf-8")
    return scratch


def test_nothing_is_made_before_it_is_needed(opened: Cache) -> None:
    assert opened.size_bytes() == 0
    assert opened.entry("variants", "k") == opened.root / "variants" / "k"
    assert not opened.root.exists()


def test_each_scratch_folder_is_new_and_beside_the_entries(opened: Cache) -> None:
    one, two = opened.scratch(), opened.scratch()
    assert one != two
    assert opened.root in one.parents
    assert list(one.iterdir()) == []


def test_a_finished_folder_moves_to_its_place(opened: Cache) -> None:
    scratch = filled(opened, "made")
    place = opened.commit(scratch, "variants", "k")
    assert place == opened.entry("variants", "k")
    assert (place / "node.json").read_text(encoding="utf-8") == "made"
    assert not scratch.exists()


def test_an_entry_that_is_there_already_wins_and_the_other_is_gone(opened: Cache) -> None:
    opened.commit(filled(opened, "first"), "variants", "k")
    second = filled(opened, "second")
    place = opened.commit(second, "variants", "k")
    assert (place / "node.json").read_text(encoding="utf-8") == "first"
    assert not second.exists()


def test_of_many_that_finish_at_once_one_is_kept_and_it_is_whole(opened: Cache) -> None:
    with ThreadPoolExecutor(8) as pool:
        scratches = list(pool.map(lambda n: filled(opened, str(n)), range(24)))
        places = set(pool.map(lambda s: opened.commit(s, "variants", "k"), scratches))
    assert places == {opened.entry("variants", "k")}
    assert (opened.entry("variants", "k") / "node.json").read_text(encoding="utf-8") in map(str, range(24))
    assert list((opened.root / "scratch").iterdir()) == []


def test_a_scratch_folder_that_is_gone_is_an_error_and_no_entry(opened: Cache) -> None:
    with pytest.raises(FileNotFoundError):
        opened.commit(opened.root / "scratch" / "nothing", "variants", "k")
    assert not opened.entry("variants", "k").exists()


@pytest.mark.parametrize("use", [Cache.scratch, Cache.sources, Cache.check])
def test_a_place_that_cannot_be_written_is_one_message_with_advice(tmp_path: Path, use: object) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(UsageError) as caught:
        use(Cache(root=tmp_path / "file" / "cache"))  # type: ignore[operator]
    assert str(tmp_path / "file" / "cache") in caught.value.message
    assert "BENCH_CACHE" in caught.value.hint


def test_checking_leaves_nothing_behind(opened: Cache) -> None:
    opened.check()
    assert list((opened.root / "scratch").iterdir()) == []


def test_size_counts_every_file_and_clearing_removes_them_all(opened: Cache) -> None:
    opened.commit(filled(opened, "12345"), "variants", "k")
    (opened.sources() / "weights.bin").write_bytes(b"1234567")
    assert opened.size_bytes() == 12
    opened.clear()
    assert opened.size_bytes() == 0
    assert list(opened.root.iterdir()) == []
    assert opened.scratch().is_dir()


def test_a_cache_that_is_not_there_can_be_cleared(opened: Cache) -> None:
    opened.clear()
    assert opened.size_bytes() == 0


def test_the_environment_says_where_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("BENCH_CACHE", "near")
    assert open_cache().root == tmp_path / "near"


@pytest.mark.skipif(sys.platform != "linux", reason="XDG is the convention of Linux")
def test_without_a_word_from_the_user_it_is_where_caches_belong(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("BENCH_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert open_cache().root == tmp_path / "edge-bench"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert open_cache().root == tmp_path / "home" / ".cache" / "edge-bench"


def test_discarding_what_is_not_there_is_fine(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    for path in (tmp_path / "file", tmp_path / "file", tmp_path / "folder"):
        discard(path)
    assert not (tmp_path / "file").exists()


def test_scratch_folders_name_the_process_that_made_them(opened: Cache) -> None:
    assert opened.scratch().name.startswith(f"{os.getpid()}-")
