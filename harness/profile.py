"""A device profile: cores, memory, power and accelerators of a device, each number with unit, source and date."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Literal

if TYPE_CHECKING:
    from pydantic import ConfigDict

MIB = 1024 * 1024


def _key(meaning: str, unit: str = "", *, zero: bool = False) -> dict[str, Any]:
    return {"meaning": meaning, "unit": unit, "zero": zero}


@dataclass(frozen=True, slots=True, kw_only=True)
class Quantity:
    """A number that says where it comes from.

    Attributes:
        source: Document, log or page; `detected` or `measured here` for this machine; starts with `assumed` when
            nobody published it.
        date: See `DATE`.
    """

    __pydantic_config__: ClassVar[ConfigDict] = {"extra": "forbid", "allow_inf_nan": False}

    value: float
    unit: str
    source: str
    date: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Cluster:
    """Cores of one kind."""

    __pydantic_config__: ClassVar[ConfigDict] = {"extra": "forbid"}

    name: str = field(metadata=_key("short name, such as `big`"))
    core: str = field(metadata=_key("core design, such as `Cortex-A72`"))
    count: Quantity = field(metadata=_key("how many", "cores"))
    clock: Quantity = field(metadata=_key("highest clock that is sustained with all cores busy and cooling", "GHz"))
    fp32: Quantity = field(metadata=_key("peak multiply-accumulates of one core in float32", "MAC/cycle"))
    fp16: Quantity = field(
        metadata=_key("the same in float16 arithmetic; 0 = the core has none and computes in float32",
                      "MAC/cycle", zero=True)
    )  # fmt: skip
    int8: Quantity = field(metadata=_key("upper bound in int8; the kernel library decides how much is reached",
                                         "MAC/cycle"))  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Caches:
    """Cache sizes."""

    __pydantic_config__: ClassVar[ConfigDict] = {"extra": "forbid"}

    l1d: Quantity | None = field(default=None, metadata=_key("first level, data, one core's", "KiB"))
    l2: Quantity | None = field(
        default=None, metadata=_key("second level: one core's, or the whole when shared", "KiB")
    )
    l2_shared: bool = field(default=True, metadata=_key("whether the cores of a cluster share the second level"))
    l3: Quantity | None = field(default=None, metadata=_key("third level, shared", "KiB"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """Main memory."""

    __pydantic_config__: ClassVar[ConfigDict] = {"extra": "forbid"}

    total: Quantity = field(metadata=_key("fitted", "MiB"))
    reserved: Quantity = field(metadata=_key("not available to a program: firmware and an idle headless OS", "MiB"))
    memcpy: Quantity = field(metadata=_key("bytes copied per second by one core, read and write counted once", "GB/s"))
    load: Quantity | None = field(default=None, metadata=_key("bytes read per second by one core", "GB/s"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Power:
    """Power states of the board."""

    __pydantic_config__: ClassVar[ConfigDict] = {"extra": "forbid"}

    idle: Quantity = field(metadata=_key("nothing running", "W"))
    stress: Quantity = field(metadata=_key("all cores busy", "W"))
    method: str = field(metadata=_key("where and how it was measured"))


@dataclass(frozen=True, slots=True, kw_only=True)
class AcceleratorFacts:
    """What a simulation of the accelerator needs; a fact that is not known is left out."""

    __pydantic_config__: ClassVar[ConfigDict] = {"extra": "forbid"}

    peak: Quantity | None = field(default=None, metadata=_key("stated peak; two operations a MAC", "TOPS"))
    t0: Quantity | None = field(default=None, metadata=_key("time of an inference that computes nothing", "ms"))
    mac_rate: Quantity | None = field(default=None, metadata=_key("multiply-accumulates reached", "TMAC/s"))
    link_rate: Quantity | None = field(default=None, metadata=_key("parameters streamed over the link", "MB/s"))
    cache: Quantity | None = field(default=None, metadata=_key("on-chip memory that holds parameters", "MB"))
    power: Quantity | None = field(default=None, metadata=_key("drawn by the accelerator alone while it works", "W"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Accelerator:
    """A processor beside the cores."""

    __pydantic_config__: ClassVar[ConfigDict] = {"extra": "forbid"}

    name: str = field(metadata=_key("name for reports, such as `coral-usb`"))
    kind: str = field(metadata=_key("what a backend's `accelerator` must equal, such as `edgetpu`"))
    optional: bool = field(metadata=_key("true when it has to be bought and attached"))
    link: Literal["usb2", "usb3", "pcie", "on-board"] = field(
        metadata=_key("how it is attached: `usb2`, `usb3`, `pcie`, `on-board`")
    )
    facts: AcceleratorFacts = field(metadata=_key("see below"))


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceProfile:
    """A device."""

    __pydantic_config__: ClassVar[ConfigDict] = {"extra": "forbid"}

    name: str = field(metadata=_key("what `--profile` takes: lower case, digits, `-`"))
    title: str = field(metadata=_key("name of the device as people write it"))
    summary: str = field(metadata=_key("one line for listings"))
    isa: Literal["aarch64", "armv7m", "x86_64"] = field(
        metadata=_key("instruction set: `aarch64`, `armv7m`, `x86_64`; selects a backend's kernel family")
    )
    clusters: tuple[Cluster, ...] = field(metadata=_key("one table for each kind of core"))
    memory: Memory = field(metadata=_key("see below"))
    isa_flags: tuple[str, ...] = field(default=(), metadata=_key("flags as in /proc/cpuinfo, such as `asimddp`"))
    caches: Caches = field(default_factory=Caches, metadata=_key("see below"))
    power: Power | None = field(
        default=None, metadata=_key("left out when nobody published it: energy is then not estimated")
    )
    accelerators: tuple[Accelerator, ...] = field(default=(), metadata=_key("one table for each accelerator"))
    runtimes: Mapping[str, Literal["uncalibrated", "calibrated"]] = field(
        default_factory=dict,
        metadata=_key("kernel family to `uncalibrated` or `calibrated`; one that is not named is uncalibrated"),
    )
    note: str = field(default="", metadata=_key("what a reader must know"))

    @property
    def big(self) -> Cluster:
        """The cluster that estimates assume: the one with the fastest cores."""
        return max(self.clusters, key=lambda c: (c.fp32.value * c.clock.value, c.count.value))

    @property
    def available_bytes(self) -> int:
        """Memory that a program can have."""
        return max(0, round((self.memory.total.value - self.memory.reserved.value) * MIB))


def accelerator_facts(accelerator: Accelerator) -> Mapping[str, float]:
    """The facts of an accelerator as plain numbers; a fact that the profile does not know is left out.

    Keys: `peak_macs_per_s`, `t0_ms`, `macs_per_s`, `link_bytes_per_s`, `cache_bytes`, `power_w`.
    """
    facts = accelerator.facts
    known: tuple[tuple[str, Quantity | None, float], ...] = (
        ("peak_macs_per_s", facts.peak, 0.5e12),
        ("t0_ms", facts.t0, 1.0),
        ("macs_per_s", facts.mac_rate, 1e12),
        ("link_bytes_per_s", facts.link_rate, 1e6),
        ("cache_bytes", facts.cache, 1e6),
        ("power_w", facts.power, 1.0),
    )
    return {key: quantity.value * scale for key, quantity, scale in known if quantity is not None}
