"""Builds: from a model through a recipe to a cached file."""
