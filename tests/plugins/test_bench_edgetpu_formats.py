"""One network as ONNX and as LiteRT file: the Edge TPU's stub says the same of both."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import bench_litert
import bench_onnx
import bench_quantize
import bench_torch
from bench_edgetpu.gate import judge
from bench_edgetpu.partition import partition
from bench_edgetpu.simulation import simulate
from bench_quantize.options import Int8Dynamic, Int8Static, WeightOnlyInt8
from harness import BuildContext, Data, NoOptions, OpGraph, Simulation, Split, TensorSpec

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

torch = pytest.importorskip("torch")
for _module in ("ai_edge_litert", "litert_torch", "ai_edge_quantizer"):
    if bench_litert.if_installed(_module, install="")().ok is False:
        pytest.skip(f"{_module} is not installed", allow_module_level=True)

nn = torch.nn

FACTS = {"t0_ms": 1.0, "macs_per_s": 1.0e9, "link_bytes_per_s": 500e6, "cache_bytes": 1000.0}
"""A slow accelerator with little memory, so that every multiply-accumulate and every parameter shows in the latency."""

FORMATS = ("onnx", "tflite")
READ = {each.format: each.read for each in (*bench_onnx.harness_graph_readers(), *bench_litert.harness_graph_readers())}
CONVERT = {
    each.target: each.convert
    for each in (*bench_torch.harness_converters(), *bench_litert.harness_converters())
    if each.source == "pt2" and each.target in FORMATS
}
APPLY = {
    (each.format, each.technique): each.apply
    for each in (*bench_quantize.harness_implementations(), *bench_litert.harness_implementations())
}
OPTIONS: dict[str, Any] = {
    "fp16": NoOptions(), "int8-static": Int8Static(), "int8-dynamic": Int8Dynamic(operators="all"),
    "weight-only-int8": WeightOnlyInt8(),
}  # fmt: skip


class Pictures(nn.Module):  # type: ignore[misc, name-defined]
    """Strided, depthwise and pointwise convolutions, a sum, a window, a mean and a linear layer."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.depth = nn.Conv2d(3, 8, 3, 2, 1), nn.Conv2d(8, 8, 3, 1, 1, groups=8)
        self.point, self.wide, self.head = nn.Conv2d(8, 8, 1), nn.Conv2d(8, 12, 3, 1, 1), nn.Linear(12, 5)

    def forward(self, x: Any) -> Any:
        x = nn.functional.relu6(self.stem(x))
        x = x + self.point(nn.functional.relu6(self.depth(x)))
        x = nn.functional.max_pool2d(nn.functional.relu(self.wide(x)), 2)
        return self.head(x.mean((2, 3)))


class Watch(nn.Module):  # type: ignore[misc, name-defined]
    """Convolutions along time."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second, self.head = nn.Conv1d(6, 16, 5, 1, 2), nn.Conv1d(16, 24, 5, 2, 2), nn.Linear(24, 7)

    def forward(self, x: Any) -> Any:
        x = nn.functional.relu(self.first(x))
        return self.head(nn.functional.relu(self.second(x)).mean(2))


NETWORKS: dict[str, tuple[Any, tuple[int, ...]]] = {"pictures": (Pictures, (3, 16, 16)), "watch": (Watch, (6, 40))}


@dataclass(frozen=True)
class Made:
    """A network in one format, and what a technique is given to turn it into another file."""

    file: Path
    context: BuildContext


class Workshop:
    """Networks in both formats after a technique, `baseline` for none; each is made once."""

    def __init__(self, places: pytest.TempPathFactory) -> None:
        self.places = places
        self.sources: dict[tuple[str, str], Made] = {}
        self.files: dict[tuple[str, str, str], Path] = {}

    def source(self, network: str, form: str) -> Made:
        if (network, form) not in self.sources:
            self.sources[network, form] = _file(network, form, self.places.mktemp(f"{network}-{form}"))
        return self.sources[network, form]

    def file(self, network: str, form: str, technique: str) -> Path:
        made = self.source(network, form)
        if technique == "baseline":
            return made.file
        key = (network, form, technique)
        if key not in self.files:
            context = replace(made.context, workdir=self.places.mktemp("-".join(key)))
            self.files[key] = APPLY[form, technique](made.file, OPTIONS[technique], context)
        return self.files[key]

    def graphs(self, network: str, technique: str) -> Sequence[OpGraph]:
        """As ONNX and as LiteRT file."""
        return [READ[form](self.file(network, form, technique)) for form in FORMATS]


@pytest.fixture(scope="module")
def converted(tmp_path_factory: pytest.TempPathFactory) -> Workshop:
    return Workshop(tmp_path_factory)


def _file(network: str, form: str, folder: Path) -> Made:
    torch.manual_seed(0)
    factory, shape = NETWORKS[network]
    rows = np.random.default_rng(0).standard_normal((16, *shape)).astype(np.float32)
    data = Data(name="noise", sha256="0", metric="top1", splits={"calibration": lambda: Split(inputs=(rows,))})
    context = BuildContext(
        workdir=folder, seed=0, threads=1, data=data, outputs=("logits",), note=lambda line: None, example=(rows[:1],),
        inputs=(TensorSpec(name="x", shape=(None, *shape), dtype="float32"),),
    )  # fmt: skip
    program = torch.export.export(
        factory().eval(), (torch.from_numpy(rows[:2]),), dynamic_shapes=[{0: torch.export.Dim("batch")}]
    )
    torch.export.save(program, folder / "model.pt2")
    return Made(file=CONVERT[form](folder / "model.pt2", context), context=context)


def codes(found: Simulation) -> set[str]:
    return {each.code for each in found.rejections}


@pytest.mark.parametrize("network", NETWORKS)
def test_a_static_network_maps_whole_in_both_formats(converted: Workshop, network: str) -> None:
    for graph in converted.graphs(network, "int8-static"):
        cut = partition(graph, judge(graph), 1e9)
        assert simulate(graph, FACTS).rejections == ()
        assert (cut.mapped_macs, cut.cpu_macs) == (graph.macs, 0)


@pytest.mark.parametrize("network", NETWORKS)
def test_a_static_network_has_the_same_work_parameters_crossings_and_latency_in_both_formats(
    converted: Workshop, network: str
) -> None:
    onnx, tflite = converted.graphs(network, "int8-static")
    one, other = (partition(graph, judge(graph), 1e9) for graph in (onnx, tflite))
    assert one.mapped_macs == other.mapped_macs
    assert one.cached_bytes == other.cached_bytes
    assert one.crossing_bytes == other.crossing_bytes
    assert simulate(onnx, FACTS).latency_ms == simulate(tflite, FACTS).latency_ms


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize(
    ("technique", "code"),
    [
        ("baseline", "NOT_QUANTISED"),
        ("fp16", "NOT_QUANTISED"),
        ("int8-dynamic", "DYNAMIC_RANGE_ONLY"),
        ("weight-only-int8", "DYNAMIC_RANGE_ONLY"),
    ],
)
def test_what_is_not_quantised_statically_is_refused_for_the_same_reason_in_both_formats(
    converted: Workshop, network: str, technique: str, code: str
) -> None:
    onnx, tflite = (simulate(graph, FACTS) for graph in converted.graphs(network, technique))
    assert (onnx.latency_ms, tflite.latency_ms) == (None, None)
    assert onnx.rejections[0].code == tflite.rejections[0].code == code
    assert codes(onnx) == codes(tflite)


def with_free_size(path: Path, axis: int) -> Path:
    """The file with one size of its activations left open, as converters of networks for any picture write it."""
    import flatbuffers

    from bench_litert.schema_file import load

    model = load(path)
    graph = model.subgraphs[0]
    for index in {*graph.inputs, *(each for op in graph.operators for each in op.outputs)}:
        tensor = graph.tensors[index]
        tensor.shapeSignature = [-1 if at == axis else int(size) for at, size in enumerate(tensor.shape)]
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    made = path.parent / f"free{axis}.tflite"
    made.write_bytes(bytes(builder.Output()))
    return made


def test_a_size_that_a_litert_file_leaves_open_is_a_dynamic_shape_and_an_open_batch_is_none(
    converted: Workshop,
) -> None:
    static = converted.file("watch", "tflite", "int8-static")
    assert simulate(READ["tflite"](with_free_size(static, 0)), FACTS).rejections == ()
    free = READ["tflite"](with_free_size(static, 2))
    assert free.tensors[free.inputs[0]].shape == (1, 6, -1)
    assert free.macs == READ["tflite"](static).macs
    assert codes(simulate(free, FACTS)) == {"DYNAMIC_SHAPE"}
