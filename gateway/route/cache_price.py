"""What it costs to change the model in the middle of a conversation: the provider's prompt cache is lost."""

from __future__ import annotations

from gateway.core.money import Price
from gateway.route.strategies import cost, in_tier


def pays(stay: Price, switch: Price, *, sent: int, made: int) -> bool:
    """Whether a call of so many tokens is to leave the model at price `stay` for the one at `switch`.

    Who stays pays for the prompt as cached, and who switches as new. A switch to what is dearer anyway is not made for the
    money, and so is not judged by it; one to what is cheaper has to be cheaper with the cache lost.
    """
    there, here = cost(switch, sent, made), cost(stay, sent, made)
    if there >= here:
        return True
    rates = in_tier(stay, sent)
    cached = rates.input if rates.cached_input is None else rates.cached_input
    return there < here - sent * (rates.input - cached)
