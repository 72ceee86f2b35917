"""The guard: what the host asks of a plugin outside a child process blames the plugin, or goes on without it."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.errors import PluginError, UsageError
from harness.host import Host
from harness.loading import load_host
from harness.measure.opened import prepare_all
from harness.measure.subject import MeasureSettings, Subject
from harness.plan import Plan, complete, expand
from harness.process.limits import Limits
from harness.record import Failure

WHO = "raising_calls (given with --plugin)"


@pytest.fixture
def host(plugins_folder: Path, toy: str) -> Host:
    path = str(plugins_folder / "raising_calls.py")
    return load_host(sources=[toy, path], allow=["bench_toy", "raising_calls"])


def plan(host: Host, *, model: str = "toy:linear", recipe: str = "baseline") -> Plan:
    return complete(Plan(models=(model,), recipes=(recipe,), backends=("toy-numpy",)), host)


def test_loading_it_is_no_failure(host: Host) -> None:
    assert host.failures == ()
    assert host.late == []


def test_a_source_that_cannot_say_what_it_claims_is_passed_over_and_the_others_are_asked(host: Host) -> None:
    cells = expand(plan(host), host)
    assert {cell.source.name for cell in cells} == {"toy"}
    (late,) = host.late
    assert (late.plugin, late.stage, late.error) == ("raising_calls", "claims", "ZeroDivisionError: not today")
    assert late.place.endswith("raising_calls.py, line 15")


def test_a_source_that_cannot_list_its_models_lists_none(host: Host) -> None:
    assert [info.ref for source in host.models for info in source.contribution.list_models()] == ["toy:linear"]
    assert [f.stage for f in host.late] == ["list_models", "list_models"]
    assert "'odd:net' of type str" in host.late[0].error


def test_the_same_failure_is_told_once(host: Host) -> None:
    for _ in range(2):
        host.models.get("unsure").contribution.claims("x")
    assert len(host.late) == 1


def test_a_check_that_raises_names_plugin_and_line(host: Host) -> None:
    with pytest.raises(PluginError) as caught:
        expand(plan(host, model="unchecked:net"), host)
    assert caught.value.message == f"check of unchecked failed in the plugin {WHO}: ZeroDivisionError: not today."
    assert "raising_calls.py, line 15" in caught.value.hint
    assert "--block raising_calls" in caught.value.hint


def test_an_identity_that_is_no_text_is_refused(host: Host) -> None:
    with pytest.raises(
        PluginError, match=r"identity of nameless in the plugin raising_calls .* answered 7 of type int"
    ):
        host.models.get("nameless").contribution.identity("nameless:net")


@pytest.mark.parametrize(("recipe", "said"), [("needy", "ZeroDivisionError"), ("vague", "'labels' of type str")])
def test_a_technique_that_cannot_say_what_it_needs_is_refused_where_it_is_asked_for(
    host: Host, recipe: str, said: str
) -> None:
    with pytest.raises(PluginError, match=f"needs of {recipe}.*{said}"):
        expand(plan(host, recipe=recipe), host)


@pytest.mark.parametrize("name", ["poisoned", "blank"])
def test_a_backend_without_an_environment_fails_its_sessions_and_no_others(host: Host, name: str) -> None:
    backend = host.backends.get(name)
    subject = Subject(
        name=name, label=name, backend=name, options={}, path=Path(), variant_sha256="", model_folder=Path(),
        outputs=Path(), plugins=(), provider=backend.provider, environment=backend.contribution.environment,
    )  # fmt: skip
    settings = MeasureSettings(
        threads=1, seed=0, budget_s=1.0, processes=1, precision=0.1, limits=Limits(answer_s=1.0), lanes=1
    )
    ((failed, failure),) = prepare_all([subject], settings)  # type: ignore[misc]
    assert failed is subject
    assert isinstance(failure, Failure)
    assert failure.error.startswith(f"environment of {name}")
    assert WHO in failure.error


@pytest.mark.parametrize(
    ("options", "said"),
    [("dict", "is not a dataclass"), ("NoDefault", "missing 1 required")],
)
def test_options_that_cannot_be_used_break_the_hook(tmp_path: Path, options: str, said: str) -> None:
    path = tmp_path / "bench_options.py"
    path.write_text(
        "import dataclasses\nimport harness\n\n\n"
        "@dataclasses.dataclass(frozen=True)\nclass NoDefault:\n    n: int\n\n\n"
        "@harness.hookimpl\ndef harness_techniques():\n"
        f"    return [harness.Technique(name='t', summary='', stage='artifact', options={options})]\n",
        encoding="utf-8",
    )
    (failure,) = load_host(sources=[str(path)], allow=["bench_options"]).failures
    assert failure.stage == "harness_techniques"
    assert said in failure.error


def test_what_a_plugin_refuses_on_purpose_stays_its_own_message(toy: str) -> None:
    host = load_host(sources=[toy], allow=["bench_toy"])
    with pytest.raises(UsageError, match="no model 'nonsense'"):
        expand(plan(host, model="nonsense"), host)
