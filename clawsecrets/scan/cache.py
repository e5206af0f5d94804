"""What an earlier scan found clean under the same rules, so that it need not be looked at again; and where the rest
came from.

One file a rule set (`scan-HASH.cache` in the cache folder, 0600): a line with the format, a seal (cachekey.py; it hides
nothing), and one JSON object. It holds only what was read completely:

    repositories   each a git database as a complete scan left it: its packs by their checksums with a bitmap of the
                   clean objects in the order of the index, and the loose objects' ids with such a bitmap; and of
                   objects with findings the first commit that brought each, its path there (unless a value stands in
                   it), and which tips and latest commits reach those commits (sources/git/memory.py); of blobs
                   with secrets which rules found them, on which lines, in which columns, and of how many bytes; and
                   the findings of the last report, as it told them (scan/recalled.py), with what they depend on
    layers         digests of image layers that were clean
    images         by the identity of an image (all that its layers and documents hash to): the findings that were told

So its reader learns which objects had findings, where they stand in them and where those came from, and what the
report says, masks and fingerprints, but no value: a scan takes them out of the objects. Of content that was skipped,
or that an interrupted scan read, nothing is kept. A file that is damaged, forged, another version's or another key's
is as good as none. Objects are believed only where *all* of their repository is still there: what was complete then is
complete now.
"""

from __future__ import annotations

import base64
import fcntl
import hashlib
import json
import os
import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

from clawsecrets.scan.cachekey import MAC, SIGNATURE, CacheKey
from clawsecrets.scan.kept import read_kept, unshared

FORMAT = b"clawsecrets scan cache 5\n"
LARGEST = 64 << 20
"""Bytes. A larger file is not read; entries are dropped, the oldest first, so that none is written."""
REPOSITORIES, LAYERS, IMAGES, FILES = 64, 20_000, 32, 6
"""How many are kept."""
PATIENCE = 10.0
"""Seconds that another writer is waited for."""
_LEFT = 3600.0
"""Seconds after which an unfinished file is nobody's."""
_NOT_FULL = re.compile(rb"[^\xff]")


class PackSeen(NamedTuple):
    """One pack of a repository."""

    checksum: bytes
    """The pack's own, as it stands at its end."""
    listing: bytes
    """The checksum at the end of its index."""
    total: int
    stamp: bytes
    """Of both files' place, size and times on the machine that read them."""
    clean: bytes
    """Bit k (the lowest of a byte first): object k of the index."""


class RepositorySeen(NamedTuple):
    """A git object database, completely read."""

    width: int
    """Bytes of an id."""
    packs: tuple[PackSeen, ...]
    loose: bytes
    """All loose ids, ascending, one after the other ..."""
    clean: bytes
    """... and which of them were clean."""
    used: int = 0
    """Unix seconds."""
    memory: Mapping[str, Any] | None = None
    """What its source wants to remember of where findings came from: ids and paths, no value."""
    spots: Mapping[str, Any] | None = None
    """Where the secrets stand in blobs that have some (scan/spots.py): rules, lines, columns and sizes, no value."""
    report: Mapping[str, Any] | None = None
    """The findings of the scan of this repository alone (wiring/recalling.py), no value."""


class Seen(NamedTuple):
    """What a cache holds."""

    repositories: Sequence[RepositorySeen] = ()
    layers: Mapping[str, int] = MappingProxyType({})
    """Digest -> when it was used last, Unix seconds."""
    images: Mapping[str, Mapping[str, Any]] = MappingProxyType({})
    """Identity -> what was told of it (wiring/recalling.py), and when it was: no value."""


def bitmap(count: int, unclean: Iterable[int]) -> bytes:
    """All of `count` bits, without those."""
    bits = bytearray(b"\xff" * (count // 8)) + (bytes(((1 << count % 8) - 1,)) if count % 8 else b"")
    for place in unclean:
        bits[place >> 3] &= ~(1 << (place & 7))
    return bytes(bits)


def unclean(bits: bytes, count: int) -> list[int]:
    """The places of the bits that are not set."""
    found = [place for match in _NOT_FULL.finditer(bits) for place in range(8 * match.start(), 8 * match.end())
             if place < count and not bits[place >> 3] >> (place & 7) & 1]
    return found + list(range(8 * len(bits), count))


def rules_name(ruleset_hash: str, *options: str) -> str:
    """The name of a rule set with the options that change what is found."""
    text = "\0".join((ruleset_hash, *options)).encode()
    return hashlib.blake2b(text, digest_size=16).hexdigest()


class Cache:
    """The cache of one rule set. Nothing is read before it is asked for."""

    def __init__(self, folder: Path, rules: str, key: CacheKey, say: Callable[[str], None]) -> None:
        """`rules`: what `rules_name` gives. `say`: hears why a cache is not used."""
        self._path, self._rules, self._key, self._say = folder / f"scan-{rules}.cache", rules, key, say
        self._seen: Seen | None = None
        self._was: tuple[int, ...] | None = None
        """What told the file that was read from another one."""

    @property
    def seen(self) -> Seen:
        """What was found clean; nothing when there is no cache that can be believed."""
        if self._seen is None:
            self._seen = self._read()
        return self._seen

    def keep(self, repositories: Iterable[RepositorySeen], layers: Iterable[str], now: float,
             images: Mapping[str, Mapping[str, Any]] = MappingProxyType({})) -> None:
        """Add what a scan has found clean to what stands there now. A cache that cannot be written costs time, and is
        no fault."""
        if not self._key.writes:
            return
        repositories, layers = list(repositories), list(layers)
        if not repositories and not layers and not images:
            return
        try:
            with self._locked():
                same = self._seen is not None and self._was is not None and self._was == self._is()
                whole = _merged(self.seen if same else self._read(), repositories, layers, images, int(now))
                self._write(self._body(whole))
                self._drop_others()
        except OSError as error:
            self._say(f"the cache of clean content was not written: {error.strerror}")

    # --- the file -----------------------------------------------------------------------------------------------------

    def _is(self) -> tuple[int, ...] | None:
        try:
            at = self._path.stat()
        except OSError:
            return None
        return at.st_dev, at.st_ino, at.st_size, at.st_mtime_ns, at.st_ctime_ns

    def _read(self) -> Seen:
        self._was = self._is()
        data = read_kept(self._path, LARGEST, (os.geteuid(),))
        if data is None:
            return Seen()
        start = len(FORMAT) + MAC + SIGNATURE
        seal, body = data[len(FORMAT):start], data[start:]
        if not data.startswith(FORMAT):
            self._say("the cache of clean content is of another version: it is not used")
        elif len(data) < start or not self._key.holds(seal, FORMAT + body):
            self._say("the cache of clean content was not written under this key, or is damaged: it is not used")
        else:
            try:
                return _parsed(json.loads(body), self._rules)
            except (ValueError, KeyError, TypeError):
                self._say("the cache of clean content is of other rules, or not as it should be: it is not used")
        return Seen()

    def _body(self, seen: Seen) -> bytes:
        """As JSON, small enough."""
        repositories = sorted(seen.repositories, key=lambda one: -one.used)
        images = list(seen.images.items())
        while True:
            body = json.dumps({"rules": self._rules, "repositories": [_plain(one) for one in repositories],
                               "layers": dict(seen.layers), "images": dict(images)}, separators=(",", ":")).encode()
            if len(body) < LARGEST - 1024 or not (repositories or images):
                return body
            (images or repositories).pop()

    def _write(self, body: bytes) -> None:
        draft = self._path.parent / f".scan-{os.getpid()}-{os.urandom(8).hex()}"
        handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            with open(handle, "wb") as file:
                file.write(FORMAT + self._key.seal(FORMAT + body) + body)
            os.replace(draft, self._path)
        except OSError:
            with suppress(OSError):
                os.unlink(draft)
            raise

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """One writer at a time. OSError when the folder is not ours."""
        folder = self._path.parent
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not unshared(folder.stat(), (os.geteuid(),)):
            raise PermissionError(1, "others may write to its folder", str(folder))
        handle = os.open(folder / "scan.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            _lock(handle)
            yield
        finally:
            os.close(handle)

    def _drop_others(self) -> None:
        """Caches of rule sets that are used no more."""
        files = sorted(self._path.parent.glob("scan-*.cache"), key=lambda path: -path.stat().st_mtime)
        for path in files[FILES:]:
            if path != self._path:
                path.unlink(missing_ok=True)
        for path in self._path.parent.glob(".scan-*"):
            if path.stat().st_mtime < self._path.stat().st_mtime - _LEFT:
                path.unlink(missing_ok=True)  # of a process that was killed


def _lock(handle: int) -> None:
    """BlockingIOError when another one writes for too long."""
    end = time.monotonic() + PATIENCE
    while True:
        try:
            return fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > end:
                raise
        time.sleep(0.02)


def _merged(before: Seen, repositories: Iterable[RepositorySeen], layers: Iterable[str],
            images: Mapping[str, Mapping[str, Any]], now: int) -> Seen:
    """With what is new. A repository takes the place of one with which it has a pack in common, or loose objects."""
    fresh = [one._replace(used=now) for one in repositories]
    packs = {pack.checksum for one in fresh for pack in one.packs}
    loose = {one.loose[at:at + one.width] for one in fresh for at in range(0, len(one.loose), one.width)}
    old = [one for one in before.repositories
           if not any(pack.checksum in packs for pack in one.packs) and one.loose[:one.width] not in loose]
    kept = sorted(old, key=lambda one: -one.used)[:max(0, REPOSITORIES - len(fresh))]
    every = {**before.layers} | dict.fromkeys(layers, now)
    newest = sorted(every.items(), key=lambda item: -item[1])[:LAYERS]
    told = {**{name: {**one, "used": now} for name, one in images.items()},
            **{name: one for name, one in before.images.items() if name not in images}}
    return Seen([*fresh, *kept], dict(newest), dict(list(told.items())[:IMAGES]))


def _plain(one: RepositorySeen) -> dict[str, object]:
    return {"width": one.width, "used": one.used, "loose": _text(one.loose), "clean": _text(one.clean),
            "memory": one.memory, "spots": one.spots, "report": one.report,
            "packs": [[_text(pack.checksum), _text(pack.listing), pack.total, _text(pack.stamp), _text(pack.clean)]
                      for pack in one.packs]}


def _parsed(table: Mapping[str, Any], rules: str) -> Seen:
    """ValueError, KeyError or TypeError when it is not what we write."""
    if table["rules"] != rules:
        raise ValueError("other rules")
    repositories = [RepositorySeen(
        int(one["width"]),
        tuple(PackSeen(_bytes(checksum), _bytes(index), int(count), _bytes(stamp), _bytes(clean))
              for checksum, index, count, stamp, clean in one["packs"]),
        _bytes(one["loose"]), _bytes(one["clean"]), int(one["used"]), one["memory"], one["spots"], one["report"])
        for one in table["repositories"]]
    return Seen(repositories, {str(digest): int(used) for digest, used in table["layers"].items()},
                {str(name): dict(one) for name, one in table["images"].items()})


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _bytes(text: str) -> bytes:
    return base64.b64decode(text, validate=True)
