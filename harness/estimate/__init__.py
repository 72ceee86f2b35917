"""Estimates of latency, memory and energy on devices that are not here."""
