"""How long a report takes to build and to render, and how large its page is: `python tests/bench/report_scale.py`.

The records are those of a real run, copied with other numbers until there are enough of them.
"""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from harness.estimate.interval import Estimate, Interval
from harness.record import Measurement, Record
from harness.report.document import build_report
from harness.report.html import render_html
from harness.run_folder import read_environment, read_records

RUN = Path(__file__).parents[2] / "reports" / "techniques" / "har-watch" / "seed-0"
SHAPES = ((1, 200), (1, 10_000), (50, 200))
"""Sections, and rows in each."""


def make_records(sections: int, rows: int) -> Iterator[Record]:
    """Records of `sections` models with `rows` rows each; the first copies keep recipes, so baselines are there."""
    real = read_records(RUN)
    rng = random.Random(0)
    for section in range(sections):
        for row in range(rows):
            record = real[row % len(real)]
            copy, share = row // len(real), rng.lognormvariate(0, 0.4)
            yield replace(
                record,
                model=f"{record.model}-{section}",
                cell=f"{section}-{row}",
                recipe=f"{record.recipe}+copy(number={copy})" if copy else record.recipe,
                measurement=_slower(record.measurement, share),
                estimate=_larger(record.estimate, share),
            )


def _slower(measurement: Measurement | None, share: float) -> Measurement | None:
    if measurement is None:
        return None
    return replace(measurement, latency_ns=tuple(round(ns * share) for ns in measurement.latency_ns))


def _larger(estimate: Estimate | None, share: float) -> Estimate | None:
    if estimate is None:
        return None
    found = estimate.latency_ms
    return replace(
        estimate, latency_ms=Interval(p50=found.p50 * share, lo90=found.lo90 * share, hi90=found.hi90 * share)
    )


def main() -> None:
    """Print a line for each shape."""
    environment = read_environment(RUN)
    for sections, rows in SHAPES:
        records = list(make_records(sections, rows))
        started = time.perf_counter()
        report = build_report(records, environment)
        built = time.perf_counter()
        page = render_html(report)
        rendered = time.perf_counter()
        size = len(page.encode()) / 1e6
        print(f"{sections} × {rows}: build {built - started:.1f} s, render {rendered - built:.1f} s, {size:.2f} MB")


if __name__ == "__main__":
    main()
