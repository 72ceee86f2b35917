"""Meters, on recorded trees of machines: what they find, count and miss, and what they say where they cannot."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import bench_energy
import harness
from bench_energy import ina, pmic, rapl
from bench_energy.integral import Integral
from bench_energy.machine import Machine, run_command, start_thread
from bench_energy.rapl import Unwrapped
from harness.testing.fakes import FakeClock

MACHINES = Path(__file__).parent.parent / "data" / "sysfs"

RANGE_UJ = 262_143_328_850


def no_thread(_work: Callable[[], None]) -> threading.Thread:
    return start_thread(int)


def machine(name: str, **changes: object) -> Machine:
    printed = MACHINES / name / "pmic_read_adc.txt"

    def run(command: Sequence[str]) -> str:
        if not printed.is_file():
            raise FileNotFoundError(command[0])
        return printed.read_text(encoding="utf-8")

    return Machine(root=MACHINES / name, run=run, start=no_thread, **changes)  # type: ignore[arg-type]


def meters(name: str, **changes: object) -> dict[str, harness.Meter]:
    return {meter.name: meter for meter in bench_energy.meters(machine(name, **changes))}


@pytest.mark.parametrize(
    ("name", "works"),
    [
        ("intel-laptop", {"rapl-package", "rapl-psys"}),
        ("intel-two-sockets", {"rapl-package"}),
        ("amd-desktop", {"rapl-package"}),
        ("jetson-orin-nano", {"ina-rails"}),
        ("jetson-nano", {"ina-rails"}),
        ("jetson-agx-xavier", {"ina-rails"}),
        ("raspberry-pi-5", {"pmic-rails"}),
        ("raspberry-pi-4", set()),
        ("virtual-machine", set()),
    ],
)
def test_each_machine_has_the_meters_that_it_has(name: str, works: set[str]) -> None:
    assert {each.name for each in meters(name).values() if each.available().ok} == works


@pytest.mark.parametrize("meter", ["rapl-package", "rapl-psys", "pmic-rails", "ina-rails"])
def test_a_meter_that_is_not_there_says_why_in_one_line(meter: str) -> None:
    found = meters("virtual-machine")[meter].available()
    assert not found.ok
    assert found.reason
    assert "\n" not in found.reason


@pytest.mark.parametrize("meter", ["rapl-package", "rapl-psys", "pmic-rails", "ina-rails"])
def test_every_meter_says_what_it_covers(meter: str) -> None:
    assert meters("virtual-machine")[meter].scope


def write(path: Path, value: int) -> None:
    path.write_text(f"{value}\n", encoding="utf-8")


def test_the_package_counter_runs_over_its_wrap(tmp_path: Path) -> None:
    shutil.copytree(MACHINES / "intel-laptop", tmp_path / "m")
    energy = tmp_path / "m" / "sys/class/powercap/intel-rapl:0/energy_uj"
    counter = rapl.open_counter(Machine(root=tmp_path / "m"), rapl.PACKAGE)
    write(energy, RANGE_UJ)
    assert counter.read_uj() == 328_850
    write(energy, 1_000_000)
    assert counter.read_uj() == 328_850 + 1_000_001
    counter.close()


def test_packages_of_several_sockets_are_added_and_subzones_are_not(tmp_path: Path) -> None:
    shutil.copytree(MACHINES / "intel-two-sockets", tmp_path / "m")
    folder = tmp_path / "m" / "sys/class/powercap"
    counter = rapl.open_counter(Machine(root=tmp_path / "m"), rapl.PACKAGE)
    write(folder / "intel-rapl:0/energy_uj", 1_000_100)
    write(folder / "intel-rapl:1/energy_uj", 2_000_020)
    write(folder / "intel-rapl:0:0/energy_uj", 10**9)
    assert counter.read_uj() == 120


def test_the_same_package_shown_by_another_way_is_not_counted_twice() -> None:
    assert [zone.name for zone in rapl.zones(machine("intel-laptop"), rapl.PACKAGE)] == ["intel-rapl:0"]


def test_a_counter_that_root_alone_may_read_comes_with_the_command_that_opens_it() -> None:
    def read(path: Path) -> str:
        if path.name == "energy_uj":
            raise PermissionError(13, "Permission denied", str(path))
        return path.read_text(encoding="utf-8").strip()

    found = meters("intel-laptop", read=read)["rapl-package"].available()
    assert found.reason == "/sys/class/powercap/intel-rapl:0/energy_uj is readable by root alone"
    assert found.install == "sudo chmod a+r /sys/class/powercap/intel-rapl:*/energy_uj"


@given(
    start=st.integers(0, RANGE_UJ),
    steps=st.lists(st.integers(0, RANGE_UJ), max_size=30),
)
def test_increments_add_up_over_any_number_of_wraps(start: int, steps: list[int]) -> None:
    true = start

    def register() -> int:
        return true % (RANGE_UJ + 1)

    counter = Unwrapped(register, RANGE_UJ)
    for step in steps:
        true += step
        assert counter.read_uj() == true - start


@given(
    steps=st.lists(st.tuples(st.integers(1, 10**10), st.floats(0, 100)), min_size=1, max_size=30),
    first_w=st.floats(0, 100),
)
def test_an_integral_is_the_area_below_its_samples(steps: list[tuple[int, float]], first_w: float) -> None:
    clock, watt = FakeClock(), [first_w]
    counter = Integral(lambda: watt[0], Machine(now_ns=clock, start=no_thread))
    area, before = 0.0, first_w
    for ns, now in steps:
        clock.ns += ns
        watt[0] = now
        area += (before + now) / 2 * ns / 1e3
        before = now
        assert counter.read_uj() == pytest.approx(area, abs=1, rel=1e-9)
    counter.close()


def test_constant_power_gives_watts_times_seconds() -> None:
    clock = FakeClock()
    counter = Integral(lambda: 5.0, Machine(now_ns=clock, start=no_thread))
    clock.ns = 2_000_000_000
    assert counter.read_uj() == 10_000_000


def test_sampling_goes_on_while_a_counter_is_open_and_ends_when_it_is_closed() -> None:
    taken = threading.Event()
    calls: list[int] = []

    def power_w() -> float:
        calls.append(1)
        if len(calls) > 2:
            taken.set()
        return 1.0

    counter = Integral(power_w, Machine())
    assert taken.wait(5)
    counter.close()
    counter.close()
    after = len(calls)
    assert not threading.Event().wait(0.12)
    assert len(calls) == after


def test_a_sensor_that_fails_between_readings_is_told_by_the_next_one() -> None:
    failed = threading.Event()

    def power_w() -> float:
        if threading.current_thread() is not threading.main_thread():
            failed.set()
            raise OSError("gone")
        return 1.0

    counter = Integral(power_w, Machine())
    assert failed.wait(5)
    counter.close()
    with pytest.raises(OSError, match="gone"):
        counter.read_uj()


def test_the_power_chip_counts_rails_that_have_volts_and_amperes() -> None:
    printed = (
        "VDD_CORE_A current(7)=1.5A\n  VDD_CORE_V volt(15)=0.8V\n HDMI_A current(22)=0.1A\n EXT5V_V volt(24)=5.1V\n"
    )
    assert pmic.power_w(printed) == pytest.approx(1.2)


def test_a_real_boards_twelve_rails_are_added() -> None:
    printed = (MACHINES / "raspberry-pi-5" / "pmic_read_adc.txt").read_text(encoding="utf-8")
    assert pmic.power_w(printed) == pytest.approx(2.28, abs=0.01)


def test_a_board_whose_firmware_has_no_such_command_says_so() -> None:
    found = meters("raspberry-pi-4")["pmic-rails"].available()
    assert "Command not registered" in found.reason


def test_a_board_that_denies_its_device_comes_with_the_command_that_opens_it() -> None:
    def run(_command: Sequence[str]) -> str:
        raise OSError("Can't open device file: /dev/vcio")

    found = pmic.available(Machine(run=run))
    assert found.install.startswith("sudo usermod -aG video")


@pytest.mark.parametrize(
    ("name", "rails", "watt"),
    [
        ("jetson-orin-nano", ["VDD_IN"], 5.080 * 1.180),
        ("jetson-nano", ["POM_5V_IN"], 2.274),
        ("jetson-agx-xavier", ["GPU", "CPU", "SOC", "CV", "VDDRQ", "SYS5V"], 4.633),
    ],
)
def test_the_input_rail_is_counted_alone_and_else_all_rails(name: str, rails: list[str], watt: float) -> None:
    added = ina.counted(ina.rails(machine(name)))
    assert [rail.name for rail in added] == rails
    assert sum(rail.power_w() for rail in added) == pytest.approx(watt)


def test_drops_over_shunts_and_other_chips_are_no_rails() -> None:
    found = [rail.name for rail in ina.rails(machine("jetson-orin-nano"))]
    assert found == ["VDD_IN", "VDD_CPU_GPU_CV", "VDD_SOC"]
    assert ina.rails(machine("intel-laptop")) == ()


def test_a_chip_that_tells_microwatts_is_read_as_such(tmp_path: Path) -> None:
    chip = tmp_path / "sys/class/hwmon/hwmon0"
    chip.mkdir(parents=True)
    (chip / "name").write_text("ina219\n", encoding="utf-8")
    write(chip / "power1_input", 3_250_000)
    (rail,) = ina.rails(Machine(root=tmp_path))
    assert (rail.name, rail.power_w()) == ("ina219 channel 1", 3.25)


def test_a_sensor_is_integrated_while_its_meter_is_open() -> None:
    clock = FakeClock()
    counter = meters("jetson-nano", now_ns=clock)["ina-rails"].open()
    clock.ns = 1_000_000_000
    assert counter.read_uj() == 2_274_000
    counter.close()


def test_a_command_that_fails_or_hangs_is_an_error_of_the_system() -> None:
    with pytest.raises(FileNotFoundError):
        run_command(["no-such-command-anywhere"])
    with pytest.raises(OSError, match="ended with 1"):
        run_command(["false"])
