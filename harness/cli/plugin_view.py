"""A plugin in full, a block of lines for a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from harness.cli.listing import print_text
from harness.cli.terminal import printable

if TYPE_CHECKING:
    from collections.abc import Mapping


def print_plugin(facts: Mapping[str, Any], *, summaries: bool) -> None:
    """Print what `plugin_facts` tells; with summaries each contribution has a paragraph of its own."""
    from harness import API_VERSION

    print_text(f"{facts['plugin']}: {facts['status']}")
    stated = (
        f"plugin API {facts['api']}" if facts["api"] is not None else f"no plugin API stated, taken for {API_VERSION}"
    )
    loaded = f", {stated}, imported in {facts['import_ms']} ms" if facts["status"] != "blocked" else ""
    print_text(f"{facts['distribution']}{loaded}", indent="  ", hang="  ")
    _print_whole("from ", facts["path"] or facts["target"])
    parts = facts["contributions"]
    if summaries:
        for part in parts:
            summary = f": {part['summary']}" if part["summary"] else ""
            print_text(f"{part['kind']} {part['name']}{summary}", indent="  ", hang="  ")
            _print_missing(part)
    else:
        for line in facts["contributes"]:
            print_text(line, indent="  ", hang="  ")
        for part in parts:
            if not part["available"]:
                print_text(f"not here: {part['kind']} {part['name']}", indent="  ")
                _print_missing(part)
    for failure in facts["failures"]:
        print_text(f"broken at {failure['stage']}: {failure['error']}", indent="  ", hang="  ")
        if failure["place"]:
            _print_whole("in ", failure["place"], indent="    ")
        click.echo(f"\n{facts['plugin']}, {failure['stage']}:\n{printable(failure['trace'])}", err=True)


def _print_missing(part: Mapping[str, Any]) -> None:
    if not part["available"]:
        print_text(part["reason"], indent="    ")
        _print_whole("", part["install"], indent="    ")


def _print_whole(words: str, text: str, indent: str = "  ") -> None:
    """A path or a command on one line, however long, so that it can be copied."""
    if text:
        click.echo(f"{indent}{words}{printable(text)}")
