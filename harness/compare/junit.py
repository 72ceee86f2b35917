"""A check as JUnit XML: one test case for each metric of each cell, as build servers show it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.compare import words
from harness.errors import UsageError
from harness.report.terminal_table import plain

if TYPE_CHECKING:
    from junitparser import TestCase

    from harness.compare.check import Check, Finding


def render_junit(found: Check, *, strict: bool) -> str:
    """Render as JUnit XML: a regression is a failure; what is inconclusive is skipped, or a failure when strict.

    Raises:
        UsageError: The library that writes it is missing.
    """
    try:
        from junitparser import JUnitXml, TestSuite
    except ImportError:
        hint = "Install it with: pip install 'edge-bench[report]'"
        raise UsageError("junitparser is not installed, which writes JUnit XML.", hint=hint) from None
    suite = TestSuite("bench check")
    for finding in found.findings:
        suite.add_testcase(_case(finding, strict=strict))
    document = JUnitXml("bench check")
    document.add_testsuite(suite)
    text: bytes = document.tostring()  # type: ignore[no-untyped-call]
    return text.decode("utf-8")


def _case(finding: Finding, *, strict: bool) -> TestCase:
    from junitparser import Failure, Skipped, TestCase

    case = TestCase(plain(f"{finding.recipe}: {finding.metric}"), plain(f"{finding.model} × {finding.backend}"))
    message = plain(finding.reason)
    if finding.status == "regression" or (finding.status == "inconclusive" and strict):
        case.result = [Failure(message, finding.status)]
    elif finding.status == "inconclusive":
        case.result = [Skipped(message)]
    if finding.change:
        case.system_out = plain(words.sentence(finding.change))
    return case
