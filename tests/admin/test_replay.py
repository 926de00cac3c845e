"""`POST /admin/v1/policies:replay`."""

from __future__ import annotations

from typing import Any

import aiohttp
import pytest

from tests.admin.conftest import call, refused
from tests.conftest import House

REPLAY = "/admin/v1/policies:replay"
NEW = """version: 1
providers: {demo: {dialect: demo}}
models: {demo: {use: demo/other, price: {in: 10, out: 20}}}
"""


async def test_a_draft_is_compared_with_the_policy_in_force_on_what_was_recorded(
    house: House, admin: aiohttp.ClientSession
) -> None:
    for _ in range(3):
        await call(house, house.key)

    async with admin.post(REPLAY, json={"files": {"policy.yaml": NEW}, "traffic": "last-1h"}) as reply:
        report = await reply.json()

    assert reply.status == 200
    assert report["old"] == house.worker.policy.current.version
    assert (report["total"]["calls"], report["total"]["changed"], report["old_policy"]["agreed"]) == (3, 3, 3)
    cost = report["total"]["cost_usd"]
    assert float(cost["new"]) == pytest.approx(10 * float(cost["old"]))


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({}, "invalid_type"),
        ({"files": {"policy.yaml": "version: 1\nroute: []\n"}}, "invalid_policy"),
        ({"files": {"policy.yaml": NEW}, "traffic": "7d"}, "invalid_value"),
        ({"files": {"policy.yaml": NEW}, "states": {"all": "good"}}, "invalid_value"),
        ({"files": {"policy.yaml": NEW}, "states": {"all": "certified"}}, "invalid_value"),
        ({"files": {"policy.yaml": NEW}, "against": "x"}, "unknown_parameter"),
    ],
)
async def test_what_makes_no_sense_is_refused(admin: aiohttp.ClientSession, body: dict[str, Any], code: str) -> None:
    async with admin.post(REPLAY, json=body) as reply:
        assert await refused(reply) == (400, code)
