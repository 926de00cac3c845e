"""`${NAME}` in a text stands for an environment variable.

YAML does not allow `{` in an unquoted word of a flow mapping, yet `{key: ${OPENAI_API_KEY}}` is what people write. So
the marks are swapped for private characters of the same length before parsing, which keeps every column right.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

_OPEN, _CLOSE = "\uf8fd\uf8fe", "\uf8ff"
_WRITTEN = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
_SHIELDED = re.compile(f"{_OPEN}([A-Za-z_][A-Za-z0-9_]*){_CLOSE}")
_PRIVATE = re.compile("[\uf8fd-\uf8ff]")


def private_character(text: str) -> int | None:
    """Where `text` has one of the characters that `shield` uses, which a policy therefore may not."""
    found = _PRIVATE.search(text)
    return found.start() if found else None


def shield(text: str) -> str:
    """`text` with every `${NAME}` written so that YAML takes it for a word."""
    return _WRITTEN.sub(rf"{_OPEN}\1{_CLOSE}", text)


def as_written(text: str) -> str:
    return _SHIELDED.sub(r"${\1}", text)


def names(text: str) -> tuple[str, ...]:
    """The variables that a shielded text asks for."""
    return tuple(_SHIELDED.findall(text))


def fill(text: str, environment: Mapping[str, str]) -> str:
    """A shielded text with its variables replaced, all of which must be set."""
    return _SHIELDED.sub(lambda found: environment[found[1]].strip(), text)
