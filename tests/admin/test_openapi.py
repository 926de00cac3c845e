"""The OpenAPI document is true, and each operation in it is closed to whoever has no admin key."""

from __future__ import annotations

from pathlib import Path

import aiohttp
import pytest

from gateway.cache.purges import Purges
from gateway.cache.semantic.asked import NO_SEMANTIC
from gateway.core.clock import Clock
from gateway.core.secret import Secret
from gateway.ingress.admin.api import Admin
from gateway.ingress.admin.draft import Trying
from gateway.ingress.admin.openapi import OPERATIONS, document
from gateway.ingress.admin.server import PREFIX
from gateway.policy.history import History
from gateway.policy.snapshot import Snapshot
from gateway.policy.suite import Ran
from gateway.route.certificate.certificates import Certificates
from gateway.store.open import open_store
from gateway.template.rollout.rollouts import Rollouts
from gateway.trace.metrics.metrics import Metrics
from gateway.trace.metrics.names import Known
from gateway.trace.metrics.observe import Observer
from tests.admin.conftest import created, refused
from tests.conftest import House

EACH = pytest.mark.parametrize(
    ("method", "path"), [(each.method, PREFIX + each.path.format(id="x", name="x")) for each in OPERATIONS]
)


class NoReports:
    """Nothing is kept, and nothing is reported."""

    async def report(self, name: str | None, *, is_good: bool, by_meaning: bool, answer: str | None = None) -> bool:
        return False


async def test_the_document_names_what_is_served_and_nothing_else(house: House, tmp_path: Path) -> None:
    worker = house.worker

    def compile_folder(folder: Path) -> Snapshot:
        return worker.policy.current

    store = await open_store("embedded", tmp_path / "other")
    served = Admin(
        key=Secret("x"),
        store=store,
        journal=worker.journal,
        policy=worker.policy,
        watch=worker.watch,
        folder=house.policies,
        trying=Trying(compile_folder, lambda folder: Ran(0)),
        history=History(house.policies, store.policies, worker.policy, Clock()),
        resting=dict,
        observed=dict,
        budgets=worker.budgets,
        certificates=Certificates(store.meanings.earned, str, Clock(), pepper=b"x"),
        rollouts=Rollouts(store.meanings.earned, str, Clock(), lambda message: None, pepper=b"x"),
        metrics=Metrics(Observer(object, Known), None, Clock()),
        purges=Purges(store.cache),
        meanings=NO_SEMANTIC,
        reports=NoReports(),
        unready=lambda: None,
        clock=Clock(),
    ).application()
    await store.close()

    routes = {(route.method, route.resource.canonical) for route in served.router.routes() if route.resource}
    health = {("GET", "/healthz"), ("GET", "/readyz"), ("GET", "/metrics")}
    named = {(each.method.upper(), PREFIX + each.path) for each in OPERATIONS}
    console = {(method, path) for method, path in routes if path.startswith("/console")}
    assert named == {(method, path) for method, path in routes if method != "HEAD"} - health - console
    assert len(named) == len(OPERATIONS)


async def test_the_document_can_be_asked_for(admin: aiohttp.ClientSession) -> None:
    async with admin.get("/admin/v1/openapi.json") as reply:
        assert await reply.json() == document(PREFIX)


@pytest.mark.parametrize(
    "path", ["calls", "calls:tail", "calls:export", "stats", "errors", "cache", "cache/entries", "certificates"]
)
async def test_every_parameter_that_is_named_is_taken_and_no_other(admin: aiohttp.ClientSession, path: str) -> None:
    (operation,) = (each for each in OPERATIONS if each.path == path)

    for name, schema in operation.query.items():
        async with admin.get(PREFIX + path, params={name: str(schema.get("example", "1"))}) as reply:
            assert reply.status == 200, name
    async with admin.get(PREFIX + path, params={"wrong": "1"}) as reply:
        assert await refused(reply) == (400, "unknown_parameter")
        assert (await reply.json())["error"]["param"] == "wrong"


@pytest.mark.parametrize(
    "path", [each.path.format(id="x") for each in OPERATIONS if each.method == "get" and not each.query]
)
async def test_what_has_no_parameters_takes_none(admin: aiohttp.ClientSession, path: str) -> None:
    async with admin.get(PREFIX + path, params={"figures": "1"}) as reply:
        error = (await reply.json())["error"]

    assert (reply.status, error["code"], error["param"]) == (400, "unknown_parameter", "figures")
    assert error["message"] == "there is no parameter 'figures' here: it takes none"


async def test_who_misspells_a_parameter_is_told_those_that_there_are(admin: aiohttp.ClientSession) -> None:
    async with admin.get(PREFIX + "errors", params={"sinse": "-1h"}) as reply:
        assert (await reply.json())["error"]["message"] == "there is no parameter 'sinse' here: it takes since, until"


async def test_every_field_of_a_new_key_is_taken(admin: aiohttp.ClientSession) -> None:
    wanted = {"name": "ci", "tenant": "acme", "models": ["demo"], "expires": "1h"}
    (create,) = (each for each in OPERATIONS if (each.method, each.path) == ("post", "keys"))
    assert set(create.body) == set(wanted)

    assert (await created(admin, **wanted))["name"] == "ci"


@EACH
@pytest.mark.parametrize("shown", ["", "Bearer wrong", "Basic x"])
async def test_without_the_admin_key_no_operation_is_open(
    stranger: aiohttp.ClientSession, method: str, path: str, shown: str
) -> None:
    async with stranger.request(method, path, headers={"authorization": shown} if shown else {}) as reply:
        assert await refused(reply) == (401, "invalid_api_key")


@EACH
async def test_with_a_virtual_key_there_is_no_such_operation(
    house: House, stranger: aiohttp.ClientSession, method: str, path: str
) -> None:
    async with stranger.request(method, path, headers={"authorization": f"Bearer {house.key}"}) as reply:
        assert await refused(reply) == (404, "not_found")
