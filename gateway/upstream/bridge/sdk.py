"""The litellm SDK: imported here and nowhere else, at its first use, for that takes seconds and a hundred megabytes.

It is a translator only. It neither retries, caches, reports nor looks anything up; what it is told is what `Provider` has and the
fields that `dialects.litellm` lets through.
"""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import AsyncIterator, Mapping
from functools import lru_cache
from typing import Any

from gateway.core.call import Operation
from gateway.core.deployment import Provider

_QUIET = {"LITELLM_LOCAL_MODEL_COST_MAP": "True", "LITELLM_MODE": "PRODUCTION", "LITELLM_LOG": "CRITICAL"}
"""No table is fetched, no .env file is read, nothing is written."""
_LOGGERS = ("LiteLLM", "LiteLLM Router", "LiteLLM Proxy")
_KINDS = {Operation.CHAT: "chat_completion", Operation.EMBEDDINGS: "embeddings"}
_LEADING = ("API_BASE", "BASE_URL", "API_URL", "ENDPOINT", "ENDPOINT_URL")


def load() -> None:
    """Imports it, and switches off whatever is not translation. Takes seconds: to be called in a thread."""
    for name, value in _QUIET.items():
        os.environ.setdefault(name, value)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import litellm  # noqa: PLC0415  (see the module's docstring)
    for name in _LOGGERS:
        logger = logging.getLogger(name)
        logger.setLevel(logging.CRITICAL + 1)  # they print what a provider said, keys included
        logger.propagate = False
    litellm.suppress_debug_info = True
    litellm.telemetry = False
    litellm.drop_params = litellm.modify_params = False
    litellm.num_retries = litellm.cache = None
    litellm.disable_aiohttp_trust_env = True
    litellm.disable_hf_tokenizer_download = True  # else it looks for the tokenizers of some models, for minutes
    for callbacks in (
        *(litellm.input_callback, litellm.success_callback, litellm.failure_callback, litellm.callbacks),
        *(litellm._async_success_callback, litellm._async_failure_callback, litellm.service_callback),
    ):
        callbacks.clear()


@lru_cache(maxsize=1024)
def accepted(provider: str, model: str, operation: Operation) -> frozenset[str]:
    """The fields of OpenAI's dialect that a provider takes for a model. Only after `load`."""
    import litellm  # noqa: PLC0415

    names = litellm.get_supported_openai_params(
        model=model, custom_llm_provider=provider, request_type=_KINDS[operation]
    )
    return frozenset(names or ())


def leading_variable(provider: Provider) -> str | None:
    """A variable of the environment that would lead calls elsewhere, though the policy does not say that it may."""
    if provider.reads_environment or any(name == "api_base" for name, _ in provider.options):
        return None
    beginning = provider.translator.upper().replace("-", "_").partition("_CHAT")[0]
    return next((name for tail in _LEADING if os.environ.get(name := f"{beginning}_{tail}")), None)


async def answer(
    provider: Provider, operation: Operation, fields: Mapping[str, Any], headers: Mapping[str, str]
) -> tuple[AsyncIterator[Any] | None, Any]:
    """A stream, or a whole answer: what litellm makes of it. Only after `load`. Raises whatever litellm raises."""
    import litellm  # noqa: PLC0415

    ask = litellm.aembedding if operation is Operation.EMBEDDINGS else litellm.acompletion
    options = {name: secret.reveal() for name, secret in provider.options}
    given = await ask(
        **fields,
        **options,
        custom_llm_provider=provider.translator,
        extra_headers=dict(headers),
        timeout=provider.deadlines.total,
        max_retries=0,
        num_retries=0,
        **{"no-log": True},
        **({"_skip_mcp_handler": True} if operation is Operation.CHAT else {}),
    )
    if not fields.get("stream"):
        return None, given
    if not isinstance(given, litellm.CustomStreamWrapper):
        raise TypeError(f"litellm hands out a {type(given).__name__}, of which nobody knows whether it is complete")
    return given, given


async def close() -> None:
    """Ends its connections, and the task that it keeps for reports. Only after `load`."""
    import litellm  # noqa: PLC0415
    from litellm.litellm_core_utils.logging_worker import GLOBAL_LOGGING_WORKER  # noqa: PLC0415
    from litellm.llms.custom_httpx.async_client_cleanup import close_litellm_async_clients  # noqa: PLC0415

    await GLOBAL_LOGGING_WORKER.stop()
    await close_litellm_async_clients()
    litellm.in_memory_llm_clients_cache.flush_cache()
    if (shared := vars(litellm).get("module_level_aclient")) is not None:  # made at its first use
        await shared.close()


def has_ended(stream: Any) -> bool:
    """Whether the provider has said why it ends; litellm says `stop` in its place where it has not."""
    return stream.received_finish_reason is not None or stream.intermittent_finish_reason is not None


def has_counted(stream: Any) -> bool:
    """Whether the provider has told its usage; litellm counts in its place where it has not."""
    return any(getattr(chunk, "usage", None) is not None for chunk in stream.chunks)
