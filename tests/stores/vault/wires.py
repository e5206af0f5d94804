"""Ways to the server that die, wait or watch at a chosen request."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import Any

from clawsecrets.model.secret import SecretValue
from clawsecrets.stores.vault.reply import Reply, Said
from clawsecrets.stores.vault.transport import Connection, Wire
from tests.waiting import LONG


class Killed(BaseException):
    """The process is dead: nothing in the package may catch this."""


class Dying(Wire):
    """Dies after its n-th write since `arm` (1 is the first), whose answer is lost. That is every state in which the
    server can be left: reads change nothing, and to die before a write is to die after the one before."""

    def __init__(self, connection: Connection) -> None:
        super().__init__(connection)
        self.count, self._at, self._turn = 0, 0, threading.Lock()
        self._where = ""

    def arm(self, number: int, where: str = "") -> None:
        """`where`: only writes count whose path holds that."""
        self.count, self._at, self._where = 0, number, where

    @property
    def dead(self) -> bool:
        return 0 < self._at <= self.count

    def send(self, method: str, path: str, body: Mapping[str, Any] | None = None, token: SecretValue | None = None,
             headers: Mapping[str, str] | None = None, node: int = 0) -> Reply:
        with self._turn:
            if self.dead:
                raise Killed
            self.count += method not in ("GET", "LIST") and self._where in path
            fatal = self.dead
        reply = super().send(method, path, body, token, headers, node)
        if fatal:
            raise Killed
        return reply


class Waiting(Wire):
    """Waits before the first request that `which` chooses, until it is let go."""

    def __init__(self, connection: Connection, which: Callable[[str, str], bool]) -> None:
        super().__init__(connection)
        self.which, self.reached, self.go = which, threading.Event(), threading.Event()

    def send(self, method: str, path: str, body: Mapping[str, Any] | None = None, token: SecretValue | None = None,
             headers: Mapping[str, str] | None = None, node: int = 0) -> Reply:
        if not self.reached.is_set() and self.which(method, path):
            self.reached.set()
            assert self.go.wait(LONG)
        return super().send(method, path, body, token, headers, node)


class Refusing(Wire):
    """Refuses writes to a path from the n-th on (0: none), as a policy would; nothing of them arrives."""

    def __init__(self, connection: Connection, where: str) -> None:
        super().__init__(connection)
        self.where, self.from_number, self._count = where, 0, 0

    def send(self, method: str, path: str, body: Mapping[str, Any] | None = None, token: SecretValue | None = None,
             headers: Mapping[str, str] | None = None, node: int = 0) -> Reply:
        if self.from_number and method not in ("GET", "LIST") and self.where in path:
            self._count += 1
            if self._count >= self.from_number:
                return Reply(Said.DENIED, "permission denied")
        return super().send(method, path, body, token, headers, node)


class Behind(Wire):
    """Some nodes show nothing at all, as standbys that lag behind do: each for so many reads of the store's clock.
    Writes are forwarded to the leader; where `deposed`, such a node takes itself for the leader and refuses them."""

    def __init__(self, connection: Connection, lag: Mapping[int, float], *, deposed: bool = False) -> None:
        """`lag`: node -> reads of the clock until it has caught up (`math.inf`: it never does)."""
        super().__init__(connection)
        self._left, self._deposed = dict(lag), deposed
        self.stale = 0
        """Reads that were answered with an old state."""
        self.hidden = ""
        """The end of a path that is not shown to whoever brings no newer state of the cluster: until the next write."""

    def send(self, method: str, path: str, body: Mapping[str, Any] | None = None, token: SecretValue | None = None,
             headers: Mapping[str, str] | None = None, node: int = 0) -> Reply:
        if method not in ("GET", "LIST"):
            self.hidden = ""
        elif self.hidden and path.endswith(self.hidden):
            self.stale += 1
            return Reply(Said.ABSENT, "there is nothing there")
        if self._left.get(node, 0) > 0:
            if method in ("GET", "LIST"):
                self._left[node] -= path.endswith("/clock")
                self.stale += 1
                return Reply(Said.ABSENT, "there is nothing there")
            if self._deposed:
                return Reply(Said.NOT_YET, "it sends to another node, which is not followed")
        return super().send(method, path, body, token, headers, node)


class Leaderless(Wire):
    """Its first node started a moment ago: it knows no leader, and shows all but one document, which is newer than what
    it has. With `alone`, the other nodes are like it."""

    def __init__(self, connection: Connection, hidden: str, *, alone: bool = False) -> None:
        super().__init__(connection)
        self.hidden, self.alone = hidden, alone

    def send(self, method: str, path: str, body: Mapping[str, Any] | None = None, token: SecretValue | None = None,
             headers: Mapping[str, str] | None = None, node: int = 0) -> Reply:
        if node == 0 or self.alone:
            if method not in ("GET", "LIST"):
                return Reply(Said.NOT_YET, "it has no leader now")
            if path.endswith(self.hidden):
                return Reply(Said.ABSENT, "there is nothing there")
        return super().send(method, path, body, token, headers, node)
