"""Quantisation of OpenVINO IR by NNCF: the techniques that ONNX files have, done where OpenVINO executes them.

NNCF's own reports, progress bars and usage statistics are held back; nothing is sent anywhere.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from harness import BuildContext, Implementation, hookimpl, if_installed

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

HARNESS_API = 1


_available = if_installed("openvino", "nncf", install="pip install 'edge-bench[openvino]'")


def _fp16(path: Path, options: Any, context: BuildContext) -> Path:  # noqa: ARG001 - there are none
    from bench_nncf.half import to_fp16

    return to_fp16(path, context)


def _int8_dynamic(path: Path, options: Any, context: BuildContext) -> Path:
    from bench_nncf.stored_weights import quantise_dynamic

    return quantise_dynamic(path, options, context)


def _int8_static(path: Path, options: Any, context: BuildContext) -> Path:
    from bench_nncf.static import quantise_static

    return quantise_static(path, options, context)


def _weight_only_int8(path: Path, options: Any, context: BuildContext) -> Path:
    from bench_nncf.stored_weights import store_int8

    return store_int8(path, options, context)


def _weight_only_int4(path: Path, options: Any, context: BuildContext) -> Path:
    from bench_nncf.stored_weights import store_int4

    return store_int4(path, options, context)


APPLY = {
    "fp16": _fp16,
    "int8-dynamic": _int8_dynamic,
    "int8-static": _int8_static,
    "weight-only-int8": _weight_only_int8,
    "weight-only-int4": _weight_only_int4,
}


@hookimpl
def harness_implementations() -> Iterable[Implementation]:
    """All post-training quantisations, on OpenVINO IR."""
    for technique, apply in APPLY.items():
        yield Implementation(
            technique=technique,
            format="openvino-ir",
            apply=apply,
            available=_available,
            requires=("nncf", "openvino"),
        )
