"""Writing files that hold secrets: atomic, durable, private from the first byte, one writer at a time.

A folder is opened once, locked (flock on the folder itself, so that every process of every user meets the same lock
and no lock file stays), and everything goes by its descriptor. A write is: draft 0600 in the same folder, owner,
content, mode, fsync, rename, fsync of the folder. Every writer holds the lock, so a draft that is there when the lock
is taken was left by a kill, and is removed.

Refused (nothing was written), with what to do: a target that is a symbolic link, a mount point (rename(2) gives EBUSY),
no regular file, or has further hard links (they would keep the old value); an owner that we may not set.
"""

from __future__ import annotations

import fcntl
import os
import re
import secrets
import stat
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path

from clawsecrets.errors import ConfigError, Refused, StoreBusy
from clawsecrets.injectors.mounts import is_mount_point

LOOSEST = 0o640
"""The most that a target's mode may allow, unless the operator said otherwise."""
NEW_FILE = 0o600
LARGEST = 16 * 1024 * 1024
"""Bytes; a target that is larger is not ours."""
TURNS = 5
"""Times that a file is rewritten anew because somebody else changed it."""
LOCK_WAIT = 10.0
"""Seconds to wait for another writer of the same folder."""
_DRAFT = re.compile(r"\.clawsecrets-[0-9a-f]{16}\.new\Z")


class Changed(OSError):
    """Somebody who does not take our lock wrote the file meanwhile."""


Seen = tuple[int, int, int] | None
"""How a file stood there: inode, time of its last change, size. None: there was none."""


@dataclass(frozen=True, slots=True)
class Access:
    """Who may read a target. None: keep what the file has; a new file is ours and 0600.

    A kept mode loses what goes beyond 0640: tightening a group-readable file further could stop its reader.
    """

    uid: int | None = None
    gid: int | None = None
    mode: int | None = None

    def wanted(self, found: os.stat_result | None) -> tuple[int, int, int]:
        """uid, gid (-1: leave as created) and mode for a file that is there as `found`, or not at all."""
        kept_uid, kept_gid = (found.st_uid, found.st_gid) if found else (-1, -1)
        kept_mode = stat.S_IMODE(found.st_mode) & LOOSEST | 0o400 if found else NEW_FILE
        return (
            kept_uid if self.uid is None else self.uid,
            kept_gid if self.gid is None else self.gid,
            kept_mode if self.mode is None else self.mode,
        )


def access(owner: str = "", group: str = "", mode: int | None = None, *, loose: bool = False) -> Access:
    """Access from names or numbers; without `group`, the owner's primary group. ConfigError.

    A mode beyond 0640 needs `loose`; one that the owner cannot read is always wrong.
    """
    if mode is not None and not mode & 0o400:
        raise ConfigError(f"mode {mode:04o}: the owner could not read the file", "write for example 0600 or 0400")
    if mode is not None and mode & ~LOOSEST and not loose:
        raise ConfigError(f"mode {mode:04o} lets more than the owner and one group read secrets", "use 0640 or less")
    uid, primary = _user(owner)
    return Access(uid, _group(group) if group else primary, mode)


def exposures(paths: Iterable[Path], rights: Access) -> Iterator[str]:
    """How files that are there differ from what they were given: owner, group, permissions. One line for each."""
    for path in paths:
        try:
            found = os.lstat(path)
        except OSError:
            continue
        mode, uid, gid = stat.S_IMODE(found.st_mode), rights.uid, rights.gid
        loosest = LOOSEST if rights.mode is None else rights.mode
        if not stat.S_ISREG(found.st_mode):
            yield f"{path} is not a regular file"
        elif mode & ~loosest:
            yield f"{path} has mode {mode:04o}: more than {loosest:04o} allows"
        elif (uid is not None and found.st_uid != uid) or (gid is not None and found.st_gid != gid):
            yield f"{path} belongs to {found.st_uid}:{found.st_gid}, not to whom it was given"


def _user(owner: str) -> tuple[int | None, int | None]:
    import pwd

    if not owner:
        return None, None
    with suppress(KeyError):
        found = pwd.getpwuid(int(owner)) if owner.isdecimal() else pwd.getpwnam(owner)
        return found.pw_uid, found.pw_gid
    if owner.isdecimal():  # a container's user need not exist on the host
        return int(owner), None
    raise ConfigError(f"there is no user {owner!r} on this machine", "give its number instead")


def _group(group: str) -> int:
    import grp

    if group.isdecimal():
        return int(group)
    with suppress(KeyError):
        return grp.getgrnam(group).gr_gid
    raise ConfigError(f"there is no group {group!r} on this machine", "give its number instead")


class Folder:
    """A folder that is open and locked. Methods raise OSError, and Refused where the target forbids a safe write."""

    def __init__(self, path: Path, descriptor: int) -> None:
        self.path = path
        self._fd = descriptor

    def read(self, name: str) -> bytes | None:
        """The content of a regular file in it; None when there is none. Follows no link."""
        return None if self._found(name) is None else read_file(name, self._fd, said=self.path / name)

    def check(self, name: str) -> os.stat_result | None:
        """What stands at `name`, None for nothing. Refused when it cannot be replaced safely."""
        found = self._found(name)
        if found is None:
            return None
        path = self.path / name
        _require_regular(path, found.st_mode)
        if is_mount_point(path):
            raise Refused(
                f"{path} is a mount point of its own, so it cannot be replaced and readers would keep the old value",
                "mount the folder instead of the single file, or recreate the container",
            )
        if found.st_nlink > 1:
            raise Refused(f"{path} has {found.st_nlink} hard links; the others would keep the old value",
                          "remove the other links")
        return found

    def seen(self, name: str) -> Seen:
        """How it stands there now. Asked before the content that a new one is made from is read."""
        return _seen(self._found(name))

    def rewrite(self, name: str, rewritten: Callable[[bytes], bytes], rights: Access) -> None:
        """Replace it by what is made of its content (b"" for none). When somebody else changes it meanwhile, begin
        again with theirs, a few times; then Changed."""
        for _ in range(TURNS - 1):
            with suppress(Changed):
                return self._rewrite(name, rewritten, rights)
        return self._rewrite(name, rewritten, rights)

    def _rewrite(self, name: str, rewritten: Callable[[bytes], bytes], rights: Access) -> None:
        self.check(name)
        seen = self.seen(name)
        content = rewritten(self.read(name) or b"")
        self.replace(name, content, rights, unless_changed=lambda: self._same(name, seen))

    def _same(self, name: str, seen: Seen) -> None:
        if self.seen(name) != seen:
            raise Changed(f"{self.path / name}: somebody else changed it while it was written")

    def replace(self, name: str, content: bytes, rights: Access,
                unless_changed: Callable[[], None] = lambda: None) -> None:
        """Make `name` hold `content`, durably; it is the old file or the new one at every instant.

        `unless_changed` is asked right before the rename: what it raises leaves everything as it is.
        """
        found = self.check(name)
        if found is not None and _is_as(found, rights) and self.read(name) == content:
            self._sync(name)  # it may stem from a run that was killed before it was durable
            return
        draft = self._draft(name, content, found, rights)
        try:
            unless_changed()
            with _about(self.path / name):
                os.rename(draft, name, src_dir_fd=self._fd, dst_dir_fd=self._fd)
        except BaseException:
            self._drop(draft)
            raise
        os.fsync(self._fd)
        if self.read(name) != content:
            raise Changed(f"{self.path / name}: somebody else changed it right after it was written")

    def try_out(self, name: str, rights: Access) -> None:
        """Do all of `replace` but the rename; leaves nothing."""
        self._drop(self._draft(name, b"x", self.check(name), rights))

    def remove(self, name: str) -> None:
        """Take the file away, durably; nothing when it is not there."""
        if self.check(name) is not None:
            with _about(self.path / name):
                os.unlink(name, dir_fd=self._fd)
                os.fsync(self._fd)

    def sweep(self) -> None:
        """Remove drafts that a killed process left. Only under the lock."""
        for name in os.listdir(self._fd):
            if _DRAFT.match(name):
                self._drop(name)

    def _found(self, name: str) -> os.stat_result | None:
        try:
            found = os.stat(name, dir_fd=self._fd, follow_symlinks=False)
        except FileNotFoundError:
            return None
        if stat.S_ISLNK(found.st_mode):
            raise Refused(f"{self.path / name} is a symbolic link, which is not followed", "give the file's real path")
        return found

    def _draft(self, name: str, content: bytes, found: os.stat_result | None, rights: Access) -> str:
        draft = f".clawsecrets-{secrets.token_hex(8)}.new"
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        with _about(self.path / name):
            number = os.open(draft, flags, NEW_FILE, dir_fd=self._fd)
            try:
                with os.fdopen(number, "wb") as file:
                    self._dress(number, name, found, rights)
                    file.write(content)
                    file.flush()
                    os.fchmod(number, rights.wanted(found)[2])
                    os.fsync(number)
            except BaseException:
                self._drop(draft)
                raise
        return draft

    def _dress(self, number: int, name: str, found: os.stat_result | None, rights: Access) -> None:
        """Set owner and group while the draft is still empty."""
        uid, gid, _ = rights.wanted(found)
        made = os.fstat(number)
        if uid in (-1, made.st_uid) and gid in (-1, made.st_gid):
            return
        denied = False
        try:
            os.fchown(number, uid, gid)
        except PermissionError:
            denied = True
        if denied:
            raise Refused(f"{self.path / name} must belong to uid {uid}, gid {gid}, which this user may not set",
                          "run as root, or as that user")

    def _sync(self, name: str) -> None:
        with _about(self.path / name):
            number = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=self._fd)
            try:
                os.fsync(number)
            finally:
                os.close(number)
            os.fsync(self._fd)

    def _drop(self, draft: str) -> None:
        with suppress(FileNotFoundError):
            os.unlink(draft, dir_fd=self._fd)


@contextmanager
def _about(path: Path) -> Iterator[None]:
    """What fails inside is told of that file, not of a draft or a descriptor."""
    try:
        yield
    except OSError as error:
        error.filename, error.filename2 = str(path), None
        raise


def _require_regular(path: Path, mode: int) -> None:
    if not stat.S_ISREG(mode):
        raise Refused(f"{path} is {'a folder' if stat.S_ISDIR(mode) else 'not a regular file'}",
                      "give the path of a file")


def _seen(found: os.stat_result | None) -> Seen:
    return None if found is None else (found.st_ino, found.st_mtime_ns, found.st_size)


def _is_as(found: os.stat_result, rights: Access) -> bool:
    uid, gid, mode = rights.wanted(found)
    return (found.st_uid, found.st_gid, stat.S_IMODE(found.st_mode)) == (uid, gid, mode)


@contextmanager
def locked(path: Path, wait: float = LOCK_WAIT) -> Iterator[Folder]:
    """The folder, locked against other writers, stale drafts removed. StoreBusy after `wait` seconds; OSError."""
    number = _lock(path, time.monotonic() + wait)
    try:
        folder = Folder(path, number)
        folder.sweep()
        yield folder
    finally:
        os.close(number)


def _lock(path: Path, deadline: float) -> int:
    while True:
        number = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            if _took(number) and os.path.samestat(os.fstat(number), os.stat(path)):
                return number
        except BaseException:
            os.close(number)
            raise
        os.close(number)
        if time.monotonic() > deadline:
            raise StoreBusy(f"another process is writing in {path}", "it is tried again")
        time.sleep(0.02)


def _took(number: int) -> bool:
    try:
        fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def make_folder(path: Path, rights: Access, *, parents: bool = False) -> None:
    """Make a folder (0700, the target's owner) when it is missing; with `parents` those that are missing, too, in the
    same way, since the owner must get through them. What is there is left as it is. OSError, Refused."""
    if path.is_symlink():
        raise Refused(f"{path} is a symbolic link, which is not followed", "give the folder's real path")
    made: list[Path] = []
    try:
        for folder in reversed(missing_folders(path) if parents else [path]):
            _make_one(folder, rights, made)
    except (OSError, Refused):
        for folder in reversed(made):
            with suppress(OSError):  # somebody else put something there
                folder.rmdir()
        raise
    for folder in made:
        sync_folder(folder.parent)


def missing_folders(path: Path) -> list[Path]:
    """The folder and its parents, as far as they are not there: the innermost first. OSError."""
    return list(takewhile(lambda folder: not folder.exists(), (path, *path.parents)))


def _make_one(path: Path, rights: Access, made: list[Path]) -> None:
    try:
        path.mkdir(0o700)
    except FileExistsError:
        return
    made.append(path)
    uid, gid, _ = rights.wanted(None)
    denied = False
    try:
        os.chown(path, uid, gid, follow_symlinks=False)
    except PermissionError:
        denied = True
    if denied:
        raise Refused(f"{path} must belong to uid {uid}, gid {gid}, which this user may not set",
                      "run as root, or as that user")


def sync_folder(path: Path) -> None:
    """Make what happened in a folder durable. OSError."""
    number = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(number)
    finally:
        os.close(number)


def read_file(name: str | Path, folder: int | None = None, limit: int = LARGEST, said: Path | None = None) -> bytes:
    """A regular file's content, without following a link or waiting on a pipe. `said`: its path in messages, where
    `name` is none. OSError; Refused for another kind of file, and when too large."""
    path = Path(name) if said is None else said
    with _about(path):
        number = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder)
        try:
            _require_regular(path, os.fstat(number).st_mode)
            with os.fdopen(number, "rb", closefd=False) as file:
                content = file.read(limit + 1)
        finally:
            os.close(number)
    if len(content) > limit:
        raise Refused(f"{path} is larger than {limit} bytes")
    return content
