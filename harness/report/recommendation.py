"""One sentence that answers the question, with its numbers, and how far it can be trusted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from harness.report import units
from harness.report.choice import Axes, Reading, compared, fits, latency, needs_option, quality, told_apart
from harness.report.goals import Check, Goals, best_quality, checks, limits

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from harness.report.row import Row


@dataclass(frozen=True, slots=True, kw_only=True)
class Recommendation:
    """What to take.

    Attributes:
        row: The row that is recommended, None when nothing can be.
        reference: The baseline it is compared with, None when there is none with numbers or it is the row itself.
        kind: What kind of number the latency in `sentence` is, empty without a row.
        sentence: The answer with its numbers.
        sure: How far to trust it, a sentence each.
        nearest: The row that comes nearest to the goals, where none meets them.
        goals: How `row`, or `nearest`, stands to each goal; empty without goals.
    """

    row: Row | None
    reference: Row | None
    kind: Literal["measured", "estimated", "simulated", ""]
    sentence: str
    sure: tuple[str, ...]
    nearest: Row | None = None
    goals: tuple[Check, ...] = ()


NO_GOALS = Goals()


def recommend(rows: Sequence[Row], axes: Axes, profile: str, goals: Goals = NO_GOALS) -> Recommendation:
    """Recommend the fastest row that meets the goals; without goals, that loses at most one point of quality.

    Args:
        rows: The section's rows, with the Pareto-optimal ones marked.
        axes: What they are compared in.
        profile: Name of the device.
        goals: What the row must keep to; its middle values decide, and where an interval reaches further that is said.
    """
    comparable = [row for row in rows if latency(row, axes) and quality(row, axes)]
    usable = [row for row in comparable if fits(row)]
    if not usable:
        return _nothing(rows, comparable, axes, profile)
    best = best_quality(comparable, axes)
    held = {id(row): checks(row, goals, axes, best) for row in usable}
    good = [row for row in usable if all(check.met for check in held[id(row)])]
    if not good:
        return _no_goal_met(usable, held, axes, profile) if goals.given else _all_lose(axes, profile)
    # An accelerator that has to be bought first is an alternative, not the answer.
    here = [row for row in good if not needs_option(row)]
    chosen = min(here or good, key=lambda row: _rank(row, axes))
    reference = _reference(chosen, comparable, axes)
    return Recommendation(
        row=chosen,
        reference=reference,
        kind=kind(chosen, axes),
        sentence=_sentence(chosen, reference, axes, profile) + _goals_met(held[id(chosen)] if goals.given else ()),
        sure=tuple(_doubts(chosen, reference, good, axes, profile, goals)),
        goals=held[id(chosen)] if goals.given else (),
    )


def kind(row: Row, axes: Axes) -> Literal["measured", "estimated", "simulated"]:
    """What kind of number the row's latency on the axes is."""
    if axes.latency == "measured":
        return "measured"
    return (
        "simulated" if row.kind == "simulated" or (row.estimate and row.estimate.kind == "simulated") else "estimated"
    )


def metric_name(metric: str) -> str:
    """A metric as people call it."""
    return {"top1": "top-1 accuracy", "agreement": "agreement with the baseline"}.get(metric, metric)


def _nothing(rows: Sequence[Row], comparable: Sequence[Row], axes: Axes, profile: str) -> Recommendation:
    if not rows:
        why = "no variant was measured"
    elif comparable:
        why = "no variant fits its memory"
    elif axes.quality is None:
        why = "the quality of no variant is known, and a fast variant that is wrong is of no use"
    else:
        why = "no variant has both a latency and a quality"
    return _none(f"No recommendation for {profile}: {why}.")


def _none(sentence: str) -> Recommendation:
    return Recommendation(row=None, reference=None, kind="", sentence=sentence, sure=())


def _all_lose(axes: Axes, profile: str) -> Recommendation:
    return _none(
        f"No recommendation for {profile}: every variant that fits the device loses more than one point of"
        f" {metric_name(axes.metric)} against the baseline."
    )


def _no_goal_met(
    usable: Sequence[Row], held: Mapping[int, tuple[Check, ...]], axes: Axes, profile: str
) -> Recommendation:
    """Which row comes nearest to the goals, and by how much it misses them."""
    unknown = [
        check.what
        for number, check in enumerate(held[id(usable[0])])
        if all(not held[id(row)][number].value for row in usable)
    ]
    wanted = limits(held[id(usable[0])])
    if unknown:
        known = f"{' and '.join(unknown)} of no variant {'are' if len(unknown) > 1 else 'is'} known"
        return _none(f"No recommendation for {profile}: {known}, so that not every goal can be checked ({wanted}).")

    def misses(row: Row) -> tuple[float, float, tuple[float, bool, float, float, bool]]:
        found = [check.miss for check in held[id(row)]]
        return max(found), sum(found), _rank(row, axes)

    nearest = min(usable, key=misses)
    found = held[id(nearest)]
    missed = "; ".join(f"{c.value} ({c.missed_by})" if c.value else f"{c.what} not known" for c in found if not c.met)
    met = [check.value for check in found if check.met]
    rest = f"; it meets the others: {', '.join(met)}" if met else ""
    what = "measured here" if axes.latency == "measured" else kind(nearest, axes)
    sentence = (
        f"No variant meets the goals for {profile} ({wanted}). Nearest is {nearest.recipe} in {nearest.backend},"
        f" {what}: {missed}{rest}."
    )
    return Recommendation(row=None, reference=None, kind="", sentence=sentence, sure=(), nearest=nearest, goals=found)


def _goals_met(found: Sequence[Check]) -> str:
    """The goals that the row meets, and which of them it may miss."""
    if not found:
        return ""
    doubtful = [f"may miss {check.what}: its {check.reaches}" for check in found if check.reaches]
    return f" Goals met: {limits(found)}{''.join(f'; {doubt}' for doubt in doubtful)}."


def _reference(chosen: Row, comparable: Sequence[Row], axes: Axes) -> Row | None:
    """The baseline of the same backend, else the fastest one; None when the choice is a baseline."""
    baselines = [row for row in comparable if row.baseline]
    if chosen.baseline or not baselines:
        return None
    return min(baselines, key=lambda row: (row.backend != chosen.backend, _rank(row, axes)))


def _rank(row: Row, axes: Axes) -> tuple[float, bool, float, float, bool]:
    """Fastest first; of equal ones what was timed here, agrees better, is faster here, and is the plain model.

    Estimates count by the upper end of their interval. Those of one runtime come in the same order either way, and
    between two runtimes what was measured on the device is worth more than a hope. Two runtimes that are estimated
    alike are told apart by agreement first: how fast they are here says little of how fast they are on another
    instruction set.
    """
    host = row.host.median_ns if row.host else float("inf")
    agreed = row.quality.agreement if row.quality and row.quality.agreement is not None else 0.0
    worse = -agreed if axes.latency == "estimated" else 0.0
    return _surely(latency(row, axes), axes), row.kind == "simulated", worse, host, not row.baseline


def _surely(reading: Reading | None, axes: Axes) -> float:
    """A latency that a row surely keeps to, as far as that is known."""
    if reading is None:
        return float("nan")
    return reading.hi if axes.latency == "estimated" and reading.hi is not None else reading.value


def _sentence(chosen: Row, reference: Row | None, axes: Axes, profile: str) -> str:
    """What to use, its latency with interval, quality and download, each beside the baseline's."""
    found = latency(chosen, axes)
    time = units.interval(found.value, found.lo, found.hi, axes.unit) if found else units.MISSING
    where = "measured here" if axes.latency == "measured" else f"on {profile}, {kind(chosen, axes)}"
    parts = [
        f"{time} {where}",
        f"{metric_name(axes.metric)} {_share(quality(chosen, axes))}",
        f"download {_download(chosen)}",
    ]
    if reference:
        base = "baseline" if reference.backend == chosen.backend else f"baseline in {reference.backend}"
        base_time = latency(reference, axes)
        shown = units.quantity(base_time.value if base_time else None, axes.unit)
        verdict = _verdict(chosen, reference, axes)
        parts[0] += f" ({base} {shown}{f'; {verdict}' if verdict else ''})"
        parts[1] += f" ({base} {_share(quality(reference, axes))})"
        parts[2] += f" ({base} {_download(reference)})"
    if axes.sharper and chosen.quality:
        parts[1] += f", agreement {units.percent(chosen.quality.agreement)}"
    verb = "Keep the baseline" if chosen.baseline else f"Use {chosen.recipe}"
    return f"{verb} in {chosen.backend}: {'; '.join(parts)}."


def _verdict(chosen: Row, reference: Row, axes: Axes) -> str:
    """What was measured here against the baseline, or that neither measuring nor estimating shows a difference."""
    if chosen.speed and chosen.speed.verdict != "no difference shown":
        said = units.speed(chosen.speed.summary.ratio, None, None, chosen.speed.verdict)
        return said if axes.latency == "measured" else f"measured here: {said}"
    if not (latency(chosen, axes) and latency(reference, axes)):
        return ""
    return "" if told_apart(chosen, reference, axes) else "no difference shown"


def _share(reading: Reading | None) -> str:
    return units.percent(reading.value if reading else None)


def _download(row: Row) -> str:
    return units.size(row.variant.download_bytes) if row.variant else units.MISSING


def _doubts(
    chosen: Row, reference: Row | None, good: Sequence[Row], axes: Axes, profile: str, goals: Goals
) -> Iterable[str]:  # one sentence for each way to be wrong, what matters most first
    yield _what_kind(chosen, reference, axes, profile)
    estimate = chosen.estimate
    if axes.latency == "estimated" and estimate and not estimate.in_domain:
        yield f"The estimate is outside its domain: {'; '.join(estimate.reasons) or 'no reason given'}."
    if chosen.speed and reference:
        found = chosen.speed
        said = units.speed(found.summary.ratio, found.summary.lo95, found.summary.hi95, found.verdict)
        yield f"Timed on this machine against the baseline: {said}."
    yield from _how_good(chosen, reference, axes)
    yield from _hopes(chosen, good, axes)
    yield from _rivals(chosen, good, axes, goals)
    if estimate and estimate.fits == "uncertain":
        yield f"It is uncertain whether it fits the memory of {profile}."
    if chosen.quality and chosen.quality.note:
        yield _as_sentence(chosen.quality.note)


def _what_kind(chosen: Row, reference: Row | None, axes: Axes, profile: str) -> str:
    estimate = chosen.estimate
    if axes.latency == "estimated" and estimate:
        prior = "prior" in estimate.basis.lower() and "calibrated" not in estimate.basis
        basis = f"90 % interval; {estimate.basis}{', uncalibrated' if prior else ''}"
        apart = _apart(chosen, reference, axes)
        if kind(chosen, axes) == "simulated":
            return f"Simulated: {estimate.accelerator or 'an accelerator'} was not here ({basis}){apart}."
        return f"Estimated, not measured on {profile} ({basis}){apart}."
    processes = chosen.host.processes if chosen.host else 0
    fresh = "process" if processes == 1 else "processes"
    return f"Measured on this machine: 95 % interval over {processes} fresh {fresh}."


def _apart(chosen: Row, reference: Row | None, axes: Axes) -> str:
    """How the estimate compares with the baseline's: by their ratio in one backend, else by their intervals."""
    if reference is None or not (latency(chosen, axes) and latency(reference, axes)):
        return ""
    found = compared(chosen, reference, axes)
    if found is not None:
        shown = units.interval(found.interval.p50, found.interval.lo90, found.interval.hi90, "")
        return f": {shown.strip()} times the baseline's, {found.verdict}"
    if told_apart(chosen, reference, axes):
        return ": it lies apart from the baseline's"
    return ": it overlaps with the baseline's, no difference shown"


def _how_good(chosen: Row, reference: Row | None, axes: Axes) -> Iterable[str]:
    ours, theirs = quality(chosen, axes), quality(reference, axes) if reference else None
    if ours is None:
        return
    name, n = metric_name(axes.metric), _rows_scored(chosen, axes)
    text = f"{name[:1].upper()}{name[1:]} over {units.count(n)} {'row' if n == 1 else 'rows'}"
    text += f": {units.percent(ours.value, ours.lo, ours.hi)}"
    if theirs and axes.quality == "value":
        text += ", no difference shown" if ours.overlaps(theirs) else ", apart from the baseline's"
    if axes.sharper and chosen.quality:
        agreed = chosen.quality
        text += f"; agreement over {units.count(agreed.agreement_n)}: {units.percent(agreed.agreement)}"
    yield f"{text}."


def _hopes(chosen: Row, good: Sequence[Row], axes: Axes) -> Iterable[str]:
    """The row that would be fastest if every estimate were its middle, where that is another one."""
    known = [(found, row) for row in good if not needs_option(row) and (found := latency(row, axes))]
    found, best = min(known, key=lambda each: each[0].value, default=(None, chosen))
    ours = latency(chosen, axes)
    if found is None or ours is None or found.value >= ours.value:
        return
    time = units.interval(found.value, found.lo, found.hi, axes.unit)
    yield f"{best.recipe} in {best.backend} may be faster, {time}, and is less sure: its upper end is higher."


def _rivals(chosen: Row, good: Sequence[Row], axes: Axes, goals: Goals) -> Iterable[str]:
    others = [row for row in good if row is not chosen and not row.baseline and latency(row, axes)]
    near = sum(bool(latency(chosen, axes)) and not told_apart(row, chosen, axes) for row in others)
    if near:
        subject = "1 other variant" if near == 1 else f"{near} other variants"
        which = ("that meets the goals" if near == 1 else "that meet the goals") if goals.given else ""
        yield f"{subject} {which or 'within one point of the baseline'} cannot be told from it in latency."
    imitated = kind(chosen, axes) == "simulated"
    others = [row for row in good if (kind(row, axes) == "simulated") != imitated]
    yield from _alternative("Without the accelerator" if imitated else "With an accelerator", others, axes)


def _alternative(when: str, rows: Sequence[Row], axes: Axes) -> Iterable[str]:
    if not rows:
        return
    best = min(rows, key=lambda row: _rank(row, axes))
    found = latency(best, axes)
    time = units.interval(found.value, found.lo, found.hi, axes.unit) if found else units.MISSING
    what = f" on {best.estimate.accelerator}" if best.estimate and best.estimate.accelerator else ""
    yield f"{when}: {best.recipe} in {best.backend}{what}, {time}, {kind(best, axes)}."


def _rows_scored(row: Row, axes: Axes) -> int:
    if row.quality is None:
        return 0
    return row.quality.n if axes.quality == "value" else row.quality.agreement_n


def _as_sentence(text: str) -> str:
    text = text.strip()
    return text[:1].upper() + text[1:] + ("" if text.endswith((".", "!", "?")) else ".")
