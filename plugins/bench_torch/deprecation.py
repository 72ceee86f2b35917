"""What torch itself says of interfaces that it no longer develops, in its own words and with its version."""

from __future__ import annotations

import warnings
from contextlib import contextmanager
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from collections.abc import Iterator

ON_DEVICES = "on devices its successor is ExecuTorch, here the backend executorch"
"""Source: `torch.jit._script` of torch 2.13, "Lite Interpreter is deprecated. Please consider switching to
ExecuTorch."."""


@contextmanager
def held_back() -> Iterator[list[str]]:
    """Hold warnings back; yields the list that gets what they say, each once."""
    said: list[str] = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            yield said
        finally:
            said.extend(dict.fromkeys(" ".join(str(each.message).split()) for each in caught))


def of_torchscript(said: list[str]) -> str:
    """A line on TorchScript, with what torch said when the file was opened or made."""
    words = next((text for text in said if "torch.jit" in text), "")
    quoted = f": “{words}”" if words else ""
    return f"torch {torch.__version__} calls TorchScript deprecated{quoted}; {ON_DEVICES}"


def of_quantisation() -> str:
    """A line on `torch.ao.quantization`, with torch's own words."""
    from torch.ao.quantization.utils import DEPRECATION_WARNING

    words = DEPRECATION_WARNING.partition("\n")[0].strip()
    return (
        f"made by torch.ao.quantization, which torch itself calls deprecated: “{words}” (it is still there in "
        f"{torch.__version__}); its successor is torchao (quantize_, prepare_pt2e and convert_pt2e), whose programs "
        "run in int8 on other backends here, such as executorch"
    )
