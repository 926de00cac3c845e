"""Alerts: the webhook that is told when a share of a budget has been spent."""

from __future__ import annotations

from dataclasses import dataclass

from gateway.core.deployment import Provider
from gateway.policy import schema
from gateway.policy.mistakes import Mistakes, Path
from gateway.policy.sections.origin import Origin, origin_of
from gateway.policy.sections.providers import further_headers, is_query
from gateway.policy.source.document import Document


@dataclass(frozen=True, slots=True)
class Alerts:
    """`webhook` has no dialect, and its path and query are the whole of what is asked for. None: nobody is told."""

    webhook: Provider | None = None
    notes: tuple[str, ...] = ()


def compile_alerts(policy: schema.Policy, document: Document, mistakes: Mistakes) -> Alerts:
    """The webhook, or none, with a note, while an environment variable in the section is not set."""
    written = policy.alerts
    if written is None:
        return Alerts()
    headers = tuple(further_headers(written.headers, ("alerts",), mistakes))
    unset = next((variable for path, variable in document.unset.items() if path[0] == "alerts"), None)
    if unset is not None:
        return Alerts(notes=(f"alerts are off: {unset} is not set",))
    if written.webhook is None:
        if "webhook" not in document.root["alerts"]:
            mistakes.add(("alerts",), "'webhook' is missing: where are alerts sent?", key=True)
        return Alerts()
    url, has_query, query = written.webhook.partition("?")
    origin = _origin(url, written, mistakes)
    if has_query and not is_query(query):
        mistakes.add(_WEBHOOK, "a URL has one `?`, no `#`, and is made of ASCII characters without spaces")
    return Alerts(
        Provider(
            name="alerts",
            dialect="",
            host=origin.host,
            port=origin.port,
            tls=origin.tls,
            path=origin.path + "/" if url.endswith("/") or not origin.path else origin.path,
            query=query,
            headers=headers,
            allow_private=written.allow_private,
        )
    )


_WEBHOOK: Path = ("alerts", "webhook")


def _origin(url: str, written: schema.Alerts, mistakes: Mistakes) -> Origin:
    try:
        if "{" in url:
            raise ValueError("the URL's path has characters or steps that cannot be used")
        return origin_of(url, allow_private=written.allow_private)
    except ValueError as error:
        mistakes.add(_WEBHOOK, str(error))
        return Origin()
