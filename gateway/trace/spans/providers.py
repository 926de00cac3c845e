"""A provider's name as OpenTelemetry's conventions have it, told from where it is reached."""

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


@lru_cache(1024)
def known_name(host: str, otherwise: str) -> str:
    """The `gen_ai.provider.name` of whoever is at this host; `otherwise` for one that the conventions have no name for."""
    host = host.lower().rstrip(".")
    if host in _BY_HOST:
        return _BY_HOST[host]
    return next((name for ending, name in _ENDINGS if host.endswith(ending)), otherwise)
