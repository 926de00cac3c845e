"""The faults that have been found in a request, each with its place."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Any


class Found:
    def __init__(self) -> None:
        self.faults: list[str] = []

    def check(self, fact: object, where: str, why: str) -> bool:
        if not fact:
            self.faults.append(f"{where}: {why}")
        return bool(fact)

    def only(self, value: Mapping[str, Any], names: Collection[str], where: str) -> None:
        """Members that nobody knows are refused."""
        for name in value.keys() - set(names):
            self.check(False, f"{where}.{name}", "unknown member")

    def matches(self, pattern: str, value: object, where: str) -> None:
        self.check(isinstance(value, str) and re.fullmatch(pattern, value), where, f"{value!r} is not {pattern}")

    def unique(self, values: list[Any], where: str) -> None:
        self.check(len(values) == len(set(values)), where, "must be unique")
