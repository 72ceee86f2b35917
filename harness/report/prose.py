"""Sentences that every rendering says alike: how it was measured, what words mean, notes, steps."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.report import noise as noise_words
from harness.report import units

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from harness.record import LineageStep, Variant
    from harness.report.document import Origin, Report, Section
    from harness.report.method import Method, Span
    from harness.report.missing import MissingCell, MissingGroup
    from harness.report.row import Row

WORDS = (
    (
        "measured",
        (
            "Timed on this machine. The latency is the geometric mean of the medians of fresh processes, with its 95 %"
            " interval (Student's t over processes; fewer than six: never narrower than their samples allow; six or"
            " more: a fifth at either end is set aside)."
        ),
    ),
    ("estimated", "Predicted for the device, with a 90 % interval. Nothing was run on the device."),
    (
        "simulated",
        (
            "An accelerator that was not here, imitated. Its latency is predicted; its quality was computed on this"
            " processor; it was never timed."
        ),
    ),
    ("faster, slower", "The 95 % interval of the ratio to the baseline of the same backend excludes 1."),
    (
        "agrees, DIFFERS",
        (
            "The largest difference of an output from that of the framework that the network was written in, over all"
            " test rows and as a share of that output's largest value, is within what is allowed or not: 1e-03 in"
            " float32, more where a technique says so. Integers are allowed any: there accuracy tells."
        ),
    ),
    (
        "points lost",
        (
            "Accuracy of the baseline less that of the row over the same test rows, in points, with the paired 95 %"
            " interval; negative where the row is better."
        ),
    ),
    (
        "divergence",
        "Mean Kullback-Leibler divergence of the class probabilities from the baseline's, in nats; 0 is the same.",
    ),
    ("no difference shown", "That interval includes 1, or two intervals overlap. It does not say that both are equal."),
    (
        "quiet, usable, noisy",
        (
            "Half the 95 % interval of the median comparison with a baseline is at most 3 %, at most 10 %, or more:"
            " smaller differences cannot be told from noise. A run is at most usable where latency drifted by more than"
            " 3 % while it was timed, or more than one sample in twenty was a slow outlier; with one process for each"
            " variant its noise is unknown."
        ),
    ),
    (
        "Pareto-optimal",
        (
            "No other row has less latency at no less quality, or more quality at no more latency. Rows that need an"
            " optional accelerator are compared with each other only."
        ),
    ),
)
"""What the words of a report mean."""

WHY = "Why is it not faster?"
ROBUSTNESS = "Quality under corrupted inputs"
RUNTIMES = "Runtimes side by side"

MOSTLY = 0.95
"""Share of parameters that are not zero above which zeros are worth no word: rounding to int8 makes some."""

MACHINE = {
    "time": "Time",
    "cpu": "Processor",
    "isa": "Instruction set",
    "cores": "Cores",
    "memory_bytes": "Memory",
    "os": "System",
    "load_average": "Load at the start",
}


def outcomes(report: Report) -> str:
    """`22 measured, 2 simulated, 14 skipped, 2 failed`, without the zeros."""
    return ", ".join(f"{number:,} {name}" for name, number in report.outcomes if number) or "no records"


def title(report: Report) -> str:
    """What was compared for what: `har-watch on rpi4`, or counts when these are many."""
    models = list(dict.fromkeys(section.model for section in report.sections))
    profiles = list(dict.fromkeys(section.profile for section in report.sections))
    if not models:
        return "Empty run"
    names = [", ".join(found) if len(found) <= 3 else f"{len(found)} {what}"
             for found, what in ((models, "models"), (profiles, "profiles"))]  # fmt: skip
    return " on ".join(names)


def heading(section: Section) -> str:
    """`har-watch on rpi4`."""
    return f"{section.model} on {section.profile}"


def footnotes(section: Section) -> dict[str, int]:
    """Notes of single rows, numbered in the order of rows."""
    found: dict[str, int] = {}
    for row in section.rows:
        for note in row.notes:
            found.setdefault(note, len(found) + 1)
    return found


def references(row: Row, numbers: Mapping[str, int]) -> tuple[int, ...]:
    """Numbers of a row's notes."""
    return tuple(sorted(numbers[note] for note in row.notes))


def first_rows(rows: Sequence[Row], most: int) -> tuple[int, ...]:
    """Places of as many rows as are shown: what is Pareto-optimal or a baseline, and the fastest others, in order."""
    order = sorted(range(len(rows)), key=lambda at: (not rows[at].pareto, not rows[at].baseline, at))
    return tuple(sorted(order[:most]))


def method_facts(method: Method) -> tuple[tuple[str, str], ...]:
    """How it was measured, as (what, text) in reading order; what is unknown is left out."""
    return tuple((what, text) for what, text in _facts(method) if text)


def step(taken: LineageStep) -> str:
    """One step of a lineage with its size, work, accuracy and time; its notes are not part of it."""
    facts = [taken.format, units.size(taken.size_bytes) if taken.size_bytes is not None else "live object"]
    if taken.parameters is not None:
        facts.append(f"{units.scaled_count(taken.parameters)} parameters")
    if taken.macs is not None:
        facts.append(f"{units.scaled_count(taken.macs)} MACs")
    if taken.accuracy is not None:
        facts.append(f"{units.percent(taken.accuracy)} of {taken.accuracy_n:,} validation rows right")
    return f"{taken.name}: {', '.join(facts)}, {taken.seconds:.1f} s, by {taken.plugin}"


def variant_facts(variant: Variant) -> str:
    """Format, sizes, parameters and arithmetic of a variant."""
    parts = [
        f"{variant.format}, {units.size(variant.size_bytes)}, download {units.size(variant.download_bytes)}",
        f"{units.scaled_count(variant.parameters)} parameters",
    ]
    nonzero = variant.nonzero_parameters
    if nonzero is not None and variant.parameters and nonzero < MOSTLY * variant.parameters:
        parts[1] += f" ({units.scaled_count(nonzero)} not zero)"
    share = units.percent(variant.int8_macs_share) if variant.int8_macs_share else "none"
    parts.append(f"{units.scaled_count(variant.macs)} MACs, {share} of them int8")
    parts.append(f"sha256 {variant.sha256[:12]}")
    if variant.cached:
        parts.append("from the cache")
    return "; ".join(parts)


def robustness_words(n: int) -> str:
    """How to read the table of corrupted inputs."""
    return (
        f"Each corruption was applied to {n:,} test rows. In brackets the points gained on the baseline under the same"
        " corruption, with the paired 95 % interval."
    )


def compared_with(references: Sequence[str]) -> str:
    """What the outputs of runtimes were held against."""
    if not references:
        return "No outputs were compared with the framework's own: that needs its backend among the runtimes of a run."
    return f"Outputs are compared with those of {_listed(references)}, over every test row."


def _listed(names: Sequence[str]) -> str:
    shown = names if len(names) <= 3 else [*names[:2], f"{len(names) - 2} more"]
    return ", ".join(shown) if len(shown) < 2 else f"{', '.join(shown[:-1])} and {shown[-1]}"


def told_before(origin: Origin, told: Sequence[Origin]) -> tuple[Origin | None, int]:
    """The variant told of before that began with the most steps alike, and how many those are."""
    found: tuple[Origin | None, int] = (None, 0)
    for other in told:
        pairs = list(zip(origin.variant.lineage, other.variant.lineage, strict=False))
        alike = next((at for at, (one, two) in enumerate(pairs) if one != two), len(pairs))
        if alike > found[1]:
            found = other, alike
    return found


def technique_notes(variant: Variant) -> tuple[str, ...]:
    """What the techniques of a variant noted: a layer left in float, what was calibrated on, how much was pruned."""
    return tuple(note for taken in variant.lineage if taken.kind == "technique" for note in taken.notes)


def missing_name(cell: MissingCell) -> str:
    """`int8-dynamic in openvino`, with its time when it had been timed."""
    text = f"{cell.recipe} in {cell.backend}"
    if cell.host:
        text += f" (timed here at {units.quantity(cell.host.median_ns / 1e6, 'ms')} before it failed)"
    return text


def missing_cell(cell: MissingCell) -> str:
    """`int8-dynamic in openvino`, with what happened to this cell alone."""
    return f"{missing_name(cell)}: {cell.error}" if cell.error else missing_name(cell)


def missing_where(group: MissingGroup) -> str:
    """`skipped at stage plan, quantize edge-bench 0.1.0`."""
    where = f" at stage {group.stage}" if group.stage else ""
    who = f", {group.plugin}" if group.plugin else ""
    return f"{group.outcome}{where}{who}"


def _facts(method: Method) -> Iterable[tuple[str, str]]:
    machine = dict(method.machine)
    for key, name in MACHINE.items():
        if key in machine:
            value = machine[key]
            known = key == "memory_bytes" and isinstance(value, int | float)
            yield name, units.size(value) if known else str(value)
    software = [f"{name} {machine[key]}" for key, name in (("python", "Python"), ("bench", "bench")) if key in machine]
    yield "Versions", ", ".join(software + [f"{name} {version}" for name, version in method.versions])
    yield "Threads", _threads(method)
    yield "Cells timed", _timing(method)
    yield "Noise", _noise(method)
    yield "Timing ended", _stopped(method)
    yield "Settling", _settling(method)
    yield "Warm-up", _warm_up(method)
    for note in method.notes:
        yield "Note", note


def _threads(method: Method) -> str:
    if not method.threads:
        return ""
    reported = [
        f"{found.backend} {' or '.join(map(str, found.threads_reported)) or 'cannot be read back'}"
        for found in method.backends
    ]
    budget = f"budget {' or '.join(map(str, method.threads))} for every backend"
    return budget + (f"; what the runtime reports: {', '.join(reported)}" if reported else "")


def _timing(method: Method) -> str:
    if not (method.processes and method.samples and method.calls):
        return "none"
    return (
        f"{method.cells:,}, each in {_span(method.processes)} fresh processes with {_span(method.samples)} samples in"
        f" all, {_span(method.calls)} inferences a sample"
    )


def _noise(method: Method) -> str:
    return noise_words.headline(method.noise) if method.noise else ""


def _stopped(method: Method) -> str:
    names = {"precise": "precise enough", "budget": "time budget spent"}
    return ", ".join(f"{names.get(name, name)} in {number:,}" for name, number in method.stopped)


def _settling(method: Method) -> str:
    """How long threads stay busy after a sample, and whether they were waited for."""
    parts = []
    for found in method.backends:
        late = f" (not quiet in {found.unsettled} of {found.processes} processes)" if found.unsettled else ""
        parts.append(f"{found.backend} {units.quantity(found.settle_ns / 1e6, 'ms')}{late}")
    return f"threads stay busy after a sample for: {', '.join(parts)}" if parts else ""


def _warm_up(method: Method) -> str:
    processes = sum(found.processes for found in method.backends)
    unsteady = sum(found.unsteady for found in method.backends)
    if not processes:
        return ""
    if not unsteady:
        return f"until times were steady, in all {processes:,} processes"
    who = ", ".join(f"{found.backend} {found.unsteady}" for found in method.backends if found.unsteady)
    return f"not steady when its budget was spent in {unsteady:,} of {processes:,} processes ({who})"


def _span(span: Span) -> str:
    return f"{span.least:,}" if span.least == span.most else f"{span.least:,} to {span.most:,}"
