"""Pruning that trains: gradually along a polynomial, in rounds, and fine-tuning after one shot."""

from __future__ import annotations

import copy
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from bench_prune import harness_implementations, harness_techniques
from bench_prune.iterative import amounts
from bench_prune.options import PruneIterative, PruneMagnitude, PruneScheduled
from bench_prune.schedule import share_before
from harness import BuildContext, Data, Score, Split, Trained, UnsupportedError

APPLY = {i.technique: i.apply for i in harness_implementations()}
OPTIONS = {"prune-magnitude": PruneMagnitude, "prune-scheduled": PruneScheduled, "prune-iterative": PruneIterative}
TRAINING = ("prune-scheduled", "prune-iterative")


@pytest.fixture(scope="module")
def split():
    draw = np.random.default_rng(0)
    x = draw.standard_normal((256, 8)).astype(np.float32)
    return Split(inputs=(x,), labels=(x[:, 0] * x[:, 1] > 0).astype(np.int64))


@pytest.fixture
def context(split, tmp_path):
    """A context whose trainer takes plain steps, keeps zeros, and remembers what it was asked for."""
    notes, asked = [], []
    x, labels = torch.from_numpy(split.inputs[0]), torch.from_numpy(split.labels)

    def train(module, training):
        steps = round(training.epochs * 8)
        before = [float((p == 0).float().mean()) for p in module.parameters() if p.ndim > 1]
        for step in range(steps):
            if training.before_step:
                training.before_step(step, steps)
            zeros = [(p, p.detach() == 0) for p in module.parameters() if p.ndim > 1]
            rows = slice(step % 8 * 32, step % 8 * 32 + 32)
            nn.functional.cross_entropy(module(x[rows]), labels[rows]).backward()
            with torch.no_grad():
                for parameter in module.parameters():
                    parameter.sub_(training.learning_rate * parameter.grad)
                    parameter.grad = None
                for parameter, zero in zeros:
                    parameter[zero] = 0.0
        asked.append((training, before))
        return Trained(steps=steps, rows=len(x), first_loss=1.0, last_loss=0.5)

    def score(module):
        with torch.no_grad():
            return Score(value=float((module(x).argmax(1) == labels).float().mean()), n=len(x))

    context = BuildContext(
        workdir=tmp_path,
        seed=0,
        threads=1,
        data=Data(name="d", sha256="0", metric="top1", splits={"train": lambda: split}),
        example=(split.inputs[0][:1],),
        inputs=(),
        outputs=("logits",),
        note=notes.append,
        train=train,
        score=score,
    )
    return context, notes, asked


@pytest.fixture
def module():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(8, 32), nn.ReLU(), nn.Linear(32, 2)).eval()


def apply(name, module, context, **options):
    return APPLY[name](module, OPTIONS[name](**options), context)


def zeros(module):
    return sum(int((p == 0).sum()) for p in module.parameters() if p.ndim > 1)


@given(
    initial=st.floats(0, 0.5),
    final=st.floats(0.51, 0.99),
    begin=st.floats(0, 0.4),
    end=st.floats(0.41, 1),
    every=st.integers(1, 9),
    steps=st.integers(20, 400),
)
@settings(max_examples=60, deadline=None)
def test_the_share_of_zeros_never_falls_and_goes_from_the_initial_to_the_final_one(
    initial, final, begin, end, every, steps
):
    options = PruneScheduled(initial=initial, final=final, begin=begin, end=end, every=every)
    shares = [share_before(step, steps, options) for step in range(steps + every)]
    due = [share for share in shares if share is not None]
    assert due == sorted(due)
    assert due[0] == pytest.approx(initial)
    assert due[-1] == pytest.approx(final)


def test_the_schedule_is_the_papers_cubic():
    options = PruneScheduled(initial=0.2, final=0.8, begin=0.1, end=0.5, every=10)
    shares = {step: share_before(step, 100, options) for step in range(100)}
    assert [step for step, share in shares.items() if share is not None] == [10, 20, 30, 40, 50]
    assert shares[30] == pytest.approx(0.8 + (0.2 - 0.8) * (1 - 20 / 40) ** 3)


def test_an_exponent_of_one_prunes_at_an_even_pace():
    options = PruneScheduled(initial=0.0, final=0.8, begin=0.0, end=0.4, every=10, exponent=1.0)
    assert [share_before(step, 100, options) for step in (0, 10, 20, 30, 40)] == pytest.approx([0, 0.2, 0.4, 0.6, 0.8])


@given(st.floats(0.05, 0.99), st.integers(1, 10))
def test_every_round_keeps_the_same_share_of_what_the_one_before_kept(target, rounds):
    kept = [1.0, *(1.0 - amount for amount in amounts(target, rounds))]
    assert kept[-1] == pytest.approx(1.0 - target)
    assert np.ptp([after / before for before, after in pairwise(kept)]) < 1e-9


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("prune-scheduled", {"final": 0.75, "epochs": 4.0, "learning_rate": 0.1}),
        ("prune-scheduled", {"final": 0.75, "epochs": 0.25, "every": 50, "scope": "layer"}),
        ("prune-iterative", {"amount": 0.75, "rounds": 3, "epochs": 1.0, "learning_rate": 0.1}),
        ("prune-iterative", {"amount": 0.75, "rounds": 1, "epochs": 1.0, "scope": "layer"}),
        ("prune-magnitude", {"amount": 0.75, "epochs": 1.0}),
    ],
)
def test_training_ends_with_exactly_the_zeros_asked_for_in_a_copy(name, options, module, context):
    before = copy.deepcopy(module.state_dict())
    pruned = apply(name, module, context[0], **options)
    assert zeros(pruned) == 240
    assert not torch.equal(pruned[2].bias, module[2].bias)
    assert all(torch.equal(before[key], value) for key, value in module.state_dict().items())
    assert context[1][-1].startswith("75.0% of 320 weights in 2 layers are zero") or name == "prune-magnitude"


def test_what_the_schedule_set_to_zero_stays_zero(module, context):
    seen = []

    def watch(live, training):
        assert training.keep_zeros
        for step in range(20):
            training.before_step(step, 20)
            seen.append(live[0].weight.detach() == 0)
        return Trained(steps=20, rows=1, first_loss=1.0, last_loss=1.0)

    apply("prune-scheduled", module, replace(context[0], train=watch), final=0.8, every=1)
    assert all(bool((later | ~gone).all()) for gone, later in pairwise(seen))
    assert int(seen[0].sum()) < int(seen[-1].sum())


def test_each_round_is_told_with_its_sparsity_and_accuracy_and_only_the_last_keeps_its_best(module, context):
    build, notes, asked = context
    apply("prune-iterative", module, build, amount=0.9, rounds=2, epochs=1.0)
    assert notes[0].startswith("round 1 of 2: 68.4% zero, 8 steps over 256 training rows")
    assert notes[1].startswith("round 2 of 2: 90.0% zero")
    assert all("right on 256 validation rows" in note for note in notes[:2])
    assert [training.keep_best for training, _ in asked] == [False, True]
    assert asked[1][1][0] > asked[0][1][0]


def test_one_shot_trains_only_when_it_is_asked_to(module, context):
    build, notes, asked = context
    apply("prune-magnitude", module, build, amount=0.5)
    assert not asked
    apply("prune-magnitude", module, build, amount=0.5, epochs=1.0)
    assert len(asked) == 1
    assert "fine-tuned by 8 steps" in notes[-1]


@pytest.mark.parametrize("name", TRAINING)
def test_without_a_trainer_the_reason_is_given(name, module, context):
    lonely = BuildContext(
        workdir=context[0].workdir, seed=0, threads=1, data=None, example=(), inputs=(), outputs=(), note=print
    )
    with pytest.raises(UnsupportedError, match="nothing here can train"):
        apply(name, module, lonely)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("prune-scheduled", {"final": 1.0}, "final=1.0: must be above 0 and below 1"),
        ("prune-scheduled", {"initial": 0.9, "final": 0.8}, "initial=0.9: must be from 0 and below final=0.8"),
        ("prune-scheduled", {"begin": 0.6, "end": 0.5}, "begin=0.6, end=0.5: must be shares"),
        ("prune-scheduled", {"end": 1.5}, "end=1.5: must be shares"),
        ("prune-scheduled", {"every": 0}, "every=0: must be 1 or more"),
        ("prune-scheduled", {"exponent": 0.0}, "exponent=0.0: must be above 0"),
        ("prune-scheduled", {"epochs": 0.0}, "epochs=0.0: must be above 0"),
        ("prune-iterative", {"amount": 0.0}, "amount=0.0: must be above 0 and below 1"),
        ("prune-iterative", {"rounds": 0}, "rounds=0: must be 1 or more"),
        ("prune-iterative", {"epochs": float("nan")}, "epochs=nan: must be above 0"),
        ("prune-iterative", {"learning_rate": 0.0}, "learning_rate=0.0: must be above 0"),
        ("prune-magnitude", {"epochs": -1.0}, "epochs=-1.0: must be 0 or more"),
    ],
)
def test_an_option_outside_its_range_is_refused_with_the_range(name, options, message, module, context):
    with pytest.raises(UnsupportedError, match=message):
        apply(name, module, context[0], **options)


@pytest.mark.parametrize("name", OPTIONS)
def test_weaker_tries_have_fewer_zeros_until_there_are_none(name):
    technique = {t.name: t for t in harness_techniques()}[name]
    share = "final" if name == "prune-scheduled" else "amount"
    tries, options = [], OPTIONS[name](**{share: 0.9})
    while options is not None:
        tries.append(getattr(options, share))
        options = technique.gentler(options)
    assert tries[:3] == [0.9, 0.72, 0.576]
    assert tries == sorted(tries, reverse=True)
    assert len(tries) < 15


def test_only_what_trains_needs_data():
    needs = {t.name: t.needs_with(OPTIONS[t.name]()) for t in harness_techniques() if t.name in OPTIONS}
    rows = frozenset({"train", "labels"})
    assert needs == {"prune-magnitude": frozenset(), "prune-scheduled": rows, "prune-iterative": rows}
    magnitude = {t.name: t for t in harness_techniques()}["prune-magnitude"]
    assert magnitude.needs_with(PruneMagnitude(epochs=1.0)) == rows
