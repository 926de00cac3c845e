"""What the YAML of a template may say: one file for each. An unknown key is a mistake, as in a policy."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, StringConstraints, Tag

from gateway.policy.schema_rollout import Beside, Bounds
from gateway.policy.shapes import OneOrMany, Section, Text, shape

WORD = r"^[A-Za-z_][A-Za-z0-9_]*$"
NUMBER = r"^[1-9][0-9]{0,4}$"
LABEL = r"^[A-Za-z][A-Za-z0-9._-]*$"
SPEAKER = r"^[^\s<|\\/>]{1,64}$"
Word = Annotated[str, StringConstraints(pattern=WORD, max_length=64)]
Number = Annotated[str, StringConstraints(pattern=NUMBER)]
Label = Annotated[str, StringConstraints(pattern=LABEL, max_length=64)]
Which = Annotated[Text | Annotated[int, Tag("<other>")], Discriminator(shape)]
Weight = Annotated[int, Field(ge=0, le=1_000_000)]


class Variable(Section):
    """A value that the caller gives."""

    type: Literal["string", "number", "boolean", "enum", "list", "object"] = "string"
    description: str = ""
    required: bool | None = None
    """Default: true, unless there is a `default`. One that is not required and has none is empty: "", [] or {}."""
    default: Any = None
    """What it is where the caller gives nothing."""
    max_length: Annotated[int, Field(ge=1, le=1_000_000)] | None = None
    """Of a string, in characters. Default 100000."""
    max_items: Annotated[int, Field(ge=1, le=10_000)] | None = None
    """Of a list or an object. Default 1000."""
    values: Annotated[list[str], Field(min_length=1, max_length=200)] | None = None
    """What an enum may be."""
    example: Any = None
    """A value to try the template with when it is loaded."""


class Message(Section):
    """One message, under the role that says it."""

    system: str | None = None
    developer: str | None = None
    user: str | None = None
    assistant: str | None = None
    name: Annotated[str, StringConstraints(pattern=SPEAKER)] | None = None
    """The name of whoever says it, for providers that want to know."""


class Parameters(Section):
    """What is asked for where the client says nothing itself."""

    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    top_p: Annotated[float, Field(ge=0, le=1)] | None = None
    top_k: Annotated[int, Field(ge=1)] | None = None
    max_tokens: Annotated[int, Field(ge=1, le=2**31 - 1)] | None = None
    max_completion_tokens: Annotated[int, Field(ge=1, le=2**31 - 1)] | None = None
    presence_penalty: Annotated[float, Field(ge=-2, le=2)] | None = None
    frequency_penalty: Annotated[float, Field(ge=-2, le=2)] | None = None
    seed: int | None = None
    stop: OneOrMany | None = None
    reasoning_effort: Literal["none", "minimal", "low", "medium", "high", "xhigh"] | None = None
    verbosity: Literal["low", "medium", "high"] | None = None
    parallel_tool_calls: bool | None = None
    tool_choice: Annotated[Text | Annotated[dict[str, Any], Tag("<mapping>")], Discriminator(shape)] | None = None


class Version(Section):
    """One wording of the prompt. It is never changed once it is in use: a change is another number."""

    description: str = ""
    messages: Annotated[list[Message], Field(min_length=1, max_length=200)]
    """In their order: a system message, examples as pairs of user and assistant, and what the caller gives as variables."""
    tools: Annotated[list[dict[str, Any]], Field(max_length=128)] = []
    """As a request has them. A call that brings other ones is refused."""
    response_format: dict[str, Any] | None = None
    """As a request has it."""
    parameters: Parameters = Parameters()
    """What is asked for where the client says nothing itself."""
    model: str | None = None
    """The model of a call that asks for the template in the place of a model. Default: the file's."""


class Rollout(Section):
    """How the calls that ask for `production`, or for no version, are shared out between versions."""

    weights: Annotated[dict[Number, Weight], Field(min_length=1, max_length=20)]
    """By the numbers of the versions: {2: 90, 3: 10}."""
    by: Literal["conversation", "user"] = "conversation"
    """What keeps its version."""
    salt: Annotated[str, Field(max_length=64)] = ""
    """Another text is another draw."""
    step_back: Bounds = Bounds()
    """When a new version gets no more calls."""
    shadow: Beside | None = None
    """A version that is asked beside calls, and serves nobody."""


class Assertion(Section):
    """What a text must be. All that is said must hold."""

    message: Annotated[int, Field(ge=0)] | None = None
    """The message that is looked at, from 0. Default: all of them, an empty line between two."""
    equals: str | None = None
    contains: OneOrMany | None = None
    not_contains: OneOrMany | None = None
    matches: OneOrMany | None = None
    """Regular expressions (RE2), each of which must be found."""
    json_schema: dict[str, Any] | None = None
    """The text is JSON, and is as the schema says."""


class Judge(Section):
    """A question about the answer, which a model is asked."""

    asks: Annotated[str, Field(min_length=1, max_length=2000)]
    """A question to be answered by yes or no: Does the answer promise a refund?"""
    expect: Literal["yes", "no"]
    model: str
    """The model of the policy that judges. Its provider is asked only by `llmgw check --judge`, but for the built-in one."""


class AnswerAssertion(Assertion):
    """What an answer must be. All that is said must hold."""

    judge: Judge | None = None
    """What a model must find of it."""


class Test(Section):
    """A requirement, checked by `llmgw check` without calling anybody."""

    name: Annotated[str, Field(min_length=1, max_length=200)]
    version: Which | None = None
    """A number or a label. Default: the version that the template's bare name means."""
    variables: dict[str, Any] = {}
    content: str | None = None
    """What the client's one message says, for a template that is put round the client's messages."""
    expect: Assertion = Assertion()
    """What the rendered messages must be."""
    error: str | None = None
    """The `code` with which the call must be refused instead, such as template_variable."""
    answer: str | None = None
    """A recorded answer, to be looked at by `expect_answer`."""
    model: Literal["demo"] | None = None
    """`demo`: the built-in provider answers."""
    expect_answer: AnswerAssertion | None = None
    """What the answer must be."""


class TemplateText(Section):
    """A prompt template: versions of a prompt, the values it needs, and which version calls get."""

    description: str = ""
    mode: Literal["whole", "prepend", "append", "replace_system"] = "whole"
    """`whole`: it is the prompt, and the client sends no messages. Else it stands before or after the client's messages, or
    before them and in the place of their system messages."""
    model: str | None = None
    """The model of a call that asks for the template in the place of a model."""
    variables: Annotated[dict[Word, Variable], Field(max_length=100)] = {}
    """The values that callers give."""
    versions: Annotated[dict[Number, Version], Field(min_length=1, max_length=1000)]
    """By their numbers, from 1."""
    labels: Annotated[dict[Label, Annotated[int, Field(ge=1, le=99999)]], Field(max_length=50)] = {}
    """Names of versions. `production` is the version that the template's bare name means."""
    rollout: Rollout | None = None
    """How calls are shared out between versions."""
    tenants: OneOrMany | None = None
    """The organisations, or organisation/team, that may use it. Default: everybody."""
    tests: Annotated[list[Test], Field(max_length=1000)] = []
    """Requirements, checked by `llmgw check`."""
