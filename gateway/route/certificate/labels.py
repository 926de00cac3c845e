"""Labels of one certificate, counted by whoever drew them, so that those of many workers are put together and none counts
twice.

Each writer counts its own labels, and nobody else's; its counts only grow. Of two copies of one writer's counts the larger is
the newer, so copies may be put together in any order, and as often as one likes.

Labels are counted in blocks. Those that led to a certificate are in block 0. From then on blocks follow each other, so that
one can look at the latest alone; of more than MOST_BLOCKS the oldest are dropped.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

import msgspec

BLOCK = 8
"""Labels to a block, about."""
MOST_BLOCKS = 128
RESTS = 86_400.0
"""Seconds without a label after which a writer is taken for gone."""
MOST_WRITERS = 64
"""Writers that are told apart; of more, those that are gone become one."""
GONE = ""
"""The writer that stands for them."""

Counts = dict[int, int]
"""Labels by their cell (see core.bet)."""


class Writer(msgspec.Struct, frozen=True):
    """`at`: when its last label came, in UTC seconds."""

    at: float = 0.0
    blocks: dict[int, Counts] = {}


Writers = Mapping[str, Writer]


def add(writers: Writers, name: str, *, cell: int, block: int, at: float) -> dict[str, Writer]:
    """With one more label."""
    writer = writers.get(name, Writer())
    counts = writer.blocks.get(block, {})
    blocks = {**writer.blocks, block: {**counts, cell: counts.get(cell, 0) + 1}}
    return {**writers, name: Writer(max(at, writer.at), blocks)}


def merge(one: Writers, other: Writers) -> dict[str, Writer]:
    """Commutative, associative and idempotent, but for what `fold` made."""
    both = {**one, **other}
    for name in one.keys() & other.keys():
        both[name] = _newer(one[name], other[name])
    return _lately(both)


def fold(writers: Writers, now: float) -> dict[str, Writer]:
    """Makes one of the writers that are gone, if there are many. Only for the one copy that all agree on: a writer that finds
    itself gone there begins anew under another name."""
    if len(writers) <= MOST_WRITERS:
        return dict(writers)
    gone = {name for name, writer in writers.items() if name == GONE or now - writer.at > RESTS}
    kept = {name: writer for name, writer in writers.items() if name not in gone}
    last = max((writers[name].at for name in gone), default=0.0)
    return {**kept, GONE: Writer(last, blocks({name: writers[name] for name in gone}))}


def blocks(writers: Writers) -> dict[int, Counts]:
    """The counts of all writers together, by their blocks in order. Not to be changed: some are the writers' own."""
    whole: dict[int, Counts] = {}
    for writer in writers.values():
        for block, counts in writer.blocks.items():
            held = whole.get(block)
            whole[block] = counts if held is None else _sum(held, counts)
    return dict(sorted(whole.items()))


def total(blocks: Mapping[int, Counts], *, since: int = 0) -> Counter[int]:
    """The counts of the blocks from this one on."""
    whole: Counter[int] = Counter()
    for block, counts in blocks.items():
        if block >= since:
            whole.update(counts)
    return whole


def _sum(one: Counts, other: Counts) -> Counts:
    return {cell: one.get(cell, 0) + other.get(cell, 0) for cell in one.keys() | other.keys()}


def _newer(one: Writer, other: Writer) -> Writer:
    blocks = {}
    for block in one.blocks.keys() | other.blocks.keys():
        some, more = one.blocks.get(block, {}), other.blocks.get(block, {})
        blocks[block] = {cell: max(some.get(cell, 0), more.get(cell, 0)) for cell in some.keys() | more.keys()}
    return Writer(max(one.at, other.at), blocks)


def _lately(writers: dict[str, Writer]) -> dict[str, Writer]:
    newest = max((block for writer in writers.values() for block in writer.blocks), default=0)
    oldest = newest - MOST_BLOCKS + 1
    if oldest <= 1:
        return writers
    return {
        name: msgspec.structs.replace(
            writer, blocks={block: counts for block, counts in writer.blocks.items() if block == 0 or block >= oldest}
        )
        for name, writer in writers.items()
    }
