"""What is read back is what was written, or a miss."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.cache.entry import Entry, read, write

KEY, PEPPER = b"k" * 32, b"p" * 32
ENTRY = Entry(
    id="e1",
    operation="chat",
    created=1000.0,
    expires=1600.0,
    document=b'{"choices":[]}',
    model="gpt-4o-mini",
    org="acme",
    team="search",
    key_id="k1",
    route="default",
    tags=("a", "b"),
)
DATA = write(ENTRY, key=KEY, pepper=PEPPER)


def test_an_entry_is_read_as_it_was_written() -> None:
    assert read(DATA, key=KEY, pepper=PEPPER) == ENTRY


@given(st.integers(0, len(DATA) - 1), st.integers(1, 255))
def test_no_byte_of_it_can_change(place: int, change: int) -> None:
    damaged = bytearray(DATA)
    damaged[place] ^= change

    assert read(bytes(damaged), key=KEY, pepper=PEPPER) is None


@given(st.integers(0, len(DATA) - 1))
def test_a_part_of_it_is_a_miss(length: int) -> None:
    assert read(DATA[:length], key=KEY, pepper=PEPPER) is None


@given(st.binary(max_size=80))
def test_anything_else_is_a_miss(data: bytes) -> None:
    assert read(data, key=KEY, pepper=PEPPER) is None
    assert read(b"lgc1" + data, key=KEY, pepper=PEPPER) is None


def test_an_entry_under_another_key_or_pepper_is_a_miss() -> None:
    assert read(DATA, key=b"o" * 32, pepper=PEPPER) is None
    assert read(DATA, key=KEY, pepper=b"o" * 32) is None


@pytest.mark.parametrize("body", [[], ["e1"], {"id": 1}, ["e1", "chat", "soon"], None])
def test_an_entry_of_another_shape_is_a_miss_even_if_its_checksum_is_right(body: Any) -> None:
    class Foreign(msgspec.Struct, array_like=True):
        body: Any

    assert read(write(Foreign(body), key=KEY, pepper=PEPPER), key=KEY, pepper=PEPPER) is None  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("now", "max_age", "fresh"),
    [
        (1000.0, None, True),
        (1599.9, None, True),
        (1600.0, None, False),
        (1060.0, 60.0, True),
        (1061.0, 60.0, False),
        (1000.0, 0.0, True),
        (990.0, 5.0, True),
        (900.0, None, False),
    ],
)
def test_an_entry_is_fresh_until_it_expires_and_as_long_as_the_client_says(
    now: float, max_age: float | None, fresh: bool
) -> None:
    assert ENTRY.is_fresh(now=now, max_age=max_age) is fresh


def test_an_entry_cannot_be_changed() -> None:
    with pytest.raises(AttributeError):
        ENTRY.expires = 9e9  # type: ignore[misc]
    assert msgspec.structs.replace(ENTRY, id="e2") != ENTRY
