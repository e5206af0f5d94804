"""Private files: modes that are refused when loose, and writes that are whole or not there at all."""

from __future__ import annotations

import errno
import fcntl
import os
import shlex
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from clawsecrets.errors import StoreBusy, StoreError, StoreLocked
from clawsecrets.stores.faults import folder_too_open, io_failed, too_open

LOOSE = stat.S_IRWXG | stat.S_IRWXO
BY_BACKUP = "restore a backup: clawsecrets restore BACKUP --recovery-file FILE"
"""What is left where a store's key is lost: the recovery code opens backups."""
SMALL = 65536
"""No key file, passphrase, recovery code or anchor is longer."""
PATIENCE = 10.0
"""Seconds to wait for another process that is rewriting a key file."""
_NO_LOCKS = frozenset({errno.EBADF, errno.EINVAL, errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP})
"""What a file system says that cannot lock a folder (NFS)."""


def require_private_folder(folder: Path) -> None:
    """StoreLocked, with what mends it, unless the folder is closed to group and others (0700)."""
    mode = folder.stat().st_mode
    if mode & LOOSE:
        raise folder_too_open(folder, mode, f"chmod 700 {shlex.quote(str(folder))}")


def require_private_file(path: Path) -> None:
    """StoreLocked, with the command that mends it, unless the file is closed to group and others (0600)."""
    mode = path.stat().st_mode
    if mode & LOOSE:
        raise too_open(path, mode, f"chmod 600 {shlex.quote(str(path))}")


def make_private_folder(folder: Path) -> None:
    """Make the folder and its missing parents, each 0700; one that is there already must be private.

    StoreError, StoreLocked.
    """
    failed: OSError | None = None
    try:
        make_folders(folder)
    except OSError as error:
        failed = error
    if failed is not None:
        raise io_failed("make the folder", folder, failed)
    require_private_folder(folder)


def make_folders(folder: Path) -> None:
    """Make the folder and its missing parents, each 0700 whatever the umask. OSError."""
    missing: list[Path] = []
    for part in (folder, *folder.parents):
        if part.is_dir():
            break
        missing.append(part)
    for part in reversed(missing):
        try:
            part.mkdir(mode=0o700)
        except FileExistsError:
            if not part.is_dir():
                raise
            continue
        if part.stat().st_mode & stat.S_IRWXU != stat.S_IRWXU:  # a umask that takes from the owner too
            part.chmod(0o700)


def read_small(path: Path) -> tuple[bytes, int]:
    """Up to SMALL + 1 bytes of a regular file, following links, and its mode. A pipe is not waited for. OSError."""
    number = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY)
    try:
        mode = os.fstat(number).st_mode
        if not stat.S_ISREG(mode):
            raise OSError(errno.EINVAL, "it is not a regular file")
        content = b""
        while len(content) <= SMALL and (more := os.read(number, SMALL + 1 - len(content))):
            content += more
        return content, mode
    finally:
        os.close(number)


def read_private(path: Path, what: str) -> bytes:
    """The content of a small private file, following links.

    StoreLocked when it is absent, unreadable, no regular file, larger than 64 KiB, or open to others.
    """
    failed: OSError | None = None
    content, mode = b"", 0
    try:
        content, mode = read_small(path)
    except OSError as error:
        failed = error
    right = f"give its right place, or {BY_BACKUP}"
    if failed is not None:
        raise StoreLocked(f"cannot read {what} {path}: {failed.strerror or 'it cannot be read'}", right)
    if len(content) > SMALL:
        raise StoreLocked(f"cannot read {what} {path}: it is larger than {SMALL // 1024} KiB", right)
    if mode & LOOSE:
        raise too_open(path, mode, f"chmod 600 {shlex.quote(str(path))}")
    return content


@contextmanager
def taking_turns(path: Path) -> Iterator[None]:
    """Only one process at a time rewrites the files of this file's folder (links followed): a lock on the folder.

    StoreBusy after PATIENCE seconds. Where the file system cannot lock a folder, nobody waits: who writes has to look
    at what stands there afterwards.
    """
    folder, failed = Path(os.path.realpath(path)).parent, None
    try:
        number = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as error:
        failed = error
    if failed is not None:
        raise io_failed("open the folder", folder, failed)
    try:
        _lock(number, path)
        yield
    finally:
        os.close(number)


def _lock(number: int, path: Path) -> None:
    end = time.monotonic() + PATIENCE
    while True:
        try:
            fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except OSError as error:
            if error.errno in _NO_LOCKS:
                return
        if time.monotonic() > end:
            raise StoreBusy(f"another process is writing to {path}", "wait a moment and run the command again")
        time.sleep(0.01)


def write_private(path: Path, content: bytes) -> None:
    """Replace a file by this content: 0600, durable, atomic; the owner of a file that was there stays. OSError."""
    target = Path(os.path.realpath(path))
    owner: os.stat_result | None = None
    with suppress(FileNotFoundError):
        owner = target.stat()
    draft = target.with_name(f".{target.name}.{os.getpid()}.new")
    try:
        write_draft(draft, content, owner)
        draft.replace(target)
    except BaseException:
        with suppress(OSError):
            draft.unlink(missing_ok=True)
        raise
    sync_folder(target.parent)


def write_draft(draft: Path, content: bytes, owner: os.stat_result | None = None) -> None:
    """Write a 0600 file durably under a name that is not yet the final one. OSError."""
    draft.unlink(missing_ok=True)
    number = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(number, "wb") as file:
        if owner is not None and os.geteuid() == 0:
            os.fchown(number, owner.st_uid, owner.st_gid)
        file.write(content)
        file.flush()
        os.fsync(number)


def sync_folder(folder: Path) -> None:
    """Make a rename in that folder durable. OSError."""
    number = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(number)
    finally:
        os.close(number)


@contextmanager
def building(path: Path) -> Iterator[Path]:
    """An empty 0600 draft of a new file; at the end it gets its name, durably, never over one that is there.

    StoreError. When anything is raised inside, nothing stays.
    """
    draft = path.with_name(f".{path.name}.{os.getpid()}.new")
    failed: OSError | None = None
    try:
        draft.unlink(missing_ok=True)
        os.close(os.open(draft, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
        yield draft
        _name_draft(draft, path)
        sync_folder(path.parent)
    except OSError as error:
        failed = error
    finally:
        for suffix in ("", "-wal", "-shm", "-journal"):
            with suppress(OSError):
                draft.with_name(draft.name + suffix).unlink(missing_ok=True)
    if isinstance(failed, FileExistsError):
        raise StoreError(f"{path} exists already; nothing was overwritten", "choose another place, or move it away")
    if failed is not None:
        raise io_failed("write", path, failed)


def _name_draft(draft: Path, path: Path) -> None:
    """Link, which never overwrites; where the file system has no links (FAT), rename when nothing is there."""
    try:
        os.link(draft, path)
        return
    except OSError as error:
        if error.errno not in (errno.EPERM, errno.ENOTSUP, errno.ENOSYS):
            raise
    if path.exists():
        raise FileExistsError
    draft.rename(path)
