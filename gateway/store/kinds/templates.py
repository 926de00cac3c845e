"""Prompt templates that admins put beside the policy's files."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol


class TemplateStore(Protocol):
    """All of them are one thing with a number, which grows by one at each change; 0: nothing was ever put."""

    async def load(self) -> tuple[int, Mapping[str, bytes]]:
        """The number, and the values by the templates' names."""
        ...

    async def change(self, values: Mapping[str, bytes | None], *, since: int) -> bool:
        """Puts these, and removes those that are None: all, or nothing where the number is not `since` any more. Whether it did.

        Once this has returned, it survives a power cut.
        """
        ...
