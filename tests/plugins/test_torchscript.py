"""TorchScript in bench_torch: made, read, run, quantised, and brought by a user."""

from __future__ import annotations

import subprocess
import sys
import textwrap
import warnings
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import bench_torch
from bench_quantize.options import Int8Dynamic, Int8Static
from bench_torch import TorchOptions
from harness import ArtifactError, SessionOptions, Split, TensorSpec, UnsupportedError
from harness.host import Host
from harness.recipe import parse_recipe
from harness.route import NoRoute, find_route
from harness.testing import build_context
from harness.testing.loading import load_among

if TYPE_CHECKING:
    from collections.abc import Callable

torch = pytest.importorskip("torch")

from bench_torch import layers  # noqa: E402
from bench_torch.checkpoint import save  # noqa: E402
from bench_torch.engine import load_with_engine  # noqa: E402
from bench_torch.script_export import convert  # noqa: E402
from bench_torch.script_file import inputs_of  # noqa: E402

nn = torch.nn
functional = torch.nn.functional

(BACKEND,) = bench_torch.harness_backends()
READERS = {each.format: each for each in bench_torch.harness_graph_readers()}
READER = READERS["torchscript"]
SOURCES = {each.name: each for each in bench_torch.harness_models()}
IMPLEMENTED = {each.technique: each for each in bench_torch.harness_implementations()}

SHAPE = (1, 3, 12, 12)


class Net(nn.Module):
    """Layers, a pad of its own, an activation with a bound, a sum, and code that looks at sizes."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, bias=False)
        self.norm = nn.BatchNorm2d(8)
        self.pad = nn.ZeroPad2d(1)
        self.depthwise = nn.Parameter(torch.randn(8, 1, 3, 3) / 3)
        self.head = nn.Linear(8, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = functional.relu6(self.body(x))
        x = x + torch.relu(functional.conv2d(self.pad(x), self.depthwise, groups=8))
        return self.head(x.mean((2, 3)).view(x.size(0), -1))

    def body(self, x: torch.Tensor) -> torch.Tensor:
        return self.norm(self.stem(x))


class Branching(nn.Module):
    """What tracing cannot keep: a branch on values."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(6, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if bool(x[0, 0] > 0):
            return self.layer(x)
        return self.layer(x) * 2.0


class Attending(nn.Module):
    """Products of what is computed, around a softmax."""

    def __init__(self) -> None:
        super().__init__()
        self.query, self.key, self.value = nn.Linear(8, 8), nn.Linear(8, 8), nn.Linear(8, 8)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        weights = torch.softmax(torch.matmul(self.query(x), self.key(x).transpose(1, 2)), dim=-1)
        return torch.matmul(weights, self.value(x)).mean(1)


class Untraceable(nn.Module):
    """What torch.fx cannot follow: as many steps as a value says."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(6, 6)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for _ in range(min(2, int(x.shape[0] + 1))):
            x = torch.tanh(self.layer(x))
        return x


def rows(shape: tuple[int, ...] = SHAPE, count: int = 24) -> Split:
    random = np.random.default_rng(0)
    return Split(inputs=(random.standard_normal((count, *shape[1:])).astype(np.float32),), labels=np.zeros(count, int))


def network() -> Net:
    torch.manual_seed(0)
    net = Net().train()
    with torch.no_grad():
        net.body(torch.from_numpy(rows().inputs[0]))
    return net.eval()


class Bench:
    """A folder in which checkpoints become files."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.notes, self.made = folder, [], 0
        self.host = load_among()

    def context(self, split: Split) -> Any:
        self.made += 1
        return build_context(self.folder / str(self.made), host=self.host, data=split, note=self.notes.append)

    def checkpoint(self, net: nn.Module, split: Split) -> Path:
        self.made += 1
        path = self.folder / f"{self.made}.ckpt.pt"
        save(net, tuple(torch.from_numpy(x[:1]) for x in split.inputs), path)
        return path

    def convert(self, net: nn.Module, split: Split) -> Path:
        return convert(self.checkpoint(net, split), self.context(split))

    def quantise(self, net: nn.Module, technique: str, options: Any, split: Split) -> Path:
        return IMPLEMENTED[technique].apply(self.checkpoint(net, split), options, self.context(split))


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """One network in float and after both techniques."""
    bench = Bench(tmp_path_factory.mktemp("made"))
    return {
        "float": bench.convert(network(), rows()),
        "dynamic": bench.quantise(network(), "int8-dynamic", Int8Dynamic(), rows()),
        "static": bench.quantise(network(), "int8-static", Int8Static(), rows()),
    }


def options(split: Split, **more: Any) -> SessionOptions:
    inputs = tuple(TensorSpec(name=f"input_{i}", shape=(None, *x.shape[1:]), dtype=x.dtype.name)
                   for i, x in enumerate(split.inputs))  # fmt: skip
    return SessionOptions(threads=1, options=TorchOptions(**more), inputs=inputs)


def outputs(path: Path, split: Split, **more: Any) -> np.ndarray:
    session = BACKEND.open(path, options(split, **more))
    try:
        found = []
        for row in range(len(split)):
            session.bind(tuple(x[row : row + 1] for x in split.inputs))()
            found.append(session.outputs()[0])
        return np.concatenate(found)
    finally:
        session.close()


def expected(net: nn.Module, split: Split) -> np.ndarray:
    with torch.no_grad():
        return net(*(torch.from_numpy(x) for x in split.inputs)).numpy()


def distance(found: np.ndarray, wanted: np.ndarray) -> float:
    return float(np.linalg.norm(found - wanted) / np.linalg.norm(wanted - wanted.mean(0)))


def traced(net: nn.Module, example: torch.Tensor, path: Path, **more: Any) -> Path:
    """A file as a user would save it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        made = torch.jit.trace(net, example)
        made = torch.jit.freeze(made) if more.pop("frozen", False) else made
        torch.jit.save(made, str(path), **more)
    return path


def scripted(net: nn.Module, path: Path, **more: Any) -> Path:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.save(torch.jit.script(net), str(path), **more)
    return path


INPUTS = {"inputs.json": '[{"shape": [1, 6], "dtype": "float32"}]'}


# making


def test_a_converted_network_gives_the_modules_numbers(made: dict[str, Path]) -> None:
    assert distance(outputs(made["float"], rows()), expected(network(), rows())) < 1e-5


def test_a_branch_on_values_is_compiled_from_source_and_said(bench: Bench) -> None:
    split = rows((1, 6))
    split.inputs[0][:, 0], split.inputs[0][:, -1] = 1.0, -1.0  # back to front it takes the other branch
    path = bench.convert(Branching().eval(), split)
    assert any("torch.jit.script" in note and "tracing fails" in note for note in bench.notes)
    net = load_checkpointed(bench, split)
    assert distance(outputs(path, split), by_row(net, split)) < 1e-5


def load_checkpointed(bench: Bench, split: Split) -> nn.Module:
    from bench_torch.checkpoint import load

    return load(next(bench.folder.glob("*.ckpt.pt")))[0]


def by_row(net: nn.Module, split: Split) -> np.ndarray:
    return np.concatenate([expected(net, Split(inputs=(x[None],), labels=None)) for x in split.inputs[0]])


def test_what_torch_says_of_torchscript_is_in_the_lineage(bench: Bench) -> None:
    bench.convert(network(), rows())
    (line,) = (note for note in bench.notes if "deprecated" in note)
    assert torch.__version__ in line
    assert "`torch.jit.trace` is deprecated" in line
    assert "ExecuTorch" in line


def test_ways_to_other_formats_are_what_they_were() -> None:
    host = load_among()
    assert names(host, "baseline", "pt2", "torchscript") == ["module → checkpoint", "checkpoint → pt2"]
    assert names(host, "baseline", "onnx") == ["module → checkpoint", "checkpoint → onnx"]
    assert names(host, "int8-static", "onnx")[-1] == "int8-static@onnx"
    assert names(host, "qat-int8", "pt2", "torchscript") == ["qat-int8@module"]


def test_int8_for_torch_is_done_on_the_checkpoint() -> None:
    host = load_among()
    for technique in ("int8-static", "int8-dynamic"):
        wanted = ["module → checkpoint", f"{technique}@checkpoint"]
        assert names(host, technique, *BACKEND.reads) == wanted


def names(host: Host, recipe: str, *reads: str) -> list[str]:
    route = find_route(host, "module", parse_recipe(recipe), reads)
    assert not isinstance(route, NoRoute), route
    return [step.name for step in route]


@pytest.mark.parametrize(
    "recipe",
    ['int8-static(method="entropy")', "int8-static(symmetric_activations=true)", "int8-static(max_drop=1.0)",
     'int8-dynamic(operators="all")'],
)  # fmt: skip
def test_an_option_that_torch_cannot_keep_is_refused_by_name(recipe: str) -> None:
    route = find_route(load_among("bench_torch", "bench_quantize"), "module", parse_recipe(recipe), BACKEND.reads)
    assert isinstance(route, NoRoute)
    assert recipe.partition("(")[2].partition("=")[0] in route.detail


# running


def test_compiling_torchscript_is_refused(made: dict[str, Path]) -> None:
    with pytest.raises(UnsupportedError, match="TorchScript"):
        BACKEND.open(made["float"], options(rows(), compile=True))


def test_an_engine_that_this_build_lacks_is_refused(made: dict[str, Path]) -> None:
    with pytest.raises(UnsupportedError, match="engine=abacus"):
        load_with_engine(made["static"], "abacus")


@pytest.mark.parametrize("engine", [e for e in torch.backends.quantized.supported_engines if e != "none"])
def test_every_engine_computes_the_same_up_to_steps(made: dict[str, Path], engine: str) -> None:
    assert distance(outputs(made["static"], rows(), engine=engine), expected(network(), rows())) < 0.1


def test_notes_name_the_kernels_and_what_torch_says(made: dict[str, Path]) -> None:
    kernels, faster, deprecated = BACKEND.notes(made["static"], options(rows(), engine="x86"))
    assert "engine x86" in kernels
    assert "part of the difference in speed is TorchScript's" in faster
    assert "`torch.jit.load` is deprecated" in deprecated


def test_notes_on_a_float_network_say_nothing_of_kernels(made: dict[str, Path]) -> None:
    (line,) = BACKEND.notes(made["float"], options(rows()))
    assert "deprecated" in line


def test_threads_are_read_back(made: dict[str, Path]) -> None:
    session = BACKEND.open(made["float"], options(rows()))
    assert session.threads() == 1
    session.close()


def test_a_session_prints_nothing(made: dict[str, Path], tmp_path: Path) -> None:
    code = f"""
        import sys
        sys.path.insert(0, {str(Path(bench_torch.__file__).parents[1])!r})
        from pathlib import Path
        import numpy as np
        import bench_torch
        from harness import SessionOptions, TensorSpec
        (backend,) = bench_torch.harness_backends()
        backend.prepare()
        spec = TensorSpec(name="x", shape={SHAPE!r}, dtype="float32")
        how = SessionOptions(threads=1, options=bench_torch.TorchOptions(), inputs=(spec,))
        session = backend.open(Path({str(made["static"])!r}), how)
        session.bind((np.zeros({SHAPE!r}, np.float32),))()
        session.close()
    """
    run = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, check=True)
    assert (run.stdout, run.stderr) == ("", "")


def test_operator_times_name_operators_of_the_file(made: dict[str, Path]) -> None:
    found = BACKEND.operators(made["static"], options(rows()), tuple(x[:1] for x in rows().inputs), 3)
    compute = [each for each in found if each.does == "compute"]
    assert [each.precision for each in compute] == ["int8"] * 3
    assert {each.kind.partition("::")[0] for each in compute} == {"quantized"}
    names = {operator.name for operator in READER.read(made["static"]).operators}
    assert {each.name for each in compute} <= names


# int8


def test_int8_stays_close_to_the_module(made: dict[str, Path]) -> None:
    wanted = expected(network(), rows())
    assert distance(outputs(made["static"], rows()), wanted) < 0.1
    assert distance(outputs(made["dynamic"], rows()), wanted) < 0.05


def test_static_int8_reaches_every_layer_and_fuses_it(made: dict[str, Path]) -> None:
    graph = READER.read(made["static"])
    assert graph.int8_macs_share == 1.0
    assert [op.source for op in graph.operators if op.kind == "conv"] == ["quantized::conv2d_relu"] * 2
    assert not [op for op in graph.operators if op.kind in {"batch_norm", "relu", "relu6", "pad"}]
    assert {op.scheme for op in graph.operators if op.macs} == {"static"}


def test_dynamic_int8_reaches_linear_layers_alone(made: dict[str, Path]) -> None:
    graph = READER.read(made["dynamic"])
    linear = next(op for op in graph.operators if op.kind == "fully_connected")
    assert (linear.precision, linear.scheme) == ("int8", "dynamic")
    assert graph.int8_macs_share == pytest.approx(linear.macs / graph.macs)
    assert {op.precision for op in graph.operators if op.kind == "conv"} == {"fp32"}


def test_multiply_accumulates_are_those_of_the_float_network(made: dict[str, Path]) -> None:
    assert len({READER.read(path).macs for path in made.values()}) == 1


def test_a_bounded_activation_stays_bounded_in_int8(bench: Bench) -> None:
    net = nn.Sequential(nn.Conv2d(3, 4, 1), nn.ReLU6()).eval()
    with torch.no_grad():
        net[0].weight.mul_(20)
    found = outputs(bench.quantise(net, "int8-static", Int8Static(), rows()), rows())
    assert found.max() <= 6.0 + 1e-4
    assert distance(found, expected(net, rows())) < 0.1


def test_bias_correction_brings_means_back(bench: Bench) -> None:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Conv2d(8, 8, 3), nn.ReLU(), nn.Flatten(), nn.Linear(512, 4))
    split = Split(inputs=(rows().inputs[0] + 2.0,), labels=None)
    wanted = expected(net.eval(), split).mean(0)
    errors = [
        np.abs(outputs(bench.quantise(net, "int8-static", Int8Static(per_channel=False, correct_biases=yes), split),
                       split).mean(0) - wanted).max()
        for yes in (True, False)
    ]  # fmt: skip
    assert errors[0] < errors[1]
    assert any(note == "biases corrected: 3" for note in bench.notes)


def test_reduce_range_keeps_weights_in_seven_bits(bench: Bench) -> None:
    path = bench.quantise(network(), "int8-static", Int8Static(reduce_range=True), rows())
    values = [int(weight.int_repr().abs().max()) for weight in packed_weights(path)]
    assert len(values) == 3
    assert max(values) <= 63


def test_weights_have_a_scale_for_each_channel_when_asked(bench: Bench) -> None:
    schemes = {
        yes: {weight.qscheme() for weight in packed_weights(
            bench.quantise(network(), "int8-static", Int8Static(per_channel=yes), rows()))}
        for yes in (True, False)
    }  # fmt: skip
    assert schemes == {True: {torch.per_channel_affine}, False: {torch.per_tensor_affine}}


def packed_weights(path: Path) -> list[Any]:
    from bench_torch.script_file import load_script
    from bench_torch.script_packed import unpacked

    nodes = load_script(path).module.inlined_graph.nodes()
    constants = [n.output().toIValue() for n in nodes if n.kind() == "prim::Constant"]
    return [found.weight for value in constants if (found := unpacked(value, "quantized::conv2d")) is not None]


@pytest.mark.parametrize("technique", ["int8-static", "int8-dynamic"])
def test_what_torch_says_of_its_quantisation_is_in_the_lineage(bench: Bench, technique: str) -> None:
    bench.quantise(network(), technique, {"int8-static": Int8Static, "int8-dynamic": Int8Dynamic}[technique](), rows())
    (line,) = (note for note in bench.notes if "torch.ao.quantization is deprecated" in note)
    assert torch.__version__ in line
    assert "torchao" in line


def test_a_network_with_attention_keeps_float_between_its_layers(bench: Bench) -> None:
    split = rows((1, 5, 8))
    path = bench.quantise(Attending().eval(), "int8-static", Int8Static(), split)
    graph = READER.read(path)
    assert {op.precision for op in graph.operators if op.kind == "matmul"} == {"fp32"}
    assert [op.source for op in graph.operators if op.kind == "fully_connected"] == ["quantized::linear"] * 3
    assert any("as a transformer" in note for note in bench.notes)


def test_code_that_fx_cannot_follow_is_quantised_layer_by_layer(bench: Bench) -> None:
    split = rows((1, 6))
    assert layers.traced_layers(Untraceable()) is None
    net = Untraceable().eval()
    path = bench.quantise(net, "int8-static", Int8Static(), split)
    assert distance(outputs(path, split), by_row(net, split)) < 0.1
    assert any("torch.fx cannot follow" in note for note in bench.notes)


@pytest.mark.parametrize(
    ("technique", "given", "net"),
    [("int8-dynamic", Int8Dynamic(), nn.Conv2d(3, 4, 3)), ("int8-static", Int8Static(), nn.AvgPool2d(2))],
)
def test_a_network_with_nothing_to_quantise_is_refused(bench: Bench, technique: str, given: Any, net: Any) -> None:
    with pytest.raises(UnsupportedError, match="found no"):
        bench.quantise(nn.Sequential(net).eval(), technique, given, rows())


def test_rows_of_another_shape_are_refused(bench: Bench) -> None:
    checkpoint = bench.checkpoint(network(), rows())
    context = build_context(bench.folder / "wrong", host=bench.host, data=rows((1, 3, 5, 5)),
                            example=tuple(x[:1] for x in rows().inputs))  # fmt: skip
    with pytest.raises(ArtifactError, match="calibration rows have"):
        IMPLEMENTED["int8-static"].apply(checkpoint, Int8Static(), context)


# reading


def test_a_float_network_is_read_as_its_program_is(bench: Bench) -> None:
    split = rows()
    checkpoint = bench.checkpoint(network(), split)
    program = READERS["checkpoint"].read(checkpoint)
    graph = READER.read(traced(network(), torch.ones(SHAPE), bench.folder / "net.pt"))
    kinds = [[op.kind for op in found.operators] for found in (graph, program)]
    assert kinds[0] == kinds[1]
    assert (graph.macs, graph.parameters) == (program.macs, program.parameters)
    assert [graph.tensors[name].shape for name in graph.outputs] == [(1, 4)]


def test_the_branch_that_is_taken_is_read(bench: Bench) -> None:
    path = scripted(Branching().eval(), bench.folder / "net.pt", _extra_files=INPUTS)
    assert [op.kind for op in READER.read(path).operators][-1] == "fully_connected"  # ones are above zero


def test_a_loop_is_read_as_often_as_it_runs(bench: Bench) -> None:
    path = scripted(Untraceable().eval(), bench.folder / "net.pt", _extra_files=INPUTS)
    graph = READER.read(path)
    assert [op.kind for op in graph.operators if op.macs] == ["fully_connected"] * 2
    assert graph.macs == 2 * 36
    assert len({op.name for op in graph.operators}) == len(graph.operators)


def test_lists_of_tensors_keep_their_names(bench: Bench) -> None:
    class Parts(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            first, second = torch.chunk(x, 2, dim=1)
            return torch.cat([second, first], dim=1)

    graph = READER.read(traced(Parts(), torch.ones(1, 6), bench.folder / "net.pt"))
    split, concat = graph.operators
    assert (split.kind, concat.kind) == ("split", "concat")
    assert concat.inputs == tuple(reversed(split.outputs))


def test_a_recurrent_network_counts_its_weights(bench: Bench) -> None:
    class Recurrent(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.LSTM(4, 3)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.layer(x)[0]

    net = Recurrent().eval()
    graph = READER.read(traced(net, torch.ones(1, 2, 4), bench.folder / "net.pt"))
    assert graph.parameters == sum(p.numel() for p in net.parameters())


def test_two_saves_are_the_same_content_and_another_weight_is_not(bench: Bench, tmp_path: Path) -> None:
    first = traced(network(), torch.ones(SHAPE), tmp_path / "first.pt")
    again = traced(network(), torch.ones(SHAPE), tmp_path / "again.pt")
    other = network()
    with torch.no_grad():
        other.head.bias[0] += 1e-3
    changed = traced(other, torch.ones(SHAPE), tmp_path / "changed.pt")
    assert READER.content_sha256(first) == READER.content_sha256(again)
    assert READER.content_sha256(first) != READER.content_sha256(changed)


def test_the_same_build_gives_the_same_content(bench: Bench, made: dict[str, Path]) -> None:
    again = bench.quantise(network(), "int8-static", Int8Static(), rows())
    assert READER.content_sha256(again) == READER.content_sha256(made["static"])


def test_shapes_beside_the_network_are_taken(bench: Bench) -> None:
    path = scripted(Branching().eval(), bench.folder / "net.pt", _extra_files=INPUTS)
    assert inputs_of(path) == (TensorSpec(name="input", shape=(1, 6), dtype="float32"),)


def test_shapes_that_tracing_recorded_are_taken(bench: Bench) -> None:
    path = traced(network(), torch.ones(SHAPE), bench.folder / "net.pt")
    assert inputs_of(path) == (TensorSpec(name="input", shape=SHAPE, dtype="float32"),)


@pytest.mark.parametrize("content", ["nonsense", "[]", "{}", '[{"shape": [1]}]', '[{"shape": [1], "dtype": "none"}]'])
def test_shapes_that_cannot_be_used_are_refused_with_how_to_save_them(bench: Bench, content: str) -> None:
    path = scripted(Branching().eval(), bench.folder / "net.pt", _extra_files={"inputs.json": content})
    with pytest.raises(ArtifactError, match=r"inputs\.json") as caught:
        READER.read(path)
    assert "_extra_files" in caught.value.hint


def test_a_file_that_says_no_shapes_is_refused_with_how_to_save_them(bench: Bench) -> None:
    path = scripted(Branching().eval(), bench.folder / "net.pt")
    with pytest.raises(ArtifactError, match="does not say which shapes") as caught:
        READER.read(path)
    assert "_extra_files" in caught.value.hint


# files of others


@pytest.mark.parametrize("legacy", [False, True])
def test_a_pickle_is_named_and_never_opened(tmp_path: Path, legacy: bool) -> None:
    class Trap:
        def __reduce__(self) -> tuple[Callable[..., Any], tuple[str]]:
            return (tmp_path / "sprung").write_text, ("sprung",)

    path = tmp_path / "state.pt"
    torch.save({"trap": Trap()}, path, _use_new_zipfile_serialization=not legacy)
    for what in (SOURCES["torchscript-file"].check, lambda ref: READER.read(Path(ref))):
        with pytest.raises(ArtifactError, match=r"pickle of torch\.save") as caught:
            what(str(path))
        assert "weights_only=True" in caught.value.hint
    assert not (tmp_path / "sprung").exists()


def test_a_damaged_archive_is_refused(made: dict[str, Path], tmp_path: Path) -> None:
    path = tmp_path / "net.pt"
    with zipfile.ZipFile(made["float"]) as source, zipfile.ZipFile(path, "w") as target:
        for name in source.namelist():
            target.writestr(name, b"nonsense" if name.endswith("data.pkl") else source.read(name))
    with pytest.raises(ArtifactError, match="cannot be read as TorchScript"):
        READER.read(path)


def test_a_file_under_the_wrong_ending_is_told_apart(made: dict[str, Path], tmp_path: Path) -> None:
    wrong = tmp_path / "net.pt2"
    wrong.write_bytes(made["float"].read_bytes())
    with pytest.raises(ArtifactError, match="is a TorchScript network, not an exported program") as caught:
        SOURCES["pt2-file"].check(str(wrong))
    assert ".pt" in caught.value.hint


def test_a_torchscript_file_is_a_model(bench: Bench, tmp_path: Path) -> None:
    path = traced(network(), torch.ones(SHAPE), tmp_path / "net.pt")
    model = SOURCES["torchscript-file"].load(str(path), tmp_path, 0)
    assert (model.format, model.inputs[0].shape, model.outputs) == ("torchscript", SHAPE, ("output",))
    assert model.sha256 == READER.content_sha256(path)


def test_a_program_is_a_model_with_a_free_batch(tmp_path: Path) -> None:
    path = tmp_path / "net.pt2"
    batch = {0: torch.export.Dim("batch")}
    program = torch.export.export(network(), (torch.ones(2, *SHAPE[1:]),), dynamic_shapes=(batch,))
    torch.export.save(program, path)
    model = SOURCES["pt2-file"].load(str(path), tmp_path, 0)
    assert (model.format, model.inputs[0].shape) == ("pt2", (None, *SHAPE[1:]))


def test_a_batch_that_is_fixed_to_two_is_refused(tmp_path: Path) -> None:
    path = traced(network(), torch.ones(2, *SHAPE[1:]), tmp_path / "net.pt")
    with pytest.raises(ArtifactError, match="batch fixed to 2"):
        SOURCES["torchscript-file"].load(str(path), tmp_path, 0)


def test_a_file_of_the_mobile_interpreter_is_a_model(tmp_path: Path) -> None:
    path = tmp_path / "net.ptl"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.script(Branching().eval())._save_for_lite_interpreter(str(path), _extra_files=INPUTS)
    assert SOURCES["torchscript-file"].claims(str(path))
    assert SOURCES["torchscript-file"].load(str(path), tmp_path, 0).inputs[0].shape == (1, 6)
