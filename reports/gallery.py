"""The gallery: runs what is not there yet, then writes every report anew from its records, and the index of them.

    python reports/gallery.py            measure what is missing, write all reports and reports/README.md
    python reports/gallery.py --page     measure nothing

Delete a folder to have it measured again, on a machine that does nothing else.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness import Plan, Record, run
from harness.report import builtin_formats, write_report
from harness.report.document import build_report
from harness.run_folder import RECORDS, read_environment, read_records

HERE = Path(__file__).resolve().parent


@dataclass(frozen=True, slots=True, kw_only=True)
class Exhibit:
    """A run that is shown.

    Attributes:
        folder: Below `reports/`.
        question: What somebody wanted to know.
        plan: How to run it; None for a run of the study of every technique.
    """

    folder: str
    question: str
    plan: Plan | None = None


EXHIBITS = (
    Exhibit(
        folder="rpi4",
        question="What to run on a Raspberry Pi 4? Everything that `bench run --profile rpi4` does by itself.",
        plan=Plan(profiles=("rpi4",), budget_s=90.0, processes=6),
    ),
    Exhibit(
        folder="wearable",
        question="A smartwatch's activities on two microcontrollers: which recipe fits, how fast, for how much energy?",
        plan=Plan(
            models=("zoo:har-watch",),
            recipes=(
                "int8-static",
                "qat-int8",
                "prune-channels(macs=0.5)+fine-tune",
                "prune-channels(macs=0.5)+distill-soft+int8-static",
                "low-rank-svd(parameters=0.5)+fine-tune+int8-static",
            ),
            backends=("onnxruntime",),
            profiles=("stm32-nucleo-h7a3zi-q", "stm32-nucleo-l4r5zi"),
            budget_s=60.0,
            processes=6,
            robustness=True,
        ),
    ),
    Exhibit(
        folder="techniques/har-watch/seed-0",
        question="Every technique on one network: motion of a smartwatch.",
    ),
    Exhibit(
        folder="techniques/resnet-8/seed-0",
        question="The techniques that train, on a network for pictures (Fashion-MNIST).",
    ),
    Exhibit(
        folder="techniques/efficientnet-lite0/seed-0",
        question="A scale for each channel or one for the whole tensor: int8 of a pretrained network for photographs.",
    ),
)


def main() -> None:
    """Measure what is missing, and write what is read."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--page", action="store_true", help="measure nothing")
    if not parser.parse_args().page:
        for exhibit in EXHIBITS:
            folder = HERE / exhibit.folder
            if exhibit.plan and not (folder / RECORDS).is_file():
                run(exhibit.plan, out=folder)
    for folder in run_folders(HERE):
        write(folder, folder)
    (HERE / "README.md").write_text("\n".join(index()) + "\n", encoding="utf-8")


def run_folders(root: Path) -> Sequence[Path]:
    """Every run that is kept."""
    return sorted(path.parent for path in root.rglob(RECORDS))


def write(source: Path, target: Path) -> None:
    """Write the report of one run; only those that are shown are worth a megabyte of HTML."""
    shown = any(source == HERE / exhibit.folder for exhibit in EXHIBITS)
    formats = builtin_formats() if shown else [f for f in builtin_formats() if f.name == "markdown"]
    write_report(target, read_records(source), read_environment(source), formats)


def index() -> Iterator[str]:
    """The page that leads to the reports."""
    yield "# Gallery"
    yield ""
    yield "Reports of real runs, each beside its plan and its records. `make gallery` writes them again from the"
    yield "records, and measures what is not there. Nothing on this page was typed by hand but the questions."
    for exhibit in EXHIBITS:
        folder = HERE / exhibit.folder
        if (folder / RECORDS).is_file():
            yield from _entry(exhibit, read_records(folder))
    yield ""
    yield "[What was claimed of every technique beforehand, and what came out](techniques/README.md), over three seeds."


def _entry(exhibit: Exhibit, records: Sequence[Record]) -> Iterator[str]:
    environment = read_environment(HERE / exhibit.folder)
    report = build_report(records, environment)
    outcomes = ", ".join(f"{count} {name}" for name, count in report.outcomes if count)
    link = exhibit.folder
    yield ""
    yield f"## {exhibit.question}"
    yield ""
    for section in report.sections:
        yield f"- **{section.model}** on **{section.profile}**: {section.recommendation.sentence}"
    yield ""
    machine = environment.get("cpu", "a machine that is not named")
    yield f"[Report]({link}/report.md) · [HTML]({link}/report.html), to be saved and opened ·"
    yield f"[plan]({link}/plan.toml) · [records]({link}/{RECORDS}) — {outcomes}; measured on {machine},"
    yield f"{environment.get('threads', '?')} threads."
    for picture in sorted((HERE / exhibit.folder).glob("report-pareto-*.svg"))[:1]:
        yield ""
        yield f"![Quality against latency]({link}/{picture.name})"


if __name__ == "__main__":
    main()
