"""Secrets that can be recognised wherever they turn up, and in whatever guise."""

from __future__ import annotations

import base64
import json
import secrets
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from urllib.parse import quote

SHOWN = 12
"""Characters from the beginning of a secret that are too many to be shown."""


@dataclass(slots=True)
class Canaries:
    """The secrets, by the place that holds them."""

    secret: dict[str, str] = field(default_factory=dict)

    def make(self, name: str) -> str:
        """A new secret, with characters that URLs, base64 and JSON write differently."""
        self.secret[name] = f"{secrets.token_hex(10)}+{secrets.token_hex(4)}/{secrets.token_hex(4)}=="
        return self.secret[name]

    def add(self, name: str, text: str) -> str:
        self.secret[name] = text
        return text

    def found_in(self, places: Mapping[str, bytes]) -> list[str]:
        """Each secret, guise and place where it is, with what stands around it."""
        return sorted(
            f"{name}, {guise}, in {place}: …{_around(data, looked_for)}…"
            for name, secret in self.secret.items()
            for guise, looked_for in guises(secret)
            for place, data in places.items()
            if looked_for in data
        )


def guises(secret: str) -> Iterator[tuple[str, bytes]]:
    plain = secret.encode()
    yield "as it is", plain
    yield f"its first {SHOWN} characters", plain[:SHOWN]
    yield "URL-encoded", quote(secret, safe="").encode()
    yield "in JSON", json.dumps(secret)[1:-1].encode()
    yield "reversed", plain[::-1]
    for shift in range(3):  # what stands before it moves it within groups of three bytes
        for kind, encoded in (("", base64.b64encode), ("URL-safe ", base64.urlsafe_b64encode)):
            yield f"in {kind}base64", encoded(b"\0" * shift + plain)[4 if shift else 0 : (shift + len(plain)) // 3 * 4]


def _around(data: bytes, found: bytes) -> str:
    at = data.index(found)
    return data[max(0, at - 80) : at + len(found) + 40].decode("utf-8", "backslashreplace")
