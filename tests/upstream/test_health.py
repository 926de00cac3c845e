"""A failing deployment rests, one call probes it, and the others come back when that went well."""

from __future__ import annotations

import pytest

from gateway.core.clock import Clock
from gateway.core.deployment import Deployment, Provider
from gateway.core.errors import Unavailable
from gateway.upstream.health import FAILURES_TO_REST, FIRST_REST, LONGEST_REST, Health

DEPLOYMENT = Deployment(name="p/m", provider=Provider("p", "openai"), upstream_model="m", price=None)
FAILED = Unavailable("no")


class Scene:
    def __init__(self) -> None:
        self.now = 1000.0
        self.published: list[tuple[str, float, str]] = []
        self.health = Health(Clock(now=lambda: self.now), lambda *told: self.published.append(told))

    def fail(self, times: int = 1, error: Unavailable = FAILED) -> None:
        for _ in range(times):
            self.health.failed(DEPLOYMENT, error)

    @property
    def available(self) -> bool:
        return self.health.is_available(DEPLOYMENT)


@pytest.fixture
def scene() -> Scene:
    return Scene()


def test_it_rests_after_three_failures_in_a_row_and_tells_the_others(scene: Scene) -> None:
    scene.fail(FAILURES_TO_REST - 1)
    assert scene.available

    scene.fail()

    assert not scene.available
    assert scene.published == [("p/m", 1000.0 + FIRST_REST, "upstream_error")]
    assert scene.health.next_return((DEPLOYMENT,)) == FIRST_REST


def test_a_success_between_failures_starts_the_count_again(scene: Scene) -> None:
    scene.fail(2)
    scene.health.succeeded(DEPLOYMENT)
    scene.fail(2)

    assert scene.available


def test_after_its_rest_one_call_probes_it_and_the_others_wait(scene: Scene) -> None:
    scene.fail(3)
    scene.now += FIRST_REST + 0.1

    assert [scene.available, scene.available] == [True, False]
    scene.health.succeeded(DEPLOYMENT)
    assert [scene.available, scene.available] == [True, True]


def test_a_failed_probe_doubles_the_rest_up_to_a_minute(scene: Scene) -> None:
    scene.fail(3)
    rests = []
    for _ in range(6):
        rests.append(scene.published[-1][1] - scene.now)
        scene.now = scene.published[-1][1] + 0.1
        assert scene.available
        scene.fail()

    assert rests == [5.0, 10.0, 20.0, 40.0, LONGEST_REST, LONGEST_REST]


def test_a_probe_whose_client_left_lets_the_next_call_probe(scene: Scene) -> None:
    scene.fail(3)
    scene.now += FIRST_REST + 0.1
    assert scene.available

    scene.health.abandoned(DEPLOYMENT)

    assert scene.available


def test_a_bad_credential_rests_it_at_once(scene: Scene) -> None:
    scene.fail(error=Unavailable("no", code="upstream_auth_failed"))

    assert not scene.available


def test_a_rate_limit_rests_it_for_as_long_as_it_asked(scene: Scene) -> None:
    scene.fail(error=Unavailable("no", code="upstream_rate_limited", status=429, retry_after=20.0))

    assert scene.health.next_return((DEPLOYMENT,)) == 20.0


def test_what_another_worker_found_out_counts_here(scene: Scene) -> None:
    scene.health.hear({"p/m": scene.now + 9})

    assert not scene.available
    scene.now += 10
    assert scene.available


def test_calls_that_were_under_way_when_the_rest_began_do_not_make_it_longer(scene: Scene) -> None:
    scene.fail(3 + 20)

    assert scene.health.next_return((DEPLOYMENT,)) == FIRST_REST


def test_a_clock_that_is_set_back_does_not_make_it_rest_for_long(scene: Scene) -> None:
    scene.fail(3)

    scene.now -= 3600
    scene.now += LONGEST_REST + 1

    assert scene.available


def test_what_rests_is_told_with_its_reason_until_its_time_has_come(scene: Scene) -> None:
    assert scene.health.resting() == {}
    scene.fail(3)
    assert scene.health.resting() == {"p/m": (1000.0 + FIRST_REST, "upstream_error")}

    scene.now += FIRST_REST + 0.1
    assert scene.health.resting() == {}


def test_one_deployment_s_rest_is_not_another_s(scene: Scene) -> None:
    other = Deployment(name="p/other", provider=DEPLOYMENT.provider, upstream_model="other", price=None)
    scene.fail(3)

    assert scene.health.is_available(other)
    assert not scene.available


def test_an_older_word_of_another_worker_does_not_shorten_a_rest(scene: Scene) -> None:
    scene.fail(3)

    scene.health.hear({"p/m": scene.now + 1, "p/past": scene.now - 1})

    assert scene.health.next_return((DEPLOYMENT,)) == FIRST_REST
    assert set(scene.health.resting()) == {"p/m"}
