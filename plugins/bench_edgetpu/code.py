"""Why a graph or an operator does not map onto the Edge TPU: the closed list."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

COMPILER = "edgetpu_compiler 16.0"
"""The compiler that the rules imitate. It is closed: its documentation (coral.ai/docs/edgetpu/models-intro) and logs
that people published are all there is."""

MAPPED = "Mapped to Edge TPU"
LEFT = "More than one subgraph is not supported"
"""Words of the compiler's log for an operator that maps, and for one behind the first that does not
(google-coral/edgetpu issues 75 and 322)."""


class Code(StrEnum):
    """Codes of rejections and of remarks."""

    NOT_QUANTISED = "NOT_QUANTISED"
    DYNAMIC_RANGE_ONLY = "DYNAMIC_RANGE_ONLY"
    DYNAMIC_SHAPE = "DYNAMIC_SHAPE"
    BATCH = "BATCH>1"
    NON_CONST_PARAM = "NON_CONST_PARAM"
    RANK = "RANK>3"
    UNSUPPORTED_OP = "UNSUPPORTED_OP"
    OP_LIMIT = "OP_LIMIT"
    FLOAT_IO = "FLOAT_IO"
    VERSION = "VERSION"
    TOO_LARGE = "TOO_LARGE"


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """What a code means and what helps.

    Attributes:
        status: What stands in the table; the words of the compiler's log where somebody published them.
        rejects: False for a remark that stops nothing.
    """

    meaning: str
    fix: str
    status: str
    rejects: bool = True


EXPLAINED: Mapping[Code, Explanation] = MappingProxyType({
    Code.NOT_QUANTISED: Explanation(
        meaning="the operator computes in float or in integers wider than 8 bits",
        fix="quantise the whole graph statically: add int8-static to the recipe",
        status="Operation is working on an unsupported data type",
    ),
    Code.DYNAMIC_RANGE_ONLY: Explanation(
        meaning="weights are quantised, activations are not, or only at run time",
        fix="use int8-static, which calibrates activations, instead of int8-dynamic or a weight-only technique",
        status="Operation is working on an unsupported data type",
    ),
    Code.DYNAMIC_SHAPE: Explanation(
        meaning="a tensor has no constant size",
        fix="export the model with fixed input sizes",
        status="Tensor has no constant size",
    ),
    Code.BATCH: Explanation(
        meaning="an input has a batch of more than one",
        fix="export the model with batch 1",
        status="Batch is more than one",
    ),
    Code.NON_CONST_PARAM: Explanation(
        meaning="a weight is computed at run time",
        fix="fold the weight into a constant before exporting",
        status="Parameter is not constant",
    ),
    Code.RANK: Explanation(
        meaning="more than three dimensions are longer than 1",
        fix="reshape so that at most three dimensions are longer than 1",
        status="Tensor has unsupported rank (up to 3 innermost dimensions mapped)",
    ),
    Code.UNSUPPORTED_OP: Explanation(
        meaning="the compiler has no such operator",
        fix="replace it: relu6 for hardswish or gelu, a convolution for a product of activations",
        status="Operation not supported",
    ),
    Code.OP_LIMIT: Explanation(
        meaning="the compiler has the operator, but not with these parameters",
        fix="change the parameter that the message names",
        status="Operation is otherwise supported, but not mapped due to some unspecified limitation",
    ),
    Code.FLOAT_IO: Explanation(
        meaning="an input is quantised, or an output dequantised, on the CPU",
        fix="nothing to do; integer inputs and outputs would save the conversion",
        status="Runs on the CPU",
        rejects=False,
    ),
    Code.VERSION: Explanation(
        meaning="the operator exists in a version that the compiler may not know",
        fix="run the real compiler; the message names the form that every version has mapped",
        status="May not map: operation version not supported",
        rejects=False,
    ),
    Code.TOO_LARGE: Explanation(
        meaning="tensors of some sizes are refused, by rules that are not published",
        fix="run the real compiler; smaller pictures or fewer channels help",
        status="May not map: depends on sizes",
        rejects=False,
    ),
})  # fmt: skip
