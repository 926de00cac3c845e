"""The wire formats that providers speak, each a codec without I/O."""

from collections.abc import Mapping

from gateway.upstream.dialects.anthropic.dialect import Anthropic
from gateway.upstream.dialects.dialect import Dialect
from gateway.upstream.dialects.openai.dialect import OpenAI
from gateway.upstream.dialects.responses.dialect import Responses

DIALECTS: Mapping[str, Dialect] = {
    "openai": OpenAI(),
    "demo": OpenAI(),
    "responses": Responses(),
    "anthropic": Anthropic(),
}
"""By the name that a policy gives them."""
