"""The Pareto chart of a section: one definition, drawn as a still picture and, in a page, as one that answers."""

from __future__ import annotations

import json
import re
from collections import Counter
from functools import cache
from typing import TYPE_CHECKING, Any

from harness.errors import UsageError
from harness.report.choice import needs_option
from harness.report.columns import columns
from harness.report.labels import PADDING, place_labels
from harness.report.plain import plain

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from harness.report.columns import Cell, Column
    from harness.report.document import Section
    from harness.report.row import Row

SERIES = 8
"""How many backends have a colour of their own; further ones share the last."""

WHISKERS = 30
"""With more points than this only those of the front keep their intervals."""

STILL = 1_000
"""How many points a still picture shows."""

TINY = re.compile(
    r"""(?:(?<=\d\.\d\d)\d+| (?:opacity="1"|aria-hidden="true"|pointer-events="none"|(?:aria-)?role\w*="[^"]*"))"""
    r"(?=[^<>]*>)"
)
"""What a tag can do without: digits beyond hundredths of a pixel, and words for one that is not hidden or clicked."""

WIDTH, HEIGHT = 920, 340
"""Size in px of the plot of a still picture, without axes."""

LIGHT = {
    "paper": "#fcfcfb", "ink": "#191d22", "soft": "#565f69", "rule": "#dee2e6", "faint": "#eef0f2",
    "s0": "#2563a8", "s1": "#bd5314", "s2": "#1a7f5a", "s3": "#8a4fa3", "s4": "#937019", "s5": "#68707a",
    "s6": "#b0307c", "s7": "#0d7a88",
}  # fmt: skip
"""Colours of a picture that stands alone: those of the page by day."""

PAGE = {name: f"var(--{name})" for name in LIGHT}
"""Colours of a picture inside the page, which follow its mode."""

DODGE = {"expr": "datum.nth * 9"}
"""Moves points apart that would hide each other, 9 px each."""

SHAPES = {"measured": "square", "estimated": "circle", "simulated": "diamond"}

SIZES = {
    "title": "peak memory", "titleOrient": "left", "titleFontWeight": "normal", "tickCount": 3,
    "labelExpr": "datum.value ? format(datum.value / 1e6, ',~r') + ' MB' : ''", "symbolFillColor": "transparent",
}  # fmt: skip
"""The legend of the areas of points."""

INSTALL = "pip install 'edge-bench[report]'"


def series(section: Section) -> dict[str, int]:
    """Number of the colour of each backend."""
    names = sorted({row.backend for row in section.rows})
    return {name: min(number, SERIES - 1) for number, name in enumerate(names)}


def pareto_chart(section: Section, colours: Mapping[str, str] = LIGHT) -> dict[str, Any] | None:
    """The chart as a Vega-Lite specification, or None when fewer than two rows have both a latency and a quality.

    Its data set `rows` holds for each row of the section where it stands on the axes (`x`, `y`, with the ends of their
    intervals), its memory in bytes, its kind, backend, name, and the front it lies on.

    Args:
        section: What is drawn: quality against latency, on the axes that the section is compared in.
        colours: Of paper, ink and backends, as in `LIGHT`.

    Raises:
        UsageError: when Altair is not installed.
    """
    values = _values(section)
    if len(values) < 2:
        return None
    x, y = _axes(section)
    spec = _parsed(colours)
    _fill(spec, section, x, y, colours)
    spec["data"] = {"name": "rows", "values": values}
    return spec


def pareto_svg(section: Section, colours: Mapping[str, str] = LIGHT, most: int = STILL) -> str:
    """The chart as SVG text that needs nothing else, or "" where there is none to draw.

    Args:
        section: As for `pareto_chart`.
        colours: As for `pareto_chart`.
        most: How many points are drawn; of more, those of the front, baselines, and the fastest others.

    Raises:
        UsageError: when Altair or vl-convert is not installed.
    """
    spec = pareto_chart(section, colours)
    if spec is None:
        return ""
    values = spec["data"]["values"]
    shown = _fewer(_near(values), most)
    if len(shown) < len(values):
        spec["title"] = {"text": f"{len(shown):,} of {len(values):,} rows are drawn, all are in the table"}
    spec["data"]["values"] = place_labels(shown, WIDTH, HEIGHT)
    svg: str = _converter().vegalite_to_svg(json.dumps(_drawable(spec)))
    return TINY.sub("", svg)


def _drawable(spec: Any) -> Any:
    """The specification without what no SVG may hold and the converter ends the process over: control characters."""
    if isinstance(spec, str):
        return plain(spec).encode("utf-8", "replace").decode()  # half a surrogate pair is no text either
    if isinstance(spec, list):
        return [_drawable(each) for each in spec]
    return {_drawable(key): _drawable(each) for key, each in spec.items()} if isinstance(spec, dict) else spec


def page_chart() -> dict[str, Any]:
    """What all charts of a page have in common; its script adds rows, titles, and a colour for each backend."""
    return _parsed(PAGE)


def missing_library() -> UsageError | None:
    """What keeps charts from being drawn, or None."""
    try:
        _altair(), _converter()
    except UsageError as error:
        return error
    return None


@cache
def chart_library() -> str:
    """The scripts that draw specifications in a page: Vega, Vega-Lite and Vega-Embed.

    Raises:
        UsageError: when vl-convert is not installed.
    """
    script: str = _converter().javascript_bundle()
    return script


def memory(row: Row, section: Section) -> int | float | None:
    """What the area of a point stands for, in bytes: peak memory on the device, or here where latency is measured."""
    if section.axes.latency == "measured":
        return row.host_memory_bytes
    return row.estimate.peak_memory_bytes.p50 if row.estimate else None


def axis_title(column: Column) -> str:
    """`rpi4 latency, estimated, ms`."""
    unit = {"~%": "", "~s": "bytes"}.get(column.ticks, column.unit)
    return ", ".join(part for part in (column.title, column.kind, unit) if part)


def _parsed(colours: Mapping[str, str]) -> dict[str, Any]:
    spec: dict[str, Any] = json.loads(_specification(tuple(colours.items()), alone=colours is not PAGE))
    return spec


def _axes(section: Section) -> tuple[Column, Column]:
    by_key = {column.key: column for column in columns(section)[0]}
    across = "device" if section.axes.latency == "estimated" else "host"
    return by_key[across], by_key["quality" if section.axes.quality == "value" else "agreement"]


def _values(section: Section) -> list[dict[str, Any]]:
    if section.axes.quality is None or not section.rows:
        return []
    try:
        x, y = _axes(section)
    except KeyError:
        return []
    found = [(number, row, x.cell(row), y.cell(row)) for number, row in enumerate(section.rows)]
    found = [entry for entry in found if entry[2].order is not None and entry[3].order is not None]
    many = len(found) > WHISKERS
    seen: Counter[tuple[float | None, float | None]] = Counter()
    values = []
    for number, row, across, up in found:
        nth = seen[across.order, up.order]
        seen[across.order, up.order] += 1
        value = {
            "id": number,
            "x": across.order,
            "y": up.order,
            "nth": 0 if many else nth,
            "memory": memory(row, section),
            "kind": across.kind or x.kind,
            "backend": row.backend,
            "name": f"{row.recipe} in {row.backend}",
            "front": int(needs_option(row)) if row.pareto else None,
            "label": row.recipe if (row.pareto or row.baseline) and not nth else "",
        }
        if row.pareto or not (many or nth):
            value |= _ends("x", across) | _ends("y", up)
        values.append(value)
    return values


def _ends(axis: str, cell: Cell) -> dict[str, float]:
    return {f"{axis}_lo": cell.span[0], f"{axis}_hi": cell.span[2]} if cell.span else {}


def _near(values: Sequence[dict[str, Any]]) -> Sequence[dict[str, Any]]:
    """The values without those so far below the rest that nobody could read it: three times the upper half's spread.

    Fronts and baselines stay, and so does everything unless the picture gains half of its height.
    """
    up = sorted(value["y"] for value in values)
    best, middle = up[-1], up[len(up) // 2]
    kept = [value["y"] for value in values if value["front"] is not None or value["label"]]
    lowest = min([middle - 3 * (best - middle), *kept])
    if best - up[0] <= 2 * (best - lowest):
        return values
    return [value for value in values if value["y"] >= lowest]


def _fewer(values: Sequence[dict[str, Any]], most: int) -> Sequence[dict[str, Any]]:
    if len(values) <= most:
        return values
    matters = [value for value in values if value["front"] is not None or value["label"]]
    others = [value for value in values if value["front"] is None and not value["label"]]
    return others[: max(0, most - len(matters))] + matters


def _fill(spec: dict[str, Any], section: Section, x: Column, y: Column, colours: Mapping[str, str]) -> None:
    """Add what this section needs on its points: titles, formats, and a colour for each backend."""
    points = next(layer["encoding"] for layer in spec["layer"] if layer["name"] == "points")
    for channel, column in (("x", x), ("y", y)):
        points[channel]["title"] = axis_title(column)
        points[channel]["axis"]["format"] = column.ticks
    numbers = series(section)
    for channel in ("stroke", "fill"):
        points[channel]["scale"] = {
            "domain": list(numbers),
            "range": [colours[f"s{number}"] for number in numbers.values()],
        }
    kinds = sorted({x.cell(row).kind or x.kind for row in section.rows} - {""})
    points["shape"]["scale"] = {"domain": kinds, "range": [SHAPES[kind] for kind in kinds]}


@cache
def _specification(palette: tuple[tuple[str, str], ...], *, alone: bool) -> str:
    """What all charts have in common, as JSON: layers of intervals, front, points, the ring round one, and names."""
    alt = _altair()
    colours = dict(palette)
    rows = alt.Chart(alt.NamedData(name="rows"))
    across, up = alt.X("x:Q"), alt.Y("y:Q")
    place = {"nice": False, "padding": PADDING}
    faded = alt.when("hidden[datum.id]").then(alt.value(0.07))
    on_front = "datum.front !== null"
    whisker = rows.mark_rule(strokeWidth=1.2).encode(
        stroke="backend:N", opacity=faded.when(on_front).then(alt.value(0.55)).otherwise(alt.value(0.25))
    )
    front = rows.transform_filter(on_front).mark_line(
        interpolate="step-after", strokeDash=[3, 3], strokeWidth=1.2, color=colours["soft"]
    )
    points = rows.mark_point(xOffset=DODGE, strokeWidth=1.5).encode(
        x=across.scale(type="log", **place).axis(format=""),
        y=up.scale(zero=False, **place).axis(format="", tickCount=6),
        stroke=alt.Stroke("backend:N", legend=alt.Legend(symbolType="circle", symbolOpacity=1) if alone else None),
        fill=alt.Fill("backend:N", legend=None),
        shape=alt.Shape("kind:N", legend=alt.Legend() if alone else None),
        size=alt.Size(
            "memory:Q", scale=alt.Scale(range=[24, 360], zero=True), legend=alt.Legend(**SIZES) if alone else None
        ),
        fillOpacity=alt.when(on_front).then(alt.value(0.85)).otherwise(alt.value(0.1)),
        opacity=faded.otherwise(alt.value(1)),
    )
    ring = rows.transform_filter("datum.id === picked").mark_point(
        shape="circle", size=700, strokeWidth=2.5, color=colours["ink"], xOffset=DODGE
    )
    name = rows.transform_filter("datum.label").mark_text(
        fontSize=11, xOffset=DODGE, **{what: alt.ExprRef(f"datum.{what}") for what in ("align", "dx", "dy")}
    )
    chart = (
        alt.layer(
            whisker.encode(x="x_lo:Q", x2="x_hi:Q", y=up).properties(name="across"),
            whisker.encode(y="y_lo:Q", y2="y_hi:Q", x=across).properties(name="up"),
            front.encode(x=across, y=up, detail="front:N").properties(name="front"),
            points.properties(name="points"),
            ring.encode(x=across, y=up).properties(name="ring"),
            name.encode(x=across, y=up, text="label:N", color=alt.value(colours["ink"])).properties(name="names"),
        )
        .add_params(alt.param(name="hidden", value={}), alt.param(name="picked", value=None))
        .properties(width=WIDTH, height=HEIGHT, background=colours["paper"] if alone else "transparent")
        .configure(aria=False, font="system-ui, sans-serif")
        .configure_view(stroke=None)
        .configure_axis(
            gridColor=colours["faint"],
            domainColor=colours["rule"],
            ticks=False,
            labelColor=colours["soft"],
            labelFontSize=12,
            labelPadding=6,
            titleColor=colours["soft"],
            titleFontSize=13,
            titleFontWeight="normal",
            titlePadding=8,
        )
        .configure_title(anchor="end", fontSize=11, fontWeight="normal", color=colours["soft"])
        .configure_legend(orient="top", title=None, labelColor=colours["soft"], symbolStrokeWidth=1.5, columnPadding=14)
    )
    specification: str = chart.to_json()
    return specification


def _altair() -> Any:
    try:
        import altair as alt
    except ImportError:
        raise UsageError("Charts need Altair.", hint=INSTALL) from None
    return alt


def _converter() -> Any:
    try:
        import vl_convert
    except ImportError:
        raise UsageError("Charts need vl-convert.", hint=INSTALL) from None
    return vl_convert
