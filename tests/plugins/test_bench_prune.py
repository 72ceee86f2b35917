"""Magnitude pruning: exactly as many zeros as asked for, where weights are smallest, on a copy."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from bench_prune import harness_implementations, harness_techniques
from bench_prune.options import PruneMagnitude
from harness import ArtifactError, BuildContext, UnsupportedError

IMPLEMENTATION = next(i for i in harness_implementations() if i.technique == "prune-magnitude")


class Small(nn.Module):
    """Two convolutions and a linear layer of different scale, so that a global rank differs from one by layer."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b, self.head = nn.Conv2d(3, 8, 3), nn.Conv2d(8, 8, 3, groups=8), nn.Linear(8, 4)
        self.norm = nn.BatchNorm2d(8)
        with torch.no_grad():
            self.head.weight.mul_(10)
            self.a.weight.mul_(0.1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.b(self.norm(self.a(x))).mean((2, 3)))


@pytest.fixture
def module():
    torch.manual_seed(0)
    return Small()


@pytest.fixture
def notes():
    return []


def prune(module, notes, tmp_path, **options):
    context = BuildContext(
        workdir=tmp_path, seed=0, threads=1, data=None, example=(), inputs=(), outputs=(), note=notes.append
    )
    return IMPLEMENTATION.apply(module, PruneMagnitude(**options), context)


def layers(module):
    return {name: getattr(module, name).weight.detach() for name in ("a", "b", "head")}


@pytest.mark.parametrize("amount", [0.1, 0.5, 0.77])
@pytest.mark.parametrize("scope", ["global", "layer"])
def test_exactly_the_share_asked_for_becomes_zero(amount, scope, module, notes, tmp_path):
    pruned = layers(prune(module, notes, tmp_path, amount=amount, scope=scope))
    groups = [list(pruned.values())] if scope == "global" else [[weight] for weight in pruned.values()]
    for group in groups:
        elements = sum(weight.numel() for weight in group)
        assert sum(int((weight == 0).sum()) for weight in group) == round(amount * elements)


def test_every_weight_that_is_left_is_at_least_as_large_as_every_one_removed(module, notes, tmp_path):
    before, after = layers(module), layers(prune(module, notes, tmp_path, amount=0.6))
    kept = torch.cat([before[name][after[name] != 0].abs() for name in before])
    removed = torch.cat([before[name][after[name] == 0].abs() for name in before])
    assert kept.min() >= removed.max()
    assert all(torch.equal(before[name][after[name] != 0], after[name][after[name] != 0]) for name in before)


def test_ties_are_broken_alike_every_time(notes, tmp_path):
    module = nn.Linear(100, 10)
    nn.init.constant_(module.weight, 0.5)
    first, second = (prune(module, notes, tmp_path, amount=0.25).weight for _ in range(2))
    assert int((first == 0).sum()) == 250
    assert torch.equal(first, second)


def test_the_input_biases_and_normalisation_stay_as_they_were(module, notes, tmp_path):
    before = copy.deepcopy(module.state_dict())
    pruned = prune(module, notes, tmp_path).state_dict()
    assert all(torch.equal(before[name], value) for name, value in module.state_dict().items())
    untouched = [name for name in before if name not in {"a.weight", "b.weight", "head.weight"}]
    assert all(torch.equal(before[name], pruned[name]) for name in untouched)
    assert set(pruned) == set(before)


def test_the_pruned_module_is_an_ordinary_one(module, notes, tmp_path):
    pruned = prune(module, notes, tmp_path)
    assert all(isinstance(p, nn.Parameter) and p.requires_grad for p in pruned.parameters())
    assert not list(pruned.buffers(recurse=False))
    assert pruned(torch.zeros(1, 3, 8, 8)).shape == (1, 4)


def test_shared_weights_are_pruned_once(notes, tmp_path):
    module = nn.Sequential(nn.Linear(8, 8), nn.Linear(8, 8))
    module[1].weight = module[0].weight
    pruned = prune(module, notes, tmp_path, amount=0.5)
    assert pruned[0].weight is pruned[1].weight
    assert int((pruned[0].weight == 0).sum()) == 32


def test_the_note_says_how_sparse_it_is_and_where_most(module, notes, tmp_path):
    prune(module, notes, tmp_path, amount=0.5)
    (note,) = notes
    assert note.startswith("50.0% of 320 weights in 3 layers are zero; most in a: ")


@pytest.mark.parametrize("amount", [0.0, 1.0, -0.5, 1.5, float("nan")])
def test_an_amount_outside_its_range_is_refused_with_the_range(amount, module, notes, tmp_path):
    with pytest.raises(UnsupportedError, match=f"amount={amount}: must be above 0 and below 1"):
        prune(module, notes, tmp_path, amount=amount)


def test_a_module_without_prunable_layers_is_refused(notes, tmp_path):
    with pytest.raises(ArtifactError, match="no convolution or linear layer"):
        prune(nn.ReLU(), notes, tmp_path)


def test_half_of_the_weights_is_the_recipe_of_the_default_run():
    assert {t.name: t.default for t in harness_techniques() if t.default is not None} == {
        "prune-magnitude": "amount=0.5"
    }


def test_channels_go_before_any_weight_becomes_zero():
    assert {t.name: t.stage for t in harness_techniques()} == {
        "prune-channels": "structure",
        "prune-iterative": "sparsity",
        "prune-magnitude": "sparsity",
        "prune-scheduled": "sparsity",
    }


def test_every_technique_names_its_paper():
    assert all("arXiv:" in technique.source for technique in harness_techniques())
