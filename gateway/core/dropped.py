"""The names of what a call lost on its way to a provider, as they are told: in headers, records, spans and errors alike."""

from __future__ import annotations

from collections.abc import Sequence

MOST = 32
"""Names that are told of one call."""
LONGEST = 64
"""Characters of one of them."""
_ROOM = 960
"""Characters of all of them: what fits well into a header."""


def named(paths: Sequence[str]) -> tuple[str, ...]:
    """Paths as dialects give them, with what clients chose in them made harmless. Of those that are too many, the last name
    tells only how many they are: `+17`."""
    told: list[str] = []
    room = _ROOM
    for path in paths:
        name = "".join(
            [each if each.isascii() and each.isprintable() and each != "," else "?" for each in path[:LONGEST]]
        )
        room -= len(name) + 2
        if room < 0 or (len(told) == MOST - 1 and len(paths) > MOST):
            return *told, f"+{len(paths) - len(told)}"
        told.append(name)
    return tuple(told)
