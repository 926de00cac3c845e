"""A bill is what the provider's invoice says: usages as providers tell them, priced as they price them, worked out by hand."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.core.call import Operation
from gateway.core.money import Price, nano
from gateway.core.usage import Details, Usage
from gateway.meter.price import cost
from gateway.upstream.dialects.openai import read_usage


def price(input: float, output: float, *, request: float = 0, above: Price | None = None, **kinds: float) -> Price:
    """In USD per million tokens; `above` holds for more than 200,000 input tokens."""
    rates = {name: nano(dollars) for name, dollars in kinds.items()}
    tiers = () if above is None else ((200_000, above),)
    return Price(nano(input), nano(output), request=nano(request), tiers=tiers, **rates)


def told(prompt: int, completion: int, *, total: int | None = None, **others: Any) -> dict[str, Any]:
    total = prompt + completion if total is None else total
    return {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": total, **others}


GPT_4O_MINI = price(0.15, 0.60, cached_input=0.075)
GPT_4O_AUDIO = price(2.50, 10, audio_input=40, audio_output=80)
O4_MINI = price(1.10, 4.40, cached_input=0.275)
SONNET = price(3, 15, cached_input=0.30, cache_write=3.75)
GEMINI_PRO = price(1.25, 10, cached_input=0.125, above=price(2.50, 15, cached_input=0.25))
GEMINI_IMAGE = price(0.30, 2.50, image_output=30)
GROK = price(1.25, 2.50, cached_input=0.20)
DEEPSEEK = price(0.28, 0.42, cached_input=0.028)
SONAR = price(1, 1, request=0.012)
DEEP_RESEARCH = price(2, 8, reasoning=3)

INVOICES: dict[str, tuple[dict[str, Any], Price, int]] = {
    # 86 x 150 + 1920 x 75 + 300 x 600
    "OpenAI, mostly cached": (
        told(2006, 300, prompt_tokens_details={"cached_tokens": 1920, "audio_tokens": 0}),
        GPT_4O_MINI,
        336_900,
    ),
    # text 15 x 2500 + 45 x 10000, audio 45 x 40000 + 160 x 80000
    "OpenAI, spoken to and speaking": (
        told(
            60,
            205,
            prompt_tokens_details={"audio_tokens": 45, "text_tokens": 15, "cached_tokens": 0, "image_tokens": 0},
            completion_tokens_details={"audio_tokens": 160, "text_tokens": 45, "reasoning_tokens": 0},
        ),
        GPT_4O_AUDIO,
        15_087_500,
    ),
    # 75 x 1100 + 1186 x 4400: reasoning is part of the completion
    "OpenAI, reasoning": (
        told(75, 1186, completion_tokens_details={"reasoning_tokens": 1024, "accepted_prediction_tokens": 0}),
        O4_MINI,
        5_300_900,
    ),
    # 450 x 2500 + 371 x 10000: rejected predictions are part of the completion, and billed
    "OpenAI, predicted output": (
        told(450, 371, completion_tokens_details={"accepted_prediction_tokens": 300, "rejected_prediction_tokens": 50}),
        price(2.50, 10),
        4_835_000,
    ),
    # 1200 x 3000 + 350 x 15000
    "Anthropic's own OpenAI dialect": (
        told(1200, 350, prompt_tokens_details=None, completion_tokens_details=None),
        SONNET,
        8_850_000,
    ),
    # 10 x 3000 + 10000 x 300 + 2000 x 3750 + 100 x 15000
    "Anthropic through LiteLLM": (
        told(
            12_010,
            100,
            prompt_tokens_details={"cached_tokens": 10_000, "cache_creation_tokens": 2000},
            cache_creation_input_tokens=2000,
            cache_read_input_tokens=10_000,
        ),
        SONNET,
        12_030_000,
    ),
    # the same, told beside the details only
    "Anthropic through a plain translator": (
        told(12_010, 100, cache_creation_input_tokens=2000, cache_read_input_tokens=10_000),
        SONNET,
        12_030_000,
    ),
    # 94 x 3000 + 100 x 3750 + 2 x 15000
    "OpenRouter, writing to a cache": (
        told(
            194,
            2,
            prompt_tokens_details={"cached_tokens": 0, "cache_write_tokens": 100, "audio_tokens": 0},
            completion_tokens_details={"reasoning_tokens": 0},
            cost=0.95,
        ),
        SONNET,
        687_000,
    ),
    # 10 x 300 + 10 x 2500 + 1290 x 30000
    "OpenRouter, an image": (
        told(10, 1300, completion_tokens_details={"image_tokens": 1290, "reasoning_tokens": 0}),
        GEMINI_IMAGE,
        38_728_000,
    ),
    # 20 x 300 + (198 + 405) x 2500: thinking is only in the total
    "Gemini, thinking": (told(20, 198, total=623), price(0.30, 2.50), 1_513_500),
    # 200000 x 1250 + 1000 x 10000
    "Gemini, a prompt as long as the base price allows": (told(200_000, 1000), GEMINI_PRO, 260_000_000),
    # 150001 x 2500 + 50000 x 250 + 1000 x 15000: all of it at the price of long prompts
    "Gemini, a prompt one token longer": (
        told(200_001, 1000, prompt_tokens_details={"cached_tokens": 50_000}),
        GEMINI_PRO,
        402_502_500,
    ),
    # 360 x 280 + 640 x 28 + 200 x 420
    "DeepSeek": (
        told(
            1000,
            200,
            prompt_cache_hit_tokens=640,
            prompt_cache_miss_tokens=360,
            completion_tokens_details={"reasoning_tokens": 150},
        ),
        DEEPSEEK,
        202_720,
    ),
    # 9992 x 1250 + 128 x 200 + (1499 + 2809) x 2500, which is the cost_in_usd_ticks that xAI told with it
    "xAI, whose completion leaves the reasoning out": (
        told(
            10_120,
            1499,
            total=14_428,
            prompt_tokens_details={"cached_tokens": 128},
            completion_tokens_details={"reasoning_tokens": 2809},
            cost_in_usd_ticks=232_856_000,
        ),
        GROK,
        23_285_600,
    ),
    # (100 - 80) x 600 + 80 x 150 + 10 x 2500
    "Moonshot": (told(100, 10, cached_tokens=80), price(0.60, 2.50, cached_input=0.15), 49_000),
    # 214 x 1000 + 12000000
    "Perplexity, by the request": (told(14, 200), SONAR, 12_214_000),
    # 10 x 2000 + 30 x 8000 + 70 x 3000
    "reasoning at a price of its own": (
        told(10, 100, completion_tokens_details={"reasoning_tokens": 70}),
        DEEP_RESEARCH,
        470_000,
    ),
}


@pytest.mark.parametrize("what", INVOICES)
def test_a_bill_equals_the_invoice(what: str) -> None:
    usage, charged, invoice = INVOICES[what]

    read = read_usage(usage, Operation.CHAT)

    assert read is not None
    assert cost(read, charged) == invoice


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        # 30 cached of 100, and 90 said to be audio: at most 70 of those are not cached
        (Usage(100, 0, cached=30, details=Details(audio_input=90)), 30 * 100 + 70 * 40_000),
        (Usage(100, 0, cached=200, details=Details(cache_write=50, audio_input=9)), 100 * 100),
        (Usage(0, 10, reasoning=10, details=Details(audio_output=8)), 8 * 80_000 + 2 * 3000),
        (Usage(0, 0, cached=5, reasoning=5, details=Details(1, 1, 1, 1, 1)), 0),
    ],
)
def test_no_token_is_billed_twice(usage: Usage, expected: int) -> None:
    charged = price(
        1, 2, cached_input=0.1, cache_write=1.25, audio_input=40, audio_output=80, image_output=30, reasoning=3
    )

    assert cost(usage, charged) == expected


def test_kinds_without_a_price_of_their_own_cost_what_others_cost() -> None:
    details = Details(cache_write=10, audio_input=20, image_input=30, audio_output=5, image_output=6)

    assert cost(Usage(100, 20, cached=40, reasoning=9, details=details), price(1, 2)) == 100 * 1000 + 20 * 2000
