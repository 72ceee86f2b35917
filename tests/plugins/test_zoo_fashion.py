"""The zoo's networks for Fashion-MNIST, on small files of the same make."""

from __future__ import annotations

import gzip
import hashlib

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import bench_zoo
from bench_zoo import fashion, fashion_networks, fashion_training
from bench_zoo.fingerprint import network_sha256
from harness import ArtifactError, Split

NETWORKS = {network.name: network for network in fashion_networks.NETWORKS}
ROWS = {"train": 700, "t10k": 100}


def idx(array):
    """An array in the IDX format, packed."""
    sizes = b"".join(size.to_bytes(4, "big") for size in array.shape)
    return gzip.compress(bytes((0, 0, 8, array.ndim)) + sizes + array.tobytes(), mtime=0)


def drawn(rows, draw):
    """Pictures that tell their class by where they are bright, one of each class in turn."""
    labels = np.arange(rows, dtype=np.uint8) % 10
    pictures = draw.integers(0, 60, (rows, 28, 28), dtype=np.uint8)
    for picture, label in zip(pictures, labels, strict=True):
        top, left = divmod(int(label), 5)
        picture[4 + 10 * top : 12 + 10 * top, 2 + 5 * left : 6 + 5 * left] += 180
    return pictures, labels


@pytest.fixture
def files(tmp_path, monkeypatch):
    """A folder of small files, pinned as if they were the real ones, and splits to match."""
    folder = tmp_path / "fashion"
    folder.mkdir()
    draw = np.random.default_rng(0)
    pinned = {}
    for part, rows in ROWS.items():
        pictures, labels = drawn(rows, draw)
        for name, array in ((f"{part}-images-idx3-ubyte.gz", pictures), (f"{part}-labels-idx1-ubyte.gz", labels)):
            (folder / name).write_bytes(idx(array))
            pinned[name] = hashlib.sha256(idx(array)).hexdigest()
    monkeypatch.setenv(fashion.ENVIRONMENT, str(folder))
    monkeypatch.setattr(fashion, "FILES", pinned)
    monkeypatch.setattr(fashion, "SIZES", {"validation": 50, "calibration": 30, "train": 200})
    monkeypatch.setattr(fashion, "TEST_ROWS", 40)
    fashion.read.cache_clear()
    yield folder
    fashion.read.cache_clear()


# --- files and splits


def test_a_missing_folder_is_told_with_the_command_before_a_run_begins(tmp_path, monkeypatch):
    monkeypatch.setenv(fashion.ENVIRONMENT, str(tmp_path))
    lines = {info.ref: info for info in bench_zoo.list_models()}
    assert bench_zoo.available().ok
    assert lines["zoo:har-watch"].available
    for name in NETWORKS:
        assert not lines[f"zoo:{name}"].available
        assert "sudo apt-get install dataset-fashion-mnist" in lines[f"zoo:{name}"].reason
        with pytest.raises(ArtifactError, match=r"train-images-idx3-ubyte\.gz") as caught:
            bench_zoo.check(f"zoo:{name}")
        assert caught.value.hint.startswith("sudo apt-get install dataset-fashion-mnist")


def test_without_a_setting_the_folder_is_that_of_debians_package(monkeypatch):
    monkeypatch.delenv(fashion.ENVIRONMENT, raising=False)
    assert str(fashion.folder()) == "/usr/share/datasets/fashion-mnist"


def test_a_file_with_other_content_is_refused(files):
    (files / "train-labels-idx1-ubyte.gz").write_bytes(b"other")
    with pytest.raises(ArtifactError, match="expected"):
        fashion.read("train-labels")
    (files / "train-images-idx3-ubyte.gz").unlink()
    with pytest.raises(ArtifactError, match="is missing"):
        fashion.read("train-images")


def test_rows_are_standardised_pictures_with_their_classes(files):
    test = fashion.split("test")
    assert (test.inputs[0].shape, test.inputs[0].dtype) == ((40, 1, 28, 28), np.float32)
    assert test.labels.dtype == np.int64
    number = fashion.partition()["test"][7]
    pixels = fashion.read("t10k-images")[number] / 255
    assert np.allclose(test.inputs[0][7, 0], (pixels - fashion.MEAN) / fashion.STD, atol=1e-6)
    assert test.labels[7] == fashion.read("t10k-labels")[number]


def test_splits_share_no_picture_and_have_as_many_of_every_class(files):
    splits = fashion.partition()
    held = np.concatenate([splits[name] for name in ("train", "validation", "calibration")])
    assert len(set(held.tolist())) == len(held) == 280
    assert set(splits["train"]) < set(splits["fitting"])
    assert set(splits["fitting"]) == set(range(700)) - set(splits["validation"]) - set(splits["calibration"])
    for name, rows in {"train": 200, "validation": 50, "calibration": 30, "test": 40}.items():
        assert np.array_equal(np.bincount(fashion.split(name).labels), [rows // 10] * 10)


@given(st.integers(1, 4), st.integers(1, 4), st.integers(2, 6))
def test_a_division_is_disjoint_balanced_and_always_the_same(first, second, classes):
    labels = np.arange(20 * classes) % classes
    sizes = {"a": first * classes, "b": second * classes}
    found, again = fashion.divide(labels, sizes), fashion.divide(labels, sizes)
    assert not set(found["a"]) & set(found["b"])
    for name, size in sizes.items():
        assert np.array_equal(found[name], again[name])
        assert np.array_equal(np.bincount(labels[found[name]]), [size // classes] * classes)


def test_varied_pictures_are_mirrored_or_the_same():
    pictures = np.random.default_rng(0).normal(size=(64, 1, 28, 28)).astype(np.float32)
    before = pictures.copy()
    (varied,) = fashion.augment((pictures,), np.random.default_rng(1))
    (again,) = fashion.augment((pictures,), np.random.default_rng(1))
    assert np.array_equal(pictures, before)
    assert np.array_equal(varied, again)
    assert (varied.shape, varied.dtype, varied.flags.c_contiguous) == (pictures.shape, np.float32, True)
    same = (varied == pictures).all(axis=(1, 2, 3))
    mirrored = (varied == pictures[:, :, :, ::-1]).all(axis=(1, 2, 3))
    assert np.all(same ^ mirrored)
    assert 16 < same.sum() < 48


# --- networks


@pytest.mark.filterwarnings("ignore::FutureWarning")  # the exporter's own
@pytest.mark.parametrize("name", NETWORKS)
def test_a_network_exports_to_onnx_with_a_free_batch_and_runs(name, tmp_path):
    import onnxruntime

    torch.manual_seed(0)
    network = NETWORKS[name].make().eval()
    rows = torch.randn(3, 1, 28, 28)
    path = tmp_path / "network.onnx"
    shapes = ({0: torch.export.Dim("batch")},)
    program = torch.export.export(network, (rows[:2],), dynamic_shapes=shapes)
    torch.onnx.export(program, (), path, dynamo=True, verbose=False)
    session = onnxruntime.InferenceSession(path)
    (logits,) = session.run(None, {session.get_inputs()[0].name: rows.numpy()})
    with torch.no_grad():
        assert np.allclose(logits, network(rows), atol=1e-4)
    assert logits.shape == (3, 10)


@pytest.mark.parametrize("name", NETWORKS)
def test_a_network_survives_saving_and_normalises_each_convolution_but_a_classifier(name, tmp_path):
    network = NETWORKS[name].make().eval()
    torch.save(network, tmp_path / "network.pt")
    again = torch.load(tmp_path / "network.pt", weights_only=False)
    rows = torch.randn(2, 1, 28, 28)
    assert torch.equal(network(rows), again(rows))
    kinds = [type(layer).__name__ for layer in network.modules()]
    biased = [layer for layer in network.modules() if isinstance(layer, torch.nn.Conv2d) and layer.bias is not None]
    assert kinds.count("BatchNorm2d") == kinds.count("Conv2d") - len(biased)
    assert biased == ([network.classifier] if name == "squeezenet" else [])


@pytest.mark.parametrize(
    ("name", "parameters"), [("resnet-8", 77_754), ("mobilenet-v2", 40_122), ("squeezenet", 64_970)]
)
def test_a_network_has_the_size_that_the_documents_say(name, parameters):
    network = NETWORKS[name].make()
    assert sum(p.numel() for p in network.parameters()) == parameters
    widths = {layer.out_channels for layer in network.modules() if isinstance(layer, torch.nn.Conv2d)} - {10}
    assert all(width % 8 == 0 for width in widths)


# --- training


@pytest.mark.parametrize("name", NETWORKS)
def test_a_few_steps_of_training_learn_something(name, files, monkeypatch):
    monkeypatch.setattr(fashion_training, "BATCH", 32)
    network = fashion_training.train(NETWORKS[name].make, fashion.split("fitting"), epochs=4)
    rows = fashion.split("fitting")
    with torch.no_grad():
        right = network(torch.from_numpy(rows.inputs[0])).argmax(dim=1).numpy() == rows.labels
    assert not network.training
    assert right.mean() > 0.2


def test_training_twice_gives_the_same_weights_and_leaves_the_random_state_alone():
    draw = np.random.default_rng(0)
    rows = Split(inputs=(draw.normal(size=(256, 1, 28, 28)).astype(np.float32),), labels=draw.integers(0, 10, 256))
    state = torch.random.get_rng_state()
    make = NETWORKS["squeezenet"].make
    first, again = (network_sha256(fashion_training.train(make, rows, epochs=1), "") for _ in range(2))
    assert first == again
    assert torch.equal(torch.random.get_rng_state(), state)


def test_a_network_is_trained_once_and_then_taken_from_the_cache(files, tmp_path, monkeypatch):
    monkeypatch.setattr(fashion_networks, "NETWORKS", ())
    network = fashion_networks.Network(ref="zoo:squeezenet", module="squeezenet", kind="SqueezeNet", epochs=0.5)
    model = fashion_networks.load(network, tmp_path / "cache")
    monkeypatch.setattr("bench_zoo.fashion_training.train", lambda *_: pytest.fail("trained again"))
    again = fashion_networks.load(network, tmp_path / "cache")
    assert again.sha256 == model.sha256
    assert (model.name, model.data.kind, model.data.augment) == ("squeezenet", "images", fashion.augment)
    assert model.example[0].shape == (1, *model.inputs[0].shape[1:])
    assert set(model.data.splits) == {"train", "validation", "calibration", "test"}
    assert fashion_networks.identity(network) == fashion_networks.identity(network)
