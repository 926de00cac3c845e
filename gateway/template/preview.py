"""What a version of a template makes of variables and of a client's body, as text that can be compared; nobody is called."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from gateway.core.call import Call, Operation
from gateway.template.apply import apply
from gateway.template.choose import Choice
from gateway.template.engine import Engine
from gateway.template.rules import Mode, Template
from gateway.template.wanted import Wanted

PLACEHOLDER = "…"
"""What the client says where it is not known, and the template needs it."""


def rendered(
    template: Template, choice: Choice, engine: Engine, variables: Mapping[str, Any], body: Mapping[str, Any]
) -> Call:
    """The call that would be made of `body`. Raises InvalidRequest."""
    fields = {"model": choice.version.model or "model", **body}
    if not body.get("messages") and template.mode is not Mode.WHOLE:
        fields["messages"] = [{"role": "user", "content": PLACEHOLDER}]
    call = Call(
        id="rendered",
        operation=Operation.CHAT,
        received=0.0,
        model=str(fields["model"]),
        body=orjson.dumps(fields),
        fields=fields,
    )
    return apply(call, Wanted(template.name, None, variables), template, choice, engine)


def text(fields: Mapping[str, Any]) -> str:
    """Of what was rendered."""
    lines = []
    for message in fields["messages"]:
        content = message.get("content")
        lines.append(f"--- {message['role']}")
        lines.append(content if isinstance(content, str) else orjson.dumps(content).decode())
    for name, value in fields.items():
        if name not in ("messages", "model"):
            lines.append(f"--- {name}: {orjson.dumps(value).decode()}")
    return "\n".join(lines)


def source(choice: Choice) -> str:
    """Of a version as it was written."""
    version = choice.version
    lines = []
    for message in version.messages:
        lines += [f"--- {message.role}", message.source]
    told = {"tools": list(version.tools), "response_format": version.response_format, "model": version.model}
    for name, value in {**told, **version.parameters}.items():
        if value:
            lines.append(f"--- {name}: {orjson.dumps(value).decode()}")
    return "\n".join(lines)


def difference(before: str, after: str, names: tuple[str, str]) -> Sequence[str]:
    """Lines, in the unified form."""
    return list(difflib.unified_diff(before.splitlines(), after.splitlines(), *names, lineterm=""))
