"""What stands in a request under the names by which parts of it are told as dropped."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

_STEP = re.compile(r"\[(\d+)\]|([^.\[\]]+)")


def written(names: Sequence[str], fields: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """Each name, such as `input[3].content[0]`, with what stands there; or with the nearest part round it."""
    return [(name, fields[name] if name in fields else _at(fields, name)) for name in names]


def _at(found: Any, name: str) -> Any:
    for index, member in _STEP.findall(name):
        if index and isinstance(found, list) and int(index) < len(found):
            found = found[int(index)]
        elif member and isinstance(found, Mapping) and member in found:
            found = found[member]
        else:
            return found
    return found
