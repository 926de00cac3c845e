"""Templates: each from a file of its own, with everything that is wrong told where it stands in that file."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath

from gateway.policy import schema
from gateway.policy.mistakes import Mistakes, Path, Place, Places, nearest
from gateway.policy.schema_template import TemplateText
from gateway.policy.sections.models import Models, unknown
from gateway.policy.sections.template_cases import TemplateCase, compile_template_cases
from gateway.policy.sections.template_versions import compile_versions, standing_of
from gateway.policy.shapes import listed
from gateway.policy.source.document import Document, parse
from gateway.policy.source.folder import PARTIALS, TEMPLATES, Source
from gateway.policy.validate import validate_whole
from gateway.template.choose import named
from gateway.template.engine import Engine
from gateway.template.grammar import GrammarError
from gateway.template.prompts import Templates
from gateway.template.rules import Mode, Rollout, Shadow, Template, Unit
from gateway.template.wanted import split

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_NAMED = "a template's name is made of letters, digits, `.`, `_` and `-`, 64 at most"
_FOLDER = f"{TEMPLATES}/{PARTIALS}/"
_LARGEST_PARTIAL = 64 * 1024


@dataclass(frozen=True, slots=True)
class Written:
    """A template, what its file says, and where."""

    template: Template
    text: TemplateText
    places: Places
    cases: tuple[TemplateCase, ...]


@dataclass(frozen=True, slots=True)
class Compiled:
    templates: Templates
    written: tuple[Written, ...] = ()


def compile_templates(policy: schema.Policy, source: Source, mistakes: Mistakes) -> Compiled:
    """Those that the policy names, and every other file that is right in templates/ by its own name."""
    engine = Engine()
    partials = _partials(source, engine, mistakes)
    written = []
    for name, file in _files(policy, source, mistakes):
        document, wrong = parse(source.below[file], str(source.folder / file), None)
        if not wrong.found and (found := _template(name, file, document, partials, engine, wrong)) is not None:
            written.append(found)
        mistakes.found.extend(wrong.found)
    return Compiled(Templates({each.template.name: each.template for each in written}, engine), tuple(written))


def _files(policy: schema.Policy, source: Source, mistakes: Mistakes) -> Iterator[tuple[str, str]]:
    """The names of templates, each with its file's."""
    listed_files: set[str] = set()
    known = sorted(name for name in source.below if not name.startswith(_FOLDER))
    for name, entry in policy.templates.items():
        path: Path = ("templates", name)
        file = str(PurePosixPath(entry.file))
        listed_files.add(file)
        if not _NAME.fullmatch(name):
            mistakes.add(path, _NAMED, key=True)
        elif file not in known:
            mistakes.add((*path, "file"), f"there is no file {file[:100]!r} in the policy folder{nearest(file, known)}")
        else:
            yield name, file
    for file in known:
        name, depth = PurePosixPath(file).stem, file.count("/")
        if file in listed_files:
            continue
        if depth > 1:
            _at(
                file,
                source,
                mistakes,
                f"nothing names this file: add it under `templates`, such as {{{name[:40]}: {{file: {file[:100]}}}}}",
            )
        elif name in policy.templates:
            _at(file, source, mistakes, f"the template {name!r} is already in the file {policy.templates[name].file!r}")
        elif not _NAME.fullmatch(name):
            _at(file, source, mistakes, _NAMED)
        else:
            yield name, file


def _at(file: str, source: Source, mistakes: Mistakes, message: str) -> None:
    mistakes.add_at(Place(str(source.folder / file), 1, 1), (), message)


def _partials(source: Source, engine: Engine, mistakes: Mistakes) -> Mapping[str, str]:
    found: dict[str, str] = {}
    for file, content in source.below.items():
        if not file.startswith(_FOLDER):
            continue
        name = PurePosixPath(file).stem
        try:
            text = content.decode().removeprefix("\ufeff").removesuffix("\n")
            if not _NAME.fullmatch(name):
                raise GrammarError(1, _NAMED.replace("template", "partial"))
            if len(content) > _LARGEST_PARTIAL:
                raise GrammarError(1, "a partial has at most 64 KiB")
            engine.add_partial(name, text)
            found[name] = text
        except UnicodeDecodeError:
            _at(file, source, mistakes, "the file is not valid UTF-8")
        except GrammarError as error:
            mistakes.add_at(Place(str(source.folder / file), error.line, 1), (), error.message)
    return found


def _template(
    name: str, file: str, document: Document, partials: Mapping[str, str], engine: Engine, mistakes: Mistakes
) -> Written | None:
    text = validate_whole(TemplateText, document, mistakes)
    if text is None:
        return None
    variables, versions = compile_versions(name, text, partials, engine, mistakes)
    labels = _labels(text, mistakes)
    rollout = _rollout(text, labels, mistakes)
    standing = standing_of(text, mistakes)
    if mistakes.found or standing is None:
        return None
    template = Template(
        name=name,
        mode=Mode(text.mode),
        versions=versions,
        standing=standing,
        variables=variables,
        labels=labels,
        rollout=rollout,
        tenants=frozenset(listed(text.tenants)),
        description=text.description,
        file=file,
    )
    cases = tuple(compile_template_cases(template, text, document, mistakes))
    return None if mistakes.found else Written(template, text, document.places, cases)


def _labels(text: TemplateText, mistakes: Mistakes) -> Mapping[str, int]:
    for label, number in text.labels.items():
        if str(number) not in text.versions:
            mistakes.add(("labels", label), f"there is no version {number}{nearest(str(number), text.versions)}")
    return dict(text.labels)


def _rollout(text: TemplateText, labels: Mapping[str, int], mistakes: Mistakes) -> Rollout | None:
    """The baseline is what `production` names, else the oldest version that is in it."""
    written = text.rollout
    if written is None:
        return None
    path: Path = ("rollout", "weights")
    for number in written.weights:
        if number not in text.versions:
            mistakes.add((*path, number), f"there is no version {number}{nearest(number, text.versions)}", key=True)
    weights = {int(number): weight for number, weight in written.weights.items()}
    if not any(weights.values()):
        mistakes.add(path, "every weight is 0: no version would get a call")
    baseline = labels.get("production", min(weights))
    if baseline not in weights:
        mistakes.add(path, f"version {baseline}, which `production` names, has no weight here; 0 is one, too")
    shadow = None
    if (beside := written.shadow) is not None:
        if str(beside.version) not in text.versions:
            there_is = f"there is no version {beside.version}{nearest(str(beside.version), text.versions)}"
            mistakes.add(("rollout", "shadow", "version"), there_is)
        shadow = Shadow(beside.version, beside.share, beside.budget)
    return Rollout(weights, baseline, Unit(written.by), written.salt, written.step_back.resolved(), shadow)


def check_models(compiled: Compiled, models: Models, aliases: frozenset[str], mistakes: Mistakes) -> None:
    """Whoever a template names as its model can be asked for."""
    for written in compiled.written:
        text = written.text
        named: list[tuple[Path, str | None]] = [(("model",), text.model)]
        named += [(("versions", number, "model"), version.model) for number, version in text.versions.items()]
        for path, name in named:
            if name is not None and name not in aliases and models.find(name) is None:
                mistakes.add_at(written.places.find(path), path, unknown(name, models))
        for index, test in enumerate(text.tests):
            judge = None if test.expect_answer is None else test.expect_answer.judge
            if judge is not None and models.find(judge.model) is None:
                at: Path = ("tests", index, "expect_answer", "judge", "model")
                mistakes.add_at(written.places.find(at), at, unknown(judge.model, models))


def check_route(name: str, templates: Templates) -> str | None:
    """What is wrong with a template that a route names, or None."""
    template = templates.named.get(split(name)[0])
    if template is None:
        return f"there is no template {split(name)[0][:64]!r}{nearest(split(name)[0], templates.named)}"
    if named(template, split(name)[1]) is None:
        return f"the template {template.name!r} has no version or label {split(name)[1]!r}"
    if template.mode is Mode.WHOLE:
        return (
            f"the template {template.name!r} is a whole prompt: a route's stands beside the client's messages (`mode`)"
        )
    return None
