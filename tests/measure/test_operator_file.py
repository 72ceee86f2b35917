"""Operator times that are kept: read back as they were, apart for other threads, and dropped when damaged."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from harness.measure.operator_file import operator_file, read_operators, write_operators
from harness.operator_time import OperatorTime

TIMES = (
    OperatorTime(name="a", kind="Conv", does="compute", precision="fp32", ns=1200),
    OperatorTime(name="b", kind="Cast", does="quantise", precision="", ns=3),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scored:
    """What of a subject the file's name is made of."""

    outputs: Path


def test_what_was_kept_is_read_back(tmp_path: Path) -> None:
    subject: Any = Scored(outputs=tmp_path / "scores" / "abc.npz")
    path = operator_file(subject, 2)
    assert read_operators(path) is None
    write_operators(path, TIMES)
    assert read_operators(path) == TIMES
    assert [p.name for p in path.parent.iterdir()] == ["abc.operators-2.json"]
    assert read_operators(operator_file(subject, 4)) is None


@pytest.mark.parametrize("damage", ["", "[1]", '[{"name": "a"}]'])
def test_a_damaged_file_is_dropped(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "abc.operators-2.json"
    path.write_text(damage, encoding="utf-8")
    assert read_operators(path) is None
    assert not path.exists()
