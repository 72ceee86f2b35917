"""`bench run`."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from harness.cli.completion import complete_backend, complete_model, complete_profile, complete_recipe, complete_run
from harness.cli.listing import print_json, print_table, print_text
from harness.cli.options import before_the_command, block_option, load_plugins, plugin_option, tell_when_done, warn

if TYPE_CHECKING:
    from harness.host import Host
    from harness.plan import Plan
    from harness.record import Record


@click.command()
@click.option("--model", "models", multiple=True, metavar="REF", shell_complete=complete_model,
              help="Model to optimise: zoo:NAME, a .onnx file or one of another runtime, or"
              " package.module:factory (bench models). Repeatable.")  # fmt: skip
@click.option("--data", default=None, metavar="PATH",
              help="Data of your own: a folder of pictures with a sub-folder for each class, or an .npz file with x"
              " and, where labels are known, y.")  # fmt: skip
@click.option("--recipe", "recipes", multiple=True, metavar="RECIPE", shell_complete=complete_recipe,
              help="Such as 'prune-magnitude(amount=0.5)+int8-static': techniques in their order (bench techniques)."
              " Repeatable.")  # fmt: skip
@click.option("--backend", "backends", multiple=True, metavar="NAME", shell_complete=complete_backend,
              help="Runtime to run in, its options in brackets: 'NAME(option=value)' (bench plugins)."
              " Repeatable.")  # fmt: skip
@click.option("--profile", "profiles", multiple=True, metavar="NAME", shell_complete=complete_profile,
              help="Device to estimate for: a name (bench profiles), a TOML file, or host, this machine."
              " Repeatable.")  # fmt: skip
@click.option("--threads", type=int, default=None, metavar="N",
              help="Threads of every runtime.  [default: one for each processor]")  # fmt: skip
@click.option("--seed", type=int, default=None, metavar="N",
              help="Seeds training, calibration and the order of measuring.  [default: 0]")  # fmt: skip
@click.option("--budget-s", type=float, default=None, metavar="SECONDS",
              help="Time for measuring, shared by the models; more narrows the intervals.  [default: 30]")  # fmt: skip
@click.option("--processes", type=int, default=None, metavar="N",
              help="Fresh processes in which each variant is timed, at least.  [default: 3]")  # fmt: skip
@click.option("--precision", type=float, default=None, metavar="SHARE",
              help="Stop measuring when the 95 % interval reaches no further than this share of the latency to either"
              " side.  [default: 0.03]")  # fmt: skip
@click.option("--max-accuracy-drop", type=float, default=None, metavar="POINTS",
              help="Most that a technique may lose of the model's accuracy on the validation rows: it is fine-tuned"
              " and tried with weaker options until that holds.")  # fmt: skip
@click.option("--goal-tries", type=int, default=None, metavar="N",
              help="How many options a technique is tried with for that at most.  [default: 5]")  # fmt: skip
@click.option("--robustness", is_flag=True, default=None,
              help="Score quality on corrupted inputs too: noise, blur, contrast and shift of pictures; jitter,"
              " scaling and a lost channel of sensors.")  # fmt: skip
@click.option("--timeout", "timeout_s", type=float, default=None, metavar="SECONDS",
              help="Longest time that one step in a child process may take.  [default: 600]")  # fmt: skip
@click.option("--memory-limit", "memory_limit_mb", type=int, default=None, metavar="MB",
              help="Most memory that a child process may take.  [default: nine tenths of what is free]")  # fmt: skip
@click.option("--plan", "plan_file", type=click.Path(path_type=Path), metavar="FILE",
              help="Plan in TOML, such as plan.toml of a run folder; options given here win.")  # fmt: skip
@click.option("--out", type=click.Path(path_type=Path), metavar="FOLDER",
              help="Folder for the results.  [default: runs/<time>-<profile>]")  # fmt: skip
@click.option("--resume", "resumed", type=click.Path(path_type=Path), metavar="FOLDER", shell_complete=complete_run,
              help="Continue the run in this folder; finished rows are kept.")  # fmt: skip
@click.option("--dry-run", is_flag=True, help="Show what would be done, and do nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print the records as JSON instead of the tables.")
@click.option("--quiet", "-q", is_flag=True, help="Print no progress.")
@plugin_option
@block_option
@click.pass_context
def run(ctx: click.Context, /, **given: Any) -> None:
    """Measure and estimate every variant, and write a report.

    A variant is what a recipe makes of a model. Each is built, run on real data in each backend, timed on
    this machine, and estimated on each profile. Without options: the models, recipes and backends that the
    plugins bring, and this machine as the device. Exits with 1 when rows failed.
    """
    from functools import partial

    from harness.cli.progress import open_progress
    from harness.runner import default_folder, planned, planned_host, resume
    from harness.runner import run as run_plan

    if given["resumed"]:
        folder = given["resumed"]
        _refuse_with_resume(ctx)
        host = planned_host(planned(folder), folder)
        tell_when_done(host)
        work = partial(resume, folder, host=host)
    else:
        plan, host = _plan(given)
        if given["dry_run"]:
            _show_plan(plan, host, as_json=given["as_json"])
            return
        folder = given["out"] or default_folder(plan)
        work = partial(run_plan, plan, host=host, out=folder)
    try:
        with open_progress(quiet=given["quiet"]) as progress:
            records = work(progress=progress)
    except KeyboardInterrupt:
        kept = f" Finished rows are kept; continue with: bench run --resume {folder}" if folder.exists() else ""
        click.echo(f"Interrupted.{kept}", err=True)
        ctx.exit(1)
    _finish(folder, records, host, as_json=given["as_json"])
    if any(r.outcome == "failed" for r in records):
        ctx.exit(1)


def _plan(given: dict[str, Any]) -> tuple[Plan, Host]:
    """The plan file overridden by the options, and the plugins it needs."""
    from dataclasses import fields

    from harness.plan import Plan, complete, read_plan

    plan = read_plan(given["plan_file"]) if given["plan_file"] else Plan()
    given = {**given, "plugins": given["sources"]}
    names = {f.name for f in fields(Plan)}
    plan = replace(plan, **{k: v for k, v in given.items() if k in names and v not in (None, ())})
    host = load_plugins(plan.plugins, plan.block)
    return complete(plan, host), host


def _refuse_with_resume(ctx: click.Context) -> None:
    """A run is continued as it was planned."""
    allowed = {"resumed", "as_json", "quiet"}
    for name in ctx.params:
        given = ctx.get_parameter_source(name) is click.core.ParameterSource.COMMANDLINE
        if name not in allowed and (given or before_the_command(ctx, name)):
            option = next(p.opts[0] for p in ctx.command.params if p.name == name)
            raise click.UsageError(f"{option} does not go with --resume: a run is continued as it was planned.", ctx)


def _show_plan(plan: Plan, host: Host, *, as_json: bool) -> None:
    from harness.route import NoRoute
    from harness.runner import prepare

    rows = []
    for cell in prepare(plan, host).cells:
        route = cell.route
        way = str(route.detail) if isinstance(route, NoRoute) else " → ".join(s.label for s in route)
        rows.append({"model": cell.model, "recipe": str(cell.recipe), "backend": cell.backend_text, "steps": way})
    if as_json:
        print_json({"plan": asdict(plan), "cells": rows})
        return
    print_table(rows)
    click.echo()
    print_text(
        f"{len(rows)} cells × {len(plan.profiles)} profile(s): {', '.join(plan.profiles)}; "
        f"{plan.threads} threads, seed {plan.seed}, {plan.budget_s:g} s for measuring."
    )


def _finish(folder: Path, records: tuple[Record, ...], host: Host, *, as_json: bool) -> None:
    from harness.cli.outcome import show
    from harness.cli.report_files import write_files
    from harness.report.goals import planned_goals
    from harness.run_folder import read_environment

    environment = read_environment(folder)
    if as_json:
        write_files(folder, records, environment, planned_goals(folder), host.report_formats, warn)
        click.echo(json.dumps([asdict(r) for r in records], default=str))
        return
    show(folder, records, environment, formats=host.report_formats)
