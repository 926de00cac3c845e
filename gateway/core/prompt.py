"""Which template was put round a call, in which version, and why that one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Prompt:
    """`version` is the readable number, `hash` 12 hexadecimal digits of everything the version is made of.

    `reason` says why it is this version: number, hash, label, only (there is no other to choose), rollout (drawn), sticky (the
    conversation began with it), stepped_back (the drawn one was taken out of the rollout), override (an admin gave it all
    calls), or shadow (a call of ours, beside a client's). `drawn` is the version that the rollout's weights gave, where there is
    a rollout, whether it is served or not. `unit` is what the draw was made by: the
    conversation's or end user's digest, "" without a rollout. `route` is the rule that put the template round the call, None
    where the client asked for it. `asked` is the client's own body, byte for byte. `says_all`: what the application says in every
    call is the template's, and none of it the client's.

    `wanted` is what stood behind the `@`, None where nothing did; `is_model`: the template was asked for in the place of a model.
    `variables` are those that the client gave.
    """

    name: str
    version: int
    hash: str
    reason: str
    drawn: int | None = None
    unit: str = ""
    route: str | None = None
    asked: bytes = b""
    says_all: bool = True
    wanted: str | None = None
    is_model: bool = False
    variables: Mapping[str, Any] = field(default_factory=dict)

    @property
    def label(self) -> str:
        """As headers, records and spans have it: `support@3`."""
        return f"{self.name}@{self.version}"

    @property
    def identity(self) -> str:
        """The same for nothing but the same text: `support@3#0123456789ab`."""
        return f"{self.label}#{self.hash}"


@dataclass(frozen=True, slots=True)
class ByRoute:
    """A rule that puts a template, `name` or `name@version`, round the calls that it fits."""

    route: str
    template: str
