"""Where a call can be answered: providers, their deployments, and the models made of them.

They are compared by identity, which makes them cheap keys of a dictionary.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum

from gateway.core.money import Price
from gateway.core.secret import Secret

MAX_OUTPUT = 4096
"""Output tokens that a call may have when a hard budget applies and neither the client nor the policy says how many."""


@dataclass(frozen=True, slots=True)
class Deadlines:
    """How long each phase of an attempt may take, in seconds.

    `headers` is for streams; a whole answer's headers come only when all of it has been generated: `whole`.
    """

    connect: float = 5.0
    headers: float = 60.0
    whole: float = 600.0
    first_token: float = 120.0
    idle: float = 60.0
    total: float = 1800.0


@dataclass(frozen=True, slots=True)
class Retries:
    """How often a call may be tried: `attempts` in all; `replay` also after a failure in which the provider may have worked."""

    attempts: int = 3
    max_wait: float = 5.0
    replay: bool = False


@dataclass(frozen=True, slots=True)
class Signing:
    """A credential of Amazon's, which is never sent: each call is signed with it, for one region."""

    region: str
    access_key_id: str
    secret_access_key: Secret
    session_token: Secret | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Provider:
    """A company or server we call. `headers` are sent with each call and hold its credential, unless `signing` does.

    `stream_usage` says whether it understands `stream_options.include_usage`; `output_cap` is the field of a request that
    caps its output, where the client wrote none; `propagate_trace`: it is told which trace a call belongs to. `path` and
    `query` may hold a secret too, as a webhook's do.

    `keeps_files`: it is the one that keeps clients' files and batches; `unbudgeted_batches`: tenants with a hard budget may make
    batches there, too.

    `translator` is what the litellm SDK calls it, where it is reached through that; `options` are the SDK's own words of where it
    is and who asks, and `reads_environment` says whether the SDK may look for more of them in the environment.
    """

    name: str
    dialect: str
    host: str = ""
    port: int = 0
    tls: bool = True
    path: str = field(default="", repr=False)
    query: str = field(default="", repr=False)
    headers: tuple[tuple[str, Secret], ...] = ()
    allow_private: bool = False
    deadlines: Deadlines = field(default_factory=Deadlines)
    retries: Retries = field(default_factory=Retries)
    max_output_bytes: int = 16 * 1024 * 1024
    stream_usage: bool = True
    output_cap: str = "max_tokens"
    propagate_trace: bool = False
    translator: str = ""
    options: tuple[tuple[str, Secret], ...] = ()
    reads_environment: bool = False
    keeps_files: bool = False
    unbudgeted_batches: bool = False
    signing: Signing | None = None

    @property
    def authority(self) -> str:
        """The host as the Host header names it, with the port unless it is the usual one."""
        name = f"[{self.host}]" if ":" in self.host else self.host
        return name if self.port == (443 if self.tls else 80) else f"{name}:{self.port}"


class Strategy(Enum):
    """How the deployments of a model are ordered for a call."""

    WEIGHTED = "weighted"
    CHEAPEST = "cheapest"
    FASTEST = "fastest"
    LEAST_BUSY = "least_busy"


@dataclass(frozen=True, slots=True)
class Abilities:
    """What an upstream model surely cannot do; of what is not known it is taken that it can.

    `prompt` is the most input tokens, `context` the most tokens of input and output together, and `lacks` are words of
    core.call.FEATURES.
    """

    prompt: int | None = None
    context: int | None = None
    lacks: frozenset[str] = frozenset()


ABLE = Abilities()


@dataclass(frozen=True, slots=True, eq=False)
class Deployment:
    """One upstream model at one provider, at one price (None: unknown). `name` is `provider/upstream-model`."""

    name: str
    provider: Provider
    upstream_model: str
    price: Price | None
    weight: int = 1
    abilities: Abilities = ABLE


@dataclass(frozen=True, slots=True, eq=False)
class Model:
    """A name clients may ask for: deployments of equal preference, then the fallbacks in their order.

    `max_output` is the most output tokens of a call under a hard budget whose client named no cap. `strategy` orders the
    deployments; with `is_sticky` a conversation keeps the one that it began with.
    """

    name: str
    deployments: tuple[Deployment, ...]
    fallbacks: tuple[Deployment, ...] = ()
    max_output: int = MAX_OUTPUT
    strategy: Strategy = Strategy.WEIGHTED
    is_sticky: bool = False
