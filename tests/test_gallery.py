"""The gallery shows what its records say."""

from __future__ import annotations

import html
import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

REPORTS = Path(__file__).resolve().parent.parent / "reports"


def _load() -> ModuleType:
    spec = importlib.util.spec_from_file_location("gallery", REPORTS / "gallery.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["gallery"] = module
    spec.loader.exec_module(module)
    return module


gallery = _load()
FOLDERS = gallery.run_folders(REPORTS)


def test_at_least_three_real_runs_are_shown():
    shown = [e.folder for e in gallery.EXHIBITS if (REPORTS / e.folder / "records.jsonl").is_file()]
    assert len(shown) >= 3
    assert shown == [e.folder for e in gallery.EXHIBITS]


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.relative_to(REPORTS).as_posix())
def test_a_report_is_written_again_from_its_records_as_it_stands(folder, tmp_path):
    gallery.write(folder, tmp_path)
    assert (folder / "plan.toml").is_file()
    assert (tmp_path / "report.md").read_text(encoding="utf-8") == (folder / "report.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("exhibit", gallery.EXHIBITS, ids=lambda exhibit: exhibit.folder)
def test_the_page_of_an_exhibit_is_small_and_loads_nothing(exhibit):
    page = REPORTS / exhibit.folder / "report.html"
    assert page.stat().st_size < 2_000_000
    assert "default-src 'none'" in html.unescape(page.read_text(encoding="utf-8"))


def test_the_index_says_what_the_records_say():
    assert (REPORTS / "README.md").read_text(encoding="utf-8") == "\n".join(gallery.index()) + "\n"
