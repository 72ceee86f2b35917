"""What noisy libraries say is held back, and what they raise is not."""

from __future__ import annotations

import logging
import os
import sys
import warnings

import pytest

from harness import silenced, silenced_stderr


def noise() -> None:
    print("progress")
    sys.stderr.write("bar\n")
    os.write(2, b"from C++\n")
    logging.getLogger("somebody").warning("a remark")
    warnings.warn("deprecated", stacklevel=1)


def test_nothing_is_said(capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture) -> None:
    with silenced():
        noise()
    assert capfd.readouterr() == ("", "")
    assert not caplog.records


def test_errors_are_raised(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ValueError, match="no such kernel"), silenced():
        raise ValueError("no such kernel")


def test_everything_is_heard_again_afterwards(capfd: pytest.CaptureFixture[str]) -> None:
    with silenced():
        pass
    print("here")
    os.write(2, b"and there\n")
    assert capfd.readouterr() == ("here\n", "and there\n")
    assert logging.root.manager.disable == logging.NOTSET


def test_only_what_cpp_code_logs_is_held_back_where_that_is_asked(capfd: pytest.CaptureFixture[str]) -> None:
    with silenced_stderr():
        print("progress")
        os.write(2, b"from C++\n")
    assert capfd.readouterr() == ("progress\n", "")
