"""tract for bench."""

HARNESS_API = 1
