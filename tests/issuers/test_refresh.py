"""The issuer of refresh tokens over real HTTP: one request a call, what it may say of a lost answer, and no leak."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from clawsecrets.clients.http import Limits
from clawsecrets.issuers.loader import load_file
from clawsecrets.issuers.refresh import RefreshIssuer
from clawsecrets.model.provider import Lost, Provider
from clawsecrets.model.rotation import Outcome
from clawsecrets.model.secret import SecretValue
from clawsecrets.ports import Reply, Request
from tests.canary import search
from tests.fake_provider import ADMIN, FakeProvider
from tests.waiting import LONG

FILES = Path(__file__).parent.parent / "data" / "providers"
NOW = 1_000_000.0


@pytest.fixture
def fake() -> Iterator[FakeProvider]:
    with FakeProvider() as made:
        yield made


def issuer(code: str = "refresher", **more: Lost) -> RefreshIssuer:
    provider: Provider = load_file(FILES / f"{code}.toml")
    if more:
        changed = {**provider.operations, "refresh": replace(provider.operations["refresh"], **more)}
        provider = replace(provider, operations=changed)
    return RefreshIssuer(provider, Limits(LONG, LONG, LONG), clock=lambda: NOW)


def asked(fake: FakeProvider, token: str | None, old: str = "", admin: str = ADMIN, supplied: str = "") -> Request:
    return Request("bot-token", "rot-1", SecretValue(old) if old else None, "", SecretValue(admin),
                   {"base_url": fake.url}, SecretValue(supplied) if supplied else None,
                   SecretValue(token) if token else None)


def test_a_pair_comes_with_its_end(fake: FakeProvider) -> None:
    seed = fake.seed("refresher")
    reply = issuer().refresh(asked(fake, seed.refresh))
    assert reply.outcome is Outcome.OK and reply.expires_at == NOW + 43200.0
    made = fake.ever("refresher")[-1]
    assert reply.value == SecretValue(made.value) and reply.refresh == SecretValue(made.refresh)
    assert made.refresh != seed.refresh
    assert issuer().test(SecretValue(made.value), asked(fake, None)).outcome is Outcome.OK


def test_a_spent_one_is_refused_with_what_a_person_does(fake: FakeProvider) -> None:
    reply = issuer().refresh(asked(fake, "once_unknown"))
    assert reply.outcome is Outcome.REFUSED
    for word in ("not accepted", "https://refresher.example/apps", "press Install", "copy the refresh token",
                 "clawsecrets rotate bot-token --new-value-stdin"):
        assert word in reply.detail


@pytest.mark.parametrize("how", ["reset", "close", "garbage", "status"])
def test_a_lost_answer_is_unknown_after_exactly_one_request(fake: FakeProvider, how: str) -> None:
    seed = fake.seed("refresher")
    fake.fault("refresh", how, when="after", times=-1)
    reply = issuer().refresh(asked(fake, seed.refresh))
    assert reply.outcome is Outcome.UNKNOWN and reply.value is None
    assert fake.calls["refresh"] == 1


def test_what_is_missing_or_wrong_does_not_touch_the_refresh_token(fake: FakeProvider) -> None:
    seed = fake.seed("refresher")
    bare = replace(asked(fake, seed.refresh), admin=None)
    assert issuer().refresh(bare).outcome is Outcome.LATER
    assert issuer().refresh(asked(fake, None)).outcome is Outcome.LATER
    assert fake.calls["refresh"] == 0
    assert issuer().refresh(asked(fake, seed.refresh, admin="wrong")).outcome is Outcome.LATER
    assert fake.unspent("refresher") == {seed.refresh}


def test_a_value_that_is_none_is_unknown_but_its_refresh_token_is_kept(fake: FakeProvider) -> None:
    body = '{"access_token": "two\\nlines", "refresh_token": "once_next", "expires_in": 43200}'
    fake.fault("refresh", "status", status=200, body=body)
    reply = issuer().refresh(asked(fake, fake.seed("refresher").refresh))
    assert reply.outcome is Outcome.UNKNOWN and reply.value is None
    assert reply.refresh == SecretValue("once_next")


@pytest.mark.parametrize("left", ["1e999", "1" * 400, "-5", "true", '"soon"'])
def test_an_end_that_is_no_time_is_no_end(fake: FakeProvider, left: str) -> None:
    fake.fault("refresh", "status", status=200,
               body=f'{{"access_token": "a", "refresh_token": "b", "expires_in": {left}}}')
    reply = issuer().refresh(asked(fake, fake.seed("refresher").refresh))
    assert reply.outcome is Outcome.OK and reply.expires_at == 0.0


def test_nothing_is_created_without_the_refresh_token(fake: FakeProvider) -> None:
    assert issuer().create(asked(fake, "once_x")).outcome is Outcome.REFUSED
    assert not fake.calls


def test_after_a_lost_answer_the_file_decides(fake: FakeProvider) -> None:
    once, again = fake.seed("refresher-once"), fake.seed("refresher")
    assert issuer().ask_again(asked(fake, again.refresh)).outcome is Outcome.OK
    assert not fake.calls, "nothing is asked where it may be used again"
    told = issuer("refresher-once", lost=Lost.REAUTHORIZE).ask_again(asked(fake, once.refresh, once.value))
    assert told.outcome is Outcome.REFUSED and "may be spent" in told.detail and "press Install" in told.detail
    assert not fake.calls

    lives = issuer("refresher-once").ask_again(asked(fake, once.refresh, once.value))
    assert lives.outcome is Outcome.OK and lives.proof
    assert fake.calls["refresh"] == 0
    fake.end("refresher-once", once.value)
    dead = issuer("refresher-once").ask_again(asked(fake, once.refresh, once.value))
    assert dead.outcome is Outcome.REFUSED and "press Install" in dead.detail
    assert issuer("refresher-once").ask_again(asked(fake, once.refresh)).outcome is Outcome.REFUSED


def test_where_the_old_one_cannot_be_tried_now_nothing_is_guessed(fake: FakeProvider) -> None:
    once = fake.seed("refresher-once")
    fake.fault("check", "status", status=503)
    assert issuer("refresher-once").ask_again(asked(fake, once.refresh, once.value)).outcome is Outcome.LATER
    assert fake.calls["refresh"] == 0


def test_a_person_is_asked_for_a_refresh_token(fake: FakeProvider) -> None:
    ask = issuer().reauthorize(asked(fake, None))
    assert ask.outcome is Outcome.LATER and ask.person and "press Install" in ask.detail
    for bad in ("two\nlines", " padded"):
        assert issuer().reauthorize(asked(fake, None, supplied=bad)).person
    taken = issuer().reauthorize(asked(fake, None, supplied="once_new"))
    assert taken.outcome is Outcome.OK and taken.refresh == SecretValue("once_new") and taken.value is None
    assert not fake.calls


def test_no_answer_tells_a_secret(fake: FakeProvider) -> None:
    seed = fake.seed("refresher")
    replies: list[Reply] = []
    for how in ("", "reset", "garbage"):
        if how:
            fake.fault("refresh", how, when="after")
        replies.append(issuer().refresh(asked(fake, seed.refresh, seed.value)))
    replies += [issuer().ask_again(asked(fake, seed.refresh, seed.value)),
                issuer().reauthorize(asked(fake, seed.refresh, supplied=seed.refresh)),
                issuer().refresh(asked(fake, "once_spent"))]
    secrets = [ADMIN, *(text for item in fake.ever("refresher") for text in (item.value, item.refresh))]
    told = "\n".join(repr(reply) for reply in replies) + issuer().describe("refresh", asked(fake, seed.refresh))
    for secret in secrets:
        assert not search(told.encode(), secret.encode())
