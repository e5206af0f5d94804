"""What a SQLite database in write-ahead mode holds now: its file with the committed pages of its log laid over it.

Read as data: no lock is taken and no file is made beside it, so a running program is not disturbed. The format is
https://www.sqlite.org/fileformat2.html#walformat.
"""

from __future__ import annotations

import struct

_HEADER, _FRAME = 32, 24
_MAGIC = frozenset({0x377F0682, 0x377F0683})


def laid_over(database: bytes, log: bytes) -> bytes:
    """The database as a reader sees it. A log that is empty, foreign or cut off changes nothing from there on."""
    if len(log) < _HEADER:
        return database
    magic, _, size, _, salt1, salt2 = struct.unpack(">6I", log[:24])
    if magic not in _MAGIC or size < 512 or size & (size - 1):
        return database
    pages: dict[int, int] = {}
    committed: dict[int, int] = {}
    count = 0
    for at in range(_HEADER, len(log) - _FRAME - size + 1, _FRAME + size):
        number, after, one, two = struct.unpack(">4I", log[at:at + 16])
        if (one, two) != (salt1, salt2) or number == 0:
            break  # left over from before the log was begun anew
        pages[number] = at + _FRAME
        if after:
            committed, count = dict(pages), after
    if not committed:
        return database
    whole = bytearray(database.ljust(count * size, b"\0")[:count * size])
    for number, at in committed.items():
        if number <= count:
            whole[(number - 1) * size:number * size] = log[at:at + size]
    return bytes(whole)
