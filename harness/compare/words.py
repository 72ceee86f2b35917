"""A change in words and numbers, as every rendering says it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.report import units

if TYPE_CHECKING:
    from harness.compare.change import Change, Metric

TITLES: dict[Metric, str] = {
    "relative latency": "latency to baseline",
    "latency": "latency",
    "memory": "memory",
    "size": "file",
    "download": "download",
    "accuracy": "accuracy",
}

WORSE_BETTER: dict[Metric, tuple[str, str]] = {
    "relative latency": ("slower", "faster"),
    "latency": ("slower", "faster"),
    "memory": ("more", "less"),
    "size": ("larger", "smaller"),
    "download": ("larger", "smaller"),
    "accuracy": ("lower", "higher"),
}


def verdict(change: Change) -> str:
    """`slower`, `faster`, `same`, `not significant` or `cannot be told`."""
    worse, better = WORSE_BETTER[change.metric]
    return {"worse": worse, "better": better}.get(change.verdict, change.verdict)


def value(metric: Metric, number: float) -> str:
    """A quantity with its unit."""
    if metric == "relative latency":
        return f"{number:.3f} ×"
    if metric == "latency":
        return units.quantity(number / 1e6, "ms") if number >= 1e6 else units.quantity(number / 1e3, "µs")
    if metric == "accuracy":
        return units.percent(number)
    return units.size(number)


def size(change: Change) -> str:
    """`+4.4 %` or `−1.20 points`."""
    return f"{_signed(change.metric, change.change)} {_unit(change.metric)}"


def ends(change: Change) -> str:
    """`[+2.1, +6.8]`, or nothing without an interval."""
    if change.lo is None or change.hi is None:
        return ""
    return f"[{_signed(change.metric, change.lo)}, {_signed(change.metric, change.hi)}]"


def short(change: Change) -> str:
    """What stands in a table: `+4.4 % slower [+2.1, +6.8]`, `≈ [−2.1, +3.0] %`, `same`."""
    if change.verdict == "same":
        return "same"
    if change.verdict == "not significant":
        return f"≈ {ends(change)} {_unit(change.metric)}"
    if change.verdict == "cannot be told":
        return f"{size(change)}, cannot be told"
    return f"{size(change)} {verdict(change)} {ends(change)}".rstrip()


def sentence(change: Change) -> str:
    """One line with both values, the interval and the p-value."""
    parts = [
        f"{TITLES[change.metric]} {value(change.metric, change.before)} → {value(change.metric, change.after)}:"
        f" {size(change)} {ends(change)}".rstrip(),
        verdict(change),
    ]
    if change.adjusted_p is not None:
        parts.append(f"p = {change.adjusted_p:.2g}" if change.adjusted_p >= 1e-4 else "p < 0.0001")
    if change.note:
        parts.append(change.note)
    return ", ".join(parts)


def share(number: float | None) -> str:
    """`6.2 %`, or a dash."""
    return units.percent(number)


def _unit(metric: Metric) -> str:
    return "points" if metric == "accuracy" else "%"


def _signed(metric: Metric, number: float) -> str:
    """In percent or points; what rounds to nothing has no sign."""
    text = f"{number * 100:+,.{2 if metric == 'accuracy' else 1}f}"
    return text[1:] if not text.strip("+-0.") else text.replace("-", "−")
