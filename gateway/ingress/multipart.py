"""A body of `multipart/form-data` (RFC 7578): its texts are read, its files measured, and nothing is changed."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from gateway.core.errors import InvalidRequest

_MOST_PARTS = 128
_LONGEST_HEAD = 8 * 1024
_LONGEST_TEXT = 1024 * 1024
_MEDIA = re.compile(
    r'multipart/form-data;(?:.*;)?\s*boundary=(?:"([^"\r\n]{1,70})"|([!-~]{1,70}))\s*(?:;.*)?', re.IGNORECASE
)
_NAME = re.compile(rb'content-disposition:\s*form-data\b[^\r\n]*?;\s*name="([^"\r\n]*)"', re.IGNORECASE)
_QUOTED = re.compile(rb'"[^"\r\n]*"')
_NAMES = re.compile(rb"content-disposition\s*:|;\s*name\*?\s*=", re.IGNORECASE)
_FILE_NAME = re.compile(rb'content-disposition:[^\r\n]*;\s*filename="([^"\r\n]*)"', re.IGNORECASE)
_FILE = re.compile(rb"content-disposition:[^\r\n]*;\s*filename\*?=", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Part:
    """`span` is where its value stands in the body, and `file_name` where its file's name does, between the quotes."""

    name: str
    span: tuple[int, int]
    is_file: bool
    file_name: tuple[int, int] | None = None

    @property
    def size(self) -> int:
        return self.span[1] - self.span[0]


def parts(body: bytes, media: bytes | None) -> list[Part]:
    """The parts in their order. Raises InvalidRequest."""
    found = None if media is None else _MEDIA.fullmatch(media.decode("latin-1"))
    if found is None:
        raise InvalidRequest(
            "the body must be a form, sent with Content-Type: multipart/form-data and its boundary",
            code="unsupported_media_type",
            status=415,
        )
    boundary = (found.group(1) or found.group(2)).encode("latin-1")
    return list(_parts(body, b"--" + boundary))


def texts(body: bytes, found: list[Part]) -> dict[str, str | list[str]]:
    """The values that are no files; a name that is sent several times, such as `include[]`, has a list. Raises InvalidRequest."""
    values: dict[str, str | list[str]] = {}
    for part in found:
        if part.is_file:
            continue
        if part.size > _LONGEST_TEXT:
            raise InvalidRequest(f"{part.name} is too long", code="invalid_value", param=part.name)
        try:
            text = body[part.span[0] : part.span[1]].decode()
        except UnicodeDecodeError:
            raise InvalidRequest(f"{part.name} is not valid UTF-8", code="invalid_utf8", param=part.name) from None
        before = values.get(part.name)
        if before is None:
            values[part.name] = text
        else:
            values[part.name] = [*([before] if isinstance(before, str) else before), text]
    return values


def _parts(body: bytes, delimiter: bytes) -> Iterator[Part]:
    """Strictly: nothing before the first delimiter, each part with a head, and a last delimiter."""
    if not body.startswith(delimiter):
        raise _broken("does not begin with its boundary")
    at, count = len(delimiter), 0
    while body[at : at + 2] == b"\r\n":
        count += 1
        if count > _MOST_PARTS:
            raise InvalidRequest(f"the form has more than {_MOST_PARTS} parts", code="too_many_nodes")
        head_end = body.find(b"\r\n\r\n", at, at + _LONGEST_HEAD)
        if head_end < 0:
            raise _broken("has a part without a head")
        begin = head_end + 4
        end = body.find(b"\r\n" + delimiter, begin)
        if end < 0:
            raise _broken("ends within a part")
        head = body[at:head_end]
        name = _NAME.search(head)
        if name is None:
            raise _broken("has a part without a name")
        if len(_NAMES.findall(_QUOTED.sub(b'""', head))) != 2:  # one header, one name: nobody may read another one
            raise _broken("has a part with several names")
        file_name = _FILE_NAME.search(head)
        where = None if file_name is None else (at + file_name.start(1), at + file_name.end(1))
        yield Part(name.group(1).decode("utf-8", "replace"), (begin, end), _FILE.search(head) is not None, where)
        at = end + 2 + len(delimiter)
    if body[at : at + 2] != b"--":
        raise _broken("lacks its last boundary")


def _broken(what: str) -> InvalidRequest:
    return InvalidRequest(f"the form {what}", code="invalid_form")
