"""What a caller gives for a template's variables, checked by their types before anything is rendered."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gateway.core.errors import InvalidRequest
from gateway.template.rules import Kind, Variable

_LARGEST_NUMBER = 2**63
_LONGEST_NAME = 64


def values(variables: Mapping[str, Variable], given: Mapping[str, Any]) -> dict[str, Any]:
    """A value for each variable. Raises InvalidRequest, which names the one that is missing, unknown or not what it must be."""
    for name in given:
        if name not in variables:
            known = f"it has {', '.join(sorted(variables))}" if variables else "it has none"
            raise refused(name, f"the template has no such variable; {known}")
    found: dict[str, Any] = {}
    for name, variable in variables.items():
        if name in given:
            if (wrong := mismatch(variable, given[name])) is not None:
                raise refused(name, wrong)
            found[name] = given[name]
        elif variable.required:
            raise refused(name, "it is required, and missing")
        else:
            found[name] = variable.default
    return found


def mismatch(variable: Variable, value: Any) -> str | None:
    """What is wrong with a value, or None."""
    kind = variable.kind
    if not isinstance(value, _TYPES[kind]) or (kind is Kind.NUMBER and isinstance(value, bool)):
        return f"expected {_EXPECTED[kind]}, found {_shown(value)}"
    if kind is Kind.ENUM and value not in variable.choices:
        return f"expected one of {', '.join(variable.choices)}"
    return _excess(variable, value)


def _excess(variable: Variable, value: Any) -> str | None:
    if variable.kind is Kind.NUMBER and not -_LARGEST_NUMBER < value < _LARGEST_NUMBER:
        return "the number is too large"
    if variable.most and len(value) > variable.most:
        unit = "characters" if variable.kind is Kind.STRING else "members"
        return f"expected at most {variable.most:,} {unit}, found {len(value):,}"
    return None


def refused(name: str, why: str) -> InvalidRequest:
    name = name[:_LONGEST_NAME]
    return InvalidRequest(f"the variable {name!r}: {why}", code="template_variable", param=f"variables.{name}")


def _shown(value: Any) -> str:
    if value is None:
        return "null"
    kinds: dict[type, str] = {bool: "a boolean", str: "a string", list: "a list", dict: "an object"}
    return kinds.get(type(value), "a number")


_TYPES: Mapping[Kind, type | tuple[type, ...]] = {
    Kind.STRING: str,
    Kind.NUMBER: (int, float),
    Kind.BOOLEAN: bool,
    Kind.ENUM: str,
    Kind.LIST: list,
    Kind.OBJECT: dict,
}
_EXPECTED: Mapping[Kind, str] = {
    Kind.STRING: "a string",
    Kind.NUMBER: "a number",
    Kind.BOOLEAN: "true or false",
    Kind.ENUM: "a string",
    Kind.LIST: "a list",
    Kind.OBJECT: "an object",
}
EMPTY: Mapping[Kind, Any] = {Kind.STRING: "", Kind.LIST: [], Kind.OBJECT: {}}
"""What a variable of such a kind is where nothing is given and no default written."""
