"""The four networks of MLPerf Tiny, as their training code in mlcommons/tiny builds them."""

from __future__ import annotations

import mobilenet
from network import INPUT, POINT, Network, Window


def anomaly_autoencoder() -> Network:
    """Anomaly detection: 640 values through a bottleneck of eight and back."""
    net = Network(640)
    x = INPUT
    for width in (128, 128, 128, 128, 8, 128, 128, 128, 128):
        x = net.dense(x, width, "relu")
    net.dense(x, 640)
    return net


def image_resnet() -> Network:
    """Image classification: `resnet_v1_eembc`, three stacks of 16, 32 and 64 channels at 32 × 32."""
    net = Network(3, 32, 32)
    x = net.conv(INPUT, 16, Window(3), "relu")
    for channels, stride in ((16, 1), (32, 2), (64, 2)):
        y = net.conv(net.conv(x, channels, Window(3, stride), "relu"), channels, Window(3))
        x = x if stride == 1 else net.conv(x, channels, Window(1, stride))
        x = net.activation(net.elementwise("add", x, y), "relu")
    net.softmax(net.dense(net.global_pool(x), 10))
    return net


def keyword_dscnn() -> Network:
    """Keyword spotting: `ds_cnn` on 49 frames of ten coefficients."""
    net = Network(1, 49, 10)
    x = net.conv(INPUT, 64, Window((10, 4), 2), "relu")
    for _ in range(4):
        x = net.conv(net.depthwise(x, Window(3), "relu"), 64, POINT, "relu")
    net.softmax(net.dense(net.global_pool(x), 12))
    return net


def wakeword_mobilenet() -> Network:
    """Visual wake words: `mobilenet_v1` at a quarter of the width, 96 × 96, person or none."""
    return mobilenet.v1(0.25, 96, classes=2, activation="relu")
