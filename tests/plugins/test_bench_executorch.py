"""bench_executorch: programs that torch's networks become, quantised ones, the files of others, and what is read."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import bench_executorch
from bench_quantize.options import Int8Dynamic, Int8Static
from harness import (
    ArtifactError,
    BuildContext,
    Data,
    NoOptions,
    SessionOptions,
    Split,
    TensorSpec,
    UnsupportedError,
    silenced,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

torch = pytest.importorskip("torch")
if not bench_executorch.if_installed("executorch", install="")().ok:
    pytest.skip("executorch is not installed", allow_module_level=True)

from bench_executorch.delegation import delegation  # noqa: E402
from bench_executorch.network import network_of  # noqa: E402
from bench_executorch.program_file import load as load_file  # noqa: E402

nn = torch.nn

(BACKEND,) = bench_executorch.harness_backends()
(READER,) = bench_executorch.harness_graph_readers()
(SOURCE,) = bench_executorch.harness_models()
(CONVERTER,) = bench_executorch.harness_converters()
IMPLEMENTED = {each.technique: each for each in bench_executorch.harness_implementations()}

DEFAULTS: dict[str, Any] = {
    "fp16": NoOptions(),
    "int8-static": Int8Static(),
    "int8-dynamic": Int8Dynamic(),
}

SHAPE = (3, 16, 16)


class Mobile(nn.Module):  # type: ignore[misc, name-defined]
    """Padded and depthwise convolutions with two kinds of clamp, a sum, a window, a mean and a linear layer; a second
    input is added before the last."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, 2, 1)
        self.norm = nn.BatchNorm2d(8)
        self.depth = nn.Conv2d(8, 8, 3, groups=8)
        self.point = nn.Conv2d(8, 8, 1)
        self.wide = nn.Conv2d(8, 12, 3, 1, 1, groups=2)
        self.head = nn.Linear(12, 5)

    def forward(self, image: Any, extra: Any) -> Any:
        x = nn.functional.relu6(self.norm(self.stem(image)))
        x = x + self.point(nn.functional.relu6(self.depth(nn.functional.pad(x, (0, 2, 1, 1)))))
        x = nn.functional.max_pool2d(nn.functional.relu(self.wide(x)), 2)
        return self.head(x.mean((2, 3)) + extra), extra * 2.0


MACS = 8 * 8 * 8 * 27 + 8 * 8 * 8 * 9 + 8 * 8 * 8 * 8 + 12 * 8 * 8 * 36 + 60


def context_in(folder: Path, **given: Any) -> BuildContext:
    folder.mkdir(parents=True, exist_ok=True)
    defaults: dict[str, Any] = {
        "workdir": folder,
        "seed": 0,
        "threads": 1,
        "data": None,
        "outputs": ("logits",),
        "note": lambda line: None,
    }
    return BuildContext(**{**defaults, **given})


def program_of(module: Any, example: Sequence[np.ndarray], path: Path) -> Path:
    """An exported program with a free batch, as bench_torch writes them."""
    batch = torch.export.Dim("batch")
    doubled = tuple(torch.from_numpy(np.concatenate([each, each])) for each in example)
    torch.export.save(torch.export.export(module, doubled, dynamic_shapes=[{0: batch} for _ in example]), path)
    return path


def opened(path: Path, threads: int = 1, *, portable: bool = False) -> Any:
    options = BACKEND.options(portable=portable)
    return BACKEND.open(path, SessionOptions(threads=threads, options=options, inputs=()))


def run(path: Path, *inputs: np.ndarray, portable: bool = False) -> tuple[np.ndarray, ...]:
    session = opened(path, portable=portable)
    try:
        session.bind(inputs)()
        return tuple(session.outputs())
    finally:
        session.close()


def on_all_rows(file: Path, rows: Sequence[np.ndarray]) -> np.ndarray:
    session = opened(file)
    found = []
    for row in range(len(rows[0])):
        session.bind(tuple(each[row : row + 1] for each in rows))()
        found.append(session.outputs()[0])
    session.close()
    return np.concatenate(found)


def relative(got: np.ndarray, wanted: np.ndarray) -> float:
    """Error relative to how far the rows differ from each other."""
    return float(np.linalg.norm(got - wanted) / np.linalg.norm(wanted - wanted.mean(0)))


def exported(module: Any, example: tuple[Any, ...], path: Path, *, delegated: bool, planned: bool = True) -> Path:
    """A program as others make it: with memory planned for its inputs, and perhaps without a delegate."""
    with silenced():
        from executorch.backends.xnnpack.partition.xnnpack_partitioner import XnnpackPartitioner
        from executorch.exir import ExecutorchBackendConfig, to_edge_transform_and_lower
        from executorch.exir.passes import MemoryPlanningPass

        edge = to_edge_transform_and_lower(
            torch.export.export(module, example), partitioner=[XnnpackPartitioner()] if delegated else None
        )
        config = ExecutorchBackendConfig(memory_planning_pass=MemoryPlanningPass(alloc_graph_input=planned))
        path.write_bytes(edge.to_executorch(config).buffer)
    return path


@pytest.fixture(scope="module")
def mobile(tmp_path_factory: pytest.TempPathFactory) -> SimpleNamespace:
    """A small network of two inputs and two outputs with random weights, converted."""
    place = tmp_path_factory.mktemp("mobile")
    torch.manual_seed(0)
    module = Mobile().eval()
    draw = np.random.default_rng(0)
    rows = (
        draw.standard_normal((24, *SHAPE)).astype(np.float32),
        draw.standard_normal((24, 12)).astype(np.float32),
    )
    notes: list[str] = []
    inputs = (
        TensorSpec(name="image", shape=(None, *SHAPE), dtype="float32"),
        TensorSpec(name="extra", shape=(None, 12), dtype="float32"),
    )
    example = tuple(each[:1] for each in rows)
    data = Data(name="noise", sha256="0", metric="top1", splits={"calibration": lambda: Split(inputs=rows)})
    context = context_in(place / "work", example=example, inputs=inputs, note=notes.append, data=data)
    program = program_of(module, example, place / "mobile.pt2")
    file = CONVERTER.convert(program, context)
    with torch.no_grad():
        wanted = module(*(torch.from_numpy(each) for each in rows))[0].numpy()
    return SimpleNamespace(
        module=module, program=program, file=file, rows=rows, wanted=wanted, context=context, notes=tuple(notes)
    )


@pytest.fixture(scope="module")
def quantised(mobile: SimpleNamespace, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Any]:
    """The file that a technique makes of the small network, with its notes, each made once."""
    made: dict[str, Any] = {}

    def make(technique: str) -> Any:
        if technique not in made:
            notes: list[str] = []
            context = replace(mobile.context, workdir=tmp_path_factory.mktemp(technique), note=notes.append)
            file = IMPLEMENTED[technique].apply(mobile.program, DEFAULTS[technique], context)
            made[technique] = SimpleNamespace(file=file, notes=notes, graph=READER.read(file))
        return made[technique]

    return make


# --- conversion


def test_a_converted_network_gives_the_numbers_of_torch(mobile: SimpleNamespace) -> None:
    assert relative(on_all_rows(mobile.file, mobile.rows), mobile.wanted) < 1e-5


def test_inputs_and_outputs_keep_the_order_of_the_module(mobile: SimpleNamespace) -> None:
    first, second = run(mobile.file, *mobile.context.example)
    assert first.shape == (1, 5)
    np.testing.assert_allclose(second, mobile.context.example[1] * 2.0, rtol=1e-5)


def test_the_lineage_says_how_exact_the_file_is_and_what_xnnpack_takes(mobile: SimpleNamespace) -> None:
    exact, taken = mobile.notes
    assert exact.startswith("ExecuTorch: relative error")
    assert taken.startswith("batch 1 only; XNNPACK takes ")
    assert "100 % of the multiply-accumulates" in taken


def test_a_mean_over_pictures_is_delegated_whether_its_axes_are_kept_or_not(mobile: SimpleNamespace) -> None:
    assert not delegation(mobile.file).left
    assert "global_pool" in {op.kind for op in READER.read(mobile.file).operators}


def test_a_file_that_is_no_program_is_refused(mobile: SimpleNamespace, tmp_path: Path) -> None:
    (tmp_path / "model.pt2").write_bytes(b"nothing of the kind")
    with pytest.raises(ArtifactError, match="not an exported program"):
        CONVERTER.convert(tmp_path / "model.pt2", mobile.context)


# --- precisions


@pytest.mark.parametrize(("technique", "largest"), [("fp16", 1e-2), ("int8-static", 0.15), ("int8-dynamic", 0.05)])
def test_a_program_of_less_precision_stays_close_to_the_float_module(
    technique: str, largest: float, quantised: Callable[[str], Any], mobile: SimpleNamespace
) -> None:
    got = on_all_rows(quantised(technique).file, mobile.rows)
    assert got.dtype == np.float32
    assert relative(got, mobile.wanted) < largest


@pytest.mark.parametrize(
    ("technique", "share", "schemes"),
    [("fp16", 0.0, {""}), ("int8-static", 1.0, {"static"}), ("int8-dynamic", 60 / MACS, {"", "dynamic"})],
)
def test_the_reader_sees_what_is_quantised_and_how(
    technique: str, share: float, schemes: set[str], quantised: Callable[[str], Any]
) -> None:
    graph = quantised(technique).graph
    assert graph.int8_macs_share == share
    assert {op.scheme for op in graph.operators if op.macs} == schemes


@pytest.mark.parametrize("technique", DEFAULTS)
def test_less_precision_changes_neither_multiply_accumulates_nor_parameters(
    technique: str, quantised: Callable[[str], Any], mobile: SimpleNamespace
) -> None:
    graph, before = quantised(technique).graph, READER.read(mobile.file)
    assert (graph.macs, graph.parameters) == (before.macs, before.parameters)


def test_clamps_and_pads_stay_inside_integer_kernels(quantised: Callable[[str], Any]) -> None:
    graph = quantised("int8-static").graph
    assert [op.activation for op in graph.operators if op.kind == "conv"] == ["relu6", "relu6", "", "relu"]
    assert not [op for op in graph.operators if op.kind in {"relu6", "clip"}]
    assert {op.precision for op in graph.operators if op.kind == "pad"} == {"int8"}


def test_half_precision_says_what_is_stored_so_and_where_it_computes(quantised: Callable[[str], Any]) -> None:
    made = quantised("fp16")
    assert {op.precision for op in made.graph.operators if op.macs} == {"fp16"}
    assert any(line.startswith("weights of 1 of 5 layers stored in half precision") for line in made.notes)
    assert any("they compute in float" in line for line in made.notes)


def test_half_precision_leaves_only_the_conversions_at_its_ends_outside(quantised: Callable[[str], Any]) -> None:
    found = delegation(quantised("fp16").file)
    assert set(found.left) == {"_to_dim_order_copy"}
    assert not found.computing


@pytest.mark.parametrize("technique", ["int8-static", "int8-dynamic"])
def test_the_lineage_says_how_much_is_int8_and_what_xnnpack_takes(
    technique: str, quantised: Callable[[str], Any]
) -> None:
    notes = quantised(technique).notes
    assert any(line.startswith("int8: ") for line in notes)
    assert any("XNNPACK takes" in line for line in notes)


def test_corrected_biases_take_back_what_rounding_of_weights_does_to_the_mean(tmp_path: Path) -> None:
    torch.manual_seed(1)
    layer = nn.Linear(64, 4).eval()
    with torch.no_grad():
        layer.weight[0, 0] = 8.0  # makes the one step of all weights coarse
    rows = np.random.default_rng(2).normal(5.0, 0.1, (32, 64)).astype(np.float32)
    data = Data(name="rows", sha256="0", metric="top1", splits={"calibration": lambda: Split(inputs=(rows,))})
    inputs = (TensorSpec(name="x", shape=(None, 64), dtype="float32"),)
    context = context_in(tmp_path / "float", example=(rows[:1],), inputs=inputs, data=data)
    program = program_of(layer, (rows[:1],), tmp_path / "layer.pt2")
    made = IMPLEMENTED["int8-static"].apply(program, Int8Static(per_channel=False), context)
    with torch.no_grad():
        wanted = layer(torch.from_numpy(rows)).numpy()
        weight = layer.weight.numpy()
    step = 8.0 / 127
    uncorrected = np.abs((np.rint(weight / step) * step - weight) @ rows.mean(axis=0)).max()
    assert np.abs((on_all_rows(made, (rows,)) - wanted).mean(axis=0)).max() < uncorrected / 3


def test_options_of_static_quantisation_reach_the_file(tmp_path: Path) -> None:
    rows = np.random.default_rng(0).standard_normal((24, 8)).astype(np.float32)
    data = Data(name="rows", sha256="0", metric="top1", splits={"calibration": lambda: Split(inputs=(rows,))})
    notes: list[str] = []
    inputs = (TensorSpec(name="x", shape=(None, 8), dtype="float32"),)
    context = context_in(tmp_path, example=(rows[:1],), inputs=inputs, data=data, note=notes.append)
    program = program_of(nn.Linear(8, 4).eval(), (rows[:1],), tmp_path / "layer.pt2")
    options = Int8Static(samples=4, per_channel=False, symmetric_activations=True, correct_biases=False)
    file = IMPLEMENTED["int8-static"].apply(program, options, context)
    values = [value for value in network_of(load_file(file)).values if value.quantisation]
    assert {value.quantisation[:2] for value in values} == {("tensor", 0)}  # one scale, and no zero point
    assert notes[0] == "calibrated on 4 of 24 rows, method minmax"
    assert not any("biases" in line for line in notes)


def test_options_that_xnnpack_does_not_have_are_refused_by_name() -> None:
    assert {"method", "percentile", "reduce_range", "max_drop"} == IMPLEMENTED["int8-static"].unsupported
    for technique, found in IMPLEMENTED.items():
        assert found.unsupported <= set(type(DEFAULTS[technique]).__dataclass_fields__)


def test_static_quantisation_without_rows_says_what_needs_none(mobile: SimpleNamespace, tmp_path: Path) -> None:
    context = replace(mobile.context, workdir=tmp_path, data=None)
    with pytest.raises(ArtifactError, match="int8-dynamic, which needs none"):
        IMPLEMENTED["int8-static"].apply(mobile.program, Int8Static(), context)


def test_rows_of_another_shape_are_refused(mobile: SimpleNamespace, tmp_path: Path) -> None:
    rows = Split(inputs=(np.zeros((4, 3, 8, 8), np.float32), np.zeros((4, 12), np.float32)))
    data = Data(name="other", sha256="0", metric="top1", splits={"calibration": lambda: rows})
    with pytest.raises(ArtifactError, match="calibration rows have"):
        IMPLEMENTED["int8-static"].apply(
            mobile.program, Int8Static(), replace(mobile.context, workdir=tmp_path, data=data)
        )


# --- programs of simulated int8


class Simulated(nn.Module):  # type: ignore[misc, name-defined]
    """What training with simulated int8 leaves: uint8 activations, int8 weights, a last layer without a range."""

    def __init__(self) -> None:
        super().__init__()
        draw = torch.Generator().manual_seed(0)
        for name, shape in (("conv", (6, 3, 3, 3)), ("linear", (4, 6))):
            self.register_buffer(f"{name}_levels", torch.randint(-127, 128, shape, generator=draw, dtype=torch.int8))
            self.register_buffer(f"{name}_scale", torch.full((shape[0],), 0.01))
            self.register_buffer(f"{name}_zero", torch.zeros(shape[0], dtype=torch.int64))
        self.bias = nn.Parameter(torch.randn(4, generator=draw))

    def _weight(self, name: str) -> Any:
        levels, scale, zero = (getattr(self, f"{name}_{part}") for part in ("levels", "scale", "zero"))
        space = torch.ops.quantized_decomposed
        return space.dequantize_per_channel(levels, scale, zero, 0, -127, 127, torch.int8)

    def _rounded(self, x: Any, scale: float, zero: int) -> Any:
        space, how = torch.ops.quantized_decomposed, (scale, zero, 0, 255, torch.uint8)
        return space.dequantize_per_tensor(space.quantize_per_tensor(x, *how), *how)

    def forward(self, x: Any) -> Any:
        x = nn.functional.relu(nn.functional.conv2d(self._rounded(x, 0.03, 127), self._weight("conv"), None, 1, 1))
        x = self._rounded(self._rounded(x, 0.06, 0).mean((2, 3)), 0.02, 0)
        return nn.functional.linear(x, self._weight("linear"), self.bias)


@pytest.fixture(scope="module")
def simulated(tmp_path_factory: pytest.TempPathFactory) -> SimpleNamespace:
    import torch.ao.quantization.fx._decomposed  # registers its operators

    place = tmp_path_factory.mktemp("simulated")
    module = Simulated().eval()
    rows = np.random.default_rng(3).standard_normal((16, *SHAPE)).astype(np.float32)
    data = Data(name="noise", sha256="0", metric="top1", splits={"calibration": lambda: Split(inputs=(rows,))})
    inputs = (TensorSpec(name="x", shape=(None, *SHAPE), dtype="float32"),)
    context = context_in(place / "work", example=(rows[:1],), inputs=inputs, data=data)
    program = program_of(module, (rows[:1],), place / "simulated.pt2")
    with torch.no_grad():
        wanted = module(torch.from_numpy(rows)).numpy()
    return SimpleNamespace(program=program, context=context, rows=rows, wanted=wanted)


def test_a_program_of_simulated_int8_becomes_one_that_xnnpack_runs_in_integers(
    simulated: SimpleNamespace, tmp_path: Path
) -> None:
    notes: list[str] = []
    file = CONVERTER.convert(simulated.program, replace(simulated.context, workdir=tmp_path, note=notes.append))
    assert READER.read(file).int8_macs_share == 1.0
    assert not delegation(file).left
    assert notes[0] == "result of 1 layer in int8 too, range from 16 calibration rows"
    assert relative(on_all_rows(file, (simulated.rows,)), simulated.wanted) < 0.1


def test_without_rows_the_layer_that_has_no_range_goes_back_to_float(
    simulated: SimpleNamespace, tmp_path: Path
) -> None:
    notes: list[str] = []
    context = replace(simulated.context, workdir=tmp_path, note=notes.append, data=None)
    file = CONVERTER.convert(simulated.program, context)
    assert {op.kind: op.precision for op in READER.read(file).operators if op.macs} == {
        "conv": "int8",
        "fully_connected": "fp32",
    }
    assert "back in float" in notes[0]


@pytest.mark.parametrize("technique", DEFAULTS)
def test_a_quantised_program_is_not_quantised_again(technique: str, simulated: SimpleNamespace, tmp_path: Path) -> None:
    with pytest.raises(UnsupportedError, match="quantised already"):
        IMPLEMENTED[technique].apply(
            simulated.program, DEFAULTS[technique], replace(simulated.context, workdir=tmp_path)
        )


# --- the backend


@pytest.mark.parametrize("threads", [1, 2])
def test_as_many_threads_work_as_were_asked_for(threads: int, mobile: SimpleNamespace, tmp_path: Path) -> None:
    """Counted by what the kernel says each thread of a fresh process did."""
    script = f"""
import sys
from pathlib import Path
sys.path[:0] = {sys.path!r}
import numpy as np
import bench_executorch
from harness import SessionOptions
(backend,) = bench_executorch.harness_backends()
options = SessionOptions(threads={threads}, options=backend.options(), inputs=())
session = backend.open(Path({str(mobile.file)!r}), options)
call = session.bind(tuple(np.ones(shape, np.float32) for shape in [(1, 3, 16, 16), (1, 12)]))
def worked():
    tasks = Path("/proc/self/task").iterdir()
    return {{task.name: int((task / "schedstat").read_text().split()[0]) for task in tasks}}
before = worked()
for _ in range(2000):
    call()
spent = [ns - before.get(name, 0) for name, ns in worked().items()]
print(session.threads(), sum(ns > max(spent) / 5 for ns in spent))
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.split() == [str(threads), str(threads)]
    assert done.stderr == ""


def test_another_number_of_threads_waits_until_open_sessions_are_closed(mobile: SimpleNamespace) -> None:
    session = opened(mobile.file, threads=1)
    with pytest.raises(UnsupportedError, match="runs with 1 threads in this process"):
        opened(mobile.file, threads=2)
    session.close()
    other = opened(mobile.file, threads=2)
    assert other.threads() == 2
    other.close()


def test_the_call_of_a_program_of_ours_is_the_method_alone(mobile: SimpleNamespace) -> None:
    session = opened(mobile.file)
    assert session.bind(mobile.context.example).__name__ == "execute"
    session.close()


@pytest.fixture(scope="module")
def portable(tmp_path_factory: pytest.TempPathFactory) -> SimpleNamespace:
    """A program without a delegate, and with memory of its own for its input."""
    torch.manual_seed(0)
    module = nn.Sequential(nn.Conv2d(3, 4, 3, 2, 1), nn.ReLU(), nn.Flatten(), nn.Linear(256, 3)).eval()
    x = torch.from_numpy(np.random.default_rng(0).standard_normal((1, *SHAPE)).astype(np.float32))
    file = exported(module, (x,), tmp_path_factory.mktemp("portable") / "net.pte", delegated=False)
    with torch.no_grad():
        return SimpleNamespace(file=file, x=x.numpy(), wanted=module(x).numpy(), module=module)


def test_portable_kernels_are_refused_with_their_names_and_what_to_ask_for(portable: SimpleNamespace) -> None:
    with pytest.raises(UnsupportedError, match=r"1 addmm, 1 convolution, 1 relu") as caught:
        opened(portable.file)
    assert "executorch(portable=true)" in caught.value.hint


def test_portable_kernels_run_when_they_are_asked_for(portable: SimpleNamespace) -> None:
    (got,) = run(portable.file, portable.x, portable=True)
    np.testing.assert_allclose(got, portable.wanted, rtol=1e-4, atol=1e-6)


def test_inputs_in_memory_of_the_program_are_there_at_every_call(portable: SimpleNamespace) -> None:
    session = opened(portable.file, portable=True)
    call = session.bind((portable.x,))
    for _ in range(3):
        call()
    np.testing.assert_allclose(session.outputs()[0], portable.wanted, rtol=1e-4, atol=1e-6)
    session.close()


def test_notes_name_what_is_delegated_and_what_is_left(mobile: SimpleNamespace, portable: SimpleNamespace) -> None:
    options = SessionOptions(threads=1, options=BACKEND.options(), inputs=())
    (line,) = BACKEND.notes(mobile.file, options)
    operators = len(READER.read(mobile.file).operators)
    assert line == f"XNNPACK takes {operators} of {operators} operators, 100 % of the multiply-accumulates"
    (line,) = BACKEND.notes(portable.file, options)
    assert line.startswith("no delegate takes 0 of ")
    assert "0 % of the multiply-accumulates; left to portable kernels: 1 addmm, 1 convolution" in line


def test_it_says_that_its_runtime_brings_torch() -> None:
    assert BACKEND.also_imports == "torch"


@pytest.mark.parametrize("wrong", [(np.zeros((1, 3, 8, 8), np.float32),), (np.zeros((1, *SHAPE), np.int64),)])
def test_inputs_of_another_shape_or_type_are_refused(wrong: tuple[np.ndarray, ...], mobile: SimpleNamespace) -> None:
    session = opened(mobile.file)
    with pytest.raises(ArtifactError, match=r"input 0 takes float32 \[1, 3, 16, 16\]"):
        session.bind((*wrong, mobile.context.example[1]))
    session.close()


# --- reading


def test_the_graph_has_the_shapes_and_the_arithmetic_of_the_network(mobile: SimpleNamespace) -> None:
    graph = READER.read(mobile.file)
    assert graph.macs == MACS
    norm_folded = 8 * 27 + 8 + 8 * 9 + 8 + 8 * 8 + 8 + 12 * 36 + 12 + 5 * 12 + 5
    assert graph.parameters == norm_folded
    stem, depth, point, wide = (op for op in graph.operators if op.kind == "conv")
    assert [op.attributes["groups"] for op in (stem, depth, point, wide)] == [1, 8, 1, 2]
    assert stem.attributes["stride"] == (2, 2)
    assert stem.attributes["pads"] == (1, 1, 1, 1)
    (pad,) = (op for op in graph.operators if op.kind == "pad")
    assert pad.attributes["pads"] == (0, 0, 1, 0, 0, 0, 1, 2)
    assert [graph.tensors[op.inputs[1]].shape for op in (depth, wide)] == [(8, 1, 3, 3), (12, 4, 3, 3)]
    assert graph.tensors[wide.outputs[0]].shape == (1, 12, 8, 8)
    assert [graph.tensors[name].shape for name in graph.inputs] == [(1, *SHAPE), (1, 12)]


def test_a_program_without_a_delegate_has_the_same_arithmetic(portable: SimpleNamespace, tmp_path: Path) -> None:
    x = torch.from_numpy(portable.x)
    delegated = READER.read(exported(portable.module, (x,), tmp_path / "net.pte", delegated=True))
    graph = READER.read(portable.file)
    assert graph.macs == delegated.macs == 4 * 64 * 27 + 256 * 3
    assert graph.parameters == delegated.parameters == 4 * 27 + 4 + 256 * 3 + 3
    (mine,), (theirs,) = ([op for op in g.operators if op.kind == "conv"] for g in (graph, delegated))
    assert mine.attributes == theirs.attributes


def test_zeros_of_weights_are_counted_in_float_and_in_int8(tmp_path: Path) -> None:
    layer = nn.Linear(8, 4).eval()
    with torch.no_grad():
        layer.weight.copy_(torch.linspace(0.5, 1.0, 32).reshape(4, 8))
        layer.weight[:, :2] = 0.0
    rows = np.random.default_rng(0).standard_normal((4, 8)).astype(np.float32)
    data = Data(name="rows", sha256="0", metric="top1", splits={"calibration": lambda: Split(inputs=(rows,))})
    inputs = (TensorSpec(name="x", shape=(None, 8), dtype="float32"),)
    context = context_in(tmp_path, example=(rows[:1],), inputs=inputs, data=data)
    program = program_of(layer, (rows[:1],), tmp_path / "layer.pt2")
    for file in (CONVERTER.convert(program, context), IMPLEMENTED["int8-static"].apply(program, Int8Static(), context)):
        graph = READER.read(file)
        (linear,) = (op for op in graph.operators if op.macs)
        assert graph.tensors[linear.inputs[1]].zeros == 0.25


def test_the_hash_knows_the_weights_and_not_how_the_file_is_laid_out(portable: SimpleNamespace, tmp_path: Path) -> None:
    x = torch.from_numpy(portable.x)
    file = exported(portable.module, (x,), tmp_path / "a.pte", delegated=True, planned=True)
    other = exported(portable.module, (x,), tmp_path / "b.pte", delegated=True, planned=False)
    assert file.read_bytes() != other.read_bytes()
    assert READER.content_sha256(file) == READER.content_sha256(other)
    content = bytearray(file.read_bytes())
    weight = portable.module[3].weight.detach().numpy().tobytes()
    content[content.index(weight)] ^= 1
    (tmp_path / "c.pte").write_bytes(content)
    assert READER.content_sha256(tmp_path / "c.pte") != READER.content_sha256(file)


@pytest.mark.parametrize("share", [0.05, 0.3, 0.9])
def test_a_file_that_ends_too_soon_is_refused(share: float, mobile: SimpleNamespace, tmp_path: Path) -> None:
    content = mobile.file.read_bytes()
    (tmp_path / "cut.pte").write_bytes(content[: int(share * len(content))])
    for use in (READER.read, READER.content_sha256, opened):
        with pytest.raises(ArtifactError):
            use(tmp_path / "cut.pte")


def test_reading_imports_neither_executorch_nor_torch(mobile: SimpleNamespace) -> None:
    script = (
        f"import sys; sys.path[:0] = {sys.path!r}\n"
        "from pathlib import Path\nimport bench_executorch\n"
        "(reader,) = bench_executorch.harness_graph_readers()\n"
        f"reader.read(Path({str(mobile.file)!r}))\n"
        "print([name for name in ('torch', 'executorch') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


# --- a user's own file


def test_a_file_of_the_users_is_a_model_with_what_its_method_says(portable: SimpleNamespace) -> None:
    model = SOURCE.load(str(portable.file), Path(), 0)
    assert model.format == "pte"
    assert [(spec.shape, spec.dtype) for spec in model.inputs] == [((1, *SHAPE), "float32")]
    assert model.sha256 == READER.content_sha256(portable.file)
    assert "left to portable kernels" in model.note


def test_a_batch_other_than_1_is_refused(tmp_path: Path) -> None:
    file = exported(nn.Linear(3, 2).eval(), (torch.zeros(4, 3),), tmp_path / "four.pte", delegated=True)
    with pytest.raises(ArtifactError, match="batch fixed to 4"):
        SOURCE.load(str(file), Path(), 0)


@pytest.mark.parametrize("content", [b"", b"TFL3TFL3TFL3", b"\x10\0\0\0ET12 and nothing of the kind"])
def test_other_files_are_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "net.pte").write_bytes(content)
    with pytest.raises(ArtifactError):
        SOURCE.load(str(tmp_path / "net.pte"), Path(), 0)
