"""Questions that embedders take for each other: behind a long preamble, or in letters that they do not know."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from bench.cache.embedded import Embedded
from gateway.cache.semantic.eligible import Question, question

_FOREIGN = (
    ("如何重置我的密码?", "如何删除我的账户?"),
    ("パスワードをリセットする方法は?", "アカウントを削除する方法は?"),
    ("비밀번호를 어떻게 재설정하나요?", "계정을 어떻게 삭제하나요?"),
    ("كيف أعيد تعيين كلمة المرور؟", "كيف أحذف حسابي؟"),
    ("मैं अपना पासवर्ड कैसे रीसेट करूं?", "मैं अपना खाता कैसे हटाऊं?"),
    ("ฉันจะรีเซ็ตรหัสผ่านได้อย่างไร", "ฉันจะลบบัญชีได้อย่างไร"),
    ("How do I use 🦊 in Slack?", "How do I use 🐙 in Slack?"),
)
_PREAMBLE_WORDS = 300
_TEXT = "You answer the questions of our customers in short and friendly words."
_QUESTIONS = ("How do I reset my password?", "Where is my parcel?")
"""For folders without questions."""


def rows(questions: Sequence[str], embedded: Embedded) -> Iterable[tuple[str, int, int]]:
    """Each trap, how many pairs fell into it of how many; in one message, as the trap has it."""
    words = (" ".join(questions) or _TEXT).split() * _PREAMBLE_WORDS
    preamble = " ".join(words[:_PREAMBLE_WORDS])
    asked = [f"{preamble}\n\n{one}" for one in questions[:200] or _QUESTIONS]
    pairs = list(zip(asked[::2], asked[1::2], strict=False))
    yield f"{_PREAMBLE_WORDS} shared words, then another question", _fallen(pairs, embedded), len(pairs)
    yield "letters that the embedder does not know", _fallen(_FOREIGN, embedded), len(_FOREIGN)


def _fallen(pairs: Sequence[tuple[str, str]], embedded: Embedded) -> int:
    return sum(_is_compared(one, embedded) and _is_compared(other, embedded) for one, other in pairs)


def _is_compared(text: str, embedded: Embedded) -> bool:
    asked = question({"messages": [{"role": "user", "content": text}]}, shared=False)
    return isinstance(asked, Question) and embedded.vector(text) is not None
