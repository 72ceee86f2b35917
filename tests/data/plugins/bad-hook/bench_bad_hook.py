"""Misspells a hook."""

import harness


@harness.hookimpl
def harness_backend():
    return []
