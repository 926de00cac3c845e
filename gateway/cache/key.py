"""The key of an answer: equal for two calls only if the same answer serves both.

What is hashed is a JSON array, so that no two different inputs are written alike: whose answers may be shared, what is asked
for and of whom, and the request itself, less the few members that say nothing to the model. Members that we do not know are
part of the key.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from hashlib import blake2b
from typing import Any

import orjson

from gateway.core.tenant import Tenant

VERSION = 1
"""Of the encoding: another one makes every older key unreachable."""

WITHOUT_EFFECT: Mapping[str, str] = {
    "stream": "how the answer is sent; one that was kept is sent either way",
    "stream_options": "whether the usage is sent, and padding",
    "user": "whom the provider watches for abuse",
    "safety_identifier": "whom the provider watches for abuse",
    "metadata": "notes beside what the provider stores",
    "store": "whether the provider keeps the answer for its own pages",
    "service_tier": "how soon and at what price it is answered",
    "prompt_cache_key": "which of the provider's machines is asked",
    "prompt_cache_retention": "how long the provider remembers the prompt's beginning",
    "prompt_cache_options": "how the provider remembers the prompt's beginning",
    "llmgw": "said to the gateway, and taken out of the request",
}
"""The members left out of the key, each with what it decides instead of the answer."""

_left_out = frozenset(WITHOUT_EFFECT)
_DIGEST_BYTES = 32
_LONGEST_PEPPER = 64


class Sharing(Enum):
    """Among whom an answer is shared, from the narrowest."""

    KEY = "key"
    TEAM = "team"
    ORG = "org"


@dataclass(frozen=True, slots=True)
class Target:
    """What is asked for and of whom. `model` is the name of the one that the route chose, and `deployments` has provider and
    upstream model of each that may answer for it; `template` names the prompt template and its version ("" without one).
    `unsaid` is what one of them is told beyond the fields."""

    operation: str
    model: str
    route: str
    template: str = ""
    deployments: tuple[tuple[str, str], ...] = ()
    unsaid: bytes = b""


def scope_of(tenant: Tenant, sharing: Sharing) -> tuple[str, ...]:
    """Those who share an answer. A key outside any team shares with nobody where teams share."""
    if sharing is Sharing.ORG:
        return (sharing.value, tenant.org)
    if sharing is Sharing.TEAM and tenant.team is not None:
        return (sharing.value, tenant.org, tenant.team)
    return (Sharing.KEY.value, tenant.org, tenant.team or "", tenant.key_id)


def exact_key(pepper: bytes, scope: tuple[str, ...], target: Target, fields: Mapping[str, Any]) -> bytes:
    """32 bytes that stand for this call. `pepper` is the store's secret, 1 to 64 bytes; `fields` the client's parsed JSON."""
    return digest(pepper, encode(scope, target, fields))


def digest(pepper: bytes, text: bytes) -> bytes:
    """A keyed BLAKE2b of 32 bytes. Raises ValueError for a pepper that is empty or longer than 64 bytes."""
    if not 0 < len(pepper) <= _LONGEST_PEPPER:
        raise ValueError("the pepper must have 1 to 64 bytes")
    return blake2b(text, digest_size=_DIGEST_BYTES, key=pepper).digest()


def encode(scope: tuple[str, ...], target: Target, fields: Mapping[str, Any]) -> bytes:
    """What is hashed: one JSON text for each set of equal inputs, and another for every other."""
    asked = {name: value for name, value in fields.items() if name not in _left_out}
    head = (VERSION, scope, target.operation, target.model, target.route, target.template, target.deployments)
    return canonical((head, asked, target.unsaid.decode()) if target.unsaid else (head, asked))


def canonical(value: Any) -> bytes:
    """JSON without spaces, members in the order of their names, and numbers that are equal written alike."""
    if _has_whole_float(value):
        value = _with_whole_numbers(value)
    try:
        return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
    except TypeError:  # integers of more than 64 bits
        return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


def _has_whole_float(value: Any) -> bool:
    """Whether a number in it is written with a point and need not be. Most requests have none, and are not copied."""
    kind = type(value)
    if kind is dict:
        value = value.values()
    elif kind is not list and kind is not tuple:
        return kind is float and value.is_integer()
    for inner in value:
        kind = type(inner)
        if kind is float:
            if inner.is_integer():
                return True
        elif (kind is dict or kind is list or kind is tuple) and _has_whole_float(inner):
            return True
    return False


def _with_whole_numbers(value: Any) -> Any:
    """The same with 1 for 1.0: JSON knows no kinds of numbers."""
    kind = type(value)
    if kind is dict:
        return {name: _with_whole_numbers(inner) for name, inner in value.items()}
    if kind is list or kind is tuple:
        return [_with_whole_numbers(inner) for inner in value]
    return int(value) if kind is float and value.is_integer() else value
