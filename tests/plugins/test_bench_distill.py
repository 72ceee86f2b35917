"""Distillation: the losses follow their papers, teacher and student see the same rows, and nothing is left behind."""

from __future__ import annotations

import copy
import dataclasses
import math
import pickle

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional

from bench_distill import harness_implementations, harness_techniques
from bench_distill.feature_loss import feature_loss, make_adapters
from bench_distill.feature_maps import FeatureMap, choose, feature_maps, match
from bench_distill.options import DistillFeature, DistillSoft, FineTune
from bench_distill.soft_targets import are_probabilities, as_logits, soft_loss
from bench_torch.trainer import count, train
from harness import BuildContext, Data, Split, UnsupportedError

TECHNIQUES = {technique.name: technique for technique in harness_techniques()}
APPLY = {implementation.technique: implementation.apply for implementation in harness_implementations()}
ROWS = 96


class Stages(nn.Sequential):
    """Three sizes of feature maps, dropout, and a linear layer on their mean."""

    def __init__(self, channels: int = 8) -> None:
        super().__init__(
            nn.Conv2d(2, channels, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(channels, channels, 3, stride=2, padding=1),
            nn.BatchNorm2d(channels),
            nn.ReLU(),
            nn.Dropout(0.2),
            nn.Conv2d(channels, 2 * channels, 3, stride=2, padding=1),
            nn.ReLU(),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Linear(2 * channels, 3),
        )


class Recorded(nn.Module):
    """Keeps the inputs that it is run on."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner, self.seen = inner, []

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.seen.append((x.clone(), self.training, torch.is_grad_enabled()))
        return self.inner(x)

    def __deepcopy__(self, memo: object) -> Recorded:
        made = Recorded(copy.deepcopy(self.inner))
        made.seen = self.seen
        return made


@pytest.fixture(scope="module")
def split():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, ROWS)
    inputs = rng.normal(size=(ROWS, 2, 8, 8)).astype(np.float32) + labels[:, None, None, None].astype(np.float32)
    return Split(inputs=(inputs,), labels=labels)


@pytest.fixture
def module():
    torch.manual_seed(0)
    return Stages().eval()


@pytest.fixture
def notes():
    return []


@pytest.fixture
def trainings():
    return []


@pytest.fixture
def context(module, split, notes, trainings, tmp_path):
    example = (split.inputs[0][:1],)

    def keep_and_train(module, training):
        trainings.append(training)
        return train(module, training, made)

    made = BuildContext(
        workdir=tmp_path,
        seed=1,
        threads=1,
        data=Data(
            name="",
            sha256="",
            metric="top1",
            splits={"train": lambda: split},
            augment=lambda inputs, rng: (inputs[0] + rng.normal(size=inputs[0].shape).astype(np.float32) / 10,),
        ),
        example=example,
        inputs=(),
        outputs=("scores",),
        note=notes.append,
        original=module,
        train=keep_and_train,
        count=lambda module: count(module, example),
    )
    return made


def with_labels(context, split, labels):
    data = dataclasses.replace(context.data, splits={"train": lambda: dataclasses.replace(split, labels=labels)})
    return dataclasses.replace(context, data=data)


def soft(module, context, **options):
    return APPLY["distill-soft"](module, DistillSoft(**{"epochs": 1, **options}), context)


def feature(module, context, **options):
    return APPLY["distill-feature"](module, DistillFeature(**{"epochs": 1, **options}), context)


def equal(one, other):
    return all(torch.equal(value, other.state_dict()[name]) for name, value in one.state_dict().items())


def hooks(network):
    return [layer for layer in network.modules() if layer._forward_hooks or layer._forward_pre_hooks]


def logits(seed, rows=4, classes=5):
    return torch.randn(rows, classes, generator=torch.Generator().manual_seed(seed))


# What is contributed


def test_three_module_techniques_are_contributed_with_their_papers():
    assert set(TECHNIQUES) == set(APPLY) == {"fine-tune", "distill-soft", "distill-feature"}
    assert all(technique.stage == "module" and "arXiv" in technique.source for technique in TECHNIQUES.values())


@pytest.mark.parametrize("name", ["distill-soft", "distill-feature"])
def test_labels_are_needed_unless_soft_targets_are_all(name):
    technique = TECHNIQUES[name]
    assert technique.needs_with(technique.options()) == {"train", "labels"}
    assert technique.needs_with(technique.options(alpha=1.0)) == {"train"}
    assert technique.references == {"student"}


@pytest.mark.parametrize("options", [DistillSoft, DistillFeature])
@pytest.mark.parametrize("student", ["width", "pruned"])
def test_a_derived_student_grows_by_an_eighth_until_it_is_the_teacher(options, student):
    gentler = TECHNIQUES["distill-soft"].gentler
    widths, tried = [], options(student=student)
    while tried is not None:
        widths.append(tried.width)
        tried = gentler(tried)
    assert widths == [0.5, 0.625, 0.75, 0.875]


@pytest.mark.parametrize("student", ["current", "zoo:other"])
def test_no_other_student_has_a_weaker_amount(student):
    assert TECHNIQUES["distill-soft"].gentler(DistillSoft(student=student)) is None


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("fine-tune", FineTune(epochs=0), "epochs=0: must be above 0"),
        ("fine-tune", FineTune(learning_rate=-1), "learning_rate=-1: must be above 0"),
        ("distill-soft", DistillSoft(temperature=0), "temperature=0: must be above 0"),
        ("distill-soft", DistillSoft(alpha=1.5), "alpha=1.5: must be from 0 to 1"),
        ("distill-soft", DistillSoft(student="width", width=1.0), "width=1.0: must be above 0 and below 1"),
        ("distill-feature", DistillFeature(weight=-0.1), "weight=-0.1: must be 0 or more"),
        ("distill-feature", DistillFeature(alpha=math.nan), "alpha=nan: must be from 0 to 1"),
    ],
)
def test_a_value_out_of_its_range_is_refused_with_the_range(name, options, message, module, context):
    with pytest.raises(UnsupportedError, match=message):
        APPLY[name](module, options, context)


# The loss of soft targets


def test_the_soft_loss_is_the_formula_of_the_paper():
    student, teacher, labels = logits(0), logits(1), torch.tensor([0, 4, 2, 1])
    p, q = (teacher / 3).softmax(1), (student / 3).softmax(1)
    expected = 0.6 * 9 * (p * (p / q).log()).sum(1).mean() + 0.4 * functional.cross_entropy(student, labels)
    torch.testing.assert_close(soft_loss(student, teacher, labels, alpha=0.6, temperature=3.0), expected)


@given(st.integers(0, 1000), st.floats(0.5, 20))
@settings(max_examples=25, deadline=None)
def test_soft_targets_cost_nothing_where_both_agree_and_something_elsewhere(seed, temperature):
    student, labels = logits(seed), torch.zeros(4, dtype=torch.int64)
    shifted = student + 3  # a constant on all classes changes no probability
    same = soft_loss(student, shifted, labels, alpha=1.0, temperature=temperature)
    assert abs(float(same)) < 1e-4
    assert float(soft_loss(student, logits(seed + 1), labels, alpha=1.0, temperature=temperature)) > 0


def test_at_high_temperature_gradients_are_those_of_matched_logits():
    """Hinton et al. 2015, equation 4: (z − v) / classes for logits of mean zero, times T² over T²; rows averaged."""
    student, teacher = (values - values.mean(1, keepdim=True) for values in (logits(0), logits(1)))
    student.requires_grad_()
    soft_loss(student, teacher, torch.zeros(4, dtype=torch.int64), alpha=1.0, temperature=1000.0).backward()
    torch.testing.assert_close(student.grad, (student.detach() - teacher) / 5 / 4, rtol=0.02, atol=1e-4)


def test_rows_without_a_label_count_for_the_soft_targets_only():
    student, teacher = logits(0), logits(1)
    some, none = torch.tensor([-1, 2, -1, 0]), torch.full((4,), -1)
    entropy = functional.cross_entropy(student[[1, 3]], some[[1, 3]])
    torch.testing.assert_close(soft_loss(student, teacher, some, alpha=0.0, temperature=1.0), entropy)
    assert float(soft_loss(student, teacher, none, alpha=0.0, temperature=1.0)) == 0
    assert float(soft_loss(student, teacher, none, alpha=0.5, temperature=1.0)) > 0


def test_probabilities_are_told_from_logits_and_turned_back_into_them():
    scores = logits(0)
    assert are_probabilities(scores.softmax(1))
    assert not are_probabilities(scores)
    back = as_logits(scores.softmax(1), probabilities=True)
    torch.testing.assert_close((back / 4).softmax(1), (scores / 4).softmax(1))


# Fine-tuning


def test_fine_tuning_trains_a_copy_on_the_labels_and_keeps_zeros(module, context, notes, trainings):
    with torch.no_grad():
        module[0].weight[:, 0] = 0
    before = copy.deepcopy(module)
    tuned = APPLY["fine-tune"](module, FineTune(epochs=2, keep_best=True), context)
    assert equal(module, before)
    assert not equal(tuned, module)
    assert not tuned[0].weight[:, 0].any()
    assert not tuned.training
    (training,) = trainings
    assert (training.epochs, training.loss, training.keep_best, training.keep_zeros) == (2, None, True, True)
    assert f"4 steps over {ROWS} training rows" in notes[-1]


# Distillation


def test_a_student_of_the_soft_targets_says_more_nearly_what_the_teacher_says(module, context, split):
    inputs = torch.from_numpy(split.inputs[0])
    fresh = copy.deepcopy(module)
    with torch.no_grad():
        for weight in fresh.parameters():
            weight.add_(torch.randn_like(weight) / 5)
        taught, before = module(inputs).log_softmax(1), fresh(inputs).log_softmax(1)
        after = soft(fresh, context, alpha=1.0, epochs=8)(inputs).log_softmax(1)
    divergence = [
        float(functional.kl_div(said, taught, reduction="batchmean", log_target=True)) for said in (before, after)
    ]
    assert divergence[1] < 0.5 * divergence[0]


@pytest.mark.parametrize("distil", [soft, feature])
def test_teacher_and_student_see_the_same_varied_rows_the_teacher_without_gradients(distil, context):
    torch.manual_seed(0)
    teacher, learner = Recorded(Stages().eval()), Recorded(Stages().eval())
    distil(learner, dataclasses.replace(context, original=teacher))
    taught = [x for x, _, _ in teacher.seen[-2:]]
    learned = [x for x, training, _ in learner.seen if training]
    assert len(learned) == 2
    assert all(torch.equal(one, other) for one, other in zip(taught, learned, strict=True))
    assert not any(training or gradients for _, training, gradients in teacher.seen)


@pytest.mark.parametrize("distil", [soft, feature])
def test_the_input_and_the_original_stay_as_they_were(distil, module, context):
    before = copy.deepcopy(module)
    made = distil(module, context)
    assert equal(module, before)
    assert not equal(made, before)
    assert all(p.requires_grad and p.grad is None for p in module.parameters())
    assert not hooks(module)


@pytest.mark.parametrize("student", ["current", "width"])
@pytest.mark.parametrize("distil", [soft, feature])
def test_the_student_can_be_copied_and_pickled_and_is_left_in_evaluation_mode(distil, student, module, context):
    made = distil(module, context, student=student)
    assert not hooks(made)
    assert not made.training
    for twin in (copy.deepcopy(made), pickle.loads(pickle.dumps(made))):
        assert equal(twin, made)


@pytest.mark.parametrize("distil", [soft, feature])
def test_the_same_seed_makes_the_same_student(distil, module, context):
    one, same = (distil(module, context, student="width") for _ in range(2))
    other = distil(module, dataclasses.replace(context, seed=2), student="width")
    assert equal(one, same)
    assert not equal(one, other)


def test_zeros_that_were_pruned_stay_through_distillation(module, context):
    pruned = copy.deepcopy(module)
    with torch.no_grad():
        pruned[2].weight[0] = 0
    assert not soft(pruned, context)[2].weight[0].any()


def test_the_mixture_of_losses_is_noted(module, context, notes):
    soft(module, context)
    assert notes[-1].startswith("0.7 soft targets at temperature ")
    soft(module, context, alpha=0.0)
    assert notes[-1].startswith("labels alone: 2 steps")
    feature(module, context, alpha=1.0, weight=0.5, temperature=3.0)
    assert notes[-1].startswith("1 soft targets at temperature 3, features by 0.5: ")


def test_without_any_label_soft_targets_alone_are_used_and_said(module, context, split, notes):
    unlabelled = soft(module, with_labels(context, split, None))
    assert any("no training row has a label: soft targets alone" in note for note in notes)
    notes.clear()
    asked = soft(module, with_labels(context, split, np.full(ROWS, -1)), alpha=1.0)
    assert not any("label" in note for note in notes)
    assert equal(unlabelled, asked)


def test_labels_alone_without_any_label_are_refused(module, context, split):
    with pytest.raises(UnsupportedError, match=r"alpha=0: learns from labels alone.*alpha=1 needs no labels"):
        soft(module, with_labels(context, split, np.full(ROWS, -1)), alpha=0.0)


def test_rows_without_a_label_are_counted_in_a_note(module, context, split, notes):
    soft(module, with_labels(context, split, np.where(np.arange(ROWS) < 10, -1, split.labels)))
    assert f"10 of {ROWS} training rows have no label and count for the soft targets only" in notes


def test_a_network_that_ends_in_a_softmax_is_taken_by_its_logarithm(module, context, notes):
    ending = nn.Sequential(*module, nn.Softmax(1)).eval()
    soft(ending, dataclasses.replace(context, original=ending))
    assert any("outputs are probabilities" in note for note in notes)


# Feature maps


def test_the_last_map_of_each_size_is_chosen(module, context):
    maps = feature_maps(module, (torch.zeros(1, 2, 8, 8),))
    assert [str(found) for found in choose(maps)] == ["1 (8×8×8)", "4 (8×4×4)", "7 (16×2×2)"]
    assert not hooks(module)


def test_sizes_that_only_padding_or_pooling_gives_are_no_stages():
    network = nn.Sequential(
        nn.ZeroPad2d(1),
        nn.Conv2d(2, 4, 3),
        nn.MaxPool2d(2),
        nn.ZeroPad2d(1),
        nn.Conv2d(4, 4, 3, stride=2),
        nn.Flatten(),
    ).append(nn.Linear(16, 3))
    maps = feature_maps(network, (torch.zeros(1, 2, 8, 8),))
    assert [found.name for found in choose(maps)] == ["1", "4"]


def test_evenly_spaced_layers_are_chosen_where_no_size_changes():
    network = nn.Sequential(*(layer for _ in range(8) for layer in (nn.Linear(6, 6), nn.ReLU())), nn.Linear(6, 3))
    maps = feature_maps(network, (torch.zeros(1, 6),))
    assert [found.name for found in choose(maps)] == ["2", "6", "10", "14"]


def test_what_is_no_feature_map_is_left_out():
    shared = nn.Linear(6, 6)
    network = nn.Sequential(shared, shared, nn.Dropout(), nn.ReLU(), nn.Linear(6, 3)).eval()
    maps = feature_maps(network, (torch.zeros(1, 6),))
    assert [found.name for found in maps] == ["3"]


def test_tokens_have_their_channels_last():
    network = nn.Sequential(nn.Embedding(9, 6), nn.Linear(6, 4), nn.ReLU(), nn.Flatten(), nn.Linear(20, 3))
    maps = feature_maps(network, (torch.zeros(1, 5, dtype=torch.int64),))
    assert [(found.name, found.channels, found.size) for found in maps[:3]] == [
        ("0", 6, (5,)),
        ("1", 4, (5,)),
        ("2", 4, (5,)),
    ]


def test_layers_are_matched_by_name_where_the_student_has_them_all(module):
    example = (torch.zeros(1, 2, 8, 8),)
    theirs, ours = feature_maps(module, example), feature_maps(Stages(4), example)
    pairs = match(choose(theirs), theirs, ours)
    assert all(one.name == other.name for one, other in pairs)


def test_layers_of_another_architecture_are_matched_by_depth_among_maps_of_as_many_sizes(module):
    student = nn.Sequential(
        nn.Conv2d(2, 4, 3, stride=2, padding=1),
        nn.Sequential(nn.Conv2d(4, 4, 3, padding=1), nn.ReLU()),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(4, 3),
    )
    example = (torch.zeros(1, 2, 8, 8),)
    theirs, ours = feature_maps(module, example), feature_maps(student, example)
    pairs = match(choose(theirs), theirs, ours)
    assert [(one.name, other.name) for one, other in pairs] == [("1", "0"), ("4", "1"), ("7", "1")]


def test_the_aligned_pairs_are_noted_and_adapters_are_trained_along_where_channels_differ(
    module, context, notes, trainings
):
    feature(module, context, student="width")
    assert "aligned, teacher with student: 1 (8×8×8) with 1 (4×8×8); 4 (8×4×4) with 4 (4×4×4); " in notes[1]
    ((adapters,),) = [training.also for training in trainings]
    assert [adapter.weight.shape for adapter in adapters] == [(8, 4, 1), (8, 4, 1), (16, 8, 1)]
    feature(module, context)
    assert trainings[-1].also == ()


def test_named_layers_are_aligned_and_unknown_ones_refused(module, context, notes):
    feature(module, context, layers=("2", "7"))
    assert "aligned, teacher with student: 2 (8×4×4) with 2 (8×4×4); 7 (16×2×2) with 7 (16×2×2)" in notes
    with pytest.raises(UnsupportedError, match=r"no feature map 'stem'.*among others"):
        feature(module, context, layers=("stem",))


def test_a_teacher_without_inner_layers_is_refused(context, split):
    flat = nn.Sequential(nn.Flatten(), nn.Linear(128, 3)).eval()
    one = nn.Linear(128, 3).eval()
    example = (split.inputs[0][:1].reshape(1, -1),)
    with pytest.raises(UnsupportedError, match=r"no feature map that could be aligned.*distill-soft"):
        feature(one, dataclasses.replace(context, original=one, example=example))
    with pytest.raises(UnsupportedError, match="no feature map that could be aligned"):
        feature(flat, dataclasses.replace(context, original=flat))


def test_features_without_weight_are_the_soft_targets_alone(module, context):
    assert equal(feature(module, context, student="width", weight=0.0), soft(module, context, student="width"))
    assert not equal(feature(module, context, student="width"), soft(module, context, student="width"))


def pair(theirs, ours):
    def found(name, shape):
        return FeatureMap(name=name, channels=shape[1], size=shape[2:], channels_last=False, depth=1.0, computes=True)

    return ((found("t", theirs), found("s", ours)),)


@given(st.floats(1e-3, 1e3))
@settings(max_examples=20, deadline=None)
def test_the_feature_loss_is_0_where_maps_agree_1_for_zeros_and_free_of_scale(scale):
    teacher = scale * torch.randn(2, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    pairs = pair((2, 3, 4, 4), (2, 3, 4, 4))
    adapters = make_adapters(pairs, 0)
    losses = [float(feature_loss(pairs, adapters, {"t": teacher}, {"s": k * teacher})) for k in (1.0, 0.0, 0.5)]
    assert losses == pytest.approx([0.0, 1.0, 0.25], rel=1e-4)


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ((2, 3, 4, 4), (2, 5, 4, 4)),
        ((2, 3, 8, 8), (2, 5, 4, 4)),
        ((2, 3, 4, 7), (2, 3, 5, 3)),
        ((2, 3, 9), (2, 5, 4)),
        ((2, 3, 4, 4), (2, 5)),
        ((2, 3, 4, 4), (2, 5, 6)),
        ((2, 3), (2, 5)),
    ],
)
def test_maps_of_any_two_shapes_can_be_aligned(theirs, ours):
    pairs = pair(theirs, ours)
    student = torch.randn(ours, requires_grad=True)
    loss = feature_loss(pairs, make_adapters(pairs, 0), {"t": torch.randn(theirs)}, {"s": student})
    loss.backward()
    assert math.isfinite(loss.item())
    assert student.grad.abs().sum() > 0


def test_adapters_are_seeded_and_leave_torch_s_random_state_alone():
    pairs = pair((2, 3, 4, 4), (2, 5, 4, 4))
    torch.manual_seed(5)
    expected = torch.rand(2)
    torch.manual_seed(5)
    one, same, other = (make_adapters(pairs, seed) for seed in (0, 0, 1))
    assert torch.equal(torch.rand(2), expected)
    assert equal(one, same)
    assert not equal(one, other)
