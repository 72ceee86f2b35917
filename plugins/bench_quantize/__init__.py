"""Post-training quantisation of ONNX files by ONNX Runtime: fp16, int8 without and with calibration."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench_quantize.options import Int8Dynamic, Int8Static
from harness import AVAILABLE, Availability, BuildContext, Implementation, NoOptions, Technique, hookimpl

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

HARNESS_API = 1

INSTALL = 'pip install "edge-bench[onnxruntime]"'


def _available() -> Availability:
    from importlib.util import find_spec

    missing = [name for name in ("onnx", "onnxruntime") if find_spec(name) is None]
    if missing:
        return Availability(ok=False, reason=f"{' and '.join(missing)} not installed", install=INSTALL)
    return AVAILABLE


def _fp16(path: Path, options: NoOptions, context: BuildContext) -> Path:  # noqa: ARG001 - there are none
    from bench_quantize.half import to_fp16

    return to_fp16(path, context)


def _int8_dynamic(path: Path, options: Int8Dynamic, context: BuildContext) -> Path:
    from bench_quantize.dynamic import quantise_dynamic

    return quantise_dynamic(path, options, context)


def _int8_static(path: Path, options: Int8Static, context: BuildContext) -> Path:
    from bench_quantize.static import quantise_static

    return quantise_static(path, options, context)


@hookimpl
def harness_techniques() -> Iterable[Technique]:
    """Three quantisations that need no training."""
    yield Technique(
        name="fp16",
        summary="weights and arithmetic in half precision, inputs and outputs in float",
        stage="artifact",
        source="Micikevicius et al., Mixed Precision Training, ICLR 2018, arXiv:1710.03740",
        default="",
    )
    yield Technique(
        name="int8-dynamic",
        summary="int8 weights, activations quantised by their own range at every inference",
        stage="artifact",
        options=Int8Dynamic,
        source="ONNX Runtime, Quantize ONNX models: dynamic quantisation; "
        "Krishnamoorthi, arXiv:1806.08342, section 3.1",
        default="",
    )
    yield Technique(
        name="int8-static",
        summary="int8 weights and activations, ranges of activations calibrated on data",
        stage="artifact",
        options=Int8Static,
        needs=frozenset({"calibration"}),
        source="Jacob et al., Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only "
        "Inference, CVPR 2018, arXiv:1712.05877",
        default="",
    )


@hookimpl
def harness_implementations() -> Iterable[Implementation]:
    """All three on ONNX files."""
    for technique, apply in (("fp16", _fp16), ("int8-dynamic", _int8_dynamic), ("int8-static", _int8_static)):
        yield Implementation(
            technique=technique,
            format="onnx",
            apply=apply,
            available=_available,
            requires=("onnx", "onnxruntime"),
        )
