"""Which template a call asks for: by header, by the model's name, or as a prompt of OpenAI's responses API."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from gateway.core.call import Call
from gateway.core.errors import InvalidRequest, NotFound
from gateway.core.prompt import ByRoute
from gateway.template.variables import refused

PREFIX = "template:"
"""What the name of a model begins with that stands for a template."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """`version` is what stands behind the `@`: see choose.choose. `route` is the rule that wants it, None for the client.
    `is_model`: the client asked for the template in the place of a model."""

    name: str
    version: str | None
    variables: Mapping[str, Any] = field(default_factory=dict)
    route: str | None = None
    is_model: bool = False


def wanted(call: Call, by_route: ByRoute | None) -> Wanted | None:
    """None for a call without a template. Raises InvalidRequest where it names two, or gives variables to none."""
    is_model = names_template(call.model)
    if call.template is None and not is_model and by_route is None:
        if "llmgw" in call.fields:
            _no_variables(call)
        return None
    text = call.template or (call.model.removeprefix(PREFIX) if is_model else by_route.template if by_route else "")
    name, version = split(text)
    route = None if call.template is not None or is_model or by_route is None else by_route.route
    return Wanted(name, version, _variables(call), route, is_model)


def names_template(model: object) -> bool:
    """Whether what a client asks for as its model is a template."""
    return isinstance(model, str) and model.startswith(PREFIX)


def of_prompt(prompt: Mapping[str, Any]) -> tuple[str, Mapping[str, Any]]:
    """What `prompt: {id, version, variables}` of OpenAI's responses API says, as `Call.template` and as the variables. Raises
    InvalidRequest."""
    name, version, variables = prompt.get("id"), prompt.get("version"), prompt.get("variables")
    if not isinstance(name, str) or not name:
        raise InvalidRequest("prompt.id must be the name of a template", code="invalid_type", param="prompt.id")
    if version is not None and not isinstance(version, str):
        raise InvalidRequest("prompt.version must be a string", code="invalid_type", param="prompt.version")
    if variables is not None and not isinstance(variables, dict):
        raise InvalidRequest("prompt.variables must be an object", code="template_variable", param="variables")
    return (name if version is None else f"{name}@{version}"), variables or {}


def split(text: str) -> tuple[str, str | None]:
    """Name and version of `name@version`; the version is None where there is no `@`."""
    name, at, version = text.partition("@")
    return name, version if at else None


def without_templates() -> InvalidRequest:
    """For whatever no template can be put round."""
    return InvalidRequest("templates are for chat completions", code="template_unsupported", param="template")


def unknown(text: str) -> NotFound:
    """In the same words for a template that does not exist, one that has no such version, and another tenant's."""
    return NotFound(
        f"the template {text[:64]!r} does not exist or you do not have access to it",
        code="template_not_found",
        param="template",
    )


def _variables(call: Call) -> Mapping[str, Any]:
    own = call.fields.get("llmgw")
    if own is None:
        return {}
    if not isinstance(own, dict):
        raise InvalidRequest("llmgw must be an object", code="invalid_type", param="llmgw")
    _check_members(own)
    variables = own.get("variables")
    if variables is None:
        return {}
    if not isinstance(variables, dict):
        raise InvalidRequest("llmgw.variables must be an object", code="template_variable", param="variables")
    return variables


def _no_variables(call: Call) -> None:
    own = call.fields["llmgw"]
    if not isinstance(own, dict):
        return
    if variables := own.get("variables"):
        name = next(iter(variables)) if isinstance(variables, dict) else "variables"
        raise refused(str(name), "this call has no template: name one in the header x-llmgw-template")


def _check_members(own: Mapping[str, Any]) -> None:
    """A slip of the pen must not make a prompt of nothing but defaults."""
    wrong = next((name[:64] for name in own if name != "variables"), None)
    if wrong is not None:
        raise InvalidRequest(
            f"llmgw has no {wrong!r}: it has `variables`", code="unknown_parameter", param=f"llmgw.{wrong}"
        )
