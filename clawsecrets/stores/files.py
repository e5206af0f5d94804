"""Private files: modes that are refused when loose, and writes that are whole or not there at all."""

from __future__ import annotations

import errno
import os
import shlex
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from clawsecrets.errors import StoreError, StoreLocked
from clawsecrets.stores.faults import io_failed, too_open

LOOSE = stat.S_IRWXG | stat.S_IRWXO
BY_BACKUP = "restore a backup: clawsecrets restore BACKUP --recovery-file FILE"
"""What is left where a store's key is lost: the recovery code opens backups."""


def require_private_folder(folder: Path) -> None:
    """StoreLocked, with the command that mends it, unless the folder is closed to group and others (0700)."""
    mode = folder.stat().st_mode
    if mode & LOOSE:
        raise too_open(folder, mode, f"chmod 700 {shlex.quote(str(folder))}")


def require_private_file(path: Path) -> None:
    """StoreLocked, with the command that mends it, unless the file is closed to group and others (0600)."""
    mode = path.stat().st_mode
    if mode & LOOSE:
        raise too_open(path, mode, f"chmod 600 {shlex.quote(str(path))}")


def make_private_folder(folder: Path) -> None:
    """Make the folder 0700 with its parents; one that is there already must be private. StoreError, StoreLocked."""
    failed: OSError | None = None
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        failed = error
    if failed is not None:
        raise io_failed("make the folder", folder, failed)
    require_private_folder(folder)


def read_private(path: Path, what: str) -> bytes:
    """The content of a small private file, following links. StoreLocked when absent, unreadable or loose."""
    failed: OSError | None = None
    content, mode = b"", 0
    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            content = file.read(65536)
    except OSError as error:
        failed = error
    if failed is not None:
        reason = failed.strerror or "it cannot be read"
        raise StoreLocked(f"cannot read {what} {path}: {reason}", f"give its right place, or {BY_BACKUP}")
    if mode & LOOSE:
        raise too_open(path, mode, f"chmod 600 {shlex.quote(str(path))}")
    return content


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
