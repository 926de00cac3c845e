from __future__ import annotations

import pytest

from gateway.auth.tenants import KeyRule, Member, Organisation, Tenants, allows, tenant_of
from gateway.core.errors import Forbidden
from gateway.core.tenant import Tenant, VirtualKey

ACME = Organisation(
    name="acme",
    models=("gpt-*", "cheap"),
    keys=(KeyRule("batch-*", ("cheap",)), KeyRule("*", None)),
    teams={"search": Member("search", models=("gpt-4o", "cheap")), "closed": Member("closed", blocked=True)},
)
POLICY = Tenants({"acme": ACME, "gone": Organisation("gone", blocked=True)}, declared=True)


def key(tenant: str, *, name: str = "k", models: tuple[str, ...] | None = None) -> VirtualKey:
    return VirtualKey(id="id", name=name, tenant=tenant, fingerprint="00", models=models)


def test_without_declared_tenants_every_tenant_is_accepted_and_only_the_key_narrows() -> None:
    assert tenant_of(key("any/team", models=("a",)), Tenants()) == Tenant("any", "team", "id", "k", (("a",),))
    assert tenant_of(key("any"), Tenants()).models == ()


def test_organisation_team_key_rule_and_key_each_narrow_the_models() -> None:
    tenant = tenant_of(key("acme/search", name="batch-1", models=("*",)), POLICY)

    assert tenant.models == (("gpt-*", "cheap"), ("cheap",), ("gpt-4o", "cheap"), ("*",))


@pytest.mark.parametrize(
    "tenant", ["other", "acme/other", "gone", "acme/closed", "gone/team", "acme/search/deeper", ""]
)
def test_a_tenant_that_is_unknown_or_blocked_is_forbidden(tenant: str) -> None:
    with pytest.raises(Forbidden) as caught:
        tenant_of(key(tenant), POLICY)
    assert (caught.value.status, caught.value.code) == (403, "permission_denied")


@pytest.mark.parametrize(
    ("model", "allowed"),
    [("gpt-4o", True), ("cheap", True), ("gpt-4o-mini", False), ("GPT-4o", False), ("gpt-*", False), ("strong", False)],
)
def test_a_model_must_fit_every_level(model: str, allowed: bool) -> None:
    assert allows(tenant_of(key("acme/search"), POLICY), model) is allowed


def test_a_tenant_that_nothing_narrows_may_ask_for_every_model() -> None:
    assert allows(Tenant("o", None, "id", "k"), "anything/at-all")


def test_a_pattern_reaches_over_slashes() -> None:
    assert allows(Tenant("o", None, "id", "k", (("openai/*",),)), "openai/org/model")
