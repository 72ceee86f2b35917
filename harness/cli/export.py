"""`bench export`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from harness.cli.completion import complete_run

if TYPE_CHECKING:
    from harness.export.stored_run import StoredCell

SUFFIXES = {".parquet": "parquet", ".json": "pyperf"}


@click.command()
@click.argument("runs", type=click.Path(path_type=Path, file_okay=False), nargs=-1, required=True, metavar="RUN...",
                shell_complete=complete_run)  # fmt: skip
@click.option("--format", "name", type=click.Choice(["csv", "parquet", "pyperf"]), default=None,
              help="How to write.  [default: what the name of the file says, else csv]")  # fmt: skip
@click.option("--samples", is_flag=True, help="One line for each sample instead of one for each record.")
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE",
              help="File to write.  [default: standard output]")  # fmt: skip
def export(*, runs: tuple[Path, ...], name: str | None, samples: bool, out: Path | None) -> None:
    """Write the records of the folders RUN... for other programs.

    csv and parquet hold one line for each record, or with --samples for each sample; pyperf is a file for
    python -m pyperf compare_to, stats, hist and check.
    """
    from harness.errors import UsageError
    from harness.export.stored_run import cells, read_run

    name = name or SUFFIXES.get(out.suffix.lower() if out else "", "csv")
    if name == "pyperf" and samples:
        raise UsageError("--samples does not go with pyperf.", hint="Its files hold every sample: leave it out.")
    if name == "pyperf" and len(runs) > 1:
        hint = "Write a file for each, and compare them: python -m pyperf compare_to a.json b.json"
        raise UsageError(f"a file for pyperf holds one run, {len(runs)} are given.", hint=hint)
    if name == "parquet" and out is None:
        raise UsageError("Parquet is not for a terminal.", hint="Name a file: --out records.parquet")
    found = tuple(cell for run in runs for cell in cells(read_run(run)))
    if out is None:
        _print(found, name, samples=samples)
        return
    _save(found, name, out, samples=samples)
    click.echo(f"Written: {out}", err=True)


def _print(found: tuple[StoredCell, ...], name: str, *, samples: bool) -> None:
    """Write to standard output as UTF-8, whatever the terminal's encoding is."""
    import tempfile

    with tempfile.TemporaryDirectory(prefix="bench-") as scratch:
        path = Path(scratch) / "export"
        _write(found, name, path, samples=samples)
        click.echo(path.read_bytes(), nl=False)


def _save(found: tuple[StoredCell, ...], name: str, out: Path, *, samples: bool) -> None:
    """Write beside the file, then put it in its place at once."""
    import tempfile

    from harness.errors import UsageError

    try:
        with tempfile.TemporaryDirectory(prefix=".bench-", dir=out.parent) as scratch:
            path = Path(scratch) / out.name
            _write(found, name, path, samples=samples)
            path.replace(out)
    except OSError as error:
        hint = "Choose a file that can be written, with --out."
        raise UsageError(f"{out} cannot be written: {error.strerror}.", hint=hint) from None


def _write(found: tuple[StoredCell, ...], name: str, path: Path, *, samples: bool) -> None:
    from harness.export.flat import COLUMNS, flat_rows
    from harness.export.pyperf import write_pyperf
    from harness.export.samples import SAMPLE_COLUMNS, sample_rows
    from harness.export.table_file import as_csv, write_parquet

    if name == "pyperf":
        write_pyperf(found, path)
        return
    columns, rows = (SAMPLE_COLUMNS, sample_rows(found)) if samples else (COLUMNS, flat_rows(found))
    if name == "parquet":
        write_parquet(columns, rows, path)
    else:
        path.write_text(as_csv(columns, rows), encoding="utf-8", newline="")
