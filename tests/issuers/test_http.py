"""The HTTP issuer against a real HTTP server: what each kind of trouble means for each operation."""

from __future__ import annotations

import logging
import os
import socket
import threading
import time
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from clawsecrets.clients.http import Limits
from clawsecrets.issuers.assisted import AssistedIssuer
from clawsecrets.issuers.http import ENDS_OLD, HttpIssuer
from clawsecrets.issuers.loader import load_file, load_providers
from clawsecrets.model.rotation import Outcome
from clawsecrets.model.secret import SecretValue
from clawsecrets.ports import Request
from tests.fake_provider import FakeProvider
from tests.waiting import LONG, until

DATA = Path(__file__).parent.parent / "data" / "providers"
PATIENT = Limits(connect=LONG, read=LONG, total=LONG)
"""What comes is waited for, however slow the machine is."""
FAST = Limits(connect=LONG, read=1.0, total=2.0)
"""Only for what never comes."""
NEVER = 2 * LONG
"""Seconds that a server holds back what the client must not wait for."""


@pytest.fixture
def fake() -> Iterator[FakeProvider]:
    with FakeProvider() as running:
        yield running


def issuer(code: str = "acme", limits: Limits = PATIENT) -> HttpIssuer:
    return HttpIssuer(load_file(DATA / f"{code}.toml"), limits)


def ask(fake: FakeProvider | None, label: str = "rot-1", **rest: object) -> Request:
    options = {"base_url": fake.url if fake is not None else dead_url()}
    return Request(secret="acme-key", label=label, admin=SecretValue(fake.admin if fake else "adm"), options=options,
                   **rest)  # type: ignore[arg-type]


@cache
def dead_socket() -> socket.socket:
    """Bound, and nobody listens; it is kept, so that nobody else is given its port."""
    sock = socket.socket()
    sock.bind(("127.0.0.1", 0))
    return sock


def dead_url() -> str:
    return f"http://127.0.0.1:{dead_socket().getsockname()[1]}"


def test_overlap_life(fake: FakeProvider) -> None:
    acme, request = issuer(), ask(fake)
    made = acme.create(request)
    assert made.outcome is Outcome.OK
    assert made.value is not None
    assert fake.live()[made.handle].value == made.value.reveal_text()
    assert fake.live()[made.handle].label == "rot-1"
    seen = acme.test(made.value, request)
    assert (seen.outcome, seen.identity, seen.handle) == (Outcome.OK, "Acme Ltd", made.handle)
    reply, listed = acme.find(request)
    assert (reply.outcome, [item.handle for item in listed]) == (Outcome.OK, [made.handle])
    assert acme.find(ask(fake, "rot-2"))[1] == ()
    assert acme.revoke(made.handle, None, request).outcome is Outcome.OK
    assert acme.revoke(made.handle, None, request).outcome is Outcome.OK  # already gone is gone
    assert acme.test(made.value, request).outcome is Outcome.REFUSED
    assert not fake.live()


def test_find_walks_every_page(fake: FakeProvider) -> None:
    fake.configure(page_size=2)
    for label in ("a", "b", "c", "rot-1", "d"):
        fake.seed(label=label)
    reply, listed = issuer().find(ask(fake))
    assert (reply.outcome, [item.handle for item in listed]) == (Outcome.OK, ["acme-4"])
    assert fake.calls["list"] == 3


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("how", ["reset", "close", "hang", "drip", "garbage", "status"])
def test_a_create_whose_answer_is_no_answer_is_unknown(fake: FakeProvider, how: str, when: str) -> None:
    fake.fault("create", how, when=when, seconds=NEVER)
    begun = time.monotonic()
    reply = issuer(limits=FAST if how in ("hang", "drip") else PATIENT).create(ask(fake))
    assert reply.outcome is Outcome.UNKNOWN
    assert time.monotonic() - begun < LONG
    until(lambda: fake.calls["create"] and len(fake.live()) == (when == "after"), "what the server did")
    assert fake.calls["create"] == 1  # sent at most once


def test_a_slow_drip_of_headers_ends_too() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        def drip() -> None:
            peer, _ = server.accept()
            with peer:
                peer.recv(4096)
                for _ in range(int(NEVER / 0.1)):
                    try:
                        peer.sendall(b"H" if _ else b"HTTP/1.1 200 OK\r\nX-")
                    except OSError:
                        return
                    time.sleep(0.1)

        threading.Thread(target=drip, daemon=True).start()
        begun = time.monotonic()
        request = Request("s", "r", admin=SecretValue("a"),
                          options={"base_url": f"http://127.0.0.1:{server.getsockname()[1]}"})
        reply = issuer(limits=Limits(connect=LONG, read=LONG, total=1.0)).create(request)
        assert reply.outcome is Outcome.UNKNOWN
        assert "too long" in reply.detail
        assert time.monotonic() - begun < LONG


def test_nobody_listening_means_that_nothing_happened() -> None:
    for reply in (issuer().create(ask(None)), issuer().test(SecretValue("x"), ask(None)),
                  issuer().revoke("h", None, ask(None)), issuer().find(ask(None))[0]):
        assert reply.outcome is Outcome.LATER
        assert not reply.person
        assert "refused" in reply.detail


def test_tls_that_fails_means_that_nothing_happened(fake: FakeProvider) -> None:
    request = Request("s", "r", admin=SecretValue("a"), options={"base_url": fake.url.replace("http:", "https:")})
    reply = issuer().create(request)
    assert (reply.outcome, "TLS" in reply.detail) == (Outcome.LATER, True)


def test_too_many_requests_says_when(fake: FakeProvider) -> None:
    fake.fault("create", "status", status=429, headers={"Retry-After": "17"})
    reply = issuer().create(ask(fake))
    assert (reply.outcome, reply.after) == (Outcome.LATER, 17.0)


@pytest.mark.parametrize(("operation", "how", "expected"), [
    ("whoami", "status", Outcome.LATER), ("whoami", "reset", Outcome.LATER), ("whoami", "garbage", Outcome.UNKNOWN),
    ("list", "status", Outcome.LATER), ("list", "garbage", Outcome.UNKNOWN), ("list", "hang", Outcome.LATER),
    ("revoke", "status", Outcome.UNKNOWN), ("revoke", "reset", Outcome.UNKNOWN), ("revoke", "garbage", Outcome.UNKNOWN),
])
def test_trouble_of_the_others(fake: FakeProvider, operation: str, how: str, expected: Outcome) -> None:
    key = fake.seed()
    fake.fault(operation, how, seconds=NEVER)
    limits = FAST if how == "hang" else PATIENT
    value = SecretValue(key.value)
    reply = {"whoami": lambda: issuer(limits=limits).test(value, ask(fake)),
             "list": lambda: issuer(limits=limits).find(ask(fake))[0],
             "revoke": lambda: issuer(limits=limits).revoke(key.handle, value, ask(fake))}[operation]()
    assert reply.outcome is expected
    until(lambda: fake.calls[operation], "the request")
    assert fake.calls[operation] == 1


def test_an_html_page_is_not_the_providers_word(fake: FakeProvider) -> None:
    fake.fault("whoami", "status", status=403, body="<html>blocked by a firewall</html>")
    assert issuer().test(SecretValue("x"), ask(fake)).outcome is Outcome.UNKNOWN


def test_a_redirect_is_not_followed(fake: FakeProvider) -> None:
    fake.fault("create", "status", status=307, headers={"Location": fake.url + "/v1/keys"})
    assert issuer().create(ask(fake)).outcome is Outcome.UNKNOWN
    assert not fake.live()


def test_a_huge_answer_is_cut_off(fake: FakeProvider) -> None:
    fake.fault("create", "status", status=201, body='{"secret":"' + "x" * (2 << 20) + '"}')
    reply = issuer().create(ask(fake))
    assert (reply.outcome, "longer" in reply.detail) == (Outcome.UNKNOWN, True)


def test_create_ok_without_a_value_is_unknown(fake: FakeProvider) -> None:
    fake.fault("create", "status", status=201, body='{"id":"k"}')
    assert issuer().create(ask(fake)).outcome is Outcome.UNKNOWN


def test_bad_admin_is_refused(fake: FakeProvider) -> None:
    request = Request("s", "r", admin=SecretValue("wrong"), options={"base_url": fake.url})
    assert issuer().create(request).outcome is Outcome.REFUSED
    assert issuer().find(request)[0].outcome is Outcome.REFUSED


def test_missing_admin_sends_nothing(fake: FakeProvider) -> None:
    request = Request("s", "r", options={"base_url": fake.url})
    reply = issuer().create(request)
    assert (reply.outcome, "acme-admin" in reply.detail) == (Outcome.REFUSED, True)
    found = issuer().find(request)[0]
    assert (found.outcome, found.person) == (Outcome.LATER, True)
    assert not fake.calls


def test_revoke_without_a_handle_asks_the_credential_itself(fake: FakeProvider) -> None:
    key = fake.seed()
    assert issuer().revoke("", SecretValue(key.value), ask(fake)).outcome is Outcome.OK
    assert not fake.live()
    assert "already" in issuer().revoke("", SecretValue(key.value), ask(fake)).detail
    assert fake.calls["revoke"] == 1


def test_revoke_that_only_a_person_can_do(fake: FakeProvider) -> None:
    key = fake.seed()
    request = Request("s", "r", options={"base_url": fake.url})  # no admin credential
    reply = issuer().revoke(key.handle, SecretValue(key.value), request)
    assert (reply.outcome, reply.person) == (Outcome.LATER, True)
    assert "Delete the old key in the list" in reply.detail
    fake.bank.kill(key.handle)
    assert issuer().revoke(key.handle, SecretValue(key.value), request).outcome is Outcome.OK
    blind = issuer().revoke("", None, request)
    assert (blind.outcome, blind.person) == (Outcome.LATER, True)


def test_cut_over_and_its_read_back(fake: FakeProvider) -> None:
    old = fake.seed("rollco")
    request = ask(fake, old=SecretValue(old.value))
    fake.fault("roll", "reset", when="after")
    roll = issuer("rollco")
    assert roll.create(request).outcome is Outcome.UNKNOWN
    assert roll.test(SecretValue(old.value), request).outcome is Outcome.REFUSED
    again = roll.recover(request)
    assert again.value is not None
    assert [item.value for item in fake.live("rollco").values()] == [again.value.reveal_text()]
    fake.configure(readback=False)
    assert roll.recover(request).outcome is Outcome.REFUSED
    assert roll.recreate(request).outcome is Outcome.OK


def test_self_authenticated_cut_over_cannot_be_repeated(fake: FakeProvider) -> None:
    old = fake.seed("selfroll")
    request = ask(fake, old=SecretValue(old.value))
    roll = issuer("selfroll")
    made = roll.create(request)
    assert made.value is not None
    assert roll.test(made.value, request).outcome is Outcome.OK
    assert roll.create(request).outcome is Outcome.REFUSED  # the old one is dead
    assert roll.recreate(request).outcome is Outcome.REFUSED
    assert roll.recover(request).outcome is Outcome.REFUSED
    assert fake.calls["selfroll"] == 2


def test_assisted_waits_for_a_person(fake: FakeProvider) -> None:
    provider = load_file(DATA / "acme.toml")
    by_hand, old = AssistedIssuer(provider, HttpIssuer(provider, PATIENT)), fake.seed()
    reply = by_hand.create(ask(fake, old=SecretValue(old.value)))
    assert (reply.outcome, reply.person) == (Outcome.LATER, True)
    assert "https://acme.example/settings/keys" in reply.detail
    assert by_hand.explain(ask(fake))[1] == "Create a key named rot-1"
    for wrong in (old.value, " spaced ", "two\nlines", "", b"\xff"):
        again = by_hand.create(ask(fake, old=SecretValue(old.value), supplied=SecretValue(wrong)))
        assert (again.outcome, again.person, again.value) == (Outcome.LATER, True, None)
    assert not fake.calls
    new = fake.seed(label="rot-1")
    done = by_hand.create(ask(fake, old=SecretValue(old.value), supplied=SecretValue(new.value)))
    assert (done.outcome, done.value, done.handle) == (Outcome.OK, SecretValue(new.value), new.handle)
    assert not by_hand.can("create")
    assert by_hand.can("revoke")


def test_an_id_cannot_become_another_path(fake: FakeProvider) -> None:
    keep = fake.seed()
    for handle in ("..", ".", "../keys/" + keep.handle, "x?y=1", "%2e%2e", "a/b", "ü"):
        reply = issuer().revoke(handle, None, ask(fake))
        assert reply.outcome in (Outcome.OK, Outcome.UNKNOWN)  # 404 of the literal id, or not sent
    assert list(fake.live()) == [keep.handle]
    assert fake.calls["revoke"] + fake.calls["unknown"] == 5


def test_no_netrc_no_proxy_for_loopback(fake: FakeProvider, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login mallory password stolen\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    monkeypatch.setenv("HTTP_PROXY", dead_url())
    monkeypatch.setenv("http_proxy", dead_url())
    assert issuer().create(ask(fake)).outcome is Outcome.OK


def test_a_proxy_of_the_environment_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as proxy:
        def serve() -> None:
            peer, _ = proxy.accept()
            with peer:
                if peer.recv(4096).startswith(b"CONNECT api.acme.example:443"):
                    seen.set()
                peer.sendall(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n")

        threading.Thread(target=serve, daemon=True).start()
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{proxy.getsockname()[1]}")
        reply = issuer().create(Request("s", "r", admin=SecretValue("a")))
        assert seen.wait(LONG)
        assert (reply.outcome, "proxy" in reply.detail) == (Outcome.LATER, True)


@pytest.mark.parametrize("url", ["http://api.acme.example", "ftp://127.0.0.1", "https://u:p@h", "https://h?x=1", "x"])
def test_a_bad_base_url_sends_nothing(url: str) -> None:
    reply = issuer().create(Request("s", "r", admin=SecretValue("a"), options={"base_url": url}))
    assert (reply.outcome, "base_url" in reply.detail) == (Outcome.REFUSED, True)


def test_no_value_leaks(fake: FakeProvider, caplog: pytest.LogCaptureFixture) -> None:
    canary = "CANARYc4n4ry"
    root = Path(__file__).parent.parent.parent
    telegram = HttpIssuer(load_file(root / "providers" / "telegram.toml"), FAST)
    logging.getLogger("urllib3").setLevel(logging.DEBUG)
    logging.getLogger("urllib3.connectionpool").setLevel(logging.DEBUG)
    value = SecretValue(f"123456789:{canary}")
    shown = []
    with caplog.at_level(logging.DEBUG):
        for options in ({"base_url": fake.url}, {"base_url": dead_url()}, {"base_url": "https://127.0.0.1:1"}):
            for how in ("status", "reset", "hang", "garbage", "drip", "close"):
                fake.fault("*", how, seconds=NEVER)
                request = Request("s", "r", old=value, admin=SecretValue(f"1:{canary}"), options=options)
                shown += [telegram.create(request), telegram.test(value, request), telegram.recover(request),
                          telegram.describe("create", request)]
                if options["base_url"] != fake.url:
                    break
    until(lambda: fake.calls["unknown"] >= 18, "the requests")
    assert fake.calls["unknown"] == 18
    assert canary not in repr(shown)
    assert canary not in caplog.text
    logging.getLogger("urllib3.connectionpool").error("something with %s", canary)
    assert canary not in caplog.text


def test_describe_announces_that_a_person_who_makes_the_new_one_ends_the_old_one() -> None:
    files, request = load_providers(), Request("s", "r")
    telegram, groq = AssistedIssuer(files["telegram"]), AssistedIssuer(files["groq"])
    assert "that ends the old one at once" in telegram.describe("create", request)
    assert telegram.describe("revoke", request) == "nothing to call: making the new one has ended it"
    assert "ends" not in groq.describe("create", request) and "by hand" in groq.describe("revoke", request)


def test_describe_announces_a_creation_that_ends_the_old_one() -> None:
    request, rolled = Request("s", "r"), issuer("rollco")
    assert rolled.describe("create", request).endswith(ENDS_OLD)
    assert ENDS_OLD not in rolled.describe("test", request) + rolled.describe("revoke", request)
    assert ENDS_OLD not in issuer().describe("create", request)


def test_describe_shows_ids_but_no_values(fake: FakeProvider) -> None:
    request = Request("s", "rot-9", old=SecretValue("hidden"), old_handle="k-7", admin=SecretValue("hidden"))
    assert issuer().describe("revoke", request) == "DELETE https://api.acme.example/v1/keys/k-7"
    assert os.linesep not in issuer().describe("create", request)
