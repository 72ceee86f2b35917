"""Which operators of a file a delegate takes, and which are left to ExecuTorch's portable kernels."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bench_executorch.kinds import MOVES
from bench_executorch.macs import macs_of
from bench_executorch.network import network_of
from bench_executorch.program_file import XNNPACK_ID, blaming, load

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Delegation:
    """What became of a file's operators.

    Attributes:
        method: The method that was looked into.
        operators: How many there are.
        taken: How many a delegate has; one that cannot be looked into counts as one.
        macs, taken_macs: Multiply-accumulates of all and of those.
        left: Names of the others with their numbers.
        computing: Those of them that do more than move data or change its type.
        delegates: Names of the delegates.
    """

    method: str
    operators: int
    taken: int
    macs: int
    taken_macs: int
    left: Mapping[str, int]
    computing: Mapping[str, int]
    delegates: tuple[str, ...]

    def __str__(self) -> str:
        line = f"{' and '.join(self.delegates) or 'no delegate'} takes {self.taken} of {self.operators} operators"
        if self.macs:
            line += f", {100 * self.taken_macs / self.macs:.3g} % of the multiply-accumulates"
        return f"{line}; left to portable kernels: {listed(self.left)}" if self.left else line


def delegation(path: Path) -> Delegation:
    """Look into a file.

    Raises:
        ArtifactError: It cannot be read.
    """
    program = load(path)
    with blaming(path):
        network = network_of(program)
        own = [node for node in network.nodes if node.delegate < 0]
        whole = sum(macs_of(node, network) for node in network.nodes)
        ids = dict.fromkeys(str(each["id"]) for each in program.plan["delegates"])
        return Delegation(
            method=program.method,
            operators=len(network.nodes),
            taken=len(network.nodes) - len(own),
            macs=whole,
            taken_macs=whole - sum(macs_of(node, network) for node in own),
            left=Counter(_bare(node.source) for node in own),
            computing=Counter(_bare(node.source) for node in own if node.kind not in MOVES),
            delegates=tuple("XNNPACK" if each == XNNPACK_ID else each for each in ids),
        )


def listed(counts: Mapping[str, int]) -> str:
    """Names with their numbers."""
    return ", ".join(f"{count} {name}" for name, count in sorted(counts.items()))


def _bare(source: str) -> str:
    """An operator's name without namespace and overload."""
    return source.rpartition("::")[2].partition(".")[0]
