"""A provider's name as OpenTelemetry's conventions have it, told from its host, or else from what the policy calls it."""

from __future__ import annotations

from functools import lru_cache

_BY_HOST = {
    "api.openai.com": "openai",
    ".api.openai.com": "openai",
    ".openai.azure.com": "azure.ai.openai",
    ".cognitiveservices.azure.com": "azure.ai.openai",
    ".services.ai.azure.com": "azure.ai.inference",
    "api.anthropic.com": "anthropic",
    "generativelanguage.googleapis.com": "gcp.gemini",
    "aiplatform.googleapis.com": "gcp.vertex_ai",
    "-aiplatform.googleapis.com": "gcp.vertex_ai",
    "api.mistral.ai": "mistral_ai",
    "api.groq.com": "groq",
    "api.deepseek.com": "deepseek",
    "api.x.ai": "x_ai",
    "api.cohere.ai": "cohere",
    "api.cohere.com": "cohere",
    ".perplexity.ai": "perplexity",
    "api.moonshot.ai": "moonshot_ai",
    "api.moonshot.cn": "moonshot_ai",
}
"""Hosts, and, where they begin with a mark, what hosts end in."""
_ENDINGS = tuple((host, name) for host, name in _BY_HOST.items() if not host[0].isalnum())


_BY_NAME = {
    "azure": "azure.ai.openai",
    "bedrock": "aws.bedrock",
    "gemini": "gcp.gemini",
    "mistral": "mistral_ai",
    "moonshot": "moonshot_ai",
    "vertex": "gcp.vertex_ai",
    "xai": "x_ai",
}
"""Policies' usual names, where the conventions have others."""


@lru_cache(1024)
def provider_name(host: str, provider: str) -> str:
    """The `gen_ai.provider.name` of the provider that the policy calls so, which is its own where the conventions have none."""
    host = host.lower().rstrip(".")
    if host in _BY_HOST:
        return _BY_HOST[host]
    by_ending = next((name for ending, name in _ENDINGS if host.endswith(ending)), None)
    return by_ending or _BY_NAME.get(provider, provider)
