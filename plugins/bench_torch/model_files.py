"""`--model` of files: exported programs and TorchScript. Importing this imports no torch."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from harness import Availability, Model, ModelInfo, ModelSource

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

SCRIPT_SUFFIXES = (".pt", ".ptl")
"""How the names of TorchScript files end; those for the mobile interpreter hold the same code beside their own."""


def _claims_pt2(ref: str) -> bool:
    return ref.lower().endswith(".pt2")


def _claims_torchscript(ref: str) -> bool:
    return ref.lower().endswith(SCRIPT_SUFFIXES)


def _list_models() -> Iterable[ModelInfo]:
    return ()


def _check_pt2(ref: str) -> None:
    from bench_torch.archive import check

    check(Path(ref), "pt2")


def _check_torchscript(ref: str) -> None:
    from bench_torch.archive import check

    check(Path(ref), "torchscript")


def _identity(ref: str) -> str | None:
    from bench_torch.archive import identity

    return identity(Path(ref))


def _load_pt2(ref: str, cache: Path, seed: int) -> Model:  # noqa: ARG001 - a file needs neither cache nor seed
    from bench_torch.source import load_pt2

    return load_pt2(Path(ref))


def _load_torchscript(ref: str, cache: Path, seed: int) -> Model:  # noqa: ARG001 - a file needs neither
    from bench_torch.source import load_torchscript

    return load_torchscript(Path(ref))


def file_sources(available: Callable[[], Availability]) -> Iterable[ModelSource]:
    """Yield the sources of a user's own files."""
    yield ModelSource(
        name="pt2-file",
        summary="an exported program of torch.export.save, by its path (.pt2)",
        claims=_claims_pt2,
        format="pt2",
        list_models=_list_models,
        load=_load_pt2,
        identity=_identity,
        available=available,
        check=_check_pt2,
        requires=("torch",),
    )
    yield ModelSource(
        name="torchscript-file",
        summary="a TorchScript network of torch.jit.save, by its path (.pt, .ptl)",
        claims=_claims_torchscript,
        format="torchscript",
        list_models=_list_models,
        load=_load_torchscript,
        identity=_identity,
        available=available,
        check=_check_torchscript,
        requires=("torch",),
    )
