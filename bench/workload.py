"""What is asked of every contender: the mock models, and for each a request about as large as its answer."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

FILLER = "Say again what the quick brown fox did to the lazy dog, and then why. "


@dataclass(frozen=True, slots=True)
class Model:
    """`size` is in bytes, of the request and of an answer that is not streamed."""

    size: int
    streamed: bool = False


MODELS: Mapping[str, Model] = {
    "mock-512": Model(512),
    "mock-8k": Model(8 * 1024),
    "mock-100k": Model(100 * 1024),
    "mock-stream": Model(512, streamed=True),
    "mock-stream-20ms": Model(512, streamed=True),
}


def request_body(name: str) -> bytes:
    """A chat completion request for the model, padded to its size with one long user message."""
    model = MODELS[name]
    body: dict[str, object] = {"model": name, "temperature": 0.5, "messages": _messages("")}
    if model.streamed:
        body["stream"] = True
    room = model.size - len(json.dumps(body))
    return json.dumps(body | {"messages": _messages((FILLER * (room // len(FILLER) + 1))[:room])}).encode()


def write_bodies(folder: Path) -> Mapping[str, Path]:
    """One file for each model, in `folder`."""
    files = {name: folder / f"{name}.json" for name in MODELS}
    for name, file in files.items():
        file.write_bytes(request_body(name))
    return files


def _messages(content: str) -> list[dict[str, str]]:
    return [{"role": "system", "content": "You are terse."}, {"role": "user", "content": content}]
