"""The parameters of a call beside its content: those we act on always, those only providers act on when the policy is strict."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Set
from typing import Any

from gateway.core.errors import InvalidRequest
from gateway.ingress.translator_fields import TRANSLATOR_FIELDS

MAX_TOOLS = 128
MAX_CHOICES = 128
_MAX_INT = 2**31 - 1

_TOOL_NAME = re.compile(r"[A-Za-z0-9_.:-]{1,128}")
_PROTOTYPE_KEYS = frozenset({"__proto__", "constructor", "__class__", "prototype"})
_PAST_THE_POLICY = frozenset({"models"})  # OpenRouter tries each of these, whatever `model` says
_REFUSED = TRANSLATOR_FIELDS | _PROTOTYPE_KEYS | _PAST_THE_POLICY
_NONE: frozenset[str] = frozenset()

_STRICT_RANGES: Mapping[str, tuple[float, float]] = {
    "temperature": (0, 2),
    "top_p": (0, 1),
    "presence_penalty": (-2, 2),
    "frequency_penalty": (-2, 2),
    "top_logprobs": (0, 20),
    "best_of": (1, 20),
    "seed": (-(2**63), 2**63 - 1),
}
_STRICT_KNOWN = frozenset(
    {
        *_STRICT_RANGES,
        *(
            "model",
            "messages",
            "prompt",
            "input",
            "max_tokens",
            "max_completion_tokens",
            "n",
            "stream",
            "stream_options",
        ),
        *(
            "tools",
            "tool_choice",
            "parallel_tool_calls",
            "functions",
            "function_call",
            "response_format",
            "stop",
            "user",
        ),
        *("metadata", "logit_bias", "logprobs", "store", "service_tier", "modalities", "audio", "prediction", "echo"),
        *("reasoning_effort", "verbosity", "web_search_options", "safety_identifier", "prompt_cache_key", "suffix"),
        *("dimensions", "encoding_format", "llmgw", "prompt_cache_retention"),
    }
)


def check(fields: Mapping[str, Any], *, strict: bool) -> None:
    """Judges the parameters. Raises InvalidRequest."""
    check_names(fields, ACTED_ON)
    for name, judge in _JUDGES.items():
        if name in fields and (value := fields[name]) is not None:
            judge(name, value, fields)
    if strict:
        _check_strictly(fields)


def refuse(fields: Mapping[str, Any]) -> None:
    """Refuses what no client may say to a provider. Raises InvalidRequest."""
    if not _REFUSED.isdisjoint(fields):
        name = next(name for name in fields if name in _REFUSED)
        raise InvalidRequest(f"{name} is not a parameter of this API", code="unknown_parameter", param=name)


def is_refused(name: str) -> bool:
    return name in _REFUSED


def check_names(fields: Mapping[str, Any], acted_on: Set[str]) -> None:
    """Refuses names that steer the gateway, and other spellings of those that are acted on. Raises InvalidRequest."""
    refuse(fields)
    for name in fields:
        if name not in acted_on and name.casefold() in acted_on:
            raise InvalidRequest(f"{name[:64]!r} is spelt {name.casefold()}", code="unknown_parameter", param=name[:64])


def features(fields: Mapping[str, Any]) -> frozenset[str]:
    """What the parameters ask for, in the words of `core.call.FEATURES`."""
    found = set()
    if fields.get("tools") or fields.get("functions"):
        found.add("tools")
    form = fields.get("response_format")
    if isinstance(form, dict) and form.get("type") in ("json_schema", "json_object"):
        found.add(form["type"])
    if fields.get("n", 1) not in (1, None):
        found.add("n")
    if fields.get("logprobs"):
        found.add("logprobs")
    return frozenset(found) if found else _NONE


def _output_cap(name: str, value: Any, fields: Mapping[str, Any]) -> None:
    if not _is_integer(value) or not 1 <= value <= _MAX_INT:
        raise _invalid(name, f"must be an integer from 1 to {_MAX_INT}")
    if name == "max_completion_tokens" and fields.get("max_tokens") is not None:
        raise InvalidRequest("send max_tokens or max_completion_tokens", code="mutually_exclusive", param=name)


def _choices(name: str, value: Any, fields: Mapping[str, Any]) -> None:
    if not _is_integer(value) or not 1 <= value <= MAX_CHOICES:
        raise _invalid(name, f"must be an integer from 1 to {MAX_CHOICES}")


def _boolean(name: str, value: Any, fields: Mapping[str, Any]) -> None:
    if not isinstance(value, bool):
        raise InvalidRequest(f"{name} must be true or false", code="invalid_type", param=name)


def _stream_options(name: str, value: Any, fields: Mapping[str, Any]) -> None:
    if not isinstance(value, dict):
        raise InvalidRequest(f"{name} must be an object", code="invalid_type", param=name)
    if fields.get("stream") is not True:
        raise InvalidRequest(f"{name} needs stream: true", code="invalid_type", param=name)
    include = value.get("include_usage")
    if include is not None and not isinstance(include, bool):
        raise InvalidRequest("include_usage must be true or false", code="invalid_type", param=f"{name}.include_usage")


def _tools(name: str, value: Any, fields: Mapping[str, Any]) -> None:
    if not isinstance(value, list) or len(value) > MAX_TOOLS:
        raise _invalid(name, f"must be an array of at most {MAX_TOOLS} tools")
    names = set()
    for tool in value:
        function = tool.get("function") if isinstance(tool, dict) else None
        if function is None and isinstance(tool, dict) and tool.get("type") not in (None, "function"):
            continue  # a provider's own kind of tool
        title = function.get("name") if isinstance(function, dict) else None
        if not isinstance(title, str) or not _TOOL_NAME.fullmatch(title) or title in names:
            raise _invalid(name, "must be functions with names of letters, digits, _ and -, all different")
        names.add(title)


def _tool_choice(name: str, value: Any, fields: Mapping[str, Any]) -> None:
    tools = fields.get("tools") or []
    if value == "required" and not tools:
        raise _invalid(name, "needs tools")
    if isinstance(value, dict) and isinstance(value.get("function"), dict):
        wanted = value["function"].get("name")
        if all(not isinstance(t, dict) or (t.get("function") or {}).get("name") != wanted for t in tools):
            raise _invalid(name, "names a tool that is not there")


def _response_format(name: str, value: Any, fields: Mapping[str, Any]) -> None:
    if not isinstance(value, dict) or not isinstance(value.get("type"), str):
        raise _invalid(name, "must be an object with a type")
    schema = value.get("json_schema")
    if value["type"] == "json_schema" and not (isinstance(schema, dict) and isinstance(schema.get("schema"), dict)):
        raise _invalid(name, "needs json_schema.schema")


def _user(name: str, value: Any, fields: Mapping[str, Any]) -> None:
    if not isinstance(value, str) or len(value) > 1024:
        raise _invalid(name, "must be a string of at most 1,024 characters")


def _metadata(name: str, value: Any, fields: Mapping[str, Any]) -> None:
    if not isinstance(value, dict) or len(value) > 16 or any(isinstance(v, dict | list) for v in value.values()):
        raise _invalid(name, "must be an object of at most 16 plain values")
    if not TRANSLATOR_FIELDS.isdisjoint(value):
        refused = next(key for key in value if key in TRANSLATOR_FIELDS)
        raise InvalidRequest(f"{name}.{refused} is refused", code="unknown_parameter", param=f"{name}.{refused}")


_JUDGES = {
    "max_tokens": _output_cap,
    "max_completion_tokens": _output_cap,
    "n": _choices,
    "best_of": _choices,
    "stream": _boolean,
    "stream_options": _stream_options,
    "parallel_tool_calls": _boolean,
    "tools": _tools,
    "tool_choice": _tool_choice,
    "response_format": _response_format,
    "user": _user,
    "safety_identifier": _user,
    "metadata": _metadata,
}


ACTED_ON = frozenset({"model", "messages", "prompt", "input", "llmgw", "functions", "logprobs", *_JUDGES})
"""Some providers read names without regard to case: a second spelling of these would say something else to them than to us."""


def _check_strictly(fields: Mapping[str, Any]) -> None:
    for name in fields:
        if name not in _STRICT_KNOWN:
            raise InvalidRequest(f"{name[:64]} is not a known parameter", code="unknown_parameter", param=name[:64])
    for name, (least, most) in _STRICT_RANGES.items():
        value = fields.get(name)
        if value is None:
            continue
        if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value <= most:
            code = "invalid_type" if name == "seed" else "invalid_value"
            raise InvalidRequest(f"{name} must be a number from {least} to {most}", code=code, param=name)
    _check_stop(fields.get("stop"))
    for index, tool in enumerate(fields.get("tools") or ()):
        _check_schema(tool, f"tools[{index}].function.parameters")
    bias = fields.get("logit_bias")
    if bias is not None and (not isinstance(bias, dict) or len(bias) > 1024 or not all(map(str.isdigit, bias))):
        raise _invalid("logit_bias", "must map at most 1,024 token ids to numbers")


def _check_stop(stop: Any) -> None:
    if stop is None:
        return
    parts = [stop] if isinstance(stop, str) else stop
    if (
        not isinstance(parts, list)
        or len(parts) > 4
        or not all(isinstance(s, str) and 0 < len(s) <= 1024 for s in parts)
    ):
        raise _invalid("stop", "must be 1 to 4 strings of 1 to 1,024 characters")


def _check_schema(tool: Mapping[str, Any], where: str) -> None:
    schema = (tool.get("function") or {}).get("parameters")
    if schema is None:
        return
    if not isinstance(schema, dict) or "$ref" in schema or not all(ref.startswith("#") for ref in _references(schema)):
        raise InvalidRequest(f"{where} is not a JSON schema that stands by itself", code="invalid_schema", param=where)


def _references(schema: Any) -> Iterator[str]:
    """The targets of all references in a schema, which are never followed."""
    if isinstance(schema, dict):
        for name, inner in schema.items():
            if name == "$ref":
                yield str(inner)
            yield from _references(inner)
    elif isinstance(schema, list):
        for inner in schema:
            yield from _references(inner)


def _is_integer(value: Any) -> bool:
    return (isinstance(value, int) and not isinstance(value, bool)) or (isinstance(value, float) and value.is_integer())


def _invalid(name: str, what: str) -> InvalidRequest:
    return InvalidRequest(f"{name} {what}", code="invalid_value", param=name)
