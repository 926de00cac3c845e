"""The wire formats that providers speak, each a codec without I/O."""

from collections.abc import Mapping

from gateway.core.call import Operation
from gateway.upstream.dialects.anthropic.dialect import Anthropic
from gateway.upstream.dialects.bedrock.dialect import Bedrock
from gateway.upstream.dialects.dialect import Dialect
from gateway.upstream.dialects.gemini.dialect import Gemini
from gateway.upstream.dialects.litellm import LiteLLM
from gateway.upstream.dialects.openai.dialect import OpenAI
from gateway.upstream.dialects.responses.dialect import Responses

DIALECTS: Mapping[str, Dialect] = {
    "openai": OpenAI(),
    "demo": OpenAI(),
    "responses": Responses(),
    "anthropic": Anthropic(),
    "gemini": Gemini(),
    "bedrock": Bedrock(),
    "litellm": LiteLLM(),
}
"""By the name that a policy gives them."""

_SERVED: Mapping[str, frozenset[Operation]] = {
    "openai": frozenset(Operation),
    "demo": frozenset(Operation),
    "litellm": frozenset({Operation.CHAT, Operation.EMBEDDINGS}),
    "gemini": frozenset({Operation.CHAT, Operation.EMBEDDINGS}),
}
_CHAT = frozenset({Operation.CHAT})


def serves(dialect: str, operation: Operation) -> bool:
    """Whether a provider of that dialect can be asked for it."""
    return operation in _SERVED.get(dialect, _CHAT)
