"""A provider's stream in another dialect is read in ours, and passed on as it came to a client who speaks its own."""

from __future__ import annotations

import pytest

from gateway.core.errors import Broken
from gateway.upstream.answer import Body
from gateway.upstream.translated import Native, Translated
from gateway.upstream.wire import Head

EVENTS = (b"event: a\ndata: 1\n\n", b"event: ping\ndata: \n\n", b"event: b\ndata: 2\n\n", b"event: end\ndata: 3\n\n")
STREAM = b"".join(EVENTS)


class Loud:
    """Implements `Translation`: every event but a ping, in capital letters."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> bytes:
        *events, self._rest = (self._rest + data).split(b"\n\n")
        return b"".join(event.upper() + b"\n\n" for event in events if b"ping" not in event)

    def end(self) -> bytes:
        return b"[END]" + self._rest

    def whole(self, body: bytes) -> bytes:
        return body.upper()

    def unfinished(self, body: bytes) -> bytes:
        return body.upper()

    def closing(self) -> bytes:
        return b"event: closing\n\n"


class Pieces:
    """Implements as much of `Exchange` as a body needs."""

    deadline = 0.0
    phase = ""
    is_whole = False
    is_stale = False

    def __init__(self, *pieces: bytes) -> None:
        self._pieces = [*filter(None, pieces)]

    def send(self, request: bytes) -> None:
        raise AssertionError("it was sent before")

    async def head(self) -> Head:
        raise AssertionError("it has come before")

    def arrived(self) -> bytes:
        return b""

    async def read(self) -> bytes:
        return self._pieces.pop(0) if self._pieces else b""


def body(*pieces: bytes) -> Body:
    return Body(Pieces(*pieces), None, 1 << 20)


async def read(source: Translated) -> bytes:
    chunks = []
    while chunk := await source.read():
        chunks.append(chunk)
    return b"".join(chunks)


@pytest.mark.parametrize("cut", range(len(STREAM) + 1))
async def test_both_sides_read_the_same_wherever_the_stream_is_cut(cut: int) -> None:
    translation = Loud()
    native = Native(translation)

    for with_native in (None, native):
        translated = Translated(body(STREAM[:cut], STREAM[cut:]), translation, native=with_native)
        assert await read(translated) == STREAM.replace(EVENTS[1], b"").upper() + b"[END]"

    assert native.take() == STREAM


async def test_what_a_client_of_the_same_dialect_gets_is_never_ahead_of_what_was_read() -> None:
    translation = Loud()
    native = Native(translation)
    translated = Translated(body(STREAM), translation, native=native)

    told = []
    while chunk := await translated.read():
        told.append((chunk, native.take()))

    assert told == [
        (EVENTS[0].upper(), EVENTS[0]),
        (EVENTS[2].upper(), EVENTS[1] + EVENTS[2]),
        (EVENTS[3].upper(), EVENTS[3]),
        (b"[END]", b""),
    ]


async def test_events_that_came_together_are_told_together_where_nobody_counts_them() -> None:
    translation = Loud()
    native = Native(translation)
    native.is_single = False
    translated = Translated(body(STREAM), translation, native=native)

    assert (await translated.read(), native.take()) == (STREAM.replace(EVENTS[1], b"").upper(), STREAM)


async def test_what_breaks_the_answer_off_is_never_told_as_a_part_of_it() -> None:
    class Failing(Loud):
        def feed(self, data: bytes) -> bytes:
            if b"broken" in data:
                raise Broken("no event")
            return b'data: {"error":{}}\n\n' if b"failed" in data else super().feed(data)

    for last in (b"event: failed\n\n", b"event: broken\n\n"):
        translation = Failing()
        native = Native(translation)
        native.is_single = False
        translated = Translated(body(EVENTS[0] + EVENTS[2] + last + EVENTS[3]), translation, native=native)

        assert (await translated.read(), native.take()) == ((EVENTS[0] + EVENTS[2]).upper(), EVENTS[0] + EVENTS[2])
        if b"failed" in last:
            assert (await translated.read()).startswith(b'data: {"error"')
        else:
            with pytest.raises(Broken):
                await translated.read()


async def test_what_was_left_of_a_cut_event_goes_to_both() -> None:
    translation = Loud()
    native = Native(translation)

    assert await read(Translated(body(EVENTS[0], b"event: c"), translation, native=native)) == (
        EVENTS[0].upper() + b"[END]event: c"
    )
    assert native.take() == EVENTS[0] + b"event: c"
    assert native.closing() == b"event: closing\n\n"


async def test_what_follows_an_answer_is_given_to_nobody() -> None:
    class Ending(Loud):
        def feed(self, data: bytes) -> bytes:
            return super().feed(data) + (b"data: [DONE]\n\n" if b"end" in data else b"")

    translation = Ending()
    native = Native(translation)
    translated = Translated(body(STREAM + EVENTS[0], EVENTS[2], b"event: rest"), translation, native=native)

    while await translated.read():
        pass

    assert native.take() == STREAM
