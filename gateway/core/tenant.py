"""Whom we isolate and bill, and the virtual keys that stand for them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class VirtualKey:
    """A key as it is kept: its fingerprint (hex of a keyed hash) and never its text.

    `tenant` is an organisation or `organisation/team`; `models` narrows what the tenant may ask for (None: no narrowing);
    `expires` and `created` are UTC seconds since 1970.
    """

    id: str
    name: str
    tenant: str
    fingerprint: str
    models: tuple[str, ...] | None = None
    created: float = 0.0
    expires: float | None = None
    revoked: bool = False


@dataclass(frozen=True, slots=True)
class Tenant:
    """The caller of one call: organisation, team within it, and the key shown.

    `models` are the patterns of model names it may ask for, one tuple for each level that narrows; all must match.
    """

    org: str
    team: str | None
    key_id: str
    key_name: str
    models: tuple[tuple[str, ...], ...] = ()

    @property
    def name(self) -> str:
        return self.org if self.team is None else f"{self.org}/{self.team}"
