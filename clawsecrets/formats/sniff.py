"""What a file is, by its first bytes: names say nothing."""

from __future__ import annotations

from clawsecrets.formats.tar import BLOCK, valid

HEAD = 512
"""Bytes that `sniff` wants to see."""
_BY_START: dict[bytes, tuple[tuple[bytes, str], ...]] = {
    b"PK": ((b"PK\x03\x04", "zip"), (b"PK\x05\x06", "zip"), (b"PK\x07\x08PK\x03\x04", "zip")),
    b"\x1f\x8b": ((b"\x1f\x8b\x08", "gz"),),
    b"BZ": tuple((b"BZh%d" % level + mark, "bz2") for level in range(1, 10)
                 for mark in (b"\x31\x41\x59\x26\x53\x59", b"\x17\x72\x45\x38\x50\x90")),
    b"\xfd7": ((b"\xfd7zXZ\0", "xz"),),
    b"\x28\xb5": ((b"\x28\xb5\x2f\xfd", "zstd"),),
    b"7z": ((b"7z\xbc\xaf\x27\x1c", "7z"),),
    b"SQ": ((b"SQLite format 3\0", "sqlite"),),
    b"%P": ((b"%PDF-", "pdf"),),
} | {bytes((0x50 + n, 0x2A)): ((bytes((0x50 + n, 0x2A, 0x4D, 0x18)), "zstd"),) for n in range(16)}
_PYC = range(3000, 3800)
"""Magic numbers of CPython 3.0 to 3.16, in steps; behind each stands `\\r\\n`."""
_ANY_SIZE = b"\xff" * 8


def sniff(head: bytes) -> str:
    """`zip`, `tar`, `gz`, `bz2`, `xz`, `lzma`, `zstd`, `7z`, `sqlite`, `pyc`, `pdf`; empty for anything else. `head` is
    the beginning of the file, `HEAD` bytes or more."""
    start = head[:2]
    for magic, kind in _BY_START.get(start, ()):
        if head.startswith(magic):
            return kind
    if head[257:262] == b"ustar" and valid(head[:BLOCK]):
        return "tar"
    if head[155:156] in (b" ", b"\0") and head[154:155] in (b"\0", b" ") and b"\0" in head[100:156] and head[0]:
        return "tar" if valid(head[:BLOCK]) else _rare(head)
    return _rare(head) if head[2:4] == b"\r\n" or start == b"]\0" else ""


def _rare(head: bytes) -> str:
    if head[2:4] == b"\r\n" and int.from_bytes(head[:2], "little") in _PYC and head[4:8] in _PYC_FLAGS:
        return "pyc"
    if head[:3] == b"]\0\0" and (head[5:13] == _ANY_SIZE or head[10:13] == b"\0\0\0") and len(head) > 13:
        return "lzma" if head[3:5] in (b"\x01\0", b"\x08\0", b"\x10\0", b"\x80\0", b"\0\x01", b"\0\x04") else ""
    return ""


_PYC_FLAGS = frozenset(bytes((flag, 0, 0, 0)) for flag in range(4))
"""PEP 552. Older files have a time there: those are looked at as they are."""


def ends_in_zip(data: bytes) -> bool:
    """Whether a zip archive stands behind something else: a program, a script (pex, self-extracting archives)."""
    return data[:2] in (b"#!", b"MZ", b"\x7fE") and data.rfind(b"PK\x05\x06", max(0, len(data) - 66_000)) > 0
