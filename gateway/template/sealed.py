"""Lists and objects as a template sees them: their members, and nothing else of Python's, each charged for when it is read.

minijinja copies a text whenever it reads it, and takes methods for members: without this a loop over small things that looks at
a large one takes seconds, and `{{ order.items }}` is the method's address in memory where an order has no items.

Nothing here raises while minijinja reads, for it takes an error for an absent member, and panics where it compares. When nothing
may be read any more, everything is empty, so that the rendering ends soon; whoever began it looks at the gauge.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, SupportsIndex

_EACH = 64
"""What reading a member costs besides its characters."""


class Gauge:
    """`left`: characters that may still be read; below 0, more was asked for."""

    __slots__ = ("left",)

    def __init__(self) -> None:
        self.left = 0

    def read(self, value: Any) -> Any:
        """The value, or None when nothing may be read any more."""
        return value if self.allows(_EACH + (len(value) if type(value) is str else 0)) else None

    def allows(self, weight: int) -> bool:
        """Takes it off."""
        self.left -= weight
        return self.left >= 0


class SealedObject(dict[str, Any]):
    __slots__ = ("gauge", "weight")
    __hash__ = None

    def __getattribute__(self, name: str) -> Any:
        if name.startswith("__"):
            return super().__getattribute__(name)
        raise AttributeError(name)

    def __getitem__(self, name: str) -> Any:
        return _gauge(self).read(super().__getitem__(name))

    def __len__(self) -> int:
        return 0 if _gauge(self).left < 0 else super().__len__()

    def __iter__(self) -> Iterator[str]:
        gauge = _gauge(self)
        for name in super().__iter__():
            if gauge.read(name) is None:
                return
            yield name

    def __eq__(self, other: object) -> bool:
        return _may_be_compared(self) and super().__eq__(other)


class SealedList(list[Any]):
    __slots__ = ("gauge", "weight")
    __hash__ = None

    def __getattribute__(self, name: str) -> Any:
        if name.startswith("__"):
            return super().__getattribute__(name)
        raise AttributeError(name)

    def __getitem__(self, index: SupportsIndex | slice) -> Any:
        return _gauge(self).read(super().__getitem__(index))

    def __len__(self) -> int:
        return 0 if _gauge(self).left < 0 else super().__len__()

    def __eq__(self, other: object) -> bool:
        return _may_be_compared(self) and super().__eq__(other)

    def __lt__(self, other: list[Any]) -> bool:
        return _may_be_compared(self) and super().__lt__(other)

    def __gt__(self, other: list[Any]) -> bool:
        return _may_be_compared(self) and super().__gt__(other)


def sealed(value: Any, gauge: Gauge) -> Any:
    """The same for whatever is neither list nor object."""
    return _sealed(value, gauge)[0]


def _sealed(value: Any, gauge: Gauge) -> tuple[Any, int]:
    """And its weight: what it costs to read all of it."""
    within: SealedList | SealedObject
    if type(value) is list:
        parts = [_sealed(each, gauge) for each in value]
        within, weight = SealedList([part for part, _ in parts]), 0
    elif type(value) is dict:
        parts = [_sealed(each, gauge) for each in value.values()]
        within = SealedObject(zip(value, (part for part, _ in parts), strict=True))
        weight = sum(map(len, value))
    else:
        return value, _EACH + (len(value) if type(value) is str else 0)
    weight += _EACH + sum(each for _, each in parts)
    object.__setattr__(within, "gauge", gauge)
    object.__setattr__(within, "weight", weight)
    return within, weight


def opened(value: Any) -> Any:
    """The lists and objects that were sealed."""
    if isinstance(value, list):
        return [opened(each) for each in list.__iter__(value)]
    if isinstance(value, dict):
        return {name: opened(each) for name, each in dict.items(value)}
    return value


def _gauge(sealed: SealedObject | SealedList) -> Gauge:
    gauge: Gauge = object.__getattribute__(sealed, "gauge")
    return gauge


def _may_be_compared(sealed: SealedObject | SealedList) -> bool:
    weight: int = object.__getattribute__(sealed, "weight")
    return _gauge(sealed).allows(weight)
