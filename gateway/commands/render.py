"""`llmgw render`: the messages of a template with given variables, or how two of its versions differ, calling nobody."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson

from gateway.core.clock import Clock
from gateway.core.errors import CallerError
from gateway.meter.model_table import ModelTable
from gateway.meter.price import PriceTable
from gateway.policy.compile import compile_policy
from gateway.policy.mistakes import PolicyError
from gateway.policy.sections.template_versions import examples
from gateway.settings import policy_environment, shipped_policies
from gateway.template.choose import Choice
from gateway.template.choose import named as chosen
from gateway.template.preview import difference, rendered, source, text
from gateway.template.prompts import Templates
from gateway.template.rules import Template
from gateway.template.wanted import split, unknown

if TYPE_CHECKING:
    Subparsers = argparse._SubParsersAction[argparse.ArgumentParser]


def add_parser(subparsers: Subparsers) -> None:
    parser = subparsers.add_parser("render", help="print what a template makes of variables, or how versions differ")
    parser.add_argument("template", metavar="NAME[@VERSION]", help="a template; a version's number, label or hash")
    parser.add_argument(
        "--vars", type=Path, metavar="F.json", help="its variables; default: those of the body, else examples"
    )
    parser.add_argument("--file", type=Path, metavar="BODY.json", help="the client's body, to put the template round")
    parser.add_argument("--against", metavar="NAME@VERSION", help="print the difference from this one instead")
    parser.add_argument("--policies", type=Path, default=shipped_policies(), metavar="DIR", help="default: %(default)s")


def run(args: argparse.Namespace) -> int:
    """0: printed; 1: not, for a reason printed on stderr."""
    try:
        return _render(args)
    except (PolicyError, OSError) as error:
        print(f"llmgw render: {error}", file=sys.stderr)
    except orjson.JSONDecodeError as error:
        print(f"llmgw render: this is not JSON: {error}", file=sys.stderr)
    except CallerError as error:
        print(f"llmgw render: {error.status} {error.code}: {error.message}", file=sys.stderr)
    return 1


def _render(args: argparse.Namespace) -> int:
    environment, prices = policy_environment(os.environ), PriceTable(Clock()).price
    templates = compile_policy(args.policies, environment, prices, ModelTable().abilities).templates
    variables = None if args.vars is None else _object(args.vars)
    body = {} if args.file is None else _object(args.file)
    if args.against is None:
        template, choice = _find(templates, args.template)
        print(f"# {template.name}@{choice.version.number} {choice.version.hash}")
        print(_text(template, choice, templates, variables, body))
        return 0
    for line in _difference(args, templates, variables, body):
        print(line)
    return 0


def _difference(
    args: argparse.Namespace, templates: Templates, variables: Mapping[str, Any] | None, body: Mapping[str, Any]
) -> Sequence[str]:
    """Of the sources; with variables, of what is rendered."""
    texts, names = [], []
    for named in (args.against, args.template):
        template, choice = _find(templates, named)
        names.append(f"{template.name}@{choice.version.number}")
        is_rendered = args.vars is not None
        texts.append(_text(template, choice, templates, variables, body) if is_rendered else source(choice))
    return difference(texts[0], texts[1], (names[0], names[1]))


def _find(templates: Templates, named: str) -> tuple[Template, Choice]:
    """Outside any rollout. Raises NotFound."""
    name, version = split(named)
    template = templates.named.get(name)
    choice = None if template is None else chosen(template, version)
    if template is None or choice is None:
        raise unknown(named)
    return template, choice


def _text(
    template: Template,
    choice: Choice,
    templates: Templates,
    variables: Mapping[str, Any] | None,
    body: Mapping[str, Any],
) -> str:
    given = variables
    if given is None and body:
        own = body.get("llmgw")
        given = (own.get("variables") or {}) if isinstance(own, dict) else {}
    if given is None:
        given = examples(template.variables)
    return text(rendered(template, choice, templates.engine, given, body).fields)


def _object(file: Path) -> Mapping[str, Any]:
    """Raises OSError, also for what is no object."""
    value = orjson.loads(file.read_bytes())
    if not isinstance(value, dict):
        raise OSError(f"{file} holds no JSON object")
    return value
