"""What each program tries with each model, and how it tells what came of it: a line of JSON for each."""

from __future__ import annotations

import json
import sys
import traceback
from collections.abc import Callable, Mapping
from typing import Any

BASE_URL, KEY, *MODELS = sys.argv[1:]
"""Where the gateway is, without `/v1`; a virtual key; and the models to try."""

HELLO = "Say hello"
HELLO_ANSWER = "Hello from the other side of the gateway!"
WEATHER = "What is the weather in Paris?"
WEATHER_ANSWER = "It is 21 degrees in Paris."
EXTRACT = "Extract the person: Ada is 36 years old."
PERSON = {"name": "Ada", "age": 36}
PERSON_SCHEMA = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "age": {"type": "integer"}},
    "required": ["name", "age"],
    "additionalProperties": False,
}
WEATHER_SCHEMA = {
    "type": "object",
    "properties": {"city": {"type": "string"}},
    "required": ["city"],
    "additionalProperties": False,
}
PICTURE_QUESTION = "What is in this picture?"
PICTURE = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAIAAACQd1PeAAAADElEQVR4nGP4z8AAAAMBAQDJ/pLvAAAAAElFTkSuQmCC"
"""A PNG in base64."""
PICTURE_ANSWER = "A red square, as far as I can see."
FAIL = "please fail"
FAIL_WORDS = "this was asked for"


def equal(seen: object, wanted: object) -> None:
    if seen != wanted:
        raise AssertionError(f"{seen!r} is not {wanted!r}")


def true(fact: object, what: str) -> None:
    if not fact:
        raise AssertionError(what)


def fails(kind: type[Exception], work: Callable[[], Any], *, status: int = 400) -> None:
    """Whether the work fails as the program's library says it does, with the provider's words."""
    try:
        work()
    except kind as error:
        equal(getattr(error, "status_code", status), status)
        true(FAIL_WORDS in str(error), f"{error!s} does not say {FAIL_WORDS!r}")
        return
    raise AssertionError("it did not fail")


def run(cells: Mapping[str, Callable[[str], None]]) -> None:
    """Tries each cell with each model."""
    for model in MODELS:
        for cell, attempt in cells.items():
            try:
                attempt(model)
                why = None
            except Exception as error:
                why = "".join(traceback.format_exception_only(error)).strip() or repr(error)
            print(json.dumps({"model": model, "cell": cell, "why": why}), flush=True)
