"""Runs the tests of templates with the code that puts them round real calls."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from gateway.core.call import Call, Operation
from gateway.core.errors import CallerError
from gateway.policy.assertions import differences
from gateway.policy.judging import Judging, SkippedError
from gateway.policy.mistakes import Place
from gateway.policy.schema_template import Assertion
from gateway.policy.sections.template_cases import TemplateCase
from gateway.policy.snapshot import Snapshot
from gateway.template.apply import apply
from gateway.template.choose import Choice, named
from gateway.template.engine import Engine
from gateway.template.wanted import Wanted
from gateway.upstream.demo import complete


@dataclass(frozen=True, slots=True)
class Outcome:
    """Of the case at `place`: what is not as expected, or why nobody judged it (`skipped`), which is no pass."""

    place: Place
    name: str
    differences: tuple[str, ...] = ()
    skipped: str | None = None


def outcomes(cases: Sequence[TemplateCase], snapshot: Snapshot, judging: Judging) -> Iterator[Outcome]:
    """A judge is asked only about what is right so far."""
    for case in cases:
        choice = named(case.template, case.version)
        if choice is not None:
            yield _outcome(case, choice, snapshot, judging)


def _outcome(case: TemplateCase, choice: Choice, snapshot: Snapshot, judging: Judging) -> Outcome:
    said: list[str] = []
    label, name = f"{case.template.name}@{choice.version.number}", case.test.name
    wrong = list(_differences(case, choice, snapshot.templates.engine, said))
    judge = None if case.test.expect_answer is None else case.test.expect_answer.judge
    if judge is not None and said and not wrong:
        try:
            found = judging.wrong(judge, said[0], snapshot.routes)
        except SkippedError as error:
            return Outcome(case.place, name, skipped=f"{label}: {error}")
        wrong += [] if found is None else [f"the answer: {found}"]
    return Outcome(case.place, name, tuple([f"{label}: {each}" for each in wrong]))


def _differences(case: TemplateCase, choice: Choice, engine: Engine, said: list[str]) -> Iterator[str]:
    """What is not as expected; the answer, as far as there is one to be judged, is put into `said`."""
    test = case.test
    try:
        call = apply(_call(case), Wanted(case.template.name, None, test.variables), case.template, choice, engine)
    except CallerError as error:
        if test.error != error.code:
            wanted = "" if test.error is None else f"expected the error {test.error}, "
            yield f"{wanted}refused with {error.status} {error.code}: {error.message}"
        return
    if test.error is not None:
        yield f"expected the error {test.error}, and it was not refused"
    yield from _unlike(test.expect, [str(each["content"]) for each in call.fields["messages"]])
    if test.expect_answer is not None:
        answer = test.answer if test.answer is not None else _answer(call.fields)
        yield from (f"the answer: {each}" for each in differences(test.expect_answer, answer))
        said.append(answer)


def _unlike(expect: Assertion, texts: Sequence[str]) -> Iterator[str]:
    if expect.message is None:
        yield from differences(expect, "\n\n".join(texts))
    elif expect.message < len(texts):
        yield from differences(expect, texts[expect.message])
    else:
        yield f"there is no message {expect.message}: there are {len(texts)}, from 0"


def _answer(fields: Any) -> str:
    return str(complete(fields)["choices"][0]["message"]["content"] or "")


def _call(case: TemplateCase) -> Call:
    content = case.test.content
    fields: dict[str, Any] = {"model": "demo"}
    if content is not None:
        fields["messages"] = [{"role": "user", "content": content}]
    return Call(
        id="test", operation=Operation.CHAT, received=0.0, model="demo", body=orjson.dumps(fields), fields=fields
    )
