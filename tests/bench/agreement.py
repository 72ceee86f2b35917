"""Does a session timed among others agree with the same session timed alone, and with its own twin?

Run it on a machine that does nothing else:  python tests/bench/agreement.py --pairs 4
It prints two tables: alone against among, pair by pair in turn, and A/A inside one group.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Sequence
from dataclasses import replace
from statistics import mean, stdev

from harness.build.builder import BuildSettings
from harness.build.cache import Cache, open_cache
from harness.build.variants import BuiltVariant, build_variants
from harness.host import Host
from harness.loading import load_host
from harness.measure.group import measure
from harness.measure.statistics import ratio, student_t, summarise
from harness.measure.subject import MeasureSettings, Subject
from harness.plan import Cell, Plan, complete, expand
from harness.process.limits import Limits
from harness.progress import Silent
from harness.record import Measurement


def subjects(model: str, cache: Cache) -> list[Subject]:
    """Every timed cell of a model's default plan, built or from the cache."""
    host = load_host()
    plan = complete(Plan(models=(model,), profiles=("host",)), host)
    cells = [c for c in expand(plan, host) if not c.backend.contribution.accelerator and isinstance(c.route, tuple)]
    settings = BuildSettings(cache=cache, lanes=2, threads=1, limits=Limits(), plugins=host.plugin_sources())
    built = build_variants(cells, host, plan, settings, Silent())
    return [subject(c, b, host, cache) for c in cells if isinstance(b := built[c.name], BuiltVariant)]


def subject(cell: Cell, built: BuiltVariant, host: Host, cache: Cache) -> Subject:
    """A cell as measuring sees it, nothing to be scored."""
    return Subject(
        name=f"{cell.recipe} in {cell.backend_text}",
        label=cell.name,
        backend=cell.backend.name,
        options=cell.options,
        path=built.built.path,
        variant_sha256=built.built.sha256,
        model_folder=cache.entry("models", built.model.key),
        outputs=built.built.path,
        plugins=host.plugin_sources(cell.backend.plugin),
        provider=cell.backend.provider,
        environment=cell.backend.contribution.environment,
        baseline=cell.baseline,
    )


def taken(found: Sequence[Subject], settings: MeasureSettings) -> dict[str, Measurement]:
    """Measurements by name; a failure ends the script."""
    results = measure(found, settings, Silent())
    return {name: r for name, r in results.items() if isinstance(r, Measurement)}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="zoo:har-watch")
    parser.add_argument("--pairs", type=int, default=4)
    parser.add_argument("--threads", type=int, default=2)
    given = parser.parse_args()
    settings = MeasureSettings(threads=given.threads, seed=0, budget_s=12.0, processes=3, precision=0.03,
                               limits=Limits(), lanes=2)  # fmt: skip
    found = subjects(given.model, open_cache())
    looked_at = [s for s in found if s.baseline]
    logs: dict[str, list[float]] = {s.name: [] for s in looked_at}
    twins: dict[str, list[str]] = {s.name: [] for s in looked_at}
    for pair in range(given.pairs):
        twin = [replace(s, name=f"{s.name}, twin", baseline=False) for s in looked_at]
        among = taken([*found, *twin], replace(settings, seed=pair, budget_s=30.0))
        for one in looked_at:
            alone = taken([one], replace(settings, seed=pair))
            logs[one.name].append(math.log(summarise(among[one.name]).median_ns / summarise(alone[one.name]).median_ns))
            apart = ratio(among[one.name], among[f"{one.name}, twin"])
            verdict = "difference" if apart.significant else "no difference"
            twins[one.name].append(f"{apart.ratio:.3f} [{apart.lo95 or 0:.3f}, {apart.hi95 or 0:.3f}] {verdict}")
    print("| session | among / alone | 95 % interval |\n|---|---|---|")
    for name, values in logs.items():
        half = student_t(len(values) - 1) * stdev(values) / math.sqrt(len(values)) if len(values) > 1 else math.inf
        low, high = math.exp(mean(values) - half), math.exp(mean(values) + half)
        print(f"| {name} | {math.exp(mean(values)):.3f} | [{low:.3f}, {high:.3f}] |")
    print("\n| session | A/A inside one group, pair by pair |\n|---|---|")
    for name, lines in twins.items():
        print(f"| {name} | {'; '.join(lines)} |")
    print(f"\n{given.model}: {given.pairs} pairs, {given.threads} threads, {settings.processes} processes")


if __name__ == "__main__":
    main()
