"""The first version of a plugin, a package of its own, from templates: one folder a kind, and what they share.

A template is a file `….jinja`; `PACKAGE` in its path becomes the package's name. A file of a kind stands before the
shared one of the same path, and as a rule extends it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from harness import API_VERSION
from harness.errors import UsageError

KINDS = ("backend", "technique", "model", "report", "meter")
"""What a first plugin may add, each with a folder of templates."""

NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*\Z")
"""A name of a contribution (`harness.contributions.NAME`) that is a distribution's too: hyphens only between words."""

PREFIX = "bench-"

_TEMPLATES = Path(__file__).parent
_SUFFIX = ".jinja"


@dataclass(frozen=True, slots=True, kw_only=True)
class Scaffold:
    """A plugin that is to be written.

    Attributes:
        kind: One of `KINDS`.
        name: Name of the plugin and of what it adds.
        requires: What of bench it asks for, such as `edge-bench>=0.1.0`.
    """

    kind: str
    name: str
    requires: str

    @property
    def distribution(self) -> str:
        """Name of the package for pip, and of its folder."""
        return PREFIX + self.name

    @property
    def package(self) -> str:
        """Name of the package for Python."""
        return self.distribution.replace("-", "_")

    @property
    def words(self) -> dict[str, str]:
        """What templates may name."""
        return {
            "kind": self.kind,
            "name": self.name,
            "requires": self.requires,
            "distribution": self.distribution,
            "package": self.package,
            "class_name": "".join(word.capitalize() for word in self.name.split("-")),
            "variable": self.package.upper(),
            "api": str(API_VERSION),
        }


def check_name(name: str) -> None:
    """Raise UsageError for what cannot be the name of a plugin."""
    if name.startswith(PREFIX):
        raise UsageError(
            f"the name {name!r} begins with {PREFIX!r}, which the package's name gets anyway.",
            hint=f"Leave it out: {name.removeprefix(PREFIX) or 'my-plugin'}",
        )
    if not NAME.match(name):
        words = re.findall("[a-z0-9]+", name.lower())
        tidy = "-".join(words).lstrip("0123456789-") or "my-plugin"
        raise UsageError(
            f"{name!r} cannot be the name of a plugin.",
            hint=f"Names are small letters and digits, words joined by hyphens, a letter first: {tidy}",
        )


def render(scaffold: Scaffold) -> Iterator[tuple[Path, str]]:
    """Every file of a plugin, by its path in the plugin's folder, with its text."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        undefined=StrictUndefined,
        keep_trailing_newline=True,
        trim_blocks=True,
        lstrip_blocks=True,
        autoescape=False,  # noqa: S701 - Python and TOML, and every word is checked before
    )
    for path, template in sorted(_templates(scaffold.kind).items()):
        target = path.removesuffix(_SUFFIX).replace("PACKAGE", scaffold.package)
        yield Path(target), environment.get_template(template).render(scaffold.words)


def write(scaffold: Scaffold, folder: Path) -> tuple[Path, ...]:
    """Write a plugin into a new folder; returns its files.

    Raises:
        UsageError: The folder is there already, or cannot be written.
    """
    files = [(folder / path, text) for path, text in render(scaffold)]
    try:
        folder.mkdir(parents=True)
        for path, text in files:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8", newline="\n")
    except FileExistsError as error:
        raise UsageError(
            f"{error.filename} is there already.", hint="Take another name, or another place with --out FOLDER."
        ) from None
    except OSError as error:
        raise UsageError(
            f"{error.filename or folder} cannot be written: {error.strerror}.", hint="Name a place with --out FOLDER."
        ) from None
    return tuple(path for path, _ in files)


def _templates(kind: str) -> dict[str, str]:
    """Templates by the path of what they become; those of the kind stand before shared ones."""
    found = {}
    for folder in (_TEMPLATES / "shared", _TEMPLATES / kind):
        for path in folder.rglob(f"*{_SUFFIX}"):
            found[path.relative_to(folder).as_posix()] = path.relative_to(_TEMPLATES).as_posix()
    return found
