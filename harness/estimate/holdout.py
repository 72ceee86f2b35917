"""Double hold-out: every row predicted by coefficients that saw neither its model family nor its processor."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from harness.estimate.fit import fit, groups, scale

if TYPE_CHECKING:
    from harness.estimate.design import Array, Design


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldOut:
    """Predictions of rows that were hidden.

    Attributes:
        datasheet_ms: From the device's datasheet alone.
        scaled_ms: With one scale from the run's models of other families.
        scaled_by: How many models that scale came from.
    """

    given: Design
    datasheet_ms: Array
    scaled_ms: Array
    scaled_by: Array


def hold_out(given: Design) -> HeldOut:
    """Predict each row without its model family and its processor.

    With a single processor or a single model family nothing would be left to fit; then only the other is hidden.
    """
    families, socs, runs = given.of("model_family"), given.of("soc"), given.of("run")
    datasheet = np.zeros(len(given.rows))
    scaled = np.zeros(len(given.rows))
    counts = np.zeros(len(given.rows))
    for family in sorted(set(families)):
        for soc in sorted(set(socs)):
            hidden = (families == family) & (socs == soc)
            if not hidden.any():
                continue
            seen = _seen(families != family, socs != soc)
            predicted = given.matrix @ fit(given.take(seen))
            datasheet[hidden] = predicted[hidden]
            errors = np.log(given.measured_ms / predicted)
            for rows in groups(runs[hidden]):
                target = np.flatnonzero(hidden)[rows]
                known = (runs == runs[target[0]]) & (families != family)
                scaled[target] = predicted[target] * scale(errors[known])
                counts[target] = known.sum()
    return HeldOut(given=given, datasheet_ms=datasheet, scaled_ms=scaled, scaled_by=counts)


def _seen(other_family: np.ndarray[Any, Any], other_soc: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    for candidate in (other_family & other_soc, other_soc, other_family):
        if candidate.any():
            return candidate
    return np.ones_like(other_soc)
