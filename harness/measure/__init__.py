"""Measuring: sessions in child processes, timed in interleaved rounds."""
