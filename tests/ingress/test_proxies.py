"""Who asks is who a trusted proxy says, and nobody else can say it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from gateway.app import running
from gateway.auth.guesses import Guesses
from gateway.ingress.proxies import Proxies, networks
from tests.conftest import POLICY, settings
from tests.faults.chaosprov import Chaosprov

OURS = Proxies(networks("10.0.0.0/8, ::1, 192.0.2.7"))
CASES = [
    ("198.51.100.1", None, "198.51.100.1"),
    ("198.51.100.1", b"203.0.113.9", "198.51.100.1"),
    ("10.1.2.3", None, "10.1.2.3"),
    ("10.1.2.3", b"203.0.113.9", "203.0.113.9"),
    ("10.1.2.3", b"1.1.1.1, 203.0.113.9", "203.0.113.9"),
    ("10.1.2.3", b"1.1.1.1, 203.0.113.9, 192.0.2.7", "203.0.113.9"),
    ("::1", b"2001:db8::5", "2001:db8::5"),
    ("10.1.2.3", b"10.9.9.9", "10.9.9.9"),
    ("10.1.2.3", b"203.0.113.9, nonsense", "10.1.2.3"),
    ("10.1.2.3", b"", "10.1.2.3"),
    ("", b"203.0.113.9", ""),
]


@pytest.mark.parametrize(("peer", "forwarded", "client"), CASES)
def test_the_client_is_the_last_one_that_no_proxy_of_ours_is(peer: str, forwarded: bytes | None, client: str) -> None:
    assert OURS.client(peer, forwarded) == client


def test_without_proxies_nobody_is_believed() -> None:
    assert Proxies(()).client("10.1.2.3", b"203.0.113.9") == "10.1.2.3"


@pytest.mark.parametrize("text", ["10.0.0.0/33", "proxy", "10.0.0.1/8"])
def test_what_is_no_network_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        networks(text)


@pytest.mark.parametrize(("trusted", "client"), [("127.0.0.0/8", "203.0.113.9"), ("", "127.0.0.1")])
async def test_wrong_keys_are_counted_by_who_sent_them(
    tmp_path: Path, provider: Chaosprov, monkeypatch: pytest.MonkeyPatch, trusted: str, client: str
) -> None:
    counted: list[str] = []
    monkeypatch.setattr(Guesses, "count", lambda _, address: counted.append(address))
    (tmp_path / "policy.yaml").write_text(POLICY.format(provider=provider.base_url))
    wanted = replace(settings(tmp_path, tmp_path / "data"), trusted_proxies=networks(trusted))
    headers = {"authorization": "Bearer wrong", "x-forwarded-for": "203.0.113.9"}

    async with running(wanted, records_to=None) as worker, httpx.AsyncClient() as http:
        await http.post(f"{worker.url}/v1/chat/completions", json={}, headers=headers)

    assert counted == [client]
