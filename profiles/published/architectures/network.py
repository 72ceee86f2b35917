"""A network written down layer by layer: `Network` collects layers, follows shapes and counts MACs and weights.

A layer is a dictionary as it stands in the workload file. Tensors are called by the layer that makes them; shapes are
CHW at batch 1. Batch normalisation is folded into the convolution before it, an activation into the convolution it
follows, as converters to inference formats do. `weights` leaves biases out; a convolution that runs on several images,
as the heads of some detectors do, counts on each.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Any

INPUT = "input"


@dataclass(frozen=True, slots=True)
class Window:
    """How a kernel runs over its input; `pads` is `same`, `valid` or the number of pixels put around the input."""

    kernel: int | tuple[int, int] = 1
    stride: int | tuple[int, int] = 1
    pads: str | int = "same"
    dilation: int = 1

    def extent(self, size: int, axis: int) -> int:
        """Length of the output along an axis (0 height, 1 width)."""
        kernel, stride = pair(self.kernel)[axis], pair(self.stride)[axis]
        if self.pads == "same":
            return -(-size // stride)
        around = 0 if isinstance(self.pads, str) else 2 * self.pads
        return (size + around - self.dilation * (kernel - 1) - 1) // stride + 1

    def written_pads(self) -> str | list[int]:
        """Pads as the workload file has them."""
        return "same" if self.pads == "same" else [0 if isinstance(self.pads, str) else self.pads] * 4


POINT = Window()


def pair(value: int | tuple[int, int]) -> tuple[int, int]:
    """(height, width) of something that may be given once for both."""
    return value if isinstance(value, tuple) else (value, value)


class Network:
    """Layers so far. Each method appends one layer and returns the name of its output."""

    def __init__(self, *shape: int) -> None:
        self.shapes: dict[str, tuple[int, ...]] = {INPUT: shape}
        self.layers: list[dict[str, Any]] = []

    def channels(self, x: str) -> int:
        """Channels of a tensor."""
        return self.shapes[x][0]

    def area(self, x: str) -> tuple[int, int]:
        """(height, width) of a tensor."""
        height, width = self.shapes[x][1:] or (1, 1)
        return height, width

    def append(self, op: str, inputs: list[str], shape: tuple[int, ...], **facts: Any) -> str:
        """Any layer; `input_shapes` may be given when a flat tensor is read as an image or the other way round."""
        name = f"{op}_{len(self.layers) + 1}"
        seen = facts.pop("input_shapes", None) or [list(self.shapes[x]) for x in inputs]
        kept = {key: value for key, value in facts.items() if value is not None}
        layer = {"name": name, "inputs": inputs, "outputs": [name], "op": op, **kept}
        self.layers.append({**layer, "input_shapes": seen, "output_shapes": [list(shape)]})
        self.shapes[name] = shape
        return name

    def conv(
        self, x: str, channels: int, window: Window = POINT, activation: str | None = None, groups: int = 1
    ) -> str:
        """A convolution with its bias, normalisation and activation."""
        area = self.area(x)
        shape = (channels, window.extent(area[0], 0), window.extent(area[1], 1))
        weights = prod(pair(window.kernel)) * (self.channels(x) // groups) * channels
        return self.append(
            "conv",
            [x],
            shape,
            kernel=list(pair(window.kernel)),
            stride=list(pair(window.stride)),
            dilation=[window.dilation] * 2,
            pads=window.written_pads(),
            groups=groups,
            weights=weights,
            bias=True,
            macs=weights * shape[1] * shape[2],
            activation=activation,
            input_shapes=[[self.channels(x), *area]],
        )

    def depthwise(self, x: str, window: Window, activation: str | None = None) -> str:
        """A convolution of each channel by itself."""
        return self.conv(x, self.channels(x), window, activation, groups=self.channels(x))

    def dense(self, x: str, width: int, activation: str | None = None) -> str:
        """A fully connected layer."""
        length = prod(self.shapes[x])
        facts = {"weights": length * width, "bias": True, "macs": length * width, "activation": activation}
        return self.append("fully_connected", [x], (width,), **facts, input_shapes=[[length]])

    def pool(self, x: str, kind: str, window: Window) -> str:
        """Pooling over a window; `kind` is `max` or `avg`."""
        height, width = self.area(x)
        shape = (self.channels(x), window.extent(height, 0), window.extent(width, 1))
        kernel, stride = list(pair(window.kernel)), list(pair(window.stride))
        return self.append("pool", [x], shape, kind=kind, kernel=kernel, stride=stride)

    def global_pool(self, x: str) -> str:
        """Mean of each channel."""
        return self.append("global_pool", [x], (self.channels(x),), kind="avg")

    def elementwise(self, kind: str, x: str, y: str) -> str:
        """`add` or `mul` of two tensors; the shape is the first one's, the second may be one value a channel."""
        shapes = [[*self.shapes[t]] if len(self.shapes[t]) > 1 else [self.channels(t), 1, 1] for t in (x, y)]
        return self.append("elementwise", [x, y], self.shapes[x], kind=kind, input_shapes=shapes)

    def activation(self, x: str, kind: str) -> str:
        """An activation that follows no convolution."""
        return self.append("activation", [x], self.shapes[x], kind=kind)

    def concat(self, xs: list[str], axis: int = 0) -> str:
        """Tensors one after the other along an axis."""
        shape = list(self.shapes[xs[0]])
        shape[axis] = sum(self.shapes[x][axis] for x in xs)
        return self.append("concat", xs, tuple(shape), axis=axis)

    def reshape(self, x: str, *shape: int) -> str:
        """The same values in another shape."""
        return self.append("reshape", [x], shape)

    def resize(self, x: str, area: tuple[int, int]) -> str:
        """The image at another size."""
        return self.append("resize", [x], (self.channels(x), *area))

    def softmax(self, x: str) -> str:
        """Scores that sum to one."""
        shape = tuple(size for size in self.shapes[x] if size > 1) if self.area(x) == (1, 1) else self.shapes[x]
        return self.append("softmax", [x], shape, input_shapes=[list(shape)])

    def total(self, key: str) -> int:
        """Sum of `macs` or `weights` over the layers."""
        return sum(layer.get(key, 0) for layer in self.layers)


def workload(model: str, source: str, network: Network) -> dict[str, Any]:
    """What stands in the file of a network."""
    return {
        "workload": 1,
        "model": model,
        "layout": "CHW, batch 1",
        "input_shape": list(network.shapes[INPUT]),
        "source": source,
        "total_macs": network.total("macs"),
        "total_weights": network.total("weights"),
        "layers": network.layers,
    }
