"""The study of every technique: runs the plans, then writes `reports/techniques/README.md` from their records.

    python reports/study.py              run what is not there yet, and write the page
    python reports/study.py --page       write the page from the records that are there

Each plan is run with three seeds. The first is measured in every backend; of the others only quality is wanted, so
they run in one backend and for the shortest time. A further run of the first with an empty cache shows whether the
same seed gives the same variants.
"""

from __future__ import annotations

import argparse
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, stdev

import numpy as np
from study_claims import CLAIMS, Evidence, Finding, quality_of, variant_of

from harness import Plan, Record, run
from harness.report import builtin_formats, write_report
from harness.run_folder import read_environment, read_records

HERE = Path(__file__).resolve().parent / "techniques"
SEEDS = (0, 1, 2)
QUALITY_BACKEND = "onnxruntime"

STUDENT = 'student="width", width=0.5'


@dataclass(frozen=True, slots=True, kw_only=True)
class Study:
    """One network and what is done to it.

    Attributes:
        seeds: Seeds of training; one where nothing is trained.
        backends: Where the first seed is measured.
        budget_s: Time for measuring it.
        timed: Recipes of the first seed whose speed is claimed: timed once more, by themselves and in more processes.
        again: Whether the first seed's variants are built once more from an empty cache.
    """

    name: str
    model: str
    recipes: tuple[str, ...]
    seeds: tuple[int, ...] = SEEDS
    backends: tuple[str, ...] = ("onnxruntime", "openvino")
    budget_s: float = 60.0
    robustness: bool = False
    timed: tuple[str, ...] = ()
    again: bool = False


def _students(epochs: str) -> tuple[str, ...]:
    """The same narrower student trained alone and by its teacher, for equal epochs."""
    given = f"{epochs}{STUDENT}"
    return f"distill-soft(alpha=0.0, {given})", f"distill-soft({given})", f"distill-feature({given})"


ARTIFACTS = ("fp16", "int8-dynamic", "int8-static", "weight-only-int8", "weight-only-int4")

ON_SENSORS = (
    *ARTIFACTS,
    "fine-tune",
    "qat-int8",
    "prune-magnitude(amount=0.5)",
    "prune-magnitude(amount=0.9)",
    "prune-magnitude(amount=0.9, epochs=12.0)",
    "prune-scheduled(final=0.9)",
    "prune-iterative(amount=0.9)",
    "prune-channels(macs=0.5)+fine-tune",
    "prune-channels(latency=0.85)+fine-tune",
    "low-rank-svd(parameters=0.5)+fine-tune",
    "low-rank-cp",
    "low-rank-tucker",
    *_students(""),
    "prune-channels(macs=0.5)+distill-soft+int8-static",
)

ON_PICTURES = (
    "int8-static",
    "fine-tune(epochs=2.0)",
    "qat-int8(epochs=1.0)",
    "prune-magnitude(amount=0.9)",
    "prune-magnitude(amount=0.9, epochs=2.0)",
    "prune-iterative(amount=0.9, epochs=0.5)",
    "prune-channels(macs=0.5)+fine-tune(epochs=2.0)",
    "low-rank-svd(parameters=0.5)+fine-tune(epochs=2.0)",
    *_students("epochs=3.0, "),
    "prune-channels(macs=0.5)+distill-soft(epochs=2.0)+int8-static",
)

STUDIES = (
    Study(
        name="har-watch",
        model="zoo:har-watch",
        recipes=ON_SENSORS,
        backends=("onnxruntime", "openvino", "torch"),
        budget_s=120.0,
        robustness=True,
        timed=(
            "int8-static",
            "prune-channels(macs=0.5)+fine-tune",
            "prune-channels(macs=0.5)+distill-soft+int8-static",
        ),
        again=True,
    ),
    Study(
        name="resnet-8",
        model="zoo:resnet-8",
        recipes=ON_PICTURES,
        timed=(
            "int8-static",
            "prune-channels(macs=0.5)+fine-tune(epochs=2.0)",
            "prune-channels(macs=0.5)+distill-soft(epochs=2.0)+int8-static",
        ),
    ),
    Study(
        name="efficientnet-lite0",
        model="zoo:efficientnet-lite0-crops",
        recipes=("int8-static", "int8-static(per_channel=false)"),
        seeds=(0,),
        timed=("int8-static",),
    ),
)


def main() -> None:
    """Run what is asked for and write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--page", action="store_true", help="only write the page")
    parser.add_argument("--only", default="", help="name of one study")
    given = parser.parse_args()
    chosen = [study for study in STUDIES if given.only in {"", study.name}]
    if not given.page:
        for study in chosen:
            _run(study)
    evidence = {study.name: found for study in STUDIES if (found := _evidence(study)) is not None}
    (HERE / "README.md").write_text("\n".join(_page(evidence)) + "\n", encoding="utf-8")


def _folder(study: Study, which: str) -> Path:
    return HERE / study.name / which


def _run(study: Study) -> None:
    for seed in study.seeds:
        first = seed == study.seeds[0]
        plan = Plan(
            models=(study.model,),
            recipes=study.recipes,
            backends=study.backends if first else (QUALITY_BACKEND,),
            profiles=("rpi4",),
            seed=seed,
            budget_s=study.budget_s if first else 1.0,
            processes=3 if first else 1,
            timeout_s=3600.0,
            robustness=study.robustness and first,
        )
        _into(_folder(study, f"seed-{seed}"), plan)
    if study.timed:
        plan = Plan(models=(study.model,), recipes=study.timed, profiles=("rpi4",), seed=study.seeds[0],
                    backends=("onnxruntime", "openvino"), budget_s=90.0, processes=8, timeout_s=3600.0)  # fmt: skip
        _into(_folder(study, "timed"), plan)
    if study.again:
        _again(study)


def _into(folder: Path, plan: Plan) -> None:
    """Run a plan unless its report is there."""
    if (folder / "report.md").is_file():
        return
    shutil.rmtree(folder, ignore_errors=True)
    records = run(plan, out=folder)
    formats = builtin_formats() if folder.name == "seed-0" else builtin_formats()[:1]  # one HTML file is enough to keep
    write_report(folder, records, read_environment(folder), formats)


def _again(study: Study) -> None:
    """Build the first seed's variants once more, with an empty cache, in processes of their own."""
    before = os.environ.get("BENCH_CACHE")
    with tempfile.TemporaryDirectory() as cache:
        os.environ["BENCH_CACHE"] = cache
        try:
            plan = Plan(models=(study.model,), recipes=study.recipes, backends=(QUALITY_BACKEND,), profiles=("rpi4",),
                        budget_s=1.0, processes=1, timeout_s=3600.0)  # fmt: skip
            _into(_folder(study, "again"), plan)
        finally:
            os.environ.pop("BENCH_CACHE") if before is None else os.environ.update(BENCH_CACHE=before)


def _evidence(study: Study) -> Evidence | None:
    folders = [_folder(study, f"seed-{seed}") for seed in study.seeds]
    if not all((folder / "report.md").is_file() for folder in folders):
        return None
    return Evidence(
        name=study.name,
        seeds=tuple(tuple(read_records(folder)) for folder in folders),
        timed=_records(_folder(study, "timed")),
        again=_records(_folder(study, "again")),
        backend=QUALITY_BACKEND,
        order={recipe: place for place, recipe in enumerate(study.recipes)},
    )


def _records(folder: Path) -> tuple[Record, ...]:
    """Records of a finished run; none where there is no such run."""
    return tuple(read_records(folder)) if (folder / "report.md").is_file() else ()


def _page(evidence: Mapping[str, Evidence]) -> Iterator[str]:
    yield "# Every technique on one page"
    yield ""
    yield "Written by `make study` from the records beside it; nothing here was typed by hand. Each row that trains was"
    yield "trained with three seeds: mean, and the standard deviation over seeds behind ±. Latency is that of the first"
    yield "seed on the machine that its report names, against the baseline of the same backend, with its 95 % interval."
    yield ""
    yield "## What was claimed beforehand, and what came out"
    yield ""
    yield "| network | claim | found | holds |"
    yield "|---|---|---|---|"
    for found in _findings(evidence):
        yield f"| {found.network} | {found.claim} | {found.figures} | {'yes' if found.holds else '**no**'} |"
    yield ""
    for name, each in evidence.items():
        yield f"## {name}"
        yield ""
        yield f"[The whole report of the first seed]({name}/seed-0/report.md) ([HTML]({name}/seed-0/report.html)),"
        yield f"[its plan]({name}/seed-0/plan.toml)."
        yield ""
        yield from _table(each)
        yield ""


def _findings(evidence: Mapping[str, Evidence]) -> Iterator[Finding]:
    for each in evidence.values():
        for claim in CLAIMS:
            yield from claim(each)


def _table(evidence: Evidence) -> Iterator[str]:
    backends = sorted({record.backend for record in evidence.seeds[0]})
    speeds = " | ".join(f"{backend} here" for backend in backends)
    yield f"| recipe | quality | points lost | parameters | MACs | int8 MACs | made in, s | {speeds} |"
    yield f"|---|--:|--:|--:|--:|--:|--:|{'--:|' * len(backends)}"
    for recipe in evidence.recipes():
        records = evidence.of(recipe)
        cells = _cells(evidence, records) if records else ["–"] * 6
        shown = [*cells, *(_speed(evidence, recipe, backend) for backend in backends)]
        yield f"| {recipe} | {' | '.join(shown)} |"


def _cells(evidence: Evidence, records: Sequence[Record]) -> list[str]:
    base, variant = (variant_of(found) for found in (evidence.of("baseline")[0], records[0]))
    qualities = [quality_of(record) for record in records]
    drops = [100 * q.drop for q in qualities if q.drop is not None]
    values = [q.value if q.value is not None else q.agreement for q in qualities]
    steps = [[s.seconds for s in variant_of(r).lineage if s.kind == "technique"] for r in records]
    return [
        spread([100 * v for v in values if v is not None], " %"),
        "–" if records[0].recipe == "baseline" else spread(drops),
        f"{variant.parameters / base.parameters:.0%}",
        f"{variant.macs / base.macs:.0%}",
        f"{variant.int8_macs_share:.0%}",
        f"{mean(sum(seconds) for seconds in steps):.0f}",
    ]


def _speed(evidence: Evidence, recipe: str, backend: str) -> str:
    """How it did in a backend, or why it is missing there."""
    for row in evidence.rows(backend):
        if row.recipe == recipe:
            if row.baseline and row.host:
                return f"{row.host.median_ns / 1e6:.3g} ms"
            found = row.speed.summary if row.speed else None
            return f"{found.ratio:.2f}× [{found.lo95:.2f}, {found.hi95:.2f}]" if found else "–"
    record = next((r for r in evidence.seeds[0] if r.recipe == recipe and r.backend == backend), None)
    return f"{record.outcome}: {record.failure.error}" if record and record.failure else "–"


def spread(values: Sequence[float], unit: str = "") -> str:
    """`92.7 ± 0.3 %`, or the one value."""
    if not values:
        return "–"
    if len(values) == 1 or np.ptp(values) == 0:
        return f"{values[0]:.1f}{unit}"
    return f"{mean(values):.1f} ± {stdev(values):.1f}{unit}"


if __name__ == "__main__":
    main()
