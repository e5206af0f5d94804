"""Reads what a deployment holds today (`.env`, openclaw.json) and says which secrets these are. Changes nothing.

    read_file(path)                    -> Reading: values with places, references, notes
    recognise(items, providers)        -> Placement: candidates, unplaced, conflicts, notes
"""

from __future__ import annotations

import errno
import os
import re
import stat
from pathlib import Path

from clawsecrets.data import read_bounded, read_regular
from clawsecrets.errors import ConfigError
from clawsecrets.importers import dotenv, openclaw_json
from clawsecrets.importers.candidates import Candidate, Conflict, Place, Placement
from clawsecrets.importers.item import Item, Reading, Skipped
from clawsecrets.importers.recognise import recognise

__all__ = ["Candidate", "Conflict", "Item", "Place", "Placement", "Reading", "Skipped", "read_file", "recognise"]

_HANDED = re.compile(r"/(?:dev|proc/self)/fd/(\d{1,6})\Z")
"""An open file or pipe that the caller handed over."""
MOST = 16 << 20
"""Bytes. A larger file is no configuration."""


def read_file(path: Path) -> Reading:
    """Read one file: JSON5 when its name ends in .json or .json5, or when it begins with `{`; else `.env`. `-`,
    `/dev/stdin` and `/dev/fd/N` (what `<(…)` of a shell gives) are read to their end.

    ConfigError, naming file and line and never the content, when it cannot be read or is malformed.
    """
    fault = ""
    try:
        raw = _content(path)
    except OSError as error:
        fault = error.strerror or "unknown"
    if fault:
        raise ConfigError(f"{path}: cannot be read: {fault}", "give a .env file or an openclaw.json that you may read")
    is_json = path.suffix in (".json", ".json5") or raw.removeprefix(b"\xef\xbb\xbf").lstrip()[:1] == b"{"
    return openclaw_json.parse(raw, str(path)) if is_json else dotenv.parse(raw, str(path))


def _content(path: Path) -> bytes:
    """OSError."""
    if str(path) in ("-", "/dev/stdin"):
        return _stream(0)
    handed = _HANDED.match(str(path))
    return _stream(int(handed.group(1))) if handed else read_regular(path, MOST)


def _stream(number: int) -> bytes:
    """What an open file or pipe gives; a device, whose reading might never end, is refused unless it is a terminal."""
    mode = os.fstat(number).st_mode
    if not (stat.S_ISREG(mode) or stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode) or os.isatty(number)):
        raise OSError(errno.EINVAL, "it is no file or pipe")
    with open(number, "rb", closefd=False) as file:
        return read_bounded(file, MOST, str(number))
