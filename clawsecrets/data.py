"""Where our data is (inside the installed package, or in the top-level folders of a checkout), and how a file that a
person names is read."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from typing import BinaryIO

from clawsecrets.errors import ConfigError

NOT_REGULAR = "it is not a regular file"


def data_path(name: str) -> Path:
    """The folder `providers` or `config`. ConfigError when the installation lacks it."""
    here = Path(__file__).resolve().parent
    for place in (here / "_data" / name, here.parent / name):
        if place.is_dir():
            return place
    raise ConfigError(f"the data folder {name!r} is missing from this installation", "install clawsecrets again")


def read_regular(path: str | os.PathLike[str], limit: int) -> bytes:
    """The content of a regular file of at most `limit` bytes, following links. OSError, with its words, for a file
    that cannot be read, that is larger, or that is a folder, FIFO or device, whose reading might never end."""
    with regular(path) as file:
        return read_bounded(file, limit, str(path))


def regular(path: str | os.PathLike[str]) -> BinaryIO:
    """A regular file, open for reading. OSError as in `read_regular`: what is opened here cannot make anybody wait."""
    return open(regular_handle(path), "rb")


def regular_handle(path: str | os.PathLike[str]) -> int:
    """The same as a file descriptor. OSError."""
    handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise OSError(errno.EINVAL, NOT_REGULAR, os.fspath(path))
    return handle


def absent(path: str | os.PathLike[str]) -> bool:
    """Whether nothing is there, not even a link; False too where that cannot be told (a folder that may not be
    entered)."""
    try:
        os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return True
    except (OSError, ValueError):
        pass
    return False


def read_bounded(file: BinaryIO, limit: int, name: str) -> bytes:
    """All that an open file gives, at most `limit` bytes. OSError."""
    content = file.read(limit + 1)
    if len(content) > limit:
        raise OSError(errno.EFBIG, f"it is larger than {limit >> 20} MiB", name)
    return content
