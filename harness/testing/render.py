"""Renders the hostile sample in a process of its own: `python -m harness.testing.render PLUGIN NAME`.

A library that draws may end the whole process over a character that it does not expect, where no check could catch it.
Prints the rendered files as one line of JSON.
"""

from __future__ import annotations

import json
import sys

from harness.report.document import build_report
from harness.testing.loading import load_alone
from harness.testing.samples import TERMINAL, sample_environment, sample_records


def main(plugin: str, name: str) -> int:
    """Render a report in which a recipe and a model have control characters in their names."""
    report_format = load_alone(plugin).report_formats.get(name).contribution
    report = build_report(sample_records(model=f"net {TERMINAL}", recipe=TERMINAL), sample_environment())
    found = report_format.render(report)
    files = {report_format.suffix: found} if isinstance(found, str) else dict(found)
    sys.stdout.write(json.dumps(files))
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
