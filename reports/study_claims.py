"""What the study claims, each as a function of the records: the figures that came out, and whether they hold."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from statistics import mean

from harness import Record
from harness.measure.shares import paired_difference
from harness.quality import rows_right
from harness.record import Quality, Variant
from harness.report.row import Row, build_rows


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One claim about one network."""

    network: str
    claim: str
    figures: str
    holds: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """The records of one network.

    Attributes:
        seeds: Records of each seed's run; the first was measured in every backend.
        timed: Records of the recipes whose speed is claimed, timed in more processes.
        again: Records of the first seed's variants built once more from nothing.
        backend: The backend in which every seed was scored.
        order: Place of each recipe in the plan.
    """

    name: str
    seeds: tuple[tuple[Record, ...], ...]
    timed: tuple[Record, ...]
    again: tuple[Record, ...]
    backend: str
    order: Mapping[str, int]

    def recipes(self) -> tuple[str, ...]:
        """Recipes in the order of the plan, the baseline first."""
        found = sorted(
            self.seeds[0], key=lambda record: (record.recipe != "baseline", self.order.get(record.recipe, 0))
        )
        return tuple(dict.fromkeys(record.recipe for record in found))

    def matching(self, start: str) -> str:
        """The one recipe that begins so (and is no longer chain), or "" when there is none."""
        found = [r for r in self.recipes() if r.startswith(start)]
        return min(found, key=len) if found else ""

    def of(self, recipe: str) -> tuple[Record, ...]:
        """Scored records of a recipe in the backend that scored every seed, one a seed."""
        found = (r for run in self.seeds for r in run if r.recipe == recipe and r.backend == self.backend)
        return tuple(r for r in found if r.quality is not None)

    def rows(self, backend: str, *, timed: bool = False) -> tuple[Row, ...]:
        """Rows of the first seed in a backend, or of what was timed once more."""
        return tuple(row for row in build_rows(self.timed if timed else self.seeds[0]) if row.backend == backend)


def quality_of(record: Record) -> Quality:
    """The record's quality."""
    if record.quality is None:
        raise ValueError(f"{record.cell} has no quality")
    return record.quality


def variant_of(record: Record) -> Variant:
    """The record's variant."""
    if record.variant is None:
        raise ValueError(f"{record.cell} has no variant")
    return record.variant


def points_lost(records: tuple[Record, ...]) -> float:
    """Mean over seeds of the points of accuracy lost against the baseline."""
    return mean(100 * (quality_of(r).drop or 0.0) for r in records)


def _within(each: Evidence, recipe: str, limit: float) -> tuple[str, bool]:
    records = each.of(recipe)
    lost = points_lost(records)
    word = "lost" if lost >= 0 else "gained"
    return f"{abs(lost):.2f} points {word} (mean of {len(records)})", lost <= limit


def int8_static(each: Evidence) -> Iterator[Finding]:
    """Post-training quantisation costs next to nothing."""
    if each.of("int8-static") and quality_of(each.of("int8-static")[0]).value is not None and len(each.seeds) > 1:
        figures, holds = _within(each, "int8-static", 0.5)
        yield Finding(network=each.name, claim="int8-static at most 0.5 point below fp32", figures=figures, holds=holds)


def qat(each: Evidence) -> Iterator[Finding]:
    """Training for quantisation is no worse than quantising afterwards, seed by seed and row by row."""
    recipe = each.matching("qat-int8")
    figures, holds = [], True
    for trained, static in zip(each.of(recipe), each.of("int8-static"), strict=False):
        first, second = rows_right(quality_of(static)), rows_right(quality_of(trained))
        if first is None or second is None:
            continue
        lost, low, high = paired_difference(first, second)
        figures.append(f"{-100 * lost:+.1f} [{-100 * high:+.1f}, {-100 * low:+.1f}]")
        holds &= low <= 0
    if figures:
        claim = "qat-int8 not worse than int8-static beyond the paired interval, each seed"
        yield Finding(network=each.name, claim=claim, figures=f"points gained: {'; '.join(figures)}", holds=holds)


def channels(each: Evidence) -> Iterator[Finding]:
    """Half the work for little accuracy, and the clock agrees."""
    recipe = each.matching("prune-channels(macs=0.5)+fine-tune")
    if not recipe or not each.of(recipe):
        return
    figures, holds = _within(each, recipe, 1.5)
    yield Finding(network=each.name, claim=f"{recipe} at most 1.5 points below", figures=figures, holds=holds)
    share = variant_of(each.of(recipe)[0]).macs / variant_of(each.of("baseline")[0]).macs
    yield Finding(network=each.name, claim="and really at most 52 % of the MACs", figures=f"{share:.1%}",
                  holds=share <= 0.52)  # fmt: skip
    for backend in sorted({record.backend for record in each.seeds[0]}):
        speed = next((row.speed for row in each.rows(backend, timed=True) if row.recipe == recipe), None)
        if speed is not None:
            text = f"{speed.summary.ratio:.2f}× [{speed.summary.lo95:.2f}, {speed.summary.hi95:.2f}]"
            yield Finding(network=each.name, claim=f"and faster here in {backend}", figures=text,
                          holds=speed.verdict == "faster")  # fmt: skip


def iterative(each: Evidence) -> Iterator[Finding]:
    """Pruning in rounds beats pruning at once, without and with as much training afterwards."""
    recipe = each.matching("prune-iterative(amount=0.9")
    once = {"one shot": "prune-magnitude(amount=0.9)",
            "one shot and as many epochs": each.matching("prune-magnitude(amount=0.9, epochs=")}  # fmt: skip
    for words, other in once.items():
        if recipe and other and each.of(recipe) and each.of(other):
            lost, other_lost = points_lost(each.of(recipe)), points_lost(each.of(other))
            figures = f"lost {lost:.1f} points against {other_lost:.1f}"
            claim = f"prune-iterative at 90 % beats {words} at 90 %"
            yield Finding(network=each.name, claim=claim, figures=figures, holds=lost < other_lost)


def low_rank(each: Evidence) -> Iterator[Finding]:
    """Half the parameters by factorising."""
    recipe = each.matching("low-rank-svd(parameters=0.5)+fine-tune")
    if recipe and each.of(recipe):
        figures, holds = _within(each, recipe, 1.5)
        share = variant_of(each.of(recipe)[0]).parameters / variant_of(each.of("baseline")[0]).parameters
        yield Finding(network=each.name, claim="low-rank-svd at half the parameters at most 1.5 points below",
                      figures=f"{figures}, {share:.0%} of the parameters", holds=holds and share <= 0.52)  # fmt: skip


def distillation(each: Evidence) -> Iterator[Finding]:
    """A student learns more from a teacher than from labels alone, or it is said not to be significant."""
    students = [r for r in each.recipes() if r.startswith("distill-") and "student=" in r]
    alone = next((r for r in students if "alpha=0.0" in r), "")
    for recipe in (r for r in students if r != alone and each.of(alone)):
        pairs = list(zip(each.of(recipe), each.of(alone), strict=False))
        gains = []
        low_ends = []
        for taught, untaught in pairs:
            first, second = rows_right(quality_of(taught)), rows_right(quality_of(untaught))
            if first is not None and second is not None:
                gain, low, _ = paired_difference(first, second)
                gains.append(100 * gain)
                low_ends.append(low)
        significant = sum(low > 0 for low in low_ends)
        verdict = "" if significant == len(gains) else f"; significant in {significant} of {len(gains)} seeds"
        name = recipe.partition("(")[0]
        yield Finding(network=each.name, claim=f"{name} beats the same student trained alone, or says it does not",
                      figures=f"{mean(gains):+.1f} points ({', '.join(f'{g:+.1f}' for g in gains)}){verdict}",
                      holds=mean(gains) > 0 or significant < len(gains))  # fmt: skip


def composition(each: Evidence) -> Iterator[Finding]:
    """The chain is faster and at least as accurate as single techniques."""
    recipe = next((r for r in each.recipes() if r.startswith("prune-channels") and r.endswith("+int8-static")), "")
    for backend in sorted({record.backend for record in each.seeds[0]}):
        rows = [row for row in each.rows(backend) if row.host and row.quality and row.quality.value is not None]
        chain = next((row for row in rows if row.recipe == recipe), None)
        if chain is None:
            continue
        beaten = [row.recipe for row in rows if row is not chain and "+" not in row.recipe and not row.baseline
                  and _dominates(chain, row)]  # fmt: skip
        yield Finding(network=each.name, claim=f"{recipe} dominates two single techniques in {backend}",
                      figures=f"{len(beaten)}: {', '.join(beaten)}", holds=len(beaten) >= 2)  # fmt: skip


def _dominates(one: Row, other: Row) -> bool:
    if not (one.host and other.host and one.quality and other.quality):
        return False
    return one.host.median_ns < other.host.median_ns and (one.quality.value or 0) >= (other.quality.value or 0)


def agreement(each: Evidence) -> Iterator[Finding]:
    """Without enough labels, agreement with fp32 says what quantisation changed."""
    per_tensor = "int8-static(per_channel=false)"
    for backend in sorted({record.backend for record in each.seeds[0]}):
        rows = {row.recipe: row for row in each.rows(backend)}
        if per_tensor not in rows or "int8-static" not in rows:
            continue
        good, bad = rows["int8-static"].quality, rows[per_tensor].quality
        if good is None or bad is None or good.agreement is None or bad.agreement is None:
            continue
        text = f"{good.agreement:.1%} [{good.agreement_lo95:.1%}, {good.agreement_hi95:.1%}] of {good.agreement_n}"
        yield Finding(network=each.name, claim=f"per-channel int8 agrees on at least 97.5 % in {backend}", figures=text,
                      holds=good.agreement >= 0.975 and good.agreement_n >= 500)  # fmt: skip
        text = f"{bad.agreement:.1%} [{bad.agreement_lo95:.1%}, {bad.agreement_hi95:.1%}]"
        yield Finding(network=each.name, claim=f"per-tensor int8 clearly less in {backend}", figures=text,
                      holds=(bad.agreement_hi95 or 1.0) < good.agreement)  # fmt: skip
        timed = {row.recipe: row for row in each.rows(backend, timed=True)}
        speed = timed["int8-static"].speed if "int8-static" in timed else None
        wanted = 1.8 if backend == "openvino" else 1.5
        if speed is not None:
            reasons = "; ".join(reason.text for reason in timed["int8-static"].why if reason.where == "host")
            text = f"{speed.summary.ratio:.2f}× [{speed.summary.lo95:.2f}, {speed.summary.hi95:.2f}] {reasons}".strip()
            yield Finding(network=each.name, claim=f"int8 at least {wanted}× as fast here in {backend}, or why not",
                          figures=text, holds=speed.summary.ratio >= wanted or bool(reasons))  # fmt: skip


def same_seed(each: Evidence) -> Iterator[Finding]:
    """The same seed gives the same variants."""
    again = {r.recipe: variant_of(r).sha256 for r in each.again if r.variant}
    first = {r.recipe: variant_of(r).sha256 for r in each.seeds[0] if r.variant and r.backend == each.backend}
    both = sorted(again.keys() & first.keys())
    if both:
        other = [recipe for recipe in both if again[recipe] != first[recipe]]
        text = f"{len(both) - len(other)} of {len(both)} equal" + (f"; not: {', '.join(other)}" if other else "")
        yield Finding(network=each.name, claim="the same seed gives the same content hash from an empty cache",
                      figures=text, holds=not other)  # fmt: skip


CLAIMS: tuple[Callable[[Evidence], Iterator[Finding]], ...] = (
    int8_static, qat, channels, iterative, low_rank, distillation, composition, agreement, same_seed,
)  # fmt: skip
