"""The prompt of a recorded call as another policy's templates would make it, from the variables that were recorded.

Of a version that stays the same, by its hash, nothing has to be known. Of any other both texts are made, the one that the call
had and the one that it would get, and their tokens counted; what is not known is told, call by call, and never taken for nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from gateway.core.errors import CallerError, InvalidRequest
from gateway.core.prompt import ByRoute, Prompt
from gateway.core.usage import Usage
from gateway.meter.tokens import Tokens
from gateway.replay.again import Again
from gateway.replay.recorded import Recorded
from gateway.replay.versions import Put, UnknownError, Versions
from gateway.replay.wordings import MOST_WORDINGS, Failed, Named, Wording
from gateway.template.rules import Mode
from gateway.template.wanted import split

_FORMS = frozenset({"json_schema", "json_object"})
_OTHERS = ("(others)", None, None)
_EITHER_SIDE = frozenset({None, Mode.PREPEND, Mode.APPEND})


@dataclass(frozen=True, slots=True)
class Seen:
    """A recorded call as the changed policy gets it. `refused` is the code with which its template refuses it; `is_other`: its
    prompt is another version's; `counted` is where its cost is to be counted, None where its tokens are not known or the same."""

    recorded: Recorded
    refused: str | None = None
    is_other: bool = False
    counted: Wording | None = None


class Prompts:
    """`old` and `new` decide under the two policies."""

    def __init__(self, old: Again, new: Again, tokens: Tokens) -> None:
        self._again = new
        self._versions = Versions(old.snapshot, new)
        self._tokens = tokens
        self.wordings: dict[tuple[str, Named | None, Named | None], Wording] = {}

    @property
    def unjudged(self) -> int:
        """Calls whose prompt changes in a way that is not known."""
        return sum(each.unjudged.total() for each in self.wordings.values())

    @property
    def approximated(self) -> Mapping[str, int]:
        """How many choices rest on something that stands for what is not known."""
        return self._versions.approximated

    def see(self, recorded: Recorded, model: str) -> Seen:
        """`model` is in whose vocabulary tokens are counted. Raises Unrecorded."""
        if recorded.prompt is None and not self._again.snapshot.routes.puts_templates:
            return Seen(recorded)
        try:
            self._again.tenant(recorded.key)
            asked = self._versions.asked(recorded)
        except CallerError:
            return Seen(recorded)  # it is refused, whatever its prompt is
        if asked is None and recorded.prompt is None:
            return Seen(recorded)
        return self._see(recorded, asked, model)

    def _see(self, recorded: Recorded, asked: ByRoute | str | None, model: str) -> Seen:
        was, put = recorded.prompt, None
        name = split(asked if isinstance(asked, str) else asked.template)[0] if asked is not None else ""
        name = was.prompt.name if was is not None else name
        try:
            put = None if asked is None else self._versions.after(recorded, asked)
            if put is not None and was is not None and put.version.hash == was.prompt.hash:
                self._wording(name, recorded, put).calls += 1
                return Seen(_with(recorded, None, put, 0))
            return self._compared(name, recorded, put, model)
        except UnknownError as error:
            wording = self._changed(name, recorded, put)
            wording.unjudged[str(error)] += 1
            return Seen(recorded, is_other=True)
        except CallerError as error:
            wording = self._changed(name, recorded, put)
            wording.fail(Failed(error.code, error.param), error.message, recorded.call.id)
            return Seen(recorded, error.code, is_other=True)

    def _compared(self, name: str, recorded: Recorded, put: Put | None, model: str) -> Seen:
        """Raises CallerError, UnknownError."""
        before = self._versions.before(recorded)
        given = _given(recorded, before)
        _check_modes(before, put)
        messages = None if before is None else _made_then(before, given)
        new = None if put is None else _made_now(recorded, before, put, given)
        is_reworded = _brings(before, messages) != _brings(put, new)
        tokens = self._count(before, messages, model), self._count(put, new, model)
        wording = self._changed(name, recorded, put)
        wording.counted += 1
        wording.reworded += is_reworded
        wording.redacted += recorded.prompt is not None and bool(recorded.prompt.redacted)
        for side, count in enumerate(tokens):
            wording.tokens[side] += count
        more = tokens[1] - tokens[0]
        return Seen(_with(recorded, before, put, more), is_other=True, counted=wording)

    def _count(self, put: Put | None, messages: list[dict[str, Any]] | None, model: str) -> int:
        if put is None or messages is None:
            return 0
        return self._tokens.part(messages, put.version.tools, model)

    def _changed(self, name: str, recorded: Recorded, put: Put | None) -> Wording:
        wording = self._wording(name, recorded, put)
        wording.calls += 1
        wording.changed += 1
        return wording

    def _wording(self, name: str, recorded: Recorded, put: Put | None) -> Wording:
        was = recorded.prompt
        before = None if was is None else Named(was.prompt.version, was.prompt.hash)
        key = (name, before, None if put is None else put.named)
        if key not in self.wordings and len(self.wordings) >= MOST_WORDINGS:
            key = _OTHERS
        return self.wordings.setdefault(key, Wording())


def _given(recorded: Recorded, before: Put | None) -> Mapping[str, Any]:
    """The variables. Raises UnknownError."""
    was = recorded.prompt
    if was is None or before is None:
        return {}
    if was.cut:
        raise UnknownError("the whole of their variables")
    if was.variables is not None:
        return was.variables
    if before.template.variables or before.version.hash != was.prompt.hash:
        raise UnknownError("their variables")
    return {}  # with any other they would have been refused


def _check_modes(before: Put | None, put: Put | None) -> None:
    """What the client says itself is the same on both sides, or would have to be known. Raises UnknownError."""
    modes = {None if each is None else each.template.mode for each in (before, put)}
    if len(modes) > 1 and not modes <= _EITHER_SIDE:
        raise UnknownError("the client's own messages, of which another mode makes another use")


def _made_then(before: Put, given: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Raises UnknownError: it was made then, so it was another version."""
    try:
        return before.messages(given)
    except InvalidRequest:
        raise UnknownError("the version that they had") from None


def _made_now(recorded: Recorded, before: Put | None, put: Put, given: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Raises InvalidRequest."""
    messages = put.messages(given)
    own = recorded.call.has - (frozenset() if before is None else before.version.features)
    for features, name in ((frozenset({"tools"}), "tools"), (_FORMS, "response_format")):
        if features & put.version.features and features & own:
            raise InvalidRequest(f"the template brings {name} of its own", code="template_conflict", param=name)
    if recorded.prompt is not None and recorded.prompt.prompt.is_model and put.version.model is None:
        raise InvalidRequest("the version names no model", code="template_model", param="model")
    return messages


def _brings(put: Put | None, messages: list[dict[str, Any]] | None) -> object:
    return None if put is None or messages is None else put.brings(messages)


def _with(recorded: Recorded, before: Put | None, put: Put | None, more: int) -> Recorded:
    """The call with this version round it in the place of the one before, and so many more tokens."""
    call, was, usage = recorded.call, recorded.prompt, recorded.usage
    has = call.has - (frozenset() if before is None else before.version.features)
    if put is None:
        call = replace(call, prompt=None, has=has)
    else:
        version = put.version
        prompt = Prompt(put.template.name, version.number, version.hash, put.reason, route=put.route)
        is_model = was is not None and was.prompt.is_model
        model = (version.model or call.model) if is_model else call.model
        call = replace(call, prompt=prompt, model=model, has=has | version.features)
    if usage is not None and not recorded.is_free:
        usage = _longer(usage, more)
    tokens_in = None if recorded.tokens_in is None else max(0, recorded.tokens_in + more)
    return replace(recorded, call=call, usage=usage, tokens_in=tokens_in)


def _longer(usage: Usage, more: int) -> Usage:
    sent = max(0, usage.input + more)
    return replace(usage, input=sent, cached=min(usage.cached, sent))
