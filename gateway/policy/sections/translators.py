"""Providers that are reached through the litellm SDK: what it calls them, and what it is told of each."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache

import orjson

from gateway.core.secret import Secret
from gateway.meter.tokens import litellm_folder
from gateway.policy import schema
from gateway.policy.mistakes import Mistakes, Path, nearest
from gateway.policy.sections.origin import origin_of

DIALECT = "litellm"
_TABLE = "provider_endpoints_support_backup.json"
_NOT_PROVIDERS = frozenset({"a2a", "auto_router", "custom", "custom_openai", "litellm_proxy", "openai_like"})
"""What the SDK lists among its providers, and is itself, a rule of it, or nobody."""
_OPTION = re.compile(
    r"(?:aws|azure|vertex|watsonx|oci|sap|snowflake|databricks|gigachat)_[a-z0-9_]+"
    r"|api_version|organization|project|project_id|region_name|account_id|space_id|tenant_id|client_id|client_secret"
)
_OWN_KEYS = ("litellm", "options", "environment")
_OTHERS_KEYS = ("auth", "query", "stream_usage", "output_cap")


@cache
def known() -> frozenset[str]:
    """The providers that answer chat completions, from a table in the SDK's package; nothing of the SDK is imported."""
    table = orjson.loads((litellm_folder() / _TABLE).read_bytes())["providers"]
    answering = {name for name, each in table.items() if each.get("endpoints", {}).get("chat_completions")}
    return frozenset(answering - _NOT_PROVIDERS)


def check_keys(written: schema.Provider, path: Path, mistakes: Mistakes) -> None:
    """Keys that only mean something with the other kind of dialect."""
    is_translated = written.dialect == DIALECT
    for key in _OTHERS_KEYS if is_translated else _OWN_KEYS:
        if key in written.model_fields_set:
            message = (
                f"{key!r} says nothing to the litellm SDK" if is_translated else f"{key!r} is for `dialect: litellm`"
            )
            mistakes.add((*path, key), message, key=True)


def translator(written: schema.Provider, path: Path, mistakes: Mistakes) -> str:
    """What the SDK calls the provider; "" for one that it does not reach, or after a mistake."""
    if written.dialect != DIALECT:
        return ""
    if written.litellm is None:
        mistakes.add(path, "'litellm' is missing: which of the litellm SDK's providers is it?", key=True)
        return ""
    if written.litellm not in known():
        message = f"the litellm SDK has no provider {written.litellm!r} for chat{nearest(written.litellm, known())}"
        mistakes.add((*path, "litellm"), message)
    return written.litellm


def options(written: schema.Provider, path: Path, *, off: bool, mistakes: Mistakes) -> Iterator[tuple[str, Secret]]:
    """The SDK's own words for the base URL and the key, and what the policy gives under `options`."""
    if written.dialect != DIALECT:
        return
    if written.base_url is not None:
        try:
            origin_of(written.base_url, allow_private=written.allow_private)
        except ValueError as error:
            mistakes.add((*path, "base_url"), str(error))
        yield "api_base", Secret(written.base_url)
    if written.key is not None:
        yield "api_key", Secret(written.key)
    for name, value in written.options.items():
        if not _OPTION.fullmatch(name):
            mistakes.add((*path, "options", name), f"the option {name!r} cannot be set here", key=True)
        yield name, Secret(value)
    if written.key is None and not written.options and not written.environment and not off:
        message = "a provider through litellm needs a `key`, `options`, or `environment: true`"
        mistakes.add(path, message, key=True)
