"""A registry: contributions of one kind by name, with who provided each."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Generic, TypeVar

from harness.errors import AmbiguousNameError, UnknownNameError

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Registered(Generic[T]):
    """A contribution and where it came from."""

    name: str
    contribution: T
    plugin: str
    distribution: str
    version: str

    @property
    def provider(self) -> str:
        """Plugin, distribution and version in a line, for records and messages."""
        return f"{self.plugin} ({f'{self.distribution} {self.version}'.strip()})"


def near_miss(name: str, known: Iterable[str]) -> str:
    """`Did you mean 'x'?  ` for the closest known name, or an empty string."""
    close = get_close_matches(name, list(known), n=1, cutoff=0.5)
    return f"Did you mean {close[0]!r}?  " if close else ""


class Registry(Generic[T]):
    """Contributions of one kind. A name provided twice fails only when it is asked for."""

    def __init__(self, noun: str, listing: str, items: Iterable[Registered[T]] = ()) -> None:
        self.noun = noun
        self.listing = listing
        self._items: dict[str, list[Registered[T]]] = {}
        for item in sorted(items, key=lambda r: (r.name, r.plugin)):
            self._items.setdefault(item.name, []).append(item)

    def __iter__(self) -> Iterator[Registered[T]]:
        """All contributions by name, those of a clash included."""
        return (item for items in self._items.values() for item in items)

    def __contains__(self, name: str) -> bool:
        return name in self._items

    def names(self) -> tuple[str, ...]:
        """Every name, sorted."""
        return tuple(self._items)

    def clashes(self) -> dict[str, tuple[str, ...]]:
        """Names that several plugins provide, with the providers of each."""
        return {name: tuple(i.provider for i in items) for name, items in self._items.items() if len(items) > 1}

    def get(self, name: str) -> Registered[T]:
        """The one contribution of that name.

        Raises:
            UnknownNameError: Nobody provides it.
            AmbiguousNameError: Several plugins do.
        """
        items = self._items.get(name, [])
        if not items:
            hint = f"{near_miss(name, self._items)}List what there is with: {self.listing}"
            raise UnknownNameError(f"no {self.noun} is named {name!r}.", hint=hint)
        if len(items) > 1:
            providers = " and ".join(i.provider for i in items)
            hint = f"Block one of them: {' or '.join(f'--block {i.plugin}' for i in items)}"
            raise AmbiguousNameError(f"the {self.noun} {name!r} is provided by {providers}.", hint=hint)
        return items[0]
