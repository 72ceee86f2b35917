"""SSD detectors, as research/object_detection of tensorflow/models builds and exports them for TFLite."""

from __future__ import annotations

from dataclasses import dataclass, replace

import mobilenet
import resnet
from mobilenet import Block, bottleneck, excite, expand
from network import INPUT, POINT, Network, Window

CLASSES = 91
"""COCO with gaps in its numbers, and a background class: `num_classes: 90` in the configurations."""

FOUND = 10
"""Boxes that an exported detector returns: `max_detections` of export_tflite_ssd_graph.py. No cost hangs on it."""

EXTRA = (512, 256, 256, 128)
"""Channels of the images added below the backbone: `layer_depth` in the SSD feature extractors."""


@dataclass(frozen=True, slots=True)
class Head:
    """How an SSD predicts: size of its kernels; whether heads, and whether added levels, are depthwise-separable."""

    kernel: int
    lite: bool = False
    lite_levels: bool = False


LITE = Head(3, lite=True, lite_levels=True)
"""SSDLite."""

PLAIN = Head(1)
"""ssd_mobilenet_v1_coco.config."""

WIDE = Head(3, lite_levels=True)
"""ssd_mobilenet_v2_coco.config: dense 3 × 3 heads on separable levels."""


def separable(net: Network, x: str, channels: int, window: Window, activation: str | None = None) -> str:
    """A depthwise convolution with ReLU6 and a 1 × 1 one."""
    return net.conv(net.depthwise(x, window, "relu6"), channels, POINT, activation)


def extra_levels(net: Network, x: str, *, lite: bool) -> list[str]:
    """Four smaller images: `multi_resolution_feature_maps` with `insert_1x1_conv`."""
    levels = []
    for channels in EXTRA:
        x = net.conv(x, channels // 2, POINT, "relu6")
        down = Window(3, 2)
        x = separable(net, x, channels, down, "relu6") if lite else net.conv(x, channels, down, "relu6")
        levels.append(x)
    return levels


def predict(net: Network, x: str, channels: int, head: Head) -> str:
    """One convolutional head: predictors/heads/box_head.py, class_head.py."""
    return separable(net, x, channels, Window(head.kernel)) if head.lite else net.conv(x, channels, Window(head.kernel))


def finish(net: Network, boxes: list[tuple[str, int]], scores: list[tuple[str, int]], classes: int = CLASSES) -> None:
    """Rows of all levels in one list, scores through a sigmoid, and the detection operator with its box search."""
    tables = []
    for parts, width in ((boxes, 4), (scores, classes)):
        flat = [net.reshape(x, area(net, x) * anchors, width) for x, anchors in parts]
        tables.append(net.concat(flat) if len(flat) > 1 else flat[0])
    tables[1] = net.activation(tables[1], "sigmoid")
    net.append("detection_postprocess", tables, (FOUND, 4))


def area(net: Network, x: str) -> int:
    """Positions of an image."""
    height, width = net.area(x)
    return height * width


def ssd(net: Network, backbone: list[str], head: Head) -> Network:
    """Added levels, heads and post-processing on two outputs of a backbone; three boxes a position, then six."""
    levels = [*backbone, *extra_levels(net, backbone[-1], lite=head.lite_levels)]
    boxes, scores = [], []
    for index, x in enumerate(levels):
        anchors = 3 if index == 0 else 6
        boxes.append((predict(net, x, 4 * anchors, head), anchors))
        scores.append((predict(net, x, CLASSES * anchors, head), anchors))
    finish(net, boxes, scores)
    return net


def ssd_v1(size: int, head: Head) -> Network:
    """SSD on MobileNet v1: blocks 11 and 13."""
    net = Network(3, size, size)
    features = mobilenet.v1_features(net, 1.0)
    return ssd(net, [features[11], features[13]], head)


def tapped(net: Network, x: str, blocks: list[Block], tap: int) -> tuple[str, str]:
    """Blocks in a row; (image after the expansion inside block `tap`, output of the last)."""
    inner = ""
    for index, block in enumerate(blocks):
        if index == tap:
            inner = f"conv_{len(net.layers) + 1}"
        x = bottleneck(net, x, block)
    return inner, x


def ssd_v2(size: int, head: Head) -> Network:
    """SSD on MobileNet v2: expansion of layer 15 (the first of 160 channels), layer 19."""
    net = Network(3, size, size)
    x = net.conv(INPUT, 32, Window(3, 2), "relu6")
    inner, x = tapped(net, x, mobilenet.v2_blocks(), 13)
    return ssd(net, [inner, net.conv(x, 1280, POINT, "relu6")], head)


def ssd_v3(blocks: list[Block], halved: int, size: int) -> Network:
    """SSDLite on MobileNet v3. From block `halved` on the channels are halved (V3_LARGE_DETECTION), and its expansion
    is the first level."""
    net = Network(3, size, size)
    x = net.conv(INPUT, 16, Window(3, 2), "hard_swish")
    blocks = [replace(b, channels=b.channels // 2) if i >= halved else b for i, b in enumerate(blocks)]
    inner, x = tapped(net, x, blocks, halved)
    return ssd(net, [inner, net.conv(x, net.channels(x) * 6, POINT, "hard_swish")], LITE)


def ssd_edgetpu(size: int) -> Network:
    """SSDLite on MobileNet EdgeTPU: expansion of layer 18, layer 23."""
    net = Network(3, size, size)
    x = net.conv(INPUT, 32, Window(3, 2), "relu")
    inner, x = tapped(net, x, mobilenet.edgetpu_blocks()[:22], 16)
    return ssd(net, [inner, x], LITE)


def near_eighth(channels: float) -> int:
    """`_scale_filters` of ssd_mobiledet_feature_extractor.py."""
    return max(8, int(channels / 8 + 0.5) * 8)


def det_block(net: Network, x: str, block: Block) -> str:
    """Inverted or fused bottleneck of MobileDet; unlike MobileNet's it adds whenever it is told to."""
    width = net.channels(x) * int(block.expansion)
    inner = expand(net, x, block)
    if block.excite:
        inner = excite(net, inner, near_eighth(width / 4), block.activation, "sigmoid")
    y = net.conv(inner, block.channels)
    return net.elementwise("add", y, x) if block.residual else y


def det_blocks(net: Network, x: str, blocks: list[Block]) -> str:
    """Blocks in a row. The first one of a stage changes the shape, so it adds nothing."""
    for block in blocks:
        x = det_block(net, x, replace(block, residual=block.residual and block.stride == 1))
    return x


def mobiledet_cpu(size: int) -> Network:
    """SSDLite on MobileDet-CPU: `mobiledet_cpu_backbone`."""
    net = Network(3, size, size)

    def block(expansion: int, channels: int, kernel: int = 3, stride: int = 1, *, residual: bool = True) -> Block:
        return Block(expansion, channels, kernel, stride, "hard_swish", excite=True, residual=residual)

    x = net.conv(INPUT, 16, Window(3, 2), "hard_swish")
    x = det_blocks(net, x, [block(1, 8, residual=False), block(4, 16, stride=2)])
    x = det_blocks(net, x, [block(8, 32, stride=2), block(4, 32), block(4, 32), block(4, 32)])
    x = det_blocks(net, x, [block(8, 72, 5, 2), block(8, 72), block(4, 72, 5), block(4, 72)])
    fourth = det_blocks(net, x, [block(8, 72, residual=False), block(8, 72), block(8, 72), block(8, 72)])
    x = det_blocks(net, fourth, [block(8, 104, 5, 2), block(4, 104, 5), block(4, 104, 5), block(4, 104)])
    return ssd(net, [fourth, det_blocks(net, x, [block(8, 144, residual=False)])], LITE)


def mobiledet_edgetpu(size: int) -> Network:
    """SSDLite on MobileDet-EdgeTPU: `mobiledet_edgetpu_backbone`."""
    net = Network(3, size, size)

    def plain(expansion: int, channels: int, kernel: int = 3, stride: int = 1, *, residual: bool = True) -> Block:
        return Block(expansion, channels, kernel, stride, "relu6", residual=residual)

    def fused(expansion: int, channels: int, kernel: int = 3, stride: int = 1) -> Block:
        return Block(expansion, channels, kernel, stride, "relu6", fused=True)

    x = net.conv(INPUT, 32, Window(3, 2), "relu6")
    x = net.conv(x, near_eighth(32 * 0.25), POINT, "relu6")
    x = net.conv(net.conv(x, near_eighth(16 * 0.75), Window(3), "relu6"), 16)
    x = det_blocks(net, x, [fused(8, 16, 3, 2), fused(4, 16), fused(8, 16), fused(4, 16)])
    x = det_blocks(net, x, [fused(8, 40, 5, 2), fused(4, 40), fused(4, 40), fused(4, 40)])
    x = det_blocks(net, x, [plain(8, 72, 3, 2), plain(8, 72), fused(4, 72), fused(4, 72)])
    wide = [plain(8, 96, 5, residual=False), plain(8, 96, 5), plain(8, 96), plain(8, 96)]
    fourth = det_blocks(net, x, wide)
    x = det_blocks(net, fourth, [plain(8, 120, 5, 2), plain(8, 120), plain(4, 120, 5), plain(8, 120)])
    return ssd(net, [fourth, det_blocks(net, x, [plain(8, 384, 5, residual=False)])], LITE)


def pyramid(net: Network, features: list[str], activation: str) -> list[str]:
    """Levels 3 to 7: `fpn_top_down_feature_maps` of 256 channels, and two strided convolutions below."""
    top = merged = net.conv(features[-1], 256)
    levels = [top]
    for x in reversed(features[:-1]):
        merged = net.elementwise("add", net.resize(merged, net.area(x)), net.conv(x, 256))
        levels.insert(0, net.conv(merged, 256, Window(3), activation))
    for _ in range(2):
        top = net.conv(top, 256, Window(3, 2), activation)
        levels.append(top)
    return levels


def ssd_fpn(net: Network, features: list[str], activation: str = "relu6") -> Network:
    """RetinaNet head: four shared 3 × 3 convolutions for boxes and four for scores, six boxes a position."""
    boxes, scores = [], []
    for level in pyramid(net, features, activation):
        for parts, channels in ((boxes, 4), (scores, CLASSES)):
            x = level
            for _ in range(4):
                x = net.conv(x, 256, Window(3), activation)
            parts.append((net.conv(x, 6 * channels, Window(3)), 6))
    finish(net, boxes, scores)
    return net


def fpn_v1(size: int) -> Network:
    """SSD with a pyramid on MobileNet v1: blocks 5, 11 and 13."""
    net = Network(3, size, size)
    features = mobilenet.v1_features(net, 1.0)
    return ssd_fpn(net, [features[5], features[11], features[13]])


def fpn_resnet50(size: int) -> Network:
    """SSD with a pyramid on ResNet-50: stages 2 to 4."""
    net = Network(3, size, size)
    return ssd_fpn(net, resnet.v1_features(net, 50)[1:])
