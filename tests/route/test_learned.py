"""Scores that routes have learned: kept, shared, and cut so that the share of strong calls comes out."""

from __future__ import annotations

import threading
from collections import Counter
from typing import Any

import pytest

from gateway.core.call import Call, Operation
from gateway.core.deployment import Deployment, Model, Provider
from gateway.core.errors import Overloaded
from gateway.core.neighbour import Versioned
from gateway.route.candidates import Learned
from gateway.route.learned import ENOUGH, FIRST, LearnedScores
from gateway.route.rules import Match, Route, Routes
from gateway.route.score.prompt import Prompt
from gateway.route.score.score import Score, Scored

PROVIDER = Provider("p", "openai")


def model(name: str) -> Model:
    return Model(name, (Deployment(f"p/{name}", PROVIDER, name, None),))


WEAK, STRONG = model("weak"), model("strong")
LEARNED = Learned("learned", WEAK, STRONG, 0.5)
ROUTES = Routes(rules=(Route("sums", Match(), STRONG, candidates=(LEARNED,)),), models={})


class Kept:
    """See States."""

    def __init__(self) -> None:
        self.values: dict[str, Versioned] = {}
        self.is_away = False

    async def get(self, name: str) -> Versioned | None:
        if self.is_away:
            raise Overloaded("away")
        return self.values.get(name)

    async def put(self, name: str, value: bytes, *, version: int) -> bool:
        held = self.values.get(name)
        if self.is_away:
            raise Overloaded("away")
        if version != (held.version if held else 0):
            return False
        self.values[name] = Versioned(value, version + 1)
        return True


def call(text: Any, **fields: Any) -> Call:
    body = {"messages": [{"role": "user", "content": text}], **fields}
    return Call(id="r", operation=Operation.CHAT, received=0, model="auto", body=b"", fields=body)


def hard(number: int) -> bool:
    return number % 2 == 1


def question(number: int) -> Call:
    return call(f"{'prove' if hard(number) else 'count'} the apples of basket {1000 + number}")


async def taught(states: Kept, *, labels: int = 60) -> LearnedScores:
    scores = LearnedScores(states, pepper=b"p" * 32)
    for number in range(labels):
        scores.learn("sums", LEARNED, question(number), weak=0.0 if hard(number) else 1.0)
    await scores.flush(ROUTES)
    return scores


def judged(scores: LearnedScores, count: int = 200) -> list[bool]:
    return [scores.judge("sums", LEARNED, question(number)).is_strong for number in range(count)]


async def test_the_hard_ones_go_to_the_strong_model() -> None:
    scores = await taught(Kept())

    verdict = scores.judge("sums", LEARNED, question(1))

    assert judged(scores) == [hard(number) for number in range(200)]
    assert verdict.labels == 60 >= ENOUGH
    assert sum(verdict.parts.values()) == pytest.approx(verdict.score)


async def test_before_there_are_labels_the_longer_ones_do() -> None:
    scores = LearnedScores(Kept(), pepper=b"p" * 32)
    for number in range(100):
        scores.judge("sums", LEARNED, call("word " * (1 + number % 50)))

    assert scores.judge("sums", LEARNED, call("word " * 60)).is_strong
    assert not scores.judge("sums", LEARNED, call("word")).is_strong
    assert scores.judge("sums", LEARNED, call("word")).labels == 0


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
async def test_the_share_of_strong_calls_is_the_policy_s(share: float) -> None:
    learned = Learned("learned", WEAK, STRONG, share)
    scores = LearnedScores(Kept(), pepper=b"p" * 32)

    strong = [
        scores.judge("sums", learned, call("word " * (1 + number * 37 % 400))).is_strong for number in range(2000)
    ]

    assert sum(strong[500:]) / 1500 == pytest.approx(share, abs=0.05)


async def test_others_use_what_one_has_learned_and_so_does_who_starts_anew() -> None:
    states = Kept()
    await taught(states)
    other = LearnedScores(states, pepper=b"p" * 32)

    await other.flush(ROUTES)

    assert judged(other)[-100:] == [hard(number) for number in range(100, 200)]
    assert other.judge("sums", LEARNED, question(1)).labels == 60


async def test_a_few_labels_of_one_s_own_do_not_replace_what_rests_on_many() -> None:
    states = Kept()
    await taught(states)
    other = LearnedScores(states, pepper=b"p" * 32)
    await other.flush(ROUTES)
    for number in range(FIRST):
        other.learn("sums", LEARNED, question(number), weak=1.0)

    await other.flush(ROUTES)

    assert other.judge("sums", LEARNED, question(1)).labels == 60


@pytest.mark.parametrize("value", [b"", b"nonsense", b"\x00" * 100])
async def test_what_cannot_be_read_is_learned_anew(value: bytes) -> None:
    states = Kept()
    await taught(states)
    (name,) = states.values
    states.values[name] = Versioned(value, 7)
    other = LearnedScores(states, pepper=b"p" * 32)

    await other.flush(ROUTES)

    assert other.judge("sums", LEARNED, question(1)).labels == 0


async def test_while_the_store_is_away_it_learns_and_tells_later() -> None:
    states = Kept()
    states.is_away = True
    scores = await taught(states)
    assert scores.judge("sums", LEARNED, question(1)).labels == 60

    states.is_away = False
    await scores.flush(ROUTES)

    assert len(states.values) == 1


async def test_no_text_of_a_prompt_is_kept_in_the_store() -> None:
    states = Kept()
    scores = LearnedScores(states, pepper=b"p" * 32)
    for number in range(40):
        name = "".join("abcdefghij"[int(digit)] for digit in str(1000 + number))
        scores.learn("sums", LEARNED, call(f"common words and hidden{name}"), weak=1.0)
    await scores.flush(ROUTES)

    (kept,) = states.values.values()
    assert b"common" in kept.value
    assert b"hidden" not in kept.value


async def test_what_takes_long_about_learning_is_not_done_where_calls_are_served(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    scores = LearnedScores(Kept(), pepper=b"p")
    for number in range(FIRST):
        scores.learn("sums", LEARNED, question(number), weak=float(not hard(number)))
    seen: Counter[str] = Counter()
    score_of = Score.of

    def scored(score: Score, prompt: Prompt) -> Scored:
        seen[threading.current_thread().name] += 1
        return score_of(score, prompt)

    monkeypatch.setattr(Score, "of", scored)
    await scores.flush(ROUTES)

    assert seen.total() == FIRST
    assert threading.current_thread().name not in seen
