"""What checks of backends do with sessions: open, run, compare, run in a process of their own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from harness.contributions import Backend, Session, SessionOptions, Simulation
from harness.errors import ArtifactError, UnsupportedError
from harness.testing.context import specs_of
from harness.testing.loading import load_alone, load_among

if TYPE_CHECKING:
    from harness.graph import OpGraph
    from harness.model import Array
    from harness.testing.backend import BackendSubject


def must_be_simulation(found: Simulation) -> None:
    """Assert that a simulation is either a latency or reasons against one, and says what it rests on."""
    assert isinstance(found, Simulation), f"`simulate` returned {found!r}"
    assert found.basis.strip(), "a simulation must say its basis"
    both = (found.latency_ms is None) != bool(found.rejections)
    assert not both, f"a graph is rejected or has a latency: {found.latency_ms}, rejections {found.rejections}"
    assert all(each.code and each.detail for each in found.rejections), "a rejection has no code or no detail"
    for quantity, interval in (("latency_ms", found.latency_ms), ("energy_mj", found.energy_mj)):
        ordered = interval is None or 0 < interval.lo90 <= interval.p50 <= interval.hi90
        assert ordered, f"{quantity} is no interval: {interval}"


def read_variant(backend: Backend, subject: BackendSubject) -> OpGraph | None:
    """Graph of the variant by the first reader of a format that the backend reads; None when nobody reads it."""
    readers = load_among(subject.plugin).graph_readers
    for fmt in backend.reads:
        if fmt not in readers:
            continue
        try:
            return readers.get(fmt).contribution.read(subject.variant)
        except ArtifactError:
            continue
    return None


def options_for(backend: Backend, inputs: tuple[Array, ...]) -> SessionOptions:
    """One thread, and the backend's default options."""
    return SessionOptions(threads=1, options=backend.options(), inputs=specs_of(inputs))


def copied(session: Session) -> tuple[Array, ...]:
    """Outputs of the last call, which the next call leaves alone."""
    import numpy as np

    return tuple(np.array(output) if isinstance(output, np.ndarray) else output for output in session.outputs())


def outputs_for(session: Session, inputs: tuple[Array, ...]) -> tuple[Array, ...]:
    """Bind inputs, run, and copy the outputs."""
    session.bind(inputs)()
    return copied(session)


def outputs_if_any(session: Session) -> tuple[Array, ...]:
    """Outputs of a session that should have none; empty when it refuses."""
    try:
        return session.outputs()
    except Exception:  # noqa: BLE001 - to refuse is right
        return ()


def equal(a: tuple[Array, ...], b: tuple[Array, ...]) -> bool:
    """Whether arrays are the same to the last bit."""
    import numpy as np

    return len(a) == len(b) and all(np.array_equal(x, y) for x, y in zip(a, b, strict=True))


def must_equal(wanted: tuple[Array, ...], found: tuple[Array, ...], when: str) -> None:
    """Assert that outputs are the same to the last bit."""
    assert equal(wanted, found), f"the outputs differ for {when}"


def other_inputs(inputs: tuple[Array, ...]) -> tuple[Array, ...]:
    """Inputs of the same shapes and dtypes with other values; whole numbers stay within the range of the given."""
    import numpy as np

    draw = np.random.default_rng(1)
    found = []
    for x in inputs:
        if np.issubdtype(x.dtype, np.floating):
            found.append((x[..., ::-1] + draw.standard_normal(x.shape)).astype(x.dtype))
        else:
            found.append(draw.integers(x.min(), x.max(), x.shape, endpoint=True).astype(x.dtype))
    return tuple(found)


def must_refuse(backend: Backend, path: Path, options: SessionOptions, what: str) -> None:
    """Assert that opening raises ArtifactError or UnsupportedError."""
    try:
        session = backend.open(path, options)
    except (ArtifactError, UnsupportedError):
        return
    except Exception as error:
        message = f"{backend.name} answers {what} with {type(error).__name__}: raise ArtifactError or UnsupportedError"
        raise AssertionError(message) from error
    session.close()
    pytest.fail(f"{backend.name} opens {what}")


def described(path: Path) -> str:
    """What a wrong file is, for a message."""
    if not path.exists():
        return "missing"
    return f"{sum(p.stat().st_size for p in (path.rglob('*') if path.is_dir() else [path]))} bytes of no model"


def run_in_a_child(subject: BackendSubject, backend: Backend, threads: int, folder: Path) -> dict[str, Any]:
    """What a fresh process tells of running the variant; what it printed is an error."""
    import numpy as np

    folder.mkdir(exist_ok=True)
    np.savez(folder / "inputs.npz", allow_pickle=False, **{f"x{i}": x for i, x in enumerate(subject.inputs)})
    request = {
        "plugins": [asdict(p) for p in load_alone(subject.plugin).plugin_sources()],
        "backend": backend.name,
        "variant": str(subject.variant.resolve()),
        "inputs": str(folder / "inputs.npz"),
        "threads": threads,
    }
    file = folder / "request.json"
    file.write_text(json.dumps(request), encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "harness.testing.session_child", str(file)],
        env={**os.environ, **backend.environment(threads)},
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, (
        f"a child process that runs {backend.name} ended with {done.returncode}:\n{done.stderr}"
    )
    said = f"{done.stdout}{done.stderr}".strip()
    assert not said, f"{backend.name} prints: {said[:500]}"
    answer: dict[str, Any] = json.loads((folder / "answer.json").read_text(encoding="utf-8"))
    return answer
