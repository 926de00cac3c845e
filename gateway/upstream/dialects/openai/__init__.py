"""OpenAI's wire format as providers speak it: requests spliced from the client's bytes, answers passed on as they came."""

from gateway.upstream.dialects.openai.failure import failure
from gateway.upstream.dialects.openai.relayed import RelayedAnswer, is_relayed
from gateway.upstream.dialects.openai.request import PATHS, request_body
from gateway.upstream.dialects.openai.stream import StreamedAnswer
from gateway.upstream.dialects.openai.usage import read_usage
from gateway.upstream.dialects.openai.whole import UnfinishedAnswer, WholeAnswer

__all__ = [
    "PATHS",
    "RelayedAnswer",
    "StreamedAnswer",
    "UnfinishedAnswer",
    "WholeAnswer",
    "failure",
    "is_relayed",
    "read_usage",
    "request_body",
]
