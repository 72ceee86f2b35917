"""What holds the code together: who may import whom, who may be named where, and how large things may get."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

import harness
from harness.record import SkipReason

ROOT = Path(harness.__file__).parent
PLUGINS = ROOT.parent / "plugins"

FRAMEWORKS = frozenset({
    "ai_edge_litert", "ai_edge_quantizer", "executorch", "foolbox", "litert_torch", "nncf", "onnx", "onnxruntime",
    "onnxscript", "onnxslim", "openvino", "PIL", "scipy", "seglearn", "sklearn", "tensorflow", "tflite_runtime",
    "torch", "torchao", "torchvision", "tract",
})  # fmt: skip

ALSO_IMPORTED = {
    ("picture_folder.py", "PIL"): "decodes the pictures that a user brings; no network passes through it",
    ("calibrate/fit.py", "scipy"): "non-negative least squares, when a fit is asked for",
    ("estimate/fit.py", "scipy"): "non-negative least squares, when a fit is asked for",
    ("estimate/skill.py", "scipy"): "ranks, when a back-test is asked for",
}
"""(module, framework) that the host imports all the same, and why that is no framework there."""

NAMES = re.compile(
    r"(?i:\btract\b|torch|onnx|openvino|nncf|tflite|litert|executorch|tensorflow|xnnpack|mlas|edgetpu|coral|rpi|raspberry"
    r"|jetson|efficientnet|har-watch|zoo|int8-|fp16-|prune-)|bench_"
)

ALSO_NAMED = {
    ("estimate/memory_families.py", "tflite-ruy"): "a kernel family: what its library allocates is part of the method",
    (
        "estimate/memory_families.py",
        "tflite-xnnpack",
    ): "a kernel family: what its library allocates is part of the method",
    ("estimate/memory_families.py", "xnnpack"): "a kernel family: what its library allocates is part of the method",
    ("estimate/memory_families.py", "mlas"): "a kernel family: what its library allocates is part of the method",
    ("estimate/memory_families.py", "openvino"): "a kernel family: what its library allocates is part of the method",
    ("estimate/memory_families.py", "torch"): "a kernel family: what its library allocates is part of the method",
    ("estimate/memory_families.py", "edgetpu"): "a kernel family: what its library allocates is part of the method",
    ("estimate/memory_families.py", "google/XNNPACK"): "where a figure is read from",
    ("estimate/memory_families.py", "microsoft/onnxruntime"): "where a figure is read from",
    ("estimate/memory_families.py", "Arm's ONNX Runtime cards"): "where a figure is read from",
    ("estimate/memory_families.py", "Arm's ExecuTorch model cards, Raspberry Pi 5"): "where a figure is read from",
    ("estimate/memory_families.py", "on Raspberry Pi 4 and 5"): "where a figure is read from",
    ("estimate/microcontroller.py", "STMicroelectronics/stm32ai-modelzoo"): "where a figure is read from",
    ("estimate/microcontroller.py", "tensorflow/tflite-micro tensorflow/lite/micro"): "where a figure is read from",
    ("estimate/fusion_rules.py", "tflite-micro"): "a kernel family",
    ("estimate/fusion_rules.py", "onnx/onnx docs/Operators.md"): "where a rule is read from",
    ("estimate/fusion_rules.py", "tools/onnx/onnx2ncnn.cpp"): "where a rule is read from",
    ("estimate/fusion_rules.py", "tensorflow/tensorflow tensorflow/compiler/mlir"): "where a rule is read from",
    ("estimate/fusion_rules.py", "google/XNNPACK"): "where a rule is read from",
    ("estimate/fusion_rules.py", "microsoft/onnxruntime onnxruntime/core"): "where a rule is read from",
    ("estimate/fusion_rules.py", "openvinotoolkit/openvino src"): "where a rule is read from",
    ("estimate/fusion_rules.py", "pytorch/pytorch docs"): "where a rule is read from",
    ("estimate/fusion_rules.py", "coral.ai/docs/edgetpu"): "where a rule is read from",
    ("estimate/fusion_rules.py", "tflite-ruy"): "a kernel family",
    ("estimate/fusion_rules.py", "tflite-xnnpack"): "a kernel family",
    ("estimate/fusion_rules.py", "xnnpack"): "a kernel family",
    ("estimate/fusion_rules.py", "mlas"): "a kernel family",
    ("estimate/fusion_rules.py", "openvino"): "a kernel family",
    ("estimate/fusion_rules.py", "torch"): "a kernel family",
    ("estimate/fusion_rules.py", "edgetpu"): "a kernel family",
    ("estimate/accelerator_backtest.py", "coral-benchmarks"): "a word of the table of measurements",
    ("estimate/family.py", "tflite-ruy"): "a kernel family: the habits of its library are part of the method",
    ("estimate/family.py", "tflite-xnnpack"): "a kernel family",
    ("estimate/family.py", "mlas"): "a kernel family",
    ("estimate/family.py", "openvino"): "a kernel family",
    ("estimate/family.py", "torch"): "a kernel family",
    ("estimate/fitting.py", "tflite-ruy"): "a kernel family that something is published of",
    ("estimate/fitting.py", "tflite-xnnpack"): "a kernel family that something is published of",
    ("estimate/published.py", "xnnpack-end2end-bench"): "a word of the table of measurements",
    ("estimate/published.py", "tflite-ruy"): "a kernel family, and a word of the table of measurements",
    ("estimate/published.py", "tflite-xnnpack"): "a kernel family, and a word of the table of measurements",
    ("estimate/published.py", "tflite-armnn"): "a word of the table of measurements",
    ("estimate/published.py", "tflite-hosted"): "a word of the table of measurements",
    ("estimate/published.py", "tflite"): "a word of the table of measurements",
    ("estimate/published.py", "coral-benchmarks"): "a word of the table of measurements",
    ("estimate/published.py", "int8-cpu-fallback"): "a word of the table of measurements",
    ("estimate/published.py", "efficientnet_"): "a model of the table of measurements",
    ("estimate/published.py", "edgetpu"): "a word of the table of measurements",
    ("profile.py", "such as `mlas`"): "example in the table of a profile's keys",
    ("profile.py", "such as `coral-usb`"): "example in the table of a profile's keys",
    ("profile.py", "such as `edgetpu`"): "example in the table of a profile's keys",
    ("run_folder.py", "such as runs/2026-01-31T12-00-00-rpi4"): "example in advice",
    ("runner.py", "such as runs/2026-01-31T12-00-00-rpi4"): "example in advice",
    ("recipe.py", "for example: prune-magnitude(amount=0.5)+int8-static"): "example in advice",
    ("guard.py", "Names look like int8-static"): "example in advice",
    ("prediction.py", "quantise with int8-static"): "advice: an accelerator that takes float graphs never rejects them",
    ("plan.py", "Give a model of the zoo (bench models), a .onnx file"): "advice: what a stranger can give",
    ("plan.py", "package.module:factory of a torch network"): "advice: what a stranger can give",
    ("picture_folder.py", "pip install 'edge-bench[zoo]'"): "the extra that brings Pillow",
    ("cli/run.py", "zoo:NAME, a .onnx file"): "help text",
    ("cli/run.py", "prune-magnitude(amount=0.5)+int8-static"): "help text",
    ("cli/techniques.py", "prune-magnitude(amount=0.5)+int8-static"): "help text",
}
"""(module, words) by which the host names somebody all the same, and why no behaviour hangs on it."""


def modules(folder: Path) -> list[Path]:
    return sorted(p for p in folder.rglob("*.py") if "__pycache__" not in p.parts)


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


def short(path: Path) -> str:
    return path.relative_to(ROOT if ROOT in path.parents else PLUGINS).as_posix()


def imports(path: Path) -> Iterator[tuple[str, ast.stmt]]:
    """Absolute name of every module that is imported, anywhere in a file; `from a import b` gives `a`."""
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: line {node.lineno}: relative import"
            yield node.module or "", node
        elif isinstance(node, ast.Call) and getattr(node.func, "id", getattr(node.func, "attr", "")) == "import_module":
            (name,) = node.args
            if isinstance(name, ast.Constant):
                yield str(name.value), ast.Expr(node, lineno=node.lineno)


def strings(path: Path) -> Iterator[ast.Constant]:
    """String literals of a file, docstrings and attribute docstrings left out."""
    prose = set()
    for node in ast.walk(tree(path)):
        body = getattr(node, "body", None)
        for statement in body if isinstance(body, list) else []:
            if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant):
                prose.add(id(statement.value))
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in prose:
            yield node


def functions(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    return (n for n in ast.walk(tree(path)) if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef))


def layer(path: Path) -> set[str]:
    """What of the host a module of the host imports, at run time or for types."""
    return {name for name, _ in imports(path) if name.split(".")[0] == "harness"}


def test_the_host_imports_no_framework_and_no_plugin() -> None:
    wrong = [
        f"{short(path)} imports {name}"
        for path in modules(ROOT)
        for name, _ in imports(path)
        if (name.split(".")[0] in FRAMEWORKS and (short(path), name.split(".")[0]) not in ALSO_IMPORTED)
        or name.startswith("bench_")
    ]
    assert wrong == []


def test_the_host_names_no_plugin_framework_or_device() -> None:
    wrong = []
    for path in modules(ROOT):
        for text in strings(path):
            rest = str(text.value)
            for where, words in ALSO_NAMED:
                rest = rest.replace(words, "") if where == short(path) else rest
            if NAMES.search(rest):
                wrong.append(f"{short(path)}, line {text.lineno}: {text.value!r}")
    assert wrong == []


def test_every_exception_to_the_two_rules_above_is_still_needed() -> None:
    stale = [
        (module, words)
        for module, words in ALSO_NAMED
        if not any(words in str(text.value) for text in strings(ROOT / module))
    ]
    imported = {(short(path), name.split(".")[0]) for path in modules(ROOT) for name, _ in imports(path)}
    assert stale == []
    assert set(ALSO_IMPORTED) - imported == set()


def test_a_plugin_imports_nothing_of_the_host_but_its_public_names() -> None:
    wrong = []
    for path in modules(PLUGINS):
        for name, node in imports(path):
            if name.startswith("harness."):
                wrong.append(f"{short(path)}, line {node.lineno}: {name} is private to the host")
            if name == "harness" and isinstance(node, ast.ImportFrom):
                hidden = [a.name for a in node.names if a.name not in harness.__all__]
                wrong += [f"{short(path)}, line {node.lineno}: harness.{n} is not public" for n in hidden]
    assert wrong == []


def test_a_plugin_imports_no_other_plugin() -> None:
    packages = {p.name for p in PLUGINS.iterdir() if (p / "__init__.py").is_file()}
    wrong = [
        f"{short(path)} imports {name}"
        for path in modules(PLUGINS)
        for name, _ in imports(path)
        if name.split(".")[0] in packages - {path.relative_to(PLUGINS).parts[0]}
    ]
    assert wrong == []


@pytest.mark.parametrize("package", sorted(p.name for p in PLUGINS.iterdir() if (p / "__init__.py").is_file()))
def test_a_plugin_package_imports_only_the_standard_library_and_the_host_before_it_is_used(package: str) -> None:
    """Its callables import their work when they are called, so that `bench --help` and `bench plugins` stay light."""
    wrong = []
    for statement in tree(PLUGINS / package / "__init__.py").body:
        if isinstance(statement, ast.Import):
            wrong += [a.name for a in statement.names if a.name.split(".")[0] not in sys.stdlib_module_names]
        elif isinstance(statement, ast.ImportFrom):
            root = (statement.module or "").split(".")[0]
            wrong += [root] if root not in {*sys.stdlib_module_names, "harness", package} else []
    assert wrong == []


def test_the_public_names_are_sorted_documented_and_there() -> None:
    assert harness.__all__ == sorted(harness.__all__)
    assert len(set(harness.__all__)) == len(harness.__all__)
    for name in harness.__all__:
        value = getattr(harness, name)
        assert value is not None
        assert not isinstance(value, type) or value.__doc__, f"harness.{name} has no docstring"


def test_a_name_that_is_not_public_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Worker'"):
        _ = harness.Worker


def test_every_contribution_type_of_a_hook_is_public() -> None:
    from harness.loading import YIELDS

    assert {kind.__name__ for kind in YIELDS.values() if kind is not Path} <= set(harness.__all__)


def test_only_the_command_line_imports_click() -> None:
    assert {short(p).split("/")[0] for p in modules(ROOT) for n, _ in imports(p) if n.split(".")[0] == "click"} == {
        "cli"
    }


def test_nothing_but_the_entry_point_imports_the_command_line() -> None:
    wrong = [short(p) for p in modules(ROOT) for n in layer(p) if n.startswith("harness.cli") if "cli" not in p.parts]
    assert wrong == ["__main__.py"]


LOADED = ("harness.host", "harness.loading")
ENGINE = ("harness.build", "harness.process", "harness.measure", *LOADED, "harness.plan", "harness.runner")
"""What makes records; what reads them needs none of it."""

FORBIDDEN = {
    "estimate": ("harness.build", "harness.process", "harness.measure", *LOADED, "harness.report"),
    "report": (*ENGINE, "harness.estimate"),
    "compare": (*ENGINE, "harness.estimate"),
    "export": (*ENGINE, "harness.estimate"),
    "history": (*ENGINE, "harness.estimate"),
    "measure": ("harness.estimate", "harness.report", "harness.plan", "harness.route", "harness.profile"),
    "process": ("harness.report", "harness.estimate", "harness.plan", "harness.route"),
    "build": ("harness.report", "harness.estimate", "harness.measure", "harness.profile"),
}  # fmt: skip
"""Nothing points back: an estimate never sees a session, a report opens records only, a session no device."""

ALLOWED = {
    "estimate": {"harness.measure.statistics"},
    "report": {
        "harness.measure.noise",
        "harness.measure.statistics",
        "harness.estimate.interval",
        "harness.estimate.ratio",
    },
    "compare": {"harness.measure.between_runs", "harness.measure.shares", "harness.estimate.interval"},
    "export": set(),
    "history": {"harness.measure.statistics"},
    "process": set(),
    "build": set(),
    "measure": set(),
}


@pytest.mark.parametrize("folder", FORBIDDEN)
def test_layers_point_one_way(folder: str) -> None:
    wrong = [
        f"{short(path)} imports {name}"
        for path in modules(ROOT / folder)
        for name in layer(path)
        if name.startswith(FORBIDDEN[folder]) and name not in ALLOWED[folder]
    ]
    assert wrong == []


def test_modules_stay_readable_in_one_sitting() -> None:
    lines = {p: len(p.read_text(encoding="utf-8").splitlines()) for p in [*modules(ROOT), *modules(PLUGINS)]}
    long = sorted((f"{short(p)}: {n}" for p, n in lines.items() if n > 300), key=lambda s: -int(s.split(": ")[1]))
    assert max(lines.values()) <= 400, f"modules over 300 lines: {long}"


def test_no_module_is_named_after_nothing() -> None:
    empty = {"utils", "util", "helpers", "helper", "common", "base", "misc", "core", "tools"}
    assert [short(p) for p in [*modules(ROOT), *modules(PLUGINS)] if {p.stem, *p.parent.parts[-1:]} & empty] == []


def test_no_function_takes_more_than_six_parameters() -> None:
    wrong = []
    for path in [*modules(ROOT), *modules(PLUGINS)]:
        for function in functions(path):
            given = function.args
            every = (*given.posonlyargs, *given.args, *given.kwonlyargs)
            names = [a.arg for a in every if a.arg not in {"self", "cls"}]
            if len(names) > 6:
                wrong.append(f"{short(path)}: {function.name}({', '.join(names)})")
    assert wrong == []


def test_everything_public_says_what_it_is() -> None:
    wrong = []
    for path in [*modules(ROOT), *modules(PLUGINS)]:
        public = [tree(path), *(n for n in tree(path).body if isinstance(n, ast.ClassDef | ast.FunctionDef))]
        for node in public:
            name = getattr(node, "name", "")
            hook = any(getattr(d, "id", "") == "hookimpl" for d in getattr(node, "decorator_list", []))
            if not name.startswith("_") and not hook and not ast.get_docstring(node):
                wrong.append(f"{short(path)}: {name or 'the module'}")
    assert wrong == []


def test_every_dataclass_is_keyword_only_and_has_slots() -> None:
    wrong = []
    for path in [*modules(ROOT), *modules(PLUGINS)]:
        for node in (n for n in ast.walk(tree(path)) if isinstance(n, ast.ClassDef)):
            for decorator in node.decorator_list:
                call = decorator if isinstance(decorator, ast.Call) else ast.Call(decorator, [], [])
                if getattr(call.func, "id", "") != "dataclass":
                    continue
                given = {k.arg for k in call.keywords}
                if "slots" not in given or ("frozen" in given and "kw_only" not in given):
                    wrong.append(f"{short(path)}: {node.name}")
    assert wrong == []


def _reasons(path: Path) -> Iterator[tuple[ast.Call, ast.expr]]:
    """What is given as the reason of a failure or of a missing route."""
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") in {"Failure", "NoRoute"}:
            yield from ((node, k.value) for k in node.keywords if k.arg == "reason")


def test_a_reason_is_never_anything_but_a_name_of_the_closed_list() -> None:
    wrong, used = [], set()
    for path in modules(ROOT):
        used |= {
            node.attr
            for node in ast.walk(tree(path))
            if isinstance(node, ast.Attribute) and getattr(node.value, "id", "") == "SkipReason"
        }
        for call, value in _reasons(path):
            text = ast.unparse(value)
            typed = bool(re.fullmatch(r"(SkipReason\.[A-Z_]+(\.name)?)|(reason(\.name)?)", text))
            if not typed:
                wrong.append(f"{short(path)}, line {call.lineno}: reason={text}")
    assert wrong == []
    assert used >= {reason.name for reason in SkipReason}, "a reason that nothing gives"


def test_plugins_never_give_a_reason_of_their_own() -> None:
    assert [short(path) for path in modules(PLUGINS) for _ in _reasons(path)] == []
