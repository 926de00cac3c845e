"""The process: where it listens, keeps its data and finds its policies. From flags, or the environment (`LLMGW_…`)."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from gateway.core.secret import Secret
from gateway.ingress.proxies import Network, networks
from gateway.trace.retention import DAY, Retention

PREFIX = "LLMGW_"
DATA = ".llmgw"
STORE = "embedded"


@dataclass(frozen=True, slots=True)
class Settings:
    """`drain_delay` and `drain_timeout` in seconds; `admin_key` None means the ready-made one; `shared_records` 0: none are."""

    policies: Path
    host: str
    port: int
    admin_host: str
    admin_port: int
    store: str
    data: Path
    workers: int
    share_port: bool
    drain_delay: float
    drain_timeout: float
    auth_max_stale: float
    escrow: bool
    max_body: int
    log_level: str
    admin_key: Secret | None
    environment: Mapping[str, str]
    records: Retention = field(default_factory=Retention)
    shared_records: int = 100_000
    trusted_proxies: tuple[Network, ...] = ()

    @property
    def is_for_trying_out(self) -> bool:
        """Whether ready-made keys are valid and printed: only on this machine, and with a store nobody else shares."""
        return self.store == STORE and self.host in ("127.0.0.1", "localhost", "::1")

    @property
    def pepper(self) -> Secret | None:
        """LLMGW_SECRET, where it is set."""
        secret = self.environment.get("LLMGW_SECRET")
        return Secret(secret) if secret else None


def shipped_policies() -> Path:
    """The folder `policies` where the command is run, or else the policies that were installed with it."""
    here = Path("policies")
    return here if here.is_dir() else Path(__file__).parent / "policies"


def add_store_flags(parser: argparse.ArgumentParser, environment: Mapping[str, str]) -> None:
    """The flags that every command which opens the store has."""
    store = environment.get("LLMGW_STORE", STORE)
    parser.add_argument("--store", default=store, metavar="URL", help="embedded (default) or redis://…")
    data = Path(environment.get("LLMGW_DATA", DATA))
    parser.add_argument("--data", type=Path, default=data, metavar="DIR", help=f"data folder (default {DATA})")


def add_flags(parser: argparse.ArgumentParser, environment: Mapping[str, str]) -> None:
    """The flags of `serve`; each has its default from the environment variable of its name."""

    def flag(name: str, default: str, convert: Callable[[str], object], help: str) -> None:
        variable = PREFIX + name.upper().replace("-", "_")
        parser.add_argument(
            f"--{name}",
            type=convert,
            default=environment.get(variable, default),
            help=f"{help} ({variable}; default {default})",
        )

    flag("policies", str(shipped_policies()), Path, "folder of policy files")
    flag("host", "127.0.0.1", str, "address of the data plane")
    flag("port", "8080", int, "port of the data plane")
    flag("admin-host", "127.0.0.1", str, "address of the admin API")
    flag("admin-port", "8081", int, "port of the admin API")
    flag("workers", "1", _at_least_one, "processes that share the port")
    flag(
        "share-port",
        "no",
        _yes,
        "yes: another gateway may listen on the same port, to take over from it or from this one",
    )
    flag("drain-delay", "5", float, "seconds to keep listening after SIGTERM while readiness says no")
    flag("drain-timeout", "300", float, "seconds after which running streams are ended")
    flag("auth-max-stale", "300", float, "seconds known keys are accepted while the store is away")
    flag(
        "escrow",
        "yes",
        _yes,
        "no: every call under a budget is reserved in the store itself, and none from a slice that the worker holds",
    )
    flag("log-level", "info", _level, "debug, info, warning or error")
    flag("max-body", str(8 * 1024 * 1024), int, "largest request body in bytes")
    kept = Retention()
    flag("records-days", f"{kept.age / DAY:g}", _positive, "days that call records are kept")
    flag("records-most", str(kept.rows), _at_least_one, "call records that are kept")
    flag("records-bytes", str(kept.bytes), _at_least_one, "bytes that call records and statistics may take")
    flag("statistics-days", f"{kept.statistics / DAY:g}", _positive, "days that statistics of calls are kept")
    flag("shared-records", "100000", _not_negative, "call records that a Redis store keeps for all replicas to read")
    flag(
        "trusted-proxies",
        "",
        networks,
        "addresses and networks of proxies whose X-Forwarded-For is believed, as 10.0.0.0/8,…",
    )
    add_store_flags(parser, environment)


def from_arguments(arguments: argparse.Namespace, environment: Mapping[str, str]) -> Settings:
    key = environment.get("LLMGW_ADMIN_KEY")
    return Settings(
        policies=arguments.policies,
        host=arguments.host,
        port=arguments.port,
        admin_host=arguments.admin_host,
        admin_port=arguments.admin_port,
        store=arguments.store,
        data=arguments.data,
        workers=arguments.workers,
        share_port=arguments.share_port,
        drain_delay=arguments.drain_delay,
        drain_timeout=arguments.drain_timeout,
        auth_max_stale=arguments.auth_max_stale,
        escrow=arguments.escrow,
        max_body=arguments.max_body,
        log_level=arguments.log_level,
        admin_key=Secret(key) if key else None,
        environment=policy_environment(environment),
        records=Retention(
            age=arguments.records_days * DAY,
            rows=arguments.records_most,
            bytes=arguments.records_bytes,
            statistics=arguments.statistics_days * DAY,
        ),
        shared_records=arguments.shared_records,
        trusted_proxies=arguments.trusted_proxies,
    )


def policy_environment(environment: Mapping[str, str]) -> Mapping[str, str]:
    """What `${NAME}` stands for in policies.

    A shell in which our own `export` line was pasted holds a virtual key where OpenAI's is expected; it must not go there.
    """
    if not environment.get("OPENAI_API_KEY", "").startswith("sk-llmgw-"):
        return environment
    return {name: value for name, value in environment.items() if name != "OPENAI_API_KEY"}


def _at_least_one(text: str) -> int:
    if (number := int(text)) < 1:
        raise ValueError(text)
    return number


def _not_negative(text: str) -> int:
    if (number := int(text)) < 0:
        raise ValueError(text)
    return number


def _positive(text: str) -> float:
    if not 0 < (number := float(text)) < 1e6:
        raise ValueError(text)
    return number


def _yes(text: str) -> bool:
    if text not in ("yes", "no"):
        raise ValueError(text)
    return text == "yes"


def _level(text: str) -> str:
    if text not in ("debug", "info", "warning", "error"):
        raise ValueError(text)
    return text
