"""A request about files or batches, which a provider keeps for its caller."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from gateway.core.arrival import Asked

Kind = Literal["files", "batches"]
Action = Literal["create", "list", "get", "content", "delete", "cancel"]


@dataclass(frozen=True, slots=True)
class Upload:
    """Where in a form its file stands, and its file's name, between the quotes."""

    purpose: str
    file: tuple[int, int]
    name: tuple[int, int]


@dataclass(frozen=True, slots=True)
class Errand:
    """`target` is the id that the caller gave, "" where there is none; `query` are its pairs; `media` is the body's type.

    `fields` are those of a new batch, `upload` is what there is of a new file.
    """

    kind: Kind
    action: Action
    target: str = ""
    query: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    media: str = ""
    fields: Mapping[str, Any] = field(default_factory=dict)
    upload: Upload | None = None


class Errands(Asked, Protocol):
    """Nothing of the body has been read yet."""

    def read(self) -> Errand:
        """Raises InvalidRequest, NotFound."""
        ...
