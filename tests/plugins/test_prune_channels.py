"""Channel pruning: smaller tensors that compute what the whole network computes with those channels silenced."""

from __future__ import annotations

import copy
import hashlib
import pickle
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional

from bench_prune import harness_implementations, harness_techniques
from bench_prune.allocation import ladder_of, step_of
from bench_prune.coupling import Group, Member, couple
from bench_prune.options import PruneChannels
from bench_prune.surgery import silenced, without
from bench_torch.trainer import count, train
from harness import ArtifactError, BuildContext, Data, Split, UnsupportedError

APPLY = next(i.apply for i in harness_implementations() if i.technique == "prune-channels")
TECHNIQUE = next(t for t in harness_techniques() if t.name == "prune-channels")


def block(channels, width, kernel=1, **options):
    return nn.Sequential(
        nn.Conv2d(channels, width, kernel, padding=kernel // 2, bias=False, **options), nn.BatchNorm2d(width), nn.ReLU()
    )


class Watch(nn.Module):
    """Convolutions along time, as in the smallest network of the zoo."""

    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(block(6, 24, 3), block(24, 32, 3), block(32, 40, 3))
        self.head = nn.Linear(40, 7)

    def forward(self, x):
        return self.head(self.features(x).mean((2, 3)))


class Residual(nn.Module):
    """Two additions, one of them around a convolution that strides."""

    def __init__(self):
        super().__init__()
        self.stem, self.b = block(6, 16, 3), block(16, 32, 3, stride=2)
        self.a = nn.Sequential(block(16, 24, 3), block(24, 16, 3))
        self.down, self.head = nn.Conv2d(16, 32, 1, stride=2), nn.Linear(32, 5)

    def forward(self, x):
        x = self.stem(x)
        x = x + self.a(x)
        return self.head((self.down(x) + self.b(x)).relu().mean((2, 3)))


class Mobile(nn.Module):
    """Inverted residuals with depthwise convolutions and squeeze-and-excite."""

    def __init__(self):
        super().__init__()
        self.stem = block(6, 16, 3)
        self.expand, self.depth = block(16, 48), block(48, 48, 3, groups=48)
        self.squeeze, self.excite = nn.Conv2d(48, 8, 1), nn.Conv2d(8, 48, 1)
        self.project, self.head = nn.Conv2d(48, 16, 1), nn.Linear(16, 5)

    def forward(self, x):
        x = self.stem(x)
        y = self.depth(self.expand(x))
        y = y * self.excite(self.squeeze(y.mean((2, 3), keepdim=True)).relu()).sigmoid()
        return self.head((x + self.project(y)).mean((2, 3)))


class Fire(nn.Module):
    """Concatenations, and a flatten of more than one position a channel before a linear layer."""

    def __init__(self):
        super().__init__()
        self.squeeze, self.one, self.three = block(6, 16), block(16, 24), block(16, 16, 3)
        self.again, self.fc, self.head = block(40, 16), nn.Linear(16 * 4, 32), nn.Linear(32, 4)

    def forward(self, x):
        x = self.squeeze(x)
        x = self.again(torch.cat([self.one(x), self.three(x)], 1))
        return self.head(self.fc(functional.adaptive_avg_pool2d(x, 2).flatten(1)).relu())


class Grouped(nn.Module):
    """A grouped and a transposed convolution; the last convolution is the output."""

    def __init__(self):
        super().__init__()
        self.a, self.g = block(6, 32, 3), block(32, 64, 3, groups=4)
        self.up, self.head = nn.ConvTranspose2d(64, 16, 2, stride=2), nn.Conv2d(16, 4, 1)

    def forward(self, x):
        return self.head(self.up(self.g(self.a(x))).relu())


class Attention(nn.Module):
    """One transformer layer: only the hidden features of its MLP may go."""

    def __init__(self):
        super().__init__()
        self.into, self.qkv, self.out = nn.Linear(6, 16), nn.Linear(16, 48), nn.Linear(16, 16)
        self.norm, self.up, self.down = nn.LayerNorm(16), nn.Linear(16, 64), nn.Linear(64, 16)
        self.head = nn.Linear(16, 3)

    def forward(self, x):
        x = self.into(x.flatten(2).transpose(1, 2))
        batch, rows, _ = x.shape
        q, k, v = self.qkv(x).reshape(batch, rows, 3, 2, 8).permute(2, 0, 3, 1, 4)
        x = x + self.out(functional.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(batch, rows, 16))
        return self.head((x + self.down(functional.gelu(self.up(self.norm(x))))).mean(1))


NETS = {c.__name__: c for c in (Watch, Residual, Mobile, Fire, Grouped)}
EXAMPLE = (np.random.default_rng(0).standard_normal((1, 6, 8, 8)).astype(np.float32),)


def make(kind):
    """A network in evaluation mode whose normalisation is not the identity."""
    torch.manual_seed(0)
    net = kind().eval()
    for part in net.modules():
        if isinstance(part, nn.BatchNorm2d):
            nn.init.uniform_(part.weight, 0.5, 1.5)
            nn.init.normal_(part.bias)
            nn.init.normal_(part.running_mean)
    return net


@pytest.fixture
def notes():
    return []


@pytest.fixture
def context(notes):
    draw = np.random.default_rng(1)
    split = Split(
        inputs=(draw.standard_normal((64, 6, 8, 8)).astype(np.float32),),
        labels=draw.integers(0, 4, 64).astype(np.int64),
    )
    data = Data(name="d", sha256="0", metric="top1", splits={"train": lambda: split})
    context = replace(bare(), data=data, note=notes.append)
    return replace(context, train=lambda module, training: train(module, training, context))


@pytest.fixture(scope="module")
def halved():
    """Each network with half its multiply-accumulates, pruned once for all tests."""
    found = {}

    def of(kind):
        if kind not in found:
            net = make(NETS[kind])
            found[kind] = net, prune(net, bare())
        return found[kind]

    return of


def bare():
    return BuildContext(
        workdir=Path(),
        seed=0,
        threads=1,
        data=None,
        example=EXAMPLE,
        inputs=(),
        outputs=("y",),
        note=lambda _: None,
        count=lambda module: count(module, EXAMPLE),
    )


def prune(net, context, **options):
    return APPLY(net, PruneChannels(**options), context)


def share(net, smaller, which):
    return count(smaller, EXAMPLE)[which] / count(net, EXAMPLE)[which]


@pytest.mark.parametrize("kind", NETS)
def test_half_the_macs_are_left_and_hardly_less(kind, halved):
    net, smaller = halved(kind)
    assert 0.42 < share(net, smaller, 1) <= 0.5


@pytest.mark.parametrize("scope", ["layer", "global"])
def test_finer_steps_come_closer(scope, context):
    net = make(Residual)
    assert 0.48 < share(net, prune(net, context, scope=scope, round_to=1), 1) <= 0.5


def test_parameters_are_a_target_too(context):
    net = make(Mobile)
    assert 0.55 < share(net, prune(net, context, parameters=0.6), 0) <= 0.6


@pytest.mark.parametrize("kind", [*NETS, "Attention"])
def test_what_is_left_computes_the_whole_network_with_the_same_channels_silenced(kind):
    net = make(NETS.get(kind, Attention))
    example = tuple(torch.from_numpy(x) for x in EXAMPLE)
    groups, _ = couple(copy.deepcopy(net), example, "l2")
    removed = [
        (group, set(range(0, group.channels // group.folds, 3)))
        for group in groups
        if group.name not in {"head", "qkv", "out"} and (kind != "Attention" or group.name == "up")
    ]
    assert removed
    x = torch.randn(3, 6, 8, 8)
    smaller = without(net, removed)
    assert share(net, smaller, 1) < 0.9
    assert torch.allclose(smaller(x), silenced(net, removed)(x), atol=1e-4)
    assert not torch.allclose(smaller(x), net(x), atol=1e-4)


@pytest.mark.parametrize("kind", NETS)
def test_outputs_and_inputs_keep_their_shape_and_the_network_given_is_untouched(kind, halved):
    net, smaller = halved(kind)
    x = torch.randn(5, 6, 8, 8)
    assert smaller(x).shape == net(x).shape
    assert all(torch.equal(value, net.state_dict()[name]) for name, value in make(NETS[kind]).state_dict().items())
    assert all(p.requires_grad and p.grad is None for p in smaller.parameters())


@pytest.mark.parametrize("kind", ["Mobile", "Fire"])
def test_the_result_copies_pickles_and_exports_with_a_free_batch(kind, halved):
    smaller = pickle.loads(pickle.dumps(copy.deepcopy(halved(kind)[1])))
    program = torch.export.export(
        smaller, (torch.randn(2, 6, 8, 8),), dynamic_shapes=({0: torch.export.Dim("batch", min=1, max=64)},)
    )
    x = torch.randn(7, 6, 8, 8)
    assert torch.allclose(program.module()(x), smaller(x), atol=1e-5)


def test_channels_are_a_multiple_of_round_to_and_narrow_layers_take_a_smaller_one(context, notes):
    smaller = prune(make(Mobile), context, macs=0.4)
    widths = {name: layer.out_channels for name, layer in smaller.named_modules() if isinstance(layer, nn.Conv2d)}
    assert widths.pop("squeeze") % 4 == 0
    assert all(width % 8 == 0 for width in widths.values())
    assert "rounded to less than round_to=8, being narrow: squeeze 4" in notes


@pytest.mark.parametrize("importance", ["l1", "l2", "taylor", "bn-scale"])
def test_every_importance_reaches_the_target(importance, context):
    net = make(Watch)
    assert share(net, prune(net, context, importance=importance), 1) <= 0.5


def test_the_least_important_channels_go(context):
    net = make(Watch)
    weak = [1, 5, 6, 7, 11, 12, 20, 22]
    with torch.no_grad():
        net.features[0][0].weight[weak] *= 1e-3
        net.features[0][1].weight[weak] *= 1e-3
        net.features[1][0].weight[:, weak] *= 1e-3
    smaller = prune(net, context, macs=0.87, scope="global")
    kept = [i for i in range(24) if i not in weak]
    assert torch.equal(smaller.features[0][0].weight, net.features[0][0].weight[kept])


def test_attention_and_what_is_normalised_across_stay_whole_and_the_rest_is_pruned(context, notes):
    net = make(Attention)
    smaller = prune(net, context, macs=0.8)
    assert smaller.up.out_features < 64
    assert smaller.qkv.weight.shape == (48, 16)
    assert smaller.into.out_features == 16
    assert any(note.startswith("all channels kept, ") and "qkv" in note for note in notes)


def test_a_target_out_of_reach_is_refused_with_the_least_there_is(context):
    with pytest.raises(UnsupportedError, match=r"macs=0\.01: 0\.\d+ of the macs is the least") as caught:
        prune(make(Watch), context, macs=0.01)
    assert "macs=0." in caught.value.hint


@pytest.mark.parametrize("wanted", [0.5, 0.7])
def test_latency_is_searched_for_and_both_figures_are_told(wanted, context, notes):
    context = replace(context, graph=lambda module: count(module, EXAMPLE)[1], cost=lambda macs: 1.0 + macs / 4e5)
    net = make(Watch)
    smaller = prune(net, context, latency=wanted, round_to=2)
    before, after = (1.0 + count(module, EXAMPLE)[1] / 4e5 for module in (net, smaller))
    assert wanted - 0.06 < after / before <= wanted
    assert notes[0].startswith(f"estimated latency {before:.4g} ms → {after:.4g} ms, {after / before:.1%} of it")


def test_a_latency_out_of_reach_is_refused_with_the_best_that_was_reached(context):
    context = replace(context, graph=lambda module: count(module, EXAMPLE)[1], cost=lambda macs: 1.0 + macs / 1e8)
    with pytest.raises(UnsupportedError, match=r"latency=0\.5: .* ms of .* ms \(0\.9\d+\) is the least"):
        prune(make(Watch), context, latency=0.5)


def test_without_batch_normalisation_its_scale_ranks_nothing(context):
    net = nn.Sequential(nn.Conv2d(6, 16, 3), nn.ReLU(), nn.Conv2d(16, 4, 1)).eval()
    with pytest.raises(UnsupportedError, match="importance=bn-scale: the module has no batch normalisation"):
        prune(net, context, importance="bn-scale")


def test_without_labelled_rows_no_gradient_ranks(context):
    with pytest.raises(UnsupportedError, match="importance=taylor: no labelled training rows"):
        prune(make(Watch), replace(context, data=None), importance="taylor")


def test_a_network_of_one_layer_has_nothing_to_remove(context):
    with pytest.raises(ArtifactError, match="no channels that could go"):
        prune(nn.Conv2d(6, 16, 3).eval(), context)


def test_fine_tuning_trains_what_is_left(context, notes):
    net = make(Watch)
    raw, tuned = prune(net, context), prune(net, context, epochs=1.0)
    assert not torch.equal(raw.head.weight, tuned.head.weight)
    assert raw.head.weight.shape == tuned.head.weight.shape
    assert "fine-tuned by 1 steps over 64 training rows" in notes[-1]


def test_frozen_parameters_stay_frozen(context):
    net = make(Watch)
    net.features[0][0].weight.requires_grad_(False)
    smaller = prune(net, context)
    assert [n for n, p in smaller.named_parameters() if not p.requires_grad] == ["features.0.0.weight"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"macs": 1.0}, "macs=1.0: must be above 0 and below 1"),
        ({"parameters": -0.5}, "parameters=-0.5: must be above 0"),
        ({"latency": float("nan")}, "latency=nan: must be above 0"),
        ({"macs": 0.5, "parameters": 0.5}, "macs=0.5, parameters=0.5: only one target at a time"),
        ({"round_to": 0}, "round_to=0: must be 1 or more"),
        ({"epochs": -1.0}, "epochs=-1.0: must be 0 or more"),
    ],
)
def test_an_option_outside_its_range_is_refused_with_the_range(options, message, context):
    with pytest.raises(UnsupportedError, match=message):
        prune(make(Watch), context, **options)


def test_weaker_tries_keep_more_of_the_same_target():
    tries, options = [], PruneChannels()
    while options is not None:
        tries.append(options.targets())
        options = TECHNIQUE.gentler(options)
    assert tries == [{"macs": share} for share in (0.5, 0.6, 0.7, 0.8, 0.9)]
    assert TECHNIQUE.gentler(PruneChannels(latency=0.7)).targets() == {"latency": 0.8}


def test_only_what_looks_at_rows_or_at_the_device_needs_them():
    rows = frozenset({"train", "labels"})
    assert TECHNIQUE.needs_with(PruneChannels()) == frozenset()
    assert TECHNIQUE.needs_with(PruneChannels(importance="taylor")) == rows
    assert TECHNIQUE.needs_with(PruneChannels(epochs=1.0, latency=0.5)) == rows | {"cost"}


@given(size=st.integers(1, 200), folds=st.sampled_from([1, 2, 4]), round_to=st.integers(1, 32), seed=st.integers(0, 9))
@settings(max_examples=100, deadline=None)
def test_widths_fall_in_steps_and_no_layer_loses_its_last_channel(size, folds, round_to, seed):
    channels = size * folds
    half = tuple(range(channels // 2 + 1))
    members = tuple(
        Member(layer=name, side="out", dim=0, size=channels, indices=roots, roots=roots)
        for name, roots in (("all", tuple(range(channels))), ("half", half))
    )
    worth = torch.from_numpy(np.random.default_rng(seed).random(size))
    group = Group(name="g", channels=channels, folds=folds, worth=worth, members=members, unranked="")
    ladder = ladder_of(group, round_to)
    assert ladder.rungs[0] == size
    assert list(ladder.rungs) == sorted(set(ladder.rungs), reverse=True)
    assert all(kept % step_of(size, folds, round_to) == 0 for kept in ladder.rungs[1:])
    for rung, kept in enumerate(ladder.rungs):
        gone = ladder.removed(rung)
        assert len(gone) == size - kept
        for member, indices in group.removals(gone).items():
            assert len(indices) == ladder.lost[member][size - kept] < len(member.indices)


SCRIPT = """
import sys
sys.path[:0] = {path!r}
import test_prune_channels as t
t.torch.set_num_threads(1)
print(t.digest(t.prune(t.make(t.Fire), t.bare())))
"""


def digest(net):
    tensors = b"".join(name.encode() + tensor.numpy().tobytes() for name, tensor in net.state_dict().items())
    return hashlib.sha256(tensors).hexdigest()


def test_another_process_with_another_hash_seed_prunes_alike(halved):
    script = SCRIPT.format(path=[str(Path(__file__).parent), *sys.path])
    found = subprocess.run(
        [sys.executable, "-c", script],
        env={"PYTHONHASHSEED": "1", "OMP_NUM_THREADS": "1", "PATH": "/usr/bin"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert found.stdout.strip() == digest(halved("Fire")[1])
