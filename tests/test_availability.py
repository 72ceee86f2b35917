"""Whether what a contribution needs is installed: asked when wanted, not when the plugin is imported."""

from __future__ import annotations

import sys

import pytest

from harness.availability import if_installed
from harness.contributions import AVAILABLE


def test_modules_that_are_there_make_it_available_and_are_not_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "wave", raising=False)
    assert if_installed("json", "wave", install="never mind")() is AVAILABLE
    assert "wave" not in sys.modules


def test_what_is_missing_is_named_with_the_command_that_brings_it() -> None:
    found = if_installed("json", "no_such_a", "no_such_b", install="pip install both")()
    assert (found.ok, found.reason, found.install) == (False, "not installed: no_such_a, no_such_b", "pip install both")


def test_a_module_that_is_blocked_counts_as_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "wave", None)
    assert not if_installed("wave", install="")().ok
