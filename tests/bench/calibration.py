"""Does a calibration of this machine predict whole networks that it has never seen?

Run it on a machine that does nothing else:  python tests/bench/calibration.py
It calibrates (or takes --profile FILE), measures whole networks in float and in 8 bits in each backend as a run does,
in interleaved rounds and several processes, and prints each cell's estimate beside its measurement, the mean error, the
rank correlation, and how many of the pairs whose measured intervals exclude a tie were put in the right order.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import numpy as np

from bench_quantize.options import Int8Static
from bench_quantize.static import quantise_static
from harness import BuildContext, Data, Model, OpGraph, Split, TensorSpec
from harness.build.model_folder import write_model_folder
from harness.calibrate.calibration import Request, calibrate
from harness.calibrate.model import calibration_of, predict_ms, unswept
from harness.calibrate.write import write_profile
from harness.environment import usable_cores
from harness.host import Host
from harness.loading import load_host
from harness.measure.group import measure
from harness.measure.statistics import LatencySummary, ratio, summarise
from harness.measure.subject import MeasureSettings, Subject
from harness.process.limits import Limits
from harness.profile import DeviceProfile
from harness.profile_file import load_profile
from harness.progress import Silent
from harness.record import Measurement
from harness.workload import read_workload

NETWORKS = (
    "tf-mobilenet_v1_0.5_160", "tf-mobilenet_v1_1.0_192", "tf-mobilenet_v2_1.0_224", "tf-mobilenet_v2_0.5_160",
    "tf-efficientnet_lite0_224", "tf-mnasnet_1.0_128", "ncnn-squeezenet_v1.1", "ncnn-proxylessnas_224",
    "ncnn-regnety_400mf_224", "ncnn-resnet50_224",
)  # fmt: skip
"""Published architectures; the sweep holds made-up ones only."""

BACKENDS = ("onnxruntime", "openvino")
WORKLOADS = Path(__file__).resolve().parents[2] / "profiles" / "published" / "workloads"


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """A network in a precision and a backend."""

    name: str
    backend: str
    precision: str
    subject: Subject
    graph: OpGraph


def files(names: Sequence[str], folder: Path, host: Host) -> Iterator[tuple[str, str, Path, Path, OpGraph]]:
    """(network, precision, file, model folder, graph as read back), quantised by the technique itself."""
    writer, reader = (r.get("onnx").contribution for r in (host.graph_writers, host.graph_readers))
    for name in names:
        graph = read_workload(WORKLOADS / f"{name}.json")
        place = folder / name
        place.mkdir()
        floats, integers = place / "fp32.onnx", place / "int8.onnx"
        writer.write(graph, floats, 0)
        shape = graph.tensors[graph.inputs[0]].shape
        rows = np.random.default_rng(0).standard_normal((4, *shape[1:])).astype(np.float32)
        spec = TensorSpec(name=graph.inputs[0], shape=shape, dtype="float32")
        split = Split(inputs=(rows,))
        data = Data(name="random", sha256=name, metric="agreement", splits={"calibration": lambda s=split: s})
        model = Model(name=name, format="onnx", payload=floats, inputs=(spec,), outputs=graph.outputs,
                      example=(rows[:1],), data=None, sha256=name)  # fmt: skip
        (place / "model").mkdir()
        write_model_folder(place / "model", model, data)
        work = place / "work"
        work.mkdir()
        context = BuildContext(workdir=work, seed=0, threads=usable_cores(), data=data, example=(rows[:1],),
                               inputs=(spec,), outputs=graph.outputs, note=lambda text: None)  # fmt: skip
        quantise_static(floats, Int8Static(samples=4), context).rename(integers)
        for precision, path in (("fp32", floats), ("int8", integers)):
            yield name, precision, path, place / "model", reader.read(path)


def cells(names: Sequence[str], folder: Path, host: Host) -> list[Cell]:
    """Every network in every precision and backend."""
    found = []
    for name, precision, path, model, graph in files(names, folder, host):
        for backend in BACKENDS:
            item = host.backends.get(backend)
            label = f"{name} {precision} {backend}"
            subject = Subject(
                name=label, label=label, backend=backend, options={}, path=path, variant_sha256=label,
                model_folder=model, outputs=path, plugins=host.plugin_sources(item.plugin), provider=item.provider,
                environment=item.contribution.environment,
            )  # fmt: skip
            found.append(Cell(name=label, backend=backend, precision=precision, subject=subject, graph=graph))
    return found


def predicted(cell: Cell, profile: DeviceProfile, host: Host, threads: int) -> float:
    """The estimate in ms; a table that is missing ends the script."""
    family = host.backends.get(cell.backend).contribution.kernel_family[profile.isa]
    table = calibration_of(cell.graph, profile.profiled, kernel_family=family, threads=threads)
    if table is None:
        raise SystemExit(f"{profile.name} has no table of {family} for {cell.name} with {threads} threads")
    if missing := unswept(cell.graph, table):
        print(f"{cell.name}: stand-ins for {', '.join(missing)}")
    return predict_ms(cell.graph, table)


def measured(found: Sequence[Cell], settings: MeasureSettings) -> dict[str, Measurement]:
    """Measurements by name; a failure is printed and left out."""
    taken = {}
    for name, result in measure([c.subject for c in found], settings, Silent()).items():
        if isinstance(result, Measurement):
            taken[name] = result
        else:
            print(f"{name}: {result.error}")
    return taken


def ranks(values: Sequence[float]) -> np.ndarray:
    """Rank of each value."""
    return np.argsort(np.argsort(values)).astype(float)


def show(times: dict[str, Measurement], estimates: dict[str, float]) -> None:
    """Print the cells and what they say together."""
    names = sorted(times)
    summaries: dict[str, LatencySummary] = {name: summarise(times[name]) for name in names}
    errors = {name: estimates[name] / (summaries[name].median_ns / 1e6) - 1 for name in names}
    print("| cell | measured ms | 95 % interval | estimate ms | error |\n|---|---|---|---|---|")
    for name in names:
        each = summaries[name]
        ends = f"{(each.lo95_ns or 0) / 1e6:.3f} – {(each.hi95_ns or 0) / 1e6:.3f}"
        print(f"| {name} | {each.median_ns / 1e6:.3f} | {ends} | {estimates[name]:.3f} | {errors[name]:+.1%} |")
    decided = right = 0
    for one, other in combinations(names, 2):
        apart = ratio(times[one], times[other])
        if apart.significant:
            decided += 1
            right += (apart.ratio > 1) == (estimates[one] > estimates[other])
    for kind in ("", *(f"{p} {b}" for b in BACKENDS for p in ("fp32", "int8"))):
        some = [abs(errors[name]) for name in names if name.endswith(kind)]
        if some:
            print(f"MAPE {kind or 'pooled'}: {np.mean(some):.1%} over {len(some)} cells")
    order = np.corrcoef(ranks([summaries[n].median_ns for n in names]), ranks([estimates[n] for n in names]))[0, 1]
    print(f"Spearman: {order:.3f}")
    print(f"decided pairs in the right order: {right} of {decided} ({right / max(1, decided):.1%})")


def main() -> None:
    """Calibrate, measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--profile", type=Path, help="a profile written before, in place of calibrating")
    parser.add_argument("--save", type=Path, help="where the new profile goes")
    parser.add_argument("--threads", type=int, default=usable_cores())
    parser.add_argument("--budget-s", type=float, default=155.0, help="for calibrating")
    parser.add_argument("--measure-s", type=float, default=240.0, help="for measuring all networks")
    parser.add_argument("--networks", nargs="*", default=list(NETWORKS))
    parser.add_argument("--json", type=Path, help="where medians and estimates go")
    given = parser.parse_args()
    host = load_host()
    with tempfile.TemporaryDirectory() as folder:
        found = cells(given.networks, Path(folder), host)
        if given.profile:
            profile = load_profile(given.profile)
        else:
            request = Request(name="this-machine", backends=BACKENDS, threads=given.threads, budget_s=given.budget_s)
            profile = calibrate(request, host, print)
            if given.save:
                write_profile(profile, given.save)
        settings = MeasureSettings(threads=given.threads, seed=0, budget_s=given.measure_s, processes=3,
                                   precision=0.03, limits=Limits(), lanes=2)  # fmt: skip
        times = measured(found, settings)
    estimates = {c.name: predicted(c, profile, host, given.threads) for c in found if c.name in times}
    show(times, estimates)
    if given.json:
        rows = {
            n: {"measured_ms": summarise(m).median_ns / 1e6, "estimated_ms": estimates[n]} for n, m in times.items()
        }
        given.json.write_text(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()
