"""Which kernels an estimate assumes when nobody names them, and which names are known."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from harness.contributions import AVAILABLE, Availability, Backend, GraphReader
from harness.errors import UnknownNameError, UsageError
from harness.estimate.family import FAMILIES
from harness.kernel_choice import choose_kernels, kernels_of_backends, known_families
from harness.profile import Calibration, DeviceProfile
from harness.profile_file import builtin_folder, load_profiles

BOARD = replace(load_profiles([builtin_folder()])["rpi4"], calibrations=(), power=None, kernels={})


def calibrated(*families: str) -> DeviceProfile:
    """The board as if these families had been measured on it, in that order."""
    return replace(
        BOARD,
        calibrations=tuple(
            Calibration(kernel_family=family, precision="fp32", threads=4, scale=1.0, rows=3, models=3,
                        error_percent=5.0, source="made up", date="2026")
            for family in families
        ),
    )  # fmt: skip


def backend(name: str, family: str = "", *, installed: bool = True, **more: Any) -> Backend:
    available = AVAILABLE if installed else Availability(ok=False, reason="not installed")
    return Backend(
        name=name, summary="", prepare=lambda: None, open=lambda path, options: None,
        kernel_family={"aarch64": family} if family else {}, available=lambda: available,
        **{"reads": ("file",), **more},
    )  # fmt: skip


def test_a_calibrated_family_comes_before_every_other(make_host) -> None:
    found = choose_kernels(None, calibrated("quick", "swift"), make_host(backends=[backend("one", "slow")]))
    assert (found.family, found.backend) == ("quick", None)
    assert "calibrated on rpi4" in found.why


def test_without_calibration_the_family_of_an_installed_backend_is_taken(make_host) -> None:
    host = make_host(backends=[backend("absent", "a", installed=False), backend("present", "b")])
    found = choose_kernels(None, BOARD, host)
    assert found.family == "b"
    assert "none is calibrated on rpi4" in found.why
    assert "installed backend present" in found.why


def test_without_an_installed_backend_a_known_family_is_taken_and_that_is_said(make_host) -> None:
    found = choose_kernels(None, BOARD, make_host(backends=[backend("absent", "a", installed=False)]))
    assert found.family == "a"
    assert "no backend for aarch64 is installed" in found.why


def test_a_backend_without_kernels_for_the_device_does_not_count(make_host) -> None:
    with pytest.raises(UsageError, match="no kernel family is known for rpi4"):
        choose_kernels(None, BOARD, make_host(backends=[backend("elsewhere")]))


def test_families_of_the_profile_of_backends_and_all_described_ones_are_known(make_host) -> None:
    found = known_families(calibrated("a", "b"), make_host(backends=[backend("x", "b"), backend("y", "c")]))
    assert found[:3] == ("a", "b", "c")
    assert set(found[3:]) == set(FAMILIES)


def test_an_unknown_name_is_refused_with_what_is_near_and_what_is_known(make_host) -> None:
    host = make_host(backends=[backend("x", "swift"), backend("z", accelerator="abacus")])
    with pytest.raises(UnknownNameError) as caught:
        choose_kernels("swfit", BOARD, host)
    assert caught.value.hint.startswith("Did you mean 'swift'?  Known: swift, ")
    assert caught.value.hint.endswith(", abacus")


def test_an_accelerator_brings_the_backend_that_drives_it(make_host) -> None:
    board = load_profiles([builtin_folder()])["rpi4"]
    kind = board.accelerators[0].kind
    found = choose_kernels(kind, board, make_host(backends=[backend("driver", accelerator=kind)]))
    assert found.backend is not None
    assert found.backend.name == "driver"


def test_an_accelerator_that_the_device_lacks_is_refused(make_host) -> None:
    with pytest.raises(UsageError, match="rpi4 has no abacus"):
        choose_kernels("abacus", BOARD, make_host(backends=[backend("driver", accelerator="abacus")]))


def reader(format_name: str, *suffixes: str) -> GraphReader:
    return GraphReader(format=format_name, suffixes=suffixes, read=lambda path: None, content_sha256=lambda path: "")


def test_a_file_of_one_runtime_is_estimated_in_its_kernels_calibrated_or_not(make_host) -> None:
    host = make_host(
        backends=[backend("other", "slow"), backend("owner", "swift", reads=("own",))],
        graph_readers=[reader("own", ".own"), reader("file", ".file")],
    )
    found = choose_kernels(None, calibrated("quick"), host, ".own")
    assert (found.family, found.why) == ("swift", "that of owner, which runs .own files")


def test_a_file_that_runtimes_with_the_same_kernels_run_is_estimated_in_them(make_host) -> None:
    host = make_host(
        backends=[backend("one", "swift"), backend("two", "swift")], graph_readers=[reader("file", ".file")]
    )
    assert choose_kernels(None, calibrated("quick"), host, ".file").family == "swift"


@pytest.mark.parametrize("suffix", [".file", ".other", ""])
def test_a_file_that_several_kernels_run_or_none_gets_what_is_calibrated(make_host, suffix: str) -> None:
    host = make_host(
        backends=[backend("one", "swift"), backend("two", "slow")], graph_readers=[reader("file", ".file")]
    )
    assert choose_kernels(None, calibrated("quick"), host, suffix).family == "quick"


def test_a_backend_that_drives_an_accelerator_takes_no_part_in_the_choice_by_format(make_host) -> None:
    host = make_host(
        backends=[backend("one", "swift"), backend("z", accelerator="abacus")], graph_readers=[reader("file", ".file")]
    )
    assert choose_kernels(None, BOARD, host, ".file").family == "swift"


def test_the_kernels_that_the_device_names_for_the_runtime_of_a_file_are_taken(make_host) -> None:
    host = make_host(backends=[backend("one", "swift")], graph_readers=[reader("file", ".file")])
    board = replace(BOARD, kernels={"one": "quick"})
    assert choose_kernels(None, board, host, ".file").family == "quick"


def test_each_backend_is_told_with_its_kernels_who_named_them_and_what_is_calibrated(make_host) -> None:
    host = make_host(backends=[backend("one", "slow"), backend("two", "quick"), backend("z", accelerator="abacus")])
    board = replace(calibrated("quick"), kernels={"one": "swift", "absent": "quick"})
    told = {each.backend: (each.family, each.named_by, each.calibrated, each.installed)
            for each in kernels_of_backends(board, host)}  # fmt: skip
    assert told == {
        "one": ("swift", "profile", (), True),
        "two": ("quick", "backend", ("fp32",), True),
        "absent": ("quick", "profile", ("fp32",), False),
    }


def test_a_backend_without_kernels_for_the_device_is_told_with_its_stand_in_or_with_none(make_host) -> None:
    elsewhere = replace(backend("one"), kernel_family={"x86_64": "slow"})
    host = make_host(backends=[elsewhere, backend("two")])
    told = {each.backend: (each.family, each.named_by) for each in kernels_of_backends(calibrated("quick"), host)}
    assert told == {"one": ("quick", "calibration"), "two": ("", "")}
    (first, _) = kernels_of_backends(BOARD, host)
    assert (first.family, first.named_by) == ("", "")


def test_kernels_that_only_the_profile_names_can_be_asked_for(make_host) -> None:
    board = replace(BOARD, kernels={"absent": "abacus-kernels"})
    assert choose_kernels("abacus-kernels", board, make_host()).family == "abacus-kernels"
