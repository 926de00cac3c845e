"""What a record is told of a decision's grounds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol


class Basis(Protocol):
    """What a decision rests on; `is_by_conversation`: it looked at the call's conversation, `sent`: the tokens it counted."""

    def told(self, *, is_by_conversation: bool, sent: int | None) -> Mapping[str, object]: ...
