"""How the workers of one run share the machine: any number of tests at once, or one that is `alone`.

Alone is what measures, what has a second or less for what it waits for, and what Redis must answer in its 80 ms. Beside what is
said here, `@pytest.mark.alone` says it of one test. In a run without workers every test is alone.
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

import pytest

ALONE = (
    "admin/test_calls.py",
    "admin/test_credentials.py",
    "admin/test_revocation.py",
    "auth/test_guesses.py",
    "budget/test_teller.py",
    "cache/shared/test_shared_flights.py",
    "faults/test_client_leaves.py",
    "faults/test_toxi.py",
    "flow/test_blame.py",
    "flow/test_budget_alerts.py",
    "flow/test_budget_store.py",
    "flow/test_cache.py",
    "flow/test_cascades.py",
    "flow/test_certificates.py",
    "flow/test_conversations.py",
    "flow/test_deadlines.py",
    "flow/test_draining.py",
    "flow/test_feedback.py",
    "flow/test_hedges.py",
    "flow/test_hot_reload.py",
    "flow/test_idempotency.py",
    "flow/test_leaving.py",
    "flow/test_leaving_early.py",
    "flow/test_locked_files.py",
    "flow/test_orphans.py",
    "flow/test_retries.py",
    "flow/test_semantic.py",
    "flow/test_semantic_together.py",
    "flow/test_shared_calls.py",
    "flow/test_signals.py",
    "flow/test_slow_clients.py",
    "flow/test_stalling.py",
    "flow/test_storm.py",
    "flow/test_trailing_bytes.py",
    "ledger",
    "policies/test_watch.py",
    "secrets",
    "store/test_cache_redis.py",
    "store/test_redis.py",
    "store/test_sqlite.py",
    "trace/matrix",
    "trace/metrics/test_push.py",
    "trace/metrics/test_workers.py",
    "trace/spans/test_tracer.py",
    "trace/test_call_file.py",
    "trace/test_content.py",
    "trace/test_redact.py",
    "trace/test_spool.py",
    "upstream/test_sse.py",
)
"""Files and folders, in tests/."""
TESTS = Path(__file__).parent


def is_alone(item: pytest.Item) -> bool:
    here = item.path.relative_to(TESTS)
    return item.get_closest_marker("alone") is not None or any(here.is_relative_to(each) for each in ALONE)


class Turnstile:
    """One worker's way into the room where tests run. Whoever comes first goes first, so that nobody waits for ever.

    A worker that dies leaves: the kernel takes its locks away. `folder` has the two locks.
    """

    def __init__(self, folder: Path) -> None:
        self._turn = _opened(folder / "turn.lock")
        self._room = _opened(folder / "room.lock")
        self._is_alone = False

    def enter(self, *, alone: bool) -> None:
        """Returns once everybody has left, if this test is to be alone; else once whoever was alone has left."""
        if alone and self._is_alone:
            return
        fcntl.lockf(self._turn, fcntl.LOCK_EX)
        fcntl.lockf(self._room, fcntl.LOCK_EX if alone else fcntl.LOCK_SH)
        if not alone:
            fcntl.lockf(self._turn, fcntl.LOCK_UN)
        self._is_alone = alone

    def leave(self, *, next_alone: bool) -> None:
        """Stays in the room if this worker's next test, too, is to be alone: it need not be emptied twice."""
        if self._is_alone and next_alone:
            return
        fcntl.lockf(self._room, fcntl.LOCK_UN)
        fcntl.lockf(self._turn, fcntl.LOCK_UN)
        self._is_alone = False


def _opened(path: Path) -> int:
    """A descriptor for good: to close any of a file's would take this process's locks of it away."""
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
