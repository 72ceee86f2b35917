"""Report formats: one that works, one of two files, and all that can be wrong with one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import harness

HARNESS_API = 1


def _count(report: Any) -> str:
    return f"{sum(len(section.rows) for section in report.sections)} rows\n"


def _fail(report: Any) -> str:
    raise RuntimeError("no ink")


@harness.hookimpl
def harness_report_formats() -> Iterator[harness.ReportFormat]:
    kinds: dict[str, tuple[str, Any]] = {
        "a-count": (".count", _count),
        "b-count-too": (".COUNT", lambda report: "overwritten"),
        "c-fails": (".fails", _fail),
        "d-markdown": (".md", lambda report: "overwritten"),
        "e-outside": ("/../../outside.txt", lambda report: "outside"),
        "f-nothing": (".nothing", lambda report: None),
        "g-pair": (".pair", lambda report: {".pair": "one", "-second.pair": "two"}),
        "h-sneaky": (".sneaky", lambda report: {".sneaky": "", ".html": "overwritten"}),
    }
    for name, (suffix, render) in kinds.items():
        yield harness.ReportFormat(name=name, suffix=suffix, render=render)
