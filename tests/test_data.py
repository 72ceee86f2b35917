"""What the user brings with `--data`."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from harness import picture_folder
from harness.data import load_data, random_data
from harness.errors import ArtifactError
from harness.model import SPLITS, TensorSpec
from harness.splits import divide

PICTURE = (TensorSpec(name="image", shape=(None, 3, 8, 8), dtype="float32"),)
ROWS = (TensorSpec(name="x", shape=(None, 4), dtype="float32"),)


def sizes(data):
    return {name: len(data.split(name)) for name in SPLITS if data.split(name)}


@pytest.fixture
def folder(tmp_path):
    draw = np.random.default_rng(0)
    for label, name in enumerate(("ant", "bee")):
        (tmp_path / "pictures" / name).mkdir(parents=True)
        for i in range(10):
            pixels = draw.integers(0, 100, (12, 16, 3)).astype(np.uint8) + np.uint8(100 * label)
            Image.fromarray(pixels).save(tmp_path / "pictures" / name / f"{i}.png")
    return tmp_path / "pictures"


def archive(path, **arrays):
    np.savez(path / "data.npz", **arrays)
    return str(path / "data.npz")


# --- splits


@given(rows=st.integers(1, 3000), classes=st.integers(0, 5), seed=st.integers(0, 9))
def test_every_row_is_in_exactly_one_split(rows, classes, seed):
    labels = np.arange(rows) % classes if classes else None
    found = divide(rows, labels, seed)
    assert sorted(np.concatenate(list(found.values()))) == list(range(rows))
    assert rows < 2 or {"test", "calibration"} <= set(found)
    assert all(len(indices) for indices in found.values())


def test_the_same_seed_divides_alike_and_another_seed_does_not():
    first, again, other = (divide(100, None, seed)["test"] for seed in (1, 1, 2))
    assert (first == again).all()
    assert not np.array_equal(first, other)


def test_each_split_holds_the_classes_in_their_proportions():
    labels = np.repeat([0, 1, 2], [600, 300, 100])
    for indices in divide(1000, labels, 0).values():
        share = np.bincount(labels[indices], minlength=3) / len(indices)
        assert np.abs(share - [0.6, 0.3, 0.1]).max() < 0.02


def test_shares_are_30_10_10_50_percent_and_calibration_stops_at_200_rows():
    small, large = divide(1000, None, 0), divide(10_000, None, 0)
    assert [len(small[n]) for n in ("test", "calibration", "validation", "train")] == [300, 100, 100, 500]
    assert [len(large[n]) for n in ("test", "calibration", "validation", "train")] == [3000, 200, 1000, 5800]


# --- .npz


def test_an_archive_of_x_and_y_gives_four_labelled_splits(tmp_path):
    x = np.arange(80, dtype=np.float32).reshape(20, 4)
    data = load_data(archive(tmp_path, x=x, y=np.arange(20) % 2), ROWS, None, 0)
    assert sizes(data) == {"train": 10, "validation": 2, "calibration": 2, "test": 6}
    test = data.split("test")
    assert test.inputs[0].dtype == np.float32
    assert test.labels.dtype == np.int64
    assert (test.inputs[0][:, 0] // 4 % 2 == test.labels).all()
    assert (data.metric, data.note) == ("top1", "")


def test_an_archive_without_labels_measures_agreement_and_says_so(tmp_path):
    data = load_data(archive(tmp_path, x=np.ones((5, 4), np.float32)), ROWS, None, 0)
    assert data.metric == "agreement"
    assert data.split("test").labels is None
    assert "no labels" in data.note


def test_float64_is_cast_and_the_note_says_so(tmp_path):
    data = load_data(archive(tmp_path, x=np.ones((5, 4)), y=np.zeros(5, int)), ROWS, None, 0)
    assert data.split("test").inputs[0].dtype == np.float32
    assert data.note == "x was cast from float64 to float32"


def test_several_inputs_are_x0_x1(tmp_path):
    inputs = (*ROWS, TensorSpec(name="ids", shape=(None, 3), dtype="int32"))
    arrays = {"x0": np.ones((6, 4), np.float32), "x1": np.arange(18).reshape(6, 3)}
    split = load_data(archive(tmp_path, **arrays), inputs, None, 0).split("test")
    assert [(a.shape, a.dtype.name) for a in split.inputs] == [((2, 4), "float32"), ((2, 3), "int32")]


def test_the_hash_follows_the_content(tmp_path):
    hashes = [load_data(archive(tmp_path, x=np.full((4, 4), v, np.float32)), ROWS, None, 0).sha256 for v in (1, 1, 2)]
    assert hashes[0] == hashes[1] != hashes[2]


@pytest.mark.parametrize(
    ("arrays", "says"),
    [
        ({"x": np.ones((4, 5), np.float32)}, r"x has shape \(4, 5\).*expects \(rows, 4\)"),
        ({"x": np.ones((4, 4, 1), np.float32)}, r"x has shape \(4, 4, 1\)"),
        ({"x": np.float32(1)}, r"expects \(rows, 4\)"),
        ({"x": np.ones((0, 4), np.float32)}, "x has no rows"),
        ({"x": np.ones((4, 4), np.uint8)}, "x is uint8.*expects float32"),
        ({"x": np.full((4, 4), np.nan)}, "NaN"),
        ({"x": np.full((4, 4), 1e300)}, "too large for float32"),
        ({"images": np.ones((4, 4), np.float32)}, "has no x; it holds images"),
        ({"x": np.ones((4, 4), np.float32), "y": np.array([0, 1, -2, 0])}, "y holds -2"),
        ({"x": np.ones((4, 4), np.float32), "y": np.zeros(3, int)}, r"y has shape \(3,\).*expected \(4,\)"),
        ({"x": np.ones((4, 4), np.float32), "y": np.eye(4)}, r"y has shape \(4, 4\) and type float64"),
        ({"x": np.array([{"a": 1}] * 4)}, "cannot be read as an archive of plain arrays"),
    ],
)
def test_an_archive_that_does_not_fit_is_one_clear_error(tmp_path, arrays, says):
    path = archive(tmp_path, **arrays)
    with pytest.raises(ArtifactError, match=says) as caught:
        load_data(path, ROWS, None, 0)
    assert "data.npz" in caught.value.message
    assert caught.value.hint


def test_integers_too_large_for_the_input_are_refused(tmp_path):
    inputs = (TensorSpec(name="ids", shape=(None, 3), dtype="int32"),)
    with pytest.raises(ArtifactError, match="too large for int32"):
        load_data(archive(tmp_path, x=np.full((4, 3), 2**40)), inputs, None, 0)


def test_inputs_of_different_length_are_refused(tmp_path):
    path = archive(tmp_path, x0=np.ones((4, 4), np.float32), x1=np.ones((5, 4), np.float32))
    with pytest.raises(ArtifactError, match="x0 has 4 rows and x1 has 5"):
        load_data(path, ROWS * 2, None, 0)


def test_a_damaged_archive_is_one_clear_error(tmp_path):
    path = Path(archive(tmp_path, x=np.ones((400, 4), np.float32)))
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    for damaged in (bytes(content), bytes(content[:300]), b"", b"no archive"):
        path.write_bytes(damaged)
        with pytest.raises(ArtifactError, match="cannot be read"):
            load_data(str(path), ROWS, None, 0)


def test_a_single_array_under_the_name_of_an_archive_is_refused(tmp_path):
    with (tmp_path / "data.npz").open("wb") as file:
        np.save(file, np.ones((4, 4), np.float32))
    with pytest.raises(ArtifactError, match="single array"):
        load_data(str(tmp_path / "data.npz"), ROWS, None, 0)


def test_a_path_that_is_missing_or_of_another_kind_is_refused(tmp_path):
    (tmp_path / "rows.csv").write_text("1,2")
    with pytest.raises(ArtifactError, match="no data at"):
        load_data(str(tmp_path / "none"), ROWS, None, 0)
    with pytest.raises(ArtifactError, match="neither a folder nor"):
        load_data(str(tmp_path / "rows.csv"), ROWS, None, 0)


# --- pictures


def test_a_folder_of_pictures_gives_prepared_rows_labelled_in_sorted_order(folder):
    data = load_data(str(folder), PICTURE, None, 0)
    assert sizes(data) == {"train": 10, "validation": 2, "calibration": 2, "test": 6}
    test = data.split("test")
    assert test.inputs[0].shape == (6, 3, 8, 8)
    assert test.inputs[0].dtype == np.float32
    assert sorted(test.labels) == [0, 0, 0, 1, 1, 1]
    means = test.inputs[0].mean(axis=(1, 2, 3))
    assert means[test.labels == 0].max() < means[test.labels == 1].min()
    assert data.metric == "top1"
    assert "ImageNet" in data.note


def test_the_default_preparation_normalises_a_flat_picture_as_imagenet_networks_expect():
    grey = np.full((300, 500, 3), 128, np.uint8)
    (spec,) = PICTURE
    expected = (128 / 255 - np.array(picture_folder.MEAN)) / picture_folder.DEVIATION
    assert np.allclose(picture_folder.prepare_picture(grey, spec=spec), expected[:, None, None], atol=1e-5)


def test_the_default_preparation_keeps_the_centre():
    picture = np.zeros((100, 200, 3), np.uint8)
    picture[:, 80:120] = 255
    row = picture_folder.prepare_picture(picture, spec=TensorSpec(name="x", shape=(1, 3, 32, 32), dtype="float32"))
    bright = np.flatnonzero(row[0, 16] > 0)
    assert 14 <= bright.mean() <= 17
    assert 12 <= len(bright) <= 16


def test_single_channel_models_get_grey_pictures(folder):
    spec = TensorSpec(name="image", shape=(1, 1, 8, 6), dtype="float32")
    data = load_data(str(folder), (spec,), None, 0)
    assert data.split("test").inputs[0].shape == (6, 1, 8, 6)
    assert "grey" in data.note


def test_the_models_own_preprocessing_is_used_when_there_is_one(folder):
    data = load_data(str(folder), PICTURE, lambda p: np.full((3, 8, 8), p.shape[0], np.float32), 0)
    assert (data.split("test").inputs[0] == 12).all()
    assert "own preprocessing" in data.note


def test_preprocessing_of_the_wrong_shape_is_one_clear_error(folder):
    data = load_data(str(folder), PICTURE, lambda _: np.zeros((8, 8, 3), np.float32), 0)
    with pytest.raises(ArtifactError, match=r"into \(8, 8, 3\).*expects \(3, 8, 8\)"):
        data.split("test")


def test_folders_named_by_numbers_are_those_classes(folder):
    (folder / "ant").rename(folder / "243")
    (folder / "bee").rename(folder / "7")
    assert set(load_data(str(folder), PICTURE, None, 0).split("test").labels) == {7, 243}


def test_pixels_are_decoded_only_for_the_split_that_is_asked_for(folder, monkeypatch):
    decoded = []
    real = picture_folder._decoded
    monkeypatch.setattr(picture_folder, "_decoded", lambda file: decoded.append(file) or real(file))
    data = load_data(str(folder), PICTURE, None, 0)
    before = len(decoded)
    data.split("test")
    assert before <= 1
    assert len(decoded) - before == 6


def test_a_split_larger_than_memory_allows_is_cut_and_the_note_says_so(folder, monkeypatch):
    monkeypatch.setattr(picture_folder, "SPLIT_BYTES", 3 * 8 * 8 * 4 * 4)
    data = load_data(str(folder), PICTURE, None, 0)
    assert sizes(data)["test"] == 4
    assert "test takes 4 of its 6 pictures" in data.note


def test_renaming_or_changing_a_picture_changes_the_hash(folder):
    before = load_data(str(folder), PICTURE, None, 0).sha256
    (folder / "ant" / "0.png").rename(folder / "bee" / "x.png")
    assert load_data(str(folder), PICTURE, None, 0).sha256 != before


def test_a_corrupt_picture_is_named(folder):
    (folder / "ant" / "3.png").write_bytes(b"not a picture")
    with pytest.raises(ArtifactError, match=r"3\.png cannot be read as a picture") as caught:
        load_data(str(folder), PICTURE, None, 0)
    assert caught.value.hint


def test_a_picture_that_breaks_off_is_named_when_it_is_decoded(folder):
    for file in sorted((folder / "ant").iterdir()):
        image = Image.open(file).convert("RGB").resize((200, 200))
        image.save(file.with_suffix(".jpg"))
        file.unlink()
        file.with_suffix(".jpg").write_bytes(file.with_suffix(".jpg").read_bytes()[:1500])
    with pytest.raises(ArtifactError, match=r"\.jpg cannot be read as a picture"):
        load_data(str(folder), PICTURE, None, 0).split("test")


def test_a_folder_without_pictures_in_sub_folders_is_refused(tmp_path, folder):
    (tmp_path / "empty").mkdir()
    with pytest.raises(ArtifactError, match="no sub-folders"):
        load_data(str(tmp_path / "empty"), PICTURE, None, 0)
    (folder / "cow").mkdir()
    with pytest.raises(ArtifactError, match="cow has no pictures"):
        load_data(str(folder), PICTURE, None, 0)


def test_pictures_for_a_model_that_takes_none_are_refused(folder):
    with pytest.raises(ArtifactError, match=r"this model takes x \('any', 4\) float32") as caught:
        load_data(str(folder), ROWS, None, 0)
    assert ".npz" in caught.value.hint


def test_missing_pillow_is_an_error_with_the_command_that_installs_it(folder, monkeypatch):
    monkeypatch.setitem(sys.modules, "PIL", None)
    with pytest.raises(ArtifactError) as caught:
        load_data(str(folder), PICTURE, None, 0)
    assert caught.value.hint == "pip install 'edge-bench[zoo]'"


# --- random inputs


def test_random_inputs_follow_the_example_and_repeat_with_the_seed():
    inputs = (TensorSpec(name="x", shape=(None, None, 50), dtype="float32"),)
    example = (np.random.default_rng(0).normal(7, 3, (1, 20, 50)).astype(np.float32),)
    first, again, other = (random_data(inputs, example, seed).split("test").inputs[0] for seed in (1, 1, 2))
    assert first.shape == (32, 20, 50)
    assert first.dtype == np.float32
    assert abs(first.mean() - 7) < 0.2
    assert abs(first.std() - 3) < 0.2
    assert (first == again).all()
    assert (first != other).any()


def test_random_integers_are_zero_or_one_and_splits_differ():
    data = random_data((TensorSpec(name="ids", shape=(None, 16), dtype="int64"),), None, 0, rows=8)
    test, calibration = data.split("test").inputs[0], data.split("calibration").inputs[0]
    assert set(np.unique(test)) == {0, 1}
    assert test.dtype == np.int64
    assert (test != calibration).any()
    assert data.metric == "agreement"
    assert "random" in data.note


def test_importing_the_module_imports_no_numpy():
    code = "import sys, harness.data; sys.exit('numpy' in sys.modules or 'PIL' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
