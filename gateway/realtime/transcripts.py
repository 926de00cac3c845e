"""Transcripts of what the client says, which another model makes in its own time: those that nobody has counted yet."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gateway.core.usage import Details, Usage
from gateway.realtime.events import Event

_SAID = "conversation.item.input_audio_transcription."
_OVER = frozenset({f"{_SAID}completed", f"{_SAID}failed"})
_SPOKEN = 3
"""Tokens of sound for one of text: ten a second, and about three of speech."""


class Transcripts:
    def __init__(self) -> None:
        self._is_on = False
        self._sounds = 0  # tokens of what was said since the last piece was closed
        self._awaited: dict[str, int] = {}

    def said(self, sounds: int) -> None:
        """By the client, so many tokens of sound."""
        self._sounds += sounds

    def cleared(self) -> None:
        """What was said is not to be heard."""
        self._sounds = 0

    def heard(self, event: Event) -> None:
        """From the provider."""
        if event.type in ("session.created", "session.updated"):
            self._is_on = _is_on(event.part("session"))
        elif event.type == "input_audio_buffer.committed":
            if self._is_on and self._sounds and isinstance(event.item_id, str):
                self._awaited[event.item_id] = self._sounds
            self._sounds = 0
        elif event.type in _OVER and isinstance(event.item_id, str):
            self._awaited.pop(event.item_id, None)

    def left(self) -> Usage | None:
        """About what those come to that are not there when the session ends, and are billed all the same; else None."""
        sounds = sum(self._awaited.values())
        self._awaited.clear()
        return (
            Usage(sounds, -(-sounds // _SPOKEN), estimated=True, details=Details(audio_input=sounds))
            if sounds
            else None
        )


def _is_on(session: Mapping[str, Any]) -> bool:
    """In either shape of the API."""
    audio = session.get("audio")
    side = audio.get("input") if isinstance(audio, dict) else None
    told = side.get("transcription") if isinstance(side, dict) else None
    return bool(told or session.get("input_audio_transcription"))
