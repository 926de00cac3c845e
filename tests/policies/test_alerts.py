"""What a webhook's URL and headers hold is not shown."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.policy.compile import compile_policy
from gateway.policy.mistakes import PolicyError
from tests.policies.test_hostile import unpriced

POLICY = "version: 1\nproviders: {demo: {dialect: demo}}\nmodels: {demo: {use: demo/demo}}\n"


def test_a_snapshot_that_is_printed_shows_nothing_of_the_webhook_but_its_host(tmp_path: Path) -> None:
    alerts = "alerts: {webhook: 'https://x.example.org/hunter2?sig=hunter3', headers: {authorization: hunter4}}\n"
    (tmp_path / "policy.yaml").write_text(POLICY + alerts)

    snapshot = compile_policy(tmp_path, {}, unpriced)

    assert snapshot.limits.webhook is not None
    assert (snapshot.limits.webhook.path, snapshot.limits.webhook.query) == ("/hunter2", "sig=hunter3")
    assert "x.example.org" in repr(snapshot)
    assert "hunter" not in repr(snapshot)


def test_a_mistake_does_not_show_what_was_written(tmp_path: Path) -> None:
    alerts = (
        "alerts: {webhook: 'https://x.example.org/hunter2#hunter3', headers: {host: hunter4}, allow_private: hunter5}\n"
    )
    (tmp_path / "policy.yaml").write_text(POLICY + alerts)

    with pytest.raises(PolicyError) as refusal:
        compile_policy(tmp_path, {}, unpriced)

    assert len(refusal.value.mistakes) == 3
    assert "hunter" not in str(refusal.value)
