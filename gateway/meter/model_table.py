"""What upstream models can do, from the public table that ships inside the litellm package, so that nothing is fetched.

It is read at the first look-up of a provider that it knows (about 30 ms), and only what is acted on is kept. A provider is
recognised by its host alone: what a server calls its models elsewhere, or on Azure, says nothing of what they are.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Any

import orjson

from gateway.core.deployment import ABLE, Abilities, Provider
from gateway.meter.tokens import litellm_folder

FILE = "model_prices_and_context_window_backup.json"
_FLAGS = {
    "supports_function_calling": "tools",
    "supports_response_schema": "json_schema",
    "supports_vision": "image",
    "supports_audio_input": "audio",
    "supports_pdf_input": "file",
}
"""What the table calls the features that a call may use."""
_MODES = frozenset({"chat", "completion", "responses"})
HOSTS: Mapping[str, str] = {
    "api.openai.com": "openai",
    "eu.api.openai.com": "openai",
    "us.api.openai.com": "openai",
    "api.anthropic.com": "anthropic",
    "generativelanguage.googleapis.com": "gemini",
    "api.groq.com": "groq",
    "api.deepseek.com": "deepseek",
    "api.together.xyz": "together_ai",
    "api.fireworks.ai": "fireworks_ai",
    "api.x.ai": "xai",
    "api.perplexity.ai": "perplexity",
    "api.cerebras.ai": "cerebras",
    "api.mistral.ai": "mistral",
}
"""What the table calls the provider at a host."""


class ModelTable:
    def abilities(self, provider: Provider, upstream_model: str) -> Abilities:
        """What is known of a model at a provider; ABLE where that is nothing."""
        name = HOSTS.get(provider.host)
        return ABLE if name is None else self._known.get((name, upstream_model), ABLE)

    @cached_property
    def _known(self) -> Mapping[tuple[str, str], Abilities]:
        listed: Mapping[str, Any] = orjson.loads((litellm_folder() / FILE).read_bytes())
        return dict(_entries(listed))


def _entries(listed: Mapping[str, Any]) -> Iterator[tuple[tuple[str, str], Abilities]]:
    """Those of the providers that are recognised; a name with the provider before it goes before one without."""
    known = frozenset(HOSTS.values())
    for name, entry in sorted(listed.items(), key=lambda pair: "/" in pair[0]):
        provider = entry.get("litellm_provider")
        if provider in known and entry.get("mode") in _MODES:
            yield (provider, name.removeprefix(f"{provider}/")), _abilities(entry)


def _abilities(entry: Mapping[str, Any]) -> Abilities:
    """What is not said, or not said to be false, a model can do. Providers differ in whether the longest prompt leaves room for
    the longest answer; no model takes more than both together."""
    prompt, output = entry.get("max_input_tokens"), entry.get("max_output_tokens")
    lacks = frozenset(feature for flag, feature in _FLAGS.items() if entry.get(flag) is False)
    if not isinstance(prompt, int) or prompt <= 0:
        return Abilities(lacks=lacks)
    return Abilities(prompt, prompt + output if isinstance(output, int) and output > 0 else None, lacks)
