"""The zoo: what it offers, and the two networks of a default run."""

from __future__ import annotations

import io
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

import bench_zoo
from bench_zoo import catalogue, efficientnet_lite0, fingerprint, packaged, pictures, trained, watch, watch_training
from bench_zoo.watch_network import WatchNet
from harness import ArtifactError


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def har(cache):
    return bench_zoo.load("zoo:har-watch", cache, 0)


@pytest.fixture(scope="module")
def lite0(cache):
    return bench_zoo.load("zoo:efficientnet-lite0", cache, 0)


def predict(model, rows):
    with torch.no_grad():
        return torch.cat([model.payload(part) for part in torch.from_numpy(rows).split(50)]).numpy()


# --- the contribution


def test_listing_and_identity_import_no_framework():
    code = (
        "import sys, bench_zoo; (source,) = bench_zoo.harness_models()\n"
        "lines = list(source.list_models()); source.available()\n"
        "assert all(source.identity(line.ref) for line in lines)\n"
        "sys.exit(bool({'torch', 'numpy', 'PIL', 'sklearn', 'seglearn', 'foolbox', 'tokenizers'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_source_claims_its_prefix_and_takes_two_networks_by_default():
    (source,) = bench_zoo.harness_models()
    assert (source.name, source.format) == ("zoo", "module")
    assert source.claims("zoo:anything")
    assert not source.claims("net.onnx")
    assert source.default == ("zoo:har-watch", "zoo:efficientnet-lite0")
    assert set(source.default) < {info.ref for info in source.list_models()}
    assert source.available().ok
    assert {"torch", "numpy", "seglearn", "foolbox", "tokenizers"} <= set(source.requires)


def test_an_unknown_network_is_refused_with_the_names_there_are(tmp_path):
    with pytest.raises(ArtifactError, match="no network 'resnet-50'") as caught:
        bench_zoo.load("zoo:resnet-50", tmp_path, 0)
    assert caught.value.hint == "Did you mean zoo:resnet-8?"
    with pytest.raises(ArtifactError) as caught:
        bench_zoo.check("zoo:x")
    assert all(info.ref in caught.value.hint for info in bench_zoo.list_models())
    assert bench_zoo.identity("zoo:resnet-50") is None


@pytest.fixture
def uninstalled(monkeypatch):
    """Makes one distribution look as if it were not installed."""
    real = catalogue.metadata.version

    def take_away(missing):
        def version(name):
            if name == missing:
                raise catalogue.metadata.PackageNotFoundError(name)
            return real(name)

        monkeypatch.setattr(catalogue.metadata, "version", version)

    return take_away


def test_a_package_that_one_network_needs_is_missed_by_that_network_alone(uninstalled):
    uninstalled("foolbox")
    assert bench_zoo.available().ok
    lines = {info.ref: info for info in bench_zoo.list_models()}
    assert lines["zoo:har-watch"].available
    assert not lines["zoo:efficientnet-lite0"].available
    assert lines["zoo:efficientnet-lite0"].reason == "not installed: foolbox; pip install 'edge-bench[torch,zoo]'"
    bench_zoo.check("zoo:har-watch")
    with pytest.raises(ArtifactError, match="not installed: foolbox") as caught:
        bench_zoo.check("zoo:efficientnet-lite0")
    assert "edge-bench[" in caught.value.hint


def test_without_torch_the_whole_zoo_is_unavailable_and_the_command_is_named(uninstalled):
    uninstalled("torch")
    found = bench_zoo.available()
    assert (found.ok, found.reason) == (False, "not installed: torch")
    assert "edge-bench[" in found.install


def test_a_packaged_file_with_other_content_is_refused():
    with pytest.raises(ArtifactError, match=r"watch_dataset\.npy has sha256 eb122f.*expected 0000"):
        packaged.packaged_file("seglearn", "data/watch_dataset.npy", "0" * 64)
    with pytest.raises(ArtifactError, match="not installed"):
        packaged.packaged_file("no_such_package", "data.npy", "0" * 64)


# --- watch data


def test_the_restricted_unpickler_runs_no_code(tmp_path):
    class Evil:
        def __reduce__(self):
            return (Path(tmp_path / "harm").write_text, ("done",))

    file = io.BytesIO()
    np.lib.format.write_array_header_1_0(file, {"descr": "|O", "fortran_order": False, "shape": ()})
    pickle.dump(Evil(), file, protocol=2)
    file.seek(0)
    with pytest.raises(ArtifactError, match="not allowed"):
        watch.restricted_load(file)
    assert not (tmp_path / "harm").exists()


def test_there_are_140_recordings_one_for_each_person_exercise_and_arm():
    found = {(r.person, r.exercise, r.right) for r in watch.recordings()}
    assert len(found) == len(watch.recordings()) == 10 * 7 * 2
    assert all(r.signal.shape[1] == 6 for r in watch.recordings())


@pytest.mark.parametrize("first", range(1, 11))
def test_no_recording_is_in_two_splits_and_test_persons_are_in_one(first):
    who = watch.fold(first)
    splits = watch.partition(who)
    assert sum(map(len, splits.values())) == 140
    assert len({id(r.signal) for members in splits.values() for r in members}) == 140
    assert {r.person for r in splits["test"]} == set(who.test)
    assert {r.person for r in splits["validation"]} == set(who.validation)
    assert {r.person for r in splits["train"]} == set(who.train)
    assert {r.exercise for r in splits["calibration"]} == set(range(7))
    assert {r.person for r in splits["calibration"]} <= set(who.train)


def test_windows_are_two_seconds_that_overlap_by_half():
    (recording, *_) = watch.recordings()
    rows, exercises, persons = watch.windows([recording], np.zeros(6), np.ones(6))
    assert rows.shape == ((len(recording.signal) - 100) // 50 + 1, 6, 1, 100)
    assert rows.dtype == np.float32
    assert np.array_equal(rows[0, :, 0, 50:], rows[1, :, 0, :50])
    assert np.allclose(rows[1, :, 0].T, np.clip(recording.signal[50:150], -watch.CLIP, watch.CLIP))
    assert (set(exercises), set(persons)) == ({recording.exercise}, {recording.person})


def test_inputs_are_standardised_with_the_training_recordings_alone(har):
    rows = har.data.split("train").inputs[0]
    assert np.abs(rows.mean(axis=(0, 2, 3))).max() < 0.1
    assert np.abs(rows.std(axis=(0, 2, 3)) - 1).max() < 0.1
    assert np.abs(har.data.split("test").inputs[0]).max() <= watch.CLIP


# --- har-watch


def test_har_watch_recognises_exercises_of_people_it_has_not_seen(har):
    test = har.data.split("test")
    right = predict(har, test.inputs[0]).argmax(axis=1) == test.labels
    assert set(test.groups) == set(watch.FOLD.test)
    assert right.mean() >= 0.84


def test_har_watch_is_a_small_network_of_2d_convolutions_along_time(har):
    kinds = [type(layer).__name__ for layer in har.payload.modules()]
    assert kinds.count("Conv2d") == 4
    assert "Conv1d" not in kinds
    assert sum(p.numel() for p in har.payload.parameters()) == 24_359


def test_the_example_and_specs_fit_the_network(har, lite0):
    for model in (har, lite0):
        (example,), (spec,) = model.example, model.inputs
        assert example.shape == (1, *spec.shape[1:])
        assert example.dtype.name == spec.dtype
        assert example.std() > 0.1
        assert not model.payload.training


def test_a_second_load_takes_the_cached_weights(har, cache, monkeypatch):
    monkeypatch.setattr(watch_training, "train", lambda _: pytest.fail("trained again"))
    assert bench_zoo.load("zoo:har-watch", cache, 7).sha256 == har.sha256


def test_nothing_but_the_weights_is_left_in_the_cache(har, cache):
    (file,) = cache.iterdir()
    assert har.name in file.name
    assert set(torch.load(file, weights_only=True)) == set(har.payload.state_dict())


def test_damaged_cached_weights_are_replaced_and_the_note_says_so(tmp_path):
    file = tmp_path / "weights.pt"
    for content in (b"", b"torn", pickle.dumps({"a": 1})):
        file.write_bytes(content)
        _, remark = trained.load_or_train(WatchNet(6, 7), lambda: WatchNet(6, 7), file)
        assert "could not be read" in remark
        _, remark = trained.load_or_train(WatchNet(6, 7), lambda: pytest.fail("trained again"), file)
        assert remark == ""


def test_training_twice_gives_the_same_weights_and_leaves_the_random_state_alone(monkeypatch):
    monkeypatch.setattr(watch_training, "EPOCHS", 1)
    recordings = watch.recordings()[:14]
    state, threads = torch.random.get_rng_state(), torch.get_num_threads()
    first, again = (fingerprint.network_sha256(watch_training.train(recordings)[0], "") for _ in range(2))
    assert first == again
    assert torch.equal(torch.random.get_rng_state(), state)
    assert torch.get_num_threads() == threads


def test_random_tilts_are_rotations():
    tilt = watch_training._rotations(64, torch.Generator().manual_seed(0))
    assert torch.allclose(tilt @ tilt.transpose(1, 2), torch.eye(3).expand_as(tilt), atol=1e-5)
    assert torch.allclose(torch.linalg.det(tilt), torch.ones(len(tilt)), atol=1e-5)


def test_varied_windows_are_others_of_the_same_exercise(har):
    validation = har.data.split("validation")
    before = validation.inputs[0].copy()
    (varied,) = har.data.augment(validation.inputs, np.random.default_rng(0))
    (again,) = har.data.augment(validation.inputs, np.random.default_rng(0))
    assert np.array_equal(validation.inputs[0], before)
    assert np.array_equal(varied, again)
    assert (varied.shape, varied.dtype, varied.flags.c_contiguous) == (before.shape, np.float32, True)
    assert np.abs(varied).max() <= watch.CLIP
    assert not np.isclose(varied, before).all(axis=(1, 2, 3)).any()
    kept = predict(har, varied).argmax(axis=1) == predict(har, before).argmax(axis=1)
    assert kept.mean() > 0.75
    assert har.data.kind == "sensors"


def test_a_window_that_is_neither_mirrored_tilted_nor_noisy_stays_the_same(har, monkeypatch):
    for name in ("TILT_RAD", "TEMPO", "NOISE"):
        monkeypatch.setattr(watch_training, name, 0.0)
    monkeypatch.setattr(watch_training, "OTHER_ARM", (1.0,) * 6)
    calibration = har.data.split("calibration")
    (varied,) = har.data.augment(calibration.inputs, np.random.default_rng(0))
    assert np.allclose(varied, calibration.inputs[0], atol=1e-5)


# --- efficientnet-lite0


def test_preprocessing_is_right_17_of_the_20_labelled_pictures_at_least(lite0):
    rows = np.stack([lite0.preprocess(pictures.picture(number)) for number in range(20)])
    labels = [pictures.label(number) for number in range(20)]
    assert (predict(lite0, rows).argmax(axis=1) == labels).sum() >= 17


def test_lite0_has_test_and_calibration_rows_from_different_pictures(lite0):
    test, calibration = lite0.data.split("test"), lite0.data.split("calibration")
    assert lite0.data.split("train") is None
    assert lite0.data.kind == "images"
    assert test.inputs[0].shape == (100, 3, 224, 224)
    assert calibration.inputs[0].shape == (72, 3, 224, 224)
    assert test.inputs[0].dtype == np.float32
    assert not set(test.groups) & set(calibration.groups)
    assert (test.labels >= 0).sum() == 10
    assert all(len(set(row_labels) - {-1}) == 1 for row_labels in np.split(test.labels, 10))


def test_crops_are_the_same_at_every_call():
    first, again = (pictures.rows([20], 2, {})[0] for _ in range(2))
    assert np.array_equal(first, again)
    assert not np.array_equal(first[1], first[2])


def test_many_crops_are_510_rows_of_the_same_pictures_under_the_same_network(lite0, cache, monkeypatch):
    assert efficientnet_lite0.CROPS["zoo:efficientnet-lite0-crops"] == 50
    monkeypatch.setattr(pictures, "TEST", pictures.TEST[:1])
    model = bench_zoo.load("zoo:efficientnet-lite0-crops", cache, 0)
    test = model.data.split("test")
    assert len(test) == 51
    assert np.array_equal(test.inputs[0][:10], lite0.data.split("test").inputs[0][:10])
    assert set(test.groups) == {0}
    assert model.sha256 == lite0.sha256
    assert model.data.sha256 != lite0.data.sha256


def test_preprocessing_takes_pictures_of_any_size():
    for shape in ((40, 300, 3), (224, 224, 3), (700, 301, 3)):
        row = pictures.preprocess(np.full(shape, 255, np.uint8))
        assert row.shape == (3, 224, 224)
        assert np.allclose(row, 1.0)


# --- what the host does with them


@pytest.mark.parametrize("name", ["har", "lite0"])
def test_a_network_survives_saving_and_exports_with_a_free_batch(name, request, tmp_path):
    model = request.getfixturevalue(name)
    torch.save(model.payload, tmp_path / "network.pt")
    again = torch.load(tmp_path / "network.pt", weights_only=False)
    rows = torch.from_numpy(np.repeat(model.example[0], 3, axis=0))
    program = torch.export.export(again, (rows[:2],), dynamic_shapes=({0: torch.export.Dim("batch")},))
    with torch.no_grad():
        assert torch.allclose(program.module()(rows), model.payload(rows), atol=1e-5)


def test_identities_are_stable_and_differ(har, lite0):
    refs = [info.ref for info in bench_zoo.list_models()]
    assert len({bench_zoo.identity(ref) for ref in refs}) == len(refs) == 7
    assert len({har.sha256, lite0.sha256, har.data.sha256, lite0.data.sha256}) == 4
    assert efficientnet_lite0.load(efficientnet_lite0.REF).sha256 == lite0.sha256
