"""Provides a technique under the toy plugin's name."""

import harness


@harness.hookimpl
def harness_techniques():
    return [harness.Technique(name="toy-round", summary="Another one.", stage="artifact")]
