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
    in_order: bool = field(
        default=False, metadata=_key("true when the core cannot reorder instructions, as Cortex-A53 and A55")
    )
    memcpy: Quantity | None = field(
        default=None, metadata=_key("as `memory.memcpy`, where a core of this kind copies slower", "GB/s")
    )


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
    flash: Quantity | None = field(
        default=None, metadata=_key("on-chip program memory of a microcontroller, where weights stay", "KiB")
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class ActivePower:
    """Power while one software computes: energies that were measured of inferences, divided by their latency.

    An inference takes `power` times its latency, and `per_mac` times its multiply-accumulates.
    """

    __pydantic_config__: ClassVar[ConfigDict] = {"extra": "forbid"}

    family: str = field(metadata=_key("kernel family that computed"))
    precision: str = field(metadata=_key("`fp32`, `fp16` or `int8`: of most multiply-accumulates"))
    threads: Quantity = field(metadata=_key("how many computed", "threads"))
    power: Quantity = field(metadata=_key("energy of an inference divided by its median latency", "W"))
    per_mac: Quantity | None = field(
        default=None, metadata=_key("energy of a multiply-accumulate on top; left out where it explains nothing", "pJ")
    )
    spread: Quantity = field(
        metadata=_key("error of the energy at known latency: root mean square of its logarithm over families of models "
                      "held out", "ln")
    )  # fmt: skip
    scope: str = field(metadata=_key("what the meter covers, such as `whole board at the wall`"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Power:
    """Power states of the board, and power while a known software computes."""

    __pydantic_config__: ClassVar[ConfigDict] = {"extra": "forbid"}

    idle: Quantity | None = field(default=None, metadata=_key("nothing running", "W"))
    stress: Quantity | None = field(default=None, metadata=_key("all cores busy", "W"))
    method: str = field(metadata=_key("where and how idle and stress were measured, and what the meter covers"))
    active: tuple[ActivePower, ...] = field(
        default=(), metadata=_key("one table for each software that was measured while it computed")
    )


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
class Calibration:
    """What published or own measurements on this device say of one kernel family; written by `bench`, not by hand."""

    __pydantic_config__: ClassVar[ConfigDict] = {"extra": "forbid", "allow_inf_nan": False}

    kernel_family: str = field(metadata=_key("kernel family, such as `mlas`"))
    precision: str = field(metadata=_key("`fp32`, `fp16` or `int8`: what the arithmetic is done in"))
    threads: int = field(metadata=_key("threads that were used", "threads"))
    scale: float = field(metadata=_key("measured time over the time that the family's coefficients predict"))
    rows: int = field(metadata=_key("measurements behind it"))
    models: int = field(metadata=_key("different networks among them"))
    error_percent: float = field(
        metadata=_key("mean error on these rows when their model family was hidden from coefficients and scale", "%",
                      zero=True)
    )  # fmt: skip
    source: str = field(metadata=_key("where the measurements are from"))
    date: str = field(metadata=_key("when they were published or made"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Bandwidth:
    """Speed of memory for a block of one size, moved by one core again and again."""

    __pydantic_config__: ClassVar[ConfigDict] = {"extra": "forbid"}

    block: Quantity = field(metadata=_key("size of the block", "KiB"))
    copy: Quantity = field(metadata=_key("bytes copied, read and write counted once", "GB/s"))
    read: Quantity = field(metadata=_key("bytes read and summed up", "GB/s"))


@dataclass(frozen=True, slots=True, kw_only=True)
class HostCalibration:
    """Costs of kernels fitted to graphs that were timed on the device itself, by `bench calibrate`."""

    __pydantic_config__: ClassVar[ConfigDict] = {"extra": "forbid", "allow_inf_nan": False}

    family: str = field(metadata=_key("kernel family that computed"))
    precision: str = field(metadata=_key("`fp32` or `int8`: of most multiply-accumulates"))
    threads: Quantity = field(metadata=_key("how many computed", "threads"))
    graphs: Quantity = field(metadata=_key("how many were timed", "graphs"))
    error: Quantity = field(
        metadata=_key(
            "mean absolute error over those that resemble networks, each predicted by a fit without it", "%", zero=True
        )
    )
    factor90: Quantity = field(metadata=_key("nine tenths of these graphs are within this factor", "times"))
    near: Quantity = field(metadata=_key("tensors larger than this count as `far activation`", "KiB"))
    last: Quantity = field(metadata=_key("constants beyond this count as `far weight`", "KiB"))
    launch: Quantity | None = field(
        default=None, metadata=_key("one more operator that computes next to nothing", "us")
    )
    coefficients: Mapping[str, float] = field(
        default_factory=dict, metadata=_key("milliseconds of a unit of each term of the cost model")
    )
    residuals: Mapping[str, float] = field(
        default_factory=dict, metadata=_key("per cent by which each graph is predicted too slow, by a fit without it")
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceProfile:
    """A device."""

    __pydantic_config__: ClassVar[ConfigDict] = {"extra": "forbid"}

    name: str = field(metadata=_key("what `--profile` takes: lower case, digits, `-`"))
    title: str = field(metadata=_key("name of the device as people write it"))
    summary: str = field(metadata=_key("one line for listings"))
    isa: Literal["aarch64", "armv7a", "armv7m", "riscv64", "x86_64"] = field(
        metadata=_key(
            "instruction set: `aarch64`, `armv7a` (and older 32-bit Arm), `armv7m` (and newer microcontrollers), "
            "`riscv64`, `x86_64`; selects a backend's kernel family"
        )
    )
    clusters: tuple[Cluster, ...] = field(metadata=_key("one table for each kind of core"))
    memory: Memory = field(metadata=_key("see below"))
    isa_flags: tuple[str, ...] = field(default=(), metadata=_key("flags as in /proc/cpuinfo, such as `asimddp`"))
    soc: str = field(default="", metadata=_key("processor, where several boards have the same; else the name"))
    caches: Caches = field(default_factory=Caches, metadata=_key("see below"))
    power: Power | None = field(
        default=None, metadata=_key("left out when nobody published it: energy is then not estimated")
    )
    accelerators: tuple[Accelerator, ...] = field(default=(), metadata=_key("one table for each accelerator"))
    calibrations: tuple[Calibration, ...] = field(
        default=(),
        metadata=_key("one table for each kernel family, precision and number of threads that was measured on the"
                      " device; every other is uncalibrated"),
    )  # fmt: skip
    bandwidths: tuple[Bandwidth, ...] = field(
        default=(), metadata=_key("one table for each size of block that was measured on the device")
    )
    profiled: tuple[HostCalibration, ...] = field(
        default=(), metadata=_key("one table for each kernel family and precision that was profiled on the device")
    )
    kernels: Mapping[str, str] = field(
        default_factory=dict,
        metadata=_key("a line for each backend: the kernel family that does its work on the device; a backend without"
                      " a line has the one that it names itself for the instruction set"),
    )  # fmt: skip
    note: str = field(default="", metadata=_key("what a reader must know"))

    def kernel_family(self, backend: str, known: Mapping[str, str]) -> str | None:
        """The kernel family that does a backend's work here, or None where nobody names one.

        Args:
            backend: Its name.
            known: What the backend itself names, by instruction set.
        """
        return self.kernels.get(backend) or known.get(self.isa)

    @property
    def big(self) -> Cluster:
        """The cluster that estimates assume: the one with the fastest cores."""
        return max(self.clusters, key=lambda c: (c.fp32.value * c.clock.value, c.count.value))

    @property
    def fast_cores(self) -> int:
        """Cores as wide as the fastest, whatever their clock: a prime core and its gold neighbours work together."""
        return sum(int(c.count.value) for c in self.clusters if _alike(c, self.big))

    @property
    def available_bytes(self) -> int:
        """Memory that a program can have."""
        return max(0, round((self.memory.total.value - self.memory.reserved.value) * MIB))


def _alike(one: Cluster, other: Cluster) -> bool:
    return one.fp32.value == other.fp32.value and one.in_order == other.in_order


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
