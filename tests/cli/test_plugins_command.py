"""`bench plugins`: what it says of each, in full, in a narrow terminal and as JSON."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

Invoke = Callable[..., Result]

LACKING = """
import harness

HARNESS_API = 1
ABSENT = harness.Availability(ok=False, reason="not installed: nolib", install="pip install nolib")


@harness.hookimpl
def harness_backends():
    for name, available in (("here", harness.AVAILABLE), ("not-here", ABSENT)):
        yield harness.Backend(name=name, summary="A runtime.", reads=("toy",), prepare=int, open=open,
                              available=lambda found=available: found)
"""


@pytest.fixture
def lacking(tmp_path: Path) -> Path:
    """A plugin of which one backend is not installed."""
    path = tmp_path / "lacking.py"
    path.write_text(LACKING, encoding="utf-8")
    return path


def of(done: Result, name: str) -> dict[str, Any]:
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert found["api_version"] == 1
    return next(p for p in found["plugins"] if p["plugin"] == name)


def test_json_holds_everything(invoke: Invoke, lacking: Path) -> None:
    found = of(invoke("plugins", "--plugin", lacking, "--json"), "lacking")
    assert found["import_ms"] > 0
    del found["import_ms"]
    summary = {"kind": "backend", "summary": "A runtime."}
    assert found == {
        "plugin": "lacking",
        "status": "unavailable",
        "distribution": "given with --plugin",
        "given": True,
        "target": str(lacking),
        "path": str(lacking),
        "api": 1,
        "contributes": ["backend: here, not-here"],
        "contributions": [
            {**summary, "name": "here", "available": True, "reason": "", "install": ""},
            {**summary, "name": "not-here", "available": False, "reason": "not installed: nolib",
             "install": "pip install nolib"},
        ],
        "problem": ["not installed: nolib; install it with: pip install nolib"],
        "failures": [],
    }  # fmt: skip


def test_an_installed_plugin_says_where_it_comes_from(invoke: Invoke) -> None:
    found = of(invoke("plugins", "onnx", "--json"), "onnx")
    assert found["distribution"].startswith("edge-bench ")
    assert (found["given"], found["target"]) == (False, "bench_onnx")
    assert Path(found["path"]).name == "__init__.py"


def test_a_plugin_in_full_tells_availability_summary_and_the_command_that_brings_it(
    invoke: Invoke, lacking: Path
) -> None:
    told = invoke("--plugin", lacking, "plugins", "lacking", columns=80).stdout
    assert told.startswith("lacking: unavailable\n  given with --plugin, plugin API 1, imported in ")
    assert f"\n  from {lacking}\n" in told
    assert "\n  backend here: A runtime.\n" in told
    assert "\n  backend not-here: A runtime.\n    not installed: nolib\n    pip install nolib\n" in told


def test_verbose_is_a_block_for_each_plugin(invoke: Invoke, lacking: Path) -> None:
    told = invoke("--plugin", lacking, "plugins", "--verbose", columns=80).stdout
    blocks = [block.splitlines()[0] for block in told.split("\n\n")]
    assert blocks[-1] == "lacking: unavailable"
    assert {"onnx: ready", "torch: ready"} <= set(blocks)
    assert "\n  not here: backend not-here\n    not installed: nolib\n    pip install nolib\n" in told


def test_the_short_list_says_that_a_plugin_was_given_and_its_file(invoke: Invoke, lacking: Path) -> None:
    told = invoke("plugins", "--plugin", lacking, columns=400).stdout
    assert "given with --plugin" in told
    assert str(lacking) in told


def test_a_broken_plugin_is_told_with_its_place_and_its_traceback_on_standard_error(
    invoke: Invoke, tmp_path: Path
) -> None:
    path = tmp_path / "wrong.py"
    path.write_text("import harness\nHARNESS_API = 1\nnothing[0]\n", encoding="utf-8")
    done = invoke("plugins", "wrong", "--plugin", path, columns=80)
    assert done.exit_code == 0
    assert "  broken at import: NameError: name 'nothing' is not defined\n" in done.stdout
    assert f"    in {path}, line 3\n" in done.stdout
    assert "Traceback" in done.stderr
    assert "Traceback" not in done.stdout


def test_a_plugin_that_nobody_has_is_refused_with_the_nearest(invoke: Invoke) -> None:
    done = invoke("plugins", "onx")
    assert done.exit_code == 2
    assert "no plugin is named 'onx'" in done.stderr
    assert "Did you mean 'onnx'?" in done.stderr


@pytest.mark.parametrize("columns", [40, 80])
@pytest.mark.parametrize("arguments", [[], ["--verbose"], ["torch"], ["energy"]], ids=lambda a: " ".join(a) or "list")
def test_it_is_read_in_a_narrow_terminal(invoke: Invoke, columns: int, arguments: list[str]) -> None:
    lines = invoke("plugins", *arguments, columns=columns).stdout.splitlines()
    wide = [line for line in lines if len(line) > columns and not line.startswith(("  from ", "    pip "))]
    assert wide == []


def test_control_characters_of_a_plugin_do_not_reach_the_terminal(invoke: Invoke, lacking: Path) -> None:
    lacking.write_text(LACKING.replace("A runtime.", "\\x1b]0;mine\\x07A runtime."), encoding="utf-8")
    told = invoke("plugins", "lacking", "--plugin", lacking).stdout
    assert "A runtime." in told
    assert not {"\x1b", "\x07"} & set(told)
