"""`fp16` on IR: weights in half precision."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bench_nncf.ir import load, save, size_kb
from harness import UnsupportedError

if TYPE_CHECKING:
    from pathlib import Path

    from harness import BuildContext

LARGEST_FP16 = 65504.0
"""Largest finite number of IEEE 754 binary16."""


def to_fp16(path: Path, context: BuildContext) -> Path:
    """Store the float constants of an IR in half precision.

    Raises:
        ArtifactError: The file is missing or damaged.
        UnsupportedError: It is quantised already, or holds no constant in single precision.
    """
    model = load(path)
    constants = [n for n in model.get_ops() if n.get_type_name() == "Constant"]
    floats = [n for n in constants if n.output(0).get_element_type().get_type_name() == "f32"]
    if not any(node.output(0).get_shape() for node in floats):
        raise UnsupportedError("fp16 found no weight in single precision", hint="Leave it out for this model.")
    large = sum(bool(np.abs(node.data).max(initial=0.0) > LARGEST_FP16) for node in floats)
    result = save(model, context.workdir / "fp16", half=True)
    context.note(
        f"weights stored in half precision, {size_kb(path):,.0f} kB before, {size_kb(result):,.0f} kB after; OpenVINO "
        "computes in what the processor has and inference_precision allows, which is f32 unless asked for otherwise"
    )
    if large:
        context.note(f"{large} constants hold numbers beyond ±{LARGEST_FP16:.0f}: OpenVINO cuts them or leaves them")
    return result
