"""What a call's decision rests on besides what its record says anyway, so that it can be made again without the prompt."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from gateway.core.call import Call
from gateway.core.tenant import Tenant
from gateway.route.conversation import conversation_of
from gateway.route.rules import Routes

LONGEST = 256
"""Bytes of a header's value. A longer one is not told, for half of it might fit other patterns than the whole."""
MOST_HEADERS = 16
LARGEST = 4 * 1024
"""Bytes of a body whose conversation is told although nothing was decided by it: to tell it costs time."""


@dataclass(slots=True)
class Basis:
    """Cheap to make while the call waits; `told` is asked once it has ended."""

    call: Call
    tenant: Tenant
    routes: Routes

    def told(self, *, is_by_conversation: bool, sent: int | None) -> Mapping[str, object]:
        """Plain values. `is_by_conversation`: the decision looked at the conversation; `sent` are the input tokens it counted.

        `headers` are those that any route asks for, null where the call has none; `conversation`, `is_new` and `is_bound` are
        null where they are not told.
        """
        call, conversation = self.call, None
        if is_by_conversation or len(call.body) <= LARGEST:
            conversation = conversation_of(call, self.tenant)
        return {
            "has": sorted(call.has),
            "tokens_in": sent,
            "bytes": len(call.body),
            "headers": self._headers() if self.routes.headers else {},
            "conversation": None if conversation is None else conversation.id,
            "is_new": None if conversation is None else conversation.is_new,
            "is_bound": None if conversation is None else conversation.is_bound,
        }

    def _headers(self) -> Mapping[str, str | None]:
        found: dict[str, str | None] = {}
        for name in self.routes.headers[:MOST_HEADERS]:
            value = self.call.headers.get(name)
            if value is None or len(value) <= LONGEST:
                found[name.decode("latin-1")] = None if value is None else value.decode("latin-1")
        return found
