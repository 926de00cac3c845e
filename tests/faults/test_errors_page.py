"""docs/errors.md has every code that the gateway can answer with."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from tests.faults.case import load
from tests.faults.errors_page import PAGE

ROOT = Path(__file__).parents[2]
_CODE = re.compile(r"[a-z]+(_[a-z]+)*")
_PROVIDERS = frozenset({"content_filter"})
"""Codes of providers, which become `upstream_<code>`."""
_UNCOVERED = frozenset({"D6", "D7", "D8"})
"""Rows whose tests have yet to be written; it only gets shorter."""


def test_every_code_of_the_gateway_is_on_the_page() -> None:
    told = set(re.findall(r"^\| `([a-z_<>]+)` \|", PAGE.read_text("utf-8"), re.MULTILINE))

    found = {code: where for file in sorted((ROOT / "gateway").rglob("*.py")) for code, where in _codes(file)}

    assert len(found) > 80
    assert {code: where for code, where in found.items() if code not in told | _PROVIDERS} == {}


def test_a_test_that_covers_a_row_exists() -> None:
    names = {
        name
        for file in (ROOT / "tests").rglob("test_*.py")
        for name in re.findall(r"def (test_\w+)", file.read_text("utf-8"))
    }

    missing = {case.id for case in load() if case.by is not None and case.by not in names}
    assert missing == _UNCOVERED


def _codes(file: Path) -> Iterator[tuple[str, str]]:
    """Codes that are written out in calls (`code="…"`), in parameters' defaults, in classes, and as the codes of a table."""
    for node in ast.walk(ast.parse(file.read_text("utf-8"))):
        match node:
            case ast.keyword(arg="code", value=value):
                yield from _texts(value, file)
            case ast.Assign(targets=[ast.Name(id="code")], value=value):
                yield from _texts(value, file)
            case ast.arguments():
                positional = node.posonlyargs + node.args
                pairs = [
                    *zip(reversed(positional), reversed(node.defaults), strict=False),
                    *zip(node.kwonlyargs, node.kw_defaults, strict=True),
                ]
                for argument, default in pairs:
                    if argument.arg == "code" and default is not None:
                        yield from _texts(default, file)


def _texts(value: ast.expr, file: Path) -> Iterator[tuple[str, str]]:
    match value:
        case ast.Constant(value=str(code)) if _CODE.fullmatch(code):
            yield code, f"{file.relative_to(ROOT)}:{value.lineno}"
        case ast.IfExp(body=one, orelse=other):
            yield from _texts(one, file)
            yield from _texts(other, file)
