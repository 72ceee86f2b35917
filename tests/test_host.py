"""The plugin host: isolation, blame, allow and block lists."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from harness.errors import AmbiguousNameError
from harness.host import Host
from harness.loading import load_host


def broken(plugins_folder: Path, name: str) -> str:
    return str(plugins_folder / name / f"bench_{name.replace('-', '_')}.py")


def load(plugins_folder: Path, toy: str, *names: str) -> Host:
    chosen = [broken(plugins_folder, name) for name in names]
    allow = ["bench_toy", *(f"bench_{n.replace('-', '_')}" for n in names)]
    return load_host(sources=[toy, *chosen], allow=allow)


@pytest.mark.parametrize(
    ("name", "stage", "said"),
    [
        ("import-error", "import", "a_module_that_nobody_has"),
        ("bad-hook", "register", "harness_backend"),
        ("raising-hook", "harness_backends", "no backend today"),
        ("late-error", "harness_techniques", "the second technique"),
        ("wrong-type", "harness_backends", "not Backend"),
    ],
)
def test_a_broken_plugin_is_named_with_its_stage_and_stops_nobody(
    plugins_folder: Path, toy: str, name: str, stage: str, said: str
) -> None:
    host = load(plugins_folder, toy, name)
    (failure,) = host.failures
    assert failure.plugin == f"bench_{name.replace('-', '_')}"
    assert failure.stage == stage
    assert said in failure.error
    assert host.backends.names() == ("toy-numpy",)


def test_what_a_hook_yielded_before_it_raised_is_dropped(plugins_folder: Path, toy: str) -> None:
    assert "late" not in load(plugins_folder, toy, "late-error").techniques


def test_a_name_clash_fails_only_when_the_name_is_asked_for(plugins_folder: Path, toy: str) -> None:
    host = load(plugins_folder, toy, "name-clash")
    assert host.failures == ()
    assert host.backends.get("toy-numpy").plugin == "bench_toy"
    with pytest.raises(AmbiguousNameError, match="bench_name_clash"):
        host.techniques.get("toy-round")


def test_a_blocked_plugin_is_never_imported(plugins_folder: Path, toy: str) -> None:
    path = broken(plugins_folder, "import-error")
    host = load_host(sources=[toy, path], allow=None, block=["bench_import_error"])
    assert [p.status for p in host.plugins if p.name == "bench_import_error"] == ["blocked"]
    assert not host.failures_of("bench_import_error")


def test_an_empty_allow_list_in_the_environment_loads_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BENCH_PLUGINS", "")
    assert {p.status for p in load_host().plugins} <= {"blocked"}


def test_a_plugin_for_another_api_version_is_refused_with_advice(tmp_path: Path) -> None:
    path = tmp_path / "bench_future.py"
    path.write_text("HARNESS_API = 99\n", encoding="utf-8")
    (failure,) = load_host(sources=[str(path)], allow=["bench_future"]).failures
    assert "API 99" in failure.error
    assert "Install a version" in failure.error


def test_a_plugin_that_exits_while_it_is_imported_is_one_failure(tmp_path: Path, toy: str) -> None:
    path = tmp_path / "bench_quitter.py"
    path.write_text("raise SystemExit(5)\n", encoding="utf-8")
    host = load_host(sources=[toy, str(path)], allow=["bench_toy", "bench_quitter"])
    assert [f.plugin for f in host.failures] == ["bench_quitter"]
    assert "toy-numpy" in host.backends


def test_names_are_checked_and_never_rewritten(tmp_path: Path) -> None:
    path = tmp_path / "bench_shouting.py"
    path.write_text(
        "import harness\n\n\n@harness.hookimpl\ndef harness_techniques():\n"
        "    return [harness.Technique(name='LOUD', summary='', stage='artifact')]\n",
        encoding="utf-8",
    )
    (failure,) = load_host(sources=[str(path)], allow=["bench_shouting"]).failures
    assert "'LOUD'" in failure.error


def test_loading_every_built_in_plugin_imports_no_framework() -> None:
    code = (
        "import sys; from harness.loading import load_host; host = load_host(); "
        "heavy = {'torch', 'onnx', 'onnxruntime', 'openvino', 'nncf', 'torchao', 'numpy', 'scipy'} & set(sys.modules); "
        "print(sorted(heavy), [f.error for f in host.failures])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[] []"


def test_help_imports_no_framework_and_no_plugin() -> None:
    code = (
        "import sys; from harness.cli import bench; bench.main(['--help'], standalone_mode=False); "
        "heavy = {'torch', 'onnx', 'numpy', 'pydantic', 'pluggy', 'rich'} & set(sys.modules); "
        "plugins = [m for m in sys.modules if m.startswith('bench_')]; "
        "print(sorted(heavy), plugins, file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr.strip() == "[] []"


@pytest.mark.parametrize(("answer", "said"), [("1 / 0", "ZeroDivisionError"), ("None", "it answered None")])
def test_something_that_cannot_tell_whether_it_is_available_is_not(tmp_path: Path, answer: str, said: str) -> None:
    path = tmp_path / "bench_unsure.py"
    path.write_text(
        "import harness\n\n\n@harness.hookimpl\ndef harness_converters():\n"
        f"    yield harness.Converter(source='a', target='b', convert=print, available=lambda: {answer})\n",
        encoding="utf-8",
    )
    (converter,) = load_host(sources=[str(path)], allow=["bench_unsure"]).converters
    found = converter.contribution.available()
    assert not found.ok
    assert said in found.reason
