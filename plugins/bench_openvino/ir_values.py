"""Content of the small constants that an IR computes from others: axes, sizes and bounds."""

from __future__ import annotations

from collections.abc import Sequence

SMALL = 64
"""Elements up to which a constant may be an axis, a size, a bound or a range whose content matters."""

Values = tuple[float, ...]

_VIEWS = frozenset({"Squeeze", "Unsqueeze", "Reshape", "Convert"})


def evaluate(layer_type: str, inputs: Sequence[Values | None]) -> Values | None:
    """Elements of the result in order, for the operators that shapes and axes are made with; else None."""
    if any(values is None for values in inputs[: 1 if layer_type in _VIEWS else None]):
        return None
    known = [values for values in inputs if values is not None]
    if layer_type in _VIEWS:
        return known[0]
    if layer_type == "Concat":
        joined = tuple(value for values in known for value in values)
        return joined if len(joined) <= SMALL else None
    if layer_type == "Range" and len(known) == 3 and known[2] != (0,):
        (start, *_), (stop, *_), (step, *_) = known
        found = tuple(range(int(start), int(stop), int(step)))
        return found if len(found) <= SMALL else None
    if layer_type == "Gather" and len(known) == 3:
        rows, picked, _ = known
        return tuple(rows[int(i)] for i in picked) if all(-len(rows) <= i < len(rows) for i in picked) else None
    return None
