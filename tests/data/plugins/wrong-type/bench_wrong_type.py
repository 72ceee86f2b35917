"""Yields a dictionary where a Backend is due."""

import harness


@harness.hookimpl
def harness_backends():
    return [{"name": "not-a-backend"}]
