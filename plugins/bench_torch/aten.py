"""ATen operators as the kinds of an `OpGraph`, with attributes and multiply-accumulates."""

from __future__ import annotations

from math import inf, prod
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

Attribute = int | float | str | bool | tuple[int, ...]
Shape = tuple[int, ...]

KIND = {
    "conv": "conv1d conv2d conv3d convolution", "deconv": "conv_transpose1d conv_transpose2d conv_transpose3d",
    "fully_connected": "linear", "matmul": "addmm mm bmm matmul baddbmm dot mv scaled_dot_product_attention",
    "pool_max": "max_pool1d max_pool2d max_pool3d max_pool2d_with_indices",
    "pool_avg": "avg_pool1d avg_pool2d avg_pool3d",
    "global_pool": "adaptive_avg_pool1d adaptive_avg_pool2d adaptive_avg_pool3d adaptive_max_pool1d "
                   "adaptive_max_pool2d adaptive_max_pool3d",
    "reduce": "mean sum amax amin argmax argmin prod var std var_mean any all cumsum logsumexp topk "
              "linalg_vector_norm norm",
    "add": "add", "sub": "sub rsub", "mul": "mul", "div": "div true_divide remainder fmod",
    "min": "minimum fmin", "max": "maximum fmax", "pow": "pow square", "sqrt": "sqrt", "exp": "exp",
    "compare": "eq ne lt le gt ge isnan isinf",
    "elementwise": "abs neg log log2 log10 log1p expm1 sin cos tan asin acos atan sinh cosh floor ceil round trunc "
                   "sign reciprocal rsqrt softplus softsign elu celu selu mish threshold where masked_fill addcmul "
                   "addcdiv lerp logical_and logical_or logical_not logical_xor bitwise_and bitwise_or bitwise_not",
    "relu": "relu", "relu6": "relu6", "clip": "hardtanh clamp clip clamp_min clamp_max", "leaky_relu": "leaky_relu",
    "prelu": "prelu", "sigmoid": "sigmoid", "tanh": "tanh", "hardsigmoid": "hardsigmoid", "hardswish": "hardswish",
    "swish": "silu", "gelu": "gelu", "erf": "erf",
    "batch_norm": "batch_norm _native_batch_norm_legit_no_training native_batch_norm",
    "layer_norm": "layer_norm native_layer_norm", "norm": "group_norm instance_norm rms_norm",
    "softmax": "softmax _softmax log_softmax _log_softmax",
    "concat": "cat concat stack hstack vstack", "split": "split split_with_sizes chunk unbind tensor_split",
    "slice": "slice select narrow", "pad": "pad constant_pad_nd reflection_pad1d reflection_pad2d replication_pad2d",
    "resize": "upsample_nearest1d upsample_nearest2d upsample_bilinear2d upsample_bicubic2d upsample_linear1d",
    "transpose": "permute transpose t movedim moveaxis swapaxes swapdims numpy_T mT pixel_shuffle pixel_unshuffle "
                 "channel_shuffle",
    "gather": "gather index index_select embedding take take_along_dim one_hot",
    "expand": "expand expand_as repeat tile repeat_interleave full full_like zeros zeros_like ones ones_like arange "
              "eye new_zeros new_ones new_full scalar_tensor",
    "copy": "clone contiguous copy scatter index_put tril triu roll flip slice_scatter select_scatter",
    "reshape": "view reshape flatten unflatten squeeze unsqueeze _unsafe_view view_as reshape_as",
    "identity": "alias detach dropout feature_dropout lift_fresh_copy detach_copy",
    "cast": "to _to_copy type_as",
    "quantize": "quantize_per_tensor quantize_per_channel",
    "dequantize": "dequantize_per_tensor dequantize_per_channel",
}  # fmt: skip

_OF = {name: kind for kind, names in KIND.items() for name in names.split()}


def kind_of(name: str, arguments: Mapping[str, Any], shapes: Mapping[str, Shape], out: Shape) -> str:
    """Kind of an operator by its ATen name without overload; what is not listed is `unknown`.

    Args:
        name: Such as `conv2d`; a trailing underscore (in place) is ignored.
        arguments: Arguments by their names in the operator's schema, defaults filled in.
        shapes: Shapes of those arguments that are tensors.
        out: Shape of the (first) output.
    """
    name = name if name in _OF else name.rstrip("_")
    kind = _OF.get(name, "unknown")
    if name == "convolution" and arguments.get("transposed"):
        return "deconv"
    if kind == "clip":
        return _bounded(arguments)
    if kind == "global_pool" and any(size != 1 for size in out[2:]):
        return "pool_avg" if "avg" in name else "pool_max"
    if name == "mean" and _axes(arguments, shapes["self"]) == tuple(range(2, len(shapes["self"]))) != ():
        return "global_pool"
    return kind


def macs_of(kind: str, name: str, shapes: Mapping[str, Shape], out: Shape) -> int:
    """Multiply-accumulates by the definitions that torch.utils.flop_counter counts twice over (FLOPs)."""
    if kind == "conv":  # each output element: one kernel over the channels of its group
        return prod(out) * prod(shapes["weight"][1:])
    if kind == "deconv":  # each input element is spread by one kernel to the outputs of its group
        return prod(shapes.get("input", ())) * prod(shapes["weight"][1:])
    if kind == "fully_connected" and "weight" in shapes:
        return prod(out) * shapes["weight"][-1]
    if name == "scaled_dot_product_attention":  # query·key, then weights·value
        query, key, value = shapes["query"], shapes["key"], shapes["value"]
        return prod(query) * key[-2] + prod(query[:-1]) * key[-2] * value[-1]
    if kind in {"matmul", "fully_connected"}:  # outputs times the length of the inner dimension
        left = shapes.get("mat1") or shapes.get("batch1") or shapes.get("self", ())
        return prod(out) * (left[-1] if left else 1)
    return 0


def attributes_of(kind: str, arguments: Mapping[str, Any], shapes: Mapping[str, Shape]) -> dict[str, Attribute]:
    """Attributes in the words of `harness.OpGraph`, one entry for each spatial axis."""
    if kind in {"conv", "deconv"}:
        kernel = shapes["weight"][2:]
        found = _window(kernel, arguments)
        found["groups"] = int(arguments.get("groups", 1))
        if kind == "deconv":
            found["output_padding"] = _each(arguments.get("output_padding", 0), len(kernel))
        return found
    if kind in {"pool_max", "pool_avg"} and "kernel_size" in arguments:
        rank = len(shapes["self"]) - 2
        return _window(_each(arguments["kernel_size"], rank), arguments, pool=True)
    if kind == "clip":
        low, high = _bounds(arguments)
        return {"min": low, "max": high}
    if kind == "reduce":
        axes = _axes(arguments, shapes.get("self", ()))
        return {"axes": axes} if axes else {}
    axis = arguments.get("dim")
    return {"axis": axis} if kind in {"concat", "softmax", "split", "slice"} and isinstance(axis, int) else {}


def _window(kernel: Shape, arguments: Mapping[str, Any], *, pool: bool = False) -> dict[str, Attribute]:
    rank = len(kernel)
    stride = arguments.get("stride")
    steps = _each(stride, rank) if stride not in (None, [], ()) else (kernel if pool else (1,) * rank)
    dilation = _each(arguments.get("dilation", 1), rank)
    padding = arguments.get("padding", 0)
    if padding == "same":  # the odd element goes to the end, as torch documents it
        total = tuple(d * (k - 1) for k, d in zip(kernel, dilation, strict=True))
        pads = (*(t // 2 for t in total), *(t - t // 2 for t in total))
    else:
        pads = _each(0 if padding == "valid" else padding, rank) * 2
    return {"kernel": tuple(kernel), "stride": steps, "dilation": dilation, "pads": pads}


def _each(value: int | Sequence[int], rank: int) -> Shape:
    values = (value,) if isinstance(value, int) else tuple(value)
    return tuple(int(v) for v in (values * rank if len(values) == 1 else values))


def _axes(arguments: Mapping[str, Any], shape: Shape) -> Shape:
    dims = arguments.get("dim")
    if dims is None or not shape:
        return ()
    return tuple(sorted(int(d) % len(shape) for d in ((dims,) if isinstance(dims, int) else dims)))


def _bounds(arguments: Mapping[str, Any]) -> tuple[float, float]:
    low = arguments.get("min_val", arguments.get("min"))
    high = arguments.get("max_val", arguments.get("max"))
    return (
        float(low) if isinstance(low, int | float) else -inf,
        float(high) if isinstance(high, int | float) else inf,
    )


def _bounded(arguments: Mapping[str, Any]) -> str:
    low, high = _bounds(arguments)
    if low == 0.0 and high == 6.0:
        return "relu6"
    return "relu" if low == 0.0 and high == inf else "clip"
