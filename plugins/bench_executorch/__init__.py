"""ExecuTorch for bench."""

HARNESS_API = 1
