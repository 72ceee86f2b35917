"""Geometry of the drawings in a report: the Pareto scatter and the small interval bars. Numbers in, coordinates out."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.report import units
from harness.report.choice import latency, quality
from harness.report.recommendation import kind, metric_name

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from harness.report.document import Section
    from harness.report.row import Row

SERIES = 6
"""How many backends have a colour of their own; further ones share the last."""

WHISKERS = 60
"""With more points than this only Pareto-optimal ones keep their whiskers."""

DODGE = 9.0
"""How far apart points are drawn that would hide each other."""

CHARACTER = 6.4
"""Width of a character of a label, for keeping labels apart."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """A linear or logarithmic map from numbers to coordinates."""

    lo: float
    hi: float
    start: float
    end: float
    log: bool = False

    def __call__(self, value: float) -> float:
        """Coordinate of a value, held inside the drawing, to a tenth of a pixel."""
        lo, hi, at = (
            (math.log(self.lo), math.log(self.hi), math.log(max(value, self.lo)))
            if self.log
            else (self.lo, self.hi, value)
        )
        share = min(max((at - lo) / (hi - lo), 0.0), 1.0) if hi > lo else 0.5
        return round(self.start + share * (self.end - self.start), 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tick:
    """A line of the grid with its label."""

    at: float
    label: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Label:
    """A name beside a point; `anchor` is SVG's text-anchor."""

    x: float
    y: float
    anchor: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """A row in the scatter, in coordinates; `title` says it in words."""

    x: float
    y: float
    x_lo: float
    x_hi: float
    y_lo: float
    y_hi: float
    kind: str
    series: int
    pareto: bool
    baseline: bool
    whiskers: bool
    title: str
    label: Label | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Scatter:
    """Latency against quality, ready to be drawn."""

    width: int
    height: int
    left: float
    right: float
    top: float
    bottom: float
    x_title: str
    y_title: str
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]
    points: tuple[Point, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """A drawn interval: a line from `lo` to `hi` with a mark at `middle`."""

    lo: float
    middle: float
    hi: float


def series(section: Section) -> dict[str, int]:
    """Number of the colour of each backend."""
    names = sorted({row.backend for row in section.rows})
    return {name: min(number, SERIES - 1) for number, name in enumerate(names)}


def scatter(section: Section, width: int, height: int) -> Scatter | None:
    """The scatter of a section, or None when fewer than two rows have both a latency and a quality."""
    found = [
        (row, time, good)
        for row in section.rows
        if (time := latency(row, section.axes)) and (good := quality(row, section.axes))
    ]
    if len(found) < 2:
        return None
    left, right, top, bottom = 52.0, width - 14.0, 16.0, height - 44.0
    many = len(found) > WHISKERS
    drawn = [entry for entry in found if not many or entry[0].pareto]
    times = [time.value for _, time, _ in found] + [end for _, t, _ in drawn for end in (t.lo, t.hi) if end]
    goods = [good.value for _, _, good in found] + [e for _, _, g in drawn for e in (g.lo, g.hi) if e is not None]
    pad = max((max(goods) - min(goods)) * 0.08, 0.002)
    x = Scale(lo=min(times) / 1.12, hi=max(times) * 1.12, start=left, end=right, log=True)
    y = Scale(lo=max(min(goods) - pad, -0.02), hi=min(max(goods) + pad, 1.02), start=bottom, end=top)
    colours = series(section)
    place = _placer(left, right, top, bottom)
    points, seen = [], Counter[tuple[float, float]]()
    # Labels first go to what matters; what matters is drawn last, on top.
    for row, time, good in sorted(found, key=lambda entry: (not entry[0].pareto, not entry[0].baseline)):
        at = x(time.value), y(good.value)
        hidden = 0 if many else seen[at]
        seen[at] += 1
        points.append(
            Point(
                x=at[0] + DODGE * hidden,
                y=at[1],
                x_lo=x(time.lo) if time.lo else at[0],
                x_hi=x(time.hi) if time.hi else at[0],
                y_lo=y(good.lo) if good.lo is not None else at[1],
                y_hi=y(good.hi) if good.hi is not None else at[1],
                kind=kind(row, section.axes),
                series=colours[row.backend],
                pareto=row.pareto,
                baseline=row.baseline,
                whiskers=row.pareto if many else not hidden,
                title=_title(row, section),
                label=place(*at, row.recipe) if row.pareto or row.baseline else None,
            )
        )
    where = "measured here" if section.axes.latency == "measured" else f"on {section.profile}, estimated or simulated"
    return Scatter(
        width=width,
        height=height,
        left=left,
        right=right,
        top=top,
        bottom=bottom,
        x_title=f"latency in {section.axes.unit}, {where} (log scale; left is better)",
        y_title=f"{metric_name(section.axes.metric)}, % (up is better)",
        x_ticks=tuple(Tick(at=x(value), label=_number(value)) for value in log_ticks(x.lo, x.hi, width)),
        y_ticks=tuple(Tick(at=y(value), label=f"{value * 100:.10g}") for value in linear_ticks(y.lo, y.hi, 6)),
        points=tuple(reversed(points)),
    )


def bar_scale(spans: Sequence[tuple[float, float, float]], width: float, *, log: bool) -> Scale | None:
    """A scale that all bars of one column share, or None when there is nothing to draw."""
    ends = [end for lo, _, hi in spans for end in (lo, hi) if not log or end > 0]
    if not ends or min(ends) == max(ends):
        return None
    return Scale(lo=min(ends), hi=max(ends), start=2.0, end=width - 2.0, log=log)


def bar(span: tuple[float, float, float], scale: Callable[[float], float]) -> Bar:
    """Coordinates of one interval."""
    return Bar(lo=scale(span[0]), middle=scale(span[1]), hi=scale(span[2]))


def log_ticks(lo: float, hi: float, width: int) -> tuple[float, ...]:
    """1, 2 and 5 times powers of ten between the ends, or powers of ten alone when those are too many."""
    powers = range(math.floor(math.log10(lo)), math.ceil(math.log10(hi)) + 1)
    for steps in ((1, 2, 5), (1, 3), (1,)):
        found = tuple(step * 10.0**power for power in powers for step in steps if lo <= step * 10.0**power <= hi)
        if len(found) * 48 <= width:
            break
    return found


def linear_ticks(lo: float, hi: float, most: int) -> tuple[float, ...]:
    """Round numbers between the ends, at most `most` steps apart."""
    raw = (hi - lo) / most
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(size * power for size in (1, 2, 2.5, 5, 10) if size * power >= raw * 0.999)
    first = math.ceil(lo / step - 1e-9)
    values = (round(number * step, 10) for number in range(first, math.floor(hi / step + 1e-9) + 1))
    return tuple(value for value in values if 0 <= value <= 1)


def _placer(left: float, right: float, top: float, bottom: float) -> Callable[[float, float, str], Label | None]:
    """Gives each label the first free place beside its point, or none; one point gets one label."""
    taken: list[tuple[float, float, float, float]] = []
    named: set[tuple[float, float]] = set()

    def place(x: float, y: float, text: str) -> Label | None:
        if (x, y) in named:
            return None
        named.add((x, y))
        text = text if len(text) <= 34 else f"{text[:33]}…"
        wide = len(text) * CHARACTER
        for x_off, y_off, anchor in ((0, -10, "middle"), (0, 20, "middle"), (10, -6, "start"), (-10, -6, "end")):
            start = x + x_off - (wide / 2 if anchor == "middle" else wide if anchor == "end" else 0)
            box = (start, y + y_off - 10, start + wide, y + y_off + 3)
            inside = box[0] >= left and box[2] <= right and box[1] >= top - 8 and box[3] <= bottom
            if inside and not any(
                box[0] < other[2] and other[0] < box[2] and box[1] < other[3] and other[1] < box[3] for other in taken
            ):
                taken.append(box)
                return Label(x=round(x + x_off, 1), y=round(y + y_off, 1), anchor=anchor, text=text)
        return None

    return place


def _title(row: Row, section: Section) -> str:
    time, good = latency(row, section.axes), quality(row, section.axes)
    words = [f"{row.recipe} in {row.backend}"]
    if time:
        words.append(f"{units.interval(time.value, time.lo, time.hi, section.axes.unit)} {kind(row, section.axes)}")
    if good:
        words.append(f"{metric_name(section.axes.metric)} {units.percent(good.value, good.lo, good.hi)}")
    if row.pareto:
        words.append("Pareto-optimal")
    return "; ".join(words)


def _number(value: float) -> str:
    return f"{value:,.10g}"
