"""The back-test of latency on what other people published, with model family and processor held out together.

What is asserted of figures is what the method promises; the page on its methods has the figures themselves.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from harness.estimate import baseline
from harness.estimate.calibrated import FOLDER
from harness.estimate.conformal import FLOOR
from harness.estimate.controls import controls, shuffled
from harness.estimate.design import Design, contributions, design
from harness.estimate.fit import fit
from harness.estimate.fit_files import write_fit
from harness.estimate.fitting import FittedAll, fit_all
from harness.estimate.fusion import fuse_by
from harness.estimate.fusion_rules import rules_of
from harness.estimate.holdout import HeldOut, hold_out
from harness.estimate.published import PublishedData, PublishedRow, published_data
from harness.estimate.rates import rates
from harness.estimate.skill import Skill, skill
from harness.estimate.validation import joined
from harness.profile_file import builtin_folder

if TYPE_CHECKING:
    from pathlib import Path

    from harness.estimate.fusion_rule import Rule
    from harness.graph import Operator, OpGraph, Tensor

FAMILY = "ncnn"
"""The family of the acceptance figures: most rows, most devices, one source."""


@pytest.fixture(scope="session")
def data() -> PublishedData:
    return published_data()


@pytest.fixture(scope="session")
def fp32(data: PublishedData) -> HeldOut:
    return hold_out(design(data.calibrating(FAMILY, "fp32"), data))


@pytest.fixture(scope="session")
def floats(data: PublishedData, fp32: HeldOut) -> HeldOut:
    return joined([fp32, hold_out(design(data.calibrating(FAMILY, "fp16"), data))])


@pytest.fixture(scope="session")
def datasheet(floats: HeldOut) -> Skill:
    return skill(floats.datasheet_ms, floats.given)


@pytest.fixture(scope="session")
def scaled(floats: HeldOut) -> Skill:
    return skill(floats.scaled_ms, floats.given)


@pytest.fixture(scope="session")
def mutants(fp32: HeldOut, data: PublishedData) -> Mapping[str, Skill]:
    return controls(fp32.given, data)


@pytest.fixture(scope="session")
def fitted_again(data: PublishedData) -> FittedAll:
    return fit_all(data)


# --- what is promised


def test_there_is_enough_to_judge_by(datasheet: Skill, floats: HeldOut) -> None:
    assert datasheet.rows > 700
    assert len(set(floats.given.of("soc"))) >= 15
    assert len(set(floats.given.of("model_family"))) >= 12
    assert datasheet.close > 1000


def test_from_the_datasheet_alone_the_error_is_below_a_fifth(datasheet: Skill) -> None:
    assert datasheet.error <= 0.20


def test_from_the_datasheet_alone_networks_come_in_the_right_order(datasheet: Skill) -> None:
    assert datasheet.spearman >= 0.98
    assert datasheet.close_right >= 0.92


def test_with_the_scale_of_a_device_the_error_is_below_a_ninth(scaled: Skill) -> None:
    assert scaled.error <= 0.11
    assert scaled.within_20 >= 0.80


def test_with_the_scale_of_a_device_close_pairs_come_in_the_right_order(scaled: Skill) -> None:
    assert scaled.close_right >= 0.92


def test_nine_tenths_of_the_published_latencies_lie_in_their_intervals(datasheet: Skill, scaled: Skill) -> None:
    assert 0.85 <= datasheet.coverage <= 0.95
    assert 0.85 <= scaled.coverage <= 0.95
    assert scaled.factor90 < datasheet.factor90 < 1.6


@pytest.mark.parametrize("other", [baseline.flops_ms, baseline.roofline_ms], ids=["FLOPs", "roofline"])
def test_what_people_use_instead_is_much_worse(
    datasheet: Skill, scaled: Skill, floats: HeldOut, data: PublishedData, other
) -> None:
    alone = skill(baseline.unscaled(other, floats.given, data), floats.given)
    helped = skill(baseline.scaled(other, floats.given, data), floats.given)
    assert alone.error > 2 * datasheet.error
    assert helped.error > 2 * scaled.error
    assert 1 - alone.close_right > 3 * (1 - datasheet.close_right)
    assert alone.spearman < 0.95


# --- that it is not blind


def test_nothing_of_what_is_hidden_is_seen(fp32: HeldOut) -> None:
    given = fp32.given
    families, socs = given.of("model_family"), given.of("soc")
    family, soc = families[0], socs[0]
    hidden = (families == family) & (socs == soc)
    wrong = np.where((families == family) | (socs == soc), given.measured_ms * 3, given.measured_ms)
    after = hold_out(replace(given, measured_ms=wrong)).datasheet_ms[hidden]
    assert after.tobytes() == fp32.datasheet_ms[hidden].tobytes()


def test_on_shuffled_latencies_no_skill_is_left(mutants: Mapping[str, Skill]) -> None:
    found = mutants["latencies of each run shuffled"]
    assert abs(found.spearman) < 0.1
    assert 0.4 < found.close_right < 0.6
    assert found.error > 0.5


def test_shuffling_deals_the_latencies_of_a_run_out_to_its_own_networks(fp32: HeldOut) -> None:
    mixed = shuffled(fp32.given)
    runs = fp32.given.of("run")
    assert not np.array_equal(mixed.measured_ms, fp32.given.measured_ms)
    for run in set(runs):
        assert sorted(mixed.measured_ms[runs == run]) == sorted(fp32.given.measured_ms[runs == run])


def test_without_any_change_the_controls_find_what_the_back_test_found(
    mutants: Mapping[str, Skill], fp32: HeldOut
) -> None:
    assert mutants["nothing changed"] == skill(fp32.datasheet_ms, fp32.given)


@pytest.mark.parametrize(
    ("mutation", "times"),
    [
        ("datasheets of the devices permuted", 2.0),
        ("a rule that fuses a convolution into the one before it", 1.5),
        ("Winograd taken for plain convolution", 1.1),
    ],
)
def test_a_wrong_method_is_seen(mutants: Mapping[str, Skill], mutation: str, times: float) -> None:
    assert mutants[mutation].error > times * mutants["nothing changed"].error


def test_coefficients_of_another_family_are_seen(fp32: HeldOut, data: PublishedData) -> None:
    other = fit(design(data.calibrating("armnn", "fp32"), data))
    found = skill(fp32.given.matrix @ other, fp32.given)
    whole = skill(fp32.datasheet_ms, fp32.given)
    assert found.error > 2 * whole.error
    assert found.close_right < whole.close_right


def spelled_out(graph: OpGraph) -> OpGraph:
    """The same with every activation that the table keeps inside its operator as an operator of its own."""
    tensors: dict[str, Tensor] = dict(graph.tensors)
    operators: list[Operator] = []
    for op in graph.operators:
        if not op.activation or len(op.outputs) != 1:
            operators.append(op)
            continue
        (name,) = op.outputs
        tensors[f"{name}/before"] = replace(tensors[name], name=f"{name}/before")
        operators.append(replace(op, activation="", outputs=(f"{name}/before",)))
        operators.append(
            replace(
                op, name=f"{op.name}/activation", kind=op.activation, macs=0, activation="", attributes={},
                inputs=(f"{name}/before",), outputs=(name,),
            )
        )  # fmt: skip
    return replace(graph, tensors=tensors, operators=tuple(operators))


def fused_by(rules: tuple[Rule, ...], rows: tuple[PublishedRow, ...], data: PublishedData) -> Design:
    """Rows of spelled-out graphs, fused by some rules."""
    kernels = {
        row.model: [k for k in fuse_by(spelled_out(data.graph_of(row)), rules) if k.operator.kind != "detection"]
        for row in {row.model: row for row in rows}.values()
    }
    matrix = [
        contributions(
            kernels[row.model],
            rates(data.profile_of(row), kernel_family=row.family, threads=row.threads, cluster=row.cluster),
        )
        for row in rows
    ]
    return Design(rows=rows, matrix=np.array(matrix), measured_ms=np.array([row.latency_ms for row in rows]))


def test_the_rules_put_spelled_out_activations_back_where_they_were(fp32: HeldOut, data: PublishedData) -> None:
    found = fused_by(rules_of(FAMILY), fp32.given.rows, data)
    assert found.matrix == pytest.approx(fp32.given.matrix)


def test_activations_that_nobody_fuses_cost_time(fp32: HeldOut, data: PublishedData) -> None:
    """The coefficients stay: fitted again they would hide it, since every network has about as many of them."""
    plain = fused_by((), fp32.given.rows, data)
    known = fit(fp32.given)
    assert np.median((plain.matrix @ known) / (fp32.given.matrix @ known)) > 1.05


# --- that what ships is what comes out


def test_what_ships_is_what_the_published_rows_give_to_the_last_byte(fitted_again: FittedAll, tmp_path: Path) -> None:
    copy = tmp_path / "profiles"
    shutil.copytree(builtin_folder(), copy, ignore=shutil.ignore_patterns("published"))
    assert [path.name for path in write_fit(fitted_again, copy)] == []
    assert {path.stem for path in (copy / FOLDER).iterdir()} == {family.family for family in fitted_again.families}


def test_every_fit_knows_its_error_on_what_it_did_not_see(fitted_again: FittedAll) -> None:
    for family in fitted_again.families:
        for each in family.precisions.values():
            assert 0 < each.error_percent < 100, family.family
            assert min(each.factor90, each.scaled_factor90, each.pair_factor90) >= FLOOR, family.family


def test_where_many_processors_were_published_a_scale_of_the_device_narrows_the_interval(
    fitted_again: FittedAll,
) -> None:
    many = [each for f in fitted_again.families for each in f.precisions.values() if each.processors >= 5]
    calibrated = [each for each in many if each.scaled_error_percent != each.error_percent]
    assert len(calibrated) >= 3
    assert all(each.scaled_factor90 < each.factor90 for each in calibrated)


def test_every_calibration_is_of_a_device_that_estimates_are_made_for(
    fitted_again: FittedAll, data: PublishedData
) -> None:
    assert set(fitted_again.calibrations) <= data.targets
    assert {"rpi4", "rpi5"} <= set(fitted_again.calibrations)
