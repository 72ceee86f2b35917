"""What the tests of single commands share."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from click.testing import CliRunner, Result

from harness.cli import bench as command_line


@pytest.fixture
def invoke(cache: object, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    """Run the command line in this process, for a terminal of so many columns."""

    def call(*arguments: object, columns: int = 100) -> Result:
        monkeypatch.setenv("COLUMNS", str(columns))
        done = CliRunner().invoke(command_line, [str(a) for a in arguments])
        assert done.exception is None or isinstance(done.exception, SystemExit), done.exc_info
        return done

    return call
