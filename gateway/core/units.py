"""What calls are made of that are not billed by tokens of text: images, seconds of audio, characters of speech, searches.

A provider's own count goes before all of these. What a call asks for it tells itself, but for the length of a recording.
"""

from __future__ import annotations

from collections.abc import Mapping

from gateway.core.call import Call, Operation

_IMAGES = frozenset({Operation.IMAGE, Operation.IMAGE_EDIT, Operation.IMAGE_VARIATION})
_HEARD = frozenset({Operation.TRANSCRIPTION, Operation.TRANSLATION})
_LEAST_RATE = 500  # bytes of a second of audio: 4 kbit/s, less than any codec for speech in use
_USUAL_RATE = 4000  # 32 kbit/s
_PER_SEARCH = 100  # documents, as Cohere counts them; longer ones count as several
_PIECE = 500  # characters of a document, for Cohere's 500 tokens
_TOKENS_OF_IMAGE = 7000  # made; OpenAI's dearest has 6,240
_TOKENS_OF_FILE = 10_000  # an image that is looked at
_TOKENS_OF_SECOND = 50  # of audio that is heard; OpenAI's have 10
_TOKENS_OF_CHARACTER = 8  # of audio that is spoken, at the slowest speed
_TOKENS_OF_TEXT = 16_384  # of a transcript
_USUAL_TOKENS_OF_IMAGE = {"low": 408, "medium": 1584}  # of OpenAI's largest size
_DEAREST_TOKENS_OF_IMAGE = 6240  # and of its best quality, which it may choose by itself
_USUAL_TOKENS_OF_FILE = 400
_USUAL_TOKENS_OF_SECOND = 10  # heard
_USUAL_TOKENS_OF_SPEECH = 4  # of the text of a second
_USUAL_TOKENS_OF_CHARACTER = 2  # 1250 tokens of audio are a minute, in which 900 characters are spoken

KINDS: Mapping[Operation, frozenset[str]] = {
    **dict.fromkeys(_IMAGES, frozenset({"image_input", "image_output"})),
    **dict.fromkeys(_HEARD, frozenset({"audio_input"})),
    Operation.SPEECH: frozenset({"audio_output"}),
}
"""The kinds of tokens besides text that an operation may be billed for."""


def asked(call: Call) -> int:
    """The units that a call asks for; of a recording the seconds it usually has for its size."""
    return _units(call, rate=_USUAL_RATE, pieces=False)


def most(call: Call) -> int:
    """The most units that a call can be billed for."""
    return _units(call, rate=_LEAST_RATE, pieces=True)


def tokens_made(call: Call) -> int:
    """The most output tokens of an answer that is not made of text, where it is billed by tokens."""
    if call.operation in _IMAGES:
        return _images(call) * _TOKENS_OF_IMAGE
    if call.operation in _HEARD:
        return _TOKENS_OF_TEXT
    return _characters(call) * _TOKENS_OF_CHARACTER if call.operation is Operation.SPEECH else 0


def usual_tokens(call: Call) -> tuple[int, int]:
    """The tokens of what a call usually hears, or sees, and makes besides text: where they are billed, and nobody tells them."""
    files = () if call.form is None else call.form.files
    if call.operation in _IMAGES:
        each = _USUAL_TOKENS_OF_IMAGE.get(str(call.fields.get("quality")), _DEAREST_TOKENS_OF_IMAGE)
        return len(files) * _USUAL_TOKENS_OF_FILE, _images(call) * each
    if call.operation in _HEARD:
        seconds = asked(call)
        return seconds * _USUAL_TOKENS_OF_SECOND, min(seconds * _USUAL_TOKENS_OF_SPEECH, _TOKENS_OF_TEXT)
    return 0, _characters(call) * _USUAL_TOKENS_OF_CHARACTER if call.operation is Operation.SPEECH else 0


def tokens_heard(call: Call) -> int:
    """The most input tokens of a form with files."""
    assert call.form is not None
    said = sum(len(str(value).encode()) for value in call.fields.values())
    if call.operation in _HEARD:
        return said + most(call) * _TOKENS_OF_SECOND
    return said + len(call.form.files) * _TOKENS_OF_FILE


def _units(call: Call, *, rate: int, pieces: bool) -> int:
    if call.operation in _IMAGES:
        return _images(call)
    if call.operation in _HEARD:
        size = sum(call.form.files) if call.form is not None else len(call.body)
        return -(-size // rate)
    if call.operation is Operation.SPEECH:
        return _characters(call)
    return _searches(call, pieces=pieces) if call.operation is Operation.RERANK else 0


def _images(call: Call) -> int:
    n = call.fields.get("n")
    return int(n) if n else 1


def _characters(call: Call) -> int:
    return len(str(call.fields.get("input") or ""))


def _searches(call: Call, *, pieces: bool) -> int:
    documents = call.fields.get("documents")
    documents = documents if isinstance(documents, list) else []
    count = sum(1 + len(str(each)) // _PIECE for each in documents) if pieces else len(documents)
    return max(1, -(-count // _PER_SEARCH))
