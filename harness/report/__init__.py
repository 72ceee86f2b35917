"""Reports: pure functions of records."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from harness.contributions import ReportFormat
    from harness.record import Record
    from harness.report.document import Report


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
) -> tuple[Path, ...]:
    """Render records in each format and save it as `report<suffix>`; a reader never sees half a file.

    Args:
        folder: An existing folder.
        records: All records of a run.
        environment: What `environment.json` holds.
        formats: How to write, `builtin_formats()` when not given. One that fails does not stop the others.

    Raises:
        OSError: when a file cannot be written.
        PluginError: when a format cannot render, after the other formats have been written.
    """
    from harness.errors import PluginError
    from harness.report.document import build_report

    report = build_report(records, environment)
    written, failures = [], []
    for report_format in builtin_formats() if formats is None else formats:
        try:
            text = report_format.render(report)
        except Exception as error:  # noqa: BLE001 - a format may be anybody's code
            failures.append(f"{report_format.name}: {type(error).__name__}: {error}")
            continue
        path = folder / f"report{report_format.suffix}"
        _replace(path, text)
        written.append(path)
    if failures:
        raise PluginError(
            f"report formats that could not render: {'; '.join(failures)}",
            hint="The other formats are written. Update or block the plugin that brings these: bench plugins.",
        )
    return tuple(written)


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


def _markdown(report: Report) -> str:
    from harness.report.markdown import render_markdown

    return render_markdown(report)


def _html(report: Report) -> str:
    from harness.report.html import render_html

    return render_html(report)
