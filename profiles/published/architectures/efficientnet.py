"""EfficientNet-Lite, EfficientNet-EdgeTPU and MnasNet, as in models/official of tensorflow/tpu."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil

from network import INPUT, POINT, Network, Window


@dataclass(frozen=True, slots=True)
class Stage:
    """Blocks of one shape; the first one takes the stride. In a block string, `fused` is c1, no `residual` is noskip.

    `inputs` is what the expansion multiplies where that is not what comes in: i24 of a block string behind 32 channels.
    """

    repeats: int
    kernel: int
    stride: int
    expansion: int
    channels: int
    fused: bool = False
    residual: bool = True
    inputs: int = 0


LITE_STAGES = (
    Stage(1, 3, 1, 1, 16),
    Stage(2, 3, 2, 6, 24),
    Stage(2, 5, 2, 6, 40),
    Stage(3, 3, 2, 6, 80),
    Stage(3, 5, 1, 6, 112),
    Stage(4, 5, 2, 6, 192),
    Stage(1, 3, 1, 6, 320),
)
"""_DEFAULT_BLOCKS_ARGS of lite/efficientnet_lite_builder.py."""

LITE = {0: (1.0, 1.0, 224), 1: (1.0, 1.1, 240), 2: (1.1, 1.2, 260), 3: (1.2, 1.4, 280), 4: (1.4, 1.8, 300)}
"""(width, depth, input size) of each EfficientNet-Lite: efficientnet_lite_params of the same file."""


EDGETPU_STAGES = (
    Stage(1, 3, 1, 4, 24, fused=True, residual=False, inputs=24),
    Stage(2, 3, 2, 8, 32, fused=True),
    Stage(4, 3, 2, 8, 48, fused=True),
    Stage(5, 5, 2, 8, 96),
    Stage(4, 5, 1, 8, 144),
    Stage(2, 5, 2, 8, 192),
)
"""Of edgetpu/efficientnet_edgetpu_builder.py."""

EDGETPU = {"s": (1.0, 1.0, 224), "m": (1.0, 1.1, 240)}
"""(width, depth, input size): efficientnet_edgetpu_params of the same file."""

MNASNET_STAGES = (
    Stage(1, 3, 1, 1, 16, residual=False),
    Stage(3, 3, 2, 3, 24),
    Stage(3, 5, 2, 3, 40),
    Stage(3, 5, 2, 6, 80),
    Stage(2, 3, 1, 6, 96),
    Stage(4, 5, 2, 6, 192),
    Stage(1, 3, 1, 6, 320, residual=False),
)
"""mnasnet_b1 of mnasnet/mnasnet_models.py."""


def rounded(channels: float) -> int:
    """`round_filters` of efficientnet_model.py: the next multiple of eight, at most a tenth below."""
    near = max(8, int(channels + 4) // 8 * 8)
    return near + 8 if near < 0.9 * channels else near


def lite_features(net: Network, number: int) -> list[str]:
    """Outputs of the seven stages. The stem keeps 32 channels and the outer stages their one block (fix_head_stem)."""
    width, depth, _ = LITE[number]
    x = net.conv(INPUT, 32, Window(3, 2), "relu6")
    outputs = []
    for index, stage in enumerate(LITE_STAGES):
        repeats = stage.repeats if index in {0, 6} else ceil(stage.repeats * depth)
        x = blocks(net, x, stage, rounded(stage.channels * width), repeats, "relu6")
        outputs.append(x)
    return outputs


def blocks(net: Network, x: str, stage: Stage, channels: int, repeats: int, activation: str) -> str:
    """One stage of inverted bottlenecks: `MBConvBlock` of efficientnet_model.py without squeeze and excite."""
    for index in range(repeats):
        window = Window(stage.kernel, stage.stride if index == 0 else 1)
        width = (stage.inputs or net.channels(x)) * stage.expansion
        if stage.fused:
            inner = net.conv(x, width, window, activation)
        else:
            inner = net.conv(x, width, POINT, activation) if stage.expansion > 1 else x
            inner = net.depthwise(inner, window, activation)
        y = net.conv(inner, channels)
        x = net.elementwise("add", y, x) if stage.residual and net.shapes[x] == net.shapes[y] else y
    return x


def lite(number: int) -> Network:
    """EfficientNet-Lite for 1,000 classes."""
    size = LITE[number][2]
    net = Network(3, size, size)
    return classifier(net, lite_features(net, number)[-1], 1000, "relu6")


def classifier(net: Network, x: str, classes: int, activation: str) -> Network:
    """1,280 channels, their means and a fully connected layer."""
    net.softmax(net.dense(net.global_pool(net.conv(x, 1280, POINT, activation)), classes))
    return net


def edgetpu(name: str) -> Network:
    """EfficientNet-EdgeTPU. Here every stage is repeated more often in deeper variants."""
    width, depth, size = EDGETPU[name]
    net = Network(3, size, size)
    x = net.conv(INPUT, rounded(32 * width), Window(3, 2), "relu")
    for stage in EDGETPU_STAGES:
        x = blocks(net, x, stage, rounded(stage.channels * width), ceil(stage.repeats * depth), "relu")
    return classifier(net, x, 1001, "relu")


def mnasnet(width: float, size: int) -> Network:
    """MnasNet-B1. Its last convolution keeps 1,280 channels at any width."""
    net = Network(3, size, size)
    x = net.conv(INPUT, rounded(32 * width), Window(3, 2), "relu")
    for stage in MNASNET_STAGES:
        x = blocks(net, x, stage, rounded(stage.channels * width), stage.repeats, "relu")
    return classifier(net, x, 1000, "relu")
