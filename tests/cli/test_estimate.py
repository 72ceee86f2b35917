"""`bench estimate`: what it answers, in which words, and what it refuses."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from click.testing import Result
from onnx import TensorProto, helper, numpy_helper

Invoke = Callable[..., Result]

PROMISED = {"latency_ms", "peak_memory_bytes", "energy_mj", "basis", "in_domain", "unmodelled"}
NARROW = 60


def conv(name: str, channels: tuple[int, int], size: int, **more: Any) -> dict[str, Any]:
    """A 3x3 convolution that keeps the size, as a workload has it."""
    read, written = channels
    weights = read * written * 9
    source = more.pop("source")
    return {
        "name": name, "op": "conv", "inputs": [source], "outputs": [name], "input_shapes": [[read, size, size]],
        "output_shapes": [[written, size, size]], "kernel": [3, 3], "stride": [1, 1], "dilation": [1, 1],
        "pads": [1, 1, 1, 1], "groups": 1, "weights": weights, "bias": True, "macs": weights * size * size,
        "activation": "relu", **more,
    }  # fmt: skip


def workload(layers: list[dict[str, Any]]) -> str:
    counted = {key: sum(each.get(key, 0) for each in layers) for key in ("macs", "weights")}
    return json.dumps({
        "workload": 1, "model": "tower", "layout": "CHW, batch 1", "input_shape": [3, 32, 32], "source": "made up",
        "total_macs": counted["macs"], "total_weights": counted["weights"], "layers": layers,
    })  # fmt: skip


@pytest.fixture
def tower(tmp_path: Path) -> Path:
    """Twenty convolutions, as a workload."""
    names = [f"stage{at // 5}/block{at % 5}/convolution" for at in range(20)]
    layers = [
        conv(name, (3 if at == 0 else 16, 16), 32, source=names[at - 1] if at else "data")
        for at, name in enumerate(names)
    ]
    path = tmp_path / "tower.json"
    path.write_text(workload(layers), encoding="utf-8")
    return path


@pytest.fixture
def network(tmp_path: Path) -> Path:
    """A convolution, a pool and a classifier, as an ONNX file."""
    draw = np.random.default_rng(0)
    kernel = numpy_helper.from_array(draw.normal(size=(8, 3, 3, 3)).astype(np.float32), "kernel")
    weight = numpy_helper.from_array(draw.normal(size=(8, 10)).astype(np.float32), "weight")
    nodes = [
        helper.make_node("Conv", ["x", "kernel"], ["c"], name="first", pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["c"], ["r"], name="relu"),
        helper.make_node("GlobalAveragePool", ["r"], ["p"], name="pool"),
        helper.make_node("Flatten", ["p"], ["f"], name="flatten"),
        helper.make_node("Gemm", ["f", "weight"], ["y"], name="last"),
    ]
    graph = helper.make_graph(
        nodes,
        "small",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3, 32, 32])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 10])],
        [kernel, weight],
    )
    path = tmp_path / "small.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), path)
    return path


@pytest.fixture
def mobile_file(tmp_path: Path) -> Path:
    """y = x + x, as a LiteRT file."""
    flatbuffers = pytest.importorskip("flatbuffers")
    schema = pytest.importorskip("ai_edge_litert.schema_py_generated")
    model, graph, code, add = schema.ModelT(), schema.SubGraphT(), schema.OperatorCodeT(), schema.OperatorT()
    code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.ADD
    code.version = 1
    for name in ("x", "y"):
        tensor = schema.TensorT()
        tensor.name, tensor.shape, tensor.type, tensor.buffer = name, [1, 64], schema.TensorType.FLOAT32, 0
        graph.tensors = [*(graph.tensors or []), tensor]
    add.opcodeIndex, add.inputs, add.outputs = 0, [0, 0], [1]
    add.builtinOptions, add.builtinOptionsType = schema.AddOptionsT(), schema.BuiltinOptions.AddOptions
    graph.inputs, graph.outputs, graph.operators = [0], [1], [add]
    model.version, model.subgraphs, model.operatorCodes, model.buffers = 3, [graph], [code], [schema.BufferT()]
    builder = flatbuffers.Builder(256)
    builder.Finish(model.Pack(builder), b"TFL3")
    path = tmp_path / "net.tflite"
    path.write_bytes(bytes(builder.Output()))
    return path


@pytest.fixture
def answered(invoke: Invoke) -> Callable[..., dict[str, Any]]:
    """Estimate as JSON, and hand out the one object that is printed."""

    def call(*arguments: object) -> dict[str, Any]:
        done = invoke("estimate", *arguments, "--json")
        assert done.exit_code == 0, done.stderr
        found: dict[str, Any] = json.loads(done.stdout)
        return found

    return call


# --- for a program


def test_a_device_that_was_timed_on_one_thread_is_estimated_on_one_and_a_note_says_so(answered, tower, tmp_path):
    from harness.profile_file import builtin_folder

    def of(value: float, unit: str) -> str:
        return f'{{ value = {value}, unit = "{unit}", source = "test", date = "2026-01-01" }}'

    table = (
        f'[[profiled]]\nfamily = "ncnn"\nprecision = "fp32"\nthreads = {of(1, "threads")}\n'
        f"graphs = {of(100, 'graphs')}\nerror = {of(5, '%')}\nfactor90 = {of(1.2, 'times')}\n"
        f'near = {of(1024, "KiB")}\nlast = {of(2048, "KiB")}\ncoefficients = {{ "call one" = 900.0 }}\n'
    )
    mine = tmp_path / "mine.toml"
    text = (builtin_folder() / "rpi4.toml").read_text(encoding="utf-8").replace('"rpi4"', '"mine"', 1)
    mine.write_text(f"{text}\n{table}", encoding="utf-8")
    found = answered(tower, "--profile", mine, "--kernels", "ncnn")
    assert found["threads"] == 1
    assert found["notes"] == ["1 thread: that is what mine was timed on"]


def test_a_network_too_small_for_threads_gets_one_and_a_note_says_why(answered, tower, tmp_path):
    little = tmp_path / "little.json"
    little.write_text(workload([conv("only", (16, 16), 4, source="data")]), encoding="utf-8")
    small, large = (answered(file, "--profile", "rpi4") for file in (little, tower))
    assert (small["threads"], large["threads"]) == (1, 4)
    assert small["notes"] == ["1 thread: waking 4 would take longer than they save"]
    assert large["notes"] == []


@pytest.mark.parametrize("kind", ["tower", "network"])
def test_an_estimate_as_json_has_every_number_with_its_interval_basis_and_domain(answered, request, kind):
    found = answered(request.getfixturevalue(kind), "--profile", "rpi4", "--threads", "1")
    assert set(found) >= PROMISED
    for key in ("latency_ms", "peak_memory_bytes", "energy_mj"):
        assert 0 < found[key]["lo90"] < found[key]["p50"] < found[key]["hi90"]
    assert found["kind"] == "estimated"
    assert found["basis"]
    assert found["energy_scope"]
    assert (found["in_domain"], found["unmodelled"], found["reasons"]) == (True, [], [])


def test_the_operators_and_what_lies_outside_them_make_up_the_latency(answered, tower):
    found = answered(tower, "--profile", "rpi4")
    inside = sum(each["latency_ms"] for each in found["operators"])
    assert inside + found["outside_operators_ms"] == pytest.approx(found["latency_ms"]["p50"])
    assert sum(each["macs"] for each in found["operators"]) == found["macs"]
    assert [each["latency_ms"] for each in found["operators"]] == sorted(
        (each["latency_ms"] for each in found["operators"]), reverse=True
    )


def test_a_device_whose_power_nobody_published_gets_no_energy(answered, tower, tmp_path):
    from harness.profile_file import builtin_folder

    text = (builtin_folder() / "rpi4.toml").read_text(encoding="utf-8")
    text = re.sub(r"\n\[+power.*?(?=\n\[(?!\[?power))", "", text, flags=re.S)
    (tmp_path / "mine.toml").write_text(text, encoding="utf-8")
    found = answered(tower, "--profile", tmp_path / "mine.toml")
    assert found["energy_mj"] is None
    assert "no power" in found["energy_scope"]


def test_several_files_are_answered_in_their_order(answered, tower, network):
    found = answered(tower, network, "--profile", "rpi4")
    assert [each["model"] for each in found["estimates"]] == ["tower", "small"]


# --- what is assumed


def test_kernels_that_were_not_asked_for_are_chosen_with_a_reason(answered, tower):
    found = answered(tower, "--profile", "rpi4")
    assert found["kernels"]
    assert "calibrated" in found["kernels_reason"]


@pytest.mark.parametrize("profile", ["rpi4", "pixel3"])
def test_a_file_that_one_runtime_runs_is_estimated_in_its_kernels_calibrated_or_not(answered, mobile_file, profile):
    found = answered(mobile_file, "--profile", profile)
    assert found["kernels"] == "tflite-xnnpack"
    assert found["kernels_reason"] == "that of litert, which runs .tflite files"
    assert ("uncalibrated" in found["basis"]) == (profile == "pixel3")


def test_a_file_of_one_runtime_on_a_microcontroller_is_estimated_in_what_is_calibrated_there(answered, mobile_file):
    found = answered(mobile_file, "--profile", "stm32-nucleo-l4r5zi")
    assert found["kernels"] == "x-cube-ai"
    assert "calibrated" in found["kernels_reason"]


def test_a_file_that_several_runtimes_run_is_estimated_in_what_is_calibrated(answered, network):
    found = answered(network, "--profile", "rpi4")
    assert (found["kernels"], found["kernels_reason"]) == ("ncnn", "the first that is calibrated on rpi4")


def test_files_of_several_formats_are_estimated_in_the_same_kernels(answered, mobile_file, network):
    found = answered(mobile_file, network, "--profile", "rpi4")
    assert {each["kernels"] for each in found["estimates"]} == {"ncnn"}


def test_kernels_that_were_asked_for_come_before_those_of_the_format(answered, mobile_file):
    assert answered(mobile_file, "--profile", "rpi4", "--kernels", "armnn")["kernels"] == "armnn"


def test_kernels_that_were_asked_for_are_taken(answered, tower):
    found = answered(tower, "--profile", "rpi4", "--kernels", "openvino")
    assert (found["kernels"], found["kernels_reason"]) == ("openvino", "as asked for")


def test_fewer_threads_take_longer_and_are_said(answered, tower):
    one, four = (answered(tower, "--profile", "rpi4", "--threads", n) for n in (1, 4))
    assert (one["threads"], four["threads"]) == (1, 4)
    assert one["latency_ms"]["p50"] > four["latency_ms"]["p50"]


def test_without_threads_every_core_of_the_fastest_cluster_computes(answered, tower):
    assert answered(tower, "--profile", "rpi4")["threads"] == 4


def test_the_precision_is_that_of_the_file_unless_another_is_asked_for(answered, tower):
    assert answered(tower, "--profile", "rpi4")["precision"] == "fp32"
    small = answered(tower, "--profile", "rpi4", "--precision", "int8")
    assert small["precision"] == "int8"
    assert {each["arithmetic"] for each in small["operators"] if each["macs"]} == {"int8"}


# --- an accelerator


def test_a_graph_that_an_accelerator_takes_is_simulated(answered, tower):
    found = answered(tower, "--profile", "coral-dev-board", "--kernels", "edgetpu", "--precision", "int8")
    assert found["kind"] == "simulated"
    assert found["accelerator"] == "edgetpu"
    assert "without the board" in found["energy_scope"]
    assert found["operators"] == []


def test_threads_that_an_accelerator_has_no_use_for_are_set_aside_aloud(answered, tower):
    given = ("--profile", "rpi4", "--kernels", "edgetpu", "--precision", "int8", "--threads", "2")
    (note,) = answered(tower, *given)["notes"]
    assert "--threads 2 is set aside" in note


def test_a_graph_that_an_accelerator_refuses_exits_with_1_and_says_why(invoke, network):
    done = invoke("estimate", network, "--profile", "rpi4", "--kernels", "edgetpu")
    assert done.exit_code == 1
    assert "NOT_QUANTISED" in done.stdout
    assert "int8-static" in done.stdout
    assert f"would refuse {network}" in done.stderr


def test_a_refusal_as_json_is_one_object_without_numbers(invoke, network):
    done = invoke("estimate", network, "--profile", "rpi4", "--kernels", "edgetpu", "--json")
    assert done.exit_code == 1
    found = json.loads(done.stdout)
    assert set(found) >= PROMISED
    assert (found["kind"], found["latency_ms"], found["in_domain"]) == ("refused", None, False)
    assert found["rejections"][0]["code"] == "NOT_QUANTISED"
    assert found["reasons"]


# --- for a reader


def printed_ms(text: str) -> list[float]:
    """The column of milliseconds; the total is last."""
    return [float(found) for found in re.findall(r"([\d.]+) +[\d.]+ %$", text, re.M)]


@pytest.mark.parametrize("rows", ["0", "1", "5", "12"])
def test_the_lines_of_the_table_add_up_to_its_total_as_they_are_printed(invoke, tower, rows):
    *parts, total = printed_ms(invoke("estimate", tower, "--profile", "rpi4", "--rows", rows).stdout)
    assert sum(parts) == pytest.approx(total, abs=1e-6)


def test_the_dearest_kernels_are_listed_and_the_others_are_one_line(invoke, tower):
    told = invoke("estimate", tower, "--profile", "rpi4", "--rows", "3").stdout
    assert told.count("/convolution ") == 3
    assert "17 other kernels" in told


@pytest.mark.parametrize("columns", [NARROW, 80, 120])
@pytest.mark.parametrize("kernels", [[], ["--kernels", "edgetpu"]], ids=["estimated", "refused"])
def test_an_answer_fits_the_terminal(invoke, tower, columns, kernels):
    told = invoke("estimate", tower, "--profile", "rpi4", *kernels, columns=columns).stdout
    assert [line for line in told.splitlines() if len(line) > columns] == []


def test_a_narrow_terminal_keeps_kernels_apart_and_says_what_it_leaves_out(invoke, tower):
    told = invoke("estimate", tower, "--profile", "rpi4", "--rows", "0", columns=NARROW).stdout
    names = re.findall(r"^(\S+/convolution) ", told, re.M)
    assert len(set(names)) == 20
    assert "Left out for width: " in told


def test_the_text_says_estimated_interval_basis_fit_and_energy_scope(invoke, tower):
    told = invoke("estimate", tower, "--profile", "rpi4").stdout
    for words in ("tower.json on rpi4", "estimated, not measured", "fits into", "90 % intervals", "basis ", "energy ",
                  "4 threads", "inside what the method may be trusted for"):  # fmt: skip
        assert words in told


def test_why_an_estimate_is_out_of_domain_stands_in_words(invoke, tmp_path):
    layers = [{"name": "odd", "op": "sorcery", "inputs": ["data"], "outputs": ["odd"],
               "input_shapes": [[3, 32, 32]], "output_shapes": [[3, 32, 32]]}]  # fmt: skip
    path = tmp_path / "odd.json"
    path.write_text(workload(layers), encoding="utf-8")
    told = invoke("estimate", path, "--profile", "rpi4").stdout
    assert "OUTSIDE what the method may be trusted for" in told
    assert "not modelled: odd" in told


def test_what_is_piped_has_no_colour(invoke, tower):
    assert "\x1b" not in invoke("estimate", tower, "--profile", "rpi4").stdout


# --- what is refused


@pytest.mark.parametrize(
    ("name", "content", "said", "hint"),
    [
        ("nobody.onnx", None, "no such file", "Give the path"),
        ("nobody.json", None, "no such file", "Give the path"),
        ("empty.onnx", b"", "the file is empty", "Export the model again"),
        ("broken.onnx", b"\xff" * 300, "not an ONNX file", "Export the model again"),
        ("broken.json", b"{", "is not JSON", "Correct the file"),
        ("other.json", b"{}", "has no 'workload'", "Add"),
        ("notes.txt", b"hello", "ends in .txt", "Known: .onnx"),
        ("bare", b"hello", "has no ending", "Known: .onnx"),
    ],
)
def test_a_file_that_cannot_be_read_is_refused_with_one_message(invoke, tmp_path, name, content, said, hint):
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    done = invoke("estimate", path, "--profile", "rpi4")
    assert (done.exit_code, done.stdout) == (2, "")
    assert done.stderr.count("Error: ") == 1
    assert said in done.stderr
    assert hint in done.stderr


@pytest.mark.parametrize(
    ("arguments", "said", "hint"),
    [
        (["--profile", "rpi44"], "no profile is named 'rpi44'", "Did you mean 'rpi4'?"),
        (["--kernels", "openvin"], "no kernel family is named 'openvin'", "Did you mean 'openvino'?"),
        (["--kernels", "sorcery"], "no kernel family is named 'sorcery'", "Known: "),
        (["--kernels", "edgetpu", "--profile", "rpi-zero-2w"], "rpi-zero-2w has no edgetpu", "bench profiles"),
        (["--threads", "5"], "threads = 5 is more than the 4 cores", "Give 1 to 4"),
        (["--threads", "0"], "threads = 0 makes no sense", "Give 1 to 4"),
        (["--precision", "int3"], "'int3' is not one of", "bench estimate --help"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_wish_that_makes_no_sense_is_refused_with_a_hint(invoke, tower, arguments, said, hint):
    done = invoke("estimate", tower, "--profile", "rpi4", *arguments)
    assert (done.exit_code, done.stdout) == (2, "")
    assert said in done.stderr
    assert hint in done.stderr


def test_a_precision_that_the_file_contradicts_is_refused(invoke, tmp_path):
    weight = numpy_helper.from_array(np.ones((4, 3), np.uint8), "w")
    scale, zero = (numpy_helper.from_array(np.array(v), n) for v, n in ((np.float32(0.1), "s"), (np.uint8(0), "z")))
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "s", "z"], ["q"]),
        helper.make_node("QLinearMatMul", ["q", "s", "z", "w", "s", "z", "s", "z"], ["p"]),
        helper.make_node("DequantizeLinear", ["p", "s", "z"], ["y"]),
    ]
    graph = helper.make_graph(
        nodes,
        "quantised",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 4])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 3])],
        [weight, scale, zero],
    )
    path = tmp_path / "quantised.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), path)
    done = invoke("estimate", path, "--profile", "rpi4", "--precision", "fp32")
    assert done.exit_code == 2
    assert "quantised" in done.stderr
    assert "leave the precision out" in done.stderr


def test_one_bad_file_among_several_leaves_no_half_output(invoke, tower, tmp_path):
    done = invoke("estimate", tower, tmp_path / "nobody.onnx", "--profile", "rpi4")
    assert (done.exit_code, done.stdout) == (2, "")


def test_without_a_profile_the_command_says_what_is_missing(invoke, tower):
    done = invoke("estimate", tower)
    assert done.exit_code != 0


# --- what it takes


@pytest.mark.parametrize(
    ("kind", "never"),
    [
        ("tower", {"onnx", "numpy", "scipy", "torch", "onnxruntime", "openvino"}),
        ("network", {"scipy", "torch", "onnxruntime", "openvino"}),
    ],
)
def test_an_estimate_imports_no_framework(request, cache, kind, never):
    code = (
        "import sys; from harness.cli import bench;"
        "bench.main(sys.argv[1:], standalone_mode=False);"
        f"print(sorted({never!r} & set(sys.modules)), file=sys.stderr)"
    )
    path = str(request.getfixturevalue(kind))
    done = subprocess.run(
        [sys.executable, "-c", code, "estimate", path, "--profile", "rpi4"], capture_output=True, text=True, check=True
    )
    assert done.stderr.strip() == "[]"


WORKLOAD = Path(__file__).resolve().parents[2] / "profiles/published/workloads/tf-mobilenet_v1_1.0_224.json"


def test_battery_life_is_told_with_its_inputs(invoke) -> None:
    asked = ("estimate", str(WORKLOAD), "--profile", "rpi4", "--kernels", "tflite-ruy", "--json")
    found = json.loads(invoke(*asked, "--battery-wh", "37", "--per-hour", "3600").stdout)
    use = found["battery"]["use"]
    assert (use["battery_wh"], use["inferences_per_hour"], use["waiting_w"]) == (37, 3600, 1.6)
    drawn = found["energy_mj"]["p50"] * 3600 / 3.6e6 + 1.6 * (1 - found["battery"]["duty"])
    assert found["battery"]["hours"]["p50"] == pytest.approx(37 / drawn)
    assert found["emission"]["source"]


def test_where_no_energy_is_known_no_battery_life_is_made_up(invoke) -> None:
    asked = ("estimate", str(WORKLOAD), "--profile", "pixel4", "--kernels", "tflite-ruy", "--json")
    found = json.loads(invoke(*asked, "--battery-wh", "10", "--per-hour", "10").stdout)
    assert found["battery"] is None
    assert found["notes"] == ["no battery life: no energy is estimated for pixel4"]


def test_a_battery_without_inferences_an_hour_is_refused(invoke) -> None:
    told = invoke("estimate", str(WORKLOAD), "--profile", "rpi4", "--battery-wh", "10")
    assert told.exit_code == 2
    assert "--battery-wh and --per-hour belong together" in told.stderr
