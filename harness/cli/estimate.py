"""`bench estimate`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from harness.cli.completion import complete_profile
from harness.cli.listing import print_json
from harness.cli.options import block_option, json_option, load_plugins, plugin_option

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from harness.estimate.statement import Answer

PRECISIONS = ("fp32", "fp16", "int8")
ROWS = 12


@click.command()
@click.argument("files", nargs=-1, required=True, metavar="FILE...", type=click.Path(path_type=Path))
@click.option("--profile", required=True, metavar="NAME", shell_complete=complete_profile,
              help="Device to estimate for: a name (bench profiles), a TOML file, or host, this machine.")  # fmt: skip
@click.option("--kernels", default=None, metavar="NAME",
              help="Kernel library of the runtime on the device, or an accelerator that the device has (bench profiles"
              " show NAME).  [default: that of the one runtime for such files, else the first calibrated, else that"
              " of an installed runtime]")  # fmt: skip
@click.option("--precision", default=None, type=click.Choice(PRECISIONS),
              help="What to compute in.  [default: as the file is]")  # fmt: skip
@click.option("--threads", type=int, default=None, metavar="N",
              help="Threads on the device.  [default: one for each of its fast cores, or 1 where that is"
              " faster]")  # fmt: skip
@click.option("--battery-wh", type=click.FloatRange(min=0, min_open=True), default=None, metavar="WH",
              help="Battery that feeds the device: say how long it lasts. Needs --per-hour.")  # fmt: skip
@click.option("--per-hour", type=click.FloatRange(min=0), default=None, metavar="N",
              help="Inferences an hour, for --battery-wh.")  # fmt: skip
@click.option("--rows", type=click.IntRange(min=0), default=ROWS, show_default=True, metavar="N",
              help="Kernels to list, the dearest first; 0 for all.")  # fmt: skip
@json_option
@plugin_option
@block_option
@click.pass_context
def estimate(ctx: click.Context, /, **given: Any) -> None:
    """Estimate latency, memory and energy of FILE on a device, from its graph alone.

    FILE is a network in a format that a graph reader knows (bench plugins), or a workload: a table of layers
    in JSON. Nothing is run. Several files are answered one after the other. Exits with 1 when an accelerator
    would refuse a file.
    """
    from harness.estimate.statement import Refusal, documents

    answers = _answers(given)
    if given["as_json"]:
        print_json(documents(answers))
    else:
        _print(answers, given["rows"])
    refused = [found.question.file for found in answers if isinstance(found, Refusal)]
    if refused:
        kernels = answers[0].question.kernels
        click.echo(f"Error: the {kernels} would refuse {', '.join(refused)}; nothing was estimated for it.", err=True)
        ctx.exit(1)


def _answers(given: Mapping[str, Any]) -> list[Answer]:
    """Every file is read before anything is printed, so that a bad one leaves no half output."""
    from harness.enquiry import Enquiry, answer, check_threads
    from harness.errors import UsageError
    from harness.estimate.derived import Battery
    from harness.kernel_choice import choose_kernels
    from harness.profile_file import builtin_folder, load_profiles, resolve_profile

    if (given["battery_wh"] is None) != (given["per_hour"] is None):
        raise UsageError("--battery-wh and --per-hour belong together.", hint="Give both, or neither.")
    battery = Battery(capacity_wh=given["battery_wh"], inferences_per_hour=given["per_hour"])
    host = load_plugins(given["sources"], given["block"])
    known = load_profiles([builtin_folder(), *host.profile_folders])
    profile = resolve_profile(given["profile"], known)
    check_threads(given["threads"], profile)
    suffixes = {path.suffix.lower() for path in given["files"]}
    enquiry = Enquiry(
        profile=profile,
        kernels=choose_kernels(given["kernels"], profile, host, suffixes.pop() if len(suffixes) == 1 else ""),
        precision=given["precision"],
        threads=given["threads"],
        battery=battery if given["battery_wh"] else None,
    )
    return [answer(path, enquiry, host) for path in given["files"]]


def _print(answers: Sequence[Answer], rows: int) -> None:
    from harness.cli.estimate_view import print_answer, print_comparisons
    from harness.estimate.statement import comparisons

    for at, found in enumerate(answers):
        if at:
            click.echo()
        print_answer(found, rows)
    print_comparisons(comparisons(answers))
