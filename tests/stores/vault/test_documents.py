"""Documents on a real server, through a proxy that loses answers: a write happens once, and is known to have."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any

import pytest

from clawsecrets.errors import StoreDamaged, StoreError, StoreLocked
from clawsecrets.model.secret import SecretValue
from clawsecrets.stores.vault.documents import Conflict, Documents, unix
from clawsecrets.stores.vault.reply import Said, understood
from clawsecrets.stores.vault.transport import Connection, Patience, Transport
from tests.daemon.running import free_port
from tests.stores.vault.conftest import Counted, Dev
from tests.stores.vault.proxy import Fault, Proxy

pytestmark = pytest.mark.real("openbao")
CANARY = "canary-6b1f0c52e9"
HAPPENED = (Fault.LOST, Fault.CHANGED, Fault.BROKEN)
NOT_HAPPENED = (Fault.CUT, Fault.SEALED, Fault.BUSY, Fault.STANDBY, Fault.AWAY)


def mine(mark: str) -> Any:
    return lambda content: content.get("id") == mark


@pytest.fixture
def documents(dev: Dev) -> Documents:
    return dev.documents()


def put(documents: Documents, path: str, mark: str, cas: int) -> int:
    return documents.write(path, {"id": mark}, cas, mine(mark)).version


# --- what the server says -----------------------------------------------------------------------------------------


def test_a_document_is_read_as_it_was_written(documents: Documents, prefix: str) -> None:
    path = f"records/{prefix}"
    assert (documents.read(path).version, documents.read(path).content) == (0, None)
    written = documents.write(path, {"id": "one", "text": "é\x00"}, 0, mine("one"))
    assert documents.read(path) == written
    assert written.version == 1 and written.content == {"id": "one", "text": "é\x00"} and not written.ends
    again = documents.write(path, {"id": "two"}, 1, mine("two"))
    assert again.version == 2 and again.created > written.created > 1.7e9


def test_another_version_is_a_conflict_that_shows_it(documents: Documents, prefix: str) -> None:
    put(documents, f"records/{prefix}", "one", 0)
    with pytest.raises(Conflict) as caught:
        put(documents, f"records/{prefix}", "two", 0)
    assert caught.value.found.content == {"id": "one"}


def test_a_deleted_document_keeps_its_number(documents: Documents, prefix: str) -> None:
    put(documents, prefix, "one", 0)
    documents.hide(prefix)
    found = documents.read(prefix)
    assert (found.version, found.content) == (1, None)
    assert put(documents, prefix, "two", 1) == 2
    documents.destroy(prefix, [1])
    kept = documents.metadata(prefix)
    assert kept is not None and kept["versions"]["1"]["destroyed"] and not kept["versions"]["2"]["destroyed"]


def test_a_forgotten_document_is_gone(documents: Documents, prefix: str) -> None:
    put(documents, f"{prefix}/a", "one", 0)
    put(documents, f"{prefix}/b/c", "one", 0)
    assert documents.names(prefix) == ["a", "b/"]
    for _ in range(2):
        documents.forget(f"{prefix}/a")
    assert documents.names(prefix) == ["b/"] and documents.names(f"{prefix}/none") == []
    assert documents.metadata(f"{prefix}/a") is None
    assert put(documents, f"{prefix}/a", "new", 0) == 1


def test_the_number_of_versions_is_kept(documents: Documents, prefix: str) -> None:
    documents.keep(prefix, 2)
    for number in range(4):
        put(documents, prefix, f"{number}", number)
    kept = documents.metadata(prefix)
    assert kept is not None and kept["max_versions"] == 2 and sorted(kept["versions"]) == ["3", "4"]


def test_many_are_read_at_once_in_order(documents: Documents, prefix: str) -> None:
    for number in range(20):
        put(documents, f"{prefix}/{number}", f"{number}", 0)
    found = documents.each(lambda number: documents.read(f"{prefix}/{number}").content, range(20))
    assert found == [{"id": f"{number}"} for number in range(20)]


@pytest.mark.parametrize(("text", "seconds"), [
    ("2026-11-29T07:40:11.598330418Z", 1795938011.598330418), ("2026-11-29T07:40:11Z", 1795938011.0),
    ("2026-11-29T07:40:11.5+01:00", 1795934411.5), ("2026-11-29T07:40:11-01:00", 1795941611.0),
])
def test_the_servers_time(text: str, seconds: float) -> None:
    assert unix(text) == pytest.approx(seconds, abs=1e-6)


# --- answers that are lost ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("fault", HAPPENED + NOT_HAPPENED)
def test_a_write_happens_once_whatever_becomes_of_its_answer(
        dev: Dev, proxy: Proxy, prefix: str, fault: Fault) -> None:
    documents = dev.documents(proxy.url)
    put(documents, prefix, "before", 0)
    proxy.script(fault, fault, method="POST")
    assert put(documents, prefix, "mine", 1) == 2
    direct = dev.documents()
    assert direct.read(prefix).content == {"id": "mine"}
    kept = direct.metadata(prefix)
    assert kept is not None and kept["current_version"] == 2
    writes = [path for method, path in proxy.seen if method == "POST" and "/data/" in path]
    assert len(writes) == (2 if fault in HAPPENED else 4), "what happened is not sent again, what did not is"


@pytest.mark.parametrize("fault", HAPPENED)
def test_a_lost_write_that_another_followed_is_a_conflict(
        dev: Dev, proxy: Proxy, prefix: str, fault: Fault) -> None:
    """Our id is in no document any more: decided anew by whoever reads it (the records keep the last eight ids)."""
    documents, direct = dev.documents(proxy.url), dev.documents()

    def decide(method: str, path: str) -> Fault:
        if method == "GET" and direct.read(prefix).version == 1:
            put(direct, prefix, "another", 1)
        return fault if method == "POST" else Fault.NONE

    proxy.decide = decide
    with pytest.raises(Conflict) as caught:
        put(documents, prefix, "mine", 0)
    assert caught.value.found.content == {"id": "another"}


@pytest.mark.parametrize("fault", HAPPENED + NOT_HAPPENED)
def test_reads_and_lists_are_repeated(dev: Dev, proxy: Proxy, prefix: str, fault: Fault) -> None:
    documents = dev.documents(proxy.url)
    put(documents, f"{prefix}/a", "one", 0)
    proxy.script(fault, fault)
    assert documents.read(f"{prefix}/a").content == {"id": "one"}
    proxy.script(fault, fault)
    assert documents.names(prefix) == ["a"]


@pytest.mark.parametrize("fault", HAPPENED + NOT_HAPPENED)
def test_what_does_no_harm_twice_is_repeated(dev: Dev, proxy: Proxy, prefix: str, fault: Fault) -> None:
    documents = dev.documents(proxy.url)
    for work in (lambda: documents.keep(prefix, 3), lambda: put(documents, prefix, "one", 0),
                 lambda: documents.hide(prefix), lambda: documents.destroy(prefix, [1]),
                 lambda: documents.forget(prefix)):
        proxy.script(fault, fault)
        work()
    assert dev.documents().metadata(prefix) is None


@pytest.mark.parametrize("fault", HAPPENED + NOT_HAPPENED)
def test_patience_ends_with_a_line_that_says_what_may_have_happened(
        dev: Dev, proxy: Proxy, prefix: str, fault: Fault) -> None:
    counted = Counted()
    documents = dev.documents(proxy.url, counted.patience())
    documents.read(prefix)
    proxy.decide = lambda method, path: fault
    with pytest.raises(StoreError) as caught:
        documents.write(prefix, {"id": "x", "value": CANARY}, 0, mine("x"))
    assert 25.0 < counted.now <= 60.0 + 30.0
    assert CANARY not in f"{caught.value.message}{caught.value.hint}{caught.value.__context__!r}"
    if fault is Fault.SEALED:
        assert "sealed" in caught.value.message and "unseal" in caught.value.hint
    if fault is Fault.AWAY:
        assert "another node" in caught.value.message and "balancer" in caught.value.hint


def test_a_wrong_address_is_told_soon(dev: Dev, prefix: str) -> None:
    counted = Counted()
    documents = dev.documents(f"http://127.0.0.1:{free_port()}", counted.patience())
    with pytest.raises(StoreError, match=r"connection refused") as caught:
        documents.read(prefix)
    assert counted.now <= 5.0
    assert "is up and can be reached" in caught.value.hint


def test_another_node_is_asked_when_one_is_away(dev: Dev, prefix: str) -> None:
    gone = f"http://127.0.0.1:{free_port()}"
    connection = Connection([gone, dev.url], lambda: SecretValue(dev.token))
    documents = Documents(Transport(connection, Counted().patience()), "secret")
    assert put(documents, prefix, "one", 0) == 1
    assert documents.read(prefix).content == {"id": "one"}


def test_a_node_that_lags_behind_is_waited_for(dev: Dev, prefix: str) -> None:
    """An old state is played back for a while, as a standby that serves reads does."""
    counted, path = Counted(), f"records/{prefix}"
    documents = dev.documents(patience=counted.patience())
    put(documents, path, "one", 0)
    way = documents._way
    old, honest = way.read(f"secret/data/{path}"), way.read
    put(documents, path, "two", 1)
    left = [old] * 3
    way.read = lambda asked, *, listing=False: left.pop() if left else honest(asked, listing=listing)  # type: ignore[method-assign]
    assert documents.read(path).content == {"id": "two"}
    assert not left and counted.now > 0


def test_two_threads_never_both_write_a_version(dev: Dev, prefix: str) -> None:
    documents, won = dev.documents(), []

    def work(mark: str) -> None:
        for number in range(10):
            try:
                put(documents, prefix, f"{mark}{number}", number)
                won.append(number)
            except Conflict:
                pass

    threads = [threading.Thread(target=work, args=(mark,)) for mark in "ab"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    kept = documents.metadata(prefix)
    assert sorted(won) == list(range(kept["current_version"] if kept else -1)) and won


# --- what is refused -----------------------------------------------------------------------------------------------


def other(dev: Dev, policy: str, name: str) -> str:
    """A token under that policy."""
    way = dev.transport()
    way.repeat("PUT", f"sys/policies/acl/{name}", {"policy": policy})
    made = way.write("POST", "auth/token/create", {"policies": [name]}, way.until())
    return str(made.data["auth"]["client_token"])


def test_a_policy_that_does_not_allow_it_is_named(dev: Dev, prefix: str) -> None:
    token = other(dev, f'path "secret/data/{prefix}/a" {{ capabilities = ["read"] }}', prefix)
    documents = Documents(Transport(Connection([dev.url], lambda: SecretValue(token)), Counted().patience()), "secret")
    documents.read(f"{prefix}/a")
    for work, capability, path in (
        (lambda: put(documents, f"{prefix}/a", "x", 0), "create, update", f"secret/data/{prefix}/a"),
        (lambda: documents.read(f"{prefix}/b"), "read", f"secret/data/{prefix}/b"),
        (lambda: documents.names(prefix), "list", f"secret/metadata/{prefix}"),
        (lambda: documents.forget(f"{prefix}/a"), "delete", f"secret/metadata/{prefix}/a"),
    ):
        with pytest.raises(StoreError) as caught:
            work()
        assert "permission denied" in caught.value.message and path in caught.value.message
        assert f"`{capability}`" in caught.value.hint and "clawsecrets vault policy" in caught.value.hint
        assert token not in f"{caught.value.message}{caught.value.hint}"


def test_a_token_that_has_ended_is_renewed_once(dev: Dev, prefix: str) -> None:
    tokens, asked = ["gone-1", dev.token], []

    def relogin(ended: SecretValue) -> bool:
        asked.append(ended.reveal_text())
        tokens.pop(0)
        return True

    connection = Connection([dev.url], lambda: SecretValue(tokens[0]), relogin)
    documents = Documents(Transport(connection, Counted().patience()), "secret")
    assert put(documents, prefix, "one", 0) == 1
    assert asked == ["gone-1"]


def test_a_token_that_cannot_be_renewed_is_told(dev: Dev, prefix: str) -> None:
    connection = Connection([dev.url], lambda: SecretValue(CANARY))
    documents = Documents(Transport(connection, Counted().patience()), "secret")
    with pytest.raises(StoreLocked, match="token") as caught:
        documents.read(prefix)
    assert CANARY not in repr((caught.value, caught.value.hint, connection))


def test_a_mount_that_is_not_there_and_one_of_version_1(dev: Dev, prefix: str) -> None:
    way = dev.transport()
    nowhere = Documents(way, f"none-{prefix}")
    with pytest.raises(StoreError, match="no secrets engine at that mount") as caught:
        nowhere.read("a")
    assert "kv-v2" in caught.value.hint
    way.repeat("POST", f"sys/mounts/one-{prefix}", {"type": "kv", "options": {"version": "1"}})
    first = Documents(way, f"one-{prefix}")
    with pytest.raises(StoreDamaged, match="another form"):
        put(first, "a", "one", 0)


def test_a_value_that_is_too_large_is_refused_not_repeated() -> None:
    for status, words in ((413, "request too large"), (500, "put failed due to value being too large")):
        reply = understood(status, {}, b'{"errors":["%s"]}' % words.encode())
        assert reply.said is Said.REFUSED


@pytest.mark.parametrize("content", [b"<html>", b"[1]", b'{"data": 5}', b'{"data": {"data": 5, "metadata": {}}}',
                                     b'{"data": {"data": {}, "metadata": {"version": "x"}}}', b"[" * 100000])
def test_an_answer_of_another_form_is_no_traceback(dev: Dev, content: bytes) -> None:
    counted = Counted()
    documents = dev.documents(patience=counted.patience())

    def sent(*given: object, **named: object) -> object:
        return understood(200, {}, content)

    documents._way._wire.send = sent  # type: ignore[method-assign, assignment]
    with pytest.raises(StoreError) as caught:
        documents.read("a")
    assert "html" not in caught.value.message


def test_nothing_of_an_exchange_is_shown(dev: Dev, prefix: str) -> None:
    documents = dev.documents()
    document = documents.write(prefix, {"id": "x", "value": CANARY}, 0, mine("x"))
    reply = documents._way.read(f"secret/data/{prefix}")
    assert CANARY in str(reply.data)
    assert CANARY not in repr((document, reply, Conflict(document), dev.connection()))
    assert dev.token not in repr(dev.connection())


def test_patience_is_what_was_asked_for() -> None:
    assert (Patience().reads, Patience().writes) == (30.0, 60.0)


def test_mine_is_asked_only_with_content(dev: Dev, proxy: Proxy, prefix: str) -> None:
    documents, asked = dev.documents(proxy.url), []

    def knows(content: Mapping[str, Any]) -> bool:
        asked.append(dict(content))
        return True

    proxy.script(Fault.CUT, method="POST")
    assert documents.write(prefix, {"id": "x"}, 0, knows).version == 1
    assert asked == []
