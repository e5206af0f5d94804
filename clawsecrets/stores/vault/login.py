"""Logs in to the cluster, and stays logged in: the token for the transport, another when it has ended, renewed in time.

A token that we had made ends with the process (`close`); one that was given to us is left alone.
"""

from __future__ import annotations

import ssl
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from clawsecrets.errors import StoreError, StoreLocked, StoreUnreachable
from clawsecrets.model.secret import SecretValue
from clawsecrets.stores.files import require_private_file
from clawsecrets.stores.vault.methods import Exchange, Given, Method
from clawsecrets.stores.vault.reply import Reply, Said
from clawsecrets.stores.vault.transport import Connection, Patience, Wire

_PAUSE, _LONGEST = 0.1, 2.0
"""Seconds between two tries to log in."""


@dataclass(frozen=True, slots=True)
class Way:
    """How the cluster is reached; the fields of `transport.Connection`."""

    urls: Sequence[str]
    namespace: str = ""
    ca_file: str = ""
    client_cert: tuple[str, str] | None = None

    def require(self) -> None:
        """StoreLocked, StoreError when a file of it cannot be used."""
        if self.ca_file:
            _usable(lambda: ssl.create_default_context(cafile=self.ca_file), self.ca_file, "authorities")
        if self.client_cert is not None:
            cert, key = self.client_cert
            _usable(lambda: ssl.create_default_context().load_cert_chain(cert, key, password=""), f"{cert}, {key}",
                    "a certificate and its key")
            require_private_file(Path(key))


def _usable(load: Callable[[], object], where: str, what: str) -> None:
    try:
        load()
        return
    except OSError as error:  # ssl.SSLError is one
        why = "it is not PEM, or they do not fit" if isinstance(error, ssl.SSLError) else error.strerror
    raise StoreError(f"{where} cannot be used as {what}: {why}", "give PEM files that this user may read")


@dataclass(slots=True)
class _Life:
    """What is known of the token's end. `ends` and `at` on this process's monotonic clock."""

    token: SecretValue = field(repr=False)
    at: float = 0.0
    ends: float = 0.0
    """0: it never ends, or that is not known yet."""
    renewable: bool = False
    looked: bool = False


class Login:
    """The token of one process. Thread-safe."""

    def __init__(self, method: Method, way: Way, patience: Patience | None = None) -> None:
        way.require()
        self._method, self._way = method, way
        self._patience = patience or Patience()
        self._wire = Wire(Connection(way.urls, self.token, namespace=way.namespace, ca_file=way.ca_file,
                                     client_cert=way.client_cert), 1)
        self._lock = threading.Lock()
        self._life: _Life | None = None

    @property
    def connection(self) -> Connection:
        """What the transport needs."""
        way = self._way
        return Connection(way.urls, self.token, self.relogin, self.keep, self.close, way.namespace, way.ca_file,
                          way.client_cert)

    def token(self) -> SecretValue:
        """The token to use now; the first call logs in. StoreLocked, StoreError."""
        life = self._life
        if life is not None:
            return life.token
        with self._lock:
            return (self._life or self._begin()).token

    def relogin(self, ended: SecretValue) -> bool:
        """Whether there is another token than that one, which has ended. StoreLocked, StoreError."""
        with self._lock:
            if self._life is not None and self._life.token != ended:
                return True  # another thread was here
            if isinstance(self._method, Given):
                fresh = self._method.read()
                if fresh == ended:
                    return False
                self._life = _Life(fresh)
                return True
            self._begin()
            return True

    def keep(self) -> str:
        """Renew the token when half of its life is over; cheap before that. What a person should know: one line, or
        nothing. A cluster that does not answer is tried again with the next call."""
        with self._lock:
            life = self._life
            if life is None:
                return ""
            if not life.looked:
                self._look(life)
            now = self._patience.clock()
            if not life.ends or now < life.at + (life.ends - life.at) / 2:
                return ""
            if life.renewable:
                reply = self._anywhere("POST", "auth/token/renew-self", {}, life.token)
                if reply.said in (Said.NOT_YET, Said.UNSURE) or self._gained(life, reply):
                    return ""
            return self._replace(life, now)

    @property
    def words(self) -> str:
        """As whom, for people."""
        return self._method.words

    def weaknesses(self) -> list[str]:
        """What is wrong with the token without being a fault. StoreLocked, StoreError."""
        reply = self._anywhere("GET", "auth/token/lookup-self", None, self.token())
        about = (reply.data.get("data") or {}) if reply.said is Said.DONE else {}
        found = []
        if "root" in (about.get("policies") or ()):
            found.append(f"{self.words} may do everything on the cluster (policy root): give it the one that "
                         "`clawsecrets vault policy` prints")
        if isinstance(self._method, Given) and about.get("ttl") and not about.get("renewable"):
            found.append(f"{self.words} ends in {float(about['ttl']) / 3600:.1f} h and cannot be renewed: a daemon "
                         "needs another one by then")
        return found

    def close(self) -> None:
        """End a token that we had made, and drop the connection."""
        with self._lock:
            if self._life is not None and isinstance(self._method, Exchange):
                self._anywhere("POST", "auth/token/revoke-self", {}, self._life.token)
            self._life = None
        self._wire.close()

    # --- parts, under the lock -----------------------------------------------------------------------------------

    def _begin(self) -> _Life:
        if isinstance(self._method, Given):
            self._life = _Life(self._method.read())
        else:
            self._life = self._exchanged(self._method)
        return self._life

    def _exchanged(self, method: Exchange) -> _Life:
        reply = self._ask(f"auth/{method.mount}/login", method.body(self._ask), None)
        auth = reply.data.get("auth") or {}
        token = auth.get("client_token")
        if reply.said is not Said.DONE or not isinstance(token, str) or not token:
            raise self._refused(method, reply)
        return _life_of(SecretValue(token), auth, self._patience.clock())

    def _refused(self, method: Exchange, reply: Reply) -> StoreError:
        where = self._way.urls[0]
        if reply.said in (Said.NOT_YET, Said.UNSURE):
            kind = StoreError if "sealed" in reply.why or "certificate" in reply.why else StoreUnreachable
            return kind(f"cannot log in at {where}: {reply.why}",
                              "unseal it, then run the command again" if "sealed" in reply.why else
                              "see that the cluster is up and can be reached from here, then run the command again")
        if reply.said is Said.ABSENT or "no secrets engine" in reply.why:
            return StoreLocked(f"there is no auth method at auth/{method.mount} of {where}",
                               "say where it is: [store.vault] auth_mount (and namespace) in the configuration")
        return StoreLocked(f"{where} refused {method.words}", _MEND[method.kind])

    def _ask(self, path: str, body: Mapping[str, str], token: SecretValue | None) -> Reply:
        """POST, repeated while it did not happen (a login: also when it may have) and patience lasts."""
        end, pause, node = self._patience.clock() + self._patience.reads, _PAUSE, 0
        repeatable = not path.endswith("unwrap")
        while True:
            reply = self._wire.send("POST", path, body, token, node=node % len(self._way.urls))
            again = reply.said is Said.NOT_YET or (reply.said is Said.UNSURE and repeatable)
            sealed = "sealed" in reply.why or "certificate" in reply.why  # no patience mends that
            if not again or sealed or self._patience.clock() + pause > end:
                return reply
            node += 1
            self._patience.sleep(max(pause, reply.after))
            pause = min(2 * pause, _LONGEST)

    def _look(self, life: _Life) -> None:
        reply = self._anywhere("GET", "auth/token/lookup-self", None, life.token)
        if reply.said is Said.DONE:
            data = reply.data.get("data") or {}
            found = _life_of(life.token, {"lease_duration": data.get("ttl"), "renewable": data.get("renewable")},
                             self._patience.clock())
            life.at, life.ends, life.renewable, life.looked = found.at, found.ends, found.renewable, True

    def _anywhere(self, method: str, path: str, body: Mapping[str, str] | None, token: SecretValue) -> Reply:
        """Send to the first node that answers, once to each."""
        reply = Reply(Said.NOT_YET)
        for node in range(len(self._way.urls)):
            reply = self._wire.send(method, path, body, token, node=node)
            if reply.said not in (Said.NOT_YET, Said.UNSURE):
                break
        return reply

    def _gained(self, life: _Life, reply: Reply) -> bool:
        """Whether a renewal was of use: near the longest life that its role allows it gives less and less."""
        if reply.said is not Said.DONE:
            return False
        fresh = _life_of(life.token, reply.data.get("auth") or {}, self._patience.clock())
        if fresh.ends and fresh.ends - fresh.at <= (life.ends - life.at) / 2:
            return False
        self._life = fresh
        return True

    def _replace(self, life: _Life, now: float) -> str:
        """Another token instead of one that cannot be renewed any more."""
        if isinstance(self._method, Exchange):
            try:
                self._life = self._exchanged(self._method)
                return ""
            except StoreError as error:
                return f"the login at the store cannot be renewed: {error.message}"
        try:
            fresh = self._method.read()
        except StoreLocked as error:
            return error.message
        if fresh != life.token:
            self._life = _Life(fresh)
            return ""
        left = max(0.0, life.ends - now)
        return f"{self._method.words} ends in {left / 60:.0f} min and cannot be renewed: give another one"


def _life_of(token: SecretValue, auth: Mapping[str, Any], now: float) -> _Life:
    lasts = auth.get("lease_duration")
    seconds = float(lasts) if isinstance(lasts, int | float) and lasts > 0 else 0.0
    return _Life(token, now, now + seconds if seconds else 0.0, bool(auth.get("renewable")), True)


_MEND = {
    "approle": "check role_id and the secret-id (a used-up or expired one is replaced by a new one): `bao write -f "
               "auth/approle/role/ROLE/secret-id`",
    "kubernetes": "check that the role is bound to this pod's service account and namespace",
    "jwt": "check that the role accepts this token's issuer, audience and claims, and that it has not ended",
    "cert": "check that the certificate is one of the role's authority, and that [store.vault] names it",
}
