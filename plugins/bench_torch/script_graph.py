"""From a TorchScript file to the framework-free `OpGraph`; shapes come from one inference of batch 1."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from bench_torch.aten import attributes_of, kind_of, macs_of
from bench_torch.deprecation import held_back
from bench_torch.graph import PRECISION
from bench_torch.program import one_line
from bench_torch.script_file import inputs_of, load_script
from bench_torch.script_packed import Packed, tensors_in, unpacked
from bench_torch.script_run import Ref, Run, Step
from harness import ArtifactError, Operator, OpGraph, Tensor, TensorSpec

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

EIGHT_BITS = {torch.quint8: "uint8", torch.qint8: "int8", torch.qint32: "int32", torch.quint4x2: "int4"}

STATISTICS = {"running_mean", "running_var"}
"""Arguments that hold what was counted and not trained."""

SAME = {"_convolution": "convolution", "dequantize": "dequantize_per_tensor", "embedding_byte": "embedding",
        "add_scalar": "add", "mul_scalar": "mul"}  # fmt: skip
"""Operators of one meaning under another name."""


def read_script(path: Path) -> OpGraph:
    """Read a file; raises ArtifactError when it is damaged, does not say its shapes, or does not run on them."""
    module = load_script(path).module
    specs = inputs_of(path)
    walk = _Walk()
    example = [(example_of(spec), walk.input(spec)) for spec in specs]
    graph = reading_graph(module)
    try:
        with torch.no_grad():
            refs = Run(visitor=walk).graph(graph, [(module, None), *example])
    except Exception as exc:
        shapes = ", ".join(f"{spec.dtype} {spec.shape}" for spec in specs)
        raise ArtifactError(
            f"{path}: the network does not run on its own inputs ({shapes}): {one_line(exc)}",
            hint="Save it with the shapes that it takes.",
        ) from exc
    outputs = tuple(_names(refs))
    return OpGraph(
        name=path.stem,
        inputs=tuple(walk.inputs),
        outputs=outputs,
        tensors={key: walk.tensors[key] for key in walk.used | {*walk.inputs, *outputs}},
        operators=tuple(walk.operators),
        parameters=sum(walk.trained.values()),
    )


def reading_graph(module: Any) -> Any:
    """The graph with every call written out and weights as constants; nothing is folded that the file has not."""
    if hasattr(module, "training"):
        with held_back():
            module = torch.jit.freeze(module, optimize_numerics=False)
    return module.inlined_graph


def example_of(spec: TensorSpec) -> torch.Tensor:
    """Ones of batch 1: a valid index wherever there is one, and a mask that hides nothing."""
    return torch.ones([size or 1 for size in spec.shape], dtype=getattr(torch, spec.dtype))


class _Walk:
    """Operators and tensors so far."""

    def __init__(self) -> None:
        self.tensors: dict[str, Tensor] = {}
        self.used: set[str] = set()
        self.inputs: list[str] = []
        self.operators: list[Operator] = []
        self.stored: set[str] = set()
        self.trained: dict[str, int] = {}

    def input(self, spec: TensorSpec) -> Ref:
        """Take an input."""
        self.inputs.append(spec.name)
        shape = tuple(size or 1 for size in spec.shape)
        precision = PRECISION[getattr(torch, spec.dtype)]
        self.tensors[spec.name] = Tensor(name=spec.name, shape=shape, precision=precision)
        return spec.name

    def constant(self, name: str, value: Any) -> Ref:
        """Take a constant, or a list of them."""
        if isinstance(value, list | tuple):
            return [self.constant(f"{name}.{place}", item) for place, item in enumerate(value)]
        if not isinstance(value, torch.Tensor):
            return None
        self.stored.add(name)
        return self._constant(name, value)

    def executed(self, step: Step) -> Ref:
        """Take an operator; one on constants alone is folded, and arithmetic on sizes left out."""
        packed = {key: found for key, arg in step.arguments.items() if (found := unpacked(arg, step.kind))}
        inputs = tuple(_names(step.refs.values()))
        results = [step.result] if isinstance(step.result, torch.Tensor) else step.result
        if not isinstance(results, list | tuple) or not all(isinstance(r, torch.Tensor) for r in results):
            return None
        single = isinstance(step.result, torch.Tensor)
        names = [step.name] if single else [f"{step.name}.{place}" for place in range(len(results))]
        if all(self.tensors[key].constant for key in inputs):
            for key, value in zip(names, results, strict=True):
                self._constant(key, value)
        else:
            for key, value in zip(names, results, strict=True):
                self._tensor(key, value)
            self._operator(step, inputs, names, next(iter(packed.values()), None))
        return names[0] if single else names

    def _operator(self, step: Step, inputs: tuple[str, ...], outputs: list[str], packed: Packed | None) -> None:
        space, _, written = step.kind.partition("::")
        own = space == "quantized"
        name, activation = _plain(written) if own else (written, "")
        name = SAME.get(name, name)
        arguments = {**step.arguments}
        shapes = {key: self.tensors[ref].shape for key, ref in step.refs.items() if isinstance(ref, str)}
        if own and inputs:
            shapes.setdefault("self", self.tensors[inputs[0]].shape)
            shapes.setdefault("input", self.tensors[inputs[0]].shape)
        if packed is not None:
            held = self._held(step.name, packed)
            inputs = (*inputs, *held)
            shapes["weight"] = self.tensors[held[0]].shape
            arguments.update(packed.arguments)
        self._count(step)
        out, data = self.tensors[outputs[0]], self.tensors[inputs[0]]
        kind = kind_of(name, arguments, shapes, out.shape)
        if kind == "cast" and data.precision == out.precision:
            kind = "identity"
        if kind == "matmul" and any(self.tensors[key].constant and len(self.tensors[key].shape) > 1 for key in inputs):
            kind = "fully_connected"
        small = data.precision in {"int8", "uint8"} or (own and packed is not None)
        small = small and kind not in {"quantize", "dequantize"}
        self.used.update(inputs, outputs)
        self.operators.append(
            Operator(
                name=step.name,
                kind=kind,
                inputs=inputs,
                outputs=tuple(outputs),
                precision="int8" if small else data.precision,
                macs=macs_of(kind, name, shapes, out.shape),
                activation=activation,
                attributes=attributes_of(kind, arguments, shapes),
                source=step.kind,
                scheme=("dynamic" if "_dynamic" in written else "static") if small else "",
            )
        )

    def _held(self, name: str, packed: Packed) -> tuple[str, ...]:
        """Tensors of a packed layer."""
        held = {f"{name}.weight": packed.weight, f"{name}.bias": packed.bias}
        for key, tensor in held.items():
            if tensor is not None:
                self._constant(key, tensor)
                self.trained[key] = tensor.numel()
        return tuple(key for key, tensor in held.items() if tensor is not None)

    def _count(self, step: Step) -> None:
        """Count constants of the file that an operator reads as trained; statistics and single numbers are none."""
        for key, value in step.arguments.items():
            if isinstance(value, list | tuple) and any(isinstance(item, torch.ScriptObject) for item in value):
                self.trained[step.name] = sum(tensor.numel() for tensor in tensors_in(value))
            for tensor, name in zip(_tensors(value), _names([step.refs[key]]), strict=False):
                real = tensor.is_floating_point() or tensor.is_quantized
                if name in self.stored and key not in STATISTICS and tensor.dim() and real:
                    self.trained[name] = tensor.numel()

    def _constant(self, name: str, value: torch.Tensor) -> Ref:
        plain = value.dequantize() if value.is_quantized else value
        zeros = 1.0 - int(torch.count_nonzero(plain)) / plain.numel() if plain.numel() else None
        return self._tensor(name, value, constant=True, zeros=zeros)

    def _tensor(self, name: str, value: torch.Tensor, *, constant: bool = False, zeros: float | None = None) -> Ref:
        precision = EIGHT_BITS.get(value.dtype) or PRECISION.get(value.dtype, "fp32")
        shape = tuple(int(size) for size in value.shape)
        self.tensors[name] = Tensor(name=name, shape=shape, precision=precision, constant=constant, zeros=zeros)
        return name


def _plain(written: str) -> tuple[str, str]:
    """ATen's name of an operator of the 8-bit kernels, and the activation that it has fused."""
    name = written.removesuffix("_dynamic")
    for activation in ("relu6", "relu", "leaky_relu", "tanh"):
        before = name.removesuffix(f"_{activation}")
        if before not in {name, "leaky"}:
            return before, activation
    return name, ""


def _names(refs: Any) -> Iterator[str]:
    """Names of tensors in refs, however nested."""
    for ref in refs:
        if isinstance(ref, str):
            yield ref
        elif isinstance(ref, list):
            yield from _names(ref)


def _tensors(value: Any) -> Iterator[torch.Tensor]:
    for item in value if isinstance(value, list | tuple) else (value,):
        if isinstance(item, torch.Tensor):
            yield item
