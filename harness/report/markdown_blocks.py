"""The blocks of a Markdown report, and which of them go elsewhere where it is too long for GitHub."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

LONGEST = 65_536
"""Most characters of a comment or of a pull request's text on GitHub, whose API answers a longer one with `body is too
long (maximum is 65536 characters)`."""

RESERVE = 1_500
"""Characters kept for the sentence that says what was cut."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """A part of a report that stays or goes as a whole.

    Attributes:
        kind: What kind of part it is; those that are not named as expendable always stay.
        what: What a reader misses when it goes, as Markdown.
        brief: What stands in its place then, if that is not too long either.
    """

    kind: str
    what: str
    lines: tuple[str, ...]
    brief: tuple[str, ...] = ()


def text_of(blocks: Iterable[Block]) -> str:
    """Everything, however long it is."""
    return _text(line for block in blocks for line in block.lines)


def fit(blocks: Sequence[Block], expendable: Sequence[str], elsewhere: str) -> tuple[str, str]:
    """The text, within what GitHub takes, and the text of what was cut, in full; the latter empty when nothing was.

    What was cut is named after the first block.

    Args:
        expendable: Kinds of blocks in the order in which they are cut, of one kind the longest first.
        elsewhere: Name of the file that the second text is saved in.
    """
    over = sum(_length(block.lines) for block in blocks) - LONGEST
    if over <= 0:
        return text_of(blocks), ""
    over += RESERVE
    kept = {at: block.lines for at, block in enumerate(blocks)}
    turn = sorted(
        (at for at, block in enumerate(blocks) if block.kind in expendable),
        key=lambda at: (expendable.index(blocks[at].kind), -_length(blocks[at].lines)),
    )
    for shorter in ({at: blocks[at].brief for at in turn}, dict.fromkeys(turn[:-1], ())):
        for at, lines in shorter.items():
            if over > 0:
                over -= _length(kept[at]) - _length(lines)
                kept[at] = lines
    for at in reversed(turn):  # one long part may have made room for short ones that went before it
        back = _length(blocks[at].lines) - _length(kept[at])
        if 0 < back <= -over:
            over += back
            kept[at] = blocks[at].lines
    cut = [at for at, block in enumerate(blocks) if kept[at] != block.lines]
    more = _text(line for at in cut for line in (f"## {blocks[at].what[:1].upper()}{blocks[at].what[1:]}", "",
                                                 *blocks[at].lines))  # fmt: skip
    first, *rest = (kept[at] for at in range(len(blocks)))
    said = _said([blocks[at].what for at in cut], elsewhere)
    text = _text([*first, *said, *(line for lines in rest for line in lines)])
    if len(text) > LONGEST:  # a single string of a record is that long
        return f"{_text(said)}{text[: LONGEST - RESERVE]}\n", text_of(blocks)
    return text, more


def _said(missed: Sequence[str], elsewhere: str) -> tuple[str, str]:
    told = "; ".join(missed)
    if len(told) > RESERVE - 300:
        told = f"{told[: RESERVE - 400]}… ({len(missed):,} parts in all)"
    cut = f": {told}" if told else ""
    return f"**Cut, as GitHub takes {LONGEST:,} characters{cut}.** All of it is in [{elsewhere}]({elsewhere}).", ""


def _text(lines: Iterable[str]) -> str:
    return "".join(f"{line}\n" for line in lines)


def _length(lines: Sequence[str]) -> int:
    return sum(len(line) + 1 for line in lines)
