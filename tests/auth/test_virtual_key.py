from __future__ import annotations

import pytest

from gateway.auth.virtual_key import (
    admin_formed,
    fingerprint,
    key_id,
    mint,
    ready_made_admin_key,
    ready_made_key,
    well_formed,
)
from gateway.auth.wanted import Wanted, expiry
from gateway.core.errors import InvalidRequest
from gateway.core.secret import Secret

PEPPER = Secret("pepper")


def test_a_new_key_is_kept_as_a_fingerprint_and_never_as_its_text() -> None:
    key, text = mint(Wanted(name="ci", tenant="acme/search", models=("a",), expires=9.0), PEPPER, now=5.0)

    assert text.reveal().startswith(f"sk-llmgw-{key.id}")
    assert text.reveal()[-38:] not in repr(key)
    assert key.fingerprint == fingerprint(text.reveal(), b"pepper").hex()
    assert (key.name, key.tenant, key.models, key.created, key.expires) == ("ci", "acme/search", ("a",), 5.0, 9.0)


def test_no_two_keys_are_alike() -> None:
    texts = {mint(Wanted(), PEPPER, now=0.0)[1].reveal() for _ in range(1000)}

    assert len(texts) == 1000
    assert all(well_formed(text) for text in texts)


def test_the_ready_made_keys_are_the_same_at_each_start_and_others_under_another_pepper() -> None:
    assert ready_made_key(PEPPER) == ready_made_key(Secret("pepper"))
    assert ready_made_key(PEPPER) != ready_made_key(Secret("other"))
    assert ready_made_key(PEPPER).reveal()[9:] != ready_made_admin_key(PEPPER).reveal()[15:]


def test_an_admin_key_and_a_virtual_key_are_told_apart_by_their_form() -> None:
    virtual, admin = ready_made_key(PEPPER).reveal(), ready_made_admin_key(PEPPER).reveal()

    assert well_formed(virtual)
    assert well_formed(admin)
    assert admin_formed(admin)
    assert not admin_formed(virtual)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda text: text[:-1],
        lambda text: text + "A",
        lambda text: text.replace("sk-", "sk_"),
        lambda text: text[:20] + ("A" if text[20] != "A" else "B") + text[21:],
        lambda text: text[:-1] + ("A" if text[-1] != "A" else "B"),
        lambda text: text + "\n",
        lambda text: text.lower(),
        lambda text: "",
        lambda text: "sk-llmgw-" + "é" * 48,
        lambda text: "sk-llmgw-" + "\udc80" * 48,
    ],
)
def test_a_mistyped_key_is_seen_by_its_form(spoil: object) -> None:
    assert callable(spoil)
    assert not well_formed(spoil(ready_made_key(PEPPER).reveal()))


def test_the_id_of_a_key_is_the_part_that_may_be_shown() -> None:
    text = ready_made_key(PEPPER)

    assert text.reveal()[9:19] == key_id(text)


@pytest.mark.parametrize(
    ("age", "seconds"), [("90", 90), ("90s", 90), ("15m", 900), ("12h", 43200), ("30d", 2592000), ("52w", 31449600)]
)
def test_a_key_can_expire_after_an_age(age: str, seconds: int) -> None:
    assert expiry(age, now=1000.0) == 1000.0 + seconds


@pytest.mark.parametrize("age", ["", "d", "0d", "-1d", "1.5h", "1y", "9" * 40, "٣d", "1d "])
def test_an_age_that_is_none_is_refused(age: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        expiry(age, now=0.0)
    assert caught.value.param == "expires"


@pytest.mark.parametrize(
    ("wanted", "param"),
    [
        ({"name": "a\nb"}, "name"),
        ({"name": "a" * 101}, "name"),
        ({"tenant": "a/b/c"}, "tenant"),
        ({"tenant": ""}, "tenant"),
        ({"tenant": "a/"}, "tenant"),
        ({"models": ()}, "models"),
        ({"models": ("a", "")}, "models"),
        ({"models": ("a",) * 101}, "models"),
    ],
)
def test_a_key_that_makes_no_sense_is_refused_when_asked_for(wanted: dict[str, object], param: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        Wanted(**wanted)  # type: ignore[arg-type]
    assert caught.value.param == param
