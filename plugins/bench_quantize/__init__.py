"""Post-training quantisation: fp16, int8 without and with calibration, weights alone in int8 or int4; on ONNX files."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench_quantize.gentler import gentler_dynamic, gentler_static, gentler_weights_int4, gentler_weights_int8
from bench_quantize.options import Int8Dynamic, Int8Static, WeightOnlyInt4, WeightOnlyInt8
from harness import BuildContext, Implementation, NoOptions, Technique, hookimpl, if_installed

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

HARNESS_API = 1


_available = if_installed("onnx", "onnxruntime", install="pip install 'edge-bench[onnxruntime]'")


def _fp16(path: Path, options: NoOptions, context: BuildContext) -> Path:  # noqa: ARG001 - there are none
    from bench_quantize.half import to_fp16

    return to_fp16(path, context)


def _int8_dynamic(path: Path, options: Int8Dynamic, context: BuildContext) -> Path:
    from bench_quantize.dynamic import quantise_dynamic

    return quantise_dynamic(path, options, context)


def _int8_static(path: Path, options: Int8Static, context: BuildContext) -> Path:
    from bench_quantize.static import quantise_static

    return quantise_static(path, options, context)


def _weight_only_int8(path: Path, options: WeightOnlyInt8, context: BuildContext) -> Path:
    from bench_quantize.weight_only import store_int8

    return store_int8(path, options, context)


def _weight_only_int4(path: Path, options: WeightOnlyInt4, context: BuildContext) -> Path:
    from bench_quantize.weight_only import store_int4

    return store_int4(path, options, context)


def _needs_of_static(options: Int8Static) -> frozenset[str]:
    return frozenset({"calibration"} | ({"validation", "labels"} if options.max_drop else set()))


@hookimpl
def harness_techniques() -> Iterable[Technique]:
    """Five quantisations that need no training."""
    yield Technique(
        name="fp16",
        summary="weights in half precision, and arithmetic where the runtime has it; inputs and outputs in float",
        stage="artifact",
        excludes="precision",
        deviation=1e-2,  # 2^-11 a rounding (IEEE 754 binary16), some times over through a network
        source="Micikevicius et al., Mixed Precision Training, ICLR 2018, arXiv:1710.03740",
        default="",
    )
    yield Technique(
        name="int8-dynamic",
        summary="int8 weights, activations quantised by their own range at every inference",
        stage="artifact",
        excludes="precision",
        deviation=None,
        options=Int8Dynamic,
        source="ONNX Runtime, Quantize ONNX models: dynamic quantisation; "
        "Krishnamoorthi, arXiv:1806.08342, section 3.1",
        default="",
        gentler=gentler_dynamic,
    )
    yield Technique(
        name="int8-static",
        summary="int8 weights and activations, ranges of activations calibrated on data",
        stage="artifact",
        excludes="precision",
        deviation=None,
        options=Int8Static,
        needs=_needs_of_static,
        source="Jacob et al., Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only "
        "Inference, CVPR 2018, arXiv:1712.05877",
        default="",
        gentler=gentler_static,
    )
    yield Technique(
        name="weight-only-int8",
        summary="weights stored in int8, a scale for each output channel; activations in float",
        stage="artifact",
        excludes="precision",
        deviation=None,
        options=WeightOnlyInt8,
        source="Krishnamoorthi, Quantizing deep convolutional networks for efficient inference, arXiv:1806.08342, "
        "section 3.1.1: weight only quantization",
        gentler=gentler_weights_int8,
    )
    yield Technique(
        name="weight-only-int4",
        summary="weights of linear layers stored in int4, a scale for each block, others in int8; activations in float",
        stage="artifact",
        excludes="precision",
        deviation=None,
        options=WeightOnlyInt4,
        source="Frantar et al., GPTQ, ICLR 2023, arXiv:2210.17323, section 4: round to nearest in groups",
        gentler=gentler_weights_int4,
    )


APPLY = {
    "fp16": _fp16,
    "int8-dynamic": _int8_dynamic,
    "int8-static": _int8_static,
    "weight-only-int8": _weight_only_int8,
    "weight-only-int4": _weight_only_int4,
}


@hookimpl
def harness_implementations() -> Iterable[Implementation]:
    """All of them on ONNX files."""
    for technique, apply in APPLY.items():
        yield Implementation(
            technique=technique,
            format="onnx",
            apply=apply,
            unsupported=frozenset({"max_drop"}) if technique == "int8-static" else frozenset(),
            available=_available,
            requires=("onnx", "onnxruntime"),
        )
