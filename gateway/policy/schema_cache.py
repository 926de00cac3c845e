"""What the YAML of a policy may say of kept answers; a part of schema.py, which says how it is read."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Discriminator, Field, Tag
from pydantic.functional_validators import PlainValidator

from gateway.policy.quantities import bytes_count, seconds
from gateway.policy.shapes import Count, Percent, Section, number_or_text, shape

LONGEST = 31 * 86_400

Lifetime = Annotated[float, PlainValidator(seconds), Field(ge=1, le=LONGEST), number_or_text("1h")]
Off = Annotated[Literal["off"], Tag("<text>")]


class Exact(Section):
    """Answers to calls that are the same to the letter."""

    ttl: Lifetime = 3600.0
    """How long an answer is kept, from when it was made: 1s to 31d. Default 1h."""


class Semantic(Section):
    """Answers to questions that were asked in other words."""

    ttl: Lifetime | None = None
    """How long an answer is found by its meaning, at most as long as it is kept. Default: that long."""
    max_error: Percent | None = None
    """The share of wrong hits that is borne. Nothing is served until this route's own traffic has shown that it holds."""
    threshold: Annotated[float, Field(ge=0.5, le=1)] | None = None
    """A similarity from which answers are served, proven by nobody. Either this or `max_error`."""
    judge: str | None = None
    """The model that says whether two answers are the same. Default: they are compared as texts."""
    embedder: str | None = None
    """The model that embeds questions. Default: a small one on this machine, which `make semantic` installs."""


class Caching(Section):
    """Which answers are kept, for how long and for whom."""

    exact: Annotated[Off | Annotated[Exact, Tag("<mapping>")], Discriminator(shape)] = Exact()
    """Answers to calls that are the same to the letter."""
    semantic: Annotated[Off | Annotated[Semantic, Tag("<mapping>")], Discriminator(shape)] = "off"
    """Answers to questions that were asked in other words."""
    scope: Literal["key", "team", "org"] = "team"
    """Among whom answers are shared: one virtual key, a team (a key outside any team shares with nobody), or an organisation."""
    tools: bool = False
    """Keep the answers of calls that offer tools, tool calls included."""
    several: bool = False
    """Keep the answers of calls with `n` above 1."""
    max_temperature: Annotated[float, Field(ge=0, le=2)] = 1.0
    """Calls at a higher temperature want another answer each time. A call that names none has 1."""
    max_size: Annotated[int, PlainValidator(bytes_count), Field(ge=1024, le=16 * 2**20), number_or_text("1MiB")] = 2**20
    """The largest answer that is kept, up to 16MiB."""
    pace: Count | None = None
    """Characters per second at which a kept answer is streamed. Default: all at once."""


Caches = Annotated[Off | Annotated[Caching, Tag("<mapping>")], Discriminator(shape)]
