"""Every built-in meter keeps what a meter promises: on this machine, and on machines that were recorded."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.testing import MeterConformance, MeterSubject
from harness.testing.loading import load_among

SYSFS = Path(__file__).parents[1] / "data" / "sysfs"

METERS = ("ina-rails", "pmic-rails", "rapl-package", "rapl-psys")

RECORDED = {
    "rapl-package": "intel-two-sockets",
    "rapl-psys": "intel-laptop",
    "ina-rails": "jetson-orin-nano",
    "pmic-rails": "raspberry-pi-5",
}
"""Meter to a machine that has it."""

PLUGIN = '''
"""The built-in meters on a recorded machine, whose counters run: a recording stands still."""

import time
from pathlib import Path

from bench_energy import meters
from bench_energy.machine import Machine, read_file
from harness import hookimpl

HARNESS_API = 1
ROOT = Path({root!r})


def read(path):
    text = read_file(path)
    return str(int(text) + time.monotonic_ns() // 1000 % 10**9) if path.name == "energy_uj" else text


def run(command):
    printed = ROOT / "pmic_read_adc.txt"
    if not printed.is_file():
        raise FileNotFoundError(command[0])
    return printed.read_text(encoding="utf-8")


@hookimpl
def harness_meters():
    yield from meters(Machine(root=ROOT, read=read, run=run))
'''


class TestMetersHere(MeterConformance):
    @pytest.fixture(params=METERS)
    def subject(self, request):
        return MeterSubject(plugin="bench_energy", name=request.param)


class TestMetersOfRecordedMachines(MeterConformance):
    light_packages = frozenset({"bench_energy"})

    @pytest.fixture(params=RECORDED)
    def subject(self, request, tmp_path_factory):
        machine = RECORDED[request.param]
        file = tmp_path_factory.mktemp("machine") / f"{machine.replace('-', '_')}.py"
        file.write_text(PLUGIN.format(root=str(SYSFS / machine)), encoding="utf-8")
        return MeterSubject(plugin=str(file), name=request.param)

    def test_the_recorded_machine_has_it(self, meter) -> None:
        assert meter.available().ok


def test_every_built_in_meter_is_tested() -> None:
    assert {m.name for m in load_among().meters if m.distribution == "edge-bench"} == set(METERS) == set(RECORDED)
