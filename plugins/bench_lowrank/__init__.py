"""Low-rank factorisation of live torch modules."""

HARNESS_API = 1
