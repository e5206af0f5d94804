"""The anchor: a small file outside of the database that remembers the newest generation.

A database that is older than its anchor was rolled back. The anchor is written (not yet published) before a commit
and takes its name after it, so a commit that cannot be anchored does not happen, and a crash between the two leaves
an anchor that is merely behind, which the next opening mends. Only the file's folder keeps it: who can rewrite
database and anchor together can put both back unseen (docs/store-format.md, "What is not detected").
"""

from __future__ import annotations

import fcntl
import itertools
import json
import os
import re
import shlex
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from clawsecrets.errors import StoreDamaged, StoreError, StoreOlder
from clawsecrets.stores.codec import canonical
from clawsecrets.stores.faults import folder_too_open, io_failed
from clawsecrets.stores.files import SMALL, make_folders, read_small, sync_folder, write_draft
from clawsecrets.stores.seal import mac, same

PATIENCE = 2.0
"""Seconds to wait for another process that is publishing."""
_ACCEPT = "if you put that file there yourself, say so with --accept-older; else restore a backup"
_SIZE = 512
"""Bytes that an anchor has at most."""
_count = itertools.count(1)


@dataclass(frozen=True, slots=True)
class Seen:
    """What the anchor remembers."""

    store: str
    generation: int
    digest: str
    """SHA-256 of the sealed manifest of that generation."""
    since: int
    """The generation at which this anchor was made: 1 with the store, later when it was lost and made again."""


class Anchor:
    """The anchor file of one store on this machine."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def content(self) -> bytes | None:
        """What the file holds, or None when there is none. To be read before the database, which is never behind.

        StoreError when it cannot be read or is no regular file.
        """
        failed: OSError | None = None
        try:
            return read_small(self.path)[0]
        except FileNotFoundError:
            return None
        except OSError as error:
            failed = error
        raise io_failed("read the store's anchor", self.path, failed)

    def understood(self, content: bytes | None, key: bytes, store: str) -> Seen | None:
        """What that content remembers. StoreDamaged when it was altered or is another store's."""
        if content is None:
            return None
        seen = _parse(content, key)
        if seen is None:
            other = _store_of(content)
            if other and other != store:
                raise StoreDamaged(f"the anchor {self.path} is of another store ({other[:8]}, not {store[:8]})",
                                   "give each store an anchor of its own; replaced on purpose: --accept-older")
            raise StoreDamaged(f"the store's anchor {self.path} was altered", _ACCEPT)
        return seen

    def judge(self, seen: Seen | None, generation: int, digest: str) -> None:
        """StoreOlder or StoreDamaged when a database at that generation contradicts what was seen."""
        if seen is None:
            return
        if generation < seen.generation:
            raise StoreOlder(f"the store is at generation {generation}, but {seen.generation} was seen before: "
                             "an older file was put in its place", _ACCEPT)
        if generation == seen.generation and digest != seen.digest:
            raise StoreDamaged(f"the store is not the one that was seen at generation {generation}", _ACCEPT)

    def stage(self, key: bytes, seen: Seen) -> Path:
        """Write it durably under a draft name. StoreError when it cannot be written: then do not commit."""
        return self._drafted(_encode(seen, key))

    def try_out(self) -> None:
        """Write as much as an anchor is beside it, and take it away again. StoreError when that cannot be done."""
        self.discard(self._drafted(b"x" * _SIZE))

    def _drafted(self, content: bytes) -> Path:
        draft = self.path.with_name(f".{self.path.name}.{os.getpid()}.{next(_count)}.new")
        failed: OSError | None = None
        try:
            make_folders(self.path.parent)
            mode = self.path.parent.stat().st_mode
            if mode & 0o022:
                raise folder_too_open(self.path.parent, mode, f"chmod go-w {shlex.quote(str(self.path.parent))}")
            self._sweep()
            write_draft(draft, content)
        except OSError as error:
            failed = error
        if failed is not None:
            self.discard(draft)
            raise io_failed("write the store's anchor", self.path, failed)
        return draft

    def publish(self, draft: Path, key: bytes, seen: Seen, *, force: bool = False) -> bool:
        """Give the draft its name unless a newer one has it. False: the anchor stays behind, the next mends it."""
        try:
            with self._alone():
                newest = None if force else self._peek(key, seen.store)
                if newest is None or newest.generation < seen.generation:
                    draft.replace(self.path)
                    sync_folder(self.path.parent)
            return True
        except (OSError, StoreError):
            return False
        finally:
            self.discard(draft)

    def discard(self, draft: Path) -> None:
        """Throw a draft away: its commit did not happen."""
        with suppress(OSError):
            draft.unlink(missing_ok=True)

    def _peek(self, key: bytes, store: str) -> Seen | None:
        try:
            return self.understood(self.content(), key, store)
        except StoreError:
            return None  # what was wrong with it was said when the store was opened, and accepted

    @contextmanager
    def _alone(self) -> Iterator[None]:
        lock = os.open(self.path.with_name(self.path.name + ".lock"), os.O_RDWR | os.O_CREAT, 0o600)
        try:
            end = time.monotonic() + PATIENCE
            while True:
                with suppress(BlockingIOError):
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                if time.monotonic() > end:
                    raise TimeoutError
                time.sleep(0.005)
            yield
        finally:
            os.close(lock)

    def _sweep(self) -> None:
        """Remove drafts of processes that were killed."""
        for old in self.path.parent.glob(f".{self.path.name}.*.new"):
            found = re.search(r"\.(\d+)\.\d+\.new\Z", old.name)
            if found and not Path("/proc", found[1]).exists() and int(found[1]) != os.getpid():
                old.unlink(missing_ok=True)


def _store_of(content: bytes) -> str:
    """The store that an anchor says it is of, believed only for the words of an error."""
    try:
        return str(json.loads(content)["store"])
    except (ValueError, KeyError, TypeError, RecursionError):
        return ""


def _encode(seen: Seen, key: bytes) -> bytes:
    content = {"format": 1, **asdict(seen)}
    return canonical({**content, "mac": mac(key, canonical(content)).hex()}) + b"\n"


def _parse(content: bytes, key: bytes) -> Seen | None:
    if len(content) > SMALL:
        return None
    try:
        plain = json.loads(content)
        given = bytes.fromhex(plain.pop("mac"))
        if not same(given, mac(key, canonical(plain))) or plain.pop("format") != 1:
            return None
        return Seen(**{f.name: plain[f.name] for f in fields(Seen)})
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None
