"""VGG and the Inceptions for ImageNet, as research/slim/nets of tensorflow/models defines them."""

from __future__ import annotations

from dataclasses import dataclass

from network import INPUT, POINT, Network, Window


@dataclass(frozen=True, slots=True)
class Step:
    """A convolution with ReLU, or a pooling when it has no channels."""

    window: Window
    channels: int = 0
    kind: str = "max"


def conv(channels: int, kernel: int | tuple[int, int] = 1, stride: int = 1, pads: str = "same") -> Step:
    """A convolution."""
    return Step(Window(kernel, stride, pads), channels)


def pool(kind: str, stride: int = 1, pads: str = "same") -> Step:
    """A pooling over 3 × 3."""
    return Step(Window(3, stride, pads), kind=kind)


def chain(net: Network, x: str, *steps: Step) -> str:
    """Steps one after the other."""
    for step in steps:
        pooled = not step.channels
        x = net.pool(x, step.kind, step.window) if pooled else net.conv(x, step.channels, step.window, "relu")
    return x


def mixed(net: Network, x: str, *branches: list[Step]) -> str:
    """Branches side by side."""
    return net.concat([chain(net, x, *branch) for branch in branches])


def forked(net: Network, x: str, trunk: list[Step], channels: int) -> list[str]:
    """A trunk whose end is convolved along its rows and along its columns."""
    end = chain(net, x, *trunk)
    return [chain(net, end, conv(channels, (1, 3))), chain(net, end, conv(channels, (3, 1)))]


def classify(net: Network, x: str, classes: int) -> Network:
    """Mean, fully connected layer and scores."""
    net.softmax(net.dense(net.global_pool(x), classes))
    return net


def vgg(convolutions: tuple[int, ...]) -> Network:
    """VGG with so many 3 × 3 convolutions in each of its five stages: arXiv:1409.1556 table 1."""
    net, x = Network(3, 224, 224), INPUT
    for repeats, channels in zip(convolutions, (64, 128, 256, 512, 512), strict=True):
        for _ in range(repeats):
            x = net.conv(x, channels, Window(3), "relu")
        x = net.pool(x, "max", Window(2, 2))
    x = net.dense(net.dense(x, 4096, "relu"), 4096, "relu")
    net.softmax(net.dense(x, 1000))
    return net


V1_MIXED = (
    (64, 96, 128, 16, 32, 32),
    (128, 128, 192, 32, 96, 64),
    (192, 96, 208, 16, 48, 64),
    (160, 112, 224, 24, 64, 64),
    (128, 128, 256, 24, 64, 64),
    (112, 144, 288, 32, 64, 64),
    (256, 160, 320, 32, 128, 128),
    (256, 160, 320, 32, 128, 128),
    (384, 192, 384, 48, 128, 128),
)
"""Mixed_3b to Mixed_5c in inception_v1.py: channels of 1 × 1; before and in the 3 × 3, twice; after the pool."""


def inception_v1(classes: int = 1001) -> Network:
    """Inception v1: inception_v1.py. Its second branch has a 3 × 3 kernel where the paper has a 5 × 5."""
    net = Network(3, 224, 224)
    x = chain(net, INPUT, conv(64, 7, 2), pool("max", 2), conv(64), conv(192, 3), pool("max", 2))
    for index, (a, b0, b1, c0, c1, d) in enumerate(V1_MIXED):
        if index == 2:
            x = chain(net, x, pool("max", 2))
        if index == 7:
            x = net.pool(x, "max", Window(2, 2))
        x = mixed(net, x, [conv(a)], [conv(b0), conv(b1, 3)], [conv(c0), conv(c1, 3)], [pool("max"), conv(d)])
    return classify(net, x, classes)


V2_MIXED = {
    "3b": (64, 64, 64, 64, 96, 32),
    "3c": (64, 64, 96, 64, 96, 64),
    "4b": (224, 64, 96, 96, 128, 128),
    "4c": (192, 96, 128, 96, 128, 128),
    "4d": (160, 128, 160, 128, 160, 96),
    "4e": (96, 128, 192, 160, 192, 96),
    "5b": (352, 192, 320, 160, 224, 128),
    "5c": (352, 192, 320, 192, 224, 128),
}
"""Channels in inception_v2.py: 1 × 1; before and in the 3 × 3; before and in the two 3 × 3; after the pool."""

V2_REDUCTIONS = {"4b": (128, 160, 64, 96), "5b": (128, 192, 192, 256)}
"""Mixed_4a and Mixed_5a, which stand before the block named: before and in the 3 × 3; before and in the two 3 × 3."""


def inception_v2(classes: int = 1001) -> Network:
    """Inception v2: inception_v2.py. Its first layer is separable, with eight filters a colour."""
    net = Network(3, 224, 224)
    x = net.conv(net.conv(INPUT, 24, Window(7, 2), groups=3), 64, POINT, "relu")
    x = chain(net, x, pool("max", 2), conv(64), conv(192, 3), pool("max", 2))
    for name, (a, b0, b1, c0, c1, d) in V2_MIXED.items():
        if name in V2_REDUCTIONS:
            e0, e1, f0, f1 = V2_REDUCTIONS[name]
            x = mixed(net, x, [conv(e0), conv(e1, 3, 2)], [conv(f0), conv(f1, 3), conv(f1, 3, 2)], [pool("max", 2)])
        kind = "max" if name == "5c" else "avg"
        third = [conv(c0), conv(c1, 3), conv(c1, 3)]
        x = mixed(net, x, [conv(a)], [conv(b0), conv(b1, 3)], third, [pool(kind), conv(d)])
    return classify(net, x, classes)


def inception_v3(classes: int = 1001) -> Network:
    """Inception v3: inception_v3.py."""
    net = Network(3, 299, 299)
    x = chain(net, INPUT, conv(32, 3, 2, "valid"), conv(32, 3, 1, "valid"), conv(64, 3), pool("max", 2, "valid"))
    x = chain(net, x, conv(80, 1, 1, "valid"), conv(192, 3, 1, "valid"), pool("max", 2, "valid"))
    for last in (32, 64, 64):
        five = [conv(48), conv(64, 5)]
        x = mixed(net, x, [conv(64)], five, [conv(64), conv(96, 3), conv(96, 3)], [pool("avg"), conv(last)])
    down = [conv(64), conv(96, 3), conv(96, 3, 2, "valid")]
    x = mixed(net, x, [conv(384, 3, 2, "valid")], down, [pool("max", 2, "valid")])
    for c in (128, 160, 160, 192):
        seven = [conv(c), conv(c, (1, 7)), conv(192, (7, 1))]
        twice = [conv(c), conv(c, (7, 1)), conv(c, (1, 7)), conv(c, (7, 1)), conv(192, (1, 7))]
        x = mixed(net, x, [conv(192)], seven, twice, [pool("avg"), conv(192)])
    seven = [conv(192), conv(192, (1, 7)), conv(192, (7, 1)), conv(192, 3, 2, "valid")]
    x = mixed(net, x, [conv(192), conv(320, 3, 2, "valid")], seven, [pool("max", 2, "valid")])
    for _ in range(2):
        second = forked(net, x, [conv(384)], 384)
        third = forked(net, x, [conv(448), conv(384, 3)], 384)
        fourth = chain(net, x, pool("avg"), conv(192))
        x = net.concat([chain(net, x, conv(320)), net.concat(second), net.concat(third), fourth])
    return classify(net, x, classes)


def inception_v4(classes: int = 1001) -> Network:
    """Inception v4: inception_v4.py."""
    net = Network(3, 299, 299)
    x = chain(net, INPUT, conv(32, 3, 2, "valid"), conv(32, 3, 1, "valid"), conv(64, 3))
    x = mixed(net, x, [pool("max", 2, "valid")], [conv(96, 3, 2, "valid")])
    long = [conv(64), conv(64, (1, 7)), conv(64, (7, 1)), conv(96, 3, 1, "valid")]
    x = mixed(net, x, [conv(64), conv(96, 3, 1, "valid")], long)
    x = mixed(net, x, [conv(192, 3, 2, "valid")], [pool("max", 2, "valid")])
    for _ in range(4):
        third = [conv(64), conv(96, 3), conv(96, 3)]
        x = mixed(net, x, [conv(96)], [conv(64), conv(96, 3)], third, [pool("avg"), conv(96)])
    down = [conv(192), conv(224, 3), conv(256, 3, 2, "valid")]
    x = mixed(net, x, [conv(384, 3, 2, "valid")], down, [pool("max", 2, "valid")])
    for _ in range(7):
        seven = [conv(192), conv(224, (1, 7)), conv(256, (7, 1))]
        twice = [conv(192), conv(192, (7, 1)), conv(224, (1, 7)), conv(224, (7, 1)), conv(256, (1, 7))]
        x = mixed(net, x, [conv(384)], seven, twice, [pool("avg"), conv(128)])
    seven = [conv(256), conv(256, (1, 7)), conv(320, (7, 1)), conv(320, 3, 2, "valid")]
    x = mixed(net, x, [conv(192), conv(192, 3, 2, "valid")], seven, [pool("max", 2, "valid")])
    for _ in range(3):
        second = forked(net, x, [conv(384)], 256)
        third = forked(net, x, [conv(384), conv(448, (3, 1)), conv(512, (1, 3))], 256)
        fourth = chain(net, x, pool("avg"), conv(256))
        x = net.concat([chain(net, x, conv(256)), net.concat(second), net.concat(third), fourth])
    return classify(net, x, classes)
