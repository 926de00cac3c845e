"""Tokens counted here, for routes that ask how long a prompt is and for providers that do not say what they used.

The vocabularies are those that ship inside the litellm package, so counting needs no network. The first count of a worker
loads one (about 0.4 s and 70 MB), which is why none is loaded at the start unless the policy has budgets or counts tokens.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import tiktoken

from gateway.core.call import Call, Operation

_DEFAULT = "o200k_base"
_OFFLINE = frozenset({"o200k_base", "cl100k_base", "p50k_base"})
_MESSAGE = 3  # tokens round each message, and once more for the answer's beginning (OpenAI's cookbook, num_tokens_from_messages)
_SLICE = 16 * 1024


class Tokens:
    """Counts with the vocabulary of the model, or OpenAI's newest for models whose own is not public."""

    def __init__(self) -> None:
        os.environ.setdefault("TIKTOKEN_CACHE_DIR", str(litellm_folder() / "litellm_core_utils" / "tokenizers"))
        self._loaded: dict[str, tiktoken.Encoding] = {}

    def load(self, model: str) -> tiktoken.Encoding:
        """Blocks while a vocabulary is read for the first time."""
        name = _encoding_name(model)
        encoding = self._loaded.get(name)
        if encoding is None:
            encoding = self._loaded[name] = tiktoken.get_encoding(name)
        return encoding

    async def count(self, text: str, model: str) -> int:
        """In a thread when it would hold up other calls."""
        if len(text) > _SLICE or _encoding_name(model) not in self._loaded:
            return await asyncio.to_thread(self._count, text, model)
        return self._count(text, model)

    async def sent(self, call: Call, model: str) -> int:
        """The call's input tokens, about as the provider counts them; images and audio are not counted."""
        if call.operation is Operation.CHAT:
            return await self.count("\n".join(_texts(call)), model) + _MESSAGE * (len(call.fields["messages"]) + 1)
        return await self.count("\n".join(_texts(call)), model) + _token_ids(call)

    def part(self, messages: Sequence[Mapping[str, Any]], tools: Sequence[Any], model: str) -> int:
        """What these are of a chat's input tokens, counted as `sent` does. Blocks."""
        return self._count("\n".join(_said(messages, tools)), model) + _MESSAGE * len(messages)

    def _count(self, text: str, model: str) -> int:
        """In slices: tiktoken's time grows with the square of a text without spaces, and it panics on a million of them."""
        encoding = self.load(model)
        return sum(len(encoding.encode_ordinary(text[at : at + _SLICE])) for at in range(0, len(text), _SLICE))


def _encoding_name(model: str) -> str:
    try:
        name = tiktoken.encoding_name_for_model(model.rpartition("/")[2])
    except KeyError:
        return _DEFAULT
    return name if name in _OFFLINE else _DEFAULT


def litellm_folder() -> Path:
    """Where the package lies, which is never imported."""
    spec = find_spec("litellm")
    if spec is None or not spec.submodule_search_locations:
        raise RuntimeError("the litellm package, which ships the tokenizers' vocabularies, is not installed")
    return Path(spec.submodule_search_locations[0])


def _token_ids(call: Call) -> int:
    """Prompts and inputs may be given as token ids, or as lists of them."""
    value = call.fields.get("prompt" if call.operation is Operation.COMPLETION else "input")
    if not isinstance(value, list):
        return 0
    return sum(len(item) if isinstance(item, list) else isinstance(item, int) for item in value)


def _texts(call: Call) -> Iterator[str]:
    fields = call.fields
    if call.operation is Operation.CHAT:
        yield from _said(fields["messages"], fields.get("tools"))
    else:
        for name in _WORDS.get(call.operation, ("input", "prompt", "query", "documents")):
            yield from _strings(fields.get(name))


def _said(messages: Sequence[Mapping[str, Any]], tools: Any) -> Iterator[str]:
    for message in messages:
        yield message["role"]
        yield from _strings(message.get("content"))
        yield from _strings(message.get("tool_calls"))
    yield from _strings(tools)


_WORDS = {Operation.COMPLETION: ("prompt",), Operation.EMBEDDINGS: ("input",)}
_NOT_TEXT = frozenset({"image_url", "input_audio", "file", "type", "id"})


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for item in value:
            yield from _strings(item)
    elif isinstance(value, Mapping):
        for name, item in value.items():
            if name not in _NOT_TEXT:
                yield from _strings(item)
