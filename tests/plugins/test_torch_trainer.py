"""The trainer of bench_torch: what is trained, what is left alone, and that it comes out the same every time."""

from __future__ import annotations

import copy
import hashlib
import math
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import bench_torch
from harness import ArtifactError, BuildContext, Data, Score, Split, Training, UnsupportedError

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402
from torchao.quantization.pt2e import allow_exported_model_train_eval  # noqa: E402

from bench_torch import trainer  # noqa: E402
from bench_torch.graph import read_program  # noqa: E402
from bench_torch.training_rows import TrainingRows  # noqa: E402

(TRAINER,) = bench_torch.harness_trainers()


class Net(nn.Module):
    """A convolution, batch normalisation, dropout and a linear layer, for pictures `(n, 2, 4, 4)` of three classes."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(2, 8, 3)
        self.norm = nn.BatchNorm2d(8)
        self.dropout = nn.Dropout(0.2)
        self.head = nn.Linear(8, 3)

    def forward(self, x: Any) -> Any:
        return self.head(self.dropout(self.norm(self.conv(x)).relu().mean((2, 3))))


class Words(nn.Module):
    """Two integer inputs: words `(n, 5)` and which of them count `(n, 5)`."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(7, 4)
        self.head = nn.Linear(4, 2)

    def forward(self, words: Any, mask: Any) -> Any:
        return self.head((self.embedding(words) * mask.unsqueeze(-1)).sum(1)), mask


def net(kind: type = Net) -> Any:
    torch.manual_seed(0)
    return kind().eval()


def pictures(rows: int = 150, seed: int = 0) -> Split:
    """Three classes that differ in the mean of their channels."""
    draw = np.random.default_rng(seed)
    labels = np.arange(rows) % 3
    x = draw.standard_normal((rows, 2, 4, 4)) + np.array([[2, 0], [-2, 0], [0, 2]])[labels][:, :, None, None]
    return Split(inputs=(x.astype(np.float32),), labels=labels)


def data(train: Split | None = None, **more: Any) -> Data:
    splits = {"train": lambda: train or pictures()} if train is not False else {}
    return Data(name="dots", sha256="0", metric="top1", splits=splits, **more)


def context(seed: int = 0, notes: list[str] | None = None, **more: Any) -> BuildContext:
    given_ = {"data": data(), "threads": 1, "example": (pictures().inputs[0][:1],), **more}
    noted = [] if notes is None else notes
    return BuildContext(workdir=Path(), seed=seed, inputs=(), outputs=(), note=noted.append, **given_)


def run(module: Any, where: BuildContext | None = None, epochs: float = 1, rate: float = 1e-2, **more: Any) -> Any:
    return TRAINER.train(module, Training(epochs=epochs, learning_rate=rate, **more), where or context())


def digest(module: Any) -> str:
    found = hashlib.sha256()
    for name, tensor in sorted(module.state_dict().items()):
        found.update(name.encode() + tensor.numpy().tobytes())
    return found.hexdigest()


def square(module: Any, inputs: tuple[Any, ...], labels: Any) -> Any:
    return module(*inputs).square().mean()


# What training does.


def test_training_learns_the_task_and_leaves_evaluation_mode() -> None:
    module = net()
    split = pictures(seed=1)
    trained = run(module, epochs=8, rate=3e-2)
    assert trained.steps == 24
    assert trained.rows == 150
    assert trained.last_loss < 0.6 * trained.first_loss
    assert not any(part.training for part in module.modules())
    assert (TRAINER.predict(module, split.inputs).argmax(1) == split.labels).mean() > 0.9


def test_the_same_seed_and_threads_give_the_same_bits_in_two_processes() -> None:
    script = """
import hashlib, sys
sys.path.insert(0, sys.argv[1])
import numpy as np, torch
from pathlib import Path
from bench_torch.trainer import train
from harness import BuildContext, Data, Split, Training

draw = np.random.default_rng(0)
split = Split(inputs=(draw.normal(size=(150, 2, 6, 6)).astype("f"),), labels=np.arange(150) % 3)
data = Data(name="", sha256="", metric="top1", splits={"train": lambda: split},
            augment=lambda x, draw: (x[0] + draw.normal(size=x[0].shape),))
context = BuildContext(workdir=Path(), seed=3, threads=2, data=data, example=(), inputs=(), outputs=(), note=print)
torch.manual_seed(0)
module = torch.nn.Sequential(
    torch.nn.Conv2d(2, 16, 3), torch.nn.BatchNorm2d(16), torch.nn.ReLU(), torch.nn.Dropout(0.5),
    torch.nn.Flatten(), torch.nn.Linear(256, 3))
train(module, Training(epochs=2, learning_rate=1e-2), context)
print(hashlib.sha256(b"".join(t.numpy().tobytes() for t in module.state_dict().values())).hexdigest())
"""
    folder = str(Path(bench_torch.__file__).parent.parent)
    environment = {**os.environ, "OMP_NUM_THREADS": "2"}
    children = [
        subprocess.Popen([sys.executable, "-c", script, folder], stdout=subprocess.PIPE, text=True, env=environment)
        for _ in range(2)
    ]
    digests = [child.communicate(timeout=120)[0].strip() for child in children]
    assert len(digests[0]) == 64
    assert digests[0] == digests[1]


def test_another_seed_gives_other_weights() -> None:
    digests = set()
    for seed in (0, 0, 1):
        module = net()
        run(module, context(seed))
        digests.add(digest(module))
    assert len(digests) == 2


def test_threads_and_random_state_are_as_before() -> None:
    module = net()
    torch.manual_seed(5)
    state, threads = torch.get_rng_state(), torch.get_num_threads()
    seen: list[int] = []
    run(module, context(threads=threads + 1), before_step=lambda step, steps: seen.append(torch.get_num_threads()))
    assert set(seen) == {threads + 1}
    assert torch.get_num_threads() == threads
    assert torch.equal(torch.get_rng_state(), state)


def test_no_epochs_train_nothing_and_need_no_data() -> None:
    module = net().train()
    before = digest(module)
    trained = run(module, context(data=None), epochs=0)
    assert trained.steps == 0
    assert math.isnan(trained.first_loss)
    assert digest(module) == before
    assert not module.training


def test_a_fraction_of_an_epoch_is_rounded_up_to_steps() -> None:
    calls: list[tuple[int, int]] = []
    trained = run(net(), epochs=1.4, before_step=lambda step, steps: calls.append((step, steps)))
    assert trained.steps == 5  # 3 batches an epoch, 4.2 of them
    assert calls == [(step, 5) for step in range(5)]


@given(st.integers(1, 500))
def test_the_learning_rate_rises_over_a_tenth_and_falls_to_nearly_nothing(steps: int) -> None:
    rates = [trainer._rate(step, steps) for step in range(steps)]
    top = max(1, round(steps / 10)) - 1
    assert max(rates) == 1.0
    assert min(rates) > 0
    assert rates[: top + 1] == sorted(rates[: top + 1])
    assert rates[top:] == sorted(rates[top:], reverse=True)
    assert steps < 10 or rates[-1] < 0.1


def test_a_last_batch_of_one_row_is_left_out() -> None:
    module = nn.Sequential(nn.Flatten(), nn.Linear(32, 4), nn.BatchNorm1d(4), nn.Linear(4, 3))
    assert run(module, context(data=data(pictures(65)))).steps == 1
    assert run(module, context(data=data(pictures(66)))).steps == 2


def test_batches_double_from_20_000_rows_on() -> None:
    for rows, batch in ((19_999, 64), (20_000, 128)):
        split = Split(inputs=(np.zeros((rows, 1), np.float32),), labels=np.zeros(rows, np.int64))
        assert TrainingRows.of(context(data=data(split)), labelled=True).batch == batch


def test_every_epoch_shows_every_row_once_in_another_order() -> None:
    x = np.arange(130, dtype=np.float32)[:, None]
    rows = TrainingRows.of(context(data=data(Split(inputs=(x,), labels=np.arange(130)))), labelled=True)
    first, second = ([row for batch, _ in rows.epoch() for row in batch[0][:, 0].tolist()] for _ in range(2))
    assert sorted(first) == sorted(second) == list(range(130))
    assert first != second


def test_statistics_of_batch_normalisation_follow_the_data() -> None:
    module = net()
    run(module)
    assert int(module.norm.num_batches_tracked) == 3
    assert module.norm.running_mean.abs().sum() > 0


def test_other_objects_are_trained_along() -> None:
    module, adapter = net(), nn.Linear(3, 3)
    before = adapter.weight.detach().clone()
    run(module, loss=lambda m, x, y: (adapter(m(*x)) - 1).square().mean(), also=(adapter, module.head))
    assert not torch.equal(adapter.weight, before)
    assert not adapter.training


def test_only_matrices_decay() -> None:
    groups = trainer._groups(list(net().parameters()))
    assert {p.ndim for p in groups[0]["params"]} == {2, 4}
    assert {p.ndim for p in groups[1]["params"]} == {1}
    assert groups[0]["weight_decay"] > groups[1]["weight_decay"] == 0


# Which rows.


def test_rows_without_a_label_are_left_out_of_the_own_loss_and_given_to_another() -> None:
    split = pictures(100)
    labels = np.where(np.arange(100) < 30, split.labels, -1)
    half = replace(split, labels=labels)
    assert run(net(), context(data=data(half))).rows == 30
    seen: list[int] = []

    def loss(module: Any, inputs: tuple[Any, ...], labels: Any) -> Any:
        seen.extend(labels.tolist())
        return square(module, inputs, labels)

    assert run(net(), context(data=data(half)), loss=loss).rows == 100
    assert sorted(seen) == sorted(labels.tolist())
    assert run(net(), context(data=data(replace(split, labels=None))), loss=square).rows == 100


@pytest.mark.parametrize(
    "given_",
    [None, data(False), data(replace(pictures(), labels=None)), data(pictures(1))],  # type: ignore[arg-type]
)
def test_without_labelled_training_rows_the_advice_is_to_give_data(given_: Data | None) -> None:
    with pytest.raises(UnsupportedError, match="training needs") as raised:
        run(net(), context(data=given_))
    assert "--data" in raised.value.hint


def test_rows_are_varied_by_the_task_and_the_given_ones_stay_as_they_are() -> None:
    split = pictures()
    before = split.inputs[0].copy()
    seen: list[Any] = []

    def augment(inputs: tuple[Any, ...], draw: np.random.Generator) -> tuple[Any, ...]:
        inputs[0][:] = 3.0
        return (np.flip(inputs[0], axis=3).astype(np.float64),)

    def loss(module: Any, inputs: tuple[Any, ...], labels: Any) -> Any:
        seen.append(inputs[0])
        return square(module, inputs, labels)

    run(net(), context(data=data(split, augment=augment)), loss=loss)
    assert all(bool((x == 3).all()) and x.dtype == torch.float32 for x in seen)
    assert np.array_equal(split.inputs[0], before)


def test_several_integer_inputs_mapped_from_a_file_are_fine(tmp_path: Path) -> None:
    words = np.random.default_rng(0).integers(0, 7, (90, 5))
    np.save(tmp_path / "x.npy", words)
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
    labels = np.load(tmp_path / "x.npy", mmap_mode="r")[:, 0] % 2
    split = Split(inputs=(mapped, np.ones((90, 5), np.int64)), labels=labels)
    module = net(Words)
    trained = run(module, context(data=data(split)), epochs=20, rate=0.1)
    assert trained.last_loss < trained.first_loss
    assert TRAINER.predict(module, split.inputs).shape == (90, 2)


# What stays as it is.


def test_frozen_parameters_stay_untouched() -> None:
    module = net()
    module.conv.requires_grad_(False)
    before = module.conv.weight.detach().clone()
    run(module)
    assert torch.equal(module.conv.weight, before)


def test_zeros_stay_zero_and_a_tensor_of_zeros_is_free() -> None:
    module = net()
    with torch.no_grad():
        module.conv.weight[:, 0] = 0
        module.head.weight.zero_()
    run(module, epochs=3)
    assert not module.conv.weight[:, 0].any()
    assert module.conv.weight[:, 1].all()
    assert module.head.weight.all()


def test_zeros_are_trained_when_they_need_not_be_kept() -> None:
    module = net()
    with torch.no_grad():
        module.conv.weight[:, 0] = 0
    run(module, keep_zeros=False)
    assert module.conv.weight.all()


def test_what_is_set_to_zero_on_the_way_stays_so_in_spite_of_momentum() -> None:
    module = net()

    def prune(step: int, steps: int) -> None:
        if step == 3:
            with torch.no_grad():
                module.conv.weight[2:4] = 0

    run(module, epochs=4, before_step=prune)
    assert not module.conv.weight[2:4].any()
    assert module.conv.weight[4:].all()


def test_zeros_that_are_set_free_on_the_way_are_trained_again() -> None:
    module = net()
    with torch.no_grad():
        module.conv.weight[:2] = 0

    def grow(step: int, steps: int) -> None:
        if step == 2:
            with torch.no_grad():
                module.conv.weight[0] = 1e-3

    run(module, epochs=2, before_step=grow)
    assert module.conv.weight[0].all()
    assert not module.conv.weight[1].any()


def test_gradients_of_zeros_take_no_share_of_the_norm() -> None:
    module = net()
    with torch.no_grad():
        module.conv.weight[:, 0] = 0
    held: list[Any] = []
    handle = module.conv.weight.register_post_accumulate_grad_hook(held.append)
    run(module)
    handle.remove()
    assert held
    assert not held[-1].grad[:, 0].any()


# Which weights are kept.


def judge(values: list[float | None], seen: list[Any]) -> Any:
    """Scores in turn, keeping a copy of the weights that were scored."""

    def score(module: Any) -> Score | None:
        assert not module.training
        seen.append(copy.deepcopy(module.state_dict()))
        value = values[len(seen) - 1]
        return None if value is None else Score(value=value, n=10)

    return score


def test_the_best_epoch_is_kept_and_the_later_of_two_equal_ones() -> None:
    module, seen = net(), []
    trained = run(module, context(score=judge([0.5, 0.9, 0.9, 0.2], seen)), epochs=3.5, keep_best=True)
    assert len(seen) == 4
    assert trained.best_epoch == 3
    assert all(torch.equal(value, seen[2][name]) for name, value in module.state_dict().items())


def test_the_last_weights_are_kept_when_nothing_judges() -> None:
    module, seen, notes = net(), [], []
    trained = run(module, context(score=judge([None], seen), notes=notes), epochs=2, keep_best=True)
    assert trained.best_epoch == 0
    assert len(notes) == 1
    assert "last weights" in notes[0]
    assert not torch.equal(module.head.weight, seen[0]["head.weight"])


def test_layers_that_a_technique_set_to_evaluation_stay_so_after_judging() -> None:
    module = net()

    def freeze(step: int, steps: int) -> None:
        if step == 0:
            module.norm.eval()

    run(module, context(score=judge([0.1] * 3, [])), epochs=3, keep_best=True, before_step=freeze)
    assert int(module.norm.num_batches_tracked) == 0


def test_an_exported_program_is_trained_and_keeps_its_zeros() -> None:
    module = net()
    with torch.no_grad():
        module.conv.weight[:, 0] = 0
    example = (torch.zeros(2, 2, 4, 4),)
    exported = torch.export.export(module, example, dynamic_shapes=({0: torch.export.Dim("batch")},)).module()
    allow_exported_model_train_eval(exported)
    seen: list[Any] = []
    trained = run(exported, context(score=lambda m: seen.append(m) or Score(value=0.5, n=1)), epochs=2, keep_best=True)
    assert trained.best_epoch == 2
    weight = dict(exported.named_parameters())["conv.weight"]
    assert not weight[:, 0].any()
    assert weight[:, 1].all()
    assert dict(exported.named_buffers())["norm.running_mean"].any()


# What goes wrong.


def test_a_loss_that_is_not_finite_stops_training_with_advice() -> None:
    with pytest.raises(ArtifactError, match=r"step 1 of 3: loss nan.*learning rate 0\.01") as raised:
        run(net(), loss=lambda module, x, y: module(*x).mean() * math.nan)
    assert "learning_rate" in raised.value.hint


def test_a_gradient_that_is_not_finite_stops_training_before_the_weights_are_lost() -> None:
    module = net()
    with pytest.raises(ArtifactError, match="gradient nan"):
        run(module, loss=lambda m, x, y: (m(*x) * 0).sqrt().mean())
    assert all(bool(p.isfinite().all()) for p in module.parameters())


@pytest.mark.parametrize(
    ("module", "error", "words"),
    [
        (nn.Sequential(nn.Flatten(), nn.Linear(32, 2)), ArtifactError, "label is 2, and Sequential has 2 classes"),
        (nn.Sequential(nn.Flatten(), nn.Linear(32, 1)), UnsupportedError, "one number a row"),
        (nn.Flatten(), UnsupportedError, "nothing to train"),
    ],
)
def test_a_module_that_does_not_fit_the_task_is_refused(module: Any, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        run(module)


@pytest.mark.parametrize("wrong", [{"epochs": -1}, {"epochs": math.nan}, {"rate": 0.0}, {"rate": math.inf}])
def test_impossible_settings_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(UnsupportedError, match="must be"):
        run(net(), **wrong)  # type: ignore[arg-type]


# Prediction and counting.


def test_prediction_gives_the_first_output_of_every_row_in_evaluation_mode() -> None:
    module = net().train()
    x = pictures(600).inputs[0]
    x.setflags(write=False)
    found = TRAINER.predict(module, (x,))
    assert found.shape == (600, 3)
    assert not module.training
    with torch.no_grad():
        np.testing.assert_allclose(found[590:], module(torch.tensor(x[590:])).numpy(), rtol=1e-5, atol=1e-6)


class Halved(nn.Module):
    """Computes in bfloat16, which numpy does not know."""

    def forward(self, x: Any) -> Any:
        return x.bfloat16(), x


def test_prediction_of_half_floats_is_float32() -> None:
    found = TRAINER.predict(Halved(), (np.full((3, 2), 1.5, np.float32),))
    assert found.dtype == np.float32
    assert (found == 1.5).all()


class Many(nn.Module):
    """Every kind of operator that multiplies and accumulates."""

    def __init__(self) -> None:
        super().__init__()
        self.grouped = nn.Conv2d(4, 8, 3, groups=2, padding=1)
        self.up = nn.ConvTranspose2d(8, 6, 3, stride=2, groups=2, bias=False)
        self.line = nn.Conv1d(6, 5, 3, dilation=2)
        self.attend = nn.TransformerEncoderLayer(8, 2, 16, dropout=0.0, batch_first=True)
        self.shrink = nn.Linear(5, 8)
        self.same = nn.Linear(8, 8, bias=False)
        self.tied = self.same

    def forward(self, x: Any) -> Any:
        x = self.line(self.up(self.grouped(x)).flatten(2))
        x = self.attend(self.shrink(x.transpose(1, 2)[:, :10]))
        return self.tied(self.same(x)) @ x.transpose(1, 2)


def test_counts_equal_those_of_the_graph() -> None:
    module, example = net(Many), np.zeros((1, 4, 6, 6), np.float32)
    program = torch.export.export(module, (torch.from_numpy(example),))
    graph = read_program(program, "many")
    parameters, macs = TRAINER.count(module, (example,))
    assert macs == sum(operator.macs for operator in graph.operators)
    assert parameters == sum(p.numel() for p in module.parameters())


def test_counting_changes_nothing() -> None:
    module = net().train()
    module.dropout.eval()
    before = digest(module)
    assert TRAINER.count(module, (np.zeros((1, 2, 4, 4), np.float32),)) == (152 + 16 + 27, 4 * 8 * 18 + 24)
    assert digest(module) == before
    assert module.training
    assert not module.dropout.training
    assert torch.backends.mha.get_fastpath_enabled()
