"""The tests of a template, each with the place it is written at."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from gateway.policy.assertions import check_assertion
from gateway.policy.mistakes import Mistakes, Path, Place
from gateway.policy.schema_template import TemplateText, Test
from gateway.policy.source.document import Document
from gateway.template.choose import named
from gateway.template.rules import Mode, Template


@dataclass(frozen=True, slots=True)
class TemplateCase:
    """What must come of a version of a template with some variables."""

    template: Template
    place: Place
    test: Test

    @property
    def version(self) -> str | None:
        return None if self.test.version is None else str(self.test.version)


def compile_template_cases(
    template: Template, text: TemplateText, document: Document, mistakes: Mistakes
) -> Iterator[TemplateCase]:
    names: set[str] = set()
    for index, test in enumerate(text.tests):
        path: Path = ("tests", index)
        if test.name in names:
            mistakes.add((*path, "name"), f"there is already a test {test.name!r}")
        names.add(test.name)
        case = TemplateCase(template, document.places.find((*path, "name"), key=True), test)
        if named(template, case.version) is None:
            mistakes.add((*path, "version"), f"there is no version or label {case.version!r}")
        if test.content is not None and template.mode is Mode.WHOLE:
            mistakes.add(
                (*path, "content"), "the template is a whole prompt: its client says nothing besides", key=True
            )
        _check_expected(test, path, mistakes)
        yield case


def _check_expected(test: Test, path: Path, mistakes: Mistakes) -> None:
    for key in ("expect", "expect_answer"):
        written = getattr(test, key)
        if key in test.model_fields_set:
            check_assertion(written, (*path, key), mistakes)
    if test.error is not None and {"expect", "expect_answer"} & test.model_fields_set:
        mistakes.add((*path, "error"), "a call that is refused has neither messages nor an answer", key=True)
    if not {"expect", "expect_answer", "error"} & test.model_fields_set:
        mistakes.add(path, "nothing is expected: say expect, expect_answer or error")
    is_answered = test.answer is not None or test.model is not None
    if is_answered != (test.expect_answer is not None):
        mistakes.add(path, "`expect_answer` needs `answer` (a recorded one) or `model: demo`, and these need it")
    if test.answer is not None and test.model is not None:
        mistakes.add((*path, "model"), "the answer is recorded already", key=True)
