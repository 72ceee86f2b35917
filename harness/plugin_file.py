"""A plugin that is one file: loaded under a module name of its own, so that it stands in nobody's way.

The name comes from the file's content. A file called `json.py` or `numpy.py` shadows nothing, and what one process has
saved under its classes is found again by every other that loads the same file, from wherever it lies.
"""

from __future__ import annotations

import importlib.util
import re
import sys
import traceback
from pathlib import Path
from typing import TYPE_CHECKING

from harness.digest import file_sha256
from harness.errors import UsageError

if TYPE_CHECKING:
    from types import ModuleType

SUFFIX = ".py"


def is_plugin_file(source: str) -> bool:
    """Whether a plugin was given as a file, not as a module's name."""
    return source.endswith(SUFFIX)


def absolute(source: str) -> str:
    """A plugin's source that means the same in every folder; a module's name does already."""
    return str(Path(source).absolute()) if is_plugin_file(source) else source


def plugin_name(source: str) -> str:
    """What a plugin given by hand is called: its file's name without the ending, its package's, or its module's."""
    if not is_plugin_file(source):
        return source
    path = Path(source).absolute()
    return path.parent.name if path.stem == "__init__" else path.stem


def load_plugin_file(source: str) -> ModuleType:
    """Import a file.

    Raises:
        UsageError: There is no such file.
        Exception: Whatever its code raises.
    """
    path = Path(source)
    if not path.is_file():
        raise UsageError(f"there is no plugin file {short(path)}.", hint="Give the path of a .py file.")
    name = module_name(path)
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise UsageError(f"{short(path)} cannot be imported as a plugin.", hint="A plugin file is Python source.")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # before it runs: dataclasses look their own module up there
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def module_name(path: Path) -> str:
    """The name that a file is imported under."""
    words = re.sub(r"\W", "_", path.stem)
    return f"harness_plugin_file_{words}_{file_sha256(path)[:12]}"


def short(path: Path) -> str:
    """A path as it would be typed in the current folder."""
    here = Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) else str(path)


def raised_at(error: BaseException, origin: str) -> str:
    """The line of a plugin that an error came through, as `file, line n`; empty when it came through none.

    Args:
        origin: File of the plugin's module, or "" when it could not be imported: then the last line that is neither
            the host's nor the import system's.
    """
    if isinstance(error, SyntaxError) and error.filename:
        return f"{error.filename}, line {error.lineno}"
    home = Path(origin).parent if Path(origin).name == "__init__.py" else Path(origin)
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        path = Path(frame.filename)
        mine = path.is_relative_to(home) if origin else _foreign(path)
        if mine:
            return f"{path}, line {frame.lineno}"
    return ""


def _foreign(path: Path) -> bool:
    host, importing = Path(__file__).parent, Path(importlib.util.__file__).parent
    return not str(path).startswith("<") and not path.is_relative_to(host) and not path.is_relative_to(importing)
