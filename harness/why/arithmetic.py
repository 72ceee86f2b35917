"""Reasons that lie in the arithmetic: what is not computed in the number format that the technique promised."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.estimate.rates import WIDENING_GAIN
from harness.why.reason import Cause, Reason
from harness.why.side import EIGHT_BITS, FLOATS, HALF, MATTERS, PRODUCTS, Comparison, ms, percent, some

if TYPE_CHECKING:
    from harness.operator_time import OperatorTime

DOT_PRODUCT_GAIN = 4
"""8-bit over float32 with a dot product: four pairs in each 32-bit lane (Arm SDOT, Intel VPDPBUSD)."""


def eight_bits_promised(given: Comparison) -> bool:
    """Whether the variant has more of its arithmetic in 8 bits than the baseline, by its file or else by what runs."""
    if given.variant.graph and given.baseline.graph:
        return given.gained(EIGHT_BITS) > 0
    runs = [any(op.precision in EIGHT_BITS for op in side.operators) for side in (given.baseline, given.variant)]
    return runs == [False, True]


def left_in_float(given: Comparison) -> tuple[OperatorTime, ...]:
    """Operators that compute in float although the variant is in 8 bits; changes of format are another matter."""
    if not eight_bits_promised(given):
        return ()
    return tuple(op for op in given.variant.operators if op.does != "quantise" and op.precision in FLOATS)


def float_left(given: Comparison) -> Reason | None:
    """Operators that stayed in float in a variant of 8 bits, by their share of time, else of the file's arithmetic."""
    side = given.variant
    if not eight_bits_promised(given):
        return None
    if not side.operators:
        share = side.macs_share(precision=FLOATS)
        number = sum(op.precision in FLOATS for op in side.products)
        text = (
            f"{number} of {len(side.products)} {PRODUCTS} stayed in float: "
            f"{percent(share)} of the multiply-accumulates."
        )
        return given.reason(Cause.FLOAT_LEFT, None, text, counted=True) if share >= MATTERS else None
    left = left_in_float(given)
    spent = sum(op.ns for op in left)
    share = side.share(spent)
    if share < MATTERS:
        return None
    products = sum(op.does == "compute" for op in left)
    every = sum(op.does == "compute" for op in side.operators)
    longest = max(left, key=lambda op: op.ns)
    parts = [f"{products} of {every} {PRODUCTS}"] if products else []
    parts += [some(len(left) - products, "other operator")] if len(left) > products else []
    file = f"; the file has {percent(side.macs_share(precision=EIGHT_BITS))} of its multiply-accumulates in 8 bits"
    text = (
        f"{' and '.join(parts)} still compute in float and take {ms(spent)} of {ms(side.total_ns)} ({percent(share)}), "
        f"the longest {longest.name} ({longest.kind}, {ms(longest.ns)}){file if side.graph else ''}."
    )
    return given.reason(Cause.FLOAT_LEFT, share, text)


def format_changes(given: Comparison) -> Reason | None:
    """Quantise, dequantise, cast and reorder operators that stand by themselves."""
    side = given.variant
    changes = [op for op in side.operators if op.does == "quantise"]
    spent, before = side.spent("quantise"), given.baseline.spent("quantise")
    share = side.share(spent)
    if share < MATTERS or spent <= before:
        return None
    kinds = ", ".join(f"{number} × {kind}" for kind, number in _count(changes))
    borders = len(side.graph.inputs) + len(side.graph.outputs) if side.graph else 0
    place = (
        "which a network that takes and gives floats needs at its inputs and outputs"
        if len(changes) <= borders
        else "which no neighbour took in"
    )
    text = (
        f"{some(len(changes), 'operator')} only change{'s' if len(changes) == 1 else ''} the number format ({kinds}), "
        f"{place}: {ms(spent)} of {ms(side.total_ns)} ({percent(share)})."
    )
    return given.reason(Cause.FORMAT_CHANGES, share, text)


def no_dot_product(given: Comparison) -> Reason | None:
    """8-bit arithmetic on a processor that has vectors but cannot multiply and sum 8-bit numbers in one instruction."""
    side, cpu = given.variant, given.cpu
    if cpu.dot_product or cpu.lanes < 2 or not eight_bits_promised(given):
        return None
    spent = sum(op.ns for op in side.operators if op.does == "compute" and op.precision in EIGHT_BITS)
    share = side.share(spent) if side.operators else None
    weight = side.macs_share(precision=EIGHT_BITS) if share is None else share
    if weight < MATTERS:
        return None
    of = "the multiply-accumulates are" if share is None else "the time is spent"
    text = (
        f"{cpu.name} has no instruction that multiplies and sums 8-bit numbers: they are widened to 16 bits first, "
        f"which is at most {WIDENING_GAIN:g} times as fast as float, not {DOT_PRODUCT_GAIN}; {percent(weight)} of {of} "
        f"in 8-bit arithmetic."
    )
    return given.reason(Cause.NO_DOT_PRODUCT, share, text, counted=share is None)


def half_in_float(given: Comparison) -> Reason | None:
    """Half precision in the file, float32 in the processor."""
    side, cpu = given.variant, given.cpu
    if given.gained(HALF) <= 0:
        return None
    has = "" if cpu.half else f"; {cpu.name} has no half-precision arithmetic"
    if not side.operators:
        share = side.macs_share(precision=HALF)
        text = f"{percent(share)} of the multiply-accumulates are half precision, which are computed in float32{has}."
        return given.reason(Cause.HALF_IN_FLOAT, None, text, counted=True) if not cpu.half else None
    products = [op for op in side.operators if op.does == "compute"]
    widened = [op for op in products if op.precision == "fp32"]
    spent = sum(op.ns for op in widened)
    share = side.share(spent)
    if share < MATTERS:
        return None
    runtime = has or "; the processor could, the runtime does not" * (given.where == "host")
    text = (
        f"{len(widened)} of {len(products)} {PRODUCTS} compute in float32 although the "
        f"file is half precision{runtime}: {ms(spent)} of {ms(side.total_ns)} ({percent(share)})."
    )
    return given.reason(Cause.HALF_IN_FLOAT, share, text)


def weights_expanded(given: Comparison) -> Reason | None:
    """Weights that are only stored small: expanded, then multiplied in float as before."""
    side = given.variant
    share = side.macs_share(scheme="weight-only")
    if given.gained(frozenset(), scheme="weight-only") < MATTERS:
        return None
    products = [op for op in side.operators if op.does == "compute"]
    if products and all(op.precision in EIGHT_BITS for op in products):
        return None  # the runtime quantises what goes in as well and computes in 8 bits
    text = (
        f"only the weights are small: for {percent(share)} of the multiply-accumulates they are expanded and then "
        f"multiplied in float as before, so that the file shrinks and the arithmetic does not."
    )
    return given.reason(Cause.WEIGHTS_EXPANDED, None, text[0].upper() + text[1:], counted=True)


def _count(operators: list[OperatorTime]) -> list[tuple[str, int]]:
    """Kinds with how many there are, the most frequent first."""
    kinds = [op.kind for op in operators]
    return sorted(((kind, kinds.count(kind)) for kind in dict.fromkeys(kinds)), key=lambda pair: -pair[1])
