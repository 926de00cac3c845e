"""Words without their endings, so that `uploads` is `upload`: what is left need not be a word."""

from __future__ import annotations

from functools import lru_cache

_SUFFIXES = ("ies", "ing", "ed", "es", "s")
_SHORTEST = 3
_REMEMBERED = 16_384


@lru_cache(_REMEMBERED)
def stem(word: str) -> str:
    word = word.removesuffix("'s").removesuffix("'")
    for suffix in _SUFFIXES:
        if word.endswith(suffix) and len(word) - len(suffix) >= _SHORTEST and not word.endswith("ss"):
            word = word[: -len(suffix)] + ("y" if suffix == "ies" else "")
            break
    return word[:-1] if len(word) > _SHORTEST and (word[-1] == "e" or word[-1] == word[-2]) else word
