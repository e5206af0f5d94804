"""Where our data is (inside the installed package, or in the top-level folders of a checkout), and how a file that a
person names is read."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from typing import BinaryIO

from clawsecrets.errors import ConfigError


def data_path(name: str) -> Path:
    """The folder `providers` or `config`. ConfigError when the installation lacks it."""
    here = Path(__file__).resolve().parent
    for place in (here / "_data" / name, here.parent / name):
        if place.is_dir():
            return place
    raise ConfigError(f"the data folder {name!r} is missing from this installation", "install clawsecrets again")


def read_regular(path: Path, limit: int) -> bytes:
    """The content of a regular file of at most `limit` bytes, following links. OSError, with its words, for a file
    that cannot be read, that is larger, or that is a folder, FIFO or device, whose reading might never end."""
    handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
    try:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise OSError(errno.EINVAL, "it is not a regular file", str(path))
        with open(handle, "rb", closefd=False) as file:
            return read_bounded(file, limit, str(path))
    finally:
        os.close(handle)


def read_bounded(file: BinaryIO, limit: int, name: str) -> bytes:
    """All that an open file gives, at most `limit` bytes. OSError."""
    content = file.read(limit + 1)
    if len(content) > limit:
        raise OSError(errno.EFBIG, f"it is larger than {limit >> 20} MiB", name)
    return content
