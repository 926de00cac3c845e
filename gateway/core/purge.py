"""An order to forget kept answers."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Protocol


class Marked(Protocol):
    """A kept answer, as far as an order asks. `purges` is the number of the last order that its maker knew."""

    @property
    def id(self) -> str: ...

    @property
    def org(self) -> str: ...

    @property
    def team(self) -> str | None: ...

    @property
    def key_id(self) -> str: ...

    @property
    def model(self) -> str: ...

    @property
    def route(self) -> str: ...

    @property
    def template(self) -> str: ...

    @property
    def tags(self) -> Collection[str]: ...

    @property
    def purges(self) -> int: ...


@dataclass(frozen=True, slots=True)
class Purge:
    """Forgets the answers that have all of the given marks; None stands for any.

    Orders are numbered as they are given, from 1, and an answer carries the number of the last order that its maker knew when
    its call began. So an order kills what was made, or begun, before it, whatever the clocks say.
    """

    org: str | None = None
    team: str | None = None
    key_id: str | None = None
    model: str | None = None
    route: str | None = None
    template: str | None = None
    tag: str | None = None
    entry: str | None = None
    number: int = 0

    def fits(self, entry: Marked) -> bool:
        """Whether the answer has these marks."""
        return (
            (self.org is None or self.org == entry.org)
            and (self.team is None or self.team == entry.team)
            and (self.key_id is None or self.key_id == entry.key_id)
            and (self.model is None or self.model == entry.model)
            and (self.route is None or self.route == entry.route)
            and (self.template is None or self.template == entry.template)
            and (self.tag is None or self.tag in entry.tags)
            and (self.entry is None or self.entry == entry.id)
        )

    def kills(self, entry: Marked) -> bool:
        return entry.purges < self.number and self.fits(entry)
