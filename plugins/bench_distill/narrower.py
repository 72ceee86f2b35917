"""A narrower network of the same architecture, by removing channels of every layer.

Which layers must lose channels together is read off the autograd graph by torch-pruning (Fang et al., DepGraph:
Towards Any Structural Pruning, CVPR 2023, arXiv:2301.12900).
"""

from __future__ import annotations

import copy
import io
import warnings
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from harness import UnsupportedError

if TYPE_CHECKING:
    from collections.abc import Iterator

CHANNELS = 4
"""Widths are multiples of it, so that vectors of kernels are filled."""

PRUNABLE = (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d, nn.Linear)

_LAYOUT = ("TBackward", "TransposeBackward", "PermuteBackward", "ViewBackward", "UnsqueezeBackward", "ExpandBackward")
"""Autograd nodes between a weight and the operator that uses it."""

_OTHER = "Name a student yourself, as in student=zoo:NAME or student=my.py:factory, or prune first: student=current."


def narrower(network: nn.Module, width: float, inputs: tuple[torch.Tensor, ...]) -> nn.Module:
    """Return a copy with a share of the channels of every layer, those of largest norm; the outputs stay.

    Args:
        network: Left as it is.
        width: Share of the channels of each layer, above 0 and below 1, taken to the nearest multiple of `CHANNELS`.
        inputs: An example of each input, batch 1.

    Raises:
        UnsupportedError: torch-pruning is missing, or it does not understand the network.
    """
    try:
        import torch_pruning
    except ImportError as error:
        raise UnsupportedError(
            f"deriving a student needs torch-pruning, which is not installed: {error}",
            hint="pip install 'edge-bench[compress]'",
        ) from error
    narrowed = copy.deepcopy(network).eval().requires_grad_()
    parameters = sum(p.numel() for p in network.parameters())
    try:
        with _quiet(), torch.enable_grad():
            shapes = [output.shape for output in tensors_in(narrowed(*inputs))]
            heads = output_layers(narrowed, inputs)
            pruner = torch_pruning.pruner.BasePruner(
                narrowed,
                inputs,
                importance=torch_pruning.importance.GroupMagnitudeImportance(p=2),
                pruning_ratio=0.0,
                pruning_ratio_dict=_removed_share(narrowed, width, heads),
                ignored_layers=list(heads),
                in_channel_groups={},  # the library's own defaults are shared between its calls
                out_channel_groups={},
                num_heads={},
            )
            pruner.step()
            after = [output.shape for output in tensors_in(narrowed(*inputs))]
    except Exception as error:  # whatever the library stumbles over in an architecture that it does not know
        raise UnsupportedError(
            f"no narrower student can be derived from {type(network).__name__}: {_first_line(error)}", hint=_OTHER
        ) from error
    if after != shapes:
        raise UnsupportedError(
            f"a narrower {type(network).__name__} has other outputs: {_sizes(after)} instead of {_sizes(shapes)}",
            hint=_OTHER,
        )
    if sum(p.numel() for p in narrowed.parameters()) >= parameters:
        raise UnsupportedError(
            f"width={width} leaves every layer of {type(network).__name__} as wide as it is",
            hint=f"Widths are multiples of {CHANNELS}. {_OTHER}",
        )
    return narrowed


def reinitialise(network: nn.Module, seed: int) -> None:
    """Give every parameter and running statistic a fresh start value, in place, as each layer's class does it.

    Raises:
        UnsupportedError: A module has parameters of its own and no way to reset them.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        for name, layer in network.named_modules():
            reset = getattr(layer, "reset_parameters", None) or getattr(layer, "_reset_parameters", None)
            if callable(reset):
                reset()
            elif next(layer.parameters(recurse=False), None) is not None:
                raise UnsupportedError(
                    f"the parameters of {name or 'the network'} ({type(layer).__name__}) cannot be initialised afresh",
                    hint="It has no reset_parameters(); student=pruned starts from the teacher's weights.",
                )


def output_layers(network: nn.Module, inputs: tuple[torch.Tensor, ...]) -> tuple[nn.Module, ...]:
    """Layers whose output channels are those of the network: the first with weights on every path back from there.

    A depthwise convolution is passed by: its channels are those of the layer before it.
    """
    owners = {
        id(weight): layer
        for layer in network.modules()
        for weight in layer.parameters(recurse=False)
        if weight.dim() > 1 and getattr(layer, "groups", 1) != getattr(layer, "out_channels", 0)
    }
    pending = [output.grad_fn for output in tensors_in(network(*inputs))]
    seen: set[Any] = set()
    found: dict[nn.Module, None] = {}
    while pending:
        step = pending.pop()
        if step is None or step in seen:
            continue
        seen.add(step)
        weights = [id(weight) for weight in map(_weight_behind, _before(step)) if id(weight) in owners]
        found.update((owners[weight], None) for weight in weights)
        if not weights:
            pending += _before(step)
    return tuple(found)


def tensors_in(value: Any) -> list[torch.Tensor]:
    """Every tensor in the output of a network, in order."""
    if isinstance(value, torch.Tensor):
        return [value]
    if isinstance(value, dict):
        value = list(value.values())
    return [tensor for item in value for tensor in tensors_in(item)] if isinstance(value, tuple | list) else []


def _removed_share(network: nn.Module, width: float, heads: tuple[nn.Module, ...]) -> dict[nn.Module, float]:
    """Share of the channels that each layer loses. Without the last term rounding could take one channel more."""
    shares: dict[nn.Module, float] = {}
    for layer in network.modules():
        if isinstance(layer, PRUNABLE) and layer not in heads:
            channels = layer.out_features if isinstance(layer, nn.Linear) else layer.out_channels
            kept = min(channels, max(CHANNELS, round(channels * width / CHANNELS) * CHANNELS))
            shares[layer] = 1 - kept / channels - 1e-9
    return shares


def _before(step: Any) -> list[Any]:
    return [before for before, _ in step.next_functions if before is not None]


def _weight_behind(step: Any) -> torch.Tensor | None:
    """The parameter that an autograd node yields, itself or by a change of layout."""
    while not hasattr(step, "variable"):
        before = _before(step)
        if len(before) != 1 or not step.name().startswith(_LAYOUT):
            return None
        step = before[0]
    variable: torch.Tensor = step.variable
    return variable


def _sizes(shapes: list[torch.Size]) -> str:
    return ", ".join("×".join(map(str, shape)) for shape in shapes)


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


@contextmanager
def _quiet() -> Iterator[None]:
    with warnings.catch_warnings(), redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
        warnings.simplefilter("ignore")
        yield
