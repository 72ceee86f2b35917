"""bench_torch: factories, checkpoints, exports, graphs and the backend, on a small MobileNetV2."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pytest

import bench_torch
from harness import ArtifactError, BuildContext, Model, SessionOptions, UnsupportedError

torch = pytest.importorskip("torch")
pytest.importorskip("onnxscript")

if TYPE_CHECKING:
    from collections.abc import Iterator

NETS = """
import torch
from torch import nn
from torch.nn import functional as F


def block(inside, outside, stride):
    hidden = 4 * inside
    return nn.Sequential(
        nn.Conv2d(inside, hidden, 1, bias=False), nn.BatchNorm2d(hidden), nn.ReLU6(),
        nn.Conv2d(hidden, hidden, 3, stride, 1, groups=hidden, bias=False), nn.BatchNorm2d(hidden), nn.ReLU6(),
        nn.Conv2d(hidden, outside, 1, bias=False), nn.BatchNorm2d(outside),
    )


class Mobile(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1, bias=False), nn.BatchNorm2d(8), nn.ReLU6())
        self.one, self.two = block(8, 8, 1), block(8, 16, 2)
        self.head = nn.Linear(16, 10)

    def forward(self, x):
        x = self.stem(x)
        x = self.two(x + self.one(x))
        return self.head(torch.flatten(F.adaptive_avg_pool2d(x, 1), 1))


class Mixed(nn.Module):
    def __init__(self):
        super().__init__()
        self.up = nn.ConvTranspose2d(3, 6, 3, stride=2, padding=1, groups=3)
        self.down = nn.Conv2d(6, 4, (1, 5), padding="same", dilation=(1, 2))
        self.out = nn.Linear(4, 8)

    def forward(self, x, y):
        a = F.silu(self.down(F.max_pool2d(self.up(x), 2)))
        b = torch.cat([a, torch.sigmoid(a)], 1).mean((2, 3))
        left, right = b.split(4, 1)
        attention = torch.softmax(left.unsqueeze(2) @ right.unsqueeze(1), -1)
        return self.out(attention).sum(1), y * 2.0


class Rigid(nn.Module):
    def forward(self, x):
        return x.reshape(1, 12).relu()


def awake(net, x):
    # Fresh weights give an output that is all bias and tells nothing of the layers before: normalise, drop the bias.
    for part in net.modules():
        if isinstance(part, nn.BatchNorm2d):
            part.momentum = 1.0
            nn.init.uniform_(part.weight, 0.5, 1.5)
            nn.init.normal_(part.bias)
    net.train()(x)
    nn.init.zeros_(net.head.bias)
    return net


def mobile():
    x = torch.randn(16, 3, 32, 32)
    return awake(Mobile(), x), x


def asleep():
    return Mobile(), torch.randn(1, 3, 32, 32)


def mixed():
    return Mixed(), (torch.randn(1, 3, 9, 9), torch.ones(1, 5).numpy())


def rigid():
    return Rigid(), torch.randn(1, 3, 4)


def lone():
    return Mobile()


def scalar():
    return Mobile(), torch.tensor(1.0)


def misfit():
    return Mobile(), torch.randn(1, 3)


def broken():
    raise ValueError("no weights here")


number = 3
"""


class Built(NamedTuple):
    """A network on its way: the loaded model, its checkpoint, and what the converters noted."""

    model: Model
    checkpoint: Path
    notes: list[str]


def context_of(model: Model, workdir: Path, notes: list[str]) -> BuildContext:
    workdir.mkdir(exist_ok=True)
    return BuildContext(
        workdir=workdir,
        seed=0,
        threads=1,
        data=None,
        example=model.example,
        inputs=model.inputs,
        outputs=model.outputs,
        note=notes.append,
    )


def options(compile: bool = False, threads: int = 1) -> SessionOptions:  # noqa: A002
    return SessionOptions(threads=threads, options=bench_torch.TorchOptions(compile=compile), inputs=())


def eager(model: Model) -> tuple[Any, ...]:
    with torch.no_grad():
        result = model.payload(*(torch.from_numpy(array) for array in model.example))
    return tuple(t.numpy() for t in (result if isinstance(result, tuple) else (result,)))


@pytest.fixture(scope="session")
def nets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("nets") / "bench_torch_nets.py"
    file.write_text(NETS, encoding="utf-8")
    return file


@pytest.fixture(autouse=True)
def _threads() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def source() -> Any:
    return next(iter(bench_torch.harness_models()))


@pytest.fixture(scope="session")
def backend() -> Any:
    return next(iter(bench_torch.harness_backends()))


@pytest.fixture(scope="session")
def convert() -> Any:
    return {(c.source, c.target): c.convert for c in bench_torch.harness_converters()}


@pytest.fixture(scope="session")
def read() -> Any:
    return {r.format: r for r in bench_torch.harness_graph_readers()}


@pytest.fixture(scope="session")
def built(nets: Path, source: Any, convert: Any, tmp_path_factory: pytest.TempPathFactory) -> Built:
    folder = tmp_path_factory.mktemp("mobile")
    model = source.load(f"{nets}:mobile", folder, 0)
    notes: list[str] = []
    return Built(model, convert["module", "checkpoint"](model.payload, context_of(model, folder, notes)), notes)


@pytest.fixture(scope="session")
def pt2(built: Built, convert: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    context = context_of(built.model, tmp_path_factory.mktemp("pt2"), built.notes)
    return convert["checkpoint", "pt2"](built.checkpoint, context)


@pytest.fixture(scope="session")
def mixed(nets: Path, source: Any, convert: Any, tmp_path_factory: pytest.TempPathFactory) -> tuple[Model, Path]:
    folder = tmp_path_factory.mktemp("mixed")
    model = source.load(f"{nets}:mixed", folder, 0)
    context = context_of(model, folder, [])
    checkpoint = convert["module", "checkpoint"](model.payload, context)
    return model, convert["checkpoint", "pt2"](checkpoint, context)


def test_importing_the_plugin_imports_no_framework() -> None:
    code = "import sys, bench_torch; print([m for m in ('torch', 'numpy', 'onnx') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=child_env())
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("ref", ["nets:small", "package.module:factory", "path/to/file.py:factory"])
def test_a_reference_to_a_factory_is_claimed(ref: str, source: Any) -> None:
    assert source.claims(ref)


@pytest.mark.parametrize(
    "ref", ["zoo:har-watch", "zoo:efficientnet-lite0", "net.onnx", "a:b:c", "a:", ":b", "file.py", ""]
)
def test_any_other_reference_is_left_alone(ref: str, source: Any) -> None:
    assert not source.claims(ref)


def test_a_factory_becomes_a_model_with_a_free_batch(built: Built) -> None:
    model = built.model
    assert model.name == "bench_torch_nets:mobile"
    assert [(s.name, s.shape, s.dtype) for s in model.inputs] == [("input", (None, 3, 32, 32), "float32")]
    assert model.outputs == ("output",)
    assert model.example[0].shape == (1, 3, 32, 32)
    assert not model.payload.training


def test_the_current_folder_is_importable(nets: Path, source: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(nets.parent)
    monkeypatch.setattr(sys, "path", list(sys.path))
    assert source.load("bench_torch_nets:mobile", nets.parent, 0).name == "bench_torch_nets:mobile"


def test_the_same_seed_gives_the_same_identity(nets: Path, source: Any) -> None:
    identities = [source.load(f"{nets}:mobile", nets.parent, seed).sha256 for seed in (1, 1, 2)]
    assert identities[0] == identities[1] != identities[2]


@pytest.mark.parametrize(
    ("ref", "message"),
    [
        ("no_such_module_here:net", "no module 'no_such_module_here' can be imported"),
        ("no/such/file.py:net", "no file no/such/file.py"),
        ("{nets}:mobil", "Did you mean mobile"),
        ("{nets}:number", "is not callable"),
        ("{nets}:lone", "returned Mobile"),
        ("{nets}:scalar", "without a batch"),
        ("{nets}:misfit", "fails on its own example"),
        ("{nets}:broken", "no weights here"),
    ],
)
def test_a_wrong_factory_is_refused_with_what_is_wrong(ref: str, message: str, nets: Path, source: Any) -> None:
    with pytest.raises(ArtifactError, match=message):
        source.load(ref.format(nets=nets), nets.parent, 0)


def test_a_class_that_cannot_be_imported_cannot_be_saved(built: Built, convert: Any, tmp_path: Path) -> None:
    class Local(torch.nn.Module):
        pass

    with pytest.raises(ArtifactError, match="top level"):
        convert["module", "checkpoint"](Local(), context_of(built.model, tmp_path, []))
    assert not list(tmp_path.iterdir())


def test_saving_leaves_the_training_flags_alone(built: Built, convert: Any, tmp_path: Path) -> None:
    module = torch.nn.Sequential(torch.nn.Dropout(), torch.nn.ReLU().eval())
    path = convert["module", "checkpoint"](module, context_of(built.model, tmp_path, []))
    assert [part.training for part in module.modules()] == [True, True, False]
    from bench_torch.checkpoint import load

    assert not any(part.training for part in load(path)[0].modules())


def test_both_hashes_are_equal_in_another_process_and_after_another_save(
    built: Built, pt2: Path, read: Any, convert: Any, tmp_path: Path
) -> None:
    again = convert["module", "checkpoint"](built.model.payload, context_of(built.model, tmp_path, []))
    pt2_again = convert["checkpoint", "pt2"](again, context_of(built.model, tmp_path, []))
    code = textwrap.dedent(f"""
        import bench_torch
        from pathlib import Path
        hashes = {{r.format: r.content_sha256 for r in bench_torch.harness_graph_readers()}}
        print(hashes["checkpoint"](Path({str(again)!r})), hashes["pt2"](Path({str(pt2_again)!r})))
    """)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=child_env("7"))
    here = [read["checkpoint"].content_sha256(built.checkpoint), read["pt2"].content_sha256(pt2)]
    assert done.stdout.split() == here


def test_one_changed_weight_changes_the_hash(built: Built, convert: Any, read: Any, tmp_path: Path) -> None:
    import copy

    changed = copy.deepcopy(built.model.payload)
    with torch.no_grad():
        changed.head.bias[0] += 1e-3
    path = convert["module", "checkpoint"](changed, context_of(built.model, tmp_path, []))
    hashing = read["checkpoint"].content_sha256
    assert hashing(path) != hashing(built.checkpoint)


def test_the_exported_program_gives_the_outputs_of_the_module(built: Built, pt2: Path, backend: Any) -> None:
    session = backend.open(pt2, options())
    call = session.bind(built.model.example)
    call()
    assert session.outputs()[0].dtype == np.float32
    np.testing.assert_allclose(session.outputs()[0], eager(built.model)[0], atol=1e-5)
    session.close()


def test_the_network_of_these_tests_depends_on_its_input(built: Built) -> None:
    with torch.no_grad():
        outputs = built.model.payload(torch.randn(64, 3, 32, 32))
    assert outputs.std(0).mean() > 0.05 * outputs.abs().mean()


def test_a_wrong_layer_is_an_error_even_behind_a_large_bias(nets: Path, source: Any) -> None:
    import copy

    from bench_torch.export import compare, run

    model = source.load(f"{nets}:mobile", nets.parent, 0)
    example = (torch.from_numpy(model.example[0]),)
    with torch.no_grad():
        model.payload.head.bias += 100.0
        wrong = copy.deepcopy(model.payload)
        wrong.one[0].weight *= 1.05
    assert "weak evidence" in compare("same", run(model.payload, example), model.payload, example)
    with pytest.raises(ArtifactError, match="changed the network"):
        compare("other", run(wrong, example), model.payload, example)


def test_a_network_that_ignores_its_input_is_said_to_be_weak_evidence(
    nets: Path, source: Any, convert: Any, tmp_path: Path
) -> None:
    model = source.load(f"{nets}:asleep", tmp_path, 0)
    notes: list[str] = []
    context = context_of(model, tmp_path, notes)
    convert["checkpoint", "pt2"](convert["module", "checkpoint"](model.payload, context), context)
    assert "weak evidence" in notes[0]


def test_the_export_says_how_far_it_is_from_the_module(built: Built, pt2: Path) -> None:
    assert any(line.startswith("torch.export: max abs error") for line in built.notes)


def test_the_exported_program_takes_any_batch(pt2: Path, backend: Any) -> None:
    session = backend.open(pt2, options())
    session.bind((np.zeros((5, 3, 32, 32), np.float32),))()
    assert session.outputs()[0].shape == (5, 10)
    session.close()


def test_a_network_with_a_fixed_batch_is_exported_with_a_note(
    nets: Path, source: Any, convert: Any, read: Any, tmp_path: Path
) -> None:
    model = source.load(f"{nets}:rigid", tmp_path, 0)
    notes: list[str] = []
    context = context_of(model, tmp_path, notes)
    program = convert["checkpoint", "pt2"](convert["module", "checkpoint"](model.payload, context), context)
    assert notes[0].startswith("exported with batch 1 only")
    assert read["pt2"].read(program).operators[-1].kind == "relu"


def test_two_inputs_and_two_outputs_keep_their_order(mixed: tuple[Model, Path], backend: Any) -> None:
    model, path = mixed
    session = backend.open(path, options())
    session.bind(model.example)()
    for got, expected in zip(session.outputs(), eager(model), strict=True):
        np.testing.assert_allclose(got, expected, atol=1e-5)
    session.close()


def test_threads_are_what_was_asked_for(pt2: Path, backend: Any) -> None:
    session = backend.open(pt2, options(threads=2))
    assert session.threads() == torch.get_num_threads() == 2
    session.close()


def test_sessions_closed_in_any_order_and_twice_leave_inference_mode(pt2: Path, backend: Any) -> None:
    first, second = backend.open(pt2, options()), backend.open(pt2, options())
    assert torch.is_inference_mode_enabled()
    for session in (first, first, second, second):
        session.close()
    assert not torch.is_inference_mode_enabled()


def test_inputs_of_another_shape_or_dtype_are_refused(pt2: Path, backend: Any) -> None:
    session = backend.open(pt2, options())
    for wrong in (np.zeros((1, 3, 32, 31), np.float32), np.zeros((1, 3, 32, 32), np.float64), np.zeros(3, np.float32)):
        with pytest.raises(ArtifactError, match="the program takes"):
            session.bind((wrong,))
    with pytest.raises(ArtifactError, match="1 inputs, 2 were given"):
        session.bind((wrong, wrong))
    session.close()


@pytest.mark.parametrize("share", [0.0, 0.5, None])
def test_a_damaged_program_is_refused(
    share: float | None, pt2: Path, backend: Any, read: Any, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    content = pt2.read_bytes()
    file = tmp_path / "model.pt2"
    if share is not None:
        file.write_bytes(content[: int(len(content) * share)])
    for open_it in (lambda: backend.open(file, options()), lambda: read["pt2"].read(file)):
        with pytest.raises(ArtifactError, match="exported program"):
            open_it()
    assert not torch.is_inference_mode_enabled()
    assert "Traceback" not in capfd.readouterr().err


def test_a_damaged_checkpoint_is_refused(built: Built, read: Any, tmp_path: Path) -> None:
    file = tmp_path / "model.ckpt.pt"
    file.write_bytes(built.checkpoint.read_bytes()[:1000])
    with pytest.raises(ArtifactError, match="cannot be read as a checkpoint"):
        read["checkpoint"].content_sha256(file)


def test_compiling_without_a_compiler_is_refused_with_advice(
    pt2: Path, backend: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CXX", "no-such-compiler")
    with pytest.raises(UnsupportedError, match="needs a C\\+\\+ compiler"):
        backend.open(pt2, options(compile=True))


def test_macs_are_those_of_the_flop_counter(built: Built, pt2: Path, read: Any) -> None:
    graph = read["pt2"].read(pt2)
    assert graph.macs == counted(built.model)
    assert read["checkpoint"].read(built.checkpoint).macs == graph.macs


def test_macs_of_transposed_dilated_and_batched_products_are_exact(mixed: tuple[Model, Path], read: Any) -> None:
    model, path = mixed
    assert read["pt2"].read(path).macs == counted(model)


def test_macs_of_efficientnet_lite0_are_exact(read: Any, convert: Any, tmp_path: Path) -> None:
    if importlib.util.find_spec("efficientnet_lite_pytorch") is None:
        pytest.skip("efficientnet_lite_pytorch is not installed")
    from efficientnet_lite_pytorch import EfficientNet

    from bench_torch.export import export_program
    from bench_torch.graph import read_program

    module = EfficientNet.from_name("efficientnet-lite0").eval()
    example = torch.randn(1, 3, 224, 224)
    from harness import TensorSpec

    spec = TensorSpec(name="input", shape=(1, 3, 224, 224), dtype="float32")
    graph = read_program(export_program(module, (example,), (spec,), lambda line: None), "lite0")
    assert graph.macs == flops(module, example) // 2
    assert not [op for op in graph.operators if op.kind == "unknown"]


def test_the_graph_has_kinds_shapes_and_weights(built: Built, pt2: Path, read: Any) -> None:
    graph = read["pt2"].read(pt2)
    kinds = [op.kind for op in graph.operators]
    assert {kind: kinds.count(kind) for kind in sorted(set(kinds))} == {
        "add": 1, "batch_norm": 7, "conv": 7, "fully_connected": 1, "global_pool": 1, "relu6": 5, "reshape": 1,
    }  # fmt: skip
    depthwise = graph.operators[kinds.index("add") - 5]
    assert depthwise.attributes == {
        "kernel": (3, 3), "stride": (1, 1), "dilation": (1, 1), "pads": (1, 1, 1, 1), "groups": 32,
    }  # fmt: skip
    assert graph.tensors[depthwise.outputs[0]].shape == (1, 32, 16, 16)
    assert [w.shape for w in graph.weights_of(depthwise)] == [(32, 1, 3, 3)]
    assert graph.weights_of(depthwise)[0].zeros == 0.0
    assert graph.parameters == sum(p.numel() for p in built.model.payload.parameters())
    assert (len(graph.inputs), len(graph.outputs)) == (1, 1)


def test_every_name_in_the_graph_is_a_tensor_of_the_graph(mixed: tuple[Model, Path], read: Any) -> None:
    graph = read["pt2"].read(mixed[1])
    named = {name for op in graph.operators for name in (*op.inputs, *op.outputs)} | {*graph.inputs, *graph.outputs}
    assert named == set(graph.tensors)
    assert not [op.source for op in graph.operators if op.kind == "unknown"]
    same = next(op for op in graph.operators if op.kind == "conv")
    assert same.attributes["pads"] == (0, 4, 0, 4)


def test_an_operator_that_is_not_known_stays_in_the_graph() -> None:
    from bench_torch.aten import kind_of

    assert kind_of("fft_rfft", {}, {"self": (1, 8)}, (1, 5)) == "unknown"


def test_zeros_of_a_pruned_layer_are_counted(built: Built, convert: Any, read: Any, tmp_path: Path) -> None:
    import copy

    pruned = copy.deepcopy(built.model.payload)
    with torch.no_grad():
        pruned.head.weight[:5] = 0
    path = convert["module", "checkpoint"](pruned, context_of(built.model, tmp_path, []))
    graph = read["checkpoint"].read(path)
    head = next(op for op in graph.operators if op.kind == "fully_connected")
    assert graph.weights_of(head)[0].zeros == pytest.approx(0.5)


def test_the_onnx_file_is_clean_and_gives_the_same_numbers(
    built: Built, convert: Any, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    import onnx
    import onnxruntime

    notes: list[str] = []
    path = convert["checkpoint", "onnx"](built.checkpoint, context_of(built.model, tmp_path, notes))
    model = onnx.load(path)
    constants = {tensor.name for tensor in model.graph.initializer}
    assert [(o.domain, o.version) for o in model.opset_import] == [("", 18)]
    assert not {v.name for v in model.graph.value_info} & constants
    assert not any(node.metadata_props for node in model.graph.node)
    assert [v.name for v in (*model.graph.input, *model.graph.output)] == ["input", "output"]
    assert {v.type.tensor_type.shape.dim[0].dim_param for v in (*model.graph.input, *model.graph.output)} == {"batch"}
    assert any(line.startswith("ONNX: max abs error") for line in notes)
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    batch = np.concatenate([built.model.example[0]] * 3)
    np.testing.assert_allclose(session.run(None, {"input": batch})[0][2:], eager(built.model)[0], atol=1e-5)
    assert "torchvision" not in "".join(capfd.readouterr())


def counted(model: Model) -> int:
    return flops(model.payload, *(torch.from_numpy(array) for array in model.example)) // 2


def flops(module: Any, *example: Any) -> int:
    from torch.utils.flop_counter import FlopCounterMode

    with FlopCounterMode(display=False) as counter, torch.no_grad():
        module(*example)
    return int(counter.get_total_flops())


def child_env(hash_seed: str = "0") -> dict[str, str]:
    """Environment of a process that knows the plugins but not where the networks of this file are."""
    folders = [p for p in sys.path if p and not (Path(p) / "bench_torch_nets.py").exists()]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(folders), "PYTHONHASHSEED": hash_seed}
