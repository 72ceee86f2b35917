"""A .tflite file as the objects of LiteRT's own schema."""

from __future__ import annotations

from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, Any

from bench_litert.identity import HINT, check
from harness import ArtifactError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

Model = Any
"""`ModelT` of `ai_edge_litert.schema_py_generated`, which says nothing of types."""


def load(path: Path) -> Model:
    """Parse a file; the constants are views of its bytes.

    Raises:
        ArtifactError: The file is missing, empty, damaged or something else.
    """
    check(path)
    with blaming(path):
        model = parse(path.read_bytes())
        if not model.subgraphs or not model.subgraphs[0].operators or not model.operatorCodes:
            raise ArtifactError(f"{path}: holds no operators", hint=HINT)
        return model


def parse(content: bytes | bytearray) -> Model:
    """Parse the bytes of a file; constants are views of them, which can be written to where the bytes can."""
    from ai_edge_litert import schema_py_generated as schema  # type: ignore[import-untyped]

    model = schema.ModelT.InitFromPackedBuf(content, 0)
    _find_outside(model, content)
    return model


def _find_outside(model: Model, content: bytes | bytearray) -> None:
    """Fill in buffers that are kept behind the flatbuffer, by offset and size (comment on `Buffer` in schema.fbs)."""
    import numpy as np

    for buffer in model.buffers:
        if buffer.offset > 1:  # 0 and 1 mean that there is nothing outside
            end = buffer.offset + buffer.size
            if end > len(content):
                raise ValueError(f"a buffer ends at {end}, the file at {len(content)}")
            buffer.data = np.frombuffer(content, np.uint8, count=buffer.size, offset=buffer.offset)


@contextmanager
def blaming(path: Path) -> Iterator[None]:
    """Turn what a damaged file makes of its readers into an ArtifactError."""
    import struct

    try:
        yield
    except (struct.error, IndexError, KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
        raise ArtifactError(f"{path}: a damaged LiteRT file ({error!r})", hint=HINT) from error


def operator_name(model: Model, operator: Any) -> str:
    """Name of an operator in the schema's words, such as `CONV_2D`, or that of a custom one."""
    code = model.operatorCodes[operator.opcodeIndex]
    # `deprecatedBuiltinCode` is all that files before schema 3a have (comment on `OperatorCode` in schema.fbs).
    name = _operators()[max(code.builtinCode, code.deprecatedBuiltinCode)]
    return as_text(code.customCode) if name == "CUSTOM" else name


def as_text(value: bytes | str | None) -> str:
    """Names are bytes or text, as the generated code likes."""
    return value.decode(errors="replace") if isinstance(value, bytes) else value or ""


def type_name(number: int) -> str:
    """Name of a `TensorType`, such as `FLOAT32`."""
    return _types()[number]


def activation_name(number: int) -> str:
    """Name of an `ActivationFunctionType`, such as `RELU6`."""
    return _activations()[number]


@cache
def _operators() -> Mapping[int, str]:
    return _names("BuiltinOperator")


@cache
def _types() -> Mapping[int, str]:
    return _names("TensorType")


@cache
def _activations() -> Mapping[int, str]:
    return _names("ActivationFunctionType")


def _names(enumeration: str) -> Mapping[int, str]:
    from ai_edge_litert import schema_py_generated as schema

    return {number: name for name, number in vars(getattr(schema, enumeration)).items() if not name.startswith("_")}
