"""AWS Signature Version 4, as Bedrock wants it.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
"""

from __future__ import annotations

import hashlib
import hmac
from datetime import UTC, datetime
from functools import lru_cache
from urllib.parse import quote, unquote

from gateway.core.deployment import Signing

_SERVICE = "bedrock"
_ALGORITHM = "AWS4-HMAC-SHA256"


def signed(
    signing: Signing, *, authority: str, path: str, query: str, content_type: str, body: bytes, now: float
) -> tuple[tuple[str, str], ...]:
    """The headers that sign a POST. `path` and `query` as they are sent, percent-encoded; `now` is UTC seconds."""
    time = datetime.fromtimestamp(now, UTC).strftime("%Y%m%dT%H%M%SZ")
    told = {"content-type": content_type, "host": authority, "x-amz-date": time}
    if signing.session_token is not None:
        told["x-amz-security-token"] = signing.session_token.reveal()
    names = ";".join(told)
    lines = "".join(f"{name}:{value}\n" for name, value in told.items())
    asked = "\n".join(("POST", quote(path, safe="/~"), _sorted(query), lines, names, hashlib.sha256(body).hexdigest()))
    scope = f"{time[:8]}/{signing.region}/{_SERVICE}/aws4_request"
    text = "\n".join((_ALGORITHM, time, scope, hashlib.sha256(asked.encode()).hexdigest()))
    signature = hmac.new(_key(signing, time[:8]), text.encode(), hashlib.sha256).hexdigest()
    credential = f"{signing.access_key_id}/{scope}"
    own = tuple((name, value) for name, value in told.items() if name.startswith("x-amz-"))
    return (
        *own,
        ("authorization", f"{_ALGORITHM} Credential={credential}, SignedHeaders={names}, Signature={signature}"),
    )


def _sorted(query: str) -> str:
    pairs = [pair.partition("=")[::2] for pair in query.split("&") if pair]
    coded = sorted((quote(unquote(name), safe="~"), quote(unquote(value), safe="~")) for name, value in pairs)
    return "&".join(f"{name}={value}" for name, value in coded)


@lru_cache(maxsize=64)
def _key(signing: Signing, day: str) -> bytes:
    """The key of one day, region and service."""
    key = f"AWS4{signing.secret_access_key.reveal()}".encode()
    for part in (day, signing.region, _SERVICE, "aws4_request"):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    return key
