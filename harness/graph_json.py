"""OpGraph to and from JSON, the form in which a graph waits beside its variant."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from harness.graph import OpGraph

if TYPE_CHECKING:
    from pathlib import Path


@cache
def _adapter() -> Any:
    from pydantic import TypeAdapter

    return TypeAdapter(OpGraph)


def read_graph(path: Path) -> OpGraph:
    """Read `graph.json`."""
    graph: OpGraph = _adapter().validate_json(path.read_bytes())
    return graph
