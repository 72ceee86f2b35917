"""The network of `zoo:minilm`: a BERT encoder, the mean over the words, and a linear head.

Source: Devlin et al., BERT, https://arxiv.org/abs/1810.04805; Wang et al., MiniLM, https://arxiv.org/abs/2002.10957;
mean and length 1 as in sentence-transformers' all-MiniLM-L6-v2.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import nn

if TYPE_CHECKING:
    from collections.abc import Mapping

MASKED = -1e4
"""Added to the scores of padding before softmax: its weight is then exactly 0, in half precision too."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """Sizes of the encoder; the defaults are those of all-MiniLM-L6-v2, cut to the 64 positions that are used."""

    vocabulary: int = 30_522
    positions: int = 64
    layers: int = 6
    width: int = 384
    heads: int = 12
    inner: int = 1_536


class Layer(nn.Module):
    """Attention and two linear layers, each added to its input and normalised after."""

    def __init__(self, shape: Shape) -> None:
        """Build the layers with random weights."""
        super().__init__()
        self.heads = shape.heads
        self.query = nn.Linear(shape.width, shape.width)
        self.key = nn.Linear(shape.width, shape.width)
        self.value = nn.Linear(shape.width, shape.width)
        self.attended = nn.Linear(shape.width, shape.width)
        self.attention_norm = nn.LayerNorm(shape.width, eps=1e-12)
        self.widen = nn.Linear(shape.width, shape.inner)
        self.gelu = nn.GELU()
        self.narrow = nn.Linear(shape.inner, shape.width)
        self.norm = nn.LayerNorm(shape.width, eps=1e-12)

    def forward(self, words: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Return words `(batch, length, width)`; the mask `(batch, 1, 1, length)` is added to the scores."""
        query, key, value = (self._by_head(of(words)) for of in (self.query, self.key, self.value))
        scores = query @ key.transpose(2, 3) * query.shape[-1] ** -0.5 + mask
        mixed = (scores.softmax(dim=-1) @ value).transpose(1, 2).flatten(2)
        words = self.attention_norm(words + self.attended(mixed))
        out: torch.Tensor = self.norm(words + self.narrow(self.gelu(self.widen(words))))
        return out

    def _by_head(self, words: torch.Tensor) -> torch.Tensor:
        """`(batch, length, width)` to `(batch, heads, length, width / heads)`."""
        return words.unflatten(2, (self.heads, -1)).transpose(1, 2)


class Encoder(nn.Module):
    """Turns a sentence into a vector of length 1; similar sentences have a higher scalar product."""

    def __init__(self, shape: Shape) -> None:
        """Build the layers with random weights."""
        super().__init__()
        self.words = nn.Embedding(shape.vocabulary, shape.width)
        self.positions = nn.Parameter(torch.zeros(shape.positions, shape.width))
        self.norm = nn.LayerNorm(shape.width, eps=1e-12)
        self.layers = nn.ModuleList(Layer(shape) for _ in range(shape.layers))

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        """Return `(batch, width)` of numbers of words and 1 for each, 0 for padding: both `(batch, length)` int64."""
        kept = attention_mask.to(self.positions.dtype)
        mask = (1 - kept)[:, None, None, :] * MASKED
        words = self.norm(self.words(input_ids) + self.positions[: input_ids.shape[1]])
        for layer in self.layers:
            words = layer(words, mask)
        mean = (words * kept[:, :, None]).sum(dim=1) / kept.sum(dim=1, keepdim=True)
        return nn.functional.normalize(mean, dim=1)


class SentenceClassifier(nn.Module):
    """Classifies sentences by a linear layer on the vectors of an encoder whose weights are frozen."""

    def __init__(self, shape: Shape, classes: int) -> None:
        """Build the layers with random weights."""
        super().__init__()
        self.encoder = Encoder(shape).requires_grad_(requires_grad=False)
        self.classifier = nn.Linear(shape.width, classes)

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        """Return logits `(batch, classes)`."""
        logits: torch.Tensor = self.classifier(self.encoder(input_ids, attention_mask))
        return logits


def encoder_state(bert: Mapping[str, torch.Tensor], shape: Shape) -> dict[str, torch.Tensor]:
    """Rename the tensors of a `BertModel` as transformers saves it to those of `Encoder`.

    A sentence is always of the first type, so that type's vector is added to every position; the pooler is not used.
    """
    state = {"words.weight": bert["embeddings.word_embeddings.weight"]}
    first_type = bert["embeddings.token_type_embeddings.weight"][0]
    state["positions"] = bert["embeddings.position_embeddings.weight"][: shape.positions] + first_type
    names = {
        "attention.self.query": "query", "attention.self.key": "key", "attention.self.value": "value",
        "attention.output.dense": "attended", "attention.output.LayerNorm": "attention_norm",
        "intermediate.dense": "widen", "output.dense": "narrow", "output.LayerNorm": "norm",
    }  # fmt: skip
    for end in ("weight", "bias"):
        state[f"norm.{end}"] = bert[f"embeddings.LayerNorm.{end}"]
        for layer in range(shape.layers):
            for theirs, ours in names.items():
                state[f"layers.{layer}.{ours}.{end}"] = bert[f"encoder.layer.{layer}.{theirs}.{end}"]
    return state
