"""Plain values as a file that `document.parse` reads as the same ones."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import yaml

_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")
_WORDS = frozenset(("null", "true", "false", "yes", "no", "on", "off", "y", "n"))


class _Dumper(yaml.SafeDumper):
    """Quotes every text that is not plainly a word: PyYAML reads YAML 1.1, and takes other texts for numbers than we do."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    is_word = _PLAIN.fullmatch(text) is not None and text.lower() not in _WORDS
    style = None if is_word else "|" if "\n" in text and _is_block(text) else '"'
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


def _is_block(text: str) -> bool:
    """Whether a block says it as it is: nothing but printable characters and ends of lines, none of them of an odd kind."""
    lines = text.split("\n")
    return all(line.isprintable() and line == line.rstrip() for line in lines) and not text.startswith((" ", "\n"))


_Dumper.add_representer(str, _text)


def as_yaml(value: Mapping[str, Any]) -> str:
    """JSON's values, in their order."""
    return yaml.dump(dict(value), Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=2**31)
