"""Registries: names, near misses and clashes."""

from __future__ import annotations

import pytest

from harness.errors import AmbiguousNameError, UnknownNameError
from harness.registry import Registered, Registry


def registry(*pairs: tuple[str, str]) -> Registry[str]:
    items = [Registered(name=n, contribution=n, plugin=p, distribution=f"{p}-dist", version="1") for n, p in pairs]
    return Registry("backend", "bench plugins", items)


def test_an_unknown_name_offers_the_nearest_one() -> None:
    with pytest.raises(UnknownNameError, match="Did you mean 'onnxruntime'"):
        registry(("onnxruntime", "a"), ("torch", "b")).get("onxruntime")


def test_a_clash_fails_only_for_the_name_that_clashes() -> None:
    found = registry(("torch", "a"), ("torch", "b"), ("echo", "c"))
    assert found.get("echo").plugin == "c"
    with pytest.raises(AmbiguousNameError) as caught:
        found.get("torch")
    assert "a (a-dist 1) and b (b-dist 1)" in caught.value.message
    assert "--block b" in caught.value.hint


def test_clashes_are_listed_with_their_providers() -> None:
    assert registry(("torch", "a"), ("torch", "b")).clashes() == {"torch": ("a (a-dist 1)", "b (b-dist 1)")}
