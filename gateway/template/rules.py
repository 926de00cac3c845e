"""The templates of a snapshot: their versions, typed variables, labels, and how calls are shared out between versions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from gateway.template.rollout.bounds import StepBack

PRODUCTION = "production"
"""The label that a template's bare name stands for."""


class Kind(Enum):
    STRING = "string"
    NUMBER = "number"
    BOOLEAN = "boolean"
    ENUM = "enum"
    LIST = "list"
    OBJECT = "object"


class Mode(Enum):
    """What becomes of the client's own messages."""

    WHOLE = "whole"
    """There must be none."""
    PREPEND = "prepend"
    """The template's come first."""
    APPEND = "append"
    """The template's come last."""
    REPLACE_SYSTEM = "replace_system"
    """The template's come first, and the client's system and developer messages are left out."""


class Unit(Enum):
    """What keeps its version while weights stay."""

    CONVERSATION = "conversation"
    USER = "user"


@dataclass(frozen=True, slots=True)
class Variable:
    """`most`: characters of a text, members of a list or an object. `default` is meaningless where it is `required`."""

    name: str
    kind: Kind
    required: bool
    default: Any = None
    most: int = 0
    choices: tuple[str, ...] = ()
    example: Any = None


@dataclass(frozen=True, slots=True)
class Message:
    """`source` is the text as it was written, `compiled` its name in the engine; a name of "" means that nothing in it is to be
    rendered."""

    role: str
    source: str
    compiled: str = ""
    name: str | None = None


@dataclass(frozen=True, slots=True)
class Version:
    """`hash`: 12 hexadecimal digits, of all that a render depends on. `tools`, `response_format` and `parameters` are members of
    a request's body; `model` is the one to ask where the client named none; `features` are what all that makes a call use."""

    number: int
    hash: str
    messages: tuple[Message, ...]
    tools: tuple[Any, ...] = ()
    response_format: Mapping[str, Any] | None = None
    parameters: Mapping[str, Any] = field(default_factory=dict)
    model: str | None = None
    features: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Shadow:
    """`version` is asked beside this share of the calls that the rollout shares out, for at most `budget` nano-USD in a UTC day
    (None: without a limit). Nobody is served its answers."""

    version: int
    share: float
    budget: int | None = None


@dataclass(frozen=True, slots=True)
class Rollout:
    """How calls that ask for `production` or no version are shared out. `weights` by number of the version, all positive;
    `baseline` is one of them: where calls go when every other one has been stepped back. `salt` makes another draw. `step_back`:
    how much worse than the baseline the others may be."""

    weights: Mapping[int, int]
    baseline: int
    by: Unit = Unit.CONVERSATION
    salt: str = ""
    step_back: StepBack = field(default_factory=StepBack)
    shadow: Shadow | None = None


@dataclass(frozen=True, slots=True)
class Template:
    """`tenants`: the organisations, or `organisation/team`, that may use it; none: everybody. `standing` is the version that its
    bare name means where there is no rollout. `file` is where it was written."""

    name: str
    mode: Mode
    versions: Mapping[int, Version]
    standing: int
    variables: Mapping[str, Variable] = field(default_factory=dict)
    labels: Mapping[str, int] = field(default_factory=dict)
    rollout: Rollout | None = None
    tenants: frozenset[str] = frozenset()
    description: str = ""
    file: str = ""
