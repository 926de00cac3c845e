"""Which accounts a call touches, and that no two of them are one."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from gateway.budget.limits import Account, KeyLimits, Kind, Limit, Limits, MemberLimits, Unit, account
from gateway.budget.windows import Calendar, Forever, Period, Rolling
from gateway.core.tenant import Tenant

DAILY = Limit(Unit.USD, 5, Calendar(Period.DAY))
RPM = Limit(Unit.REQUESTS, 10, Rolling(60), Kind.RATE, warn=())
CI = Tenant("acme", "search", "k1", "ci-1")


def names(accounts: tuple[Account, ...]) -> list[str]:
    return [each.name for each in accounts]


def test_a_call_touches_its_organisation_its_key_its_user_and_its_team() -> None:
    everywhere = MemberLimits(own=(DAILY,), each_user=(DAILY,), keys=(KeyLimits("ci-*", (DAILY,)),))
    limits = Limits(
        members={"acme": everywhere, "acme/search": everywhere, "acme/sales": everywhere, "other": everywhere}
    )

    assert names(limits.of(CI, "bob")) == [
        "org:acme:usd/day",
        "key:acme/k1:usd/day",
        "user:acme/bob:usd/day",
        "team:acme/search:usd/day",
        "key:acme/search/k1:usd/day",
        "user:acme/search/bob:usd/day",
    ]


def test_a_call_without_team_or_user_touches_no_account_of_theirs() -> None:
    everywhere = MemberLimits(own=(DAILY,), each_user=(DAILY,))
    limits = Limits(members={"acme": everywhere, "acme/search": everywhere})

    assert names(limits.of(Tenant("acme", None, "k1", "ci-1"), None)) == ["org:acme:usd/day"]
    assert limits.of(Tenant("nobody", None, "k1", "ci-1"), "bob") == ()


def test_each_key_that_fits_a_pattern_has_an_account_of_its_own() -> None:
    limits = Limits(members={"acme": MemberLimits(keys=(KeyLimits("ci-*", (RPM,)),))})

    assert names(limits.of(CI, None)) == ["key:acme/k1:requests/60s"]
    assert names(limits.of(Tenant("acme", None, "k2", "ci-2"), None)) == ["key:acme/k2:requests/60s"]
    assert limits.of(Tenant("acme", None, "k3", "web"), None) == ()


def test_of_several_entries_that_fit_a_key_the_first_holds_for_what_it_counts() -> None:
    narrow, wide = Limit(Unit.REQUESTS, 100, Rolling(60)), Limit(Unit.REQUESTS, 1, Rolling(60))
    keys = (KeyLimits("ci-1", (narrow,)), KeyLimits("ci-*", (wide, DAILY)))
    limits = Limits(members={"acme": MemberLimits(keys=keys)})

    assert [each.limit for each in limits.of(CI, None)] == [narrow, DAILY]
    assert [each.limit for each in limits.of(Tenant("acme", None, "k2", "ci-2"), None)] == [wide, DAILY]


def test_all_callers_of_a_model_share_its_accounts() -> None:
    limits = Limits(models={"gpt-4o": (DAILY, RPM), "demo": ()})

    assert names(limits.of_model("gpt-4o")) == ["model:gpt-4o:usd/day", "model:gpt-4o:requests/60s"]
    assert limits.of_model("demo") == limits.of_model("other") == ()


def test_all_names_that_a_wildcard_stands_for_share_its_accounts() -> None:
    limits = Limits(models={"lab/known": ()}, wildcards=(("lab/free/*", ()), ("lab/*", (DAILY,)), ("*", (RPM,))))

    assert names(limits.of_model("lab/a")) == names(limits.of_model("lab/b")) == ["model:lab/*:usd/day"]
    assert limits.of_model("lab/known") == limits.of_model("lab/free/a") == ()
    assert names(limits.of_model("else")) == ["model:*:requests/60s"]


def test_a_budget_of_some_models_counts_only_their_calls() -> None:
    some = account("org", "acme", Limit(Unit.USD, 5, Calendar(Period.DAY), models=("demo", "gpt-*")))

    assert [some.fits(model) for model in ("gpt-4o", "demo", "demo-2", "claude")] == [True, True, False, False]
    assert account("org", "acme", DAILY).fits("anything")


def test_a_user_whose_id_is_long_or_odd_is_told_by_a_hash() -> None:
    limits = Limits(members={"acme": MemberLimits(each_user=(DAILY,))})

    def subject(user: str) -> str:
        return limits.of(CI, user)[0].subject

    assert subject("auth0|bob@example.org") == "acme/auth0|bob@example.org"
    for odd in ("", "a b", "x" * 65, "é", "\ud800", "search/bob", "#bob", "a[b]", "{a}", "a\nb"):
        assert subject(odd).startswith("acme/#")
        assert len(subject(odd)) == len("acme/#") + 24
    assert len({subject(user) for user in ("", "a b", "x" * 65, "x" * 66, subject("").removeprefix("acme/"))}) == 5


USERS = st.one_of(st.text(max_size=70), st.sampled_from(["bob", "search/bob", "bob:usd/day", "bob:tokens[x", "#bob"]))
MODELS = (
    st.lists(st.sampled_from(["gpt-*", "a:usd[x]", "b", "x:tokens"]), max_size=2, unique=True).map(sorted).map(tuple)
)
LIMITS = st.builds(
    Limit,
    unit=st.sampled_from(Unit),
    amount=st.just(1),
    window=st.sampled_from(
        [Calendar(Period.DAY), Calendar(Period.DAY, "Asia/Tokyo"), Rolling(60), Rolling(600), Forever()]
    ),
    models=MODELS,
)
SETS = st.lists(LIMITS, max_size=4, unique_by=lambda limit: limit.counted).map(tuple)


@given(own=SETS, users=SETS, keys=SETS, user=USERS, other=USERS)
def test_no_two_accounts_have_the_same_name(
    own: tuple[Limit, ...], users: tuple[Limit, ...], keys: tuple[Limit, ...], user: str, other: str
) -> None:
    everywhere = MemberLimits(own, users, (KeyLimits("ci-*", keys), KeyLimits("*", own)))
    limits = Limits(members={"acme": everywhere, "acme/search": everywhere}, models={"gpt": own, "a:usd": keys})
    callers = [
        (CI, user),
        (CI, other),
        (Tenant("acme", None, "k2", "ci-2"), user),
        (Tenant("acme", None, "k3", "x"), other),
    ]

    found = [each for tenant, who in callers for each in limits.of(tenant, who)]
    found += [*limits.of_model("gpt"), *limits.of_model("a:usd")]

    told_apart = {(each.scope, each.subject, each.limit.counted) for each in found}
    assert len({each.name for each in found}) == len(told_apart)
    for tenant, who in callers:
        assert len(set(names(limits.of(tenant, who)))) == len(limits.of(tenant, who))
