"""The most that a call can use, told before it is made: for reservations that nothing can run past."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
import tiktoken

from gateway.core import units
from gateway.core.call import OUTPUT_CAPS, Call, Operation
from gateway.core.deployment import Deployment
from gateway.core.usage import Usage
from gateway.meter import server_tools
from gateway.meter.price import ceiling, cost
from gateway.meter.tokens import Tokens

_MESSAGE = 16  # tokens round a message, and round the prompt; real dialects use 3 to 8
_TOOLS = 1024  # what providers put round tools: Anthropic's is the longest known, with 530
_IMAGE = 5_000  # of an image by URL; one in the body is longer in base64 than in tokens
_GREEDY_IMAGES: Mapping[str, int] = {"gpt-4o-mini": 48_200}
_FILE = 200_000  # of a file by reference, whose length is not known here: a whole context
_KNOWN_SLACK = 64
_COUNTED = frozenset({"messages", "prompt", "input"})
_COUNTED_OF_A_MESSAGE = frozenset({"role", "content", "tool_calls"})
_BYTES_PER_TOKEN = 4  # of ordinary text, for a guess that need not be a bound


_SCREEN = b'"type":"computer_screenshot"'
_TEXT: frozenset[str] = frozenset()
_SEVERAL = frozenset({"n", "best_of", "prompt"})


class Bounds:
    def __init__(self, tokens: Tokens) -> None:
        self._tokens = tokens

    def sent(self, call: Call, deployment: Deployment) -> int:
        """The most input tokens a call can have: no byte of text makes more than one, whatever the vocabulary."""
        return server_tools.reach(call, deployment).sent(self._sent(call, deployment), deployment)

    def _sent(self, call: Call, deployment: Deployment) -> int:
        if call.form is not None:
            return units.tokens_heard(call) + _MESSAGE
        if call.operation is not Operation.CHAT:
            return len(call.body) + _MESSAGE
        most = max(len(call.body), len(call.native or b"")) + _MESSAGE * (len(call.fields["messages"]) + 1)
        if "tools" in call.has:
            most += _TOOLS
        if not call.has.isdisjoint(("image", "file")):
            most += sum(_by_reference(part, deployment.upstream_model) for part in _parts(call))
        return most + _seen(call.unsaid_to(deployment.provider.dialect))

    async def sent_closely(self, call: Call, deployment: Deployment) -> int | None:
        """A closer bound, by counting, where the model's own vocabulary is known; None where it is not.

        What is not counted as text (tools, schemas, names, fields nobody has heard of) is as many tokens as bytes.
        """
        if server_tools.reach(call, deployment).uses:
            return None
        if not call.has.isdisjoint(("image", "file", "audio")) or not _has_public_vocabulary(deployment.upstream_model):
            return None
        counted = await self._tokens.sent(call, deployment.upstream_model)
        slack = _KNOWN_SLACK + (_TOOLS if "tools" in call.has else 0)
        unsaid = call.unsaid_to(deployment.provider.dialect)
        uncounted = _uncounted(call) + len(unsaid) + _seen(unsaid)
        return min(self.sent(call, deployment), counted + counted // 10 + slack + uncounted)

    def guess_sent(self, call: Call) -> int:
        """About how many input tokens a call has, without counting."""
        return len(call.body) // _BYTES_PER_TOKEN

    def choices(self, call: Call) -> int:
        """How often an answer is generated, and billed: `n` or `best_of`, for each prompt."""
        if call.operation not in OUTPUT_CAPS or _SEVERAL.isdisjoint(call.fields):
            return 1
        prompts = call.fields.get("prompt")
        several = isinstance(prompts, list) and all(isinstance(each, str | list) for each in prompts)
        each_time = max(_number(call.fields.get("n")), _number(call.fields.get("best_of")))
        return each_time * (max(1, len(prompts)) if several and isinstance(prompts, list) else 1)

    def asked_output(self, call: Call) -> int | None:
        """The output cap that the client gave, in a field that its endpoint has; of what is not text, the most it can be."""
        return call.output_cap if call.operation in OUTPUT_CAPS else units.tokens_made(call)

    def cap_is_told(self, call: Call, deployment: Deployment) -> bool:
        """Whether the client gave its cap in the field that the provider reads."""
        return call.operation is not Operation.CHAT or call.fields.get(deployment.provider.output_cap) is not None

    async def count(self, text: str, deployment: Deployment) -> int:
        return await self._tokens.count(text, deployment.upstream_model)

    def ceiling(self, call: Call, deployment: Deployment, *, sent: int, made: int) -> int | None:
        """The most nano-USD that so many tokens can cost; None when the deployment has no price."""
        price = deployment.price
        if price is None:
            return None
        searches = server_tools.reach(call, deployment).searches
        return ceiling(sent, made, price, kinds=kinds(call), units=units.most(call), searches=searches)

    def boundless(self, call: Call, deployment: Deployment) -> str | None:
        reach, price = server_tools.reach(call, deployment), deployment.price
        if reach.unbounded is not None:
            return f"{reach.unbounded[:64]} may be used at {deployment.name} without a bound that the gateway knows"
        if reach.searches and price is not None and price.web_search is None:
            return f"nobody knows what a web search costs at {deployment.name}"
        return None

    def cost(self, deployment: Deployment, *, sent: int, made: int) -> int:
        """What so many tokens of text cost in nano-USD; nothing without a price."""
        return 0 if deployment.price is None else cost(Usage(sent, made), deployment.price)


def kinds(call: Call) -> frozenset[str]:
    """The kinds of input and output besides text that a call may be billed for."""
    if not call.has and "modalities" not in call.fields:
        return units.KINDS.get(call.operation, _TEXT)
    found = set(units.KINDS.get(call.operation, ()))
    if "audio" in call.has or "file" in call.has:
        found.add("audio_input")
    if "image" in call.has or "file" in call.has:
        found.add("image_input")
    modalities = call.fields.get("modalities")
    for kind in modalities if isinstance(modalities, list) else ():
        if kind in ("audio", "image"):
            found.add(f"{kind}_output")
    return frozenset(found)


def _uncounted(call: Call) -> int:
    """Bytes of the call that Tokens.sent does not look at."""
    size = sum(len(msgspec.json.encode(value)) for name, value in call.fields.items() if name not in _COUNTED)
    if call.operation is Operation.CHAT:
        for message in call.fields["messages"]:
            size += sum(
                len(msgspec.json.encode(value)) for name, value in message.items() if name not in _COUNTED_OF_A_MESSAGE
            )
    return size


def _number(value: Any) -> int:
    return int(value) if isinstance(value, int | float) and value > 1 else 1


def _parts(call: Call) -> list[Mapping[str, Any]]:
    contents = [message.get("content") for message in call.fields["messages"]]
    return [part for content in contents if isinstance(content, list) for part in content if isinstance(part, dict)]


def _by_reference(part: Mapping[str, Any], model: str) -> int:
    match part.get("type"):
        case "video_url":
            return _FILE
        case "image_url":
            return next((most for name, most in _GREEDY_IMAGES.items() if name in model), _IMAGE)
        case "file":
            inner = part.get("file")
            return _FILE if not isinstance(inner, dict) or "file_data" not in inner else 0
        case _:
            return 0


def _seen(unsaid: bytes) -> int:
    """Tokens of pictures, perhaps by reference, in what chat has no word for: of a computer's screen, as responses have them."""
    return unsaid.count(_SCREEN) * _IMAGE


def _has_public_vocabulary(model: str) -> bool:
    try:
        tiktoken.encoding_name_for_model(model.rpartition("/")[2])
    except KeyError:
        return False
    return True
