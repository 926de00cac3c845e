"""What the score is told: a prompt, and a label that says how two models did on one."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Prompt:
    """`text` is what changes from call to call, so it is not the system prompt. What is known without it: `route`, the rule or
    key, and `category`, a finer name within the route (a digest of system prompt, schema and tools, say); both are compared and
    never read. `messages` counts those of the conversation.
    """

    text: str
    route: str = ""
    category: str = ""
    messages: int = 1


@dataclass(frozen=True, slots=True)
class Label:
    """How good the answers of the strong and of the weak model to this prompt were, each from 0 to 1."""

    prompt: Prompt
    strong: float
    weak: float

    @property
    def loss(self) -> float:
        """What the weak model loses, from -1 to 1."""
        return self.strong - self.weak
