"""The issuer of two slots against a real HTTP server; the login of a file; what is wrong in a file with slots."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from clawsecrets.clients.http import Limits
from clawsecrets.issuers.assisted import AssistedIssuer
from clawsecrets.issuers.http import HttpIssuer
from clawsecrets.issuers.loader import check_file, load_file, load_providers
from clawsecrets.issuers.slots import SlotIssuer
from clawsecrets.issuers.soundness import faults
from clawsecrets.model.database import database_at, database_fault, login_of
from clawsecrets.model.rotation import Outcome
from clawsecrets.model.secret import SecretValue
from clawsecrets.ports import Request
from tests.fake_provider import FakeProvider
from tests.providers.test_exchanges import played
from tests.waiting import LONG

DATA = Path(__file__).parent.parent / "data" / "providers"
PATIENT = Limits(connect=LONG, read=LONG, total=LONG)
AZURE = load_providers()["azure-openai"]


@pytest.fixture
def fake() -> Iterator[FakeProvider]:
    with FakeProvider() as running:
        yield running


def issuer() -> SlotIssuer:
    return SlotIssuer(load_file(DATA / "pairco.toml"), PATIENT)


def in_use(fake: FakeProvider) -> tuple[SecretValue, Request]:
    """The value of slot one, and the request of a rotation of it."""
    value = SecretValue(fake.seed("pairco").value)
    return value, Request("s", "rot-1", old=value, old_handle="one", admin=SecretValue(fake.admin),
                          options={"base_url": fake.url})


def values(fake: FakeProvider) -> dict[str, str]:
    return {item.label: item.value for item in fake.live("pairco").values()}


def test_the_other_slot_is_filled_and_this_one_emptied(fake: FakeProvider) -> None:
    made, (old, asked) = issuer(), in_use(fake)
    before = values(fake)
    assert made.locate(replace(asked, old_handle="")).handle == "one"
    new = made.create(asked)
    assert new.handle == "two" and new.value is not None and new.value.reveal_text() == values(fake)["two"]
    assert values(fake)["one"] == before["one"] and values(fake)["two"] != before["two"]
    assert made.test(new.value, asked).outcome is Outcome.OK
    assert made.revoke("one", old, asked).outcome is Outcome.OK and set(values(fake)) == {"two"}
    assert made.test(old, asked).outcome is Outcome.REFUSED
    assert made.revoke("one", old, asked).detail.endswith("it is dead already")
    assert fake.calls["empty"] == 1


def test_a_slot_that_was_filled_again_is_left_alone(fake: FakeProvider) -> None:
    """A late revocation, or the ledger's, of a value that stood there before."""
    made, (old, asked) = issuer(), in_use(fake)
    again = made.create(replace(asked, old_handle="two"))
    assert again.handle == "one" and again.value is not None
    assert made.revoke("one", old, asked).outcome is Outcome.OK
    assert made.test(again.value, asked).outcome is Outcome.OK and not fake.calls["empty"]


def test_a_value_is_ended_where_it_stands_whatever_its_handle_says(fake: FakeProvider) -> None:
    made, (old, asked) = issuer(), in_use(fake)
    assert made.revoke("two", old, asked).outcome is Outcome.OK
    assert set(values(fake)) == {"two"}, "the slot that holds it"


@pytest.mark.parametrize("handle", ["", "three"])
def test_nothing_is_filled_where_the_slot_in_use_is_not_known(fake: FakeProvider, handle: str) -> None:
    made, (_, asked) = issuer(), in_use(fake)
    unsure = replace(asked, old_handle=handle)
    assert made.create(unsure).outcome is Outcome.REFUSED and made.idle(unsure).outcome is Outcome.REFUSED
    assert not fake.calls["fill"]
    assert made.locate(replace(asked, old=SecretValue("another"))).outcome is Outcome.REFUSED
    assert made.locate(replace(asked, old=None)).outcome is Outcome.REFUSED
    assert made.revoke("three", None, asked).outcome is Outcome.REFUSED


def test_a_lost_answer_may_have_filled_it_and_it_is_filled_again(fake: FakeProvider) -> None:
    made, (_, asked) = issuer(), in_use(fake)
    fake.fault("fill", "reset", when="after")
    assert made.create(asked).outcome is Outcome.UNKNOWN
    lost = values(fake)["two"]
    assert made.recover(asked).outcome is Outcome.REFUSED and not made.can("list") and not made.can("recover")
    again = made.create(asked)
    assert again.outcome is Outcome.OK and values(fake)["two"] != lost
    assert made.find(asked)[0].outcome is Outcome.REFUSED


def test_without_the_admin_credential_a_person_is_asked(fake: FakeProvider) -> None:
    made, (old, asked) = issuer(), in_use(fake)
    alone = replace(asked, admin=None)
    assert made.create(alone).outcome is Outcome.REFUSED
    assert made.locate(alone).person
    assert made.revoke("one", old, alone).person and len(values(fake)) == 2


def test_a_persons_value_is_found_in_its_slot(fake: FakeProvider) -> None:
    (_, asked), by_hand = in_use(fake), AssistedIssuer(load_file(DATA / "pairco.toml"), issuer())
    given = SecretValue(values(fake)["two"])
    assert by_hand.create(replace(asked, supplied=given)).handle == "two"
    assert by_hand.create(replace(asked, supplied=SecretValue("elsewhere"))).handle == ""


# --- the login ---


def azure(url: str, **options: str) -> Request:
    every = {"tenant": "t", "client_id": "c", "subscription": "s", "group": "g", "account": "a", "endpoint": "e"}
    return Request("s", "rot-1", old_handle="Key1", admin=SecretValue("client-secret-canary"),
                   options={**every, "base_url": url, **options})


def login_step(status: int, **answer: object) -> dict[str, object]:
    form = {"client_id": "c", "grant_type": "client_credentials", "scope": "https://management.azure.com/.default",
            "client_secret": "client-secret-canary"}
    return {"request": {"method": "POST", "path": "/t/oauth2/v2.0/token", "form": form},
            "response": {"status": status, "json": answer}}


def test_a_token_is_used_for_a_while_and_shown_to_nobody() -> None:
    now = [1000.0]
    steps = [login_step(200, access_token="token-canary-1", expires_in=3600),
             login_step(200, access_token="token-canary-2", expires_in=3600)]
    with played(steps) as (url, wrong):  # type: ignore[arg-type]
        made = SlotIssuer(AZURE, PATIENT, clock=lambda: now[0])
        first = made.login(azure(url))
        assert first.value == SecretValue("token-canary-1") == made.login(azure(url)).value
        now[0] += 301.0
        assert made.login(azure(url)).value == SecretValue("token-canary-2")
    assert not wrong and not steps
    assert "canary" not in repr(first) and "canary" not in repr(azure(url))


def test_a_refused_login_says_nothing_about_the_value() -> None:
    steps = [login_step(401, error="invalid_client")] * 3
    with played(list(steps)) as (url, _):  # type: ignore[arg-type]
        made = SlotIssuer(AZURE, PATIENT)
        assert made.create(azure(url)).outcome is Outcome.REFUSED
        by_admin = replace(AZURE, operations={**AZURE.operations, "test": AZURE.operations["recover"]})
        seen = SlotIssuer(by_admin, PATIENT).test(SecretValue("x"), azure(url))
        assert (seen.outcome, seen.person) == (Outcome.LATER, True)
        assert made.revoke("Key1", SecretValue("x"), azure(url)).outcome is not Outcome.OK


@pytest.mark.parametrize("label", ["evil.example/", "a.b", "a#", "A", "-a", "a-", "", "a" * 64])
def test_an_option_in_a_host_is_one_label(label: str) -> None:
    request = azure("", endpoint=label)
    reply = HttpIssuer(AZURE, PATIENT).test(SecretValue("x"), request)
    assert reply.outcome is Outcome.LATER and reply.person and "endpoint" in reply.detail


# --- files ---

PAIRCO = (DATA / "pairco.toml").read_text()


@pytest.mark.parametrize(("old", "new", "words"), [
    ('two = "/two"', "", "[slots]: strategy 'alternate' needs exactly two"),
    ('two = "/two"', 'two = "two"', "JSON pointer"),
    ('strategy = "alternate"', 'strategy = "overlap"', "[slots]: strategy 'overlap' would never use"),
    ('path = "/slots/${handle}", auth = "bearer", credential = "admin" }\nok      = { status = [204] }',
     'path = "/slots", auth = "bearer", credential = "admin" }\nok      = { status = [204] }',
     "[revoke] request: ${handle}"),
    ("ok      = { status = [200] }\nrefused = { status = [401] }\n\n[test]",
     'ok      = { status = [200], value = "/one" }\nrefused = { status = [401] }\n\n[test]', "[recover] ok.value"),
    ("[recover]", '[login]\nrequest = { method = "POST", path = "/x" }\nok = { status = [200], value = "/t" }\n'
     "[recover]", "[login] request: what is exchanged"),
    ('path = "/slots/me"', 'host = "https://${nobody}.pairco.example", path = "/slots/me"', "none of [options]"),
    ('path = "/slots/me"', 'host = "https://${nobody}.example", path = "/slots/me"', "at most its first label"),
    ('path = "/slots/me"', 'host = "https://x.${nobody}.example", path = "/slots/me"', "at most its first label"),
    ('strategy = "alternate"', 'strategy = "alternate"\nprotocol = "postgresql"', "makes no HTTP requests"),
    ('strategy = "alternate"', 'strategy = "alternate"\nprotocol = "telnet"', "'telnet' is not one of"),
])
def test_each_fault_is_named(tmp_path: Path, old: str, new: str, words: str) -> None:
    assert old in PAIRCO
    path = tmp_path / "pairco.toml"
    path.write_text(PAIRCO.replace(old, new))
    assert words in "\n".join(check_file(path))


@pytest.mark.parametrize("operation", ["create", "recover", "test", "revoke"])
def test_an_operation_that_is_missing_is_named(operation: str) -> None:
    provider = load_file(DATA / "pairco.toml")
    less = {name: item for name, item in provider.operations.items() if name != operation}
    assert f"[{operation}]: missing, and strategy 'alternate' needs it" in faults(replace(provider, operations=less))


# --- where a database is ---


@pytest.mark.parametrize(("url", "words"), [
    ("postgresql://db.example:5432/app", ""), ("postgresql://[::1]/app", ""),
    ("postgresql://db.example", "must be postgresql://"), ("postgresql:///app", "must be postgresql://"),
    ("https://db.example/app", "must be postgresql://"), ("postgresql://db.example/a/b", "must be postgresql://"),
    ("postgresql://db.example:x/app", "is not a URL"), ("postgresql://u@db.example/app", "must not hold"),
    ("postgresql://db.example/app?sslmode=require", "must not hold"), ("postgresql://db.example/a b", "must not hold"),
])
def test_a_database_is_named_by_a_url_and_nothing_else(url: str, words: str) -> None:
    fault = database_fault(url)
    assert (words in fault) if words else not fault


@pytest.mark.parametrize("role", ["app_a", "a b", "a@b:c/d", "ä"])
def test_a_login_goes_into_a_url_and_out_again(role: str) -> None:
    at = database_at("postgresql://[::1]:5433/app?sslmode=require")
    url = at.url_for(role, "p:w/@%")
    assert login_of(url) == (role, "p:w/@%")
    assert url.endswith("@[::1]:5433/app?sslmode=require")
    assert login_of("mysql://a:b@c/d") == login_of("postgresql://a@c/d") == login_of("plain") == ("", "")
