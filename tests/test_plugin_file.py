"""Plugins that are one file: named for what they hold, and in nobody's way."""

from __future__ import annotations

import json
import pickle
import shutil
import sys
from dataclasses import asdict
from pathlib import Path

import pytest

from harness.errors import UsageError
from harness.host import GIVEN
from harness.loading import load_given, load_host
from harness.plugin_file import absolute, load_plugin_file, module_name, plugin_name

NOTHING = "import harness\n\n\nclass Thing:\n    pass\n"


def write(path: Path, text: str = NOTHING) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return str(path)


@pytest.mark.parametrize("name", ["json", "numpy", "harness"])
def test_a_file_named_like_an_installed_module_shadows_nothing(tmp_path: Path, name: str) -> None:
    before = sys.modules.get(name)
    host = load_host(sources=[write(tmp_path / f"{name}.py")], allow=[name])
    assert [(p.name, p.status) for p in host.plugins if p.given] == [(name, "ready")]
    assert sys.modules.get(name) is before
    assert json.dumps({}) == "{}"


def test_what_is_pickled_is_found_again_by_whoever_loads_the_same_file_from_elsewhere(tmp_path: Path) -> None:
    thing = load_plugin_file(write(tmp_path / "a" / "mine.py")).Thing()
    pickled = pickle.dumps(thing)
    del sys.modules[type(thing).__module__]
    load_plugin_file(write(tmp_path / "b" / "mine.py"))
    assert type(pickle.loads(pickled)).__name__ == "Thing"


def test_files_of_one_name_and_different_content_stand_beside_each_other(tmp_path: Path) -> None:
    sources = [write(tmp_path / "a" / "mine.py"), write(tmp_path / "b" / "mine.py", NOTHING + "\n")]
    host = load_host(sources=sources, allow=["mine", "mine.py"])
    assert [(p.name, p.status) for p in host.plugins if p.given] == [("mine", "ready"), ("mine.py", "ready")]


def test_a_file_named_like_an_installed_plugin_takes_nothing_from_it(tmp_path: Path) -> None:
    host = load_host(sources=[write(tmp_path / "torch.py", "1 / 0")], allow=["torch", "torch.py"])
    assert {p.name: p.status for p in host.plugins if p.name.startswith("torch")} == {
        "torch": "ready",
        "torch.py": "broken",
    }


def test_a_file_given_twice_is_one_plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = write(tmp_path / "mine.py")
    monkeypatch.chdir(tmp_path)
    host = load_host(sources=["mine.py", "./mine.py", source], allow=["mine"])
    assert [p.target for p in host.plugins if p.given] == [source]


def test_an_installed_module_given_once_more_is_one_plugin() -> None:
    host = load_host(sources=["bench_onnx"], allow=["onnx"])
    assert not [p for p in host.plugins if p.given]
    assert host.failures == ()


def test_nothing_is_loaded_from_the_current_folder_by_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "bench_lurking.py", "raise SystemExit(1)")
    monkeypatch.chdir(tmp_path)
    assert "bench_lurking" not in {p.name for p in load_host(allow=[]).plugins}


def test_a_package_is_called_by_its_folder(plugins_folder: Path) -> None:
    assert plugin_name(str(plugins_folder / "toy" / "bench_toy" / "__init__.py")) == "bench_toy"
    assert (plugin_name("package.module"), absolute("package.module")) == ("package.module", "package.module")


def test_a_child_process_loads_the_same_file(toy: str) -> None:
    (source,) = load_host(sources=[toy], allow=["bench_toy"]).plugin_sources()
    assert (source.target, source.distribution) == (toy, GIVEN)
    assert load_given([asdict(source)]).backends.names() == ("toy-numpy",)


@pytest.mark.parametrize(
    ("text", "said", "line"),
    [
        ("import harness\nprint('x'\n", "SyntaxError: '(' was never closed", 2),
        ("import harness\n\nx = {}['nope']\n", "KeyError: 'nope'", 3),
        ("import json\n\n\njson.loads('{')\n", "JSONDecodeError", 4),
    ],
)
def test_a_broken_file_is_told_with_file_and_line(tmp_path: Path, text: str, said: str, line: int) -> None:
    source = write(tmp_path / "mine.py", text)
    host = load_host(sources=[source], allow=["mine"])
    (failure,) = host.failures
    assert failure.error.startswith(said)
    assert failure.place == f"{source}, line {line}"
    assert module_name(Path(source)) not in sys.modules
    with pytest.raises(UsageError, match="is broken: import: "):
        host.check_given()


def test_a_hook_that_raises_is_told_with_file_and_line(plugins_folder: Path) -> None:
    path = plugins_folder / "late-error" / "bench_late_error.py"
    (failure,) = load_host(sources=[str(path)], allow=["bench_late_error"]).failures
    assert failure.place == f"{path}, line 9"


def test_a_file_that_is_gone_is_told(tmp_path: Path, toy: str) -> None:
    copy = shutil.copy(toy, tmp_path / "copy.py")
    Path(copy).unlink()
    (failure,) = load_host(sources=[str(copy)], allow=["copy"]).failures
    assert "there is no plugin file" in failure.error
    assert failure.place == ""


def test_a_folder_is_no_plugin_and_the_file_to_give_is_told(plugins_folder: Path) -> None:
    folder = str(plugins_folder / "toy" / "bench_toy")
    (failure,) = load_host(sources=[folder], allow=[folder]).failures
    assert "neither the name of a module nor a plugin file" in failure.error
    assert f"{folder}/__init__.py" in failure.error
