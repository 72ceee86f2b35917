"""`bench profiles`: which devices there are, and what is known of one."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import fields
from typing import Any

import pytest
from click.testing import Result

from harness.estimate.family import FAMILIES
from harness.profile import DeviceProfile, Quantity
from harness.profile_file import builtin_folder, load_profiles

Invoke = Callable[..., Result]

BUILTIN = load_profiles([builtin_folder()])


def quantities(node: Any) -> list[Quantity]:
    if isinstance(node, Quantity):
        return [node]
    if isinstance(node, tuple):
        return [each for item in node for each in quantities(item)]
    if hasattr(node, "__dataclass_fields__"):
        return [found for each in fields(node) for found in quantities(getattr(node, each.name))]
    return []


def words(text: str) -> str:
    """Text without its line breaks."""
    return " ".join(text.split())


@pytest.mark.parametrize("arguments", [[], ["--json"]])
def test_without_a_command_the_devices_are_listed(invoke: Invoke, arguments: list[str]) -> None:
    done = invoke("profiles", *arguments)
    assert done.exit_code == 0
    assert done.stdout == invoke("profiles", "list", *arguments).stdout


def test_the_list_names_every_profile_and_this_machine(invoke: Invoke) -> None:
    told = invoke("profiles", "list").stdout
    assert all(f"\n{name} " in told for name in (*BUILTIN, "host"))


@pytest.mark.parametrize("profile", BUILTIN.values(), ids=lambda p: p.name)
def test_a_profile_is_shown_with_unit_source_and_date_of_every_number(invoke: Invoke, profile: DeviceProfile) -> None:
    done = invoke("profiles", "show", profile.name)
    assert done.exit_code == 0
    told = words(done.stdout)
    for each in quantities(profile):
        assert f" {each.unit} " in told
        assert words(f"{each.source} ({each.date})") in told


@pytest.mark.parametrize("columns", [60, 80])
def test_a_profile_fits_the_terminal(invoke: Invoke, columns: int) -> None:
    longest = max(len(word) for q in quantities(BUILTIN["rpi4"]) for word in q.source.split())
    told = invoke("profiles", "show", "rpi4", columns=columns).stdout
    assert [line for line in told.splitlines() if len(line) > max(columns, longest + 16)] == []


def test_a_profile_shows_its_accelerators_and_power(invoke: Invoke) -> None:
    told = invoke("profiles", "show", "rpi4").stdout
    assert "accelerator: coral-usb, edgetpu by usb3, an option, not part of the board" in told
    assert "power of the board" in told


def test_a_profile_without_power_says_that_no_energy_is_estimated(invoke: Invoke) -> None:
    without = [p.name for p in BUILTIN.values() if p.power is None]
    for name in without:
        assert "so no energy is estimated" in words(invoke("profiles", "show", name).stdout)


def test_a_profile_says_of_each_kernel_family_whether_it_is_calibrated(invoke: Invoke) -> None:
    lines = json.loads(invoke("profiles", "show", "rpi4", "--json").stdout)["kernel_families"]
    measured = {each.kernel_family for each in BUILTIN["rpi4"].calibrations}
    assert {"ncnn", "tflite-ruy"} <= measured
    assert {line["family"] for line in lines if line["state"] == "calibrated"} == measured
    assert {line["family"] for line in lines if line["state"] == "uncalibrated"} == {
        *FAMILIES,
        *BUILTIN["rpi4"].kernels.values(),
    } - measured
    told = invoke("profiles", "show", "rpi4").stdout
    assert all(
        re.search(rf"^{line['family']} +({line.get('precision', 'uncalibrated')})", told, re.M) for line in lines
    )


def test_a_profile_says_of_each_calibration_how_much_is_behind_it(invoke: Invoke) -> None:
    lines = json.loads(invoke("profiles", "show", "rpi4", "--json").stdout)["kernel_families"]
    told = [line for line in lines if line["state"] == "calibrated"]
    for each in BUILTIN["rpi4"].calibrations:
        assert {
            "family": each.kernel_family, "state": "calibrated", "precision": each.precision, "threads": each.threads,
            "rows": each.rows, "models": each.models, "error_percent": each.error_percent, "source": each.source,
        } in told  # fmt: skip
    assert len(told) == len(BUILTIN["rpi4"].calibrations)


def test_a_profile_as_json_is_what_the_list_holds_of_it_and_its_families(invoke: Invoke) -> None:
    shown = json.loads(invoke("profiles", "show", "rpi5", "--json").stdout)
    listed = next(p for p in json.loads(invoke("profiles", "--json").stdout) if p["name"] == "rpi5")
    families, backends = shown.pop("kernel_families"), shown.pop("backends")
    assert shown == listed
    assert families
    assert {each["backend"]: each["family"] for each in backends}.items() >= BUILTIN["rpi5"].kernels.items()


def test_a_profile_says_of_each_backend_whose_kernels_it_uses_and_whether_they_are_calibrated(invoke: Invoke) -> None:
    told = invoke("profiles", "show", "rpi4").stdout
    assert re.search(r"^litert +tflite-xnnpack +profile +fp32, int8 +", told, re.M)
    assert re.search(r"^onnxruntime +mlas +profile +uncalibrated +", told, re.M)


def test_a_microcontroller_says_that_the_kernels_of_a_backend_are_a_stand_in(invoke: Invoke) -> None:
    told = invoke("profiles", "show", "stm32-nucleo-l4r5zi").stdout
    assert re.search(r"^litert +x-cube-ai +nobody: a stand-in +int8 +", told, re.M)


def test_this_machine_is_shown_as_it_is_detected(invoke: Invoke) -> None:
    told = invoke("profiles", "show", "host").stdout
    assert "measured here" in told or "detected" in told


@pytest.mark.parametrize(
    ("arguments", "said", "hint"),
    [
        (["show", "rpi44"], "no profile is named 'rpi44'", "Did you mean 'rpi4'?"),
        (["show", "nobody.toml"], "nobody.toml cannot be read", "path of a TOML file"),
        (["sohw"], "No such command 'sohw'", "bench profiles"),
        (["--json", "show", "rpi4"], "--json goes behind the command", "bench profiles show --json"),
        (["show"], "Missing argument 'NAME'", "--help"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_cannot_be_shown_is_refused_with_a_hint(
    invoke: Invoke, arguments: list[str], said: str, hint: str
) -> None:
    done = invoke("profiles", *arguments)
    assert (done.exit_code, done.stdout) == (2, "")
    assert said in done.stderr
    assert hint in done.stderr
