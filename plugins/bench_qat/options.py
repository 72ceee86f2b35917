"""Options of quantisation-aware training."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class QatInt8:
    """Options of `qat-int8`.

    Attributes:
        epochs: Passes over the training rows; 0 trains nothing, which is static quantisation of the network as it is.
        learning_rate: The highest; a tenth of what the network was trained with, or less, is usual.
        calibration_samples: Rows at most whose activations give the first ranges, before training starts.
        per_channel: One scale for each output channel of a weight, not one for the whole weight.
        freeze_after: Share of the steps after which the ranges of activations and the statistics of batch
            normalisation stay as they are, so that the weights settle in what will be deployed (Krishnamoorthi,
            Quantizing deep convolutional networks for efficient inference, arXiv:1806.08342, section 3.2.4).
    """

    epochs: float = 10.0
    learning_rate: float = 1e-3
    calibration_samples: int = 256
    per_channel: bool = True
    freeze_after: float = 0.7
