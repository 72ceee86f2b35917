"""Rows: turns cells into records, writes each once, and knows which are there already."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from harness.digest import installed_version
from harness.plan import Cell, Plan, cell_id
from harness.record import SCHEMA, Failure, Record, SkipReason, Variant

if TYPE_CHECKING:
    from harness.build.builder import Built
    from harness.graph import OpGraph
    from harness.profile import DeviceProfile
    from harness.run_folder import RecordLog


@dataclass(slots=True)
class Rows:
    """The records of one run, finished ones included."""

    plan: Plan
    run: str
    log: RecordLog
    finished: dict[str, Record] = field(default_factory=dict)

    def identity(self, cell: Cell, profile: DeviceProfile) -> str:
        """Identity of a row."""
        return cell_id(cell, profile.name, self.plan)

    def has(self, cell: Cell, profile: DeviceProfile) -> bool:
        """Whether a row is finished."""
        return self.identity(cell, profile) in self.finished

    def write(self, record: Record) -> None:
        """Append a row to the run folder, unless it is there already."""
        if record.cell not in self.finished:
            self.log.append(record)
            self.finished[record.cell] = record

    def blank(self, cell: Cell, profile: DeviceProfile) -> Record:
        """A row with nothing but its identity."""
        requires = cell.backend.contribution.requires
        return Record(
            schema=SCHEMA,
            run=self.run,
            cell=self.identity(cell, profile),
            model=cell.model,
            recipe=str(cell.recipe),
            backend=cell.backend_text,
            backend_options=cell.options,
            profile=profile.name,
            outcome="failed",
            versions={name: v for name in requires if (v := installed_version(name))},
        )

    def missing(
        self, cell: Cell, failure: Failure, profiles: Iterable[DeviceProfile], variant: Variant | None = None
    ) -> None:
        """Write the same missing row for profiles; a failure with a reason of the closed list is a skip."""
        for profile in profiles:
            row = replace(self.blank(cell, profile), variant=variant, failure=failure)
            self.write(replace(row, outcome="skipped" if failure.reason else "failed"))


def skip(cell: Cell, reason: SkipReason, detail: str, hint: str) -> Failure:
    """Why a cell is skipped."""
    return Failure(
        stage="plan", plugin=cell.backend.provider, error=f"{reason}: {detail}", hint=hint, reason=reason.name
    )


def describe_variant(built: Built, graph: OpGraph | None) -> Variant:
    """What a record says of a built file."""
    zeros = [t for t in graph.tensors.values() if t.constant and t.zeros is not None] if graph else []
    nonzero = round(graph.parameters - sum((t.zeros or 0.0) * t.elements for t in zeros)) if graph and zeros else None
    return Variant(
        format=built.format,
        sha256=built.sha256,
        size_bytes=built.size_bytes,
        download_bytes=built.download_bytes,
        parameters=graph.parameters if graph else 0,
        nonzero_parameters=nonzero,
        macs=graph.macs if graph else 0,
        int8_macs_share=graph.int8_macs_share if graph else 0.0,
        cached=built.cached,
        lineage=built.lineage,
    )
