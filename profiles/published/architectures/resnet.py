"""ResNets: v1.5 as in MLPerf Inference (official/r1/resnet of tensorflow/models), v2 as in TF-Slim."""

from __future__ import annotations

from network import INPUT, POINT, Network, Window

BLOCKS = {50: (3, 4, 6, 3), 101: (3, 4, 23, 3), 152: (3, 8, 36, 3)}
"""Bottlenecks in each of the four stages, by the number of layers: arXiv:1512.03385 table 1."""


def strided(kernel: int, stride: int) -> Window:
    """A convolution that pads by its kernel alone when it strides: `conv2d_fixed_padding`, `conv2d_same`."""
    return Window(kernel, stride, "same" if stride == 1 else (kernel - 1) // 2)


def v15_features(net: Network, layers: int) -> list[str]:
    """Outputs of the four stages; the stride is on the 3 × 3 convolution."""
    x = net.pool(net.conv(INPUT, 64, strided(7, 2), "relu"), "max", Window(3, 2))
    outputs = []
    for stage, repeats in enumerate(BLOCKS[layers]):
        channels = 64 * 2**stage
        for index in range(repeats):
            stride = 2 if stage and index == 0 else 1
            shortcut = net.conv(x, 4 * channels, strided(1, stride)) if index == 0 else x
            y = net.conv(x, channels, POINT, "relu")
            y = net.conv(net.conv(y, channels, strided(3, stride), "relu"), 4 * channels)
            x = net.activation(net.elementwise("add", y, shortcut), "relu")
        outputs.append(x)
    return outputs


def v1_features(net: Network, layers: int) -> list[str]:
    """Outputs of the four stages of TF-Slim's resnet_v1.py as detectors take them (store_non_strided_activations):
    a stage ends at its own size, and the next one starts on every other pixel."""
    x = net.pool(net.conv(INPUT, 64, strided(7, 2), "relu"), "max", Window(3, 2))
    outputs = []
    for stage, repeats in enumerate(BLOCKS[layers]):
        channels = 64 * 2**stage
        x = net.pool(x, "max", Window(1, 2)) if stage else x
        for index in range(repeats):
            shortcut = net.conv(x, 4 * channels) if index == 0 else x
            y = net.conv(net.conv(x, channels, POINT, "relu"), channels, Window(3), "relu")
            x = net.activation(net.elementwise("add", net.conv(y, 4 * channels), shortcut), "relu")
        outputs.append(x)
    return outputs


def v2(layers: int, size: int, classes: int = 1001) -> Network:
    """ResNet v2 of TF-Slim's resnet_v2.py: normalised before each unit (`scale`), the stride in a stage's last unit."""
    net = Network(3, size, size)
    x = net.pool(net.conv(INPUT, 64, strided(7, 2)), "max", Window(3, 2))
    for stage, repeats in enumerate(BLOCKS[layers]):
        channels = 64 * 2**stage
        for index in range(repeats):
            stride = 2 if stage < 3 and index == repeats - 1 else 1
            x = preactivated(net, x, channels, stride)
    x = net.activation(net.append("scale", [x], net.shapes[x]), "relu")
    net.softmax(net.conv(net.global_pool(x), classes))
    return net


def preactivated(net: Network, x: str, channels: int, stride: int) -> str:
    """One unit of ResNet v2."""
    ready = net.activation(net.append("scale", [x], net.shapes[x]), "relu")
    if net.channels(x) == 4 * channels:
        shortcut = net.pool(x, "max", Window(1, stride)) if stride > 1 else x
    else:
        shortcut = net.conv(ready, 4 * channels, Window(1, stride))
    y = net.conv(net.conv(ready, channels, POINT, "relu"), channels, strided(3, stride), "relu")
    return net.elementwise("add", shortcut, net.conv(y, 4 * channels))


def v15(layers: int, size: int, classes: int = 1001) -> Network:
    """ResNet v1.5."""
    net = Network(3, size, size)
    net.softmax(net.dense(net.global_pool(v15_features(net, layers)[-1]), classes))
    return net
