"""Sources of plugins of one defect each, for what holds for every plugin."""

from __future__ import annotations

METER = """
from dataclasses import dataclass, replace

import harness
from harness.testing import fakes

HARNESS_API = 1
(GOOD,) = fakes.harness_meters()


@harness.hookimpl
def harness_meters():
    yield replace(GOOD, {changes})
"""

BACKEND = """
import time
from dataclasses import replace

import harness
from harness.testing import fakes

HARNESS_API = 1
(GOOD,) = fakes.harness_backends()


def available():
    {answer}


@harness.hookimpl
def harness_backends():
    yield replace(GOOD, available=available)
"""

TECHNIQUE = """
from dataclasses import dataclass

import harness

HARNESS_API = 1


{options}


@harness.hookimpl
def harness_techniques():
    yield harness.Technique(name="planted", summary="does nothing", stage="artifact", options=Options)
"""

SOURCES = {
    "good": METER.format(changes=""),
    "raises": METER.format(changes="") + "    raise ValueError('no meter today')\n",
    "odd-name": METER.format(changes="name='Fake Watts'"),
    "unknown-hook": METER.format(changes="").replace("def harness_meters", "def harness_metres"),
    "gives-nothing": "HARNESS_API = 1\n",
    "no-api": METER.format(changes="").replace("HARNESS_API = 1", ""),
    "heavy": METER.format(changes="").replace("import harness\n", "import harness\nimport numpy\n"),
    "twice": METER.format(changes="") + "    yield GOOD\n",
    "two-converters": """
import harness
from harness.testing import fakes

HARNESS_API = 1


@harness.hookimpl
def harness_converters():
    yield from [*fakes.harness_converters(), *fakes.harness_converters()]
""",
    "long-summary": METER.format(changes="summary='one\\ntwo'"),
    "endless-summary": METER.format(changes="summary='word ' * 100"),
    "no-summary": METER.format(changes="summary=''"),
    "heavy-available": BACKEND.format(answer="import numpy\n    return harness.AVAILABLE"),
    "raising-available": BACKEND.format(answer="raise OSError('no driver')"),
    "word-available": BACKEND.format(answer="return 'yes'"),
    "slow-available": BACKEND.format(answer="time.sleep(0.8)\n    return harness.AVAILABLE"),
    "without-reason": BACKEND.format(answer="return harness.Availability(ok=False, install='pip install x')"),
    "long-reason": BACKEND.format(answer="return harness.Availability(ok=False, reason='a\\nb', install='pip')"),
    "without-install": BACKEND.format(answer="return harness.Availability(ok=False, reason='not installed')"),
    "loose-options": TECHNIQUE.format(
        options='@dataclass\nclass Options:\n    """Options.\n\n    Attributes:\n        a: What.\n    """\n\n'
        "    a: int = 1\n"
    ),
    "silent-options": TECHNIQUE.format(options="@dataclass(frozen=True)\nclass Options:\n    a: int = 1\n"),
}
