"""EfficientDet-Lite: an EfficientNet-Lite, a two-way pyramid and heads, as in google/automl efficientdet."""

from __future__ import annotations

from dataclasses import dataclass

from detection import finish
from efficientnet import lite_features
from network import Network, Window

CLASSES = 90
ANCHORS = 9
LEVELS = 5


@dataclass(frozen=True, slots=True)
class Size:
    """One line of `efficientdet_lite_param_dict`; `backbone` is the number of the EfficientNet-Lite."""

    backbone: int
    pixels: int
    channels: int
    cells: int
    head_layers: int


SIZES = {
    "lite0": Size(0, 320, 64, 3, 3),
    "lite1": Size(1, 384, 88, 4, 3),
    "lite2": Size(2, 448, 112, 5, 3),
    "lite3": Size(3, 512, 160, 6, 4),
    "lite3x": Size(3, 640, 200, 6, 4),
    "lite4": Size(4, 640, 224, 7, 4),
}


def resample(net: Network, x: str, area: tuple[int, int], channels: int) -> str:
    """The image at another level: 1 × 1 convolution if its channels differ, then pooling or nearest neighbour."""
    x = x if net.channels(x) == channels else net.conv(x, channels)
    if net.area(x)[0] > area[0]:
        stride = (net.area(x)[0] - 1) // area[0] + 1
        return net.pool(x, "max", Window(stride + 1, stride))
    return x if net.area(x) == area else net.resize(x, area)


def fuse(net: Network, xs: list[str], area: tuple[int, int], channels: int) -> str:
    """One node of the pyramid: sum of its inputs, activation and separable convolution. The activation is the sum's."""
    total, *others = [resample(net, x, area, channels) for x in xs]
    for other in others:
        total = net.elementwise("add", total, other)
    return net.conv(net.depthwise(total, Window(3)), channels)


def cell(net: Network, inputs: list[str], channels: int) -> list[str]:
    """One repeat of the pyramid (`bifpn_config`): down from the coarsest level and up again."""
    areas = [net.area(x) for x in inputs]
    down = [*inputs]
    for level in reversed(range(LEVELS - 1)):
        down[level] = fuse(net, [inputs[level], down[level + 1]], areas[level], channels)
    up = [*down]
    for level in range(1, LEVELS):
        own = [inputs[level]] if level == LEVELS - 1 else [inputs[level], down[level]]
        up[level] = fuse(net, [*own, up[level - 1]], areas[level], channels)
    return up


def head(net: Network, x: str, size: Size, width: int) -> str:
    """Separable convolutions on one level; the activation follows the 1 × 1 half."""
    for _ in range(size.head_layers):
        x = net.conv(net.depthwise(x, Window(3)), size.channels, activation="relu6")
    return net.conv(net.depthwise(x, Window(3)), ANCHORS * width)


def detector(size: Size) -> Network:
    """The whole network with the detection operator that its TFLite export ends in."""
    net = Network(3, size.pixels, size.pixels)
    stages = lite_features(net, size.backbone)
    levels = [stages[2], stages[4], stages[6]]
    for _ in range(2):
        height, width = net.area(levels[-1])
        levels.append(resample(net, levels[-1], ((height + 1) // 2, (width + 1) // 2), size.channels))
    for _ in range(size.cells):
        levels = cell(net, levels, size.channels)
    scores = [(head(net, x, size, CLASSES), ANCHORS) for x in levels]
    boxes = [(head(net, x, size, 4), ANCHORS) for x in levels]
    finish(net, boxes, scores, CLASSES)
    return net
