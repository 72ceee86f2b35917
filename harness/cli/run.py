"""`bench run`."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from harness.cli.listing import print_json, print_table
from harness.cli.options import block_option, plugin_option

if TYPE_CHECKING:
    from harness.plan import Plan
    from harness.record import Record


@click.command()
@click.option("--model", "models", multiple=True, metavar="REF",
              help="zoo:NAME, a .onnx file, or package.module:factory. Repeatable.")  # fmt: skip
@click.option("--data", default=None, metavar="PATH",
              help="Pictures (a sub-folder per class) or an .npz with x and y.")  # fmt: skip
@click.option("--recipe", "recipes", multiple=True, metavar="RECIPE",
              help="Such as 'prune-magnitude(amount=0.5)+int8-static'. Repeatable.")  # fmt: skip
@click.option("--backend", "backends", multiple=True, metavar="NAME", help="Runtime to run in. Repeatable.")
@click.option("--profile", "profiles", multiple=True, metavar="NAME",
              help="Device to estimate for: a name or a TOML file. Repeatable.")  # fmt: skip
@click.option("--threads", type=int, default=None, help="Threads of every runtime; all processors when left out.")
@click.option("--seed", type=int, default=None, help="Seed of training and of the order of measuring.")
@click.option("--budget-s", type=float, default=None, help="Wall time for measuring, in seconds.")
@click.option("--processes", type=int, default=None, help="Fresh processes for each cell, at least (3).")
@click.option("--precision", type=float, default=None, help="Half-width of the interval that is enough (0.03).")
@click.option(
    "--timeout", "timeout_s", type=float, default=None, help="Longest time of one step in a child process, s."
)
@click.option(
    "--memory-limit", "memory_limit_mb", type=int, default=None, help="Largest memory of a child process, MB."
)
@click.option("--plan", "plan_file", type=click.Path(path_type=Path), help="A TOML file; options given here win.")
@click.option("--out", type=click.Path(path_type=Path), help="Run folder; runs/<time>-<profile> when left out.")
@click.option("--resume", "resumed", type=click.Path(path_type=Path), help="Continue the run in this folder.")
@click.option("--dry-run", is_flag=True, help="Show what would be done, and do nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print the records as JSON.")
@plugin_option
@block_option
@click.pass_context
def run(ctx: click.Context, /, **given: Any) -> None:
    """Build, score, measure and estimate every variant, and write a report.

    Without options: the default models of the plugins, their default recipes, every backend that is
    available, and this machine as the device.
    """
    from harness.cli.progress import open_progress
    from harness.run_folder import read_environment
    from harness.runner import default_folder, resume
    from harness.runner import run as run_plan

    if given["resumed"]:
        folder = given["resumed"]
        _refuse_with_resume(ctx)
        with open_progress() as progress:
            records = resume(folder, progress=progress)
    else:
        plan, host = _plan(given)
        if given["dry_run"]:
            _show_plan(plan, host, as_json=given["as_json"])
            return
        folder = given["out"] or default_folder(plan)
        click.echo(f"Run folder: {folder}", err=True)
        try:
            with open_progress() as progress:
                records = run_plan(plan, host=host, out=folder, progress=progress)
        except KeyboardInterrupt:
            click.echo(f"Interrupted. Finished rows are kept; continue with: bench run --resume {folder}", err=True)
            ctx.exit(1)
    _finish(folder, records, read_environment(folder), as_json=given["as_json"])
    if any(r.outcome == "failed" for r in records):
        ctx.exit(1)


def _plan(given: dict[str, Any]) -> tuple[Plan, Any]:
    """The plan file overridden by the options, and the plugins it needs."""
    from dataclasses import fields

    from harness.host import load_host
    from harness.plan import Plan, complete, read_plan

    plan = read_plan(given["plan_file"]) if given["plan_file"] else Plan()
    given = {**given, "plugins": given["sources"]}
    names = {f.name for f in fields(Plan)}
    plan = replace(plan, **{k: v for k, v in given.items() if k in names and v not in (None, ())})
    host = load_host(sources=plan.plugins, block=plan.block)
    return complete(plan, host), host


def _refuse_with_resume(ctx: click.Context) -> None:
    """A run is continued as it was planned."""
    allowed = {"resumed", "as_json"}
    for name in ctx.params:
        if name not in allowed and ctx.get_parameter_source(name) is click.core.ParameterSource.COMMANDLINE:
            option = next(p.opts[0] for p in ctx.command.params if p.name == name)
            raise click.UsageError(f"{option} does not go with --resume: a run is continued as it was planned.", ctx)


def _show_plan(plan: Plan, host: Any, *, as_json: bool) -> None:
    from harness.plan import expand
    from harness.route import NoRoute

    rows = []
    for cell in expand(plan, host):
        route = cell.route
        way = str(route.detail) if isinstance(route, NoRoute) else " → ".join(s.label for s in route)
        rows.append({"model": cell.model, "recipe": str(cell.recipe), "backend": cell.backend_text, "steps": way})
    if as_json:
        print_json({"plan": asdict(plan), "cells": rows})
        return
    print_table(rows)
    click.echo(f"\n{len(rows)} cells × {len(plan.profiles)} profile(s): {', '.join(plan.profiles)}; "
               f"{plan.threads} threads, seed {plan.seed}, {plan.budget_s:g} s for measuring.")  # fmt: skip


def _finish(folder: Path, records: tuple[Record, ...], environment: Any, *, as_json: bool) -> None:
    from harness.cli.outcome import show
    from harness.report import write_report

    if as_json:
        write_report(folder, records, environment)
        click.echo(json.dumps([asdict(r) for r in records], default=str))
        return
    show(folder, records, environment)
