"""Chat's parameters as Gemini's generationConfig, tools and toolConfig."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from gateway.upstream.dialects.members import Members

_SAME = {
    "temperature": "temperature",
    "top_p": "topP",
    "top_k": "topK",
    "seed": "seed",
    "presence_penalty": "presencePenalty",
    "frequency_penalty": "frequencyPenalty",
}
_BUDGETS = {"minimal": 1024, "low": 1024, "medium": 8192, "high": 24576, "xhigh": 24576, "max": 24576}
"""Tokens of reasoning for each effort, as Google's own OpenAI-compatible API has them."""
_LEAST_OF_PRO = 128
"""The least that Gemini 2.5 Pro reasons."""
_MODALITIES = {"text": "TEXT", "image": "IMAGE"}
_GENERATION = re.compile(r"gemini-(\d+)")


def generation(model: str) -> int:
    """The 3 of gemini-3-pro; 0 for other models."""
    found = _GENERATION.search(model)
    return int(found[1]) if found else 0


def config(fields: Members, model: str, cap: int | None) -> dict[str, Any]:
    """`cap` is written in the place of the client's own."""
    told: dict[str, Any] = {}
    for name, theirs in _SAME.items():
        if (number := fields.number(name)) is not None:
            told[theirs] = number
    caps = [fields.number(name) for name in ("max_completion_tokens", "max_tokens")]
    own = next((each for each in caps if each is not None), None)
    if cap is not None or own is not None:
        told["maxOutputTokens"] = cap if cap is not None else own
    fields.ignore("n", 1)
    if (count := fields.number("n")) is not None:
        told["candidateCount"] = count
    if stop := fields.text("stop"):
        told["stopSequences"] = [stop]
    elif stops := fields.list("stop"):
        told["stopSequences"] = stops
    _form(fields, told)
    _logprobs(fields, told)
    _modalities(fields, told)
    if thinking := _thinking(fields, model):
        told["thinkingConfig"] = thinking
    return told


def tools(fields: Members) -> list[dict[str, Any]]:
    declarations = []
    for index, value in enumerate(fields.list("tools")):
        tool = fields.item("tools", index, value)
        tool.ignore("type", "function")
        if "type" in tool:
            tool.lose("type")
        else:
            declarations.append(_declaration(tool.within("function")))
        tool.close()
    return [{"functionDeclarations": declarations}] if declarations else []


def tool_config(fields: Members) -> dict[str, Any] | None:
    word = fields.text("tool_choice")
    if word is not None:
        mode = {"auto": "AUTO", "none": "NONE", "required": "ANY"}.get(word)
        if mode is None:
            fields.lose("tool_choice")
        return None if mode in (None, "AUTO") else {"functionCallingConfig": {"mode": mode}}
    if "tool_choice" not in fields:
        return None
    choice = fields.within("tool_choice")
    kind = choice.text("type")
    calling: dict[str, Any] | None = None
    if kind == "allowed_tools":
        allowed = choice.within("allowed_tools")
        mode = "ANY" if allowed.text("mode") == "required" else "VALIDATED"
        calling = {"mode": mode, "allowedFunctionNames": _names(allowed)}
        allowed.close()
    elif kind in (None, "function"):
        function = choice.within("function")
        name = function.text("name")
        calling = {"mode": "ANY", "allowedFunctionNames": [name]} if name else None
        function.close()
    if calling is None or not calling["allowedFunctionNames"]:
        fields.lose("tool_choice")
        return None
    choice.close()
    return {"functionCallingConfig": calling}


def _names(allowed: Members) -> list[str]:
    names = []
    for index, value in enumerate(allowed.list("tools")):
        tool = allowed.item("tools", index, value)
        tool.ignore("type", "function")
        function = tool.within("function")
        if name := function.text("name"):
            names.append(name)
        function.close()
        tool.close()
    return names


def _declaration(function: Members) -> dict[str, Any]:
    told: dict[str, Any] = {"name": function.text("name") or "function"}
    if description := function.text("description"):
        told["description"] = description
    schema = function.mapping("parameters")
    if schema:
        told["parametersJsonSchema"] = schema
    function.ignore("strict", False)
    function.close()
    return told


def _form(fields: Members, told: dict[str, Any]) -> None:
    form = fields.within("response_format")
    kind = form.text("type")
    if kind == "json_object":
        told["responseMimeType"] = "application/json"
    elif kind == "json_schema":
        named = form.within("json_schema")
        told["responseMimeType"] = "application/json"
        schema = named.mapping("schema")
        if schema is not None:
            told["responseJsonSchema"] = schema
        named.any("name")  # says nothing to the model
        named.ignore("strict", True, False)  # Gemini always holds to it
        named.close()
    elif kind not in (None, "text"):
        form.lose("type")
    form.close()


def _logprobs(fields: Members, told: dict[str, Any]) -> None:
    fields.ignore("logprobs", False)
    if fields.flag("logprobs"):
        told["responseLogprobs"] = True
        if (count := fields.number("top_logprobs")) is not None:
            told["logprobs"] = count
    fields.ignore("top_logprobs", 0)


def _modalities(fields: Members, told: dict[str, Any]) -> None:
    wanted = fields.list("modalities")
    known = [_MODALITIES[each] for each in wanted if isinstance(each, str) and each in _MODALITIES]
    if len(known) < len(wanted):
        fields.lose("modalities")
    if known and known != ["TEXT"]:
        told["responseModalities"] = known


def _thinking(fields: Members, model: str) -> Mapping[str, Any]:
    """Of `thinking` and `reasoning_effort`; Gemini 3 takes levels in the place of budgets."""
    effort = fields.text("reasoning_effort")
    thinking = fields.within("thinking")
    kind = thinking.text("type")
    budget = thinking.number("budget_tokens")
    is_shown = thinking.text("display") != "omitted"
    thinking.close()
    if kind == "disabled":
        return _effort("none", model)
    if budget is not None and effort is None:
        return {"includeThoughts": is_shown, "thinkingBudget": budget}
    if effort is None:
        return {"includeThoughts": is_shown} if kind is not None else {}
    if effort not in ("none", *_BUDGETS):
        fields.lose("reasoning_effort")
        return {}
    return _effort(effort, model)


def _effort(effort: str, model: str) -> dict[str, Any]:
    is_shown = {"includeThoughts": True} if effort != "none" else {}
    if generation(model) >= 3:
        least = "minimal" if "flash" in model else "low"
        level = {"none": least, "minimal": least, "low": "low", "medium": "medium"}.get(effort, "high")
        return {**is_shown, "thinkingLevel": level}
    if effort == "none":
        return {"thinkingBudget": _LEAST_OF_PRO if "-pro" in model else 0}
    return {**is_shown, "thinkingBudget": _BUDGETS[effort]}
