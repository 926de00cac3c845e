"""The wire formats that providers speak, each a codec without I/O."""

from collections.abc import Mapping

from gateway.upstream.dialects.bedrock.dialect import Bedrock
from gateway.upstream.dialects.dialect import Dialect
from gateway.upstream.dialects.gemini.dialect import Gemini
from gateway.upstream.dialects.openai.dialect import OpenAI

DIALECTS: Mapping[str, Dialect] = {
    "openai": OpenAI(),
    "demo": OpenAI(),
    "gemini": Gemini(),
    "bedrock": Bedrock(),
}
"""By the name that a policy gives them."""
