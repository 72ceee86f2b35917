"""Yields one good technique and raises after it, outside the hook call."""

import harness


@harness.hookimpl
def harness_techniques():
    yield harness.Technique(name="late", summary="Good.", stage="artifact")
    raise KeyError("the second technique")
