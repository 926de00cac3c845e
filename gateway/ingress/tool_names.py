"""Names of tools in chat's terms: 64 letters, digits, hyphens and underscores, which every provider takes.

Clients of other dialects may have longer ones, and tools within a namespace. What a provider calls is told by the client's own
name.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from hashlib import blake2b

_UNFIT = re.compile(r"[^a-zA-Z0-9_-]")
_LONGEST = 64
_DIGEST = 8


def flat(name: str, namespace: str | None = None) -> str:
    """Always the same for the same tool, and another for another."""
    whole = name if namespace is None else f"{namespace.rstrip('_')}__{name}"
    fit = _UNFIT.sub("_", whole)
    if fit == whole and len(fit) <= _LONGEST:
        return fit
    digest = blake2b(whole.encode("utf-8", "surrogatepass"), digest_size=_DIGEST // 2).hexdigest()
    return f"{fit[: _LONGEST - _DIGEST - 1]}_{digest}"


class Names:
    """`tools` are the names of a request's tools, and their namespaces."""

    __slots__ = ("_bare", "_flat")

    def __init__(self, tools: Iterable[tuple[str, str | None]] = ()) -> None:
        self._flat = {flat(name, namespace): (name, namespace) for name, namespace in tools}
        self._bare: dict[str, list[tuple[str, str | None]]] = {}
        for name, namespace in self._flat.values():
            self._bare.setdefault(name, []).append((name, namespace))

    def of(self, name: str) -> tuple[str, str | None]:
        """The client's own name for the tool, and its namespace. Some models leave the namespace out where that is clear."""
        found = self._flat.get(name)
        alike = self._bare.get(name, [])
        if found is None and len(alike) == 1:
            found = alike[0]
        return found or (name, None)
