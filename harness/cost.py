"""What a graph costs on the device that a run optimises for: the one thing that a technique is told about a device."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.digest import digest_of, installed_version, source_digest
from harness.environment import DISTRIBUTION

if TYPE_CHECKING:
    from harness.contributions import Backend
    from harness.graph import OpGraph
    from harness.profile import DeviceProfile


@dataclass(frozen=True, slots=True, kw_only=True)
class CostModel:
    """A cost function that can be sent to a build process and named in a cache key.

    Attributes:
        name: What a reader sees: the device and the backend.
        profile: The device, as JSON makes it.
        family: Kernel family that does the work there.
        identity: Digest of the device, the family and the estimator.
    """

    name: str
    profile: Mapping[str, Any]
    family: str
    identity: str


def cost_model(profile: DeviceProfile, backend: Backend) -> CostModel | None:
    """The cost of graphs for a backend on a device; None where no kernel family does the work there."""
    from pydantic import TypeAdapter

    from harness.profile import DeviceProfile

    family = backend.accelerator or profile.kernel_family(backend.name, backend.kernel_family)
    if not family or backend.accelerator:
        return None
    plain = TypeAdapter(DeviceProfile).dump_python(profile, mode="json")
    estimator = source_digest(str(Path(__file__).parent / "estimate" / "__init__.py"))
    return CostModel(
        name=f"{profile.name} in {backend.name}",
        profile=plain,
        family=family,
        identity=digest_of([plain, family, estimator, installed_version(DISTRIBUTION)]),
    )


def cost_function(cost: Mapping[str, Any]) -> Callable[[OpGraph], float]:
    """Estimated latency in ms of a graph, from `asdict` of a `CostModel`."""
    from pydantic import TypeAdapter

    from harness.estimate.estimator import estimate
    from harness.profile import DeviceProfile

    profile = TypeAdapter(DeviceProfile).validate_python(cost["profile"])

    def latency_ms(graph: OpGraph) -> float:
        return estimate(graph, profile, kernel_family=cost["family"], threads=None).latency_ms.p50

    return latency_ms
