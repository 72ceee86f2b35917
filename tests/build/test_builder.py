"""Building: real build processes, a plugin with every kind of step, and a cache that several runs share."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from harness.build.builder import BuildSettings
from harness.build.cache import Cache
from harness.build.variants import BuiltVariant, build_variants
from harness.digest import source_digest
from harness.loading import load_host
from harness.plan import Plan, complete, expand
from harness.process.limits import Limits
from harness.progress import Silent
from harness.record import Failure, SkipReason
from harness.rows import describe_variant

PLUGIN = '''
"""Models are lists of numbers, in a file or alive; steps note that they ran."""
import json, os
from dataclasses import dataclass
from pathlib import Path
import harness

@dataclass(frozen=True, slots=True, kw_only=True)
class Times:
    """How often."""
    times: int = 2

def ran(what):
    with open(os.environ["BENCH_TEST_LOG"], "a") as log:
        log.write(what + "\\n")

def write(context, numbers):
    path = context.workdir / "numbers.json"
    path.write_text(json.dumps(numbers))
    return path

def read(path):
    return json.loads(Path(path).read_text())

def grow(path, options, context):
    ran("grow")
    context.note(f"seed {context.seed}, {len(context.example)} input")
    return write(context, read(path) * options.times)

def idle(path, options, context):
    return write(context, read(path))

def outside(path, options, context):
    target = Path(os.environ["BENCH_TEST_LOG"]).with_name("outside.json")
    target.write_text("[0]")
    return target

def link(path, options, context):
    target = context.workdir / "link.json"
    target.symlink_to(outside(path, options, context))
    return target

def nowhere(path, options, context):
    return context.workdir / "never-written.json"

def in_place(path, options, context):
    return Path(path)

def resolved(path, options, context):
    return write(context, [9]).resolve()

def refuse(path, options, context):
    raise harness.ArtifactError("3 numbers are too few.", hint="Bring more.")

def crash(path, options, context):
    raise RuntimeError("no\\nidea")

def die(path, options, context):
    os._exit(9)

ARTIFACT = {"grow": grow, "idle": idle, "outside": outside, "link": link, "nowhere": nowhere, "in-place": in_place,
            "resolved": resolved, "refuse": refuse, "crash": crash, "die": die, "train": grow, "judge": grow}
NEEDS = {"train": frozenset({"train"}), "judge": frozenset({"labels", "calibration"})}

def shift(live, options, context):
    ran("shift")
    return [n + options.times for n in live]

def idle_live(live, options, context):
    return list(live)

LIVE = {"shift": shift, "idle-live": idle_live}

@harness.hookimpl
def harness_techniques():
    for name in ARTIFACT:
        needs = NEEDS.get(name, frozenset())
        yield harness.Technique(name=name, summary="", stage="artifact", options=Times, needs=needs)
    for name in LIVE:
        yield harness.Technique(name=name, summary="", stage="module", options=Times)

@harness.hookimpl
def harness_implementations():
    for name, apply in ARTIFACT.items():
        yield harness.Implementation(technique=name, format="toy", apply=apply)
    for name, apply in LIVE.items():
        yield harness.Implementation(technique=name, format="module", apply=apply)

def save(live, context):
    ran("save")
    return write(context, live)

def to_plain(path, context):
    ran("plain")
    return write(context, read(path))

def to_dead(path, context):
    raise harness.UnsupportedError("not these numbers.", hint="Others.")

@harness.hookimpl
def harness_converters():
    yield harness.Converter(source="module", target="toy", convert=save)
    yield harness.Converter(source="toy", target="plain", convert=to_plain)
    yield harness.Converter(source="toy", target="dead", convert=to_dead)

@harness.hookimpl
def harness_graph_readers():
    def content(path):
        import hashlib
        return hashlib.sha256(json.dumps(read(path)).encode()).hexdigest()
    def graph(path):
        numbers = read(path)
        w = harness.Tensor(name="w", shape=(len(numbers),), precision="fp32", constant=True, zeros=0.0)
        return harness.OpGraph(name="n", inputs=(), outputs=(), tensors={"w": w}, operators=(), parameters=len(numbers))
    yield harness.GraphReader(format="toy", read=graph, content_sha256=content)

def load(ref, cache, seed):
    import numpy as np
    ran("load " + ref)
    if ref == "file:absent":
        raise harness.ArtifactError("there is no file:absent.", hint="There is file:a.")
    alive = ref.startswith("live:")
    path = Path(os.environ["BENCH_TEST_LOG"]).with_name("source.json")
    path.write_text("[1, 2, 3]")
    x = np.ones((1, 2), np.float32)
    split = lambda: harness.Split(inputs=(np.ones((4, 2), np.float32),))
    return harness.Model(
        name="numbers", format="module" if alive else "toy", payload=[1, 2, 3] if alive else path,
        inputs=(harness.TensorSpec(name="x", shape=(None, 2), dtype="float32"),), outputs=("y",), example=(x,),
        data=harness.Data(name="d", sha256="1", metric="top1", splits={"test": split, "calibration": split}),
        sha256="numbers 1",
    )

@harness.hookimpl
def harness_models():
    for name, fmt in (("file", "toy"), ("live", "module")):
        yield harness.ModelSource(
            name=name, summary="", claims=lambda ref, name=name: ref.startswith(name + ":"), format=fmt,
            list_models=list, load=load, identity=identity,
        )

def identity(ref):
    if ref.endswith("unreadable"):
        raise ValueError("not a number")
    return None if ref.endswith("unknown") else ref

@harness.hookimpl
def harness_backends():
    for fmt in ("toy", "plain", "dead"):
        yield harness.Backend(name="on-" + fmt, summary="", reads=(fmt,), prepare=lambda: None, open=None)
'''


class Workshop:
    """A plugin file, a cache, and what ran."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.plugin = folder / "bench_shop.py"
        self.plugin.write_text(PLUGIN, encoding="utf-8")
        self.log = folder / "log.txt"
        self.cache = Cache(root=folder / "cache")

    def build(self, model: str, *recipes: str, backend: str = "on-toy", **plan: Any) -> dict[str, Any]:
        """Build a model's variants; results by recipe."""
        source_digest.cache_clear()  # a run is a process of its own, and reads its plugins once
        host = load_host(sources=[str(self.plugin)], allow=["bench_shop"])
        full = complete(Plan(models=(model,), recipes=recipes, backends=(backend,), **plan), host)
        settings = BuildSettings(
            cache=self.cache, lanes=2, threads=1, limits=Limits(answer_s=60.0), plugins=host.plugin_sources()
        )
        cells = expand(full, host)
        built = build_variants(cells, host, full, settings, Silent())
        return {str(c.recipe): built[c.name] for c in cells}

    def ran(self) -> list[str]:
        """What ran since this was asked last."""
        lines = self.log.read_text(encoding="utf-8").split("\n")[:-1] if self.log.exists() else []
        self.log.unlink(missing_ok=True)
        return lines

    def leftovers(self) -> list[str]:
        scratch = self.cache.root / "scratch"
        return [p.name for p in scratch.iterdir()] if scratch.exists() else []


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workshop:
    workshop = Workshop(tmp_path)
    monkeypatch.setenv("BENCH_TEST_LOG", str(workshop.log))
    return workshop


def numbers(result: Any) -> list[int]:
    assert isinstance(result, BuiltVariant), result
    found: list[int] = json.loads(result.built.path.read_text(encoding="utf-8"))
    return found


def failure(result: Any) -> Failure:
    assert isinstance(result, Failure), result
    assert result.stage == "build"
    assert result.plugin == "bench_shop (given with --plugin)"
    return result


def test_a_recipe_is_done_step_by_step(shop: Workshop) -> None:
    built = shop.build("file:a", "grow(times=2)+grow(times=3)")
    assert numbers(built["baseline"]) == [1, 2, 3]
    result = built["grow(times=2)+grow(times=3)"]
    assert numbers(result) == [1, 2, 3] * 6
    assert [(s.kind, s.name, s.format) for s in result.built.lineage] == [
        ("source", "file:a", "toy"),
        ("technique", "grow(times=2)", "toy"),
        ("technique", "grow(times=3)", "toy"),
    ]
    assert result.built.lineage[1].notes == ("seed 0, 1 input",)
    assert result.built.lineage[1].plugin == "bench_shop (given with --plugin)"
    assert shop.leftovers() == []


def test_a_variant_is_described_by_its_file_and_graph(shop: Workshop) -> None:
    built = shop.build("file:a")["baseline"].built
    assert built.size_bytes == len("[1, 2, 3]")
    assert built.download_bytes > 0
    assert len(built.sha256) == 64
    assert built.graph is not None
    from harness.graph_json import read_graph

    assert describe_variant(built, read_graph(built.graph)).parameters == 3


def test_what_recipes_have_in_common_is_built_once(shop: Workshop) -> None:
    shop.build("file:a", "grow", "grow+grow(times=3)", "grow+grow(times=4)")
    assert sorted(shop.ran()) == ["grow"] * 3 + ["load file:a"]


def test_what_was_built_is_not_built_again(shop: Workshop) -> None:
    first = shop.build("file:a", "grow")["grow"].built
    shop.ran()
    again = shop.build("file:a", "grow")["grow"].built
    assert shop.ran() == []
    assert (first.cached, again.cached) == (False, True)
    assert again.path == first.path
    assert again.lineage == first.lineage


@pytest.mark.parametrize("changed", [{"seed": 1}, {"recipe": "grow(times=3)"}])
def test_another_seed_or_option_is_another_variant(shop: Workshop, changed: dict[str, Any]) -> None:
    recipe = changed.pop("recipe", "grow")
    shop.build("file:a", "grow")
    shop.ran()
    shop.build("file:a", recipe, **changed)
    assert "grow" in shop.ran()


def test_a_plugin_that_was_edited_builds_again(shop: Workshop) -> None:
    shop.build("file:a", "grow")
    shop.ran()
    shop.plugin.write_text(PLUGIN.replace("[1, 2, 3]", "[4, 5, 6]"), encoding="utf-8")
    assert numbers(shop.build("file:a", "grow")["grow"]) == [4, 5, 6] * 2
    assert sorted(shop.ran()) == ["grow", "load file:a"]


def test_a_format_that_no_plugin_reads_is_cached_all_the_same(shop: Workshop) -> None:
    first = shop.build("file:a", backend="on-plain")["baseline"].built
    assert first.graph is None
    shop.ran()
    assert shop.build("file:a", backend="on-plain")["baseline"].built.cached
    assert shop.ran() == []


def test_a_graph_that_is_wanted_later_is_made_later(shop: Workshop) -> None:
    """A file on the way to another needs no graph; the same file as a variant does."""
    shop.build("file:a", "grow", backend="on-plain")
    built = shop.build("file:a", "grow", backend="on-toy")["grow"].built
    assert built.graph is not None


@pytest.mark.parametrize("damage", ["", '{"path": 3}'])
@pytest.mark.parametrize("file", ["variants/*/node.json", "models/*/model.json"])
def test_an_entry_that_was_damaged_is_built_again(shop: Workshop, file: str, damage: str) -> None:
    shop.build("file:a")
    (path,) = shop.cache.root.glob(file)
    path.write_text(damage, encoding="utf-8")
    assert numbers(shop.build("file:a")["baseline"]) == [1, 2, 3]
    assert path.stat().st_size > 100


def test_an_entry_whose_file_is_gone_is_built_again(shop: Workshop) -> None:
    shop.build("file:a")["baseline"].built.path.unlink()
    assert numbers(shop.build("file:a")["baseline"]) == [1, 2, 3]


def test_a_model_without_an_identity_is_loaded_to_learn_it(shop: Workshop) -> None:
    shop.build("file:unknown")
    assert shop.ran() == ["load file:unknown"] * 2
    shop.build("file:unknown")
    assert shop.ran() == ["load file:unknown"]


def test_an_identity_that_cannot_be_told_fails_that_models_cells(shop: Workshop) -> None:
    built = shop.build("file:unreadable", "grow")
    assert len(built) == 2
    for result in built.values():
        assert (
            "identity of file failed in the plugin bench_shop (given with --plugin): ValueError: not a number"
            in failure(result).error
        )


def test_a_technique_that_changes_nothing_has_failed(shop: Workshop) -> None:
    recipes = ("idle", "grow+idle", "grow(times=1)")
    built = shop.build("file:a", *recipes)
    for recipe in recipes:
        found = failure(built[recipe])
        assert "changed no operator and no weight" in found.error
        assert found.hint


def test_a_live_network_that_a_technique_leaves_as_it_is_has_failed_too(shop: Workshop) -> None:
    built = shop.build("live:a", "idle-live", "shift", "shift+idle-live")
    assert numbers(built["shift"]) == [3, 4, 5]
    assert "changed no operator" in failure(built["idle-live"]).error
    assert "idle-live" in failure(built["shift+idle-live"]).error


def test_a_result_outside_the_work_folder_is_refused(shop: Workshop) -> None:
    recipes = ("outside", "link", "nowhere", "in-place")
    built = shop.build("file:a", *recipes)
    for recipe in recipes:
        assert "not a file in its work folder" in failure(built[recipe]).error
    assert numbers(built["baseline"]) == [1, 2, 3]


def test_a_work_folder_behind_a_link_is_still_the_work_folder(shop: Workshop, tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "cache").symlink_to(tmp_path / "real")
    assert numbers(shop.build("file:a", "resolved")["resolved"]) == [9]


def test_a_step_that_breaks_is_one_failure_that_says_how(shop: Workshop) -> None:
    breaks = {
        "refuse": ("refuse: 3 numbers are too few.", "Bring more."),
        "crash": ("crash: RuntimeError: no", ""),
        "die": ("exited with status 9", "It said nothing."),
    }
    built = shop.build("file:a", *breaks, "grow")
    for recipe, (said, hint) in breaks.items():
        found = failure(built[recipe])
        assert said in found.error
        assert hint in found.hint
    assert numbers(built["grow"]) == [1, 2, 3] * 2
    assert shop.leftovers() == []


def test_what_follows_a_failed_step_inherits_its_failure(shop: Workshop) -> None:
    built = shop.build("file:a", "refuse+grow", "refuse")
    assert failure(built["refuse+grow"]) == failure(built["refuse"])
    assert "grow" not in shop.ran()


def test_a_converter_that_refuses_is_named(shop: Workshop) -> None:
    found = failure(shop.build("file:a", backend="on-dead")["baseline"])
    assert "toy → dead: not these numbers." in found.error
    assert found.hint == "Others."


def test_a_model_that_cannot_be_loaded_fails_each_of_its_cells(shop: Workshop) -> None:
    built = shop.build("file:absent", "grow")
    assert {failure(result).hint for result in built.values()} == {"There is file:a."}


def test_a_failure_is_not_cached(shop: Workshop) -> None:
    failure(shop.build("file:a", "refuse")["refuse"])
    shop.plugin.write_text(PLUGIN.replace('"refuse": refuse', '"refuse": grow'), encoding="utf-8")
    assert numbers(shop.build("file:a", "refuse")["refuse"]) == [1, 2, 3] * 2


def test_a_technique_that_needs_data_that_is_not_there_is_a_skip(shop: Workshop) -> None:
    built = shop.build("file:a", "train", "judge")
    for recipe, lacks in (("train", "train needs train"), ("judge", "judge needs labels")):
        found = failure(built[recipe])
        assert found.reason == SkipReason.NEEDS_DATA.name
        assert lacks in found.error
        assert "--data" in found.hint
    assert "grow" not in shop.ran()


def test_a_live_network_is_saved_once_for_each_recipe(shop: Workshop) -> None:
    built = shop.build("live:a", "shift", "shift+grow", backend="on-plain")
    assert numbers(built["baseline"]) == [1, 2, 3]
    assert numbers(built["shift+grow"]) == [3, 4, 5] * 2
    assert shop.ran().count("shift") == 1


def test_two_runs_at_the_same_time_share_a_cache_without_harm(shop: Workshop) -> None:
    def one(_: int) -> dict[str, Any]:
        return shop.build("file:a", "grow", "grow+grow(times=3)")

    with ThreadPoolExecutor(2) as pool:
        results = list(pool.map(one, range(2)))
    for built in results:
        assert numbers(built["grow"]) == [1, 2, 3] * 2
        assert numbers(built["grow+grow(times=3)"]) == [1, 2, 3] * 6
    assert {r["grow"].built.path for r in results} == {results[0]["grow"].built.path}
    assert shop.leftovers() == []
