"""Conformance of report formats: a pure function of the report, complete, and safe to open."""

# ruff: noqa: D102 - the name of a check says what it checks

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from harness.contributions import ReportFormat
from harness.report import FILE_END
from harness.report.document import build_report
from harness.testing.content import files_in
from harness.testing.loading import load_alone
from harness.testing.plugin import PluginConformance
from harness.testing.samples import HOSTILE, sample_environment, sample_records

if TYPE_CHECKING:
    from harness.report.document import Report

PAGES = frozenset({".html", ".htm", ".xhtml", ".svg"})
"""Suffixes that a browser opens and runs scripts of."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportSubject:
    """A report format; what it renders is the kit's.

    Attributes:
        plugin: The module, or the path of the .py file, that contributes it.
    """

    plugin: str
    name: str


class ReportFormatConformance(PluginConformance):
    """Give a fixture `subject` that returns a `ReportSubject`."""

    @pytest.fixture
    def report_format(self, subject: ReportSubject) -> ReportFormat:
        """The format."""
        return load_alone(subject.plugin).report_formats.get(subject.name).contribution

    @pytest.fixture
    def report(self) -> Report:
        """A report with everything in it: measured, simulated, skipped and failed cells of two models."""
        return build_report(sample_records(), sample_environment())

    @pytest.fixture
    def hostile(self) -> Report:
        """The same with markup for a name."""
        return build_report(sample_records(model=HOSTILE), sample_environment())

    def test_its_suffix_is_one(self, report_format: ReportFormat) -> None:
        fits = re.fullmatch(r"(\.[a-z0-9]+)+", report_format.suffix)
        assert fits, f"the suffix {report_format.suffix!r} is not like .md: a dot, small letters and figures"

    def test_it_renders_text_with_names_that_can_be_saved(self, report_format: ReportFormat, report: Report) -> None:
        found = report_format.render(report)
        assert isinstance(found, str | Mapping), f"render returned {type(found).__name__}, neither str nor a mapping"
        files = _files(report_format, report)
        assert report_format.suffix in files, f"render gives {', '.join(files)} and not {report_format.suffix}"
        for end, text in files.items():
            assert FILE_END.fullmatch(end), f"a file cannot be called report{end}"
            assert isinstance(text, str), f"report{end} is {type(text).__name__}, not text"
            assert text.strip(), f"report{end} is empty"

    def test_the_same_report_gives_the_same_text(self, report_format: ReportFormat, report: Report) -> None:
        same = report_format.render(report) == report_format.render(report)
        assert same, "the same report gives another text the second time"

    def test_it_does_not_depend_on_where_and_when(
        self, report_format: ReportFormat, report: Report, place: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        first = report_format.render(report)
        monkeypatch.chdir(place)
        monkeypatch.setenv("COLUMNS", "40")
        monkeypatch.setenv("TZ", "Pacific/Chatham")
        assert first == report_format.render(report), "the text follows the folder, the terminal or the time zone"

    def test_rendering_changes_nothing(self, report_format: ReportFormat, report: Report) -> None:
        before = asdict(report)
        report_format.render(report)
        assert asdict(report) == before, "render changes the report"

    def test_rendering_writes_and_prints_nothing(
        self,
        report_format: ReportFormat,
        report: Report,
        place: Path,
        monkeypatch: pytest.MonkeyPatch,
        capfd: pytest.CaptureFixture[str],
    ) -> None:
        monkeypatch.chdir(place)
        report_format.render(report)
        said = capfd.readouterr()
        assert not files_in(place), f"render writes {', '.join(files_in(place))}"
        assert not said.out + said.err, f"render prints {(said.out + said.err)[:200]!r}"

    def test_every_variant_is_named(self, report_format: ReportFormat, report: Report) -> None:
        text = _text(report_format, report)
        for section in report.sections:
            assert section.model in text, f"the model {section.model} is missing"
            for row in section.rows:
                for name in (row.recipe, row.backend):
                    assert name in text, f"{name} of {section.model} is missing"

    def test_what_is_missing_is_named(self, report_format: ReportFormat, report: Report) -> None:
        text = _text(report_format, report)
        for record in sample_records():
            if record.failure is not None:
                assert record.recipe in text, f"{record.recipe} was {record.outcome}, and nothing says so"

    def test_a_report_without_records_is_rendered(self, report_format: ReportFormat) -> None:
        assert _files(report_format, build_report((), {}))

    def test_a_report_in_which_all_failed_is_rendered(self, report_format: ReportFormat) -> None:
        failed = [record for record in sample_records() if record.outcome in ("failed", "skipped")]
        assert _files(report_format, build_report(failed, sample_environment()))

    def test_markup_in_a_name_is_escaped(self, report_format: ReportFormat, hostile: Report) -> None:
        for end, text in _files(report_format, hostile).items():
            opened = HOSTILE.partition(">")[0] + ">alert"
            page = Path(f"report{end}").suffix in PAGES
            assert not page or opened not in text, f"the model's name {HOSTILE!r} is markup of report{end}: escape it"

    def test_control_characters_in_a_name_are_survived_and_not_passed_on(self, subject: ReportSubject) -> None:
        command = [sys.executable, "-m", "harness.testing.render", subject.plugin, subject.name]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, (
            f"rendering names with control characters ended the process with {done.returncode}: {done.stderr[:400]}"
        )
        passed_on = [end for end, text in json.loads(done.stdout.splitlines()[-1]).items() if "\x1b" in text]
        assert not passed_on, (
            f"an escape sequence of a name is in report{', report'.join(passed_on)}: it reaches whoever prints the file"
        )

    def test_it_can_be_saved(self, report_format: ReportFormat, hostile: Report) -> None:
        _text(report_format, hostile).encode("utf-8")


def _files(report_format: ReportFormat, report: Report) -> Mapping[str, str]:
    """Texts by the end of the file's name."""
    found = report_format.render(report)
    return {report_format.suffix: found} if isinstance(found, str) else found


def _text(report_format: ReportFormat, report: Report) -> str:
    return "\n".join(_files(report_format, report).values())
