"""Reasons on a device that is not here, and the facts of processors."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from harness.profile_file import builtin_folder, load_profile
from harness.why.cpu import cpu_facts
from harness.why.reason import Cause, Reason
from harness.why.reasons import device_reasons

if TYPE_CHECKING:
    from harness.profile import DeviceProfile

WIDE = (128, 256, 256)


def profile(name: str) -> DeviceProfile:
    return load_profile(builtin_folder() / f"{name}.toml")


def causes(found: tuple[Reason, ...]) -> list[Cause]:
    return [reason.cause for reason in found]


@pytest.fixture
def why(make: dict[str, Any]) -> Any:
    def ask(device: str, channels: tuple[int, ...] = WIDE, **variant: Any) -> tuple[Reason, ...]:
        graphs = make["graph"](WIDE), make["graph"](channels, **variant)
        return device_reasons(*graphs, profile(device), kernel_family="mlas", threads=1)

    return ask


def test_8_bits_lack_a_dot_product_on_an_old_core_and_not_on_a_new_one(why: Any) -> None:
    (reason,) = why("rpi4", precision="int8")
    assert (reason.cause, reason.where, reason.basis) == (Cause.NO_DOT_PRODUCT, "device", "estimated")
    assert "Raspberry Pi 4" in reason.text
    assert why("rpi5", precision="int8") == ()


def test_half_precision_is_float_on_a_core_without_it(why: Any) -> None:
    assert causes(why("rpi4", precision="fp16")) == [Cause.HALF_IN_FLOAT]
    assert why("rpi5", precision="fp16") == ()


def test_a_layer_left_in_float_has_its_estimated_share(why: Any) -> None:
    found = why("rpi5", formats=("int8", "fp32"))
    assert causes(found) == [Cause.FLOAT_LEFT]
    assert found[0].share is not None
    assert 0.5 < found[0].share < 1


def test_zeros_do_not_help_on_a_device_either(why: Any) -> None:
    assert causes(why("rpi4", zeros=0.6)) == [Cause.DENSE_ZEROS]
    assert why("rpi4", zeros=0.02) == ()


def test_channels_are_counted_in_the_devices_own_vectors(why: Any) -> None:
    assert Cause.ODD_CHANNELS in causes(why("coral-usb", (128, 9, 9)))  # 8 lanes, so 9 are 16
    assert Cause.ODD_CHANNELS not in causes(why("rpi4", (128, 12, 12)))


def test_a_tiny_network_is_all_launches(make: dict[str, Any]) -> None:
    tiny, small = make["graph"]((2, 2, 2)), make["graph"]((2, 2, 2), precision="int8")
    found = device_reasons(tiny, small, profile("rpi5"), kernel_family="mlas", threads=4)
    assert Cause.TOO_SMALL in causes(found)


def test_the_same_graph_twice_is_asked_nothing(why: Any) -> None:
    assert why("rpi4") == ()


@pytest.mark.parametrize(
    ("flags", "isa", "expected"),
    [
        (("avx2", "fma"), "x86_64", (8, False)),
        (("avx2", "fma", "avx", "avx_vnni"), "x86_64", (8, True)),
        (("avx", "avx512f"), "x86_64", (16, False)),
        (("avx", "avx512f", "avx512_vnni"), "x86_64", (16, True)),
        (("avx", "avx512f", "amx_int8"), "x86_64", (16, True)),
        (("sse2",), "x86_64", (4, False)),
        (("asimd",), "aarch64", (4, False)),
        (("asimd", "asimddp"), "aarch64", (4, True)),
        (("asimd", "i8mm", "sve"), "aarch64", (4, True)),
    ],
)
def test_vectors_and_dot_products_follow_from_the_flags(flags: Any, isa: Any, expected: Any) -> None:
    facts = cpu_facts(replace(profile("coral-usb"), isa=isa, isa_flags=flags))
    assert (facts.lanes, facts.dot_product) == expected


def test_half_precision_and_launches_follow_from_the_cores() -> None:
    old, new = cpu_facts(profile("rpi4")), cpu_facts(profile("rpi5"))
    assert (old.half, new.half) == (False, True)
    assert old.launch_ns == pytest.approx(3500)
    assert new.launch_ns < old.launch_ns


def test_a_microcontroller_has_no_vectors_to_fill(why: Any) -> None:
    assert cpu_facts(profile("stm32-nucleo-l4r5zi")).lanes == 1
