"""Raises when it is asked."""

import harness


@harness.hookimpl
def harness_backends():
    raise ValueError("no backend today")
