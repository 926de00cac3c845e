"""The wire formats that providers speak, each a codec without I/O."""

from collections.abc import Mapping

from gateway.core.call import Operation
from gateway.upstream.dialects.dialect import Dialect
from gateway.upstream.dialects.litellm import LiteLLM
from gateway.upstream.dialects.openai.dialect import OpenAI

DIALECTS: Mapping[str, Dialect] = {
    "openai": OpenAI(),
    "demo": OpenAI(),
    "litellm": LiteLLM(),
}
"""By the name that a policy gives them."""

_SERVED: Mapping[str, frozenset[Operation]] = {
    "openai": frozenset(Operation),
    "demo": frozenset(Operation),
    "litellm": frozenset({Operation.CHAT, Operation.EMBEDDINGS}),
}
_CHAT = frozenset({Operation.CHAT})


def serves(dialect: str, operation: Operation) -> bool:
    """Whether a provider of that dialect can be asked for it."""
    return operation in _SERVED.get(dialect, _CHAT)
