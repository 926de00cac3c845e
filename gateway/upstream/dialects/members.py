"""Reading a client's JSON so that nothing of it is lost in silence: what nobody has taken is named."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_NOTHING: tuple[Any, ...] = (None, [], {})


class Members:
    """The members of one object. Whoever reads one takes it; `close` names those that are left in `dropped`.

    A value of another type than was asked for counts as absent, and is left. `path` is how the object itself is named,
    with a dot at its end, or empty for the call's own fields.
    """

    __slots__ = ("_dropped", "_left", "path")

    def __init__(self, value: Any, path: str, dropped: list[str]) -> None:
        self.path = path
        self._dropped = dropped
        self._left: dict[str, Any] = dict(value) if isinstance(value, dict) else {}
        if not isinstance(value, dict) and value is not None:
            dropped.append(path.removesuffix("."))

    def __contains__(self, name: str) -> bool:
        return self._left.get(name) is not None

    def any(self, name: str) -> Any:
        return self._left.pop(name, None)

    def text(self, name: str) -> str | None:
        return self._left.pop(name) if isinstance(self._left.get(name), str) else None

    def number(self, name: str) -> int | float | None:
        value = self._left.get(name)
        return self._left.pop(name) if isinstance(value, int | float) and not isinstance(value, bool) else None

    def flag(self, name: str) -> bool | None:
        return self._left.pop(name) if isinstance(self._left.get(name), bool) else None

    def list(self, name: str) -> list[Any]:
        return self._left.pop(name) if isinstance(self._left.get(name), list) else []

    def mapping(self, name: str) -> Mapping[str, Any] | None:
        return self._left.pop(name) if isinstance(self._left.get(name), dict) else None

    def within(self, name: str) -> Members:
        """The members of the object that this one has by that name; of nothing if it has none."""
        return Members(self.mapping(name), f"{self.path}{name}.", self._dropped)

    def item(self, name: str, index: int, value: Any) -> Members:
        """The members of an item of the list of that name."""
        return Members(value, f"{self.path}{name}[{index}].", self._dropped)

    def ignore(self, name: str, *values: Any) -> None:
        """Leaves out a member that says what is so anyway."""
        value = self._left.get(name)
        if any(value == usual and type(value) is type(usual) for usual in values):
            del self._left[name]

    def lose(self, name: str) -> None:
        """Names a member, or what was taken of it, as lost."""
        self._left.pop(name, None)
        self._dropped.append(self.path + name)

    def close(self) -> None:
        for name, value in self._left.items():
            if value not in _NOTHING:
                self._dropped.append(self.path + name)
        self._left.clear()
