"""Writes docs/errors.md, the table of every code the gateway answers with, from the rows of `cases/`.

`python -m tests.faults.errors_page` writes it; with `--check` it changes nothing and exits 1 if the page is stale.
"""

import argparse
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.faults.case import Case, Expect, load

PAGE = Path(__file__).parents[2] / "docs" / "errors.md"
HEAD = """\
# Errors

<!-- Written by `python -m tests.faults.errors_page` from the rows in tests/faults/cases/. Do not edit. -->

Every answer that is not a success is `{"error": {"message", "type", "param", "code"}}`, with `x-request-id`. Once a
stream has begun its status is 200 for good: an error is then its last event, `data: {"error": …}`, and neither a
`finish_reason` nor `[DONE]` follows. `x-should-retry` and `Retry-After` say whether and when to try again.
Sessions in real time tell errors as events of the type `error`.

"""
TABLE = """\
| code | status | type | when | what to do |
|---|---|---|---|---|
"""
ADMIN = """
## The admin API's own

"""
_ADMIN_ROWS = "Z"


@dataclass(slots=True)
class Code:
    """What is known of one code."""

    statuses: set[str] = field(default_factory=set)
    types: set[str] = field(default_factory=set)
    titles: dict[str, None] = field(default_factory=dict)
    remedy: str | None = None


def page() -> str:
    """The whole page."""
    theirs = [case for case in load() if case.id.startswith(_ADMIN_ROWS)]
    ours = [case for case in load() if case not in theirs]
    return f"{HEAD}{TABLE}{_lines(ours)}{ADMIN}{TABLE}{_lines(theirs)}"


def _lines(cases: Sequence[Case]) -> str:
    codes: dict[str, Code] = {}
    rows = [(case, expect) for case in cases for expect in _failures(case)]
    for case, expect in rows:
        if isinstance(expect.code, str):
            _add(codes, case, expect, name=expect.code)
    for case, expect in rows:
        if isinstance(expect.code, list) and expect.code[0] not in codes:
            _add(codes, case, expect, name=expect.code[0])
    return "".join(_line(name, code) for name, code in sorted(codes.items()))


def main() -> int:
    """Writes or checks the page; the process's exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults.errors_page", description=__doc__)
    parser.add_argument("--check", action="store_true", help="change nothing; exit 1 if the page is stale")
    if parser.parse_args().check:
        fresh = PAGE.exists() and PAGE.read_text("utf-8") == page()
        if not fresh:
            print("docs/errors.md is stale: run `python -m tests.faults.errors_page`", file=sys.stderr)
        return 0 if fresh else 1
    PAGE.parent.mkdir(exist_ok=True)
    PAGE.write_text(page(), "utf-8")
    return 0


def _failures(case: Case) -> Iterator[Expect]:
    """The failures a row expects; of alternatives the first."""
    for response in (*case.expect, *case.stream_expect):
        failures = [expect for expect in response if expect.code is not None]
        yield from failures[:1]


def _add(codes: dict[str, Code], case: Case, expect: Expect, *, name: str) -> None:
    code = codes.setdefault(name.replace("*", "<code>"), Code())
    statuses = expect.status if isinstance(expect.status, list) else [expect.status]
    code.statuses.add("in the stream" if expect.event else str(statuses[0]))
    if expect.error_type != "*":
        code.types.add(expect.error_type)
    code.titles[case.title.partition(": ")[0]] = None
    code.remedy = code.remedy or case.remedy


def _line(name: str, code: Code) -> str:
    titles = "; ".join(code.titles)
    statuses, types = ", ".join(sorted(code.statuses)), ", ".join(sorted(code.types))
    return f"| `{name}` | {statuses} | {types} | {titles} | {code.remedy or 'Correct what `param` names.'} |\n"


if __name__ == "__main__":
    sys.exit(main())
