"""The baseline on disk: read, and changed under a lock, whole or not at all."""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from clawsecrets.data import read_regular
from clawsecrets.errors import ConfigError
from clawsecrets.scan.baseline import LIMIT, Baseline

NEW_FILE = 0o644
"""It holds no secrets, and colleagues and CI read it; less what the umask takes."""


def load(path: Path) -> Baseline | None:
    """The baseline of a file; None when there is no file. ConfigError when it cannot be read or understood."""
    try:
        data = read_regular(path, LIMIT)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}", "it must be a file you may read") from None
    return Baseline.parse(data, str(path))


@dataclass
class Editing:
    """A baseline that is being changed. `new` is what the file shall be; None: it stays as it is."""

    path: Path
    old: Baseline | None
    new: Baseline | None = None


@contextlib.contextmanager
def editing(path: Path) -> Iterator[Editing]:
    """Read it and write what it shall be, without another `clawsecrets baseline` in between. A symbolic link is
    followed. ConfigError, OSError."""
    target = Path(os.path.realpath(path))
    folder = os.open(target.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        change = Editing(path, load(target))
        yield change
        if change.new is not None and change.new != change.old:
            _replace(target, change.new.render(), folder)
    finally:
        os.close(folder)


def _replace(target: Path, content: bytes, folder: int) -> None:
    draft = f".{target.name}.{secrets.token_hex(8)}.new"
    try:
        mode = stat.S_IMODE(os.stat(target).st_mode)
    except FileNotFoundError:
        mode = None
    number = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, NEW_FILE, dir_fd=folder)
    try:
        with os.fdopen(number, "wb") as file:
            file.write(content)
            if mode is not None:
                os.fchmod(file.fileno(), mode)
            file.flush()
            os.fsync(file.fileno())
        os.rename(draft, target.name, src_dir_fd=folder, dst_dir_fd=folder)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(draft, dir_fd=folder)
        raise
    os.fsync(folder)
