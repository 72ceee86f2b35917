"""Blocks that networks for pictures are made of; each takes a tensor of a sketch and returns another.

Sources: depthwise separable block, Howard et al., arXiv:1704.04861; inverted residual, Sandler et al.,
arXiv:1801.04381, with squeeze and excitation, Howard et al., arXiv:1905.02244; residual and bottleneck, He et al.,
arXiv:1512.03385; fire module, Iandola et al., arXiv:1602.07360; channel shuffle unit, Ma et al., arXiv:1807.11164.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from harness.calibrate.sketch import Sketch


def separable(s: Sketch, x: str, channels: int, *, stride: int = 1, then: str = "relu6") -> str:
    """Depthwise, then 1x1."""
    width = s.shape(x)[1]
    x = s.conv(x, width, 3, stride=stride, groups=width, then=then)
    return s.conv(x, channels, then=then)


def inverted(s: Sketch, x: str, channels: int, *, expand: int = 6, kernel: int = 3, stride: int = 1) -> str:
    """Widen, depthwise, narrow; added to the input where the shapes allow it."""
    width = s.shape(x)[1] * expand
    y = s.conv(x, width, then="relu6")
    y = s.conv(y, width, kernel, stride=stride, groups=width, then="relu6")
    y = s.conv(y, channels)
    return s.pointwise("add", x, y) if s.shape(x) == s.shape(y) else y


def excited(s: Sketch, x: str, channels: int, *, expand: int = 4, stride: int = 1, then: str = "hardswish") -> str:
    """An inverted residual with a gate on its wide channels and the activation `then`."""
    width = s.shape(x)[1] * expand
    y = s.conv(x, width, then=then)
    y = s.conv(y, width, 5 if then == "hardswish" else 3, stride=stride, groups=width, then=then)
    y = gate(s, y, max(8, width // 4), then="hardsigmoid" if then == "hardswish" else "sigmoid")
    y = s.conv(y, channels)
    return s.pointwise("add", x, y) if s.shape(x) == s.shape(y) else y


def gate(s: Sketch, x: str, narrow: int, *, then: str) -> str:
    """Squeeze and excitation."""
    width = s.shape(x)[1]
    factor = s.conv(s.conv(s.global_pool(x), narrow, then="relu"), width, then=then)
    return s.pointwise("mul", x, factor)


def residual(s: Sketch, x: str, channels: int, *, stride: int = 1) -> str:
    """Two 3x3 convolutions beside a short cut."""
    y = s.conv(x, channels, 3, stride=stride, then="relu")
    y = s.conv(y, channels, 3)
    short = x if s.shape(x) == s.shape(y) else s.conv(x, channels, stride=stride)
    return s.act(s.pointwise("add", short, y), "relu")


def bottleneck(s: Sketch, x: str, channels: int, *, stride: int = 1, groups: int = 1) -> str:
    """1x1, 3x3 and 1x1 beside a short cut."""
    narrow = channels // 4 if groups == 1 else channels
    y = s.conv(x, narrow, then="relu")
    y = s.conv(y, narrow, 3, stride=stride, groups=groups, then="relu")
    y = s.conv(y, channels)
    short = x if s.shape(x) == s.shape(y) else s.conv(x, channels, stride=stride)
    return s.act(s.pointwise("add", short, y), "relu")


def fire(s: Sketch, x: str, narrow: int, wide: int) -> str:
    """A narrow 1x1, then 1x1 and 3x3 side by side."""
    y = s.conv(x, narrow, then="relu")
    return s.concat(s.conv(y, wide, then="relu"), s.conv(y, wide, 3, then="relu"))


def shuffled(s: Sketch, x: str) -> str:
    """Half of the channels pass, the other half is convolved, then all are interleaved."""
    width = s.shape(x)[1] // 2
    left, right = s.split(x, 2)
    right = s.conv(right, width, then="relu")
    right = s.conv(s.conv(right, width, 3, groups=width), width, then="relu")
    return s.shuffle(s.concat(left, right), 2)


def head(s: Sketch, x: str, classes: int) -> str:
    """Average of the picture, a fully connected layer and a softmax."""
    pooled = s.reshape(s.global_pool(x), s.shape(x)[1])
    return s.pointwise("softmax", s.linear(pooled, classes))
