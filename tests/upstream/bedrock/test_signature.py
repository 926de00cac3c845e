"""Calls are signed as AWS wants it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

import pytest

from gateway.core.deployment import Signing
from gateway.core.secret import Secret
from gateway.upstream.dialects.bedrock.signature import signed

NOW = 1764374400.0  # 2025-11-29T00:00:00Z
HOST = "bedrock-runtime.us-east-1.amazonaws.com"
KEY = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
SONNET = "/model/us.anthropic.claude-sonnet-4-5-20250929-v1%3A0/converse-stream"
BODY = b'{"messages":[]}'
CASES = [
    (SONNET, "", None, "5c1d989a6a5676af35a618cd1dedfa5c5132abaee0f9e05f4e9e1540e723ebbf"),
    (SONNET, "", "tok/en==", "16bbe7f2d5cf22943ad7553c39d9b80d9626b3bd7eada84f54ccc8973a459aa1"),
    (SONNET, "b=2&a=1%20x", None, "ccc7ccaff8ac66c69a5f37fe0ed4cdc0a7edde7b131dcd541cb5f513ea42dcd7"),
]
"""What botocore 1.44.5 signs with."""


def sign(path: str, query: str = "", token: str | None = None) -> dict[str, str]:
    signing = Signing("us-east-1", "AKIDEXAMPLE", Secret(KEY), Secret(token) if token else None)
    return dict(
        signed(signing, authority=HOST, path=path, query=query, content_type="application/json", body=BODY, now=NOW)
    )


@pytest.mark.parametrize(("path", "query", "token", "signature"), CASES)
def test_a_known_call_has_its_known_signature(path: str, query: str, token: str | None, signature: str) -> None:
    told = sign(path, query, token)

    names = "content-type;host;x-amz-date" + (";x-amz-security-token" if token else "")
    assert told["authorization"] == (
        "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20251129/us-east-1/bedrock/aws4_request, "
        f"SignedHeaders={names}, Signature={signature}"
    )
    assert told["x-amz-date"] == "20251129T000000Z"
    assert told.get("x-amz-security-token") == token


@pytest.mark.parametrize(
    "model",
    [
        "anthropic.claude-3-haiku-20240307-v1:0",
        "arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/abc123",
        "a model+with 100% of~oddities",
    ],
)
def test_amazon_s_own_signer_agrees(model: str, monkeypatch: pytest.MonkeyPatch) -> None:
    auth: Any = pytest.importorskip("botocore.auth")
    requests: Any = pytest.importorskip("botocore.awsrequest")
    credentials: Any = pytest.importorskip("botocore.credentials")
    now = datetime.fromtimestamp(NOW, UTC).replace(tzinfo=None)
    monkeypatch.setattr(auth, "get_current_datetime", lambda remove_tzinfo=True: now)
    path = f"/model/{quote(model, safe='')}/converse"
    headers = {"content-type": "application/json", "host": HOST}
    request = requests.AWSRequest("POST", f"https://{HOST}{path}", data=BODY, headers=headers)

    auth.SigV4Auth(credentials.Credentials("AKIDEXAMPLE", KEY), "bedrock", "us-east-1").add_auth(request)

    assert sign(path)["authorization"] == request.headers["Authorization"]


def test_a_secret_is_not_shown() -> None:
    shown = repr(Signing("us-east-1", "AKIDEXAMPLE", Secret(KEY), Secret("token")))

    assert KEY not in shown
    assert "token'" not in shown
