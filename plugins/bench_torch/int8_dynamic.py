"""`int8-dynamic` from a checkpoint to TorchScript: weights in int8, activations quantised at every inference.

The module is changed by `torch.ao.quantization.quantize_dynamic` and traced; its 8-bit kernels take no other form that
torch could save and load again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from torch import nn

from bench_torch.checkpoint import load
from bench_torch.deprecation import held_back, of_quantisation
from bench_torch.int8_coverage import coverage, sentence
from bench_torch.script_export import write
from harness import BuildContext, UnsupportedError

if TYPE_CHECKING:
    from pathlib import Path

LINEAR: tuple[type[nn.Module], ...] = (nn.Linear, nn.LSTM, nn.GRU, nn.LSTMCell, nn.GRUCell, nn.RNNCell)
"""What is quantised: matrix products. Dynamic convolutions are left out, as those of torch 2.13 are wrong: the result
takes the range of the input (`apply_dynamic` in ATen/native/quantized/cpu/qconv_dynamic.cpp), so that after a ReLU
every negative sum becomes zero. On resnet-8 each was off by 0.5 to 0.9 of its output."""


def quantise_dynamic(path: Path, options: Any, context: BuildContext) -> Path:
    """Quantise the module of a checkpoint; inputs and outputs stay float, no data is needed.

    Raises:
        ArtifactError: The checkpoint cannot be read, or TorchScript does not take the quantised module.
        UnsupportedError: It holds no layer of the chosen kind.
    """
    module, _ = load(path)
    with held_back():
        made = _quantised(module, per_channel=options.per_channel)
    found = coverage(made)
    if not any(small for small, _ in found.values()):
        raise UnsupportedError("int8-dynamic found no linear or recurrent layer", hint="Take int8-static.")
    result = write(made, context, "int8-dynamic.pt")
    context.note(sentence(found))
    context.note(of_quantisation())
    return result


def _quantised(module: nn.Module, *, per_channel: bool) -> nn.Module:
    from torch.ao.quantization import default_dynamic_qconfig, per_channel_dynamic_qconfig, quantize_dynamic

    rule = per_channel_dynamic_qconfig if per_channel else default_dynamic_qconfig
    made: nn.Module = quantize_dynamic(module, dict.fromkeys(LINEAR, rule))
    return made
