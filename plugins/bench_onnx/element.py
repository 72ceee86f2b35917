"""ONNX element types as the precisions that an `OpGraph` knows."""

from __future__ import annotations

from functools import cache

_PRECISION = {
    "FLOAT": "fp32", "FLOAT16": "fp16", "BFLOAT16": "bf16", "DOUBLE": "fp64",
    "INT8": "int8", "UINT8": "uint8", "INT4": "int4", "UINT4": "int4", "INT2": "int4", "UINT2": "int4",
    "INT16": "int16", "UINT16": "int16", "INT32": "int32", "UINT32": "int32", "INT64": "int64", "UINT64": "int64",
    "BOOL": "bool",
    # Not numbers that any kernel here computes with; each by the nearest size in memory.
    "FLOAT8E4M3FN": "uint8", "FLOAT8E4M3FNUZ": "uint8", "FLOAT8E5M2": "uint8", "FLOAT8E5M2FNUZ": "uint8",
    "FLOAT8E8M0": "uint8", "FLOAT4E2M1": "int4", "COMPLEX64": "fp64", "COMPLEX128": "fp64", "STRING": "int64",
}  # fmt: skip

EIGHT_BIT = frozenset({"int8", "uint8"})
QUANTISED = frozenset({"int8", "uint8", "int4", "int16"})
FLOAT = frozenset({"fp32", "fp16", "bf16", "fp64"})


@cache
def precision_of(element_type: int) -> str:
    """Precision of a `TensorProto.DataType`; an undefined type counts as fp32."""
    from onnx import TensorProto

    names = {number: name for name, number in TensorProto.DataType.items()}
    return _PRECISION.get(names.get(element_type, ""), "fp32")
