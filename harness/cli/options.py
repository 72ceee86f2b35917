"""Options that several commands share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]

json_option: Decorator = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
plugin_option: Decorator = click.option(
    "--plugin", "sources", multiple=True, metavar="FILE", help="Load a plugin from a .py file or module. Repeatable."
)
block_option: Decorator = click.option(
    "--block", multiple=True, metavar="NAME", help="Do not load this plugin. Repeatable."
)
