"""Layer tables of published networks: what writes them agrees with tables read elsewhere and with published totals."""

from __future__ import annotations

import json
import subprocess
import sys
from functools import cache
from typing import TYPE_CHECKING, Any

import pytest

from harness.profile_file import builtin_folder
from harness.workload import read_workload

if TYPE_CHECKING:
    from pathlib import Path

PUBLISHED = builtin_folder() / "published"
TABLES = sorted(PUBLISHED.glob("workloads/t*.json"))

TOTALS = {
    # research/slim/nets/mobilenet/README.md of tensorflow/models: MACs and parameters
    "tf-mobilenet_v2_0.75_224": (209, 2.61),
    "tf-mobilenet_v2_1.0_160": (154, 3.47),
    "tf-mobilenet_v3_large_0.75_224": (155, 4.0),
    "tf-mobilenet_v3_large_1.0_224": (217, 5.4),
    "tf-mobilenet_v3_large_min_1.0_224": (209, 3.9),
    # arXiv:1905.02244 table 3; the README's 66 M and 2.9 M are those of its first version
    "tf-mobilenet_v3_small_0.75_224": (44, 2.0),
    "tf-mobilenet_v3_small_1.0_224": (56, 2.5),
    # Open Model Zoo, models/public: half of its GFLOPs, and its parameters
    "tf-resnet50_v1.5_224": (4108, 25.53),
    "tf-inception_v1": (1508, 6.619),
    "tf-inception_v3": (5734.5, 23.817),
    "tf-inception_v4": (12292, 42.648),
    "tf-vgg19_224": (19650, 143.667),
    "tf-ssd-mobilenet": (1247, 6.807),
    "tf-ssd_mobilenet_v2_300": (1887.5, 16.818),
    "tf-ssdlite_mobilenet_v2_300": (762.5, 4.475),
    "tf-ssd_mobilenet_v1_fpn_640": (61654, 36.188),
    "tf-ssd_resnet_50_v1_fpn_640": (89340, 56.933),
    # heads of the configurations in research/object_detection/samples/configs, and arXiv:1905.02244 table 6
    "tf-ssdlite_mobilenet_v3_large_320": (510, 3.22),
    "tf-ssdlite_mobilenet_v3_small_320": (160, 1.77),
    "tf-ssdlite_mobiledet_cpu_320": (450, 4.21),
    "tf-ssdlite_mobiledet_edgetpu_320": (1530, 4.20),
    # model cards of the port to timm
    "tf-efficientnet_edgetpu_s": (1800, 5.4),
    "tf-efficientnet_edgetpu_m": (3000, 6.9),
}
"""Millions of MACs and of parameters, as published."""

LITE = {0: (224, 407, 4.7), 1: (240, 631, 5.4), 2: (260, 899, 6.1), 3: (280, 1440, 8.2), 4: (300, 2640, 13.0)}
"""Size, millions of multiply-adds and of parameters of EfficientNet-Lite: its README. It counts normalisation too."""

TINY = {"ic_resnet8_32": 12.5, "kws_dscnn": 2.66, "vww_mobilenet_v1_0.25_96": 7.49}
"""Millions of MACs of the reference networks of MLPerf Tiny."""

DETECTOR_MB = {"0_320": 13.68, "1_384": 18.17, "2_448": 22.80, "3_512": 37.40, "3x_640": 43.38, "4_640": 68.01}
"""Size of the float32 TFLite files of EfficientDet-Lite: `size_mb` in measurements.csv."""

DENSE_MB = {"0.5_224": 8.5, "0.75_224": 12, "1.0_224": 17, "1.3_224": 24}
"""Size of the hosted float32 TFLite files of MnasNet, in binary megabytes."""


@cache
def written(folder: Path) -> dict[str, dict[str, Any]]:
    command = [sys.executable, str(PUBLISHED / "architectures" / "write.py"), str(folder)]
    subprocess.run(command, check=True, capture_output=True)
    return {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in folder.glob("*.json")}


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    return written(tmp_path_factory.mktemp("workloads"))


def parameters(table: dict[str, Any]) -> int:
    """Weights and biases."""
    return table["total_weights"] + sum(x["output_shapes"][0][0] for x in table["layers"] if x.get("bias"))


def scales(table: dict[str, Any]) -> int:
    """What normalisation multiplies channels with while a network is trained; conversion folds it into the weights."""
    return sum(x["output_shapes"][0][0] for x in table["layers"] if x["op"] == "conv")


def shared_heads(table: dict[str, Any]) -> int:
    """Weights that a detector's last layers count again on each level, but that its file holds once."""
    last = [x for x in table["layers"] if x["op"] == "conv" and x["output_shapes"][0][0] in {810, 36}]
    return sum(x["weights"] for x in last) * 4 // 5


UNLIKE = "tf-mobilenet_v3_large_0.75_224"
"""A table that came with the measurements: its width scales expanded channels, the program's the narrow ones."""


def test_the_one_table_that_differs_is_further_from_the_published_total(tables: dict[str, dict[str, Any]]) -> None:
    """TF-Slim's README states 155 million multiply-accumulates for it."""
    table = json.loads((PUBLISHED / "workloads" / f"{UNLIKE}.json").read_text(encoding="utf-8"))
    ours, theirs = (abs(macs / 155e6 - 1) for macs in (tables[UNLIKE]["total_macs"], table["total_macs"]))
    assert ours < 0.01 < theirs


@pytest.mark.parametrize("path", [p for p in TABLES if p.stem != UNLIKE], ids=lambda p: p.stem)
def test_a_table_in_the_folder_is_what_the_program_writes(path: Path, tables: dict[str, dict[str, Any]]) -> None:
    table = json.loads(path.read_text(encoding="utf-8"))
    assert table["layers"] == tables[path.stem]["layers"]
    assert (table["total_macs"], table["total_weights"], table["model"], table["input_shape"]) == tuple(
        tables[path.stem][key] for key in ("total_macs", "total_weights", "model", "input_shape")
    )


def test_every_table_that_the_program_writes_is_in_the_folder(tables: dict[str, dict[str, Any]]) -> None:
    assert set(tables) == {path.stem for path in TABLES}


@pytest.mark.parametrize("name", TOTALS)
def test_totals_are_the_published_ones(name: str, tables: dict[str, dict[str, Any]]) -> None:
    macs, millions = TOTALS[name]
    assert tables[name]["total_macs"] / 1e6 == pytest.approx(macs, rel=0.025)
    assert parameters(tables[name]) / 1e6 == pytest.approx(millions, rel=0.025)


@pytest.mark.parametrize("number", LITE)
def test_efficientnet_lite_has_its_published_parameters_and_a_little_fewer_multiplications(
    number: int, tables: dict[str, dict[str, Any]]
) -> None:
    size, multiply_adds, millions = LITE[number]
    table = tables[f"tf-efficientnet_lite{number}_{size}"]
    assert round((parameters(table) + scales(table)) / 1e6, 1) == millions
    assert 0.94 < table["total_macs"] / 1e6 / multiply_adds < 1


@pytest.mark.parametrize("size", DETECTOR_MB)
def test_a_detector_fills_the_published_file(size: str, tables: dict[str, dict[str, Any]]) -> None:
    table = tables[f"tf-efficientdet_lite{size}"]
    boxes = table["layers"][-1]["input_shapes"][0][0]
    values = parameters(table) - shared_heads(table) + 4 * boxes
    assert 4 * values / 1e6 == pytest.approx(DETECTOR_MB[size], rel=0.006)


@pytest.mark.parametrize("size", DENSE_MB)
def test_mnasnet_fills_the_published_file(size: str, tables: dict[str, dict[str, Any]]) -> None:
    assert 4 * parameters(tables[f"tf-mnasnet_{size}"]) / 2**20 == pytest.approx(DENSE_MB[size], rel=0.03)


@pytest.mark.parametrize("name", TINY)
def test_a_tiny_network_has_its_published_multiplications(name: str, tables: dict[str, dict[str, Any]]) -> None:
    assert tables[f"tiny-mlperf_tiny_{name}"]["total_macs"] / 1e6 == pytest.approx(TINY[name], abs=0.005)


def test_keyword_spotting_has_the_published_number_of_parameters(tables: dict[str, dict[str, Any]]) -> None:
    """NXP/eiq-model-zoo states 23,756: its convolutions have a bias beside the scale and shift of normalisation."""
    table = tables["tiny-mlperf_tiny_kws_dscnn"]
    assert parameters(table) + 2 * scales(table) == 23_756


def test_the_autoencoder_multiplies_each_weight_once(tables: dict[str, dict[str, Any]]) -> None:
    table = tables["tiny-mlperf_tiny_ad_autoencoder"]
    assert table["total_macs"] == table["total_weights"] == 2 * 640 * 128 + 6 * 128 * 128 + 2 * 128 * 8


def test_vgg16_agrees_with_the_table_of_another_runtime(tables: dict[str, dict[str, Any]]) -> None:
    other = json.loads((PUBLISHED / "workloads" / "ncnn-vgg16_224.json").read_text(encoding="utf-8"))
    here = tables["tf-vgg16_224"]
    assert (here["total_macs"], here["total_weights"]) == (other["total_macs"], other["total_weights"])


@pytest.mark.parametrize("path", TABLES, ids=lambda p: p.stem)
def test_a_table_is_read_as_a_graph_in_which_every_tensor_has_a_maker(path: Path) -> None:
    made = {"input"}
    for layer in json.loads(path.read_text(encoding="utf-8"))["layers"]:
        assert set(layer["inputs"]) <= made
        made |= set(layer["outputs"])
    assert read_workload(path).operators


def test_a_table_from_elsewhere_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "tf-mobilenet_v2_1.0_224.json"
    path.write_text(json.dumps({"source": "a paper"}), encoding="utf-8")
    assert written(tmp_path)[path.stem] == {"source": "a paper"}
