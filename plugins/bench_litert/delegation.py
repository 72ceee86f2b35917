"""Which operators of a file XNNPACK takes, and which are left to LiteRT's own kernels."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from harness import ArtifactError, silenced_stderr

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

DELEGATE = "DELEGATE"
"""Name of the nodes that stand for the operators that a delegate took."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Delegation:
    """How many operators there are, how many XNNPACK takes, and the names of the others with their numbers."""

    operators: int
    taken: int
    left: Mapping[str, int]

    def __str__(self) -> str:
        line = f"XNNPACK takes {self.taken} of {self.operators} operators"
        left = ", ".join(f"{count} {name}" for name, count in sorted(self.left.items()))
        return f"{line}; left to LiteRT's own kernels: {left}" if left else line


def delegation(path: Path) -> Delegation:
    """Open a file as the backend does and look at what became of its operators.

    The interpreter lists the operators of the file, and after them a node for each part that a delegate took, with the
    tensors that go in and come out. What lies between these tensors is the part.

    Raises:
        ArtifactError: LiteRT cannot open the file.
    """
    from ai_edge_litert.interpreter import Interpreter  # type: ignore[import-untyped]

    with silenced_stderr():
        try:
            interpreter = Interpreter(model_path=str(path), num_threads=1)
            interpreter.allocate_tensors()
        except (ValueError, RuntimeError) as exc:
            raise ArtifactError(f"LiteRT cannot open {path.name}: {' '.join(str(exc).split())[:300]}") from exc
    nodes = interpreter._get_ops_details()  # noqa: SLF001 - has no public name
    plain = [node for node in nodes if node["op_name"] != DELEGATE]
    maker = {int(tensor): node for node in plain for tensor in node["outputs"]}
    taken: set[int] = set()
    for part in nodes:
        if part["op_name"] == DELEGATE:
            taken |= _between(part, maker)
    left = Counter(node["op_name"] for node in plain if node["index"] not in taken)
    return Delegation(operators=len(plain), taken=len(plain) - left.total(), left=dict(left))


def _between(part: Any, maker: Mapping[int, Any]) -> set[int]:
    """Indices of the operators that make a part's outputs from its inputs."""
    given = {int(tensor) for tensor in part["inputs"]}
    found: set[int] = set()
    wanted = [int(tensor) for tensor in part["outputs"]]
    while wanted:
        tensor = wanted.pop()
        if tensor in given or tensor not in maker or maker[tensor]["index"] in found:
            continue
        found.add(maker[tensor]["index"])
        wanted += [int(each) for each in maker[tensor]["inputs"]]
    return found
