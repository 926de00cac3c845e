"""What a template makes of variables, before anybody is asked: one in force, or a text that an editor has not put yet."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from aiohttp import web

from gateway.core.call import Call
from gateway.core.errors import InvalidRequest
from gateway.ingress import messages
from gateway.ingress.admin import fields
from gateway.ingress.admin.server import PREFIX
from gateway.ingress.admin.stored import name_of, source_of
from gateway.meter.tokens import Tokens
from gateway.policy.current import Current
from gateway.policy.mistakes import PolicyError
from gateway.policy.sections.template_versions import examples
from gateway.policy.sections.templates import compile_alone
from gateway.policy.source.folder import contents
from gateway.template.choose import Choice, named
from gateway.template.engine import Engine
from gateway.template.preview import difference, rendered, source, text
from gateway.template.rules import Template
from gateway.template.wanted import unknown

_KNOWN = {"variables", "version", "messages", "content", "model", "source", "against"}
_OWN = ("messages", "model", "tools", "response_format")


class PreviewRoutes:
    """`folder` is the policy's."""

    def __init__(self, folder: Path, policy: Current, tokens: Tokens) -> None:
        self._folder = folder
        self._policy = policy
        self._tokens = tokens

    def routes(self) -> Sequence[web.RouteDef]:
        return (web.post(PREFIX + "templates/{name}:preview", self._preview),)

    async def _preview(self, request: web.Request) -> web.Response:
        asked = await fields.read_fields(request, _KNOWN)
        name, body = name_of(request), _body(asked)
        template, engine = await self._template(name, asked)
        choice = _choice(template, _version(asked, "version"))
        variables = _variables(asked)
        given = examples(template.variables) if variables is None else variables
        call = rendered(template, choice, engine, given, body)
        version, model = choice.version, body.get("model") or choice.version.model
        told = {
            "template": name,
            "version": version.number,
            "hash": version.hash,
            "mode": template.mode.value,
            "variables": given,
            "model": model,
            **_told(call),
            "input_tokens": await self._tokens.sent(call, model or ""),
        }
        if (against := _version(asked, "against")) is not None:
            told["diff"] = self._difference(template, engine, choice, against, variables, body)
        return fields.json(told)

    async def _template(self, name: str, asked: Mapping[str, Any]) -> tuple[Template, Engine]:
        if "source" in asked:
            return await asyncio.to_thread(_compiled, self._folder, name, source_of(asked))
        templates = self._policy.current.templates
        if name not in templates.named:
            raise unknown(name)
        return templates.named[name], templates.engine

    def _difference(
        self,
        template: Template,
        engine: Engine,
        choice: Choice,
        against: str,
        variables: Mapping[str, Any] | None,
        body: Mapping[str, Any],
    ) -> str:
        """From a version of the template in force, where it has that one. Of the sources; with variables, of what is rendered."""
        in_force = self._policy.current.templates
        before, before_engine = in_force.named.get(template.name), in_force.engine
        if before is None or named(before, against) is None:
            before, before_engine = template, engine
        other = _choice(before, against)
        if variables is None:
            texts = source(other), source(choice)
        else:
            one = rendered(before, other, before_engine, variables, body)
            texts = text(one.fields), text(rendered(template, choice, engine, variables, body).fields)
        names = (f"{template.name}@{other.version.number}", f"{template.name}@{choice.version.number}")
        return "".join(f"{line}\n" for line in difference(*texts, names))


def _compiled(folder: Path, name: str, content: bytes) -> tuple[Template, Engine]:
    """It blocks."""
    try:
        return compile_alone(name, content, contents(folder))
    except PolicyError as error:
        raise InvalidRequest(str(error).replace(f"{folder}/", ""), code="template_invalid", param="source") from error


def _choice(template: Template, version: str | None) -> Choice:
    choice = named(template, version)
    if choice is None:
        raise unknown(f"{template.name}@{version}")
    return choice


def _version(asked: Mapping[str, Any], name: str) -> str | None:
    """A number, a label, or the beginning of a hash."""
    value = asked.get(name)
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    raise InvalidRequest(f"{name} must be a number, a label or a hash", code="invalid_type", param=name)


def _variables(asked: Mapping[str, Any]) -> Mapping[str, Any] | None:
    value = asked.get("variables")
    if value is not None and not isinstance(value, dict):
        raise InvalidRequest("variables must be an object", code="invalid_type", param="variables")
    return value


def _body(asked: Mapping[str, Any]) -> Mapping[str, Any]:
    """What the client would send."""
    body: dict[str, Any] = {}
    if (model := fields.text(asked, "model")).strip():
        body["model"] = model
    if asked.get("content") is not None:
        if asked.get("messages") is not None:
            raise InvalidRequest("give messages or content, not both", code="invalid_value", param="content")
        body["messages"] = [{"role": "user", "content": fields.text(asked, "content")}]
    elif asked.get("messages") is not None:
        messages.features(asked)
        body["messages"] = asked["messages"]
    return body


def _told(call: Call) -> Mapping[str, object]:
    told = call.fields
    return {
        "messages": told["messages"],
        "parameters": {name: value for name, value in told.items() if name not in _OWN},
        "tools": told.get("tools") or [],
        "response_format": told.get("response_format"),
    }
