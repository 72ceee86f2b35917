"""Report files: the host's own and one for each format that a plugin brings, none of which takes another's place."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from harness.errors import HarnessError, UsageError

if TYPE_CHECKING:
    from pathlib import Path

    from harness.contributions import ReportFormat
    from harness.record import Record
    from harness.registry import Registered
    from harness.report.document import Report
    from harness.report.goals import Goals

Formats = Iterable["Registered[ReportFormat]"]
Warn = Callable[[str], None]


def write_files(
    folder: Path,
    records: Sequence[Record],
    environment: Mapping[str, Any],
    goals: Goals,
    formats: Formats,
    warn: Warn,
) -> tuple[Path, ...]:
    """Write every format that can be rendered; what cannot is warned of and costs its own file only.

    Raises:
        UsageError: The folder cannot be written.
    """
    from harness.report import write_report
    from harness.report.document import build_report

    ready = _rendered(build_report(records, environment, goals), formats, warn)
    try:
        return write_report(folder, records, environment, formats=ready, goals=goals)
    except OSError as error:
        hint = "Make the folder writable, or copy the run elsewhere."
        raise UsageError(f"the report cannot be written into {folder}: {error.strerror}.", hint=hint) from None


def _rendered(report: Report, formats: Formats, warn: Warn) -> list[ReportFormat]:
    """The host's formats and those of plugins whose files nobody else writes, each with its text at hand."""
    from harness.report import builtin_formats

    ready: list[ReportFormat] = []
    taken: dict[str, str] = {}
    for builtin in builtin_formats():
        files = _files(builtin, report)
        taken |= dict.fromkeys(map(str.lower, files), "bench itself")
        ready.append(_with_text(builtin, files))
    for item in formats:
        suffix = item.contribution.suffix
        try:
            _refuse_taken([suffix], taken, item)
            files = _files(item.contribution, report)
            _refuse_taken(files, taken, item)
        except HarnessError as error:
            warn(f"report{suffix} of {item.provider} is not written: {error.message} {error.hint}".rstrip())
            continue
        taken |= dict.fromkeys(map(str.lower, files), item.provider)
        ready.append(_with_text(item.contribution, files))
    return ready


def _files(report_format: ReportFormat, report: Report) -> Mapping[str, str]:
    """What a format renders, by the end of each file's name."""
    from harness.errors import PluginError
    from harness.report import FILE_END

    rendered = report_format.render(report)
    files = {report_format.suffix: rendered} if isinstance(rendered, str) else dict(rendered)
    if report_format.suffix not in files:
        raise PluginError(f"it renders {', '.join(map(str, files)) or 'nothing'}, and not that file.")
    for end, text in files.items():
        if not isinstance(end, str) or not FILE_END.fullmatch(end):
            raise PluginError(f"{end!r} is no end of a file's name.", hint="Such as .csv or -table.csv.")
        if not isinstance(text, str):
            raise PluginError(f"what it renders for {end} is of type {type(text).__name__}, not text.")
    return files


def _refuse_taken(ends: Iterable[str], taken: Mapping[str, str], item: Registered[ReportFormat]) -> None:
    for end in ends:
        if end.lower() in taken:
            hint = f"Leave one of them out: --block {item.plugin}"
            raise UsageError(f"report{end} is written by {taken[end.lower()]}.", hint=hint)


def _with_text(report_format: ReportFormat, files: Mapping[str, str]) -> ReportFormat:
    return replace(report_format, render=lambda _report: files)
