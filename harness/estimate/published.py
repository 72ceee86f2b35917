"""Published measurements: rows of the table that calibrates and checks estimates, with the graphs that they ran."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from harness.profile_file import builtin_folder, load_profiles
from harness.workload import read_workload

if TYPE_CHECKING:
    from harness.graph import OpGraph
    from harness.profile import DeviceProfile

FAMILY_OF: Mapping[str, tuple[str, str]] = MappingProxyType({
    "ncnn": ("ncnn", "ncnn"),
    "tflite-ruy": ("tflite-ruy", "tf"),
    "tflite-xnnpack": ("tflite-xnnpack", "tf"),
    "xnnpack-end2end-bench": ("tflite-xnnpack", "tf"),
    "armnn-neon": ("armnn", "tf"),
    "tflite-armnn": ("armnn", "tf"),
    "edgetpu": ("edgetpu", "tf"),
    "X-CUBE-AI v8.1.0": ("x-cube-ai", "tiny"),
    "X-CUBE-AI v9.0": ("x-cube-ai", "tiny"),
    "X-CUBE-AI v9.0.0": ("x-cube-ai", "tiny"),
})  # fmt: skip
"""Column `framework`: the kernel family that computed, and the collection of layer tables that its networks are in."""

AGAINST = (
    "int8-cpu-fallback", "mixed-cores", "suspect", "old-ncnn", "threads>cores", "bimodal", "core-cluster-not-stated",
)  # fmt: skip
"""Flags of rows that neither calibrate nor check: what ran where is in doubt. The table's README explains each."""

BUILDS: Mapping[tuple[str, str], str] = MappingProxyType({
    ("tflite", "tflite-hosted"): "tflite-ruy",
    ("tflite", "coral-benchmarks"): "tflite-ruy",
})  # fmt: skip
"""Rows of TensorFlow Lite that do not state their kernels, by framework and source, where the date does: ruy has been
the default on 64-bit Arm since 2.1. Other rows that say only `tflite` are left out."""

UNSTATED_THREADS: Mapping[str, int] = MappingProxyType({"coral-benchmarks": 1})
"""Threads of sources that do not state them and did not use all cores: TensorFlow Lite takes one unless told."""

READ = "read 2026-11"
"""Date of rows whose source states none."""

CALIBRATED_SETS = frozenset({"aarch64", "armv7m"})
"""Instruction sets whose rows calibrate: the kernels of 32-bit Arm and RISC-V are other kernels."""

MOST_THREADS = 4
"""Threads of the largest cluster of any device described here; rows with more are not calibrated with."""

FAMILIES_OF_MODELS: Mapping[str, str] = MappingProxyType({
    "nanodet_m_320": "shufflenet_v2", "fastestdet_352": "shufflenet_v2", "squeezenet_ssd_300": "squeezenet",
    "squeezenet_v1.1": "squeezenet", "vit_b32_384_ncnn": "vit",
})  # fmt: skip
"""Models whose family is not what their name begins with: NanoDet-m and FastestDet stand on ShuffleNet v2."""

PREFIXES = (
    "mobilenet_v1", "mobilenet_v2", "mobilenet_v3", "efficientnet_lite", "efficientnet_edgetpu", "efficientnet_v2",
    "efficientdet", "resnet", "inception", "vgg", "densenet", "shufflenet_v1", "yolo", "deeplab", "unet", "ssd",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedRow:
    """One published latency and the conditions under which it was measured.

    Attributes:
        family: Kernel family.
        model_family: Models of one architecture, which are held out together.
        soc: Processor, held out together whatever board it is on.
        threads: As stated, or None for all fast cores.
        cluster: Name of the profile's cluster that it was pinned to, or "" for the fastest.
        run: What was measured together: device, build, threads and cores.
    """

    source: str
    device: str
    soc: str
    family: str
    precision: str
    model: str
    model_family: str
    threads: int | None
    cluster: str
    run: str
    clock_ghz: float | None
    latency_ms: float
    detection: bool
    date: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedData:
    """Everything that calibration reads.

    Attributes:
        targets: Devices that estimates are made for; the others only calibrate.
    """

    rows: tuple[PublishedRow, ...]
    graphs: Mapping[str, OpGraph]
    profiles: Mapping[str, DeviceProfile]
    targets: frozenset[str]

    def date_of(self, rows: Sequence[PublishedRow]) -> str:
        """Newest date that the rows state, or when the table was read."""
        dates = sorted(row.date for row in rows if row.date)
        return dates[-1] if dates else READ

    def graph_of(self, row: PublishedRow) -> OpGraph:
        """The graph that a row ran."""
        return self.graphs[self.name_of(row)]

    def calibrating(self, family: str, precision: str) -> tuple[PublishedRow, ...]:
        """Rows that coefficients are fitted to: 64-bit Arm or microcontroller, at most four threads, no detection head.

        Heads are admitted where fewer than three model families remain without: their post-processing is then a small
        part of large networks, and is part of the error.
        """
        found = [
            row for row in self.rows
            if row.family == family and row.precision == precision and (row.threads or 1) <= MOST_THREADS
            and self.profiles[row.device].isa in CALIBRATED_SETS
        ]  # fmt: skip
        plain = tuple(row for row in found if not row.detection)
        return plain if len({row.model_family for row in plain}) >= 3 else tuple(found)

    def name_of(self, row: PublishedRow) -> str:
        """Name of the layer table that a row ran."""
        return _table_name(row.family, row.model)

    def profile_of(self, row: PublishedRow, *, as_stated: bool = True) -> DeviceProfile:
        """The device of a row, at the clock that the row states."""
        profile = self.profiles[row.device]
        if not as_stated or row.clock_ghz is None:
            return profile
        clusters = tuple(
            replace(c, clock=replace(c.clock, value=row.clock_ghz)) if _ran_on(row, c.name, profile) else c
            for c in profile.clusters
        )
        return replace(profile, clusters=clusters)


def published_folder() -> Path:
    """Where the table, its sources and the layer tables are."""
    return builtin_folder() / "published"


def table_rows(folder: Path) -> Iterator[Mapping[str, str]]:
    """Lines of the table of measurements."""
    with (folder / "measurements.csv").open(encoding="utf-8", newline="") as file:
        yield from csv.DictReader(file)


@cache
def published_data(folder: Path | None = None) -> PublishedData:
    """Rows that have a layer table and a profile and nothing against them, sorted, with graphs and profiles."""
    folder = folder or published_folder()
    targets = load_profiles([folder.parent])
    profiles = {**load_profiles([folder / "devices"]), **targets}
    graphs: dict[str, OpGraph] = {}
    rows = []
    for line in table_rows(folder):
        named = _family(line)
        if named is None or line["exec_unit"] not in {"cpu", "edgetpu"} or line["device_id"] not in profiles:
            continue
        if any(flag in line["flag"] for flag in AGAINST) or not line["latency_ms"]:
            continue
        name = _table_name(named[0], line["model"])
        if name not in graphs:
            path = folder / "workloads" / f"{name}.json"
            if not path.is_file():
                continue
            graphs[name] = read_workload(path)
        rows.append(_row(line, named[0], profiles[line["device_id"]], graphs[name]))
    return PublishedData(
        rows=tuple(sorted(rows, key=_order)), graphs=graphs, profiles=profiles,
        targets=frozenset(targets),
    )  # fmt: skip


def _family(line: Mapping[str, str]) -> tuple[str, str] | None:
    built = BUILDS.get((line["framework"], line["source_id"]))
    return (built, "tf") if built else FAMILY_OF.get(line["framework"])


def _order(row: PublishedRow) -> tuple[str, ...]:
    return row.family, row.precision, row.run, row.model, row.source, f"{row.latency_ms:12.4f}"


def model_family(model: str) -> str:
    """Models of one architecture."""
    if model in FAMILIES_OF_MODELS:
        return FAMILIES_OF_MODELS[model]
    return next((prefix for prefix in PREFIXES if model.startswith(prefix)), model)


def _table_name(family: str, model: str) -> str:
    collection = next(tables for name, tables in FAMILY_OF.values() if name == family)
    return f"{collection}-{model}"


def _row(line: Mapping[str, str], family: str, profile: DeviceProfile, graph: OpGraph) -> PublishedRow:
    fastest = line["latency_min_ms"]
    cluster = profile.clusters[-1].name if line["affinity"] == "little" and len(profile.clusters) > 1 else ""
    threads = int(line["threads"]) if line["threads"] else UNSTATED_THREADS.get(line["source_id"])
    conditions = (line["device_id"], line["framework"], line["framework_version_or_date"], line["soc"])
    return PublishedRow(
        source=line["source_id"],
        device=line["device_id"],
        soc=profile.soc or profile.name,
        family=family,
        precision=line["precision"],
        model=line["model"],
        model_family=model_family(line["model"]),
        threads=threads,
        cluster=cluster,
        run=" ".join((*conditions, cluster or "fastest", f"{threads or 'all'} threads")),
        clock_ghz=float(line["clock_ghz_stated"]) if line["clock_ghz_stated"] else None,
        latency_ms=float(fastest or line["latency_ms"]),
        date=_date(line["framework_version_or_date"]),
        detection=any(op.kind == "detection" for op in graph.operators),
    )


def _date(text: str) -> str:
    found = re.search(r"\b(20[12]\d(?:-\d\d(?:-\d\d)?)?)\b", text)
    return found.group(1) if found else ""


def _ran_on(row: PublishedRow, cluster: str, profile: DeviceProfile) -> bool:
    return cluster == row.cluster if row.cluster else cluster == profile.big.name
