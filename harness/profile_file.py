"""Reading device profiles: TOML files checked against the schema, folders of them, and this machine detected."""

from __future__ import annotations

import difflib
import json
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import fields
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.contributions import NAME
from harness.detect import detect
from harness.errors import ConfigurationError, UnknownNameError
from harness.profile import (
    Accelerator,
    AcceleratorFacts,
    ActivePower,
    Bandwidth,
    Caches,
    Calibration,
    Cluster,
    DeviceProfile,
    HostCalibration,
    Memory,
    Power,
    Quantity,
)

if TYPE_CHECKING:
    from pydantic import TypeAdapter
    from pydantic_core import ErrorDetails

HOST = "host"
"""The profile that is not a file: this machine, detected."""

DATE = re.compile(r"(read )?\d{4}(-\d\d(-\d\d)?)?\Z")
"""When a number was measured or published, to the day where that is known; `read 2026-11` for an undated source."""

LETTERS = "lower-case letters, digits and '-'"

FAMILY = f"the name of a kernel family: {LETTERS}"

KERNELS = f"a table with a line for each backend: its name, and {FAMILY}"

FORM = '{ value = 1.5, unit = "GHz", source = "where it was read", date = "2024-01-27" }'


def builtin_folder() -> Path:
    """The folder of the built-in profiles: package data when installed, else `profiles/` of the source tree."""
    here = Path(__file__).resolve().parent
    packaged = here / "profiles"
    return packaged if packaged.is_dir() else here.parent / "profiles"


def load_profile(path: Path) -> DeviceProfile:
    """Read one TOML file.

    Raises:
        ConfigurationError: The file cannot be read, is no TOML, or does not fit the schema.
    """
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigurationError(
            f"the profile {path} cannot be read: {error.strerror}", hint="Give the path of a TOML file."
        ) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path} is not TOML: {error}", hint="Correct the file at that place.") from error
    profile = _parse(data, path)
    for problem in _problems(profile):
        raise ConfigurationError(f"{path}: {problem}")
    return profile


def load_profiles(folders: Iterable[Path]) -> Mapping[str, DeviceProfile]:
    """Read every TOML file directly in the folders; names in order.

    Raises:
        ConfigurationError: A file does not fit the schema, or two files have one name.
    """
    found: dict[str, DeviceProfile] = {}
    origin: dict[str, Path] = {}
    for folder in folders:
        for path in sorted(folder.glob("*.toml")):
            profile = load_profile(path)
            if profile.name in found:
                raise ConfigurationError(
                    f"{path} and {origin[profile.name]} are both named {profile.name!r}", hint="Rename one of them."
                )
            found[profile.name], origin[profile.name] = profile, path
    return dict(sorted(found.items()))


def detect_host() -> DeviceProfile:
    """The profile of this machine: cores, memory and flags as the system states them, copy speed measured here."""
    return detect()


def resolve_profile(text: str, profiles: Mapping[str, DeviceProfile]) -> DeviceProfile:
    """The profile that a user means: `host`, the path of a TOML file, or one of `profiles`.

    Raises:
        UnknownNameError: There is no such profile.
        ConfigurationError: The TOML file cannot be used.
    """
    if text == HOST:
        return detect_host()
    if text.endswith(".toml"):
        return load_profile(Path(text))
    if text in profiles:
        return profiles[text]
    names = [*profiles, HOST]
    close = difflib.get_close_matches(text, names, n=1)
    hint = f"Did you mean {close[0]!r}?" if close else f"Known: {', '.join(names)}; or give the path of a TOML file."
    raise UnknownNameError(f"no profile is named {text!r}", hint=hint)


def key_table() -> str:
    """Every key of a profile with unit and meaning, as Markdown; the profiles' README holds it."""
    sections = (
        ("", DeviceProfile), ("[[clusters]]", Cluster), ("[caches]", Caches), ("[memory]", Memory), ("[power]", Power),
        ("[[power.active]]", ActivePower), ("[[accelerators]]", Accelerator),
        ("[accelerators.facts]", AcceleratorFacts), ("[[calibrations]]", Calibration),
        ("[[bandwidths]]", Bandwidth), ("[[profiled]]", HostCalibration),
    )  # fmt: skip
    lines = ["| table | key | unit | meaning |", "|---|---|---|---|"]
    for section, cls in sections:
        for each in fields(cls):
            unit = f"`{each.metadata['unit']}`" if each.metadata["unit"] else ""
            lines.append(
                f"| {f'`{section}`' if section else ''} | `{each.name}` | {unit} | {each.metadata['meaning']} |"
            )
    return "\n".join(lines)


@cache
def _adapter() -> TypeAdapter[DeviceProfile]:
    """The schema, whose making takes longer than reading all profiles with it."""
    from pydantic import TypeAdapter

    return TypeAdapter(DeviceProfile)


def _parse(data: dict[str, Any], path: Path) -> DeviceProfile:
    from pydantic import ValidationError

    try:
        # By way of JSON, where strictness still takes a list for a tuple; TOML's own dates become text.
        return _adapter().validate_json(json.dumps(data, default=str), strict=True)
    except ValidationError as error:
        # A misspelt key is unknown and missing at once; the first tells more.
        first, *rest = sorted(error.errors(include_url=False), key=lambda e: e["type"] not in _UNKNOWN_KEY)
        more = f" (and {len(rest)} more)" if rest else ""
        raise ConfigurationError(
            f"{path}: {_explain(first)}{more}", hint="profiles/README.md lists every key."
        ) from error


_UNKNOWN_KEY = frozenset({"unexpected_keyword_argument", "extra_forbidden"})

_TABLES: Mapping[str, type] = {
    "clusters": Cluster, "caches": Caches, "memory": Memory, "power": Power,
    "active": ActivePower, "accelerators": Accelerator, "facts": AcceleratorFacts,
    "calibrations": Calibration, "bandwidths": Bandwidth, "profiled": HostCalibration,
}  # fmt: skip


def _explain(error: ErrorDetails) -> str:
    loc = error["loc"]
    where = ".".join(str(part) for part in loc)
    if error["type"] in _UNKNOWN_KEY:
        owner: type = DeviceProfile
        for part in loc[:-1]:
            owner = owner if isinstance(part, int) else _TABLES.get(part, Quantity)
        allowed = [each.name for each in fields(owner)]
        close = difflib.get_close_matches(str(loc[-1]), allowed, n=1)
        return f"unknown key {where}" + (
            f", did you mean {close[0]!r}?" if close else f"; allowed: {', '.join(allowed)}"
        )
    if error["type"] in {"missing", "missing_argument", "missing_keyword_only_argument"}:
        return f"the key {where} is missing"
    if loc[0] == "kernels":
        return f"{where} is {error['input']!r}, allowed is {FAMILY if len(loc) > 1 else KERNELS}"
    if error["type"] == "dataclass_type":
        table = str(next((part for part in reversed(loc) if isinstance(part, str)), ""))
        expected = "a table" if table in _TABLES else f"a number with its origin: {FORM}"
        return f"{where} is {error['input']!r}, allowed is {expected}"
    return f"{where} is {error['input']!r}: {error['msg']}"


def _quantities(node: Any, where: str = "") -> Iterator[tuple[str, Mapping[str, Any], Quantity]]:
    for each in fields(node):
        value = getattr(node, each.name)
        here = f"{where}{each.name}"
        if isinstance(value, Quantity):
            yield here, each.metadata, value
        elif isinstance(value, tuple):
            for index, item in enumerate(value):
                if hasattr(item, "__dataclass_fields__"):
                    yield from _quantities(item, f"{here}.{index}.")
        elif hasattr(value, "__dataclass_fields__"):
            yield from _quantities(value, f"{here}.")


def _problems(profile: DeviceProfile) -> Iterator[str]:
    if not NAME.match(profile.name) or profile.name == HOST:
        yield f"name is {profile.name!r}, allowed are lower-case letters, digits and '-', and not {HOST!r}"
    if not profile.clusters:
        yield "clusters is empty, allowed is one table or more"
    for where, key, quantity in _quantities(profile):
        if quantity.unit != key["unit"]:
            yield f"{where}.unit is {quantity.unit!r}, allowed is {key['unit']!r}"
        if quantity.value < 0 or (quantity.value == 0 and not key["zero"]):
            yield f"{where}.value is {quantity.value}, allowed is a number {'from' if key['zero'] else 'above'} 0"
        if not quantity.source.strip():
            yield f"{where}.source is empty, allowed is where the number was read"
        if not DATE.match(quantity.date):
            yield f"{where}.date is {quantity.date!r}, allowed is '2024', '2024-01', '2024-01-27' or 'read 2024-01'"
        if key["unit"] in {"cores", "threads"} and quantity.value != int(quantity.value):
            yield f"{where}.value is {quantity.value}, allowed is a whole number"
    yield from _misnamed(profile.kernels)
    if profile.memory.reserved.value >= profile.memory.total.value:
        yield f"memory.reserved is {profile.memory.reserved.value} MiB, allowed is less than memory.total"


def _misnamed(kernels: Mapping[str, str]) -> Iterator[str]:
    for backend, family in kernels.items():
        if not NAME.match(backend):
            yield f"kernels has the key {backend!r}, allowed is the name of a backend: {LETTERS}"
        if not NAME.match(family):
            yield f"kernels.{backend} is {family!r}, allowed is {FAMILY}"
