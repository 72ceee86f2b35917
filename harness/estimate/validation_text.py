"""The back-test in words and tables: for the terminal, and as the page docs/estimates.md."""

from __future__ import annotations

from math import isnan
from typing import TYPE_CHECKING

from tabulate import tabulate

from harness.estimate.validation import DATASHEET, SCALED
from harness.profile_file import builtin_folder

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from harness.estimate.accelerator_backtest import AcceleratorRow
    from harness.estimate.energy_backtest import EnergyScore
    from harness.estimate.skill import Skill
    from harness.estimate.validation import BackTest, Validation

INTRODUCTION = """\
# How good the estimates are

Written by `bench profiles validate` from the published measurements in `profiles/published/`; do not edit.

Every row is predicted with its **model family and its processor hidden** from the coefficients. *Datasheet only* knows
nothing measured on the device; *device's scale* has one factor from the same run's networks of other families. FLOPs
and the roofline get the same help: one factor from the other processors, or one from the same run. Errors are means
over runs (one board, one build, one number of threads), so that no board counts for its number of rows.

Two things to know before trusting this page. The physical prior's prices, and the constants for threads and for cores
without reordering, were tuned for a low held-out error on these very ncnn float rows and then rounded; so there the
back-test is blind to the fit, not to the prior, and is better than on rows that nobody has seen. The other families did
not take part. And coverage is meant over devices: on the worst one fewer rows lie inside, which is printed beside it.
"""

CONTROLS = """\
## Controls

What must be worse, on the float32 rows of the first family, from datasheets alone:
"""

OUTSIDE = """\
## Rows that calibrate nothing

Predicted from datasheets by the coefficients of the rows that do; the shape error is what is left when a run's common
factor is taken off.
"""

ENERGY = """\
## Energy

Constants of one stack on one device, each model family (for MLPerf Tiny each task) left out in turn, given the
published latency. Rows of MLPerf Tiny whose energy and latency runs differ by more than 5 % are set aside, and so are
those flagged as outliers beside the chip maker's own.
"""

DEVICE_HEADERS = (
    "device", "rows", "datasheet only", "in 90 %", "with scale", "±10 %", "±20 %", "rank", "close pairs", "in 90 %",
)  # fmt: skip
HEADERS = ("rows", "runs", "error", "worst run", "±10 %", "±20 %", "rank", "close pairs", "in 90 %", "worst", "factor")


def report_path() -> Path | None:
    """docs/estimates.md of a source tree, None where the package is installed without one."""
    docs = builtin_folder().parent / "docs"
    return docs / "estimates.md" if docs.is_dir() else None


def as_terminal(found: Validation) -> str:
    """A line for each predictor of each set of rows."""
    rows = [
        (test.name, name, *_figures(each)[:3], *_figures(each)[5:7], _figures(each)[8], _figures(each)[10])
        for test in found.tests
        for name, each in test.skills.items()
    ]
    headers = ("rows of", "predictor", "rows", "runs", "error", "±20 %", "rank", "in 90 %", "factor")
    whole = tabulate(rows, headers=headers, disable_numparse=True)
    parts = [(test.name, *line) for test in found.tests if not test.name.endswith("float") for line in _by_device(test)]
    apart = tabulate(parts, headers=("rows of", *DEVICE_HEADERS), disable_numparse=True)
    return f"{whole}\n\nBy device:\n\n{apart}"


def as_markdown(found: Validation) -> str:
    """The whole page."""
    return "\n".join(_parts(found)).rstrip("\n") + "\n"


def _parts(found: Validation) -> Iterator[str]:
    yield INTRODUCTION
    yield "## Latency\n"
    for test in found.tests:
        yield from _test(test)
    yield CONTROLS
    rows = [(n, _percent(s.error), _number(s.spearman), _percent(s.close_right)) for n, s in found.controls.items()]
    yield _table(rows, ("what was done", "error", "rank", "close pairs right")) + "\n"
    yield OUTSIDE
    outside = [(n, c, f"×{ratio:.2f}", _percent(rest)) for n, (c, ratio, rest) in found.outside.items()]
    yield _table(outside, ("rows", "count", "median of predicted over published", "shape error")) + "\n"
    yield from _accelerators(found.accelerators)
    yield ENERGY
    yield _energy(found.energy) + "\n"
    yield "End to end: the same with the estimated latency (device's scale, model family and processor hidden).\n"
    yield _energy(found.energy_end_to_end)


def _test(test: BackTest) -> Iterator[str]:
    yield f"### {test.name}\n"
    yield _table([(name, *_figures(each)) for name, each in test.skills.items()], ("predictor", *HEADERS)) + "\n"
    first, scaled = test.skills[DATASHEET], test.skills.get(SCALED)
    yield f"Worst run: {first.worst} from its datasheet" + (f"; {scaled.worst} with a scale." if scaled else ".")
    coverage, factor = test.pair_coverage
    if not isnan(coverage):
        yield f"Ratio of two networks on one device: ×/÷ {factor:.2f} holds {coverage:.0%} of the pairs."
    yield ""
    if test.name.endswith("float"):
        return
    yield "<details><summary>By device</summary>\n"
    yield _table(_by_device(test), DEVICE_HEADERS)
    yield "\n</details>\n"


def _by_device(test: BackTest) -> list[tuple[str, ...]]:
    """Both predictors on each device's rows."""
    return [
        (
            device, str(each.datasheet.rows), _percent(each.datasheet.error), _percent(each.datasheet_inside),
            _percent(each.scaled.error), _percent(each.scaled.within_10), _percent(each.scaled.within_20),
            _number(each.scaled.spearman), _percent(each.scaled.close_right), _percent(each.scaled_inside),
        )
        for device, each in test.devices.items()
    ]  # fmt: skip


def _figures(each: Skill) -> tuple[str, ...]:
    return (
        str(each.rows), str(each.runs), _percent(each.error), _percent(each.worst_error), _percent(each.within_10),
        _percent(each.within_20), _number(each.spearman), _percent(each.close_right), _percent(each.coverage),
        _percent(each.worst_coverage), f"×/÷ {each.factor90:.2f}",
    )  # fmt: skip


def _accelerators(rows: Sequence[AcceleratorRow]) -> Iterator[str]:
    if not rows:
        return
    yield "## Accelerators\n"
    yield "Simulated by the backend's own model, fitted without the network's family.\n"
    for device in sorted({row.device for row in rows}):
        mine = [row for row in rows if row.device == device]
        shares = sorted(abs(row.simulated_ms / row.measured_ms - 1) for row in mine)
        worst = max(mine, key=lambda row: abs(row.log_error))
        yield (
            f"{device}: {len(mine)} networks, median error {shares[len(shares) // 2]:.0%}, mean"
            f" {sum(shares) / len(shares):.0%}, {sum(row.covered for row in mine)} inside the interval; worst"
            f" {worst.model} at {worst.simulated_ms / worst.measured_ms:.2f} times.\n"
        )
    table = [(r.device, r.model, f"{r.measured_ms:g}", f"{r.simulated_ms:.3g}") for r in rows]
    yield _table(table, ("device", "network", "published ms", "simulated ms")) + "\n"


def _energy(scores: Sequence[EnergyScore]) -> str:
    rows = [
        (s.device, s.stack, s.precision, s.rows, s.families, _percent(s.mape, 1), f"{s.worst:+.0%}") for s in scores
    ]
    return _table(rows, ("device", "software", "precision", "rows", "families", "error", "worst row"))


def _table(rows: Sequence[Sequence[object]], headers: Sequence[str]) -> str:
    return tabulate(rows, headers=headers, tablefmt="github", disable_numparse=True)


def _percent(share: float, digits: int = 0) -> str:
    return "–" if isnan(share) else f"{share:.{digits}%}".replace("%", " %")


def _number(value: float) -> str:
    return "–" if isnan(value) else f"{value:.3f}"
