"""Quantisation of OpenVINO IR by NNCF."""

HARNESS_API = 1
