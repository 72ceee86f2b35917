"""Which networks are written, from which code they were read, and under which name."""

from __future__ import annotations

import classic
import detection
import efficientdet
import efficientnet
import mobilenet
import resnet
import tiny
from network import Network

SLIM = "tensorflow/models research/slim/nets"
DETECTION = "tensorflow/models research/object_detection"
TPU = "tensorflow/tpu models/official"
AUTOML = (
    "google/automl efficientdet/keras/efficientdet_keras.py with hparams_config.py as in tensorflow/examples "
    "tensorflow_examples/lite/model_maker/third_party/efficientdet"
)
TINY = "mlcommons/tiny v0.1/benchmarks"

Entries = dict[str, tuple[str, Network]]
"""File name without suffix to (source, network)."""


def networks() -> Entries:
    """All networks."""
    return mobilenets() | classifiers() | detectors() | tinies()


def mobilenets() -> Entries:
    """MobileNet v1 to v3 for ImageNet, in the sizes that TF-Slim hosts."""
    first, second = f"{SLIM}/mobilenet_v1.py", f"{SLIM}/mobilenet/mobilenet_v2.py"
    third = f"{SLIM}/mobilenet/mobilenet_v3.py"
    found: Entries = {}
    for width in (0.25, 0.5, 0.75, 1.0):
        for size in (128, 160, 192, 224):
            found[f"tf-mobilenet_v1_{width}_{size}"] = first, mobilenet.v1(width, size)
    found["tf-mobilenet_v1_0.25_96"] = first, mobilenet.v1(0.25, 96, classes=5)
    found["tf-mobilenet_v1_0.25_96_gray"] = first, mobilenet.v1(0.25, 96, classes=5, channels=1)
    for width in (0.35, 0.5, 0.75, 1.0):
        for size in (96, 128, 160, 192, 224):
            found[f"tf-mobilenet_v2_{width}_{size}"] = second, mobilenet.v2(width, size)
    for width in (1.3, 1.4):
        found[f"tf-mobilenet_v2_{width}_224"] = second, mobilenet.v2(width, 224)
    for width in (0.75, 1.0):
        found[f"tf-mobilenet_v3_large_{width}_224"] = third, mobilenet.v3_large(width, 224)
        found[f"tf-mobilenet_v3_small_{width}_224"] = third, mobilenet.v3_small(width, 224)
    found["tf-mobilenet_v3_large_min_1.0_224"] = third, mobilenet.v3_large(1.0, 224, minimal=True)
    found["tf-mobilenet_v3_small_min_1.0_224"] = third, mobilenet.v3_small(1.0, 224, minimal=True)
    return found


def classifiers() -> Entries:
    """The other networks for ImageNet."""
    lite = f"{TPU}/efficientnet/lite/efficientnet_lite_builder.py"
    edge = f"{TPU}/efficientnet/edgetpu/efficientnet_edgetpu_builder.py"
    mnas = f"{TPU}/mnasnet/mnasnet_models.py, mnasnet_b1"
    found: Entries = {}
    for number, (_, _, size) in efficientnet.LITE.items():
        found[f"tf-efficientnet_lite{number}_{size}"] = lite, efficientnet.lite(number)
    for name in efficientnet.EDGETPU:
        found[f"tf-efficientnet_edgetpu_{name}"] = edge, efficientnet.edgetpu(name)
    for width, sizes in {0.5: (224,), 0.75: (224,), 1.0: (96, 128, 160, 192, 224), 1.3: (224,)}.items():
        for size in sizes:
            found[f"tf-mnasnet_{width}_{size}"] = mnas, efficientnet.mnasnet(width, size)
    found["tf-resnet50_v1.5_224"] = "tensorflow/models official/r1/resnet/resnet_model.py", resnet.v15(50, 224)
    for name, layers in {"resnet50_v2_299": 50, "resnet_v2_101": 101, "resnet152_v2_299": 152}.items():
        found[f"tf-{name}"] = f"{SLIM}/resnet_v2.py", resnet.v2(layers, 299)
    found["tf-inception_v1"] = f"{SLIM}/inception_v1.py", classic.inception_v1()
    found["tf-inception_v1_224"] = found["tf-inception_v1"]
    found["tf-inception_v2"] = f"{SLIM}/inception_v2.py", classic.inception_v2()
    found["tf-inception_v3"] = f"{SLIM}/inception_v3.py", classic.inception_v3()
    found["tf-inception_v4"] = f"{SLIM}/inception_v4.py", classic.inception_v4()
    found["tf-vgg16_224"] = "arXiv:1409.1556 table 1, D", classic.vgg((2, 2, 3, 3, 3))
    found["tf-vgg19_224"] = "arXiv:1409.1556 table 1, E", classic.vgg((2, 2, 4, 4, 4))
    return found


def detectors() -> Entries:
    """Object detection on COCO."""
    configs, third = f"{DETECTION}/samples/configs", mobilenet.v3_large_blocks()
    small = mobilenet.v3_small_blocks()
    fpn = "fpn_shared_box_predictor_640x640_coco14_sync.config"
    det = "320x320_coco_sync_4x4.config"
    found: Entries = {
        f"tf-efficientdet_{name}_{size.pixels}": (AUTOML, efficientdet.detector(size))
        for name, size in efficientdet.SIZES.items()
    }
    found |= {
        "tf-ssd-mobilenet": (f"{configs}/ssd_mobilenet_v1_coco.config", detection.ssd_v1(300, detection.PLAIN)),
        "tf-ssd_mobilenet_v2_300": (f"{configs}/ssd_mobilenet_v2_coco.config", detection.ssd_v2(300, detection.WIDE)),
        "tf-ssdlite_mobilenet_v1_300": (
            f"{configs}/ssdlite_mobilenet_v1_coco.config",
            detection.ssd_v1(300, detection.LITE),
        ),
        "tf-ssdlite_mobilenet_v2_300": (
            f"{configs}/ssdlite_mobilenet_v2_coco.config",
            detection.ssd_v2(300, detection.LITE),
        ),
        "tf-ssdlite_mobilenet_v3_large_320": (
            f"{configs}/ssdlite_mobilenet_v3_large_320x320_coco.config",
            detection.ssd_v3(third, 12, 320),
        ),
        "tf-ssdlite_mobilenet_v3_small_320": (
            f"{configs}/ssdlite_mobilenet_v3_small_320x320_coco.config",
            detection.ssd_v3(small, 8, 320),
        ),
        "tf-ssdlite_mobilenetedgetpu_320": (
            f"{configs}/ssdlite_mobilenet_edgetpu_320x320_coco.config",
            detection.ssd_edgetpu(320),
        ),
        "tf-ssdlite_mobiledet_cpu_320": (f"{configs}/ssdlite_mobiledet_cpu_{det}", detection.mobiledet_cpu(320)),
        "tf-ssdlite_mobiledet_edgetpu_320": (
            f"{configs}/ssdlite_mobiledet_edgetpu_{det}",
            detection.mobiledet_edgetpu(320),
        ),
        "tf-ssd_mobilenet_v1_fpn_640": (f"{configs}/ssd_mobilenet_v1_{fpn}", detection.fpn_v1(640)),
        "tf-ssd_resnet_50_v1_fpn_640": (f"{configs}/ssd_resnet50_v1_{fpn}", detection.fpn_resnet50(640)),
    }
    return found


def tinies() -> Entries:
    """MLPerf Tiny."""
    return {
        "tiny-mlperf_tiny_ad_autoencoder": (f"{TINY}/anomaly_detection/keras_model.py", tiny.anomaly_autoencoder()),
        "tiny-mlperf_tiny_ic_resnet8_32": (f"{TINY}/image_classification/keras_model.py", tiny.image_resnet()),
        "tiny-mlperf_tiny_kws_dscnn": (f"{TINY}/audio_wake_words/keras_model.py", tiny.keyword_dscnn()),
        "tiny-mlperf_tiny_vww_mobilenet_v1_0.25_96": (
            f"{TINY}/visual_wake_words/vww_model.py",
            tiny.wakeword_mobilenet(),
        ),
    }
