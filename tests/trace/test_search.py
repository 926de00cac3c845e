"""What calls can be asked for, and how it is refused."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from gateway.core.errors import InvalidRequest
from gateway.trace.reading.search import FILTERS, OUTCOMES, search_of
from gateway.trace.reading.statistics import question_of
from gateway.trace.retention import Retention
from tests.trace.stored import NOON, File, line

ROWS = (
    line("plain"),
    line(
        "refused",
        route="legal",
        status=429,
        outcome="rejected_rate",
        error_code="rate_limit_exceeded",
        error="Slow DOWN",
    ),
    line("failed", status=502, outcome="upstream_error", error_code="upstream_reset", error="reset", at=NOON + 60),
    line("dear", cost_nano_usd=2_000_000_000, model="o1", key_id="key-2", stream=True, at=NOON + 120),
    line("slow", duration_ms=60_000.0, tags=["legal", 'a"b'], user="Ünal", conversation="c1", at=NOON - 60),
    line("free", cost_nano_usd=None, duration_ms=None, org="umbrella", team=None, tenant="umbrella", route=None),
    line("said", content={"input": [{"role": "user", "content": "The Launch Code"}], "output": ["100%_sure"]}),
    line("traced", trace_id="ab" * 16, deployment="vllm/llama", provider="vllm", cache="hit", template="Support@2"),
)
FOUND = [
    ({"org": "umbrella"}, {"free"}),
    ({"team": "search", "stream": "true"}, {"dear"}),
    ({"tenant": "umbrella"}, {"free"}),
    ({"key_id": "key-2"}, {"dear"}),
    ({"user": "Ünal"}, {"slow"}),
    ({"model": "o1"}, {"dear"}),
    ({"deployment": "vllm/llama"}, {"traced"}),
    ({"provider": "vllm"}, {"traced"}),
    ({"route": "legal"}, {"refused"}),
    ({"cache": "hit"}, {"traced"}),
    ({"trace_id": "ab" * 16}, {"traced"}),
    ({"conversation": "c1"}, {"slow"}),
    ({"status": "429"}, {"refused"}),
    ({"status": "4xx"}, {"refused"}),
    ({"status": "5XX"}, {"failed"}),
    ({"outcome": "upstream_error"}, {"failed"}),
    ({"error_code": "rate_limit_exceeded"}, {"refused"}),
    ({"tag": "legal"}, {"slow"}),
    ({"tag": 'a"b'}, {"slow"}),
    ({"tag": "leg"}, set()),
    ({"min_cost_usd": "1.5"}, {"dear"}),
    ({"max_cost_usd": "0.0000005"}, set()),
    ({"min_ms": "60000"}, {"slow"}),
    ({"max_ms": "99"}, set()),
    ({"since": str(NOON + 60), "until": str(NOON + 120)}, {"failed"}),
    ({"since": "2027-01-15T12:02:00Z"}, {"dear"}),
    ({"until": "-1m"}, set()),
    ({"since": "-30s", "until": "-0h"}, set()),
    ({"since": "-60s", "until": "-0d"}, {"slow"}),
    ({"until": "2027-01-15T13:00:00+01:00"}, {"slow"}),
    ({"text": "slow down"}, {"refused"}),
    ({"text": "legal"}, {"slow"}),
    ({"text": "ÜNAL"}, {"slow"}),
    ({"text": "o1"}, {"dear"}),
    ({"text": "launch code"}, {"said"}),
    ({"text": "support@"}, {"traced"}),
    ({"text": "%_s"}, {"said"}),
    ({"text": "%"}, {"said"}),
    ({"model": "' OR 1=1 --"}, set()),
]
WRONG = [
    ({"record": "x"}, "record"),
    ({"status": "ok"}, "status"),
    ({"status": "42"}, "status"),
    ({"status": "x00"}, "status"),
    ({"since": "yesterday"}, "since"),
    ({"until": "nan"}, "until"),
    ({"since": "-1"}, "since"),
    ({"since": "9999999999999999"}, "since"),
    ({"min_cost_usd": "-1"}, "min_cost_usd"),
    ({"max_cost_usd": "1e400"}, "max_cost_usd"),
    ({"max_cost_usd": "1e999999"}, "max_cost_usd"),
    ({"max_cost_usd": "NaN"}, "max_cost_usd"),
    ({"min_ms": "inf"}, "min_ms"),
    ({"stream": "yes"}, "stream"),
    ({"outcome": "foo"}, "outcome"),
    ({"cache": "HIT"}, "cache"),
    ({"since": "-1y"}, "since"),
    ({"until": "1h"}, "until"),
    ({"text": "x" * 513}, "text"),
    ({"model": "a\x00b"}, "model"),
]
WRONG_STATISTICS = [
    ({"by": "colour"}, "by"),
    ({"by": "org,,model"}, "by"),
    ({"step": "61"}, "step"),
    ({"step": "0"}, "step"),
    ({"step": "-60"}, "step"),
    ({"since": "0", "step": "60"}, "step"),
    ({"since": str(NOON + 1), "until": str(NOON)}, "since"),
    ({"since": "3"}, "since"),
    ({"outcome": "foo"}, "outcome"),
    ({"limit": "many"}, "limit"),
    ({"limit": "0"}, "limit"),
    ({"limit": "101"}, "limit"),
    ({"by": "tag,key_id"}, "by"),
    ({"by": "tag", "outcome": "upstream"}, "outcome"),
    ({"user": "x"}, "user"),
]


@pytest.mark.parametrize(("query", "ids"), FOUND, ids=str)
def test_calls_are_found_by_what_their_records_say(file: File, query: dict[str, str], ids: set[str]) -> None:
    file.writer.write(ROWS)

    assert set(file.ids(**query)) == ids


def test_every_filter_has_an_example_here() -> None:
    assert {name for query, _ in FOUND for name in query} == set(FILTERS)


def test_calls_come_by_when_they_arrived_and_page_by_page_whatever_the_filter(file: File) -> None:
    file.writer.write(ROWS)
    search = search_of({"provider": "openai"}, now=NOON)

    pages, before = [], None
    while True:
        page = file.reader.latest(search, limit=2, before=before)
        pages.append([each["id"] for each in page.records])
        if (before := page.before) is None:
            break

    assert pages == [["dear", "failed"], ["said", "free"], ["refused", "plain"], ["slow"]]


@pytest.mark.parametrize(("query", "name"), WRONG, ids=lambda each: str(each)[:40])
def test_a_filter_that_makes_no_sense_is_refused_by_its_name(query: dict[str, str], name: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        search_of(query, now=NOON)
    assert refused.value.param == name
    assert name in refused.value.message


@pytest.mark.parametrize(("query", "name"), WRONG_STATISTICS, ids=lambda each: str(each)[:40])
def test_a_question_that_makes_no_sense_is_refused_by_its_name(query: dict[str, str], name: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        question_of(query, now=NOON)
    assert refused.value.param == name


def test_a_refusal_says_what_may_be_asked_for() -> None:
    with pytest.raises(InvalidRequest, match=r"outcome must be one of upstream, gateway, .*, orphaned"):
        search_of({"outcome": "foo"}, now=NOON)
    with pytest.raises(InvalidRequest, match="or how long ago: -90s"):
        search_of({"since": "yesterday"}, now=NOON)


def test_the_outcomes_are_those_of_the_manual() -> None:
    manual = (Path(__file__).parent.parent.parent / "docs" / "observability.md").read_text()
    listed = re.search(r"^`outcome` is one of ((?:.|\n)*?)\(its worker died\)", manual, re.MULTILINE)

    assert listed is not None
    assert tuple(re.findall(r"`([a-z_]+)`", listed[1])) == OUTCOMES


def test_what_is_kept_has_its_limits_in_one_place() -> None:
    assert Retention() == Retention(age=7 * 86400, rows=1_000_000, bytes=4 * 1024**3, statistics=90 * 86400)
