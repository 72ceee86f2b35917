"""`zoo:minilm`: the sentence encoder all-MiniLM-L6-v2, and a head for positive or negative that is fitted here once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench_zoo import minilm_files, sentiment
from bench_zoo.fingerprint import network_sha256, source_sha256
from harness import Model, TensorSpec

if TYPE_CHECKING:
    from pathlib import Path

REF = "zoo:minilm"
DISTRIBUTIONS = ("torch", "numpy", "safetensors", "tokenizers")
SOURCES = ("minilm.py", "minilm_network.py", "minilm_head.py", "minilm_files.py", "sentiment.py", "trained.py")
INPUTS = ("input_ids", "attention_mask")


def identity() -> str:
    """Identity of the model and its data, without loading anything."""
    return source_sha256(SOURCES, *minilm_files.FILES.values())


def load(cache: Path) -> Model:
    """Load the network, fitting its head first when the cache folder has none for this identity.

    Raises:
        ArtifactError: An archive is missing or not the pinned one.
    """
    import safetensors.torch
    import torch

    from bench_zoo.minilm_head import fit
    from bench_zoo.minilm_network import SentenceClassifier, Shape, encoder_state
    from bench_zoo.trained import load_or_train

    shape = Shape(positions=sentiment.LENGTH)
    network = SentenceClassifier(shape, len(sentiment.CLASSES))
    weights = safetensors.torch.load(minilm_files.read_encoder("model.safetensors"))
    network.encoder.load_state_dict(encoder_state(weights, shape))
    network.eval()
    sha256 = source_sha256(SOURCES, *minilm_files.FILES.values(), torch.__version__)
    _, remark = load_or_train(
        network.classifier,
        lambda: fit(network, sentiment.split("train")),
        cache / f"minilm-head-{sha256[:16]}.pt",
    )
    specs = (TensorSpec(name=name, shape=(None, sentiment.LENGTH), dtype="int64") for name in INPUTS)
    note = "Encoder all-MiniLM-L6-v2 (Apache-2.0), frozen; head fitted on sentences that vaderSentiment 3.3.2 ships."
    return Model(
        name="minilm",
        format="module",
        payload=network,
        inputs=tuple(specs),
        outputs=("logits",),
        example=tuple(rows[:1] for rows in sentiment.split("calibration").inputs),
        data=sentiment.data(),
        sha256=network_sha256(network, source_sha256(("minilm_network.py",))),
        note=f"{note} {remark}".strip(),
    )
