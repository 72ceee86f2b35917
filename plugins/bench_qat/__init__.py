"""Quantisation-aware training of live torch modules."""

HARNESS_API = 1
