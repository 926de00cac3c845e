"""What models can do is known for providers that are recognised by their host, and of others nothing is taken for granted."""

from __future__ import annotations

import pytest

from gateway.core.deployment import ABLE, Provider
from gateway.meter.model_table import ModelTable

TABLE = ModelTable()
OPENAI = Provider("openai", "openai", host="api.openai.com")
DEEPSEEK = Provider("x", "openai", host="api.deepseek.com")


def test_the_context_and_the_features_of_well_known_models() -> None:
    old, new = TABLE.abilities(OPENAI, "gpt-4"), TABLE.abilities(OPENAI, "gpt-4o")

    assert (old.prompt, old.context) == (8192, 8192 + 4096)
    assert (new.prompt, new.lacks) == (128_000, frozenset())
    assert "image" in TABLE.abilities(OPENAI, "o3-mini").lacks


def test_a_name_that_the_table_has_with_its_provider() -> None:
    assert "tools" in TABLE.abilities(DEEPSEEK, "deepseek-reasoner").lacks


@pytest.mark.parametrize(
    ("provider", "name"),
    [
        (OPENAI, "gpt-unheard-of"),
        (OPENAI, ""),
        (DEEPSEEK, "gpt-4"),
        (Provider("openai", "openai", host="llm.example.com"), "gpt-4"),
        (Provider("azure", "openai", host="acme.openai.azure.com"), "gpt-4"),
        (Provider("demo", "demo"), "demo"),
        (OPENAI, "text-embedding-3-small"),
    ],
)
def test_what_is_not_known_is_possible(provider: Provider, name: str) -> None:
    assert TABLE.abilities(provider, name) is ABLE
