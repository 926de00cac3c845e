"""`llmgw explain --call ID`: what happened to a call that was made, told from its record."""

from __future__ import annotations

import sys
from pathlib import Path

import orjson

from gateway.trace.reading.beside import whole
from gateway.trace.sqlite.reader import Reader
from gateway.trace.sqlite.schema import FILE
from gateway.trace.story import tell


def tell_call(data: Path, id: str, *, as_json: bool) -> int:
    """Prints the story, or all there is as JSON; 1 where there is no record of the call."""
    path = data / FILE
    try:
        row = whole(Reader(path), id) if path.exists() else None
    except OSError as error:
        print(f"llmgw explain: the call records cannot be read: {error}", file=sys.stderr)
        return 1
    if row is None:
        print(f"llmgw explain: {path} has no record of {id!r}", file=sys.stderr)
        return 1
    told = tell(row)
    if as_json:
        print(orjson.dumps({**row, **told}, option=orjson.OPT_INDENT_2).decode())
        return 0
    print(*told["story"], sep="\n")
    widest = max((len(span["name"]) for span in told["spans"]), default=0)
    for span in told["spans"]:
        indent = "" if span["kind"] == "SERVER" else "  "
        why = f"  {span['error']}" if span["error"] else ""
        name = f"{indent}{span['name']}".ljust(widest + 2)
        print(f"{span['started_ms']:10.3f} ms  {name}  {span['duration_ms']:10.3f} ms{why}")
    return 0
