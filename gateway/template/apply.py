"""Puts a template round a call: renders its messages, and writes them into the client's JSON beside whatever else stands there.

Of the client's body every other member stays as it was written. What the client says itself counts before the template's
parameters; tools and response formats are the template's or the client's, and never both.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import msgspec
import orjson

from gateway.core.call import OUTPUT_CAPS, Call, Operation
from gateway.core.errors import InvalidRequest
from gateway.core.prompt import Prompt
from gateway.template.choose import Choice
from gateway.template.engine import LARGEST, Engine, MissingError, TooLargeError
from gateway.template.rules import Message, Mode, Template, Version
from gateway.template.variables import values
from gateway.template.wanted import PREFIX, Wanted, without_templates

MOST_MESSAGES = 2048
_SYSTEM = ("system", "developer")
_CAPS = frozenset(OUTPUT_CAPS[Operation.CHAT])
_members = msgspec.json.Decoder(dict[str, msgspec.Raw])
_elements = msgspec.json.Decoder(list[msgspec.Raw])


def apply(call: Call, wanted: Wanted, template: Template, choice: Choice, engine: Engine, *, unit: str = "") -> Call:
    """The call with the template's version round it. Raises InvalidRequest.

    `unit` is what the version was drawn by, for the record.
    """
    if call.operation is not Operation.CHAT:
        raise without_templates()
    if wanted.is_model and call.template not in (None, call.model.removeprefix(PREFIX)):
        raise InvalidRequest(
            "the header x-llmgw-template names one template, and `model` another",
            code="template_conflict",
            param="model",
        )
    version = choice.version
    prompt = Prompt(
        name=template.name,
        version=version.number,
        hash=version.hash,
        reason=choice.reason,
        drawn=choice.drawn,
        unit=unit,
        route=wanted.route,
        asked=call.body if call.native is None else call.native,
        says_all=template.mode in (Mode.WHOLE, Mode.REPLACE_SYSTEM),
        wanted=wanted.version,
        is_model=wanted.is_model,
        variables=wanted.variables,
    )
    try:
        return _put_round(call, wanted, template, version, engine, prompt)
    except InvalidRequest as error:
        error.prompt = prompt
        raise


def _put_round(
    call: Call, wanted: Wanted, template: Template, version: Version, engine: Engine, prompt: Prompt
) -> Call:
    rendered = render(template, version, wanted.variables, engine)
    written = _written(call, template.mode, rendered)
    changes: dict[str, Any] = {**_defaults(call, version), "messages": written}
    model = call.model
    if wanted.is_model:
        changes["model"] = model = _model(version, template)
    fields = {**call.fields, **changes}
    fields.pop("llmgw", None)
    body = _body(call, template.mode, rendered, changes)
    return replace(
        call,
        model=model,
        body=body,
        native=None,  # is not what is asked any more
        fields=fields,
        has=call.has | _features(version, changes),
        prompt=prompt,
    )


def render(template: Template, version: Version, given: Mapping[str, Any], engine: Engine) -> list[dict[str, Any]]:
    """The messages of a version, as a request has them. Raises InvalidRequest."""
    known = engine.sealed(values(template.variables, given))
    left, messages = LARGEST, []
    for message in version.messages:
        content = _content(message, known, engine)
        left -= len(content) if content.isascii() else len(content.encode())
        if left < 0:
            raise _too_large("it is larger than 1 MiB")
        messages.append(
            {"role": message.role, "content": content, **({} if message.name is None else {"name": message.name})}
        )
    return messages


def _content(message: Message, known: Mapping[str, Any], engine: Engine) -> str:
    if not message.compiled:
        return message.source
    try:
        return engine.render(message.compiled, known)
    except TooLargeError as error:
        raise _too_large(str(error)) from None
    except MissingError as error:
        raise InvalidRequest(
            f"the template uses a member of a variable that is not there: {error}",
            code="template_variable",
            param="variables",
        ) from None


def _too_large(why: str) -> InvalidRequest:
    return InvalidRequest(f"the rendered prompt is too large: {why}", code="template_too_large", param="template")


def _written(call: Call, mode: Mode, rendered: Sequence[dict[str, Any]]) -> list[Any]:
    """All messages in their order. Raises InvalidRequest where the template does not take the client's."""
    own = call.fields.get("messages") or []
    if mode is Mode.WHOLE:
        if own:
            raise InvalidRequest(
                "the template is the whole prompt: leave `messages` out, and give it what it needs as variables",
                code="template_conflict",
                param="messages",
            )
        return list(rendered)
    if mode is Mode.REPLACE_SYSTEM:
        own = [each for each in own if each["role"] not in _SYSTEM]
    if len(own) + len(rendered) > MOST_MESSAGES:
        raise InvalidRequest(f"at most {MOST_MESSAGES} messages", code="too_many_messages", param="messages")
    if not own and all(each["role"] in _SYSTEM for each in rendered):
        raise InvalidRequest("messages must not be empty", code="empty_array", param="messages")
    return [*own, *rendered] if mode is Mode.APPEND else [*rendered, *own]


def _defaults(call: Call, version: Version) -> dict[str, Any]:
    """What the version brings besides messages, where the client says nothing."""
    fields = call.fields
    changes = {name: value for name, value in version.parameters.items() if fields.get(name) is None}
    if any(fields.get(name) is not None for name in _CAPS):
        changes = {name: value for name, value in changes.items() if name not in _CAPS}
    for name, value in (("tools", list(version.tools)), ("response_format", version.response_format)):
        if not value:
            continue
        if fields.get(name) and fields[name] != value:
            raise InvalidRequest(
                f"the template brings {name} of its own: leave yours out", code="template_conflict", param=name
            )
        changes[name] = value
    return changes


def _features(version: Version, changes: Mapping[str, Any]) -> frozenset[str]:
    return version.features if "tools" in changes or "response_format" in changes else frozenset()


def _model(version: Version, template: Template) -> str:
    if version.model is None:
        raise InvalidRequest(
            f"version {version.number} of the template {template.name!r} names no model: put one into `model`, and the "
            "template into the header x-llmgw-template",
            code="template_model",
            param="model",
        )
    return version.model


def _body(call: Call, mode: Mode, rendered: Sequence[dict[str, Any]], changes: Mapping[str, Any]) -> bytes:
    own = _members.decode(call.body)
    own.pop("llmgw", None)
    new = {name: orjson.dumps(value) for name, value in changes.items() if name != "messages"}
    new["messages"] = _messages(call, own.get("messages"), mode, rendered)
    parts = [b"%b:%b" % (orjson.dumps(name), new.pop(name, value)) for name, value in own.items()]
    parts += [b"%b:%b" % (orjson.dumps(name), value) for name, value in new.items()]
    return b"{" + b",".join(parts) + b"}"


def _messages(call: Call, own: msgspec.Raw | None, mode: Mode, rendered: Sequence[dict[str, Any]]) -> bytes:
    """The client's own as it wrote them."""
    added = [orjson.dumps(each) for each in rendered]
    if own is None or not call.fields.get("messages"):
        return b"[" + b",".join(added) + b"]"
    written = [bytes(each) for each in _elements.decode(own)]
    if mode is Mode.REPLACE_SYSTEM:
        turns = call.fields["messages"]
        written = [each for each, turn in zip(written, turns, strict=True) if turn["role"] not in _SYSTEM]
    return b"[" + b",".join([*written, *added] if mode is Mode.APPEND else [*added, *written]) + b"]"
