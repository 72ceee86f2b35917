"""Canonical hash of a TorchScript file: its operators, how they are connected, and every weight.

Names of values, classes and source files, the order of records in the archive and debug tables take no part.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import torch

from bench_torch.script_file import inputs_of, load_script
from bench_torch.script_graph import reading_graph
from bench_torch.script_packed import state_of
from harness import ArtifactError

if TYPE_CHECKING:
    from _hashlib import HASH
    from pathlib import Path


def hash_script(path: Path) -> str:
    """SHA-256 of canonical content, as 64 hexadecimal digits; raises ArtifactError when the file cannot be read."""
    module = load_script(path).module
    digest = hashlib.sha256()
    try:
        shapes = [(spec.shape, spec.dtype) for spec in inputs_of(path)]
    except ArtifactError:  # a file that does not say its shapes can still be told from another
        shapes = []
    _put(digest, "inputs", *shapes)
    _graph(digest, reading_graph(module), {}, module)
    return digest.hexdigest()


def _graph(digest: HASH, graph: Any, places: dict[str, str], module: Any) -> None:
    """Hash a graph or block; a value is called after the order in which it is first met, a constant after itself."""
    for value in graph.inputs():
        places[value.debugName()] = f"%{len(places)}"
    for node in graph.nodes():
        if node.kind() == "prim::Constant":
            places[node.output().debugName()] = _constant(node.output().toIValue())
            continue
        if node.kind() == "prim::GetAttr":
            places[node.output().debugName()] = _attribute(node, places, module)
            continue
        _put(digest, node.schema() if node.schema() != "(no schema)" else node.kind())
        _put(digest, *(places[value.debugName()] for value in node.inputs()))
        for block in node.blocks():
            _put(digest, "block")
            _graph(digest, block, places, module)
        for value in node.outputs():
            places[value.debugName()] = f"%{len(places)}"
    _put(digest, "gives", *(places[value.debugName()] for value in graph.outputs()))


def _attribute(node: Any, places: dict[str, str], module: Any) -> str:
    """An attribute that freezing left in place, by its content where it is reached from the network itself."""
    owner, name = places[next(iter(node.inputs())).debugName()], node.s("name")
    value = getattr(module, name, None) if owner == "%0" else None
    return _constant(value) if isinstance(value, torch.Tensor) else f"{owner}.{name}"


def _constant(value: Any) -> str:
    digest = hashlib.sha256()
    _add(digest, value)
    return digest.hexdigest()


def _add(digest: HASH, value: Any) -> None:
    """Add a constant, whatever it is made of."""
    if isinstance(value, torch.Tensor):
        _tensor(digest, value)
    elif isinstance(value, torch.ScriptObject):
        _add(digest, state_of(value))
    elif isinstance(value, dict):
        _add(digest, sorted(value.items(), key=lambda pair: str(pair[0])))
    elif isinstance(value, list | tuple):
        _put(digest, type(value).__name__, len(value))
        for item in value:
            _add(digest, item)
    else:
        _put(digest, type(value).__name__, value)


def _tensor(digest: HASH, tensor: torch.Tensor) -> None:
    _put(digest, "tensor", tensor.dtype, tuple(tensor.shape))
    if tensor.is_quantized:
        per_channel = tensor.qscheme() in {torch.per_channel_affine, torch.per_channel_symmetric}
        scales = (
            [tensor.q_per_channel_scales().tolist(), tensor.q_per_channel_zero_points().tolist()]
            if per_channel
            else [tensor.q_scale(), tensor.q_zero_point()]
        )
        _put(digest, *scales)
        tensor = tensor.int_repr()
    # A tensor of no dimension cannot be viewed as bytes, hence the reshape.
    digest.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy())


def _put(digest: HASH, *parts: object) -> None:
    """Add parts, each with its length, so that no two sequences of parts are the same bytes."""
    for part in parts:
        content = str(part).encode()
        digest.update(len(content).to_bytes(8, "little"))
        digest.update(content)
