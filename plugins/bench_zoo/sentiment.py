"""Sentences of Amazon reviews with the mean of about twenty ratings, as positive or negative, split by review.

Source: Hutto and Gilbert, VADER, ICWSM 2014; the ratings run from -4 to 4.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any

from bench_zoo.fingerprint import source_sha256
from bench_zoo.minilm_files import FILES, read_encoder, read_sentences
from harness import Data, Split

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

LENGTH = 64
"""Word pieces of a row, the two at its ends included; longer sentences are cut."""
CLEAR = 0.5
"""A sentence whose mean rating is nearer to 0 is left out: it is neither positive nor negative."""
CLASSES = ("negative", "positive")
SEED = 64
SIZES = {"test": 600, "validation": 300, "calibration": 100}
"""Sentences that a split has at least: whole reviews are drawn until it has them. The other reviews train."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sentence:
    """One rated sentence.

    Attributes:
        review: Number of the review that it is from.
        rating: Mean rating, -4 to 4.
        text: The sentence.
    """

    review: int
    rating: float
    text: str


def parse(lines: str) -> tuple[Sentence, ...]:
    """Sentences with a clear rating, each text once, from lines such as `12_3<tab>-0.9<tab>no picture`."""
    found: dict[str, Sentence] = {}
    for line in lines.splitlines():
        number, rating, text = line.split("\t")
        if abs(float(rating)) >= CLEAR:
            found.setdefault(text, Sentence(review=int(number.partition("_")[0]), rating=float(rating), text=text))
    return tuple(found.values())


def divide(sentences: Sequence[Sentence], sizes: Mapping[str, int]) -> dict[str, tuple[Sentence, ...]]:
    """Draw whole reviews for each split until it has its size; those that are left are `train`. No review is in two."""
    import numpy as np

    by_review: dict[int, list[Sentence]] = {}
    for sentence in sentences:
        by_review.setdefault(sentence.review, []).append(sentence)
    order = [int(review) for review in np.random.default_rng(SEED).permutation(sorted(by_review))]
    splits: dict[str, list[Sentence]] = {name: [] for name in (*sizes, "train")}
    for name, size in sizes.items():
        while order and len(splits[name]) < size:
            splits[name] += by_review[order.pop()]
    splits["train"] = [sentence for review in order for sentence in by_review[review]]
    return {name: tuple(members) for name, members in splits.items()}


def tokenise(tokeniser: Any, texts: Sequence[str], length: int) -> tuple[NDArray[Any], NDArray[Any]]:
    """Numbers of word pieces and 1 where one stands, 0 for padding: two `(n, length)` int64 arrays.

    Args:
        tokeniser: A `tokenizers.Tokenizer`; its own truncation and padding are replaced.
        texts: Sentences.
        length: Word pieces of a row, the two at its ends included; longer sentences are cut.
    """
    import numpy as np

    tokeniser.enable_truncation(length)
    tokeniser.enable_padding(length=length)
    rows = tokeniser.encode_batch(list(texts))
    return np.array([row.ids for row in rows], np.int64), np.array([row.attention_mask for row in rows], np.int64)


def data() -> Data:
    """The splits, as word pieces."""
    return Data(
        name="sentences of Amazon reviews (split by review)",
        sha256=source_sha256(("sentiment.py", "minilm_files.py"), *FILES.values()),
        metric="top1",
        splits={name: partial(split, name) for name in ("train", "validation", "calibration", "test")},
        note=f"Sentences rated at least {CLEAR} from neutral, 59 % of them positive; those of one review are not "
        "independent, and no review is in two splits.",
        kind="text",
    )


@lru_cache(maxsize=4)
def split(name: str) -> Split:
    """Rows of one split: two `(n, 64)` int64 inputs, `(n,)` int64 classes, the review's number as group.

    Raises:
        ArtifactError: An archive is missing or not the pinned one.
    """
    import numpy as np
    from tokenizers import Tokenizer

    members = divide(parse(read_sentences()), SIZES)[name]
    tokeniser = Tokenizer.from_str(read_encoder("tokenizer.json").decode("utf-8"))
    return Split(
        inputs=tokenise(tokeniser, [sentence.text for sentence in members], LENGTH),
        labels=np.array([sentence.rating > 0 for sentence in members], np.int64),
        groups=np.array([sentence.review for sentence in members], np.int64),
    )
