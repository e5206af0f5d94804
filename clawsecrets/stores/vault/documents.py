"""Documents of a KV v2 mount under check-and-set, and what to do when the answer to a write was lost.

A write carries the version that it builds on, so it happens once or not at all, however often it is sent. When its
answer is lost, the document is read again: it holds our content (`mine` knows it), so it happened; it still has the
version that we built on, so it is sent again (of the lost one and this one only one can get in); or another's is there.
A node that lags behind the others may show an old version: what was seen once is waited for.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeVar
from urllib.parse import quote

from clawsecrets.errors import StoreError
from clawsecrets.stores.vault.faults import damaged
from clawsecrets.stores.vault.layout import OURS
from clawsecrets.stores.vault.reply import Reply, Said
from clawsecrets.stores.vault.transport import POOL, Transport

LATE = (0.02, 0.1, 0.3, 1.0)
"""Seconds before another look at what should be there: a node that lags behind shows it late."""
ELECTION = 10.0
"""Seconds within which a cluster that lost its leader should have another (Raft's elections take one to three)."""
_BEHIND = Reply(Said.NOT_YET, "that node is behind the others")
_THREADS = "clawsecrets-vault"
_A = TypeVar("_A")
_B = TypeVar("_B")


@dataclass(frozen=True, slots=True)
class Document:
    """One document as it was read or written. It may hold a value: its content is not in its repr."""

    path: str
    """Below the mount."""
    version: int = 0
    """KV's number of its newest version; 0: there never was one."""
    content: Mapping[str, Any] | None = field(default=None, repr=False)
    """None: there is none, or its newest version was deleted."""
    created: float = 0.0
    """When that version was written, in Unix seconds of the cluster's clock."""
    ends: str = ""
    """When the server will delete it by itself (`delete_version_after`)."""


class Conflict(Exception):
    """Another version than the one that was built on is there. `found` is that one."""

    def __init__(self, found: Document) -> None:
        super().__init__(found.path)
        self.found = found


class Documents:
    """The documents below one mount. Thread-safe."""

    def __init__(self, transport: Transport, mount: str, lasting: Sequence[str] = ()) -> None:
        """`lasting`: beginnings of the paths of documents that are never forgotten, so that a version which was seen
        once can be waited for."""
        self.mount = mount
        self._way = transport
        self._lasting = tuple(lasting)
        self._seen: dict[str, int] = {}
        self._turn = threading.Lock()
        self._threads: ThreadPoolExecutor | None = None
        self._ends, self._clock = "", ""
        """When the server will delete what was written last by itself, and a document to ask that with."""

    def read(self, path: str) -> Document:
        """The newest version, also when there is none. StoreError."""
        pause, end = 0.02, self._way.patience.clock() + self._way.patience.reads
        while True:
            found = self._found(path, self._way.read(self._url("data", path)))
            if found.version >= self._seen.get(path, 0):
                return self._noted(found)
            self._way.wait(_BEHIND, pause, end, "it was only to be read")
            pause = min(2 * pause, 1.0)

    def write(self, path: str, content: Mapping[str, Any], cas: int, mine: Callable[[Mapping[str, Any]], bool]
              ) -> Document:
        """Write the version that follows `cas` (0: the first) and give it.

        Conflict when another is there; StoreError when it could not be done, or when that is not known.
        """
        self._require_lasting(path)
        end, pause = self._way.until(), 0.05
        body = {"options": {"cas": cas}, "data": content}
        while True:
            reply = self._way.write("POST", self._url("data", path), body, end)
            if reply.said is Said.DONE:
                written = self._written(path, content, reply)
                self._ends = written.ends if f"/{OURS}/" in path else self._ends
                return self._noted(written)
            if reply.said is Said.ABSENT:
                raise self._not_there(path)
            found = self.read(path)
            if found.content is not None and mine(found.content):
                return found
            if found.version != cas:
                raise Conflict(found)
            # still what we built on: the lost one may yet get in, but of the two only one
            self._way.wait(reply, pause, end, "the write may have happened: look with `clawsecrets status`")
            pause = min(2 * pause, 2.0)

    def names(self, folder: str) -> list[str]:
        """What stands in a folder, in order; names of folders end with a slash."""
        reply = self._way.read(self._url("metadata", folder), listing=True)
        if reply.said is Said.ABSENT:
            return []
        keys = _inner(reply).get("keys")
        if not isinstance(keys, list):
            raise damaged(f"the list of {self.mount}/{folder} has another form than expected")
        return sorted(str(key) for key in keys)

    def forget(self, path: str) -> None:
        """Destroy a document with all of its versions and metadata; it may be gone already."""
        self._way.repeat("DELETE", self._url("metadata", path), {})

    def hide(self, path: str) -> None:
        """Delete the newest version, so that readers find none; its number stays taken."""
        self._way.repeat("DELETE", self._url("data", path), {})

    def destroy(self, path: str, versions: Sequence[int]) -> None:
        """Destroy the content of some versions for ever."""
        if versions:
            self._way.repeat("POST", self._url("destroy", path), {"versions": list(versions)})

    def keep(self, path: str, versions: int) -> None:
        """Let the server keep at most that many versions of a document; made, empty, when there is none."""
        self._way.repeat("POST", self._url("metadata", path), {"max_versions": versions})

    def metadata(self, path: str) -> Mapping[str, Any] | None:
        """KV's own about a document: `current_version`, `max_versions`, `versions`…; None when there is none."""
        reply = self._way.read(self._url("metadata", path))
        return None if reply.said is Said.ABSENT else _inner(reply)

    def version_2(self) -> bool:
        """Whether the mount is KV version 2, as far as one may ask."""
        try:
            return self._way.read(f"{quote(self.mount)}/config").said is Said.DONE
        except StoreError:
            return True  # the policy does not let us ask, or what is wrong is said by what comes next

    def catch_up(self, path: str) -> None:
        """From here on read what the cluster holds now, at least, through any node. `path`: a document to write. A node
        that cannot write now, as one that just started and knows no leader, is left for another; where none can for
        ELECTION seconds, what there is may be read all the same."""
        url, self._clock = self._url("data", path), path
        data: dict[str, list[str]] = {"writes": []}
        end, pause = self._way.patience.clock() + min(ELECTION, self._way.patience.reads), 0.02
        while True:
            reply = self._way.touch(url, {"options": {}, "data": data})
            if reply.said is Said.REFUSED:  # where the mount demands it
                reply = self._way.touch(url, {"options": {"cas": self.read(path).version}, "data": data})
            if reply.said not in (Said.NOT_YET, Said.UNSURE):
                break
            try:
                self._way.wait(reply, pause, end, "no secret is in this write")
            except StoreError:
                break
            pause = min(2 * pause, 1.0)
        if reply.said is Said.DONE:
            self._ends = str(_inner(reply).get("deletion_time") or "")

    def witness(self, path: str) -> None:
        """Until the node that is asked shows a write that was made from here, just now: what it then does not have, the
        cluster did not have either when this was called. A node that lags behind, or that takes itself for the leader
        and is none, is left for another. `path`: a document to write. StoreError, also where that is not allowed."""
        url, end, pause = self._url("data", path), self._way.until(), 0.02
        cas = self._found(path, self._way.read(url)).version  # what a node has in its memory it must learn anew
        while True:
            reply = self._way.write("POST", url, {"options": {"cas": cas}, "data": {"writes": []}}, end)
            if reply.said is Said.ABSENT:
                raise self._not_there(path)
            seen = self._found(path, self._way.read(url)).version
            if reply.said is Said.DONE and seen > cas:
                return
            if reply.said is not Said.CONFLICT or seen <= cas:  # else another wrote, and this node knows it
                self._way.wait(reply if reply.said is Said.UNSURE else _BEHIND, pause, end,
                               "no secret is in this write")
                pause = min(2 * pause, 1.0)
                seen = self._found(path, self._way.read(url)).version
            cas = seen

    def pause(self, seconds: float) -> None:
        """Before another look at what may come late."""
        self._way.patience.sleep(seconds)

    def beside(self, mount: str) -> Documents:
        """The documents of another mount, by the same way."""
        return Documents(self._way, mount)

    def each(self, work: Callable[[_A], _B], items: Iterable[_A]) -> list[_B]:
        """`work` of every item, several at once, in order."""
        items = list(items)
        if len(items) < 2 or threading.current_thread().name.startswith(_THREADS):  # a pool must not wait for itself
            return [work(item) for item in items]
        with self._turn:
            if self._threads is None:
                self._threads = ThreadPoolExecutor(POOL, _THREADS)
        return list(self._threads.map(work, items))

    def keep_login(self) -> str:
        """Renew the login in good time (store_ports.KeepsLogin)."""
        return self._way.connection.keep()

    def close(self) -> None:
        """Stop the threads and drop the connections."""
        if self._threads is not None:
            self._threads.shutdown(cancel_futures=True)
        self._way.close()

    # --- parts ---------------------------------------------------------------------------------------------------

    def _url(self, kind: str, path: str) -> str:
        return f"{quote(self.mount)}/{kind}/{quote(path, safe='/~')}"

    def _require_lasting(self, path: str) -> None:
        """StoreError where the server would delete by itself what we keep there. No document's own setting can end
        that, so nothing is written; what is there can be read."""
        if self._ends and f"/{OURS}/" in path:
            self.catch_up(self._clock)  # perhaps it was mended
            if self._ends:
                raise StoreError(f"nothing was written: {self.mount} deletes what is written there by itself "
                                 f"(delete_version_after); this would go at {self._ends}",
                                 f"`bao write {self.mount}/config delete_version_after=0s`, or another mount for the "
                                 "store; then: clawsecrets store check")

    def _noted(self, document: Document) -> Document:
        if document.path.startswith(self._lasting):
            with self._turn:
                self._seen[document.path] = max(document.version, self._seen.get(document.path, 0))
        return document

    def _found(self, path: str, reply: Reply) -> Document:
        data = _inner(reply)
        meta = data.get("metadata")
        if not meta and reply.said is Said.ABSENT:
            return Document(path)
        content = data.get("data")
        if not isinstance(meta, dict) or (reply.said is Said.DONE and not isinstance(content, dict)):
            raise damaged(f"{self.mount}/{path} has another form than a document of KV version 2")
        return _document(path, meta, content if reply.said is Said.DONE else None)

    def _written(self, path: str, content: Mapping[str, Any], reply: Reply) -> Document:
        return _document(path, _inner(reply), content)

    def _not_there(self, path: str) -> StoreError:
        return StoreError(f"cannot write {self.mount}/{path}: there is no KV version 2 secrets engine at that mount",
                          f"make it: `bao secrets enable -path={self.mount} kv-v2`")


def _inner(reply: Reply) -> Mapping[str, Any]:
    data = reply.data.get("data")
    return data if isinstance(data, dict) else {}


def _document(path: str, meta: Mapping[str, Any], content: Mapping[str, Any] | None) -> Document:
    try:
        return Document(path, int(meta["version"]), content, unix(str(meta["created_time"])),
                        str(meta.get("deletion_time") or ""))
    except (KeyError, ValueError, TypeError):
        pass
    raise damaged(f"the metadata of {path} has another form than KV version 2's")


def unix(text: str) -> float:
    """Unix seconds of the server's RFC 3339 time, which has nanoseconds. ValueError."""
    whole, _, rest = text.partition(".")
    digits = rest.rstrip("Z") if rest.endswith("Z") else rest[: max(rest.find("+"), rest.find("-"))]
    zone = "" if not rest else rest[len(digits) :]
    moment = datetime.fromisoformat(f"{whole}{zone}".replace("Z", "+00:00"))
    if moment.tzinfo is None:
        raise ValueError("a time without a zone")
    return moment.timestamp() + (float(f"0.{digits}") if digits else 0.0)
