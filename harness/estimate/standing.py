"""Standing: what is known of one kernel family and precision on one device, from calibrated to nothing at all."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import exp, log, sqrt
from typing import TYPE_CHECKING

from harness.estimate.calibrated import POOLED, FittedPrecision, fitted
from harness.estimate.coefficient import PRIOR

if TYPE_CHECKING:
    from harness.profile import Calibration, DeviceProfile

PRIOR_FACTOR90 = 3.0
"""90 % factor where no fit exists for a precision, not even a pooled one: the gain of int8 alone differs up to
threefold between runtimes on one device (Raspberry Pi 4: XNNPACK 2.7 to 3.2, ncnn 1.1 to 1.8, Arm NN 0.5)."""

OTHER_THREADS = 1.15
"""Widens the factor when the device was measured with another number of threads than is asked for: by how much the
factors of one and four threads differ between boards in ncnn's table (log standard deviation 0.12)."""

MODEL_DOUBT = 1.645 * 0.18
"""90 % of the doubt that one published model leaves about a device's scale; it falls with the square root."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """Coefficients and doubt for one arithmetic precision.

    Attributes:
        scale: The device's own factor.
        factor90: 90 % factor of a latency.
        basis: Where all that is from, in words.
        overhead_share: Largest share of launches in the time of a published network; 1 where nothing is published.
        calibrated: Whether the family's kernels were measured on this very device.
    """

    coefficients: Mapping[str, float]
    scale: float
    factor90: float
    pair_factor90: float
    gain_factor90: float
    basis: str
    calibrated: bool
    overhead_share: float = 1.0


def standing(profile: DeviceProfile, *, family: str, precision: str, threads: int) -> Standing:
    """What is known; the words `uncalibrated` stand in the basis of whatever was not measured on the device."""
    name, fit = fitted(family, precision)
    if fit is None:
        return Standing(
            coefficients=PRIOR, scale=1.0, factor90=PRIOR_FACTOR90, pair_factor90=PRIOR_FACTOR90,
            gain_factor90=PRIOR_FACTOR90, calibrated=False,
            basis=f"physical prior, uncalibrated for {family or 'an unnamed kernel family'} in {precision}",
        )  # fmt: skip
    found = _nearest(profile.calibrations, family, precision, threads) if name == family else None
    coefficients = fit.coefficients
    pair, gain = fit.pair_factor90, fit.gain_factor90 or PRIOR_FACTOR90
    if found is None:
        return Standing(
            coefficients=coefficients, scale=1.0, factor90=fit.factor90, pair_factor90=pair, gain_factor90=gain,
            calibrated=False, basis=_uncalibrated(profile, name, family, precision, fit),
            overhead_share=fit.overhead_share,
        )  # fmt: skip
    return Standing(
        coefficients=coefficients, scale=found.scale, factor90=_doubt(found, fit, threads), pair_factor90=pair,
        gain_factor90=gain, calibrated=True, overhead_share=fit.overhead_share,
        basis=f"{_coefficients(name, precision, fit)}, calibrated by {found.models} published models on {profile.name}"
        + ("" if found.threads == threads else f" at {found.threads} threads"),
    )  # fmt: skip


def _nearest(calibrations: tuple[Calibration, ...], family: str, precision: str, threads: int) -> Calibration | None:
    """The calibration of the number of threads that is nearest by ratio."""
    known = [c for c in calibrations if c.kernel_family == family and c.precision == precision]
    return min(known, key=lambda c: (abs(log(c.threads / threads)), c.threads), default=None)


def _doubt(found: Calibration, fit: FittedPrecision, threads: int) -> float:
    few = MODEL_DOUBT / sqrt(found.models)
    factor = exp(sqrt(log(fit.scaled_factor90) ** 2 + few**2))
    return factor * (1.0 if found.threads == threads else OTHER_THREADS)


def _coefficients(name: str, precision: str, fit: FittedPrecision) -> str:
    return f"{name} {precision} coefficients from {fit.rows} published rows of {fit.processors} processors"


def _uncalibrated(profile: DeviceProfile, name: str, family: str, precision: str, fit: FittedPrecision) -> str:
    if name == POOLED:
        asked = family or "an unnamed kernel family"
        return f"uncalibrated: nothing is published of {asked} in {precision}, {_coefficients(name, precision, fit)}"
    return f"{_coefficients(name, precision, fit)}, uncalibrated on {profile.name}: its datasheet alone"
