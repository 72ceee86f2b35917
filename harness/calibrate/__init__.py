"""Profiling the machine at hand: a sweep of small graphs is timed in each backend, and costs of kernels are fitted."""
