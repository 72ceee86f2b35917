"""Loads an ONNX file, with the weights that it keeps in files beside it."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from bench_onnx.identity import HINT, check
from bench_onnx.order import sort_nodes
from harness import ArtifactError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import onnx


def load_model(path: Path) -> onnx.ModelProto:
    """Load a model and inline its local functions.

    Raises:
        ArtifactError: The file is missing, empty, truncated or not an ONNX model, or its external data is missing.
    """
    import onnx
    from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
    from onnx.inliner import inline_local_functions

    check(path)
    try:
        model = onnx.load(path)
        if model.functions:
            model = inline_local_functions(model)
    except DecodeError as error:
        raise ArtifactError(f"{path}: not an ONNX file, or a truncated one ({error})", hint=HINT) from error
    except FileNotFoundError as error:
        raise ArtifactError(
            f"{path}: external data is missing ({error})", hint="Keep the data file in the folder of the model."
        ) from error
    except (OSError, ValueError, TypeError, RuntimeError, onnx.checker.ValidationError) as error:
        raise ArtifactError(f"{path}: cannot be loaded ({error})", hint=HINT) from error
    if not model.graph.node or not model.graph.output:
        raise ArtifactError(f"{path}: holds no graph of operators with outputs", hint=HINT)
    if not model.opset_import:
        raise ArtifactError(f"{path}: names no operator set", hint=HINT)
    sort_nodes(model.graph)
    return model


@contextmanager
def blaming(path: Path) -> Iterator[None]:
    """Turn an error met while a loaded graph is read into ArtifactError where the file is at fault.

    It is when it breaks the ONNX specification or its data do not fit their declared shapes. Any other error is a
    mistake of the reader and passes through.
    """
    import onnx

    try:
        yield
    except (AttributeError, LookupError, TypeError, ValueError, onnx.checker.ValidationError) as error:
        try:
            onnx.checker.check_model(path)
        except (onnx.checker.ValidationError, RuntimeError, ValueError) as invalid:
            reason = " ".join(str(invalid).split())
            raise ArtifactError(f"{path}: not a valid ONNX model ({reason})", hint=HINT) from error
        if isinstance(error, ValueError):
            raise ArtifactError(f"{path}: cannot be read ({error})", hint=HINT) from error
        raise


def feeds(graph: onnx.GraphProto) -> list[onnx.ValueInfoProto]:
    """Inputs that a caller must feed: those that no initialiser fills."""
    filled = {t.name for t in graph.initializer} | {t.values.name for t in graph.sparse_initializer}
    return [value for value in graph.input if value.name not in filled]
