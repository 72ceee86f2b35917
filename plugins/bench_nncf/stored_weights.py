"""Weights in eight and four bits: `int8-dynamic`, `weight-only-int8` and `weight-only-int4` on IR."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from bench_nncf.ir import CONVOLUTIONS, NARROW, load, ov, save, size_kb, stored, weight_of
from bench_nncf.quiet import quiet
from harness import BuildContext, UnsupportedError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

GROUP = 32
"""Neighbours of an activation that share a scale; what OpenVINO takes on processors when nobody says otherwise."""

SMALLEST_BLOCK, LARGEST_BLOCK = 16, 256
"""Of weights in four bits, as for ONNX files."""


def quantise_dynamic(path: Path, options: Any, context: BuildContext) -> Path:
    """Store weights in int8 and ask OpenVINO to quantise the activations of linear layers at every inference.

    Raises:
        ArtifactError: The file is missing or damaged.
        UnsupportedError: It is quantised already, or holds no operator of the chosen kind.
    """
    model = load(path)
    with quiet() as nncf:
        others = [] if options.operators == "all" else [*sorted(CONVOLUTIONS), "Gather"]
        model = nncf.compress_weights(
            model,
            mode=nncf.CompressWeightsMode.INT8_SYM,
            ignored_scope=nncf.IgnoredScope(types=others, validate=False) if others else None,
        )
    if not any(_narrow(node) and node.get_type_name() == "MatMul" for node in model.get_ops()):
        raise UnsupportedError(
            f"int8-dynamic({options.operators}) found no linear layer to quantise", hint="Take int8-static."
        )
    context.note(
        f"activations of linear layers are quantised at every inference, {GROUP} neighbours to a scale, where OpenVINO "
        "has a kernel for it; scales of weights are one a channel"
    )
    if options.operators == "all" and any(_narrow(n) and n.get_type_name() in CONVOLUTIONS for n in model.get_ops()):
        context.note(
            "OpenVINO has no dynamic convolution: weights of convolutions are stored in int8, computed in float"
        )
    return _finish(model, path, context.workdir / "int8-dynamic", GROUP, context)


def store_int8(path: Path, options: Any, context: BuildContext) -> Path:
    """Store the weights of convolutions, matrix products and embeddings in eight bits, a scale a channel.

    Raises:
        ArtifactError: The file is missing or damaged.
        UnsupportedError: It is quantised already, or holds no weight.
    """
    model = load(path)
    with quiet() as nncf:
        mode = nncf.CompressWeightsMode.INT8_SYM if options.symmetric else nncf.CompressWeightsMode.INT8_ASYM
        model = nncf.compress_weights(model, mode=mode)
    _refuse_unless(NARROW, "weight-only-int8", model)
    return _finish(model, path, context.workdir / "weight-only-int8", 0, context)


def store_int4(path: Path, options: Any, context: BuildContext) -> Path:
    """Store the weights of linear layers and embeddings in four bits, a scale a block.

    Raises:
        ArtifactError: The file is missing or damaged.
        UnsupportedError: An option out of its range, or a file that is quantised already or holds no linear layer.
    """
    block = options.block
    if not SMALLEST_BLOCK <= block <= LARGEST_BLOCK or block & (block - 1):
        raise UnsupportedError(f"block={block}: no such block length", hint="Take 16, 32, 64, 128 or 256.")
    model = load(path)
    with quiet() as nncf:
        from nncf.quantization.advanced_parameters import (  # type: ignore[import-untyped]
            AdvancedCompressionParameters,
            GroupSizeFallbackMode,
        )

        modes, backups = nncf.CompressWeightsMode, nncf.BackupMode
        rest = backups.INT8_SYM if options.symmetric else backups.INT8_ASYM
        model = nncf.compress_weights(
            model,
            mode=modes.INT4_SYM if options.symmetric else modes.INT4_ASYM,
            group_size=block,
            ratio=1.0,
            all_layers=True,
            backup_mode=rest if options.rest == "int8" else backups.NONE,
            advanced_parameters=AdvancedCompressionParameters(
                group_size_fallback_mode=GroupSizeFallbackMode.ADJUST, min_adjusted_group_size=SMALLEST_BLOCK
            ),
        )
    _refuse_unless(frozenset({"i4", "u4"}), "weight-only-int4", model)
    group = block if options.activations == "int8" else 0
    if group:
        context.note(f"activations of linear layers are rounded to int8 at every inference, {group} to a scale")
    return _finish(model, path, context.workdir / "weight-only-int4", group, context)


def _finish(model: ov.Model, source: Path, folder: Path, group: int, context: BuildContext) -> Path:
    """Save, with the length of the groups in which OpenVINO may quantise activations, and say what is stored how."""
    expand_at_compilation(model)
    # Without it OpenVINO rounds activations before weights in integers, whatever the file is called.
    model.set_rt_info(str(group), ["runtime_options", "DYNAMIC_QUANTIZATION_GROUP_SIZE"])
    result = save(model, folder)
    context.note(
        f"weights: {_shares(stored(model))}; {size_kb(source):,.0f} kB before, {size_kb(result):,.0f} kB after"
    )
    kept = Counter(
        node.get_type_name() for node in model.get_ordered_ops() if weight_of(node) is not None and not _narrow(node)
    )
    if kept:
        context.note("left in float: " + ", ".join(f"{count} {name}" for name, count in sorted(kept.items())))
    return result


def expand_at_compilation(model: ov.Model) -> None:
    """Put a reshape to the same shape behind every stored weight of a convolution, in place.

    OpenVINO would expand such a weight at every inference, for which convolutions have no kernel: on
    EfficientNet-Lite0 that cost more than half of the time again. Behind a reshape the weight is an ordinary constant
    expression, which is computed once, when the model is compiled.
    """
    import numpy as np
    from openvino import opset13 as ops  # type: ignore[import-untyped]

    for node in model.get_ops():
        if node.get_type_name() in CONVOLUTIONS and _narrow(node):
            weight = node.input_value(1)
            shape = ops.constant(np.array(weight.get_shape(), np.int64))
            node.input(1).replace_source_output(ops.reshape(weight, shape, special_zero=False).output(0))


def _narrow(node: ov.Node) -> bool:
    constant = weight_of(node)
    return constant is not None and constant.output(0).get_element_type().get_type_name() in NARROW


def _refuse_unless(wanted: frozenset[str], technique: str, model: ov.Model) -> None:
    if not wanted & stored(model).keys():
        what = "weight" if technique == "weight-only-int8" else "linear layer"
        raise UnsupportedError(f"{technique} found no {what} to compress", hint="Leave it out for this model.")


def _shares(elements: Mapping[str, int]) -> str:
    total = sum(elements.values())
    names = {"i8": "int8", "u8": "uint8", "i4": "int4", "u4": "uint4", "f32": "float", "f16": "half precision"}
    return ", ".join(f"{count / total:.1%} {names.get(dtype, dtype)}" for dtype, count in sorted(elements.items()))
