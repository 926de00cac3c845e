"""What a record says of the template that was put round its call."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from gateway.core.prompt import Prompt


@dataclass(frozen=True, slots=True)
class Prompted:
    """`prompt` is what was chosen; `is_asked_known`: the record also says what was asked for. `variables` are None where they
    were not recorded; `cut` are those that are not whole, `redacted` those in which something was taken out."""

    prompt: Prompt
    is_asked_known: bool
    variables: Mapping[str, Any] | None
    cut: frozenset[str] = frozenset()
    redacted: frozenset[str] = frozenset()


class PromptText(msgspec.Struct):
    """The record's `prompt`."""

    name: str
    version: int
    hash: str
    reason: str
    unit: str = ""
    route: str | None = None
    wanted: str | msgspec.UnsetType | None = msgspec.UNSET
    is_model: bool = False


class ContentText(msgspec.Struct):
    """The record's `content`, as far as variables go."""

    variables: dict[str, Any] | None = None
    variables_cut: list[str] = []
    variables_redacted: list[str] = []


def prompted(written: PromptText | None, content: ContentText | None) -> Prompted | None:
    if written is None:
        return None
    wanted = written.wanted
    prompt = Prompt(
        name=written.name,
        version=written.version,
        hash=written.hash,
        reason=written.reason,
        unit=written.unit,
        route=written.route,
        wanted=None if wanted is msgspec.UNSET else wanted,
        is_model=written.is_model,
    )
    is_known = wanted is not msgspec.UNSET
    if content is None:
        return Prompted(prompt, is_known, None)
    cut, redacted = frozenset(content.variables_cut), frozenset(content.variables_redacted)
    return Prompted(prompt, is_known, content.variables, cut, redacted)
