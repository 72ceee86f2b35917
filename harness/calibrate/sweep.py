"""The graphs of a sweep: kernels in short chains, blocks and small made-up networks.

A chain repeats one kernel so that a call is long against its borders, and spans class by channels by size of picture.
Blocks and small networks hold what only appears between kernels: layouts, fusion, tensors that stay in a cache. None
of the networks is one that anybody uses, so every real network is unseen.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from math import prod
from typing import TYPE_CHECKING

from harness.calibrate import blocks
from harness.calibrate.sketch import Sketch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from harness.graph import OpGraph


LAUNCH_CHAINS = (("chain of 32 additions", 32), ("chain of 128 additions", 128))
"""Chains of operators on 64 elements, each with its length: their difference is what launches cost."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """One graph of the sweep.

    Attributes:
        draw: Draws everything up to the output.
        floats: Whether it is drawn as float only: quantised, it would be clamped by the ranges alone.
    """

    name: str
    draw: Callable[[Sketch], str]
    floats: bool = False


def sweep(*, quantised: bool) -> tuple[OpGraph, ...]:
    """Every graph of the sweep, in float or in 8 bits."""
    return tuple(_drawn(probe, quantised=quantised) for probe in probes() if not (quantised and probe.floats))


GATED = frozenset({"hardswish", "swish"})
LONGEST = 8
"""Gated activations in a row: 24 of them took one runtime half a minute to compile in int8."""


def whole() -> frozenset[str]:
    """Names of the graphs that resemble networks: an error over them is what a network's prediction may expect."""
    return frozenset(probe.name for probe in (*_networks(), *_blocks()))


def networks() -> frozenset[str]:
    """Names of the graphs that are networks, made-up ones: what whole networks add to their parts shows in them."""
    return frozenset(probe.name for probe in _networks())


def probes() -> Iterator[Probe]:
    """What is drawn, the most telling first: a sweep whose time runs out has the rest left out."""
    for name, length in LAUNCH_CHAINS:
        yield Probe(name=name, draw=partial(_pointwise, kind="add", channels=64, side=1, times=length))
    chains = list(_chains())
    thirds = [probe for first in range(3) for probe in chains[first::3]]  # each third holds every kind
    yield from _interleaved(list(_networks()), list(_blocks()), thirds)


def _interleaved(*lists: list[Probe]) -> Iterator[Probe]:
    for place in range(max(map(len, lists))):
        for each in lists:
            yield from each[place : place + 1]


LARGEST_OUTPUT = 4096
"""Elements of an output as small as a network's: for large ones a runtime may take fresh memory at each call, and the
operating system's page faults then cost more than the kernels."""


def _drawn(probe: Probe, *, quantised: bool) -> OpGraph:
    """The graph of a probe; a picture as large as inside a network ends in its average."""
    sketch = Sketch(probe.name, quantised=quantised)
    last = probe.draw(sketch)
    shape = sketch.shape(last)
    if len(shape) == 4 and prod(shape) > LARGEST_OUTPUT and shape[-1] > 1:
        last = sketch.global_pool(last)
    return sketch.finish(last)


def _chains() -> Iterator[Probe]:
    yield from _convolutions()
    yield from _products()
    yield from _others()


def _convolutions() -> Iterator[Probe]:
    for narrow, wide, side, pairs in (
        (16, 96, 112, 1), (24, 144, 56, 1), (32, 192, 28, 3), (64, 384, 14, 4), (160, 960, 7, 4), (128, 128, 56, 1),
        (256, 256, 28, 1), (512, 512, 14, 2), (1024, 1024, 7, 1), (10, 58, 40, 4), (320, 1280, 7, 1), (20, 20, 112, 2),
        (8, 48, 64, 3), (48, 16, 96, 2),
    ):  # fmt: skip
        yield Probe(name=f"1x1 {narrow}-{wide} at {side}", draw=partial(_pairs, narrow=narrow, wide=wide, side=side,
                                                                        pairs=pairs))  # fmt: skip
    for channels, side, kernel, groups, times in (
        (16, 112, 3, 1, 1), (32, 56, 3, 1, 2), (64, 56, 3, 1, 1), (128, 28, 3, 1, 1), (256, 14, 3, 1, 1),
        (512, 7, 3, 1, 1), (24, 30, 3, 1, 4), (50, 27, 3, 1, 2), (32, 28, 5, 1, 2), (12, 80, 3, 1, 2),
        (32, 112, 3, 32, 2), (96, 56, 3, 96, 3), (144, 28, 3, 144, 6), (384, 14, 3, 384, 8), (960, 7, 3, 960, 8),
        (100, 19, 3, 100, 8), (16, 150, 3, 16, 3), (512, 14, 3, 512, 6),
        (72, 28, 5, 72, 6), (240, 28, 5, 240, 3), (672, 14, 5, 672, 4), (960, 7, 5, 960, 6),
        (64, 28, 3, 8, 2), (208, 14, 3, 26, 2), (240, 28, 1, 3, 2), (480, 14, 1, 3, 3), (48, 56, 3, 6, 2),
        (96, 28, 3, 2, 1), (440, 7, 3, 55, 2),
    ):  # fmt: skip
        draw = partial(_same, channels=channels, side=side, kernel=kernel, groups=groups, times=times)
        yield Probe(name=f"{kernel}x{kernel} {channels}/{groups} at {side}", draw=draw)
    for channels, out, side, kernel, groups in (
        (3, 32, 224, 3, 1), (3, 16, 128, 3, 1), (3, 64, 160, 7, 1), (3, 24, 192, 3, 1), (3, 64, 112, 3, 1),
        (64, 128, 56, 3, 1), (128, 256, 28, 3, 1), (24, 48, 56, 3, 1), (64, 128, 56, 1, 1), (256, 512, 28, 1, 1),
        (64, 64, 112, 3, 64), (96, 96, 112, 3, 96), (240, 240, 28, 3, 240), (576, 576, 14, 3, 576),
        (144, 144, 56, 5, 144), (64, 64, 56, 3, 8),
    ):  # fmt: skip
        draw = partial(_strided, channels=channels, out=out, side=side, kernel=kernel, groups=groups)
        yield Probe(name=f"{kernel}x{kernel} {channels}-{out}/{groups} by 2 at {side}", draw=draw)


def _products() -> Iterator[Probe]:
    for width, features, times in (
        (256, 256, 16), (1280, 1000, 2), (512, 1000, 4), (2048, 2048, 1), (4096, 4096, 1), (64, 64, 24), (960, 1280, 2),
    ):  # fmt: skip
        yield Probe(name=f"linear {width}-{features}", draw=partial(_linear, width=width, features=features,
                                                                    times=times))  # fmt: skip
    for rows, width, times in ((49, 256, 4), (196, 192, 2), (64, 64, 8), (197, 768, 1)):
        yield Probe(name=f"rows {rows} of {width}", draw=partial(_rows, rows=rows, width=width, times=times))


def _others() -> Iterator[Probe]:
    for kind in ("relu", "add", "mul", "hardswish", "sigmoid", "hardsigmoid", "swish", "relu6", "leaky_relu", "tanh"):
        for channels, side, times in ((32, 112, 3), (144, 28, 6), (64, 7, LONGEST if kind in GATED else 24)):
            if kind in {"relu6", "hardsigmoid", "leaky_relu", "tanh"} and side != 28:
                continue
            draw = partial(_pointwise, kind=kind, channels=channels, side=side, times=times)
            yield Probe(name=f"{kind} {channels} at {side}", draw=draw, floats=kind in {"relu", "relu6"})
    for kind, channels, side, kernel, stride in (
        ("pool_max", 64, 112, 3, 2), ("pool_max", 32, 112, 2, 2), ("pool_max", 128, 28, 3, 2),
        ("pool_avg", 64, 56, 3, 2), ("pool_max", 128, 14, 5, 1), ("pool_avg", 128, 28, 2, 2),
    ):  # fmt: skip
        draw = partial(_pool, kind=kind, channels=channels, side=side, kernel=kernel, stride=stride)
        yield Probe(name=f"{kind} {kernel} by {stride}, {channels} at {side}", draw=draw)
    for kind, channels, side, times in (
        ("concat", 32, 56, 3), ("concat", 64, 14, 4), ("shuffle", 32, 56, 3), ("shuffle", 120, 14, 4),
        ("resize", 32, 28, 1), ("resize", 64, 13, 1), ("global_pool", 960, 7, 1), ("global_pool", 96, 56, 1),
        ("gate", 96, 56, 2), ("gate", 672, 14, 3), ("transpose", 24, 38, 1), ("transpose", 96, 14, 1),
        ("split", 64, 28, 4),
    ):  # fmt: skip
        draw = partial(_moving, kind=kind, channels=channels, side=side, times=times)
        yield Probe(name=f"{kind} {channels} at {side}", draw=draw)
    for width in (10, 1000, 10000):
        yield Probe(name=f"softmax {width}", draw=partial(_softmax, width=width))


def _blocks() -> Iterator[Probe]:
    for channels, side, expand, kernel, times in (
        (24, 56, 6, 3, 1), (32, 28, 6, 3, 2), (64, 14, 6, 3, 3), (160, 7, 6, 3, 2), (16, 48, 4, 5, 2),
        (96, 14, 3, 5, 2), (40, 28, 3, 5, 2), (16, 112, 3, 3, 1), (8, 40, 6, 3, 3), (12, 24, 6, 3, 4),
    ):  # fmt: skip
        draw = partial(_repeat, channels=channels, side=side, times=times,
                       block=partial(blocks.inverted, channels=channels, expand=expand, kernel=kernel))  # fmt: skip
        yield Probe(name=f"inverted {channels} x{expand} k{kernel} at {side}", draw=draw)
    for channels, side, times in ((32, 96, 1), (64, 56, 2), (128, 28, 2), (256, 14, 3), (512, 14, 2), (96, 20, 4)):
        draw = partial(_repeat, channels=channels, side=side, times=times,
                       block=partial(blocks.separable, channels=channels))  # fmt: skip
        yield Probe(name=f"separable {channels} at {side}", draw=draw)
    for channels, side, times in ((64, 28, 1), (128, 14, 1), (32, 40, 2), (256, 7, 1)):
        draw = partial(_repeat, channels=channels, side=side, times=times,
                       block=partial(blocks.residual, channels=channels))  # fmt: skip
        yield Probe(name=f"residual {channels} at {side}", draw=draw)
    for channels, side, groups, times in ((256, 28, 1, 1), (512, 14, 1, 2), (104, 28, 13, 2), (208, 14, 26, 2)):
        draw = partial(_repeat, channels=channels, side=side, times=times,
                       block=partial(blocks.bottleneck, channels=channels, groups=groups))  # fmt: skip
        yield Probe(name=f"bottleneck {channels}/{groups} at {side}", draw=draw)
    for channels, side, then in ((40, 28, "hardswish"), (112, 14, "hardswish"), (24, 56, "swish"), (112, 14, "swish"),
                                 (80, 14, "hardswish"), (160, 7, "swish")):  # fmt: skip
        draw = partial(_repeat, channels=channels, side=side, times=2,
                       block=partial(blocks.excited, channels=channels, then=then))  # fmt: skip
        yield Probe(name=f"excited {channels} {then} at {side}", draw=draw)
    for narrow, wide, side in ((16, 64, 55), (32, 128, 27), (48, 192, 13)):
        draw = partial(_repeat, channels=2 * wide, side=side, times=2,
                       block=partial(blocks.fire, narrow=narrow, wide=wide))  # fmt: skip
        yield Probe(name=f"fire {narrow}-{wide} at {side}", draw=draw)
    for channels, side, times in ((116, 28, 3), (232, 14, 4), (48, 40, 3)):
        draw = partial(_repeat, channels=channels, side=side, times=times, block=blocks.shuffled)
        yield Probe(name=f"shuffled {channels} at {side}", draw=draw)


def _networks() -> Iterator[Probe]:
    """Small made-up networks: a stem, three stages of one kind of block, and a head."""
    for kind, side, width, stages, classes in (
        ("separable", 112, 24, (48, 96, 192), 100), ("inverted", 144, 16, (24, 40, 88), 500),
        ("residual", 72, 24, (24, 48, 96), 100), ("excited", 128, 16, (24, 40, 72), 1000),
        ("fire", 96, 48, (64, 96, 128), 200), ("shuffled", 120, 24, (60, 120, 240), 300),
        ("bottleneck", 88, 40, (80, 160, 320), 400), ("inverted", 88, 8, (16, 24, 48), 10),
        ("separable", 176, 16, (32, 64, 128), 1000), ("separable", 80, 64, (128, 256, 512), 1000),
        ("inverted", 208, 24, (32, 48, 120), 1000), ("swish", 112, 24, (32, 48, 96), 300),
        ("inverted", 128, 40, (56, 112, 224), 1000), ("excited", 208, 16, (32, 48, 96), 600),
        ("residual", 136, 48, (48, 96, 192), 1000), ("grouped", 112, 32, (48, 104, 208), 1000),
    ):  # fmt: skip
        draw = partial(_network, kind=kind, side=side, width=width, stages=stages, classes=classes)
        yield Probe(name=f"network of {kind} {width} at {side}", draw=draw)


def _pairs(s: Sketch, *, narrow: int, wide: int, side: int, pairs: int) -> str:
    x = s.source(narrow, side, side)
    for _ in range(pairs):
        x = s.conv(s.conv(x, wide, then="relu"), narrow)
    return x


def _same(s: Sketch, *, channels: int, side: int, kernel: int, groups: int, times: int) -> str:
    x = s.source(channels, side, side)
    for _ in range(times):
        x = s.conv(x, channels, kernel, groups=groups, then="relu")
    return x


def _strided(s: Sketch, *, channels: int, out: int, side: int, kernel: int, groups: int) -> str:
    return s.conv(s.source(channels, side, side), out, kernel, stride=2, groups=groups, then="relu")


def _linear(s: Sketch, *, width: int, features: int, times: int) -> str:
    x = s.source(width)
    for turn in range(times):
        x = s.linear(x, features if turn % 2 == 0 else width, then="relu")
    return x


def _rows(s: Sketch, *, rows: int, width: int, times: int) -> str:
    x = s.source(rows, width)
    for _ in range(times):
        x = s.linear(x, width)
    return s.matmul(s.matmul(x, s.transpose(x, 0, 2, 1)), x)


def _pointwise(s: Sketch, *, kind: str, channels: int, side: int, times: int) -> str:
    """The operator again and again; one with two inputs takes the same second one each time."""
    x = s.source(channels, side, side)
    other = (s.source(channels, side, side),) if kind in {"add", "mul"} else ()
    for _ in range(times):
        x = s.pointwise(kind, x, *other) if other else s.act(x, kind)
    return x


def _pool(s: Sketch, *, kind: str, channels: int, side: int, kernel: int, stride: int) -> str:
    """After a convolution, as in a network: runtimes pool in the layout that it leaves."""
    return s.pool(s.conv(s.source(8, side, side), channels, then="relu"), kind, kernel, stride)


def _moving(s: Sketch, *, kind: str, channels: int, side: int, times: int) -> str:
    """A data movement between 1x1 convolutions, in whose layout it must happen."""
    x = s.conv(s.source(channels, side, side), channels, then="relu")
    for _ in range(times):
        if kind == "concat":
            x = s.concat(s.conv(x, channels // 2), s.conv(x, channels // 2))
        elif kind == "shuffle":
            x = s.conv(s.shuffle(x, 2), channels, then="relu")
        elif kind == "resize":
            x = s.resize(x, 2)
        elif kind == "gate":
            x = blocks.gate(s, x, max(8, channels // 4), then="sigmoid")
        elif kind == "transpose":
            x = s.reshape(s.transpose(x, 0, 2, 3, 1), side * side, channels)
        elif kind == "split":
            left, right = s.split(x, 2)
            x = s.concat(s.conv(left, channels // 2, then="relu"), right)
        else:
            x = s.global_pool(x)
    return x


def _softmax(s: Sketch, *, width: int) -> str:
    return s.pointwise("softmax", s.source(width))


def _repeat(s: Sketch, *, channels: int, side: int, times: int, block: Callable[[Sketch, str], str]) -> str:
    x = s.source(channels, side, side)
    for _ in range(times):
        x = block(s, x)
    return x


def _network(s: Sketch, *, kind: str, side: int, width: int, stages: tuple[int, ...], classes: int) -> str:
    x = s.conv(s.source(3, side, side), width, 3, stride=2, then="relu6")
    for channels in stages:
        x = _stage(s, x, kind, channels)
    return blocks.head(s, x, classes)


def _stage(s: Sketch, x: str, kind: str, channels: int) -> str:
    """A block that halves the picture, then one that keeps it."""
    kinds: dict[str, Callable[..., str]] = {
        "separable": blocks.separable,
        "inverted": blocks.inverted,
        "residual": blocks.residual,
        "bottleneck": blocks.bottleneck,
        "grouped": partial(blocks.bottleneck, groups=channels // 8),
        "excited": partial(blocks.excited, then="hardswish"),
        "swish": partial(blocks.excited, then="swish"),
    }
    if kind in kinds:
        block = kinds[kind]
        return block(s, block(s, x, channels, stride=2), channels)
    if kind == "fire":
        return blocks.fire(s, s.pool(x, "pool_max", 3, 2), channels // 4, channels)
    width = s.shape(x)[1]
    down = s.conv(s.conv(x, width, 3, stride=2, groups=width), channels, then="relu")
    return blocks.shuffled(s, blocks.shuffled(s, down))
