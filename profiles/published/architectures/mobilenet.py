"""MobileNet v1, v2, v3 and EdgeTPU, as in research/slim/nets of tensorflow/models."""

from __future__ import annotations

from dataclasses import dataclass, replace

from network import INPUT, POINT, Network, Window

CLASSES = 1001
"""ImageNet and a background class, as all networks of TF-Slim have it."""

V1_BLOCKS = ((1, 64), (2, 128), (1, 128), (2, 256), (1, 256), (2, 512), *[(1, 512)] * 5, (2, 1024), (1, 1024))
"""(stride, channels) of the depthwise-separable blocks: mobilenet_v1.py, MOBILENETV1_CONV_DEFS."""

V2_BLOCKS = ((16, 1, 1), (24, 2, 2), (32, 3, 2), (64, 4, 2), (96, 3, 1), (160, 3, 2), (320, 1, 1))
"""(channels, repeats, stride of the first): mobilenet_v2.py, V2_DEF; all but the first expand six times."""


@dataclass(frozen=True, slots=True)
class Block:
    """An inverted bottleneck: expand, filter, squeeze and excite, project, add. `fused` expands with the kernel."""

    expansion: float
    channels: int
    kernel: int
    stride: int = 1
    activation: str = "relu"
    excite: bool = False
    fused: bool = False
    residual: bool = True


def divisible(channels: float, least: int = 8) -> int:
    """The next multiple of eight that takes no more than a tenth away: `_make_divisible` in conv_blocks.py."""
    rounded = max(least, int(channels + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * channels else rounded


def excite(net: Network, x: str, inner: int, inner_activation: str = "relu", gate: str = "hard_sigmoid") -> str:
    """Squeeze and excite: a gate for each channel from the mean of all of them."""
    gates = net.conv(net.global_pool(x), inner, POINT, inner_activation)
    return net.elementwise("mul", x, net.conv(gates, net.channels(x), POINT, gate))


def expand(net: Network, x: str, block: Block) -> str:
    """First half of a block: the widened and filtered image."""
    width = divisible(net.channels(x) * block.expansion)
    window = Window(block.kernel, block.stride)
    if block.fused:
        return net.conv(x, width, window, block.activation) if width > net.channels(x) else x
    inner = net.conv(x, width, POINT, block.activation) if width > net.channels(x) else x
    return net.depthwise(inner, window, block.activation)


def bottleneck(net: Network, x: str, block: Block) -> str:
    """A whole block: `expanded_conv` in conv_blocks.py."""
    inner = expand(net, x, block)
    if block.excite:
        inner = excite(net, inner, divisible(net.channels(inner) / 4))
    y = net.conv(inner, block.channels)
    return net.elementwise("add", y, x) if block.residual and net.shapes[x] == net.shapes[y] else y


def v1_features(net: Network, width: float, blocks: int = 13, activation: str = "relu6") -> dict[int, str]:
    """Outputs of the first `blocks` separable blocks, by their number from 1."""
    x = net.conv(INPUT, max(8, int(32 * width)), Window(3, 2), activation)
    outputs = {}
    for number, (stride, channels) in enumerate(V1_BLOCKS[:blocks], 1):
        x = net.depthwise(x, Window(3, stride), activation)
        x = outputs[number] = net.conv(x, max(8, int(channels * width)), POINT, activation)
    return outputs


def v1(width: float, size: int, classes: int = CLASSES, channels: int = 3, activation: str = "relu6") -> Network:
    """MobileNet v1."""
    net = Network(channels, size, size)
    features = v1_features(net, width, activation=activation)
    net.softmax(net.dense(net.global_pool(features[13]), classes))
    return net


def v2_blocks() -> list[Block]:
    """MobileNet v2 in blocks of channels that are not scaled yet."""
    blocks = []
    for channels, repeats, first in V2_BLOCKS:
        expansion = 6 if blocks else 1
        blocks += [Block(expansion, channels, 3, first if i == 0 else 1, "relu6") for i in range(repeats)]
    return blocks


def scaled(blocks: list[Block], width: float) -> list[Block]:
    """Blocks with their outputs at another width; expansions follow, for they are factors of the input."""
    return [replace(block, channels=divisible(block.channels * width)) for block in blocks]


def v2(width: float, size: int) -> Network:
    """MobileNet v2. Widths below one keep 1,280 channels in the last convolution (finegrain_classification_mode)."""
    net = Network(3, size, size)
    x = net.conv(INPUT, divisible(32 * width), Window(3, 2), "relu6")
    for block in scaled(v2_blocks(), width):
        x = bottleneck(net, x, block)
    x = net.conv(x, divisible(1280 * max(1.0, width)), POINT, "relu6")
    net.softmax(net.dense(net.global_pool(x), CLASSES))
    return net


def v3_large_blocks(*, minimal: bool = False) -> list[Block]:
    """V3_LARGE of mobilenet_v3.py; `minimal` is V3_LARGE_MINIMALISTIC: no 5 × 5, no excitation, no hard swish."""
    five, swish, more = (3, "relu", False) if minimal else (5, "hard_swish", True)
    return [
        Block(1, 16, 3),
        Block(4, 24, 3, 2),
        Block(3, 24, 3),
        Block(3, 40, five, 2, excite=more),
        Block(3, 40, five, excite=more),
        Block(3, 40, five, excite=more),
        Block(6, 80, 3, 2, swish),
        Block(2.5, 80, 3, 1, swish),
        Block(184 / 80, 80, 3, 1, swish),
        Block(184 / 80, 80, 3, 1, swish),
        Block(6, 112, 3, 1, swish, excite=more),
        Block(6, 112, 3, 1, swish, excite=more),
        Block(6, 160, five, 2, swish, excite=more),
        Block(6, 160, five, 1, swish, excite=more),
        Block(6, 160, five, 1, swish, excite=more),
    ]


def v3_small_blocks(*, minimal: bool = False) -> list[Block]:
    """V3_SMALL of mobilenet_v3.py, or V3_SMALL_MINIMALISTIC."""
    five, swish, more = (3, "relu", False) if minimal else (5, "hard_swish", True)
    return [
        Block(1, 16, 3, 2, excite=more),
        Block(72 / 16, 24, 3, 2),
        Block(88 / 24, 24, 3),
        Block(4, 40, five, 2, swish, excite=more),
        Block(6, 40, five, 1, swish, excite=more),
        Block(6, 40, five, 1, swish, excite=more),
        Block(3, 48, five, 1, swish, excite=more),
        Block(3, 48, five, 1, swish, excite=more),
        Block(6, 96, five, 2, swish, excite=more),
        Block(6, 96, five, 1, swish, excite=more),
        Block(6, 96, five, 1, swish, excite=more),
    ]


def v3(blocks: list[Block], width: float, size: int, head: tuple[int, int]) -> Network:
    """MobileNet v3. `head` is channels before and after the last pooling; the latter keep their number at any width."""
    net = Network(3, size, size)
    swish = blocks[-1].activation
    x = net.conv(INPUT, divisible(16 * width), Window(3, 2), swish)
    for block in scaled(blocks, width):
        x = bottleneck(net, x, block)
    x = net.conv(x, divisible(head[0] * width), POINT, swish)
    x = net.conv(net.global_pool(x), head[1], POINT, swish)
    net.softmax(net.conv(x, CLASSES))
    return net


def v3_large(width: float, size: int, *, minimal: bool = False) -> Network:
    """MobileNet v3 Large."""
    return v3(v3_large_blocks(minimal=minimal), width, size, (960, 1280))


def v3_small(width: float, size: int, *, minimal: bool = False) -> Network:
    """MobileNet v3 Small."""
    return v3(v3_small_blocks(minimal=minimal), width, size, (576, 1024))


def edgetpu_blocks() -> list[Block]:
    """V3_EDGETPU of mobilenet_v3.py, the last convolution left out."""
    fused = [(1, 16, 1), (8, 32, 2), *[(4, 32, 1)] * 3, (8, 48, 2), *[(4, 48, 1)] * 3]
    wide = [(8, 96, 3, 2), *[(4, 96, 3, 1)] * 3, (8, 96, 3, 1), *[(4, 96, 3, 1)] * 3]
    last = [(8, 160, 5, 2), *[(4, 160, 5, 1)] * 3, (8, 192, 3, 1)]
    blocks = [Block(e, c, 3, s, fused=True) for e, c, s in fused]
    blocks += [Block(e, c, k, s) for e, c, k, s in wide + last]
    blocks[13] = replace(blocks[13], residual=False)
    return blocks
