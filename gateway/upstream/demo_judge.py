"""The built-in provider as a judge: it knows words and no meanings, so that judged tests can be tried without a network."""

from __future__ import annotations

import re

from gateway.core import judge

_ASKED = re.compile(
    rf"{judge.QUESTION}:\n(?P<mark>===[0-9a-f]{{16}}===)\n(?P<question>.*?)\n(?P=mark)\n"
    rf"{judge.ANSWER}:\n(?P=mark)\n(?P<answer>.*?)\n(?P=mark)\n",
    re.DOTALL,
)
_LEAST = 4
"""Letters of a word that counts."""
_SILENT = frozenset({"answer", "does", "what", "that", "this", "there", "with", "have", "from"})


def verdict(prompt: str) -> str | None:
    """YES where every longer word of the question stands in the answer, else NO; None where no judge is asked."""
    found = _ASKED.search(prompt)
    if found is None:
        return None
    words = set(re.findall(r"\w+", found["question"].casefold())) - _SILENT
    wanted = {word for word in words if len(word) >= _LEAST}
    return "YES" if wanted <= set(re.findall(r"\w+", found["answer"].casefold())) else "NO"
