"""What it costs to change the model in the middle of a conversation: the provider's prompt cache is lost."""

from __future__ import annotations

from gateway.core.money import Price


def pays(stay: Price, switch: Price, *, sent: int, made: int) -> bool:
    """Whether a call of so many tokens is to leave the model at price `stay` for the one at `switch`.

    Who stays pays for the prompt as cached, and who switches as new. A switch to what is dearer anyway is not made for the
    money, and so is not judged by it; one to what is cheaper has to be cheaper with the cache lost.
    """
    if _cost(switch, switch.input, sent, made) >= _cost(stay, stay.input, sent, made):
        return True
    cached = stay.input if stay.cached_input is None else stay.cached_input
    return _cost(switch, switch.input, sent, made) < _cost(stay, cached, sent, made)


def _cost(price: Price, input: int, sent: int, made: int) -> int:
    """In nano-USD per million, with a prompt of which each token costs `input`."""
    return sent * input + made * price.output
