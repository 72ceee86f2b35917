"""Weights that are trained on first use: kept in a cached file, trained with a fixed seed on one thread."""

from __future__ import annotations

import os
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from torch import nn


def load_or_train(network: nn.Module, train: Callable[[], nn.Module], file: Path) -> tuple[nn.Module, str]:
    """Take the weights from a cached file, or train and write it in one step.

    Args:
        network: Gets the cached weights; of the same architecture as what is trained.
        train: Trains a network anew.
        file: Where the weights are kept.

    Returns:
        The network in evaluation mode, and a remark when a cached file had to be replaced.
    """
    remark = ""
    if file.is_file():
        try:
            network.load_state_dict(torch.load(file, weights_only=True))
            return network.eval(), remark
        except Exception as error:  # noqa: BLE001 -- torch raises whatever its reader stumbles over in a damaged file
            remark = f"The cached weights in {file.name} could not be read ({type(error).__name__}); trained again."
    network = train()
    file.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=file.parent, prefix=file.stem, suffix=".partial")
    try:
        with os.fdopen(handle, "wb") as out:
            torch.save(network.state_dict(), out)
        Path(temporary).replace(file)
    finally:
        Path(temporary).unlink(missing_ok=True)
    return network.eval(), remark


@contextmanager
def one_thread(seed: int) -> Iterator[None]:
    """One thread and a fixed seed: sums are taken in the same order however many cores there are; undone afterwards."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            yield
    finally:
        torch.set_num_threads(before)
