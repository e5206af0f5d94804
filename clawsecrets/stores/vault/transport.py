"""The way to the cluster: one exchange at a time over hvac, the token, other nodes, and patience where that is safe.

`Wire` sends once. `Transport` repeats reads, and writes that did not happen, for as long as its patience lasts; a write
that may have happened is given back as that (documents.py settles it). No exception of a library gets out, and no
message holds a body, a header, or what the server wrote.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import hvac.adapters

from clawsecrets.clients import kept
from clawsecrets.errors import StoreError, StoreLocked, StoreUnreachable
from clawsecrets.model.secret import SecretValue
from clawsecrets.stores.vault.faults import NotForUs
from clawsecrets.stores.vault.reply import Reply, Said, understood

POOL = 16
"""Threads that read at once, and kept connections."""
_CONNECT, _SILENCE = 4.0, 15.0
"""Seconds until a connection stands, and without a byte."""
_FIRST = 5.0
"""Seconds of patience while nothing has ever answered: a wrong address is told soon."""
_PAUSE, _LONGEST = 0.05, 2.0
"""Seconds before the first repetition, doubled up to the longest."""
_jitter = random.SystemRandom()


def _no_login(ended: SecretValue) -> bool:
    return False


def _nothing() -> None:
    return None


@dataclass(frozen=True, slots=True)
class Connection:
    """How the cluster is reached, and as whom. Whoever logs in makes it."""

    urls: Sequence[str]
    """`https://host:8200` of its nodes, or of a balancer; another one is asked when one does not answer."""
    token: Callable[[], SecretValue] = field(repr=False)
    """The token to use now. Called for every request, from several threads: cheap. StoreError: there is none."""
    relogin: Callable[[SecretValue], bool] = field(default=_no_login, repr=False)
    """Called with a token that has ended: True when `token` gives another one now (perhaps another thread had it
    renewed already). StoreError says why there is none."""
    keep: Callable[[], str] = field(default=str, repr=False)
    """Renews the token in good time, and says in words where it cannot. Called often: cheap."""
    close: Callable[[], None] = field(default=_nothing, repr=False)
    """Called when the connection is used no more."""
    namespace: str = ""
    ca_file: str = ""
    """A PEM file to verify the server against; empty: the usual authorities."""
    client_cert: tuple[str, str] | None = None
    """The PEM files of a certificate and its key."""


@dataclass(frozen=True, slots=True)
class Patience:
    """Seconds for which a cluster that does not answer is asked again; tests need none of them."""

    reads: float = 30.0
    writes: float = 60.0
    sleep: Callable[[float], None] = time.sleep
    clock: Callable[[], float] = time.monotonic


class Wire:
    """One exchange with a node of the cluster; nothing is repeated. Logins are sent over it, too."""

    def __init__(self, connection: Connection, pool: int = POOL) -> None:
        self.nodes = tuple(connection.urls)
        self._session = kept.session(self.nodes[0], pool, connection.ca_file, connection.client_cert)
        self._adapters = [
            hvac.adapters.RawAdapter(
                base_uri=url, session=self._session, namespace=connection.namespace or None,
                timeout=(_CONNECT, _SILENCE), allow_redirects=False, ignore_exceptions=True, strict_http=True,
                verify=self._session.verify, cert=connection.client_cert, proxies=self._session.proxies)
            for url in self.nodes
        ]

    def send(self, method: str, path: str, body: Mapping[str, Any] | None = None, token: SecretValue | None = None,
             headers: Mapping[str, str] | None = None, node: int = 0) -> Reply:
        """Send once to that node. `path` is without `/v1/`; `method` may be LIST."""
        sent = dict(headers or {})
        if token is not None:
            sent["X-Vault-Token"] = token.reveal_text()
        try:
            response = self._adapters[node].request(method, f"v1/{path}", headers=sent, json=body)
            return understood(response.status_code, response.headers, response.content)
        except kept.BROKEN as error:
            lost = kept.lost(error)
        return Reply(Said.UNSURE if lost.sent else Said.NOT_YET, lost.why)

    def close(self) -> None:
        """Drop the kept connections."""
        self._session.close()


class Transport:
    """Requests under the connection's token. Thread-safe."""

    def __init__(self, connection: Connection, patience: Patience | None = None, wire: Wire | None = None) -> None:
        self.connection, self.patience = connection, patience or Patience()
        self._wire = wire or Wire(connection)
        self._node = 0
        self._answered = False
        self._index = ""

    def read(self, path: str, *, listing: bool = False) -> Reply:
        """DONE or ABSENT. StoreError when it is denied, refused, or not answered in time."""
        method = "LIST" if listing else "GET"
        end = self._end(self.patience.reads)
        for pause in self._pauses():
            reply = self._once(method, path, None)
            if reply.said in (Said.DONE, Said.ABSENT):
                return reply
            if reply.said not in (Said.NOT_YET, Said.UNSURE):
                raise self._no(reply, "read" if method == "GET" else "list", path)
            self.wait(reply, pause, end, "it was only to be read")
        raise AssertionError("pauses never end")

    def write(self, method: str, path: str, body: Mapping[str, Any], end: float) -> Reply:
        """DONE, CONFLICT, ABSENT or UNSURE; what did not happen is repeated until `end` (see `until`). StoreError."""
        for pause in self._pauses():
            reply = self._once(method, path, body)
            if reply.said in (Said.DONE, Said.CONFLICT, Said.ABSENT, Said.UNSURE):
                return reply
            if reply.said is not Said.NOT_YET:
                raise self._no(reply, "delete" if method == "DELETE" else "write", path)
            self.wait(reply, pause, end, "this was not written")
        raise AssertionError("pauses never end")

    def repeat(self, method: str, path: str, body: Mapping[str, Any]) -> Reply:
        """A write that may happen twice without harm: DONE or ABSENT. StoreError."""
        end = self.until()
        for pause in self._pauses():
            reply = self.write(method, path, body, end)
            if reply.said in (Said.DONE, Said.ABSENT):
                return reply
            if reply.said is Said.CONFLICT:
                raise self._no(reply, "write", path)
            self.wait(reply, pause, end, "it may have happened; done again, it does no harm")
        raise AssertionError("pauses never end")

    def touch(self, path: str, body: Mapping[str, Any]) -> Reply:
        """A write that only asks how far the cluster is: reads that follow show at least that, also through a node that
        stands by and lags behind. Where it is not possible (a policy that only reads), they may show less."""
        return self._sent("POST", path, body, self.connection.token())

    def until(self) -> float:
        """When patience with a write that begins now ends."""
        return self._end(self.patience.writes)

    def wait(self, reply: Reply, pause: float, end: float, left: str) -> None:
        """Before the next try. StoreError when patience has ended; `left` says what became of this one
        request: of what was done before it, nothing is known here."""
        pause = max(pause, reply.after)
        if self.patience.clock() + pause > end:
            where = self._wire.nodes[self._node]
            kind = StoreError if "sealed" in reply.why or "certificate" in reply.why else StoreUnreachable
            raise kind(f"the store at {where} could not be used: {reply.why} ({left})", _hint(reply.why))
        self._node = (self._node + 1) % len(self._wire.nodes)
        self.patience.sleep(pause)

    def close(self) -> None:
        """Drop the kept connections, and end the login."""
        self._wire.close()
        self.connection.close()

    # --- parts ---------------------------------------------------------------------------------------------------

    def _end(self, seconds: float) -> float:
        return self.patience.clock() + (seconds if self._answered else min(seconds, _FIRST))

    def _pauses(self) -> Iterator[float]:
        pause = _PAUSE
        while True:
            yield pause * _jitter.uniform(0.5, 1.0)
            pause = min(2 * pause, _LONGEST)

    def _once(self, method: str, path: str, body: Mapping[str, Any] | None) -> Reply:
        """One exchange; where the token has ended, one more with another."""
        token = self.connection.token()
        reply = self._sent(method, path, body, token)
        if reply.said is Said.DENIED and self._ended(token) and self.connection.relogin(token):
            reply = self._sent(method, path, body, self.connection.token())
        return reply

    def _sent(self, method: str, path: str, body: Mapping[str, Any] | None, token: SecretValue) -> Reply:
        headers = {"X-Vault-Index": self._index, "X-Vault-Inconsistent": "forward-active-node"} if self._index else {}
        reply = self._wire.send(method, path, body, token, headers, self._node)
        if reply.said not in (Said.NOT_YET, Said.UNSURE):
            self._answered = True
        if reply.index:
            self._index = reply.index
        return reply

    def _ended(self, token: SecretValue) -> bool:
        """Whether it is the token that is refused, not what it asks for (every token may look itself up)."""
        return self._sent("GET", "auth/token/lookup-self", None, token).said is Said.DENIED

    def _no(self, reply: Reply, doing: str, path: str) -> StoreError:
        where = self._wire.nodes[self._node]
        if reply.said is not Said.DENIED:
            return StoreError(f"cannot {doing} {path} at {where}: {reply.why}", _hint(reply.why))
        if self._ended(self.connection.token()):
            return StoreLocked(f"the token for the store at {where} is not accepted: it has ended, or is another's",
                               "log in again (`clawsecrets doctor` says how this store does)")
        return NotForUs(f"cannot {doing} {path} at {where}: permission denied by the token's policy",
                          f"let the policy allow `{_CAPABILITY[doing]}` on {path}; "
                          "`clawsecrets vault policy` prints all that is needed")


_CAPABILITY = {"read": "read", "list": "list", "write": "create, update", "delete": "delete"}

_HINTS = (
    ("sealed", "unseal it (`bao operator unseal`, `vault operator unseal`), then run the command again"),
    ("certificate", "give the authority that signed the server's certificate: VAULT_CACERT, or ca_cert under "
                    "[store.vault]"),
    ("sends to another node", "give the address of the leader or of a balancer, or let the nodes forward requests"),
    ("no secrets engine", "make it: `bao secrets enable -path=MOUNT kv-v2`"),
    ("no KV version 2", "make it: `bao secrets enable -path=MOUNT kv-v2`"),
    ("too large", "a value has at most 512 KiB"),
    ("not initialized", "set it up first: `bao operator init`"),
)


def _hint(why: str) -> str:
    return next((hint for phrase, hint in _HINTS if phrase in why),
                "see that the cluster is up and can be reached from here, then run the command again")
