"""What an admin is told of candidates, and the order to show it anew."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import openai
import pytest

from tests.admin.conftest import refused
from tests.conftest import House
from tests.flow.scholars import Scholars, teaching
from tests.flow.test_certificates import Pupil, until

LOOSE = "max_loss: 40%, shadow: 100%, shadow_budget: 1 USD/day"
"""Shown after some ten labels."""


@pytest.fixture
async def pupil(house: House, sdk: openai.AsyncOpenAI) -> AsyncIterator[Pupil]:
    async with teaching(Scholars(strong=1.0, cheap=1.0, second=1.0)) as school:
        yield Pupil(house, sdk, school)


async def certificates(admin: aiohttp.ClientSession, **query: str) -> list[dict[str, Any]]:
    async with admin.get("/admin/v1/certificates", params=query) as reply:
        assert reply.status == 200, await reply.text()
        found: list[dict[str, Any]] = (await reply.json())["certificates"]
        return found


async def test_without_candidates_there_is_nothing_to_show(admin: aiohttp.ClientSession) -> None:
    assert await certificates(admin) == []


async def test_a_candidate_is_told_from_its_first_moment_to_its_certificate(
    pupil: Pupil, admin: aiohttp.ClientSession
) -> None:
    await pupil.policy("cheap, checked", LOOSE)
    first = await certificates(admin)
    await until(pupil, "school/cheap", most=60)
    await pupil.settled()
    by_name = {each["candidate"]: each for each in await certificates(admin, route="sums")}

    assert [(each["candidate"], each["kind"], each["standing"], each["labels"]) for each in first] == [
        ("cheap", "model", "uncertified", 0),
        ("checked", "cascade", "uncertified", 0),
    ]
    assert first[0]["budget"] == {
        "account": "trials of sums",
        "limit_nano_usd": 10**9,
        "spent_nano_usd": 0,
        "held_nano_usd": 0,
        "left_nano_usd": 10**9,
    }
    cheap = by_name["cheap"]
    assert (cheap["route"], cheap["reference"], cheap["standing"], cheap["serves"]) == (
        "sums",
        "strong",
        "certified",
        True,
    )
    assert cheap["labels"] > 0
    assert cheap["mean_loss"] == 0
    assert cheap["least_loss"] <= cheap["most_loss"] <= cheap["max_loss"] == 0.4
    assert "the loss is at most" in cheap["why"]
    assert (cheap["price_ratio"], cheap["share"], cheap["confidence"], cheap["trial"]) == (0.1, 0.02, 0.95, 1)
    budget = cheap["budget"]
    assert 0 < budget["spent_nano_usd"] == budget["limit_nano_usd"] - budget["left_nano_usd"] - budget["held_nano_usd"]
    assert await certificates(admin, route="another") == []


async def test_a_certificate_that_is_reset_begins_anew_and_says_by_whom_and_why(
    pupil: Pupil, admin: aiohttp.ClientSession
) -> None:
    await pupil.policy("cheap", LOOSE)
    await until(pupil, "school/cheap", most=60)

    wanted = {"route": "sums", "candidate": "cheap", "reason": "the prompt has changed"}
    async with admin.post("/admin/v1/certificates:reset", json=wanted) as reply:
        (told,) = (await reply.json())["certificates"]

    assert (reply.status, told["standing"], told["serves"], told["trial"]) == (200, "uncertified", False, 2)
    assert told["why"] == "begun anew by admin: the prompt has changed"
    assert await pupil.ask(1) == ["school/strong"]
    await until(pupil, "school/cheap", most=90)


async def test_each_system_prompt_has_its_own_and_is_reset_by_itself(
    pupil: Pupil, admin: aiohttp.ClientSession
) -> None:
    await pupil.policy("cheap", LOOSE)
    pupil.system = "You add."
    await pupil.ask(1)
    await pupil.settled()
    (any_prompt, one) = await certificates(admin)

    assert (any_prompt["prompt"], any_prompt["labels"], one["labels"]) == (None, 0, 1)
    wanted = {"route": "sums", "candidate": "cheap", "prompt": one["prompt"], "reason": "another example"}
    async with admin.post("/admin/v1/certificates:reset", json=wanted) as reply:
        assert [each["prompt"] for each in (await reply.json())["certificates"]] == [one["prompt"]]
    assert [each["trial"] for each in await certificates(admin)] == [1, 2]


@pytest.mark.parametrize(
    ("body", "refusal"),
    [
        ({"route": "sums", "candidate": "cheap"}, (400, "missing_parameter")),
        ({"route": "sums", "candidate": "cheap", "reason": " "}, (400, "missing_parameter")),
        ({"route": "sums", "candidate": "cheap", "reason": "a\nb"}, (400, "invalid_value")),
        ({"candidate": "cheap", "reason": "x"}, (400, "missing_parameter")),
        ({"route": "sums", "candidate": "dear", "reason": "x"}, (404, "not_found")),
        ({"route": "other", "candidate": "cheap", "reason": "x"}, (404, "not_found")),
        ({"route": "sums", "candidate": "cheap", "reason": "x", "all": True}, (400, "unknown_parameter")),
    ],
)
async def test_a_reset_that_does_not_say_what_and_why_is_refused(
    pupil: Pupil, admin: aiohttp.ClientSession, body: object, refusal: tuple[int, str]
) -> None:
    await pupil.policy("cheap", LOOSE)

    async with admin.post("/admin/v1/certificates:reset", json=body) as reply:
        assert await refused(reply) == refusal
    assert [each["trial"] for each in await certificates(admin)] == [1]


async def test_a_call_tells_of_its_trials_and_they_count_as_no_calls(
    pupil: Pupil, admin: aiohttp.ClientSession
) -> None:
    await pupil.policy("cheap", LOOSE)
    await pupil.ask(1)
    await pupil.settled()
    records = await pupil.house.records()
    (asked,) = (each for each in records if each["org"] == "default")
    (own,) = (each for each in records if each["org"] == "llmgw")
    (trial,) = (each for each in records if each["operation"] == "trial")

    async def told(id: str) -> dict[str, Any]:
        async with admin.get(f"/admin/v1/calls/{id}") as reply:
            found: dict[str, Any] = await reply.json()
            return found

    assert [each["candidate_quality"] for each in (await told(asked["id"]))["trials"]] == [1.0]
    assert "the quality of cheap is 1, where the reference has 1." in " ".join((await told(asked["id"]))["story"])
    assert (await told(own["id"]))["made_for"] == asked["id"]
    assert [each["name"] for each in (await told(trial["id"]))["spans"]] == ["llmgw.trial"]
    async with admin.get("/admin/v1/stats", params={"by": "org"}) as reply:
        groups = (await reply.json())["groups"]
    assert {each["by"]["org"]: each["total"]["calls"] for each in groups} == {"default": 1, "llmgw": 1}
    async with admin.get("/admin/v1/calls", params={"outcome": "trial", "route": "sums"}) as reply:
        assert [each["id"] for each in (await reply.json())["calls"]] == [trial["id"]]
    async with admin.get("/metrics") as reply:
        metrics = await reply.text()
    assert 'outcome="trial"' not in metrics
    found = {
        (name, tuple(sorted(re.findall(r'(\w+="[^"]*")', labels)))): float(value)
        for name, labels, value in re.findall(
            r"^(llmgw_(?:trials|certificate)_\w+)\{(.*)\} (\S+)$", metrics, re.MULTILINE
        )
    }
    whose = ('candidate="cheap"', 'route="sums"')
    expected: dict[tuple[str, tuple[str, ...]], float] = {
        ("llmgw_trials_total", (whose[0], 'result="labelled"', whose[1])): 1,
        ("llmgw_certificate_labels", whose): 1,
    }
    for standing in ("uncertified", "certified", "refused", "revoked"):
        labels = (*whose, f'standing="{standing}"')
        expected["llmgw_certificate_standing", labels] = standing == "uncertified"
    assert found == expected
