"""`onnx → openvino-ir`: the same network as OpenVINO's own file, floats as they were."""

from __future__ import annotations

import logging
import warnings
from typing import TYPE_CHECKING

from bench_openvino.session import ov, refused
from harness import ArtifactError, BuildContext

if TYPE_CHECKING:
    from pathlib import Path


def to_ir(path: Path, context: BuildContext) -> Path:
    """Convert an ONNX file to a folder with model.xml and model.bin; free dimensions stay free.

    Pairs of QuantizeLinear and DequantizeLinear become FakeQuantize and constants in int8, which OpenVINO executes in
    integers.

    Raises:
        ArtifactError: The file is missing or damaged.
        UnsupportedError: An operator that OpenVINO does not translate.
    """
    if not path.is_file():
        raise ArtifactError(f"no model at {path}", hint="Export the model again.")
    disabled = logging.root.manager.disable
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        logging.disable(logging.WARNING)
        try:
            model = ov.convert_model(path)
        except Exception as exc:
            raise refused(path, exc) from exc
        finally:
            logging.disable(disabled)
    folder = context.workdir / "ir"
    folder.mkdir()
    ov.save_model(model, folder / "model.xml", compress_to_fp16=False)
    return folder
