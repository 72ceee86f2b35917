"""tract for bench: a backend for `onnx`, the whole plugin in one file. Importing it imports no tract."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from harness import ArtifactError, Backend, UnsupportedError, hookimpl, if_installed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from harness import Session, SessionOptions, TensorSpec

HARNESS_API = 1

DAMAGED = ("os error", "decode Protobuf", "does not contain a graph")
"""What tract says of a file that is missing or no ONNX model. Whatever else it refuses is one that it cannot run."""


@hookimpl
def harness_backends() -> Iterable[Backend]:
    """Yield tract on the processor."""
    yield Backend(
        name="tract",
        summary="tract, an engine in Rust, always on one thread, inputs copied once",
        reads=("onnx",),
        prepare=prepare,
        open=open_model,
        # Kernels of its own, of which nobody has published figures: the estimate takes general ones, and says so.
        kernel_family={"aarch64": "tract", "x86_64": "tract"},
        available=if_installed("tract", install="pip install 'edge-bench[tract]'"),
        most_threads=1,
        environment=lambda _threads: {"RUST_BACKTRACE": "0"},  # else a page of frames hides what a panic says
        requires=("tract",),
    )


def prepare() -> None:
    """Load the library, so that it counts to the runtime and not to the variant."""
    import tract  # type: ignore[import-untyped]  # noqa: F401


def open_model(path: Path, options: SessionOptions) -> Session:
    """Open an ONNX file, bind its free dimensions, and optimise it.

    Raises:
        ArtifactError: The file is missing or damaged.
        UnsupportedError: tract has no kernel for an operator, or none for its types.
    """
    import tract

    try:
        network = tract.onnx().load(path)
        sizes = bind_shapes(network, options.inputs)
        model = network.into_model()
        model.transform(tract.SetSymbols(sizes))  # a network optimised for any batch takes four times as long
        return TractSession(model.into_runnable())
    except tract.TractError as exc:
        kind = ArtifactError if any(said in str(exc) for said in DAMAGED) else UnsupportedError
        hint = "Export the model again, or run it on another backend that reads onnx."
        raise kind(f"tract cannot run {path.name}: {words(exc)}", hint=hint) from exc


def bind_shapes(network: Any, inputs: tuple[TensorSpec, ...]) -> dict[str, int]:
    """Bind free dimensions without a name in place, the batch to 1; returns those with a name and their sizes."""
    named: dict[str, int] = {}
    for at, spec in enumerate(inputs[: network.input_count()]):
        *dims, dtype = str(network.input_fact(at)).split(",")  # such as batch,3,224,224,f32 or ?,10,i64
        sizes = [size or 1 for size in spec.shape]
        named |= {dim: size for dim, size in zip(dims, sizes, strict=False) if dim.isidentifier()}
        if "?" in dims and len(dims) == len(sizes):
            bound = [str(size) if dim == "?" else dim for dim, size in zip(dims, sizes, strict=True)]
            network.set_input_fact(at, ",".join([*bound, dtype]))
    return named


class TractSession:
    """An optimised network."""

    def __init__(self, network: Any) -> None:
        """Take the network."""
        self._network: Any = network
        self._outputs: list[Any] = []

    def bind(self, inputs: tuple[Any, ...]) -> Callable[[], object]:
        """Copy inputs into tensors; the call copies none.

        It starts from a fresh state, which costs 7 µs: one that is kept remembers what recurrent layers held before.
        """
        from tract import Tensor

        if self._network is None:
            raise RuntimeError("the session is closed")
        if len(inputs) != (wanted := self._network.input_count()):
            raise ArtifactError(f"the model takes {wanted} inputs, {len(inputs)} were given")
        network, tensors = self._network, [Tensor.from_numpy(array) for array in inputs]

        def run() -> None:
            self._outputs = network.run(tensors)

        return run

    def outputs(self) -> tuple[Any, ...]:
        """Outputs of the last call, floats as float32."""
        arrays = (tensor.to_numpy() for tensor in self._outputs)
        return tuple(array.astype("float32") if array.dtype.kind == "f" else array for array in arrays)

    def threads(self) -> int:
        """One, whatever the budget: neither the Python package nor a variable gives tract more."""
        return 1

    def close(self) -> None:
        """Drop network and outputs."""
        self._network, self._outputs = None, []


def words(exc: Exception) -> str:
    """What tract says, in a line, without its stack."""
    return " ".join(str(exc).partition("Stack backtrace")[0].split())[:300]
