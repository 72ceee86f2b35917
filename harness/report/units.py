"""Numbers as people read them: three significant digits, a unit, an interval; what is missing is a dash, never 0."""

from __future__ import annotations

import math

MISSING = "–"


def digits(value: float, *, decimals: int | None = None) -> str:
    """A number with three significant digits, or with as many decimals as its neighbour has."""
    if not math.isfinite(value):
        return MISSING
    return f"{value:,.{_decimals(value) if decimals is None else decimals}f}"


def quantity(value: float | None, unit: str = "") -> str:
    """`0.412 ms`, or without its unit when a column's title names it."""
    if value is None or not math.isfinite(value):
        return MISSING
    return f"{digits(value)} {unit}".rstrip()


def interval(value: float | None, lo: float | None, hi: float | None, unit: str = "") -> str:
    """`0.412 ms [0.405, 0.420]`; without ends only the value."""
    if value is None or lo is None or hi is None:
        return quantity(value, unit)
    return f"{quantity(value, unit)} {bounds(value, lo, hi)}"


def bounds(value: float, lo: float, hi: float) -> str:
    """`[0.405, 0.420]`, with the decimals of the value between them."""
    places = _decimals(value)
    return f"[{digits(lo, decimals=places)}, {digits(hi, decimals=places)}]"


def short_interval(value: float, lo: float, hi: float) -> str:
    """`0.412 [0.41, 12]`: two digits of the ends are enough to see how wide it is."""
    ends = ", ".join(digits(end, decimals=max(0, _decimals(end) - 1)).replace(",", "") for end in (lo, hi))
    return f"{digits(value).replace(',', '')} [{ends}]"


def size(count: float | None) -> str:
    """Bytes in B, kB, MB or GB, powers of 1000."""
    if count is None:
        return MISSING
    for unit, scale in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= scale:
            return quantity(count / scale, unit)
    return f"{count:.0f} B"


def size_interval(count: float, lo: float, hi: float) -> str:
    """`12.1 MB [10.2, 15.8]`, the ends in the unit of the value."""
    for unit, scale in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= scale:
            return interval(count / scale, lo / scale, hi / scale, unit)
    return f"{count:.0f} B [{lo:.0f}, {hi:.0f}]"


def percent(share: float | None, lo: float | None = None, hi: float | None = None) -> str:
    """`86.1 %` or `86.1 % [84.2, 87.8]`."""
    if share is None:
        return MISSING
    if lo is None or hi is None:
        return f"{share * 100:.1f} %"
    return f"{share * 100:.1f} % [{lo * 100:.1f}, {hi * 100:.1f}]"


def count(number: int | None) -> str:
    """`2,947`."""
    return MISSING if number is None else f"{number:,}"


def scaled_count(number: int | None) -> str:
    """`4.65 M`, for parameters and multiply-accumulates."""
    if number is None:
        return MISSING
    for unit, scale in (("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if number >= scale:
            return quantity(number / scale, unit)
    return f"{number}"


def speed(ratio: float, lo: float | None, hi: float | None, verdict: str) -> str:
    """`2.06× faster [1.90, 2.20]`, `1.40× slower [1.20, 1.60]` or `no difference shown [0.97, 1.02]`.

    Args:
        ratio: Time of the baseline divided by that of the variant; `lo` and `hi` its interval.
        verdict: `faster`, `slower` or `no difference shown`.
    """
    if verdict == "slower":
        ratio, lo, hi = 1 / ratio, (1 / hi if hi else None), (1 / lo if lo else None)
    shown = verdict in ("faster", "slower")
    places = 3 if shown and abs(math.log(ratio)) < math.log(1.05) else 2 if ratio < 10 else 1
    ends = "" if lo is None or hi is None else f" [{lo:.{places}f}, {hi:.{places}f}]"
    if shown:
        return f"{ratio:.{places}f}× {verdict}{ends}"
    return f"{verdict}{ends or f' ({ratio:.{places}f}×)'}"


def _decimals(value: float) -> int:
    """Decimals that leave three significant digits, of the value as it will be printed."""
    if value == 0 or not math.isfinite(value):
        return 0
    exponent = int(f"{abs(value):.2e}".partition("e")[2])
    return min(max(0, 2 - exponent), 12)
