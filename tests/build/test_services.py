"""What a build process does for techniques: trains, scores, counts, tells a cost, loads other models, pursues goals."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from harness.build.builder import BuildSettings
from harness.build.cache import Cache
from harness.build.variants import BuiltVariant, build_variants
from harness.digest import source_digest
from harness.loading import load_host
from harness.plan import Plan
from harness.process.limits import Limits
from harness.progress import Silent
from harness.record import Failure
from harness.runner import prepare

PLUGIN = '''
"""A live model is {"w": weight}; it is right on a row x with label x > 0.5 when w is small: it predicts x > 0.5 + w."""
import hashlib, json
from dataclasses import dataclass, replace
from pathlib import Path
import numpy as np
import harness

X = np.linspace(0, 1, 101, dtype=np.float32).reshape(-1, 1)
Y = (X[:, 0] > 0.5).astype(np.int64)

@dataclass(frozen=True, slots=True, kw_only=True)
class Amount:
    """How much is lost."""
    amount: float = 0.4
    teacher: str = ""

def spoil(live, options, context):
    context.note(f"{context.count(live)[1]} multiply-accumulates; original {context.original['w']}")
    return {"w": live["w"] + options.amount}

def repair(live, options, context):
    tuned = dict(live)
    context.note(str(context.train(tuned, harness.Training(epochs=1, learning_rate=0.1))))
    return tuned

def by_cost(live, options, context):
    context.note(f"costs {context.cost(context.graph(live)):.6f} ms" if context.cost else "no cost")
    return {"w": live["w"] + 0.01}

def learn(live, options, context):
    context.note(f"teacher {context.load(options.teacher).payload['w']}" if options.teacher else "no teacher")
    return {"w": live["w"] + 0.02}

def spoil_file(path, options, context):
    target = context.workdir / "spoilt.json"
    w = json.loads(Path(path).read_text())["w"] + options.amount
    target.write_text(json.dumps({"w": w}))
    context.note(f"scored {context.score(target).value:.3f}")
    return target

def gentler(options):
    return replace(options, amount=round(options.amount / 2, 3)) if options.amount > 0.02 else None

@harness.hookimpl
def harness_techniques():
    yield harness.Technique(name="spoil", summary="", stage="structure", options=Amount, gentler=gentler)
    yield harness.Technique(name="repair", summary="", stage="module", options=Amount,
                            needs=frozenset({"train", "labels"}))
    yield harness.Technique(name="by-cost", summary="", stage="structure", options=Amount, needs=frozenset({"cost"}))
    yield harness.Technique(name="learn", summary="", stage="module", options=Amount,
                            references=frozenset({"teacher"}))
    yield harness.Technique(name="spoil-file", summary="", stage="artifact", options=Amount, gentler=gentler)

@harness.hookimpl
def harness_implementations():
    for name, apply in (("spoil", spoil), ("repair", repair), ("by-cost", by_cost), ("learn", learn)):
        yield harness.Implementation(technique=name, format="module", apply=apply)
    yield harness.Implementation(technique="spoil-file", format="toy", apply=spoil_file)

def train(live, training, context):
    live["w"] *= 0.5 if TRAINS else 1.0
    assert len(context.data.split("train")) == 101
    return harness.Trained(steps=3, rows=101, first_loss=1.0, last_loss=0.5)

TRAINS = True

def scores(w, x):
    return np.concatenate([0.5 + w - x, x - 0.5 - w], axis=1)

@harness.hookimpl
def harness_trainers():
    yield harness.Trainer(name="toy", summary="", train=train, count=lambda live, example: (1, 2),
                          predict=lambda live, inputs: scores(live["w"], inputs[0]))

def save(live, context):
    path = context.workdir / "w.json"
    path.write_text(json.dumps(live))
    return path

@harness.hookimpl
def harness_converters():
    yield harness.Converter(source="module", target="toy", convert=save)

def graph(path):
    names = ("x", "w", "y")
    t = {n: harness.Tensor(name=n, shape=(64, 64), precision="fp32", constant=n == "w") for n in names}
    op = harness.Operator(name="op", kind="gemm", inputs=("x", "w"), outputs=("y",), attributes={}, macs=64**3,
                          precision="fp32")
    return harness.OpGraph(name="n", inputs=("x",), outputs=("y",), tensors=t, operators=(op,), parameters=64 * 64)

@harness.hookimpl
def harness_graph_readers():
    yield harness.GraphReader(format="toy", read=graph,
                              content_sha256=lambda p: hashlib.sha256(Path(p).read_bytes()).hexdigest())

def load(ref, cache, seed):
    split = lambda: harness.Split(inputs=(X,), labels=Y)
    labelled = ref != "live:unlabelled"
    splits = {"train": split, "validation": split, "test": split} if labelled else {"test": split}
    return harness.Model(
        name="n", format="module", payload={"w": 0.3 if ref == "live:teacher" else 0.0},
        inputs=(harness.TensorSpec(name="x", shape=(None, 1), dtype="float32"),), outputs=("y",), example=(X[:1],),
        data=harness.Data(name="d", sha256="1", metric="top1", splits=splits), sha256=ref,
    )

@harness.hookimpl
def harness_models():
    yield harness.ModelSource(name="live", summary="", claims=lambda ref: ref.startswith("live:"), format="module",
                              list_models=list, load=load, identity=lambda ref: ref + IDENTITY)

IDENTITY = ""

class Session:
    def __init__(self, path):
        self.w = json.loads(Path(path).read_text())["w"]
    def bind(self, inputs):
        def call():
            self.found = scores(self.w, inputs[0])
        return call
    def outputs(self):
        return (self.found,)
    def threads(self):
        return 1
    def close(self):
        pass

@harness.hookimpl
def harness_backends():
    for name, family in (("on-toy", {"x86_64": "generic", "aarch64": "generic"}), ("unknown-kernels", {})):
        yield harness.Backend(name=name, summary="", reads=("toy",), prepare=lambda: None,
                              open=lambda path, options: Session(path), kernel_family=family)
'''


class Shop:
    """A plugin file and a cache."""

    def __init__(self, folder: Path) -> None:
        self.plugin = folder / "bench_served.py"
        self.plugin.write_text(PLUGIN, encoding="utf-8")
        self.cache = Cache(root=folder / "cache")
        self.baseline: Any = None

    def build(self, recipe: str, model: str = "live:a", backend: str = "on-toy", **plan: Any) -> Any:
        source_digest.cache_clear()
        host = load_host(sources=[str(self.plugin)], allow=["bench_served"])
        given = Plan(models=(model,), recipes=(recipe,), backends=(backend,), **plan)
        prepared = prepare(given, host)
        settings = BuildSettings(
            cache=self.cache, lanes=2, threads=1, limits=Limits(answer_s=60.0), plugins=host.plugin_sources()
        )
        built = build_variants(prepared.cells, host, prepared.plan, settings, Silent())
        self.baseline = next(built[c.name] for c in prepared.cells if c.baseline)
        return next(built[c.name] for c in prepared.cells if c.recipe.steps)

    def edit(self, old: str, new: str) -> None:
        self.plugin.write_text(self.plugin.read_text(encoding="utf-8").replace(old, new), encoding="utf-8")


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(tmp_path)


def steps(result: Any) -> dict[str, Any]:
    assert isinstance(result, BuiltVariant), result
    return {step.name.partition("(")[0]: step for step in result.built.lineage}


def test_each_step_says_what_it_made_of_size_work_and_accuracy(shop: Shop) -> None:
    lineage = steps(shop.build("spoil(amount=0.1)+repair+spoil-file(amount=0.2)"))
    accuracies = [lineage[n].accuracy for n in ("live:a", "spoil", "repair", "spoil-file")]
    assert accuracies == pytest.approx([1, 0.9, 0.95, 0.75], abs=0.015)
    assert {lineage[n].accuracy_n for n in ("live:a", "spoil", "repair", "spoil-file")} == {101}
    assert (lineage["spoil"].parameters, lineage["spoil"].macs) == (1, 2)
    assert (lineage["spoil-file"].parameters, lineage["spoil-file"].macs) == (64 * 64, 64**3)
    assert lineage["spoil"].size_bytes == len('{"w": 0.1}')
    assert lineage["module → toy"].accuracy is None
    assert lineage["spoil-file"].notes == ("scored 0.752",)


def test_the_original_stays_untouched_and_training_reports_what_it_did(shop: Shop) -> None:
    lineage = steps(shop.build("spoil(amount=0.3)+repair"))
    assert lineage["spoil"].notes == ("2 multiply-accumulates; original 0.0",)
    assert lineage["repair"].notes == ("3 steps over 101 training rows, loss 1 → 0.5",)


def test_a_goal_makes_training_mend_what_a_technique_lost(shop: Shop) -> None:
    lineage = steps(shop.build("spoil(amount=0.1)", max_accuracy_drop=6.0))
    assert lineage["spoil"].accuracy == pytest.approx(0.95, abs=0.015)
    assert "amount=0.1, fine-tuned: 96.0%" in lineage["spoil"].notes[2]


def test_a_goal_makes_amounts_back_off_where_training_does_not_help(shop: Shop) -> None:
    shop.edit("TRAINS = True", "TRAINS = False")
    lineage = steps(shop.build("spoil(amount=0.4)", max_accuracy_drop=6.0))
    assert lineage["spoil"].notes[-1] == "goal: kept amount=0.05"
    assert lineage["spoil"].accuracy >= 0.94


def test_a_goal_holds_for_files_too_measured_against_the_model_as_it_was_loaded(shop: Shop) -> None:
    lineage = steps(shop.build("spoil(amount=0.1)+spoil-file(amount=0.4)", max_accuracy_drop=16.0))
    kept = lineage["spoil-file"].notes[-1]
    assert kept == "goal: kept amount=0.05"
    assert lineage["spoil-file"].accuracy == pytest.approx(0.85, abs=0.011)


def test_a_goal_that_cannot_be_judged_is_said_to_be_so(shop: Shop) -> None:
    lineage = steps(shop.build("spoil(amount=0.4)", model="live:unlabelled", max_accuracy_drop=1.0))
    assert any("no labelled validation rows" in note for note in lineage["spoil"].notes)
    assert lineage["spoil"].accuracy is None


def test_a_goal_is_part_of_the_cache_key(shop: Shop) -> None:
    shop.build("spoil(amount=0.4)")
    assert not shop.build("spoil(amount=0.4)", max_accuracy_drop=3.0).built.cached
    assert shop.build("spoil(amount=0.4)", max_accuracy_drop=3.0).built.cached


def test_a_technique_that_asks_is_told_what_a_graph_costs_on_the_first_profile(shop: Shop) -> None:
    slow, fast = (steps(shop.build("by-cost", profiles=profiles)) for profiles in (("rpi4",), ("rpi5", "rpi4")))
    assert slow["by-cost"].notes[0] == "optimised for rpi4 in on-toy, by estimated latency"
    costs = [float(s["by-cost"].notes[1].split()[1]) for s in (slow, fast)]
    assert costs[0] > costs[1] > 0


def test_the_device_is_part_of_the_cache_key_only_where_somebody_asked(shop: Shop) -> None:
    shop.build("by-cost", profiles=("rpi4",))
    shop.build("learn", profiles=("rpi4",))
    assert not shop.build("by-cost", profiles=("rpi5",)).built.cached
    assert shop.build("learn", profiles=("rpi5",)).built.cached


def test_without_kernels_for_the_device_the_technique_fails_with_the_reason(shop: Shop) -> None:
    failure = shop.build("by-cost", backend="unknown-kernels", profiles=("rpi4",))
    assert isinstance(failure, Failure)
    assert "no device to estimate latency for" in failure.error


def test_a_technique_loads_another_model_whose_content_is_part_of_the_cache_key(shop: Shop) -> None:
    recipe = 'learn(teacher="live:teacher")'
    assert steps(shop.build(recipe))["learn"].notes == ("teacher 0.3",)
    assert shop.build(recipe).built.cached
    assert steps(shop.build("learn"))["learn"].notes == ("no teacher",)


def test_an_option_that_names_no_model_is_left_to_the_technique(shop: Shop) -> None:
    failure = shop.build('learn(teacher="current")')
    assert isinstance(failure, Failure)
    assert "there is no model 'current'" in failure.error


def test_a_file_that_nobody_here_can_run_is_built_all_the_same_and_says_that_it_was_not_judged(shop: Shop) -> None:
    shop.edit('self.w = json.loads(Path(path).read_text())["w"]', 'raise RuntimeError("no such kernel")')
    shop.edit('context.note(f"scored {context.score(target).value:.3f}")', "pass")
    lineage = steps(shop.build("spoil-file(amount=0.2)"))
    assert lineage["spoil-file"].accuracy is None
    assert "cannot be told: RuntimeError: no such kernel" in lineage["spoil-file"].notes[-1]


def test_a_backend_that_cannot_judge_a_file_leaves_it_to_the_next_and_is_named(shop: Shop) -> None:
    shop.edit(
        "open=lambda path, options: Session(path)", 'open=lambda p, options, n=name: 1 / (n != "on-toy") and Session(p)'
    )
    shop.edit('context.note(f"scored {context.score(target).value:.3f}")', "pass")
    step = steps(shop.build("spoil-file(amount=0.2)", backend="unknown-kernels"))["spoil-file"]
    assert step.accuracy == pytest.approx(0.8, abs=0.01)
    assert step.notes == (
        "on-toy cannot tell the accuracy on the validation rows: ZeroDivisionError: division by zero",
    )


def test_a_network_that_takes_no_batches_is_loaded_all_the_same(shop: Shop) -> None:
    shop.edit('predict=lambda live, inputs: scores(live["w"], inputs[0])', "predict=lambda live, inputs: 1 / 0")
    lineage = steps(shop.build("spoil(amount=0.1)"))
    assert lineage["live:a"].accuracy is None
    assert "cannot be told: ZeroDivisionError" in lineage["live:a"].notes[0]


def test_a_row_of_outputs_that_are_not_numbers_is_never_right(shop: Shop) -> None:
    shop.edit("def scores(w, x):\n", "def scores(w, x):\n    if w: return np.full((len(x), 2), np.nan)\n")
    assert steps(shop.build("spoil(amount=0.1)"))["spoil"].accuracy == 0


def test_a_model_named_by_one_recipe_that_cannot_be_identified_fails_that_recipe_alone(shop: Shop) -> None:
    shop.edit("identity=lambda ref: ref + IDENTITY", "identity=lambda ref: 1 / 0 if 'teacher' in ref else ref")
    failure = shop.build('learn(teacher="live:teacher")')
    assert isinstance(failure, Failure)
    assert "identity of live failed in the plugin bench_served" in failure.error
    assert isinstance(shop.baseline, BuiltVariant)
