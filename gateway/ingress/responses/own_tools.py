"""Tools of OpenAI's that the client itself runs: where a provider does not know them, they are functions.

Each has an item for a call, whose arguments stand in one member, and an item for what came of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

_STRINGS = {"type": "array", "items": {"type": "string"}}
_TEXT = {"type": "string"}
_NUMBER = {"type": "integer"}


@dataclass(frozen=True, slots=True)
class OwnTool:
    """`call` is the type of the item that calls it, `member` where that has the arguments, and `fixed` what goes with them."""

    name: str
    description: str
    call: str
    member: str
    properties: Mapping[str, Any]
    required: tuple[str, ...]
    fixed: Mapping[str, Any]

    def function(self) -> dict[str, Any]:
        """As a tool of chat's."""
        parameters = {"type": "object", "properties": self.properties, "required": list(self.required)}
        function = {"name": self.name, "description": self.description, "parameters": parameters}
        return {"type": "function", "function": function}


OWN_TOOLS: Mapping[str, OwnTool] = {
    tool.name: tool
    for tool in (
        OwnTool(
            name="local_shell",
            description="Runs a command on the user's machine.",
            call="local_shell_call",
            member="action",
            properties={
                "command": {**_STRINGS, "description": "The program and its arguments."},
                "working_directory": _TEXT,
                "timeout_ms": _NUMBER,
            },
            required=("command",),
            fixed={"type": "exec", "env": {}},
        ),
        OwnTool(
            name="shell",
            description="Runs commands in a shell.",
            call="shell_call",
            member="action",
            properties={"commands": _STRINGS, "timeout_ms": _NUMBER, "max_output_length": _NUMBER},
            required=("commands",),
            fixed={},
        ),
        OwnTool(
            name="apply_patch",
            description="Creates, updates or deletes one file by a patch in the V4A format.",
            call="apply_patch_call",
            member="operation",
            properties={
                "type": {"type": "string", "enum": ["create_file", "update_file", "delete_file"]},
                "path": _TEXT,
                "diff": {**_TEXT, "description": "The patch; none for delete_file."},
            },
            required=("type", "path"),
            fixed={},
        ),
    )
}
"""By the type of the tool, which is its name as a function too."""

OWN_CALLS: Mapping[str, OwnTool] = {tool.call: tool for tool in OWN_TOOLS.values()}
"""By the type of the item that calls one; with `_output` behind it, it is the type of the item that answers."""
