"""Reports: pure functions of records."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from harness.contributions import ReportFormat
    from harness.record import Record
    from harness.report.document import Report
    from harness.report.goals import Goals

FILE_END = re.compile(r"[\w.-]*\.\w+")
"""How the name of a file beside a report may go on after `report`: no folder, and a suffix."""


def builtin_formats() -> tuple[ReportFormat, ...]:
    """The formats that need no plugin: Markdown and HTML."""
    from harness.contributions import ReportFormat

    return (
        ReportFormat(name="markdown", suffix=".md", render=_markdown),
        ReportFormat(name="html", suffix=".html", render=_html),
    )


def write_report(
    folder: Path,
    records: Sequence[Record],
    environment: Mapping[str, Any],
    formats: Iterable[ReportFormat] | None = None,
    goals: Goals | None = None,
) -> tuple[Path, ...]:
    """Render records in each format and save it as `report<suffix>`; a reader never sees half a file.

    A format of several files is saved as `report<suffix>` and its other files beside it.

    Args:
        folder: An existing folder.
        records: All records of a run.
        environment: What `environment.json` holds.
        formats: How to write, `builtin_formats()` when not given. One that fails does not stop the others.
        goals: What the recommended variant must keep to; that of `plan.toml` in the folder when not given.

    Returns:
        The files, those that a format brings besides its own left out.

    Raises:
        OSError: when a file cannot be written.
        PluginError: when a format cannot render, after the other formats have been written.
    """
    from harness.errors import PluginError
    from harness.report.document import build_report
    from harness.report.goals import planned_goals

    report = build_report(records, environment, goals or planned_goals(folder))
    written, failures = [], []
    for report_format in builtin_formats() if formats is None else formats:
        try:
            files = _files(report_format, report)
        except Exception as error:  # noqa: BLE001 - a format may be anybody's code
            failures.append(f"{report_format.name}: {type(error).__name__}: {error}")
            continue
        # What the others are referred to from comes last, so that it never refers to a file that is not there yet.
        for end in sorted(files, key=lambda end: end == report_format.suffix):
            _replace(folder / f"report{end}", files[end])
        written.append(folder / f"report{report_format.suffix}")
    if failures:
        raise PluginError(
            f"report formats that could not render: {'; '.join(failures)}",
            hint="The other formats are written. Update or block the plugin that brings these: bench plugins.",
        )
    return tuple(written)


def _files(report_format: ReportFormat, report: Report) -> Mapping[str, str]:
    """What a format renders, by the end of each file's name.

    Raises:
        ValueError: Its own file is missing, or a name would lie outside the folder.
    """
    rendered = report_format.render(report)
    files = {report_format.suffix: rendered} if isinstance(rendered, str) else dict(rendered)
    if report_format.suffix not in files:
        raise ValueError(f"it renders {', '.join(files) or 'nothing'}, but not its own {report_format.suffix}")
    wrong = [end for end in files if not FILE_END.fullmatch(end)]
    if wrong:
        raise ValueError(f"{wrong[0]!r} is no end of a file's name")
    return files


def _replace(path: Path, text: str) -> None:
    """Write beside the file, then put it in its place at once."""
    import os

    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with draft.open("w", encoding="utf-8", errors="replace", newline="\n") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise


def _markdown(report: Report) -> Mapping[str, str]:
    from harness.report.markdown import markdown_files

    return markdown_files(report)


def _html(report: Report) -> str:
    from harness.report.html import render_html

    return render_html(report)
