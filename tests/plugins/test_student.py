"""Students: derived ones are narrower with the same outputs and reproducible, and none throws work away unasked."""

from __future__ import annotations

import copy
import dataclasses
import os
import subprocess
import sys

import numpy as np
import pytest
import torch
from torch import nn

from bench_distill.narrower import narrower, output_layers, reinitialise
from bench_distill.options import DistillFeature, DistillSoft
from bench_distill.student import difference, student_of, teacher_of
from bench_torch.trainer import count
from harness import BuildContext, Model, UnsupportedError

INPUTS = (torch.zeros(1, 3, 8, 8),)


class Residual(nn.Module):
    """A convolution, a residual depthwise block, and a linear layer."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16), nn.ReLU())
        self.depthwise = nn.Conv2d(16, 16, 3, padding=1, groups=16)
        self.pointwise = nn.Conv2d(16, 16, 1)
        self.head = nn.Linear(16, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.stem(x)
        return self.head((x + self.pointwise(self.depthwise(x))).mean((2, 3)))


class TwoHeads(nn.Module):
    """Two outputs; the second is a sum that ends in a depthwise convolution."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Conv2d(3, 16, 3, padding=1)
        self.scores = nn.Linear(16, 5)
        self.a, self.b = nn.Conv2d(16, 8, 1), nn.Conv2d(16, 8, 1, bias=False)
        self.last = nn.Conv2d(8, 8, 3, padding=1, groups=8)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        x = self.body(x).relu()
        return self.scores(x.mean((2, 3))), self.last(self.a(x) + self.b(x))


class Scaled(nn.Module):
    """A parameter of its own, which nobody knows how to reset."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.scale, self.head = nn.Conv2d(3, 16, 3), nn.Parameter(torch.ones(1)), nn.Linear(16, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head((self.conv(x) * self.scale).mean((2, 3)))


class Folding(nn.Module):
    """A width written into the forward, so that no narrower network runs."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.head = nn.Conv2d(3, 16, 3), nn.Linear(16, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.conv(x).mean((2, 3)) + torch.ones(16))


def make(kind: type[nn.Module], seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    return kind().eval()


@pytest.fixture
def teacher():
    return make(Residual)


@pytest.fixture
def notes():
    return []


@pytest.fixture
def context(teacher, notes, tmp_path):
    return BuildContext(
        workdir=tmp_path,
        seed=3,
        threads=1,
        data=None,
        example=(np.zeros((1, 3, 8, 8), np.float32),),
        inputs=(),
        outputs=("scores",),
        note=notes.append,
        original=teacher,
        count=lambda module: count(module, (np.zeros((1, 3, 8, 8), np.float32),)),
    )


def student(module, context, **options):
    return student_of(module, teacher_of(context), DistillSoft(**options), context)


def loading(context, payload, fmt="module"):
    model = Model(
        name="other", format=fmt, payload=payload, inputs=(), outputs=("y",), example=(), data=None, sha256=""
    )
    return dataclasses.replace(context, load=lambda ref: model)


def test_a_derived_student_has_a_share_of_the_channels_and_the_same_outputs(teacher):
    half = narrower(teacher, 0.5, INPUTS)
    assert [half.stem[0].out_channels, half.depthwise.groups, half.pointwise.out_channels] == [8, 8, 8]
    assert (half.head.in_features, half.head.out_features) == (8, 5)
    assert half(INPUTS[0]).shape == (1, 5)


@pytest.mark.parametrize(("width", "channels"), [(0.1, 4), (0.3, 4), (0.45, 8), (0.625, 8), (0.65, 12), (0.75, 12)])
def test_widths_are_the_nearest_multiple_of_four_and_at_least_four(width, channels, teacher):
    assert narrower(teacher, width, INPUTS).stem[0].out_channels == channels


def test_the_teacher_stays_as_it_was_and_the_student_is_an_ordinary_network(teacher):
    before = copy.deepcopy(teacher.state_dict())
    half = narrower(teacher.requires_grad_(False), 0.5, INPUTS)
    assert all(torch.equal(before[name], value) for name, value in teacher.state_dict().items())
    assert not any(p.requires_grad for p in teacher.parameters())
    assert all(type(p) is nn.Parameter and p.requires_grad and p.grad is None for p in half.parameters())
    assert not any(layer._forward_hooks for layer in half.modules())


def test_every_output_keeps_its_channels_behind_sums_and_depthwise_layers():
    network = make(TwoHeads)
    assert set(output_layers(network, INPUTS)) == {network.scores, network.a, network.b}
    half = narrower(network, 0.5, INPUTS)
    assert half.body.out_channels == 8
    assert [output.shape for output in half(INPUTS[0])] == [(1, 5), (1, 8, 8, 8)]


def test_a_pruned_student_holds_the_strongest_channels_of_the_teacher():
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(6, 16), nn.ReLU(), nn.Linear(16, 3))
    strong = torch.tensor([1, 4, 5, 8, 9, 12, 13, 14])
    with torch.no_grad():
        network[0].weight[strong] *= 10
    half = narrower(network, 0.5, (torch.zeros(1, 6),))
    assert torch.equal(half[0].weight, network[0].weight[strong])
    assert torch.equal(half[2].weight, network[2].weight[:, strong])


def test_a_width_student_is_fresh_and_seeded(teacher, context):
    first, second = (student(teacher, context, student="width") for _ in range(2))
    other = student(teacher, dataclasses.replace(context, seed=4), student="width")
    pruned = student(teacher, context, student="pruned")
    assert difference(first, second) == ""
    assert difference(first, other) == "stem.0.weight has other values"
    assert difference(first, pruned) == "stem.0.weight has other values"


def test_fresh_start_values_leave_torch_s_random_state_alone(teacher):
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    reinitialise(copy.deepcopy(teacher), 0)
    assert torch.equal(torch.rand(3), expected)


def test_running_statistics_start_afresh_too(teacher):
    teacher.stem[1].running_mean.fill_(7)
    reinitialise(teacher, 0)
    assert not teacher.stem[1].running_mean.any()


def test_parameters_that_nobody_can_reset_are_refused_with_another_way():
    with pytest.raises(UnsupportedError, match=r"network \(Scaled\) cannot be initialised.*student=pruned"):
        reinitialise(make(Scaled), 0)


@pytest.mark.parametrize("network", [Folding, lambda: nn.Linear(192, 5)])
def test_a_network_that_cannot_be_narrowed_is_refused_with_another_way(network, capfd):
    made = make(network)
    inputs = INPUTS if isinstance(made, Folding) else (torch.zeros(1, 192),)
    with pytest.raises(UnsupportedError, match=r"(Folding|Linear).*student=current"):
        narrower(made, 0.5, inputs)
    assert capfd.readouterr() == ("", "")


def test_without_torch_pruning_the_command_that_installs_it_is_named(teacher, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch_pruning", None)
    with pytest.raises(UnsupportedError, match=r"pip install 'edge-bench\[compress\]'"):
        narrower(teacher, 0.5, INPUTS)


def test_two_fresh_processes_derive_and_train_the_same_student():
    script = """
import sys, numpy as np, torch
from torch import nn
from bench_distill.distillation import distill_feature
from bench_distill.options import DistillFeature
from bench_torch.checkpoint import hash_module
from bench_torch.trainer import count, train
from harness import BuildContext, Data, Split
torch.manual_seed(0)
net = nn.Sequential(nn.Conv2d(3, 16, 3, stride=2), nn.ReLU(), nn.Conv2d(16, 16, 3), nn.Flatten(1), nn.Linear(16, 4))
rng = np.random.default_rng(0)
split = Split(inputs=(rng.random((64, 3, 8, 8), np.float32),), labels=rng.integers(0, 4, 64))
given = dict(workdir=None, seed=1, threads=1, example=(split.inputs[0][:1],), inputs=(), outputs=("y",), original=net)
data = Data(name="", sha256="", metric="top1", splits={"train": lambda: split})
context = BuildContext(**given, data=data, note=lambda text: None, count=lambda m: count(m, given["example"]),
                       train=lambda module, training: train(module, training, context))
options = DistillFeature(student="width", epochs=3, layers=("0",))
print(hash_module(distill_feature(net.eval(), options, context)))
"""
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    running = [
        subprocess.Popen(
            [sys.executable, "-c", script],
            env={**environment, "PYTHONHASHSEED": seed},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for seed in ("1", "2")
    ]
    outputs = [process.communicate() for process in running]
    assert [process.returncode for process in running] == [0, 0], outputs
    assert outputs[0][0] == outputs[1][0] != ""


def test_current_is_a_copy_of_the_network_as_it_is(teacher, context, notes):
    changed = copy.deepcopy(teacher)
    with torch.no_grad():
        changed.head.weight[0] = 0
    made = student(changed, context)
    assert made is not changed
    assert difference(made, changed) == ""
    assert notes == []


def test_a_student_that_is_the_teacher_itself_is_said_to_be_so(teacher, context, notes):
    student(teacher, context)
    (note,) = notes
    assert note.startswith("the student is the teacher itself")


def test_the_size_of_a_new_student_is_noted(teacher, context, notes):
    student(teacher, context, student="width", width=0.5)
    (note,) = notes
    parameters, macs = count(narrower(teacher, 0.5, INPUTS), context.example)
    assert note.startswith(f"student of width 0.5, freshly initialised: {parameters} parameters (")
    assert f" {macs} multiply-accumulates (" in note


@pytest.mark.parametrize("name", ["width", "pruned", "my.py:student"])
def test_a_new_student_never_throws_away_what_earlier_techniques_did(name, teacher, context):
    changed = copy.deepcopy(teacher)
    with torch.no_grad():
        changed.head.weight[0] = 0
    with pytest.raises(
        UnsupportedError, match=f"student={name} would throw away what.*head.weight has other values.*student=current"
    ):
        student(changed, context, student=name)


def test_what_differs_is_named(teacher):
    assert difference(copy.deepcopy(teacher), teacher) == ""
    assert "stem.0.weight has shape (8, 3, 3, 3)" in difference(narrower(teacher, 0.5, INPUTS), teacher)
    replaced = copy.deepcopy(teacher)
    replaced.stem[2] = nn.Hardswish()
    assert difference(replaced, teacher) == "stem.2 is Hardswish instead of ReLU"
    replaced.stem[2] = nn.Sequential(nn.ReLU())
    assert difference(replaced, teacher) == "stem.2.0 is in one of them only"


def test_another_model_can_be_the_student_and_is_copied(teacher, context, notes):
    other = nn.Sequential(nn.Flatten(), nn.Linear(192, 5))
    made = student(teacher, loading(context, other), student="my.py:student")
    assert made is not other
    assert difference(made, other) == ""
    assert notes[0].startswith("student my.py:student: 965 parameters (")


@pytest.mark.parametrize(
    ("payload", "fmt", "message"),
    [
        (nn.Sequential(nn.Flatten(), nn.Linear(192, 4)), "module", r"output of shape \(1, 4\), the teacher one of"),
        (nn.Linear(7, 5), "module", r"does not run on the model's inputs \(1×3×8×8\)"),
        (None, "onnx", "a file of format onnx, which cannot be trained"),
    ],
)
def test_a_model_that_cannot_be_the_student_is_refused(payload, fmt, message, teacher, context):
    with pytest.raises(UnsupportedError, match=message):
        student(teacher, loading(context, payload, fmt), student="zoo:other")


def test_a_student_that_is_no_model_is_refused_with_the_words_that_there_are(teacher, context):
    with pytest.raises(UnsupportedError, match=r"student=widht: .*A student is current, width, pruned or"):
        student(teacher, context, student="widht")


def test_a_model_that_came_as_a_file_has_no_teacher(context):
    with pytest.raises(UnsupportedError, match="a model that comes as a live network"):
        teacher_of(dataclasses.replace(context, original=None))


def test_a_network_with_one_output_has_no_soft_targets(context):
    with pytest.raises(UnsupportedError, match=r"shape \(1, 1\).*at least two classes"):
        teacher_of(dataclasses.replace(context, original=nn.Sequential(nn.Flatten(), nn.Linear(192, 1))))


def test_the_teacher_is_a_frozen_copy_in_evaluation_mode(teacher, context):
    made = teacher_of(context)
    assert made is not teacher
    assert not made.training
    assert not any(p.requires_grad for p in made.parameters())
    assert all(p.requires_grad for p in teacher.parameters())


def test_feature_distillation_takes_the_same_students(teacher, context):
    made = student_of(teacher, teacher_of(context), DistillFeature(student="width"), context)
    assert made.stem[0].out_channels == 8
