"""--verify: what is asked, of whom, how often, and where it is refused. Against a provider over real HTTP."""

from __future__ import annotations

import base64
import socket
import threading
from collections.abc import Iterator, Mapping
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from clawsecrets.clients.addresses import is_public, resolved
from clawsecrets.clients.http import Call, Lost, send
from clawsecrets.config.shape import ProviderConfig
from clawsecrets.errors import UsageError
from clawsecrets.issuers.loader import load_file
from clawsecrets.model.finding import Known, Rule
from clawsecrets.model.provider import Provider
from clawsecrets.model.rotation import Outcome
from clawsecrets.model.secret import SecretValue
from clawsecrets.ports import Reply
from clawsecrets.scan import verify as policy
from clawsecrets.scan.triage import Group
from clawsecrets.scan.verify import answer, pull_request
from clawsecrets.wiring.verifying import verify_groups
from tests.cli.desk import PROVIDERS
from tests.fake_provider import FakeProvider
from tests.fakes import FakeClock

ACME, ROLLCO = (load_file(PROVIDERS / f"{code}.toml") for code in ("acme", "rollco"))
PROVIDERS_HERE = {"acme": ACME, "rollco": ROLLCO}
RULE = Rule("acme.key", "acme", "Acme key", "acme_live_[a-z0-9]{32}")
PUBLIC = ["93.184.215.14"]


@pytest.fixture
def fake() -> Iterator[FakeProvider]:
    with FakeProvider() as one:
        yield one


def found(value: str, rule: Rule = RULE) -> Group:
    return Group(rule, SecretValue(value), "acme_live_")


def asked(groups: list[Group], fake: FakeProvider | None, *, own: ProviderConfig | None = None,
          environ: Mapping[str, str] | None = None, force: bool = False, clock: FakeClock | None = None,
          providers: Mapping[str, Provider] = PROVIDERS_HERE, addresses: list[str] | None = None) -> list[str]:
    """Verify them; what was said."""
    said: list[str] = []
    one = own or ProviderConfig(base_url=fake.url if fake else "")
    config: Any = SimpleNamespace(providers={"acme": one, "rollco": one})
    verify_groups(groups, providers, config, environ or {}, said.append, clock or FakeClock(), force=force,
                  resolve=lambda host, port: PUBLIC if addresses is None else addresses)
    return said


def test_live_and_dead(fake: FakeProvider) -> None:
    live, dead = found(fake.seed("acme").value), found("acme_live_" + "7" * 32)
    asked([live, dead], fake)
    assert (live.live, dead.live) == ("live", "dead")
    assert "Acme Ltd" in live.live_detail and "401" in dead.live_detail
    assert fake.calls["whoami"] == 2


@pytest.mark.parametrize("fault", [{"how": "status", "status": 500}, {"how": "status", "status": 302},
                                   {"how": "reset"}, {"how": "garbage"}, {"how": "status", "status": 429}])
def test_what_is_no_answer_is_unknown(fake: FakeProvider, fault: dict[str, Any]) -> None:
    one = found(fake.seed("acme").value)
    fake.fault("whoami", when="before", times=-1, **fault)
    asked([one], fake)
    assert one.live == "unknown" and one.live_detail


def test_redirects_are_not_followed(fake: FakeProvider) -> None:
    one = found(fake.seed("acme").value)
    fake.fault("whoami", "status", when="before", status=307, headers={"Location": f"{fake.url}/me"})
    asked([one], fake)
    assert one.live == "unknown"
    assert fake.calls["me"] == 0


def test_it_says_before_what_it_sends_where_and_shows_no_value(fake: FakeProvider) -> None:
    value = fake.seed("acme").value
    one = found(value)
    [line] = asked([one], fake)
    assert "GET" in line and fake.url in line and "/v1/whoami" in line and "acme_live_…" in line
    for text in (line, one.live_detail):
        assert value not in text and value[12:24] not in text
        assert base64.b64encode(value.encode()).decode()[:-4] not in text


def test_one_value_is_asked_about_once(fake: FakeProvider) -> None:
    value = fake.seed("acme").value
    groups = [found(value), found(value, RULE._replace(id="acme.known-value"))]
    asked(groups, fake)
    assert fake.calls["whoami"] == 1
    assert [one.live for one in groups] == ["live", "live"]


def test_only_what_the_provider_file_is_about_is_sent(fake: FakeProvider) -> None:
    groups = [found("x" * 40, RULE._replace(id="acme.webhook")), found("x" * 40, RULE._replace(provider="generic"))]
    assert asked(groups, fake) == []
    assert [one.live for one in groups] == ["", ""]
    assert not fake.calls


def test_a_refresh_token_is_not_asked_about(fake: FakeProvider) -> None:
    """The test of the provider file is about values: it would call a live refresh token dead."""
    rule = RULE._replace(id="acme.known-value")
    value, token = (Group(rule, SecretValue(fake.seed("acme").value), "x", known=Known("a", number, stage, True))
                    for number, stage in ((1, "current"), (2, "refresh")))
    asked([value, token], fake)
    assert (value.live, token.live) == ("live", "")
    assert fake.calls["whoami"] == 1


def test_one_a_second_and_so_many_at_most(fake: FakeProvider, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(policy, "MOST", 5)
    clock = FakeClock()
    began = clock.now()
    groups = [found(f"acme_live_{n:032d}") for n in range(8)]
    said = asked(groups, fake, clock=clock)
    assert fake.calls["whoami"] == 5
    assert clock.now() - began >= 4
    assert [one.live for one in groups] == ["dead"] * 5 + ["unknown"] * 3
    assert any("3 more values" in line for line in said)


def test_providers_take_turns_and_the_time_is_bounded(fake: FakeProvider, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(policy, "PATIENCE", 2.5)
    other = Rule(ROLLCO.detect[0].id, "rollco", "Rollco", "x") if ROLLCO.detect else None
    groups = [found(f"acme_live_{n:032d}") for n in range(6)]
    if other:
        groups += [Group(other, SecretValue(f"rollco-{n:032d}")) for n in range(6)]
    asked(groups, fake)
    assert fake.calls["whoami"] == 3
    assert sum(one.live == "unknown" and "seconds" in one.live_detail for one in groups) >= 3
    if other:
        assert fake.calls["me"] == 3


# --- where nothing is sent ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("environ", [
    {"GITHUB_EVENT_NAME": "pull_request"}, {"GITHUB_EVENT_NAME": "pull_request_target"},
    {"CI_MERGE_REQUEST_IID": "12"}, {"CI_PIPELINE_SOURCE": "merge_request_event"},
    {"CI_PIPELINE_SOURCE": "external_pull_request_event"}, {"CI_PULL_REQUEST": "https://x/1"},
    {"TRAVIS_PULL_REQUEST": "7"}, {"BUILDKITE_PULL_REQUEST": "7"}, {"CHANGE_ID": "3"},
])
def test_refused_in_the_job_of_a_pull_request(fake: FakeProvider, environ: dict[str, str]) -> None:
    one = found(fake.seed("acme").value)
    with pytest.raises(UsageError):
        asked([one], fake, environ=environ)
    assert not fake.calls and one.live == ""
    asked([one], fake, environ=environ, force=True)
    assert one.live == "live"


@pytest.mark.parametrize("environ", [{}, {"GITHUB_EVENT_NAME": "push"}, {"TRAVIS_PULL_REQUEST": "false"},
                                     {"BUILDKITE_PULL_REQUEST": "false"}, {"CI_PULL_REQUEST": ""}])
def test_other_jobs_may(environ: dict[str, str]) -> None:
    assert pull_request(environ) == ""


@pytest.mark.parametrize("address", ["127.0.0.1", "10.1.2.3", "192.168.0.9", "169.254.169.254", "100.64.0.1", "::1",
                                     "fe80::1%eth0", "fd00::1", "::ffff:10.0.0.1", "64:ff9b::a00:1", "2002:a00:1::",
                                     "0.0.0.0", "224.0.0.1", "192.0.2.1", "no address"])
def test_addresses_that_are_not_public(fake: FakeProvider, address: str) -> None:
    assert not is_public(address)
    one = found(fake.seed("acme").value)
    said = asked([one], None, own=ProviderConfig(), addresses=[*PUBLIC, address])
    assert one.live == "unknown" and "not public" in one.live_detail
    assert any("is not asked about" in line for line in said)
    assert not fake.calls


def test_public_addresses() -> None:
    assert all(map(is_public, ("93.184.215.14", "2606:4700::1111", "::ffff:93.184.215.14", "8.8.8.8")))
    assert resolved("localhost", 443) and resolved("does-not-exist.invalid", 443) == []


def test_a_name_without_an_address_is_not_asked() -> None:
    one = found("acme_live_" + "7" * 32)
    asked([one], None, own=ProviderConfig(), addresses=[])
    assert one.live == "unknown" and "no address" in one.live_detail


def test_plain_http_is_not_asked_unless_it_is_configured() -> None:
    plain = replace(ACME, host="http://api.acme.example")
    one = found("acme_live_" + "7" * 32)
    asked([one], None, own=ProviderConfig(), providers={"acme": plain})
    assert one.live == "unknown" and "https" in one.live_detail


def test_the_connection_itself_is_checked_before_anything_is_sent() -> None:
    """The name was public when it was resolved, and is not when it is connected to."""
    heard: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as server:
        def accept() -> None:
            connection, _ = server.accept()
            connection.settimeout(30)
            heard.append(connection.recv(1000))
            connection.close()

        thread = threading.Thread(target=accept)
        thread.start()
        url = f"http://127.0.0.1:{server.getsockname()[1]}/?k=v"
        lost = send(Call("GET", url, {"Authorization": "Bearer x"}), public_only=True)
        thread.join(30)
    assert isinstance(lost, Lost) and not lost.sent and "not public" in lost.why
    assert heard == [b""]


# --- what an answer means -------------------------------------------------------------------------------------------


def test_an_answer_that_repeats_the_value_does_not_show_it() -> None:
    value = b"acme_live_secret"
    for reply in (Reply(Outcome.OK, "HTTP 200", identity=f"key {value.decode()}"), Reply(Outcome.OK, value.decode())):
        told = answer(reply, value)
        assert told.live == "live" and value.decode() not in told.detail


def test_what_cannot_be_tested_is_unknown() -> None:
    assert answer(Reply(Outcome.OK, "no way", untestable=True), b"x" * 8).live == "unknown"
    for outcome in (Outcome.LATER, Outcome.UNKNOWN):
        assert answer(Reply(outcome, "x"), b"y" * 8).live == "unknown"
