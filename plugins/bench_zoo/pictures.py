"""Pictures for `zoo:efficientnet-lite0`: the 20 labelled ImageNet photographs of foolbox and two of scikit-learn.

Pictures with an even number test, those with an odd number and scikit-learn's two calibrate: no picture is in both.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bench_zoo.packaged import packaged_file

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

SIDE = 224
RESIZED = 256
"""The shorter side before the centre crop of 224: a crop of 87.5 %, as EfficientNet-Lite was evaluated with. Source:
tensorflow/tpu, models/official/efficientnet/preprocessing.py (CROP_FRACTION, bicubic by default)."""
MEAN, DIVISOR = 127.0, 128.0
"""EfficientNet-Lite takes `(x - 127) / 128`, not ImageNet's mean and deviation. Source:
tensorflow/tpu, models/official/efficientnet/lite/efficientnet_lite_builder.py (MEAN_RGB, STDDEV_RGB)."""

CROP_SEED = 20
TEST_CROPS = 9
MANY_TEST_CROPS = 50
"""The first of them are the same as when there are fewer."""
CALIBRATION_CROPS = 5
CROP_SHARE = (0.4, 0.9)
"""Side of a random crop as a share of the picture's shorter side."""

FOOLBOX = {
    "imagenet_00_243.jpg": "28b7b933c8028c6e20bf74a86a709eda42ce99f14c8742cb657cb386f08a4c9d",
    "imagenet_01_559.jpg": "5f03b0c74dff01b5b4195d0beabcae2a625a406e6917957ab9c455b5b7dea6d6",
    "imagenet_02_438.jpg": "ccef0734c1a65549c6cb5adb0f5d9b1c0b2e2104aba50a9e5f9202dc6d4532ed",
    "imagenet_03_990.jpg": "c7f0b2f1e9ee39d8f900759e8983afa2e4a2d7de090060e8bb947f6e90cace5f",
    "imagenet_04_949.jpg": "a7f62f3c1d214de4718c7253871ab38209283249e131faf65b8f2b7fdc970669",
    "imagenet_05_853.jpg": "8a449436c61da867528b1f4efaf8ae832ab9c9201705eae0d3af1353fbdac131",
    "imagenet_06_609.jpg": "fb061102a4e58b3ed942bb2a4f9542e1e1acdc8f225ef95498e93889290e192f",
    "imagenet_07_609.jpg": "2c297ad1e5c4804a647e9b34bc02ee2fc348b05a4d49050d170fb61c948efa5c",
    "imagenet_08_915.jpg": "c6a3411a3987799f0de45adc142f00ca412c3e14073c635e2adfae1f3913180c",
    "imagenet_09_455.jpg": "ace3716b60ac5843269b270e17020e4f8138440cd30ef3487f7d6e54da9745a4",
    "imagenet_10_541.jpg": "f325c71d9f4290ee45e99bd7ad42f4bffe513b1450ad21e7bd61c7cb137395d9",
    "imagenet_11_630.jpg": "892dff58fc528fe63d2df0c783aa3eca2342637798578ce01763fbc0553eda01",
    "imagenet_12_741.jpg": "6c256e17545b25bbf2e06cf6513ff48d049583569515ac4d4c3a52aea804a529",
    "imagenet_13_471.jpg": "52ed0e738b90d27afcabc3e92c81ae637f160c2d9f75b93a65211005ab5dcd81",
    "imagenet_14_129.jpg": "ad9371d813bf24b0365ee2f78f28c08718ee7c5975f060caa16c3f264e828139",
    "imagenet_15_99.jpg": "4b588649cd835d4c65521727ebee03d9621baff1f54d3e8a53a26b53d983ec2e",
    "imagenet_16_251.jpg": "ce3440a3b7beb6ca3009817504c44d39fa789e7c2f70a2eef7e2f9cc9a87b129",
    "imagenet_17_22.jpg": "b432341845620e9cfd67d848c4783c32dd6eaddad45513866b17180d2b09fcf5",
    "imagenet_18_317.jpg": "b9412f92f0b1c3faede45b55a44940977daa744f2040118d0538cf597fca785d",
    "imagenet_19_305.jpg": "e1f58f00e2e47ce930d7ecab0e46a78316054f68c10d0742e87c1cc092324556",
}
"""Names end in the index of the ImageNet class; the hashes are those of foolbox 3.3.4."""
SKLEARN = {
    "china.jpg": "8378025ad2519d649d02e32bd98990db4ab572357d9f09841c2fbfbb4fefad29",
    "flower.jpg": "a77f6ec41e353afdf8bdff2ea981b2955535d8d83294f8cfa49cf4e423dd5638",
}
"""Without a label; the hashes are those of scikit-learn 1.9."""

TEST = tuple(range(0, 20, 2))
CALIBRATION = (*range(1, 20, 2), 20, 21)


def preprocess(picture: NDArray[Any]) -> NDArray[Any]:
    """Prepare a picture as the network was trained: `(h, w, 3)` uint8 RGB to `(3, 224, 224)` float32."""
    from PIL import Image

    image = Image.fromarray(picture)
    factor = RESIZED / min(image.size)
    width, height = (max(SIDE, round(edge * factor)) for edge in image.size)
    left, top = (width - SIDE) // 2, (height - SIDE) // 2
    resized = image.resize((width, height), Image.Resampling.BICUBIC)
    return _normalise(resized.crop((left, top, left + SIDE, top + SIDE)))


def picture(number: int) -> NDArray[Any]:
    """Read one picture, 0 to 19 from foolbox, 20 and 21 from scikit-learn: `(h, w, 3)` uint8 RGB.

    Raises:
        ArtifactError: The package is missing or its file is not the pinned one.
    """
    import numpy as np
    from PIL import Image

    name = [*FOOLBOX, *SKLEARN][number]
    if name in FOOLBOX:
        path = packaged_file("foolbox", f"data/{name}", FOOLBOX[name])
    else:
        path = packaged_file("sklearn", f"datasets/images/{name}", SKLEARN[name])
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"))


def label(number: int) -> int:
    """ImageNet class of one of foolbox's pictures."""
    return int(list(FOOLBOX)[number].removesuffix(".jpg").rsplit("_", 1)[1])


def rows(
    numbers: Sequence[int], crops: int, labels: Mapping[int, int]
) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """Cut each picture into its prepared whole and square crops, the same at every call.

    Args:
        numbers: Pictures.
        crops: How many crops of each.
        labels: Class of a picture; its whole carries it, crops carry -1 because they may miss the object.

    Returns:
        `(n, 3, 224, 224)` float32 rows, `(n,)` int64 labels or -1, `(n,)` int64 picture numbers;
        each picture's whole comes first, then its crops.
    """
    import numpy as np

    prepared, classes = [], []
    for number in numbers:
        pixels = picture(number)
        draw = np.random.default_rng((CROP_SEED, number))
        prepared += [preprocess(pixels), *(_crop(pixels, draw) for _ in range(crops))]
        classes += [labels.get(number, -1)] + [-1] * crops
    return np.stack(prepared), np.array(classes, np.int64), np.repeat(np.array(numbers, np.int64), crops + 1)


def _crop(pixels: NDArray[Any], draw: Any) -> NDArray[Any]:
    """A square somewhere in the picture, scaled to the network's input."""
    from PIL import Image

    height, width = pixels.shape[:2]
    side = round(min(height, width) * draw.uniform(*CROP_SHARE))
    top, left = int(draw.integers(0, height - side + 1)), int(draw.integers(0, width - side + 1))
    image = Image.fromarray(pixels[top : top + side, left : left + side])
    return _normalise(image.resize((SIDE, SIDE), Image.Resampling.BICUBIC))


def _normalise(image: Any) -> NDArray[Any]:
    """RGB image to `(3, h, w)` float32 in about -1 to 1."""
    import numpy as np

    scaled = (np.asarray(image, np.float32) - np.float32(MEAN)) / np.float32(DIVISOR)
    return np.ascontiguousarray(scaled.transpose(2, 0, 1))
