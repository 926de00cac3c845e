"""Files and batches: kept by a provider, seen by the team that made them and by nobody else."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest
from openai import AsyncOpenAI

from gateway.app import running
from gateway.auth.virtual_key import mint
from gateway.auth.wanted import Wanted
from gateway.core.clock import Clock
from gateway.core.secret import Secret
from gateway.core.tenant import Tenant
from gateway.files.ownership import Ownership
from gateway.store.open import open_store
from tests.conftest import settings
from tests.faults.chaosprov import Chaosprov
from tests.faults.steps import CUT, Body, Finish, Head, Json, Say, Usage

POLICY = """
version: 1
providers:
  chaos: {{dialect: openai, base_url: {provider}, key: sk-chaos-canary, allow_private: true, files: true{more}}}
  demo: {{dialect: demo}}
models:
  small: {{use: chaos/gpt-small, price: {{in: 1, out: 2}}}}
  same: {{use: chaos/same}}
  demo: {{use: demo/demo, price: {{in: 1, out: 2}}}}
tenants:
  acme: {{models: ["*"], teams: {{red: {{}}, blue: {{}}, poor: {{budget: [{{usd: 1, per: day}}]}}}}}}
"""
SEES: dict[str, Any] = {"object": "file", "bytes": 3, "created_at": 1, "purpose": "batch", "status": "processed"}


class Office:
    """A gateway with three teams, each with its own client."""

    def __init__(self, clients: dict[str, AsyncOpenAI], url: str, pepper: Secret) -> None:
        self.clients = clients
        self.url = url
        self.pepper = pepper

    def mark(self, team: str) -> str:
        return self.of(team).mark

    def of(self, team: str) -> Ownership:
        return Ownership(self.pepper, "chaos", Tenant("acme", team, "k", "n"))


@pytest.fixture
def more() -> str:
    """Of the provider."""
    return ""


@pytest.fixture
async def office(tmp_path: Path, provider: Chaosprov, more: str) -> AsyncIterator[Office]:
    policies, data = tmp_path / "policies", tmp_path / "data"
    policies.mkdir()
    (policies / "policy.yaml").write_text(POLICY.format(provider=provider.base_url, more=more))
    store = await open_store("embedded", data, pepper=None, clock=Clock())
    credentials = {}
    for team in ("red", "blue", "poor"):
        key, credential = mint(Wanted(name=team, tenant=f"acme/{team}"), store.pepper, now=0)
        await store.keys.create(key)
        credentials[team] = credential.reveal()
    pepper = store.pepper
    await store.close()
    async with AsyncExitStack() as open_things:
        worker = await open_things.enter_async_context(running(settings(policies, data), records_to=None))
        clients = {
            team: await open_things.enter_async_context(
                AsyncOpenAI(base_url=f"{worker.url}/v1", api_key=credential, max_retries=0)
            )
            for team, credential in credentials.items()
        }
        yield Office(clients, worker.url, pepper)
        await worker.server.drain(2)
        assert worker.pool.open_exchanges == 0


async def test_a_file_is_made_seen_read_and_deleted(office: Office, provider: Chaosprov) -> None:
    red, blue = office.clients["red"], office.clients["blue"]
    provider.will(Json({**SEES, "id": "file-abc", "filename": f"llmgw-{office.mark('red')}-a.txt"}))

    made = await red.files.create(file=("a.txt", b"\x00\r\n\xff"), purpose="user_data")

    assert made.filename == "a.txt"
    assert made.id.startswith("file-llmgw-")
    assert made.id.endswith("-abc")
    assert b'filename="llmgw-' + office.mark("red").encode() + b'-a.txt"' in provider.calls[0].body
    assert b"\x00\r\n\xff" in provider.calls[0].body
    assert provider.calls[0].header("authorization") == "Bearer sk-chaos-canary"

    provider.will(Json({**SEES, "id": "file-abc", "filename": f"llmgw-{office.mark('red')}-a.txt"}))
    assert (await red.files.retrieve(made.id)).id == made.id
    provider.will(Head(headers=(("content-type", "text/html"),)), Body(b"\x00\r\n"), Body(b"\xff"))
    content = await red.files.content(made.id)
    assert (content.content, content.response.headers["content-type"]) == (b"\x00\r\n\xff", "application/octet-stream")
    provider.will(Json({"id": "file-abc", "object": "file", "deleted": True}))
    assert (await red.files.delete(made.id)).id == made.id
    assert [(call.method, call.path) for call in provider.calls[1:]] == [
        ("GET", "/v1/files/file-abc"),
        ("GET", "/v1/files/file-abc/content"),
        ("DELETE", "/v1/files/file-abc"),
    ]

    for ask in (blue.files.retrieve, blue.files.content, blue.files.delete):
        with pytest.raises(openai.NotFoundError):
            await ask(made.id)
    assert len(provider.calls) == 4, "the provider was asked for another team's file"


@pytest.mark.parametrize("id", ["file-abc", "file-llmgw-000000000000000000000000-abc", "..%2fmodels", "x" * 300])
async def test_an_id_that_was_not_made_here_is_unknown(office: Office, provider: Chaosprov, id: str) -> None:
    async with httpx.AsyncClient(headers={"authorization": f"Bearer {office.clients['red'].api_key}"}) as client:
        answer = await client.get(f"{office.url}/v1/files/{id}")

    assert answer.status_code in (400, 404)
    assert not provider.calls


async def test_the_key_of_one_provider_opens_nothing_at_another(office: Office) -> None:
    one = Ownership(office.pepper, "chaos", Tenant("acme", "red", "k", "n"))
    other = Ownership(office.pepper, "elsewhere", Tenant("acme", "red", "k", "n"))

    assert one.own(one.given("file-abc")) == "file-abc"
    assert one.given("file-abc") != other.given("file-abc")


async def test_a_list_has_the_team_s_own_over_all_pages(office: Office, provider: Chaosprov) -> None:
    def listed(team: str | None, number: int) -> dict[str, Any]:
        mark = "" if team is None else f"llmgw-{office.mark(team)}-"
        return {**SEES, "id": f"file-{number}", "filename": f"{mark}f{number}"}

    first = [listed("blue", 1), listed(None, 2), listed("red", 3)]
    second = [listed("red", 4), listed("blue", 5)]
    provider.will(Json({"object": "list", "data": first, "has_more": True}))
    provider.will(Json({"object": "list", "data": second, "has_more": False}))

    page = await office.clients["red"].files.list()

    assert [each.filename for each in page.data] == ["f3", "f4"]
    assert [each.id for each in page.data] == [office.of("red").given(f"file-{number}") for number in (3, 4)]
    assert page.has_more is False
    assert "after=file-3" in provider.calls[1].path

    provider.will(Json({"object": "list", "data": second, "has_more": False}))
    after = await office.clients["red"].files.list(after=page.data[0].id, limit=1)
    assert "after=file-3" in provider.calls[2].path
    assert ([each.filename for each in after.data], after.has_more) == (["f4"], False)


async def test_a_batch_s_models_are_the_provider_s(office: Office, provider: Chaosprov) -> None:
    lines = [
        {"custom_id": "1", "method": "POST", "url": "/v1/chat/completions", "body": {"model": "small", "x": 1.50}},
        {"custom_id": "2", "method": "POST", "url": "/v1/chat/completions", "body": {"model": "same"}},
    ]
    provider.will(Json({**SEES, "id": "file-in", "filename": f"llmgw-{office.mark('red')}-b.jsonl"}))

    jobs = "\n".join(json.dumps(each) for each in lines).encode()
    await office.clients["red"].files.create(file=("b.jsonl", jobs), purpose="batch")

    sent = provider.calls[0].body
    assert b'"model":"gpt-small"' in sent
    assert json.dumps(lines[1]).encode() in sent


@pytest.mark.parametrize("line", ["{", "[]", "{}", '{"body": {"model": "demo"}}', '{"body": {"model": "nothing"}}'])
async def test_a_batch_of_what_cannot_be_asked_is_refused(office: Office, provider: Chaosprov, line: str) -> None:
    with pytest.raises((openai.BadRequestError, openai.NotFoundError)):
        await office.clients["red"].files.create(file=("b.jsonl", line.encode()), purpose="batch")

    assert not provider.calls


async def test_a_batch_s_lines_name_the_team_s_own_files_alone(office: Office, provider: Chaosprov) -> None:
    def line(**body: Any) -> bytes:
        return json.dumps({"custom_id": "1", "body": {"model": "same", **body}}).encode()

    def image(id: str) -> dict[str, Any]:
        return {"input": [{"role": "user", "content": [{"type": "input_image", "file_id": id}]}]}

    attacks = [
        line(**image("file-abc")),
        line(**image(office.of("blue").given("file-abc"))),
        line(tools=[{"type": "code_interpreter", "container": {"type": "auto", "file_ids": ["file-abc"]}}]),
        line(input="hi", previous_response_id="resp_1"),
        line(input="hi", conversation={"id": "conv_1"}),
        line(input="hi", prompt={"id": "pmpt_1"}),
    ]
    for attack in attacks:
        with pytest.raises((openai.BadRequestError, openai.NotFoundError)):
            await office.clients["red"].files.create(file=("b.jsonl", attack), purpose="batch")
    assert not provider.calls

    provider.will(Json({**SEES, "id": "file-in", "filename": f"llmgw-{office.mark('red')}-b.jsonl"}))
    own = line(**image(office.of("red").given("file-abc")), prompt="text")
    await office.clients["red"].files.create(file=("b.jsonl", own), purpose="batch")

    assert b'"file_id":"file-abc"' in provider.calls[0].body


async def test_a_file_s_name_cannot_be_said_twice(office: Office, provider: Chaosprov) -> None:
    """Whoever reads the other one would keep it as another's."""
    for header in (
        'form-data; name="file"; filename="a"; filename*=UTF-8\'\'b',
        'form-data; name="file"; filename="a"; filename="b"',
        'form-data; name="file"; name="purpose"; filename="a"',
        'form-data; name="file"; filename="a"\r\nContent-Disposition: form-data; name="x"',
    ):
        body = (
            f"--b\r\nContent-Disposition: {header}\r\n\r\nhi\r\n"
            '--b\r\nContent-Disposition: form-data; name="purpose"\r\n\r\nuser_data\r\n--b--\r\n'
        )
        async with httpx.AsyncClient(headers={"authorization": f"Bearer {office.clients['red'].api_key}"}) as client:
            answer = await client.post(
                f"{office.url}/v1/files", content=body, headers={"content-type": "multipart/form-data; boundary=b"}
            )
        assert (answer.status_code, answer.json()["error"]["code"]) == (400, "invalid_form"), header

    assert not provider.calls


def _batch(office: Office, team: str, **more: Any) -> dict[str, Any]:
    return {
        "id": "batch_1",
        "object": "batch",
        "endpoint": "/v1/chat/completions",
        "completion_window": "24h",
        "created_at": 1,
        "status": "in_progress",
        "input_file_id": "file-in",
        "output_file_id": "file-out",
        "metadata": {"llmgw_owner": office.mark(team), "note": "mine"},
        **more,
    }


async def test_a_batch_is_made_seen_listed_and_cancelled(office: Office, provider: Chaosprov) -> None:
    red, blue, own = office.clients["red"], office.clients["blue"], office.of("red")
    provider.will(Json(_batch(office, "red")))

    made = await red.batches.create(
        input_file_id=own.given("file-in"),
        endpoint="/v1/chat/completions",
        completion_window="24h",
        metadata={"note": "mine", "llmgw_owner": office.mark("blue")},
    )

    assert provider.calls[0].json["input_file_id"] == "file-in"
    assert provider.calls[0].json["metadata"] == {"note": "mine", "llmgw_owner": office.mark("red")}
    assert (made.id, made.input_file_id) == (own.given("batch_1"), own.given("file-in"))
    assert (made.output_file_id, made.metadata) == (own.given("file-out"), {"note": "mine"})

    provider.will(Json(_batch(office, "red")))
    assert (await red.batches.retrieve(made.id)).id == made.id
    provider.will(Json({"object": "list", "data": [_batch(office, "blue"), _batch(office, "red")], "has_more": False}))
    assert [each.id for each in (await red.batches.list()).data] == [made.id]
    provider.will(Json(_batch(office, "red", status="cancelling")))
    assert (await red.batches.cancel(made.id)).status == "cancelling"
    assert (provider.calls[-1].method, provider.calls[-1].path) == ("POST", "/v1/batches/batch_1/cancel")

    asked = len(provider.calls)
    with pytest.raises(openai.NotFoundError):
        await blue.batches.retrieve(made.id)
    with pytest.raises(openai.NotFoundError):
        await blue.batches.create(
            input_file_id=own.given("file-in"), endpoint="/v1/chat/completions", completion_window="24h"
        )
    assert len(provider.calls) == asked


async def test_a_team_with_a_hard_budget_makes_no_batches(office: Office, provider: Chaosprov) -> None:
    with pytest.raises(openai.PermissionDeniedError) as raised:
        await office.clients["poor"].batches.create(
            input_file_id=office.of("poor").given("file-in"), endpoint="/v1/chat/completions", completion_window="24h"
        )

    assert raised.value.code == "batches_not_budgeted"
    assert not provider.calls


@pytest.mark.parametrize("more", [", unbudgeted_batches: true"])
async def test_a_team_with_a_hard_budget_makes_batches_where_the_policy_says_so(
    office: Office, provider: Chaosprov
) -> None:
    provider.will(Json(_batch(office, "poor")))

    made = await office.clients["poor"].batches.create(
        input_file_id=office.of("poor").given("file-in"), endpoint="/v1/chat/completions", completion_window="24h"
    )

    assert made.id == office.of("poor").given("batch_1")


async def test_a_provider_s_error_is_told(office: Office, provider: Chaosprov) -> None:
    provider.will(Json({"error": {"message": "no such file for sk-chaos-canary", "code": "gone"}}, status=404))

    with pytest.raises(openai.NotFoundError) as raised:
        await office.clients["red"].files.retrieve(office.of("red").given("file-abc"))

    assert raised.value.code == "upstream_gone"
    assert "canary" not in str(raised.value)


async def test_content_that_is_cut_does_not_look_complete(office: Office, provider: Chaosprov) -> None:
    provider.will(Head(headers=(("content-type", "text/plain"),)), Body(b"Hel"), CUT)

    with pytest.raises((httpx.RemoteProtocolError, openai.APIConnectionError)):
        await office.clients["red"].files.content(office.of("red").given("file-abc"))


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/v1/files/x/y", 404),
        ("POST", "/v1/files/x", 405),
        ("DELETE", "/v1/batches/x", 405),
        ("POST", "/v1/batches/x", 404),
        ("PUT", "/v1/files", 405),
        ("POST", "/v1/files", 415),
        ("POST", "/v1/batches", 400),
        ("GET", "/v1/files?limit=0", 400),
    ],
)
async def test_mistakes(office: Office, provider: Chaosprov, method: str, path: str, status: int) -> None:
    async with httpx.AsyncClient(headers={"authorization": f"Bearer {office.clients['red'].api_key}"}) as client:
        answer = await client.request(method, f"{office.url}{path}")

    assert answer.status_code == status
    assert not provider.calls


@pytest.mark.parametrize("escaped", [False, True])
async def test_a_call_names_its_team_s_own_files_alone(office: Office, provider: Chaosprov, escaped: bool) -> None:
    given = office.of("red").given("file-abc")

    def asked(id: str) -> bytes:
        part = {"type": "file", "file": {"file_id": id}}
        tool = {"type": "function", "function": {"name": "f", "parameters": {"properties": {"file_id": {}}}}}
        messages = [{"role": "user", "content": [{"type": "text", "text": "Read it"}, part]}]
        body = json.dumps({"model": "small", "messages": messages, "tools": [tool], "metadata": {"file_id": "file-1"}})
        return (body.replace('"file_id"', '"\\u0066ile_id"') if escaped else body).encode()

    async def status(team: str, id: str) -> int:
        headers = {"content-type": "application/json", "authorization": f"Bearer {office.clients[team].api_key}"}
        async with httpx.AsyncClient() as client:
            url = f"{office.url}/v1/chat/completions"
            return (await client.post(url, content=asked(id), headers=headers)).status_code

    assert [await status(*each) for each in (("blue", given), ("blue", "file-abc"), ("red", "file-abc"))] == [404] * 3
    assert not provider.calls

    provider.will(Say("Hello"), Finish(), Usage(1, 1))
    assert await status("red", given) == 200

    sent = json.loads(provider.calls[0].body)
    assert sent["messages"][0]["content"][1]["file"]["file_id"] == "file-abc"
    assert sent["metadata"] == {"file_id": "file-1"}


async def test_responses_name_files_in_their_own_words(office: Office, provider: Chaosprov) -> None:
    given = office.of("red").given("file-abc")
    content: Any = [{"type": "input_file", "file_id": given}, {"type": "input_text", "text": "Read it"}]
    tools: Any = [{"type": "code_interpreter", "container": {"type": "auto", "file_ids": [given]}}]
    client = office.clients["blue"]
    for asked in ({"input": [{"role": "user", "content": content}]}, {"input": "hi", "tools": tools}):
        with pytest.raises(openai.NotFoundError):
            await client.responses.create(model="small", **asked)
    assert not provider.calls

    provider.will(Say("Hello"), Finish(), Usage(1, 1))
    await office.clients["red"].responses.create(model="small", input=[{"role": "user", "content": content}])

    assert b'"file_id":"file-abc"' in provider.calls[0].body
    assert b"llmgw-" not in provider.calls[0].body
