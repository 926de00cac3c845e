"""Gemini's generateContent, of a model of its third generation, which wants its signatures back."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from tests.agents.rules.found import Found

UNSIGNED = "skip_thought_signature_validator"
"""What Google documents for calls that another model has made."""
_TOP = ("contents", "systemInstruction", "tools", "toolConfig", "generationConfig", "safetySettings", "cachedContent")
_HOLDS = ("text", "inlineData", "fileData", "functionCall", "functionResponse")
_NAMES = r"[a-zA-Z_][a-zA-Z0-9_.:-]{0,63}"
_CONFIG = {
    *("temperature", "topP", "topK", "maxOutputTokens", "candidateCount", "stopSequences", "seed", "presencePenalty"),
    *("frequencyPenalty", "responseMimeType", "responseJsonSchema", "responseLogprobs", "logprobs", "thinkingConfig"),
    "responseModalities",
}


class _Request(Found):
    def __init__(self, signatures: Collection[str]) -> None:
        super().__init__()
        self._signatures = signatures

    def judge(self, body: Mapping[str, Any]) -> None:
        self.only(body, _TOP, "request")
        self.only(body.get("generationConfig") or {}, _CONFIG, "generationConfig")
        self._tools(body)
        for index, part in enumerate((body.get("systemInstruction") or {}).get("parts", ())):
            self.check(part.keys() == {"text"}, f"systemInstruction.parts[{index}]", "text alone")
        contents = body["contents"]
        if not self.check(contents, "contents", "is not specified"):
            return
        self.check(contents[0]["role"] == "user", "contents[0]", "the first is the user's")
        for index, content in enumerate(contents):
            self._content(content, contents[index - 1] if index else None, f"contents[{index}]")
        self.check(not _those(contents[-1], "functionCall"), "contents", "calls without their responses")

    def _tools(self, body: Mapping[str, Any]) -> None:
        declared = []
        for tool in body.get("tools") or ():
            for index, each in enumerate(tool["functionDeclarations"]):
                where = f"functionDeclarations[{index}]"
                self.matches(_NAMES, each["name"], f"{where}.name")
                self.only(each, ("name", "description", "parametersJsonSchema", "parameters"), where)
                schema = each.get("parametersJsonSchema")
                self.check(schema is None or schema.get("type") == "object", where, "a schema of type object")
                declared.append(each["name"])
        self.unique(declared, "functionDeclarations")
        calling = (body.get("toolConfig") or {}).get("functionCallingConfig") or {}
        self.check(set(calling.get("allowedFunctionNames", ())) <= set(declared), "toolConfig", "names no function")

    def _content(self, content: Mapping[str, Any], before: Mapping[str, Any] | None, where: str) -> None:
        self.only(content, ("role", "parts"), where)
        self.check(content["role"] in ("user", "model"), where, "role")
        if not self.check(content["parts"], where, "must include at least one parts field"):
            return
        for index, part in enumerate(content["parts"]):
            self._part(part, f"{where}.parts[{index}]")
        calls, answers = _those(before, "functionCall"), _those(content, "functionResponse")
        told = "the number of function response parts is equal to the number of function call parts"
        self.check(len(calls) == len(answers), where, told)
        self.check([each["name"] for each in calls] == [each["name"] for each in answers], where, "responses by name")
        is_next = before is None or before["role"] != content["role"] or bool(_those(before, "functionResponse"))
        self.check(is_next, where, "roles alternate")
        made = [part for part in content["parts"] if "functionCall" in part]
        if made:
            self.check("thoughtSignature" in made[0], where, "function call is missing a thought_signature")

    def _part(self, part: Mapping[str, Any], where: str) -> None:
        self.only(part, (*_HOLDS, "thoughtSignature", "thought"), where)
        self.check(len([name for name in _HOLDS if name in part]) == 1, where, "exactly one kind of content")
        self.check(part.get("text", "x") != "", where, "empty text parameter")
        if (signature := part.get("thoughtSignature")) is not None:
            known = signature == UNSIGNED or signature in self._signatures
            self.check(known, where, "Thought signature is not valid")
        if (blob := part.get("inlineData")) is not None:
            self.check("/" in blob["mimeType"] and blob["data"], where, "Unsupported MIME type")
        for name, member in (("functionCall", "args"), ("functionResponse", "response")):
            if name in part:
                self.matches(_NAMES, part[name]["name"], f"{where}.name")
                self.check(isinstance(part[name][member], dict), f"{where}.{member}", "must be an object")


def _those(content: Mapping[str, Any] | None, name: str) -> list[Mapping[str, Any]]:
    return [part[name] for part in content["parts"] if name in part] if content else []


def faults(body: Mapping[str, Any], *, signatures: Collection[str]) -> list[str]:
    """`signatures` are those that this provider has given so far."""
    request = _Request(signatures)
    request.judge(body)
    return request.faults
