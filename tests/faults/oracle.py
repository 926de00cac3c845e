"""The provider's own account of what it was asked and what it produced, kept apart from the gateway's."""

import base64
import json
import time
from dataclasses import dataclass, field
from typing import Any

from tests.faults.http1 import Headers


@dataclass(slots=True)
class Call:
    """One request as it arrived, and how its answer went. Instants are monotonic seconds."""

    number: int
    connection: int
    method: str
    path: str
    headers: Headers
    body: bytes
    whole: bool = True
    asked_at: float = field(default_factory=time.monotonic)
    produced: int = 0
    usage: dict[str, Any] | None = None
    bytes_written: int = 0
    ended_at: float | None = None
    closed_at: float | None = None
    """When the peer closed the connection under this answer; None if it waited for the end."""

    @property
    def json(self) -> Any:
        """The parsed body; None when it is not JSON."""
        try:
            return json.loads(self.body)
        except ValueError:
            return None

    @property
    def model(self) -> str:
        """The upstream model asked for; empty when there is none."""
        asked = self.json
        model = asked.get("model") if isinstance(asked, dict) else None
        return model if isinstance(model, str) else ""

    def header(self, name: str) -> str | None:
        """The first request header of that name."""
        return next((value for key, value in self.headers if key.lower() == name.lower()), None)

    def line(self) -> dict[str, Any]:
        """The call as one JSON object, without its body."""
        return {
            "number": self.number,
            "connection": self.connection,
            "method": self.method,
            "path": self.path,
            "model": self.model,
            "whole": self.whole,
            "asked_at": self.asked_at,
            "ended_at": self.ended_at,
            "closed_at": self.closed_at,
            "produced": self.produced,
            "usage": self.usage,
            "bytes_written": self.bytes_written,
        }

    def story(self) -> dict[str, Any]:
        """The call as one JSON object, with everything that was received."""
        return self.line() | {
            "headers": [list(pair) for pair in self.headers],
            "body_base64": base64.b64encode(self.body).decode(),
        }
