"""Providers: where they are, how they are spoken to, and which of them are off for want of an environment variable."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from gateway.core.deployment import Deadlines, Provider, Retries, Signing
from gateway.core.secret import Secret
from gateway.policy import schema
from gateway.policy.mistakes import Mistakes, Path
from gateway.policy.sections import translators
from gateway.policy.sections.origin import Origin, origin_of
from gateway.policy.source.document import Document

_HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_OURS = frozenset(
    {
        *("accept", "accept-encoding", "connection", "content-encoding", "content-length", "content-type", "expect"),
        *("host", "keep-alive", "proxy-authorization", "te", "trailer", "transfer-encoding", "upgrade", "user-agent"),
    }
)
"""Headers that the gateway sets by itself."""


@dataclass(frozen=True, slots=True)
class Providers:
    """`off` gives the environment variable that each provider which is off waits for; `declared` are all that are named."""

    on: Mapping[str, Provider]
    off: Mapping[str, str]
    declared: frozenset[str]

    def notes(self) -> Iterator[str]:
        for name, variable in self.off.items():
            yield f"provider {name} is off: {variable} is not set"


_BASE_URLS = {"gemini": "https://generativelanguage.googleapis.com/v1beta"}
"""Where the API of a dialect's own provider begins."""
_AUTH = {"anthropic": "x-api-key", "gemini": "x-goog-api-key"}
"""How the key is sent where the policy does not say, by dialect; else as a bearer."""
_REGION = re.compile(r"[a-z]{2}(-[a-z]+)+-\d")
_MODERN = re.compile(r"(.+\.)?api\.openai\.com|.+\.openai\.azure\.com")
"""Hosts whose reasoning models refuse `max_tokens`."""


def compile_providers(policy: schema.Policy, document: Document, mistakes: Mistakes) -> Providers:
    """Every provider of the policy. A variable that is not set anywhere else is a mistake."""
    off = _off(document, mistakes)
    compiled = {
        name: _provider(name, written, off=name in off, mistakes=mistakes) for name, written in policy.providers.items()
    }
    _check_files(policy, mistakes)
    on = {name: provider for name, provider in compiled.items() if name not in off}
    return Providers(on, off, document.names("providers"))


def _check_files(policy: schema.Policy, mistakes: Mistakes) -> None:
    """Ids of files say nothing of where they are, so there is one place."""
    keeping = [name for name, written in policy.providers.items() if written.files]
    for name in keeping[1:]:
        mistakes.add(("providers", name, "files"), f"{keeping[0]!r} keeps files already", key=True)
    for name, written in policy.providers.items():
        if written.files and written.dialect != "openai":
            mistakes.add(("providers", name, "files"), "only a provider of the dialect `openai` keeps files", key=True)
        if written.unbudgeted_batches and not written.files:
            mistakes.add(
                ("providers", name, "unbudgeted_batches"), "there are no batches without `files: true`", key=True
            )


def switched_on(providers: Providers) -> Providers:
    """The same, with those that are off as mere names: for tests of the policy, which call nobody."""
    names = {name: Provider(name=name, dialect="openai") for name in providers.off}
    return Providers({**providers.on, **names}, {}, providers.declared)


def _off(document: Document, mistakes: Mistakes) -> dict[str, str]:
    off: dict[str, str] = {}
    for path, variable in document.unset.items():
        if path[0] == "providers" and len(path) > 2:
            off.setdefault(str(path[1]), variable)
        elif path[0] != "alerts" or len(path) < 2:  # alerts are off then, which is told where they are compiled
            mistakes.add(path, f"the environment variable {variable} is not set")
    return off


def _provider(name: str, written: schema.Provider, *, off: bool, mistakes: Mistakes) -> Provider:
    path: Path = ("providers", name)
    origin = _origin(name, written, off=off, mistakes=mistakes)
    if "/" in name or "*" in name:
        mistakes.add(path, "a provider's name cannot have `/` or `*` in it", key=True)
    if not is_query(written.query):
        mistakes.add((*path, "query"), "a query is written name=value&name=value, without `?`")
    translators.check_keys(written, path, mistakes)
    most = {} if written.max_output_bytes is None else {"max_output_bytes": written.max_output_bytes}
    return Provider(
        name=name,
        dialect=written.dialect,
        host=origin.host,
        port=origin.port,
        tls=origin.tls,
        path=origin.path,
        query=written.query,
        headers=tuple(_headers(written, path, mistakes)),
        translator=translators.translator(written, path, mistakes),
        options=tuple(translators.options(written, path, off=off, mistakes=mistakes)),
        reads_environment=written.environment,
        keeps_files=written.files,
        unbudgeted_batches=written.unbudgeted_batches,
        allow_private=written.allow_private,
        deadlines=_deadlines(written.timeouts),
        retries=Retries(**written.retry.model_dump(exclude_none=True)),
        stream_usage=written.stream_usage,
        propagate_trace=written.propagate_trace,
        signing=None if off else _signing(written, path, mistakes),
        output_cap=written.output_cap or ("max_completion_tokens" if _MODERN.fullmatch(origin.host) else "max_tokens"),
        **most,
    )


def is_query(text: str) -> bool:
    """Whether it can stand behind the `?` of a URL."""
    return re.fullmatch(r"[!-~]*", text) is not None and re.search(r"[#?]", text) is None


def _deadlines(written: schema.Timeouts) -> Deadlines:
    """What is written over the defaults; `headers` alone bounds whole answers too (docs/decisions/003)."""
    given = written.model_dump(exclude_none=True)
    if "headers" in given:
        given = {"whole": given["headers"], **given}
    return Deadlines(**given)


def _origin(name: str, written: schema.Provider, *, off: bool, mistakes: Mistakes) -> Origin:
    path: Path = ("providers", name, "base_url")
    if written.dialect == "demo":
        for key in ("base_url", "key", "headers", "query"):
            if key in written.model_fields_set:
                mistakes.add(("providers", name, key), f"the demo provider has no network, so no {key!r}", key=True)
        return Origin()
    if written.dialect == translators.DIALECT:  # where it is, is the SDK's to know; see translators.options
        return Origin()
    base_url = written.base_url or _BASE_URLS.get(written.dialect)
    if base_url is None and written.dialect == "bedrock" and written.region is not None:
        base_url = f"https://bedrock-runtime.{written.region}.amazonaws.com"
    if base_url is None:
        if not off:
            missing = "region" if written.dialect == "bedrock" else "base_url"
            mistakes.add(path[:-1], f"{missing!r} is missing: where is the API of {name!r}?", key=True)
        return Origin()
    if written.dialect == "anthropic" and base_url.rstrip("/").endswith("/v1"):
        mistakes.add(path, "in the dialect anthropic the base URL ends before `/v1`")
    try:
        return origin_of(base_url, allow_private=written.allow_private)
    except ValueError as error:
        mistakes.add(path, str(error))
        return Origin()


def _signing(written: schema.Provider, path: Path, mistakes: Mistakes) -> Signing | None:
    aws = written.aws
    if written.dialect != "bedrock":
        for key in ("region", "aws"):
            if key in written.model_fields_set:
                mistakes.add((*path, key), f"only a provider of the dialect bedrock has {key!r}", key=True)
        return None
    if written.region is not None and not _REGION.fullmatch(written.region):
        mistakes.add((*path, "region"), "a region is written such as us-east-1")
    if (aws is None) == (written.key is None):
        mistakes.add(path, "bedrock needs either 'key' or 'aws' as its credential", key=True)
    if aws is None:
        return None
    for name, value in aws.model_dump(exclude_none=True).items():
        if not re.fullmatch(r"[!-~]+", value):
            mistakes.add((*path, "aws", name), "a key is made of printable ASCII characters without spaces")
    if written.region is None and written.base_url is not None:
        mistakes.add(path, "'region' is missing: what is signed names it", key=True)
    token = None if aws.session_token is None else Secret(aws.session_token)
    return Signing(written.region or "", aws.access_key_id, Secret(aws.secret_access_key), token)


def _headers(written: schema.Provider, path: Path, mistakes: Mistakes) -> Iterator[tuple[str, Secret]]:
    credential = "" if written.aws is None else "authorization"
    if written.key is not None:
        if not re.fullmatch(r"[!-~]+", written.key):
            mistakes.add((*path, "key"), "a key is made of printable ASCII characters without spaces")
        if written.dialect != translators.DIALECT:
            credential, form = _credential(written)
            yield credential, Secret(form.format(written.key))
    yield from further_headers(written.headers, path, mistakes, credential=credential)


def _credential(written: schema.Provider) -> tuple[str, str]:
    """The header that holds the key, and how it is written there."""
    auth = written.auth or _AUTH.get(written.dialect, "bearer")
    return ("authorization", "Bearer {}") if auth == "bearer" else (auth, "{}")


def further_headers(
    written: Mapping[str, str], path: Path, mistakes: Mistakes, *, credential: str = ""
) -> Iterator[tuple[str, Secret]]:
    """What stands under `headers` at `path`. The header that holds a credential already cannot be given again."""
    for name, value in written.items():
        lower = name.lower()
        if not _HEADER_NAME.fullmatch(name) or lower in _OURS or lower == credential:
            mistakes.add((*path, "headers", name), f"the header {name!r} cannot be set here", key=True)
        if not re.fullmatch(r"[ -~\t]*", value):
            mistakes.add((*path, "headers", name), "a header's value is made of printable ASCII characters")
        yield lower, Secret(value)
