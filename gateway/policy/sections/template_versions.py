"""The versions of one template: their texts compiled and tried out, and the hash that tells each from every other."""

from __future__ import annotations

import json
from collections.abc import Mapping
from hashlib import sha256
from typing import Any

from gateway.core.errors import InvalidRequest
from gateway.policy.mistakes import Mistakes, Path, nearest
from gateway.policy.schema_template import Message as MessageText
from gateway.policy.schema_template import TemplateText
from gateway.policy.schema_template import Variable as VariableText
from gateway.policy.schema_template import Version as VersionText
from gateway.template.apply import render
from gateway.template.engine import Engine
from gateway.template.grammar import GrammarError
from gateway.template.rules import PRODUCTION, Kind, Message, Mode, Template, Variable, Version
from gateway.template.variables import EMPTY, mismatch

_ROLES = ("system", "developer", "user", "assistant")
_LONGEST_TEXT = 100_000
_MOST_ITEMS = 1000
_HASH = 12


def compile_versions(
    name: str, text: TemplateText, partials: Mapping[str, str], engine: Engine, mistakes: Mistakes
) -> tuple[Mapping[str, Variable], Mapping[int, Version]]:
    """The variables, and the versions by number; what is wrong is noted, and then the two are of no use."""
    variables = {each: _variable(each, written, mistakes) for each, written in text.variables.items()}
    versions: dict[int, Version] = {}
    for number, written in text.versions.items():
        path: Path = ("versions", number)
        before = len(mistakes.found)
        messages, used = _messages(f"{name}@{number}", written, variables, engine, path, mistakes)
        version = Version(
            number=int(number),
            hash=_hash(text, written, {each: partials[each] for each in sorted(used)}),
            messages=messages,
            tools=tuple(written.tools),
            response_format=_response_format(written, path, mistakes),
            parameters=_parameters(written, path, mistakes),
            model=written.model or text.model,
            features=_features(written),
        )
        versions[int(number)] = version
        if len(mistakes.found) == before:
            _try_out(name, version, variables, engine, path, mistakes)
    return variables, versions


def standing_of(text: TemplateText, mistakes: Mistakes) -> int | None:
    """The version that the bare name means: what `production` names, else the only one there is."""
    if PRODUCTION in text.labels:
        return text.labels[PRODUCTION]
    if len(text.versions) == 1:
        return int(next(iter(text.versions)))
    if text.rollout is not None and text.rollout.weights:
        return min(int(number) for number in text.rollout.weights)
    mistakes.add(
        ("versions",),
        f"which of the {len(text.versions)} versions does the bare name mean? Say so: labels: {{production: "
        f"{max(map(int, text.versions))}}}",
        key=True,
    )
    return None


def _variable(name: str, written: VariableText, mistakes: Mistakes) -> Variable:
    path: Path = ("variables", name)
    kind, given = Kind(written.type), written.model_fields_set
    has_default = "default" in given
    if written.required and has_default:
        mistakes.add((*path, "default"), "a variable that is required has no default", key=True)
    if (kind is Kind.ENUM) != (written.values is not None):
        mistakes.add(
            path,
            "an enum has `values`, and nothing else has" if written.values else "`values` is missing: what it may be",
        )
    for key, kinds in (("max_length", (Kind.STRING,)), ("max_items", (Kind.LIST, Kind.OBJECT))):
        if key in given and kind not in kinds:
            mistakes.add((*path, key), f"{key!r} is for {' and '.join(each.value for each in kinds)}", key=True)
    if written.required is False and not has_default and kind not in EMPTY:
        mistakes.add(path, f"'default' is missing: what {name!r} is where nothing is given")
    most = {Kind.STRING: written.max_length or _LONGEST_TEXT}
    most |= dict.fromkeys((Kind.LIST, Kind.OBJECT), written.max_items or _MOST_ITEMS)
    variable = Variable(
        name=name,
        kind=kind,
        required=not has_default if written.required is None else written.required,
        default=written.default if has_default else EMPTY.get(kind),
        most=most.get(kind, 0),
        choices=tuple(written.values or ()),
        example=written.example,
    )
    for key in ("default", "example"):
        if key in given and (wrong := mismatch(variable, getattr(written, key))) is not None:
            mistakes.add((*path, key), wrong)
    return variable


def _messages(
    name: str, written: VersionText, variables: Mapping[str, Variable], engine: Engine, path: Path, mistakes: Mistakes
) -> tuple[tuple[Message, ...], set[str]]:
    """And the partials they use."""
    messages, used = [], set[str]()
    for index, each in enumerate(written.messages):
        where: Path = (*path, "messages", index)
        roles = [role for role in _ROLES if getattr(each, role) is not None]
        if len(roles) != 1:
            mistakes.add(
                where, f"a message is one role and what it says, such as {{system: …}}; one of {', '.join(_ROLES)}"
            )
            continue
        role = roles[0]
        text: str = getattr(each, role).removesuffix("\n")
        compiled = f"{name}/{index}"
        try:
            reading = engine.add(compiled, text)
        except GrammarError as error:
            line = f" (line {error.line} of the text)" if "\n" in text else ""
            mistakes.add((*where, role), f"template_invalid: {error.message}{line}")
            continue
        for unknown in sorted(reading.names - variables.keys()):
            message = f"there is no variable {unknown!r}{nearest(unknown, variables)}"
            mistakes.add((*where, role), f"template_invalid: {message}")
        used |= reading.partials
        messages.append(Message(role, text, "" if reading.is_plain else compiled, each.name))
    return tuple(messages), used


def _try_out(
    name: str, version: Version, variables: Mapping[str, Variable], engine: Engine, path: Path, mistakes: Mistakes
) -> None:
    """Renders it with examples. What an object without an example does not have is not held against it."""
    template = Template(name, Mode.WHOLE, {version.number: version}, version.number, variables)
    samples = {each.name: sample(each) for each in variables.values()}
    try:
        render(template, version, samples, engine)
    except InvalidRequest as error:
        is_guess = any(each.kind in (Kind.OBJECT, Kind.LIST) and each.example is None for each in variables.values())
        if error.code != "template_variable" or not is_guess:
            mistakes.add((*path, "messages"), f"template_invalid: tried with examples, {error.message}", key=True)


def examples(variables: Mapping[str, Variable]) -> Mapping[str, Any]:
    """A value for each variable that is required."""
    return {each.name: sample(each) for each in variables.values() if each.required}


def sample(variable: Variable) -> Any:
    """A value to try a template with."""
    if variable.example is not None:
        return variable.example
    if not variable.required:
        return variable.default
    samples = {
        Kind.STRING: "example"[: variable.most],
        Kind.NUMBER: 1,
        Kind.BOOLEAN: True,
        Kind.LIST: [],
        Kind.OBJECT: {},
    }
    return variable.choices[0] if variable.kind is Kind.ENUM else samples[variable.kind]


def _response_format(written: VersionText, path: Path, mistakes: Mistakes) -> Mapping[str, Any] | None:
    form = written.response_format
    if form is None:
        return None
    schema = form.get("json_schema")
    kinds = ("text", "json_object", "json_schema")
    if form.get("type") not in kinds:
        mistakes.add((*path, "response_format"), f"'type' is missing: one of {', '.join(kinds)}")
    elif form["type"] == "json_schema" and not (isinstance(schema, dict) and isinstance(schema.get("schema"), dict)):
        mistakes.add(
            (*path, "response_format"), "json_schema needs a name and a schema: {type: json_schema, json_schema: …}"
        )
    return form


def _parameters(written: VersionText, path: Path, mistakes: Mistakes) -> Mapping[str, Any]:
    names: set[object] = set()
    for index, tool in enumerate(written.tools):
        function = tool.get("function")
        name = function.get("name") if isinstance(function, dict) else None
        if tool.get("type") != "function" or not isinstance(name, str) or not name or name in names:
            mistakes.add(
                (*path, "tools", index), "a tool is {type: function, function: {name: …}}, each with another name"
            )
        names.add(name)
    parameters = written.parameters.model_dump(exclude_none=True)
    if {"max_tokens", "max_completion_tokens"} <= parameters.keys():
        mistakes.add((*path, "parameters", "max_tokens"), "say max_tokens or max_completion_tokens", key=True)
    if "tool_choice" in parameters and not written.tools:
        mistakes.add((*path, "parameters", "tool_choice"), "there are no tools to choose from", key=True)
    return parameters


def _features(written: VersionText) -> frozenset[str]:
    found = {"tools"} if written.tools else set()
    kind = (written.response_format or {}).get("type")
    if kind in ("json_schema", "json_object"):
        found.add(kind)
    return frozenset(found)


def _hash(text: TemplateText, written: VersionText, partials: Mapping[str, str]) -> str:
    """Of everything that a call with this version depends on, and of no description or test."""
    variables = {
        name: each.model_dump(exclude={"description", "example"}, exclude_unset=True)
        for name, each in text.variables.items()
    }
    whole = [
        text.mode,
        variables,
        [_message(each) for each in written.messages],
        written.tools,
        written.response_format,
        written.parameters.model_dump(exclude_none=True),
        written.model or text.model,
        partials,
    ]
    return sha256(json.dumps(whole, sort_keys=True).encode()).hexdigest()[:_HASH]


def _message(written: MessageText) -> Mapping[str, str]:
    return written.model_dump(exclude_none=True)
