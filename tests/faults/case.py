"""One row of bad input or fault as data: what is sent, what the provider does, and what the client must see.

The files in `cases/` hold the rows, one file per group. A row with `expect` is run as a whole answer, one with
`stream_expect` as a stream, one with both is run twice. Text in a file is bytes, spelled in Latin-1, wherever it goes
on the wire as it is (`raw`, `body`, `headers`, `lines`, `path`); in `json` it is text. These mappings are generators,
and may stand wherever a text or a list may: `{repeat: a, times: 9000}`, `{concat: [...]}`, `{chunked: text}`,
`{list: x, times: 3}`; with `number: "#"` each copy has its own number in place of the mark. `<key>` in a header is the
valid key. A row's `inputs` become the cases a, b, c …, each laid over what the row says.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

import yaml

FOLDER = Path(__file__).parent / "cases"
BASE = {"model": "ok", "messages": [{"role": "user", "content": "Say hello"}]}
ANY = "*"
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Send:
    """A request, as what differs from a valid chat call."""

    json: Mapping[str, Any] | None = None
    """Fields put over those of the valid body; null stays null."""
    drop: Sequence[str] = ()
    """Fields taken from the valid body."""
    body: str | None = None
    """The body itself."""
    headers: Mapping[str, str | None] | None = None
    """Headers put over the valid ones; null takes one away."""
    lines: Any = ()
    """Further header lines, sent as they are."""
    method: str = "POST"
    path: str = "/v1/chat/completions"
    version: str = "HTTP/1.1"
    raw: str | None = None
    """The whole request; in it `<auth>` is the valid Authorization line, and `<body>` the valid body of `<length>`."""
    then: str = "wait"
    """What the client does after sending: wait | fin | reset."""
    pace: float = 0.0
    """Seconds between two bytes of what is sent after `at_once` bytes."""
    at_once: int = 0


@dataclass(frozen=True, slots=True)
class Expect:
    """What one response must be. A list in `status`, `code` or `param` holds alternatives; `*` is anything."""

    status: Any = 200
    type: str | None = None
    """The error's type; default: what goes with the status."""
    code: Any = None
    param: Any = ANY
    event: bool = False
    """The error comes as the last event of a stream whose status was 200."""
    text: str | None = None
    """The words of the answer."""
    finish: str | None = None
    contains: Sequence[str] = ()
    absent: Sequence[str] = ()
    headers: Mapping[str, str | None] | None = None
    """Patterns that headers match as a whole; null: the header must be missing."""
    should_retry: bool | None = None
    closes: bool = False
    within: float | None = None
    """Seconds the whole answer may take."""

    @property
    def error_type(self) -> str:
        """The type an error of this status has unless the row says another."""
        status = self.status[0] if isinstance(self.status, list) else self.status
        if self.type is not None:
            return self.type
        if status == 429:
            return "rate_limit_error"
        return "server_error" if self.event or status >= 500 else "invalid_request_error"


@dataclass(frozen=True, slots=True)
class Case:
    """One input of one row."""

    id: str
    title: str
    send: Send = Send()
    upstream: str | None = None
    """The model to ask for, which is also what the scripted provider does."""
    before: Sequence[str] = ()
    """Models called in order before the case, whatever they answer."""
    expect: Sequence[Sequence[Expect]] = ()
    """Responses in order, each with its alternatives; empty: not run as a whole answer."""
    stream_expect: Sequence[Sequence[Expect]] = ()
    calls: Any = None
    """Upstream calls the oracle may see: a number or [least, most]; default: one for a 200, none for our own errors."""
    received: str | None = None
    """Text that the provider must have received in its body, byte for byte."""
    fresh_connection: bool = False
    """The provider's connection must not be used again."""
    strict: bool = False
    """Holds under a policy with `strict: true` only."""
    slow: bool = False
    """Takes many seconds and calls no provider: run together with the others of its kind."""
    by: str | None = None
    """The dedicated test that covers the row, which cannot be driven as data."""
    later: str | None = None
    """The issue that brings what the row is about."""
    remedy: str | None = None
    """What a caller can do, for the page of error codes."""
    note: str | None = None

    @property
    def is_data(self) -> bool:
        return not self.by and not self.later


@cache
def load() -> tuple[Case, ...]:
    """Every row of every file, in order. Raises ValueError for an unknown key or an id used twice."""
    cases = tuple(case for path in sorted(FOLDER.glob("*.yaml")) for case in _read(path))
    ids = [case.id for case in cases]
    if twice := {id for id in ids if ids.count(id) > 1}:
        raise ValueError(f"ids used twice: {sorted(twice)}")
    return cases


def generate(value: Any) -> Any:
    """`value` with its generators carried out."""
    if isinstance(value, list):
        return [generate(part) for part in value]
    if not isinstance(value, dict):
        return value
    for key, carry_out in GENERATORS.items():
        if key in value:
            return carry_out(value)
    return {key: generate(part) for key, part in value.items()}


def body_of(send: Send, *, model: str | None, stream: bool) -> bytes:
    """The body of the request."""
    if send.body is not None:
        return str(generate(send.body)).encode("latin-1")
    body = {key: value for key, value in BASE.items() if key not in send.drop}
    over: dict[str, Any] = {"model": model} if model else {}
    over |= {"stream": True} if stream else {}
    return json.dumps(body | over | generate(dict(send.json or {})), ensure_ascii=False).encode()


def wire(send: Send, *, key: str, model: str | None, stream: bool) -> bytes:
    """The request as it goes on the wire."""
    body = body_of(send, model=model, stream=stream)
    if send.raw is not None:
        text = str(generate(send.raw)).replace("<auth>", f"Authorization: Bearer {key}")
        text = text.replace("<length>", str(len(body))).replace("<body>", body.decode("latin-1"))
        return text.encode("latin-1")
    headers: dict[str, Any] = {
        "Host": "gateway.test",
        "Authorization": f"Bearer {key}",
        "Content-Type": "application/json",
        "Content-Length": str(len(body)),
    }
    headers |= generate(dict(send.headers or {}))
    lines = [f"{send.method} {generate(send.path)} {send.version}"]
    lines += [f"{name}: {value}" for name, value in headers.items() if value is not None]
    lines += [str(line) for line in generate(send.lines)]
    return ("\r\n".join(lines) + "\r\n\r\n").replace("<key>", key).encode("latin-1") + body


def _repeated(generator: Mapping[str, Any]) -> str:
    return str(generator.get("separator", "")).join(_copies(generator["repeat"], generator))


def _listed(generator: Mapping[str, Any]) -> list[Any]:
    return _copies(generator["list"], generator)


def _concatenated(generator: Mapping[str, Any]) -> str:
    return "".join(str(generate(part)) for part in generator["concat"])


def _chunked(generator: Mapping[str, Any]) -> str:
    text = str(generate(generator["chunked"]))
    return f"{len(text):x}\r\n{text}\r\n0\r\n\r\n"


GENERATORS: dict[str, Callable[[Mapping[str, Any]], Any]] = {
    "repeat": _repeated,
    "list": _listed,
    "concat": _concatenated,
    "chunked": _chunked,
}


def _copies(value: Any, generator: Mapping[str, Any]) -> list[Any]:
    times, mark = generator["times"], generator.get("number")
    if mark is None:
        return [generate(value)] * times
    return [_numbered(value, mark, str(number)) for number in range(times)]


def _numbered(value: Any, mark: str, number: str) -> Any:
    if isinstance(value, str):
        return value.replace(mark, number)
    if isinstance(value, dict):
        return {_numbered(key, mark, number): _numbered(part, mark, number) for key, part in value.items()}
    if isinstance(value, list):
        return [_numbered(part, mark, number) for part in value]
    return value


def _read(path: Path) -> Iterator[Case]:
    for row in yaml.safe_load(path.read_text("utf-8")):
        common = {key: value for key, value in row.items() if key != "inputs"}
        for number, given in enumerate(row.get("inputs", [{}])):
            suffix = "" if "inputs" not in row else _letters(number)
            yield _case(
                _merged(common, given) | {"id": f"{row['id']}{suffix}"}, where=f"{path.name}: {row['id']}{suffix}"
            )


def _merged(common: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """A row with one of its inputs over it; `send` and the expectations are merged, not replaced."""
    merged = dict(common) | dict(given)
    for key in ("send", "expect", "stream_expect"):
        both = common.get(key), given.get(key)
        if all(isinstance(part, dict) and "any" not in part for part in both):
            merged[key] = common[key] | given[key]
    if "title" in given:
        merged["title"] = f"{common['title']}: {given['title']}"
    return merged


def _case(row: dict[str, Any], *, where: str) -> Case:
    _check(row, Case, where)
    row["before"] = generate(row.get("before", []))
    row["send"] = _built(row.get("send", {}), Send, where)
    for key in ("expect", "stream_expect"):
        row[key] = _responses(row.get(key), where)
    case = Case(**row)
    if case.is_data and not case.expect and not case.stream_expect:
        raise ValueError(f"{where}: neither an expectation nor `by` nor `later`")
    return case


def _responses(value: Any, where: str) -> tuple[tuple[Expect, ...], ...]:
    if value is None:
        return ()
    responses = generate(value)
    listed = responses if isinstance(responses, list) else [responses]
    return tuple(tuple(_built(one, Expect, where) for one in response.get("any", [response])) for response in listed)


def _built(value: Any, kind: type[T], where: str) -> T:
    _check(value, kind, where)
    return kind(**value)


def _check(value: Any, kind: type[Any], where: str) -> None:
    known = {field.name for field in fields(kind)}
    if unknown := set(value) - known:
        raise ValueError(f"{where}: unknown keys {sorted(unknown)}; {kind.__name__} has {sorted(known)}")


def _letters(number: int) -> str:
    """0 → a, 25 → z, 26 → aa."""
    letter = chr(ord("a") + number % 26)
    return letter if number < 26 else _letters(number // 26 - 1) + letter
