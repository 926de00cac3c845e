"""How much a provider has been told in a session: for the most that its next response can cost, and for what none has counted.

A response reads all that was said before, so what it may cost grows with the session. Each byte of text is at most one token, and
audio has so many tokens a second; after a response the provider's own count takes the place of ours.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gateway.core.usage import Details, Usage
from gateway.realtime.events import Event
from gateway.realtime.transcripts import Transcripts

LONGEST = 131_072
"""Tokens that a model reads at most, where the policy and the tables do not say."""
FIRST = 4096
"""Tokens for what a session begins with, and the step by which more is held."""
CAPS = ("max_output_tokens", "max_response_output_tokens")
"""What a session calls its output cap, today and in the API's first version."""
_PER_TOKEN = {"audio/pcm": (6400, 3200), "pcm16": (6400, 3200)}
"""Characters of base64 for a token in and a token out, at OpenAI's 10 and 20 tokens a second; 24 kHz, 16 bits."""
_G711 = (1066, 533)
"""The same at 8 kHz and 8 bits, which is the densest there is."""
_IMAGE = 5_000
_BYTES_PER_TOKEN = 4


class Context:
    """`most` is the most tokens that the next response can read, `about` how many it will. `cap` is the output cap that the
    session has, None: the model's own."""

    def __init__(self) -> None:
        self.most = 0
        self.about = 0
        self.cap: int | None = None
        self.transcripts = Transcripts()
        self._since = (0, 0)  # as `most` and `about` were when the last response began
        self._input = self._output = _PER_TOKEN["audio/pcm"]

    def said(self, event: Event, size: int) -> None:
        """By the client, in so many bytes."""
        match event.type:
            case "input_audio_buffer.append":
                length = len(event.audio) if isinstance(event.audio, str) else size
                self._add(audio=length)
                self.transcripts.said(-(-length // self._input[0]))
            case "input_audio_buffer.clear":
                self.transcripts.cleared()
            case "conversation.item.create":
                self._add_item(event.part("item"), size)
            case "session.update":
                self._add(text=size)
                self._settings(event.part("session"))
            case "response.create":
                self._add(text=size)

    def heard(self, event: Event) -> None:
        """From the provider."""
        self.transcripts.heard(event)
        if event.type in ("session.created", "session.updated"):
            self._settings(event.part("session"))
        elif event.type == "response.created":
            self._since = self.most, self.about

    def counted(self, usage: Usage) -> None:
        """A response of the conversation itself is over, of which this is the provider's own count."""
        told = usage.input + usage.output
        self.most, self.about = told + self.most - self._since[0], told + self.about - self._since[1]
        self._since = told, told

    def to_hold(self, longest: int | None) -> int:
        """Tokens to hold for a response: in steps, so that not every message asks the budget."""
        steps = (self.most + FIRST) // FIRST + 1
        return min(steps * FIRST, longest or LONGEST)

    def guess(self, text: int, audio: int, read: int) -> Usage:
        """Of a response that nobody counted: bytes of text and characters of base64 that were made, after so many tokens read."""
        sounds = -(-audio // self._output[1])
        made = -(-text // _BYTES_PER_TOKEN) + sounds
        return Usage(read, made, estimated=True, details=Details(audio_output=sounds))

    def _settings(self, session: Mapping[str, Any]) -> None:
        if any(name in session for name in CAPS):
            self.cap = cap_of(session)
        audio = session.get("audio")
        sides = audio if isinstance(audio, dict) else {}
        self._input = _format(sides.get("input"), session.get("input_audio_format")) or self._input
        self._output = _format(sides.get("output"), session.get("output_audio_format")) or self._output

    def _add_item(self, item: Mapping[str, Any], size: int) -> None:
        content = item.get("content")
        for part in content if isinstance(content, list) else ():
            if not isinstance(part, dict):
                continue
            if isinstance(sound := part.get("audio"), str):
                self._add(audio=len(sound))
                size -= len(sound)
            if isinstance(image := part.get("image_url"), str):
                self.most, self.about = self.most + _IMAGE, self.about + _IMAGE
                size -= len(image)
        self._add(text=max(0, size))

    def _add(self, *, text: int = 0, audio: int = 0) -> None:
        sounds = -(-audio // self._input[0])
        self.most += text + sounds
        self.about += text // _BYTES_PER_TOKEN + sounds


def cap_of(settings: Mapping[str, Any]) -> int | None:
    """The output cap in a session's or a response's settings; None where there is none."""
    for name in CAPS:
        value = settings.get(name)
        if isinstance(value, int) and not isinstance(value, bool) and value > 0:
            return value
    return None


def _format(side: object, older: object) -> tuple[int, int] | None:
    """Of a direction, in either shape of the API."""
    form = side.get("format") if isinstance(side, dict) else older
    kind = form.get("type") if isinstance(form, dict) else form
    return None if not isinstance(kind, str) else _PER_TOKEN.get(kind, _G711)
