"""Low-rank techniques on whole modules: smaller, working, said aloud, and nothing broken that reads weights itself."""

from __future__ import annotations

import copy
import pickle
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from bench_lowrank import harness_implementations, harness_techniques
from bench_lowrank.options import LowRankCp, LowRankSvd, LowRankTucker
from harness import ArtifactError, BuildContext, Data, Score, Split, Trained, UnsupportedError

APPLY = {implementation.technique: implementation.apply for implementation in harness_implementations()}
TECHNIQUES = {technique.name: technique for technique in harness_techniques()}
SVD, CP, TUCKER = "low-rank-svd", "low-rank-cp", "low-rank-tucker"
HALF = {SVD: LowRankSvd(parameters=0.5), CP: LowRankCp(epochs=0), TUCKER: LowRankTucker(epochs=0)}


class Small(nn.Module):
    """Convolutions of every kind that matters here, with normalisation between, and a linear head."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(3, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16), nn.ReLU(inplace=True),
            nn.Conv2d(16, 16, 3, padding=1, groups=16),
            nn.Conv2d(16, 24, 1),
            nn.Conv2d(24, 24, (1, 5), stride=(1, 2), padding=(0, 2)), nn.ReLU(inplace=True),
        )  # fmt: skip
        self.head = nn.Linear(24, 20)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.features(x).mean((2, 3)))


class Lone(nn.Module):
    """One layer, with whatever else a test hangs onto it."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layer(x)


class ReadsWeight(nn.Module):
    """Calls its first layer, and reads the weight of the second past its forward."""

    def __init__(self) -> None:
        super().__init__()
        self.called, self.read = nn.Linear(20, 20), nn.Linear(20, 20)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.read(self.called(x))
        return y + 0.1 * self.read.weight.sum()


class Odd(nn.Conv2d):
    """A convolution that pads by itself, as some networks' own classes do."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(nn.functional.pad(x, (0, 1, 0, 1)))


class Even(nn.Conv2d):
    """A class of its own that does what its base does."""


@pytest.fixture
def module():
    torch.manual_seed(0)
    made = Small().eval()
    made.features[1].running_mean.normal_()
    return made


@pytest.fixture
def notes():
    return []


@pytest.fixture
def make(notes, tmp_path):
    def context(shape=(3, 8, 8), **changed):
        example = (np.random.default_rng(0).normal(size=(1, *shape)).astype(np.float32),)
        made = BuildContext(
            workdir=tmp_path, seed=0, threads=1, data=None, example=example, inputs=(), outputs=(), note=notes.append
        )
        return replace(made, **changed)

    return context


def size(module):
    return sum(parameter.numel() for parameter in module.parameters())


def plain_steps(module, training):
    """A trainer of three steps towards zero."""
    optimiser = torch.optim.SGD(module.parameters(), lr=training.learning_rate)
    module.train()
    losses = []
    for _ in range(3):
        loss = module(torch.ones(4, 3, 8, 8)).square().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(float(loss.detach()))
    module.eval()
    return Trained(steps=3, rows=4, first_loss=losses[0], last_loss=losses[-1])


@pytest.mark.parametrize("name", HALF)
def test_the_module_gets_smaller_and_still_does_about_the_same(name, module, notes, make):
    made = APPLY[name](module, HALF[name], make())
    x = torch.randn(4, 3, 8, 8)
    assert size(made) < size(module)
    assert made(x).shape == module(x).shape
    assert any(note.startswith(f"{size(made)} of {size(module)} parameters left") for note in notes)
    assert any(note.startswith("largest relative error of a layer 0.") for note in notes)


@pytest.mark.parametrize("name", HALF)
def test_the_input_is_left_untouched(name, module, make):
    before = copy.deepcopy(module.state_dict())
    APPLY[name](module, HALF[name], make())
    after = module.state_dict()
    assert list(after) == list(before)
    assert all(torch.equal(after[key], value) for key, value in before.items())


@pytest.mark.parametrize("name", HALF)
def test_the_result_is_an_ordinary_module(name, module, make):
    made = APPLY[name](module, HALF[name], make())
    x = torch.randn(1, 3, 8, 8)
    assert all(type(part).__module__.startswith("torch.nn") for part in made.modules() if part is not made)
    assert all(isinstance(p, nn.Parameter) and p.is_leaf and p.requires_grad for p in made.parameters())
    assert torch.equal(copy.deepcopy(made)(x), made(x))
    assert torch.equal(pickle.loads(pickle.dumps(made))(x), made(x))
    exported = torch.export.export(made, (x,)).module()
    assert torch.allclose(exported(x), made(x), atol=1e-6)
    assert isinstance(made.features[1], nn.BatchNorm2d)


@pytest.mark.parametrize("share", [0.4, 0.5, 0.7, 0.9])
def test_svd_keeps_the_share_of_the_whole_network_that_was_asked_for(share, module, make):
    made = APPLY[SVD](module, LowRankSvd(parameters=share), make())
    assert 0.9 * share * size(module) < size(made) <= share * size(module)


def test_svd_by_energy_keeps_each_layer_within_its_error(module, make):
    module.head.weight.data = torch.outer(torch.randn(20), torch.randn(24)) + 1e-3 * torch.randn(20, 24)
    made = APPLY[SVD](module, LowRankSvd(energy=0.99), make())
    assert made.head.reduce.out_features == 1
    lost = made.head.restore.weight @ made.head.reduce.weight - module.head.weight
    assert lost.norm() < 0.1 * module.head.weight.norm()


def test_svd_of_pointwise_layers_only_leaves_other_convolutions(module, notes, make):
    made = APPLY[SVD](module, LowRankSvd(parameters=0.9, convolutions="pointwise"), make())
    assert isinstance(made.features[5], nn.Conv2d)
    assert "left alone, convolutions='pointwise': features.0, features.5" in notes


def test_svd_by_responses_loses_nothing_where_the_data_has_few_directions(make):
    torch.manual_seed(0)
    rows = (torch.randn(64, 2) @ torch.randn(2, 20)).numpy()
    layer = nn.Linear(20, 20)
    data = Data(name="few", sha256="", metric="top1", splits={"calibration": lambda: Split(inputs=(rows,))})
    options = LowRankSvd(energy=0.999999, error="responses")
    made = APPLY[SVD](layer, options, make((20,), data=data))
    assert made.reduce.out_features == 2
    x = torch.from_numpy(rows)
    assert torch.allclose(made(x), layer(x), atol=1e-4)


def test_svd_by_responses_makes_up_for_their_mean(make):
    torch.manual_seed(0)
    rows = (torch.randn(64, 1) @ torch.randn(1, 20) + torch.randn(20)).numpy()
    layer = nn.Linear(20, 20)
    data = Data(name="offset", sha256="", metric="top1", splits={"calibration": lambda: Split(inputs=(rows,))})
    made = APPLY[SVD](layer, LowRankSvd(energy=0.999999, error="responses"), make((20,), data=data))
    assert made.reduce.out_features == 1
    assert torch.allclose(made(torch.from_numpy(rows)), layer(torch.from_numpy(rows)), atol=1e-4)


def test_svd_by_responses_leaves_layers_alone_that_have_too_few(notes, make):
    rows = np.ones((4, 20), np.float32)
    data = Data(name="few", sha256="", metric="top1", splits={"calibration": lambda: Split(inputs=(rows,))})
    with pytest.raises(ArtifactError, match="fewer responses than they have outputs"):
        APPLY[SVD](nn.Linear(20, 20), LowRankSvd(error="responses"), make((20,), data=data))


def test_svd_by_responses_needs_calibration_rows(module, make):
    with pytest.raises(ArtifactError, match="needs calibration rows"):
        APPLY[SVD](module, LowRankSvd(error="responses"), make())


def test_svd_for_latency_factorises_only_where_the_estimate_falls(module, notes, make):
    def cost(made):
        return 10.0 - isinstance(made.head, nn.Sequential) + isinstance(made.features[4], nn.Sequential)

    options = LowRankSvd(parameters=0.5, latency=True)
    made = APPLY[SVD](module, options, make(graph=lambda made: made, cost=cost))
    assert isinstance(made.head, nn.Sequential)
    assert isinstance(made.features[4], nn.Conv2d)
    assert isinstance(made.features[5], nn.Conv2d)
    assert torch.equal(made.features[4].weight, module.features[4].weight)
    assert "estimated latency on the device 10 → 9 ms" in notes
    assert any(note.startswith("left alone, estimated to be no faster on the device: ") for note in notes)


@pytest.mark.parametrize("name", HALF)
def test_layers_that_would_not_get_smaller_stay_with_a_note(name, notes, make):
    options = {
        SVD: LowRankSvd(energy=0.999),
        CP: LowRankCp(rank=30, epochs=0),
        TUCKER: LowRankTucker(rank=30, epochs=0),
    }
    torch.manual_seed(0)
    small, large = nn.Conv2d(4, 4, 3), nn.Conv2d(4, 40, 3)
    with torch.no_grad():
        large.weight.copy_((torch.randn(40, 1) @ torch.randn(1, 36)).view_as(large.weight))
    module = nn.Sequential(small, large)
    if name == SVD:
        made = APPLY[name](module, options[name], make((4, 8, 8)))
        assert isinstance(made[0], nn.Conv2d)
        assert isinstance(made[1], nn.Sequential)
        assert "left alone, their factors would be as large as they are: 0" in notes
    else:
        with pytest.raises(ArtifactError, match="as large as they are, or larger than asked for: 0"):
            APPLY[name](nn.Sequential(small), options[name], make((4, 8, 8)))


@pytest.mark.parametrize("name", [CP, TUCKER])
def test_the_tensor_techniques_leave_grouped_pointwise_transposed_and_linear_layers(name, module, notes, make):
    module.features.append(nn.ConvTranspose2d(24, 24, 3))
    made = APPLY[name](module, HALF[name], make())
    kinds = [type(layer) for layer in made.features]
    assert kinds[0] is kinds[5] is nn.Sequential
    assert kinds[3] is kinds[4] is nn.Conv2d
    assert kinds[7] is nn.ConvTranspose2d
    assert "left alone, grouped convolutions: features.3" in notes
    assert "left alone, transposed convolutions: features.7" in notes
    pointwise = "linear layers and 1×1 convolutions, which low-rank-svd factorises"
    assert f"left alone, {pointwise}: features.4, head" in notes


@pytest.mark.parametrize("name", HALF)
def test_a_layer_that_two_parents_share_is_replaced_in_both(name, make):
    torch.manual_seed(0)
    shared = nn.Conv2d(8, 8, 3, padding=1)
    made = APPLY[name](nn.Sequential(Lone(shared), nn.ReLU(), Lone(shared)), HALF[name], make((8, 6, 6)))
    assert isinstance(made[0].layer, nn.Sequential)
    assert made[0].layer is made[2].layer


def test_a_weight_that_two_layers_share_stays(notes, make):
    module = nn.Sequential(nn.Linear(20, 20), nn.Linear(20, 20), nn.Linear(20, 20))
    module[1].weight = module[0].weight
    made = APPLY[SVD](module, LowRankSvd(energy=0.5), make((20,)))
    assert made[0].weight is made[1].weight
    assert "left alone, another layer shares their parameters: 0, 1" in notes


def test_a_layer_whose_weight_the_parent_reads_stays(notes, make):
    torch.manual_seed(0)
    module = ReadsWeight()
    made = APPLY[SVD](module, LowRankSvd(energy=0.5), make((20,)))
    assert isinstance(made.called, nn.Sequential)
    assert isinstance(made.read, nn.Linear)
    assert "left alone, the module does not work with anything else in their place: read" in notes


def test_a_transformer_block_still_works_in_evaluation_and_in_training(make):
    torch.manual_seed(0)
    block = nn.TransformerEncoderLayer(16, 2, 32, batch_first=True).eval()
    module = nn.Sequential(block, nn.Linear(16, 16))
    made = APPLY[SVD](module, LowRankSvd(energy=0.5), make((4, 16)))
    assert isinstance(made[1], nn.Sequential)
    assert type(made[0].self_attn.out_proj) is type(block.self_attn.out_proj)
    with torch.no_grad():
        assert made(torch.randn(2, 4, 16)).shape == (2, 4, 16)
    made.train()(torch.randn(2, 4, 16)).sum().backward()


@pytest.mark.parametrize("name", HALF)
def test_a_class_of_the_users_own_is_replaced_where_it_does_what_a_plain_layer_does(name, notes, make):
    torch.manual_seed(0)
    module = nn.Sequential(Even(8, 8, 3, padding=1), Odd(8, 8, 3, padding=1), nn.Conv2d(8, 8, 3))
    made = APPLY[name](module, HALF[name] if name != SVD else LowRankSvd(energy=0.5), make((8, 8, 8)))
    assert isinstance(made[0], nn.Sequential)
    assert type(made[1]) is Odd
    assert "left alone, Odd is no plain layer: 1" in notes


def test_hooked_parametrised_and_zero_layers_stay(notes, make):
    module = nn.Sequential(*(nn.Linear(20, 20) for _ in range(4)))
    module[0].register_forward_hook(lambda *_: None)
    nn.utils.parametrizations.weight_norm(module[1])
    nn.init.zeros_(module[2].weight)
    made = APPLY[SVD](module, LowRankSvd(energy=0.5), make((20,)))
    assert isinstance(made[3], nn.Sequential)
    assert "left alone, something hooks into them: 0" in notes
    assert "left alone, the weight is no plain float parameter: 1" in notes
    assert "left alone, all weights are zero: 2" in notes


def test_zeros_that_are_filled_are_said(notes, make):
    torch.manual_seed(0)
    layer = nn.Linear(20, 20)
    with torch.no_grad():
        layer.weight[:5].fill_(0.0)
    APPLY[SVD](nn.Sequential(layer), LowRankSvd(energy=0.5), make((20,)))
    assert "exact zeros, perhaps of an earlier pruning, are filled: 0 (25%)" in notes


def test_the_module_that_is_one_layer_becomes_its_factors(make):
    torch.manual_seed(0)
    made = APPLY[SVD](nn.Linear(20, 20), LowRankSvd(parameters=0.5), make((20,)))
    assert [type(part) for part in made] == [nn.Linear, nn.Linear]
    assert made(torch.zeros(1, 20)).shape == (1, 20)


def test_double_precision_and_frozen_weights_stay_so(make):
    layer = nn.Linear(20, 20).double().requires_grad_(requires_grad=False)
    made = APPLY[SVD](layer, LowRankSvd(parameters=0.5), make((20,), example=(np.ones((1, 20)),)))
    assert all(p.dtype == torch.float64 and not p.requires_grad for p in made.parameters())


@pytest.mark.parametrize("name", HALF)
def test_fine_tuning_goes_through_the_host_and_says_what_it_did(name, module, notes, make):
    scores = iter([0.5, 0.75])
    asked = []

    def train(made, training):
        asked.append(training)
        return plain_steps(made, training)

    context = make(train=train, score=lambda _made: Score(value=next(scores), n=8))
    still = APPLY[name](module, HALF[name], make())
    made = APPLY[name](module, replace(HALF[name], epochs=2.0, learning_rate=0.01), context)
    assert [(training.epochs, training.learning_rate) for training in asked] == [(2.0, 0.01)]
    assert not torch.equal(made.features[1].bias, still.features[1].bias)
    assert notes[-1].startswith("fine-tuned: 3 steps over 4 training rows")
    assert notes[-1].endswith("validation accuracy 50.0% → 75.0%")


DIGESTS = """
import hashlib
from pathlib import Path
import numpy as np
import torch
from bench_lowrank import harness_implementations
from bench_lowrank.options import LowRankCp, LowRankSvd, LowRankTucker
from harness import BuildContext
from torch import nn
torch.manual_seed(0)
module = nn.Sequential(nn.Conv2d(6, 12, 3), nn.ReLU(), nn.Conv2d(12, 12, (1, 3)))
context = BuildContext(workdir=Path(), seed=3, threads=1, data=None, inputs=(), outputs=(),
                       example=(np.ones((1, 6, 8, 8), np.float32),), note=lambda _: None)
options = LowRankSvd(parameters=0.5), LowRankCp(epochs=0), LowRankTucker(epochs=0)
torch.manual_seed(salt)
digests = []
for implementation, chosen in zip(harness_implementations(), options):
    made = implementation.apply(module, chosen, context)
    digests.append(hashlib.sha256(b"".join(p.detach().numpy().tobytes() for p in made.parameters())).hexdigest())
"""


def test_the_same_seed_gives_the_same_module_in_every_process():
    script = f"import sys; sys.path[:0] = {sys.path!r}; salt = 1\n{DIGESTS}\nprint(*digests)"
    elsewhere = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=120)
    here = {"salt": 2}
    exec(DIGESTS, here)
    assert elsewhere.stdout.split() == here["digests"]
    assert len(set(here["digests"])) == 3


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        (SVD, LowRankSvd(energy=1.0), "energy=1.0: must be above 0 and below 1"),
        (SVD, LowRankSvd(parameters=1.5), "parameters=1.5: must be above 0 and below 1"),
        (SVD, LowRankSvd(parameters=0.01), "parameters=0.01: rank 1 everywhere keeps"),
        (SVD, LowRankSvd(rows=0), "rows=0: must be 1 or more"),
        (SVD, LowRankSvd(latency=True), "latency=true: the run names no device"),
        (SVD, LowRankSvd(epochs=-1.0), "epochs=-1.0: must be 0 or more"),
        (CP, LowRankCp(parameters=0.0), "parameters=0.0: must be above 0 and below 1"),
        (CP, LowRankCp(rank=-1), "rank=-1: must be 0 or more"),
        (CP, LowRankCp(learning_rate=0.0), "learning_rate=0.0: must be above 0"),
        (TUCKER, LowRankTucker(iterations=0), "iterations=0: must be 1 or more"),
        (TUCKER, LowRankTucker(energy=-0.5), "energy=-0.5: must be above 0 and below 1"),
        (TUCKER, LowRankTucker(energy=0.9, rank=3), "rank=3 and energy=0.9 both set the ranks"),
    ],
)
def test_options_outside_their_range_are_refused_with_the_range(name, options, message, module, make):
    with pytest.raises(UnsupportedError, match=message):
        APPLY[name](module, options, make())


@pytest.mark.parametrize("name", HALF)
def test_a_module_without_any_such_layer_is_refused(name, make):
    with pytest.raises(ArtifactError, match="no layer can be factorised; it has no linear layer and no convolution"):
        APPLY[name](nn.ReLU(), replace(HALF[name], **({"parameters": 0.0} if name == SVD else {})), make())


def test_a_module_that_does_not_take_its_example_is_refused(module, make):
    with pytest.raises(ArtifactError, match="does not run on the example"):
        APPLY[SVD](module, LowRankSvd(), make((5, 8, 8)))


def test_each_gentler_step_keeps_more_until_there_is_none():
    def steps(name, options):
        found = []
        while (options := TECHNIQUES[name].gentler(options)) is not None:
            found.append(options)
        return found

    assert [o.energy for o in steps(SVD, LowRankSvd())] == [0.95, 0.98]
    assert [o.parameters for o in steps(SVD, LowRankSvd(parameters=0.5))] == [0.6, 0.7, 0.8, 0.9]
    assert [o.parameters for o in steps(CP, LowRankCp())] == [0.6, 0.7, 0.8, 0.9]
    assert [o.parameters for o in steps(TUCKER, LowRankTucker(parameters=0.65))] == [0.7, 0.8, 0.9]
    assert [o.energy for o in steps(TUCKER, LowRankTucker(energy=0.9))] == [0.95, 0.98]
    assert steps(CP, LowRankCp(rank=4)) == steps(TUCKER, LowRankTucker(rank=4)) == []


def test_what_a_technique_needs_depends_on_its_options():
    needs = {name: technique.needs_with for name, technique in TECHNIQUES.items()}
    assert needs[SVD](LowRankSvd()) == frozenset()
    assert needs[SVD](LowRankSvd(error="responses", latency=True)) == {"calibration", "cost"}
    assert needs[SVD](LowRankSvd(epochs=1.0)) == needs[CP](LowRankCp()) == {"train", "labels"}
    assert needs[TUCKER](LowRankTucker(epochs=0.0)) == frozenset()
