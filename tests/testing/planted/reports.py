"""Report formats of one defect each, named for it; all else is the kit's own fake."""

from __future__ import annotations

import os
import time
from dataclasses import replace
from pathlib import Path

from harness import hookimpl
from harness.testing import fakes

HARNESS_API = 1


def renders(change):
    return {"render": lambda report: change(fakes.render(report))}


def scribbling(report):
    object.__setattr__(report, "run", "another")
    return fakes.render(report)


def writing(report):
    Path("report.tmp").write_text("draft")
    return fakes.render(report)


def chatty(report):
    print("rendering")
    return fakes.render(report)


def muttering(report):
    os.write(2, b"rendering\n")
    return fakes.render(report)


def without(word):
    return renders(lambda text: "\n".join(line for line in text.splitlines() if word not in line))


def first_section(report):
    return f"{report.sections[0].model}"


def first_row(report):
    return fakes.render(report) + report.sections[0].rows[0].recipe


def raw(report):
    return "<ul>" + "".join(f"<li>{s.model} {r.recipe} {r.backend}</li>" for s in report.sections for r in s.rows)


def codes(report):
    return fakes.render(report) + "".join(row.recipe for section in report.sections for row in section.rows)


def aborting(report):
    if any("\x1b" in row.recipe for section in report.sections for row in section.rows):
        os.abort()
    return fakes.render(report)


DEFECTS = {
    "dotless": {"suffix": "txt"},
    "two-files": {"render": lambda report: {".other": "text"}},
    "up-a-folder": {"suffix": ".md", "render": lambda report: {".md": "text", "/../x.md": "text"}},
    "bytes": {"render": lambda report: {".fake.txt": b"text"}},
    "blank": renders(lambda text: " "),
    "timed": renders(lambda text: f"{text}{time.perf_counter_ns()}"),
    "here": renders(lambda text: text + str(Path.cwd())),
    "as-wide-as-the-terminal": renders(lambda text: text + os.environ.get("COLUMNS", "80")),
    "scribbling": {"render": scribbling},
    "writing": {"render": writing},
    "chatty": {"render": chatty},
    "muttering": {"render": muttering},
    "without-a-backend": without("slow-runtime"),
    "without-a-model": {"render": lambda report: fakes.render(replace(report, sections=report.sections[:1]))},
    "without-failures": without("broken"),
    "first-section": {"render": first_section},
    "first-row": {"render": first_row},
    "raw": {"suffix": ".html", "render": raw},
    "codes": {"render": codes},
    "aborting": {"render": aborting},
    "surrogate": renders(lambda text: text + "\udc80"),
}


@hookimpl
def harness_report_formats():
    (good,) = fakes.harness_report_formats()
    for name, changes in DEFECTS.items():
        yield replace(good, name=name, **changes)
