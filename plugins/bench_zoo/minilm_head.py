"""The head of `zoo:minilm`: logistic regression on the vectors of the frozen encoder."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from bench_zoo.trained import one_thread

if TYPE_CHECKING:
    from bench_zoo.minilm_network import Encoder, SentenceClassifier
    from harness import Split

SEED = 0
BATCH = 64
PENALTY = 1e-3
"""Of the squared weights, beside the mean loss of a row: the strongest that cost the validation split nothing."""
ITERATIONS = 200


def fit(network: SentenceClassifier, rows: Split) -> nn.Linear:
    """Fit the head in place, by L-BFGS from zero in double precision, and return it."""
    head = network.classifier
    with one_thread(SEED):
        vectors, labels = encode(network.encoder, rows).double(), torch.from_numpy(rows.labels)
        head.double()
        nn.init.zeros_(head.weight)
        nn.init.zeros_(head.bias)
        optimiser = torch.optim.LBFGS(head.parameters(), max_iter=ITERATIONS, line_search_fn="strong_wolfe")

        def loss() -> Any:
            optimiser.zero_grad()
            value = nn.functional.cross_entropy(head(vectors), labels) + PENALTY * head.weight.square().sum()
            value.backward()
            return value

        optimiser.step(loss)
    return head.float()


@torch.no_grad()
def encode(encoder: Encoder, rows: Split) -> torch.Tensor:
    """Vectors of every row, `(n, width)` float32; short sentences go together, without their common padding."""
    ids, mask = (torch.from_numpy(array) for array in rows.inputs)
    lengths = mask.sum(dim=1)
    order = torch.argsort(lengths, stable=True)
    vectors = torch.empty(len(ids), encoder.positions.shape[1])
    for batch in order.split(BATCH):
        longest = int(lengths[batch].max())
        vectors[batch] = encoder(ids[batch, :longest], mask[batch, :longest])
    return vectors
