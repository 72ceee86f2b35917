"""Fitted kernel families: coefficients and errors, as `bench profiles fit` wrote them."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any, ClassVar

from harness.errors import ConfigurationError
from harness.profile_file import builtin_folder

if TYPE_CHECKING:
    from pathlib import Path

    from pydantic import ConfigDict

POOLED = "pooled"
"""The family that stands for all: coefficients from the rows of every family, for those that nobody has measured."""

FOLDER = "kernel-families"

STANDS_FOR = {"fp16": "fp32"}


@dataclass(frozen=True, slots=True, kw_only=True)
class FittedPrecision:
    """One precision of one kernel family.

    Attributes:
        rows: Published rows behind the coefficients; `runs`, `processors`, `models` and `model_families` among them.
        coefficients: Multiples of the prior.
        error_percent: Mean error of held-out rows from the datasheet alone, and `scaled_error_percent` with one scale.
        factor90: 90 % factor of held-out rows from the datasheet alone.
        scaled_factor90: The same with one scale from the device's other models.
        pair_factor90: 90 % factor of the ratio of two networks on one device.
        gain_factor90: 90 % factor of the ratio of this precision to float of one network on one device, or 0 where no
            network was published in both.
        overhead_share: Largest share that launches have in the time of a row, 0 to 1: nothing smaller was published.
    """

    __pydantic_config__: ClassVar[ConfigDict] = {"extra": "forbid", "allow_inf_nan": False}

    rows: int
    runs: int
    processors: int
    models: int
    model_families: int
    error_percent: float
    scaled_error_percent: float
    factor90: float
    scaled_factor90: float
    pair_factor90: float
    gain_factor90: float = 0.0
    overhead_share: float = 1.0
    coefficients: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class FittedFamily:
    """One kernel family: what it was fitted to, by precision."""

    __pydantic_config__: ClassVar[ConfigDict] = {"extra": "forbid"}

    family: str
    source: str
    precisions: Mapping[str, FittedPrecision]


@cache
def fitted_families(folder: Path | None = None) -> Mapping[str, FittedFamily]:
    """Every fitted family by name.

    Raises:
        ConfigurationError: A file is not what `bench profiles fit` writes.
    """
    from pydantic import TypeAdapter, ValidationError

    adapter = TypeAdapter(FittedFamily)
    found = {}
    for path in sorted((folder or builtin_folder() / FOLDER).glob("*.toml")):
        try:
            family = adapter.validate_python(tomllib.loads(path.read_text(encoding="utf-8")))
        except (tomllib.TOMLDecodeError, ValidationError) as error:
            raise ConfigurationError(
                f"{path} is not a fitted kernel family: {error}", hint="Write it again: bench profiles fit"
            ) from error
        found[family.family] = family
    return found


def fitted(family: str, precision: str) -> tuple[str, FittedPrecision | None]:
    """The fit to use for a family and precision, with the name of the family that it really is of.

    A family or precision that nobody published takes the pooled one; float16, which only one family is published in,
    then takes the pooled float32 coefficients: one set serves both (docs/decisions.md). None when even that is missing.
    """
    families = fitted_families()
    for name, known in ((family, precision), (POOLED, precision), (POOLED, STANDS_FOR.get(precision, precision))):
        found = families[name].precisions.get(known) if name in families else None
        if found is not None:
            return name, found
    return POOLED, None


def as_toml(family: FittedFamily) -> dict[str, Any]:
    """Plain data for a TOML file."""
    return asdict(family)
