"""The host's exceptions.

    HarnessError                 anything the user can act on; carries a hint
    ├── UsageError               the command line or the plan is wrong
    │   ├── UnknownNameError     a name that no plugin contributes
    │   ├── AmbiguousNameError   a name that several plugins contribute
    │   └── RecipeError          a recipe that does not parse or cannot be ordered
    ├── ConfigurationError       a TOML or JSON file that does not fit its schema
    ├── ArtifactError            a model, data or variant file that cannot be read or used
    ├── UnsupportedError         a plugin says: valid, but not something I do
    ├── ChildError               a child process crashed, hung, flooded or outgrew its limit
    ├── StepError                one step of a build failed; says whose step it was
    └── PluginError              a plugin broke its contract

Plugins raise `ArtifactError` and `UnsupportedError`; the host raises the rest.
"""

from __future__ import annotations

from pathlib import Path


class HarnessError(Exception):
    """Something went wrong that the user can act on.

    Args:
        message: What happened, with the value.
        hint: What to do next, a command where there is one.
    """

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}  {self.hint}" if self.hint else self.message


class UsageError(HarnessError):
    """The command line or the plan is wrong."""


class UnknownNameError(UsageError):
    """A name that no plugin contributes."""


class AmbiguousNameError(UsageError):
    """A name that several plugins contribute."""


class RecipeError(UsageError):
    """A recipe that does not parse or whose techniques are in an impossible order."""


class ConfigurationError(HarnessError):
    """A TOML or JSON file that does not fit its schema."""


class ArtifactError(HarnessError):
    """A model, data or variant file that cannot be read or used."""


class UnsupportedError(HarnessError):
    """A plugin was asked for something valid that it does not do."""


class ChildError(HarnessError):
    """A child process crashed, hung, flooded its output or outgrew its limit."""


class StepError(HarnessError):
    """One step of a build failed.

    Args:
        plugin: Whose step it was, as plugin, distribution and version.
    """

    def __init__(self, message: str, *, hint: str = "", plugin: str = "") -> None:
        super().__init__(message, hint=hint)
        self.plugin = plugin


class PluginError(HarnessError):
    """A plugin broke its contract."""


def one_line(error: BaseException) -> str:
    """Type and first line of an error that is not one of ours."""
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__


def place_of(error: BaseException) -> str:
    """The place in the source where an error that is not one of ours came from, or an empty string."""
    import traceback

    frames = traceback.extract_tb(error.__traceback__)
    if not frames:
        return ""
    last = frames[-1]
    return f"It came from {Path(last.filename).name}, line {last.lineno}, in {last.name}."
