"""Identity of torch content: hashes of tensors and exported graphs that two saves and two processes agree on."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import torch

from bench_torch.program import load_program

if TYPE_CHECKING:
    from pathlib import Path

    from torch.export import ExportedProgram


def add_tensor(digest: Any, name: str, tensor: torch.Tensor) -> None:
    """Add a tensor's name, dtype, shape and bytes to a `hashlib` digest."""
    digest.update(f"{name}|{tensor.dtype}|{tuple(tensor.shape)}|".encode())
    # A tensor of no dimension cannot be viewed as bytes, hence the reshape.
    digest.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy())


def hash_pt2(path: Path) -> str:
    """SHA-256 of graph and tensors of a saved exported program; raises ArtifactError when it cannot be read."""
    return hash_program(load_program(path))


def hash_program(program: ExportedProgram) -> str:
    """SHA-256 over nodes (by position, never by name), their arguments and every tensor.

    Symbols of free dimensions are numbered in order of appearance: torch derives their names from Python sources.
    """
    digest = hashlib.sha256()
    positions = {node: position for position, node in enumerate(program.graph.nodes)}
    symbols: dict[str, str] = {}
    for node in program.graph.nodes:
        shape = _canonical(getattr(node.meta.get("val"), "shape", ()), positions, symbols)
        arguments = _canonical((node.args, node.kwargs), positions, symbols)
        # The target of a placeholder is its name; the signature below says what it stands for.
        target = "" if node.op in {"placeholder", "output"} else str(node.target)
        digest.update(f"{node.op}|{target}|{arguments}|{shape}\n".encode())
    for spec in program.graph_signature.input_specs:
        digest.update(f"{spec.kind.name}|{spec.target}\n".encode())
    for spec in program.graph_signature.output_specs:
        digest.update(f"{spec.kind.name}|{spec.target}\n".encode())
    for name, value in sorted({**program.constants, **program.state_dict}.items()):
        if isinstance(value, torch.Tensor):
            add_tensor(digest, name, value)
    return digest.hexdigest()


def _canonical(value: Any, positions: dict[torch.fx.Node, int], symbols: dict[str, str]) -> str:
    if isinstance(value, torch.fx.Node):
        return f"%{positions[value]}"
    if isinstance(value, dict):
        pairs = sorted(value.items(), key=lambda pair: str(pair[0]))
        return "{" + ",".join(f"{key}={_canonical(item, positions, symbols)}" for key, item in pairs) + "}"
    if isinstance(value, list | tuple):
        return "[" + ",".join(_canonical(item, positions, symbols) for item in value) + "]"
    if isinstance(value, torch.SymInt):
        expression = value.node.expr
        for symbol in sorted(expression.free_symbols, key=str):
            symbols.setdefault(str(symbol), f"d{len(symbols)}")
        return str(expression.subs({s: symbols[str(s)] for s in expression.free_symbols}))
    return repr(value)
