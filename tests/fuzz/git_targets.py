"""Fuzzed bytes as the parts of a git repository, read the way a scan reads one."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from pathlib import Path

from clawsecrets.errors import ClawError
from clawsecrets.formats.errors import Unreadable
from clawsecrets.sources.git import loose, messages
from clawsecrets.sources.git.delta import Damaged, apply, changed
from clawsecrets.sources.git.packs import Pack
from clawsecrets.sources.git.source import GitSource
from clawsecrets.sources.git.trees import Trees, entries
from clawsecrets.sources.image import gitobjects
from tests.sources.git_eye import located, scan

LIMIT = 1 << 20
PARTS = ("HEAD", "config", "packed-refs", "shallow", "index", "refs/heads/x", "logs/HEAD", "objects/info/alternates",
         "FETCH_HEAD")
"""Files of a repository that are read, each by its own reader."""


@cache
def _folder() -> Path:
    """One for the process; a file system in memory where there is one."""
    memory = Path("/dev/shm")
    return Path(tempfile.mkdtemp(prefix="claw-fuzz-", dir=memory if memory.is_dir() else None))


def _fresh() -> Path:
    """An empty bare repository."""
    root = _folder() / "repo"
    shutil.rmtree(root, ignore_errors=True)
    (root / "objects/pack").mkdir(parents=True)
    (root / "objects/info").mkdir()
    (root / "refs/heads").mkdir(parents=True)
    (root / "logs").mkdir()
    (root / "HEAD").write_text("ref: refs/heads/main\n")
    return root


def _looked(root: Path) -> None:
    """All of a scan but the rules: what is read, and where it comes from."""
    with suppress(ClawError):
        source = GitSource(root)
        found, _, _ = scan(source, workers=1)
        located(source, found)
        source.coverage()


def pieces(data: bytes) -> Iterator[bytes]:
    """Data cut by lengths of two bytes that stand in it."""
    at = 0
    while at + 2 <= len(data):
        size = int.from_bytes(data[at:at + 2], "big")
        yield data[at + 2:at + 2 + size]
        at += 2 + size


def joined(parts: list[bytes]) -> bytes:
    """What `pieces` takes apart."""
    return b"".join(len(part).to_bytes(2, "big") + part for part in parts)


def pack(data: bytes) -> None:
    """Objects of a pack whose checksums and index are right: kind, the size that is said, what stands between, content.

    Each piece: one byte of kind and of flags, one that is added to the size, then 20 bytes (of a base) and the content.
    """
    body, offsets = bytearray(b"PACK\0\0\0\2\0\0\0\0"), []
    for piece in list(pieces(data))[:50]:
        if len(piece) < 22:
            continue
        kind, more, base, content = piece[0] & 7, piece[1], piece[2:22], piece[22:]
        offsets.append(len(body))
        size = len(content) + (more if piece[0] & 8 else 0)
        head = bytearray([kind << 4 | size & 15])
        size >>= 4
        while size:
            head[-1] |= 0x80
            head.append(size & 0x7F)
            size >>= 7
        between = base if kind == 7 else base[:1 + piece[0] % 3] if kind == 6 else b""
        body += bytes(head) + between + (content if piece[0] & 16 else zlib.compress(content, 1))
    body[8:12] = len(offsets).to_bytes(4, "big")
    whole = bytes(body) + hashlib.sha1(body).digest()
    names = [bytes([number]) * 20 for number in range(len(offsets))]
    fan = b"".join(sum(name[0] <= first for name in names).to_bytes(4, "big") for first in range(256))
    index = (b"\xfftOc\0\0\0\2" + fan + b"".join(names) + bytes(4 * len(names))
             + b"".join(offset.to_bytes(4, "big") for offset in offsets) + whole[-20:])
    root = _fresh()
    (root / "objects/pack/pack-x.pack").write_bytes(whole)
    (root / "objects/pack/pack-x.idx").write_bytes(index + hashlib.sha1(index).digest())
    _looked(root)


def index(data: bytes) -> None:
    """An index of a pack, with and without a checksum that is right."""
    root = _fresh()
    (root / "p.pack").write_bytes(b"PACK\0\0\0\2\0\0\0\1" + data[:200])
    for text in (data, data + hashlib.sha1(data).digest(), data[:-20] + hashlib.sha1(data[:-20]).digest()):
        (root / "p.idx").write_bytes(text)
        with suppress(Damaged):
            Pack(root / "p.pack", 20)


def files(data: bytes) -> None:
    """The files beside the objects."""
    root = _fresh()
    for piece in list(pieces(data))[:20]:
        if piece:
            path = root / PARTS[piece[0] % len(PARTS)]
            path.write_bytes(piece[1:])
    _looked(root)


def objects(data: bytes) -> None:
    """One object as each kind, as a delta, as a loose file, and as a pack without an index (in an image's layer)."""
    for width in (20, 32):
        trees = Trees(width, None)
        trees.add(bytes(width), data, None)
        list(trees.names())
        list(entries(data, width))
        messages.linked(data, width)
        assert messages.commit(messages.commit_head(width), data, width).begins == messages.begins(data)
    text, line = messages.text(data, messages.begins(data))
    assert data.count(b"\n") == text.count(b"\n") + line
    base, _, delta = data.partition(b"\0\0")
    for raw in (data, delta):
        with suppress(Damaged, IndexError):
            assert len(apply(raw, base, LIMIT)) <= LIMIT
        with suppress(Damaged, IndexError):
            changed(raw, len(base), 512, LIMIT)
    root, name = _fresh(), "ab" * 20
    loose.place(root / "objects", name).parent.mkdir()
    for content in (data, zlib.compress(data, 1), zlib.compress(b"blob %d\0" % len(data) + data, 1)):
        loose.place(root / "objects", name).write_bytes(content)
        with suppress(Damaged):
            loose.read(root / "objects", name)
        with suppress(Unreadable):
            gitobjects.loose(content)
    for whole in (data, b"PACK\0\0\0\2\0\0\0\2" + data):
        with suppress(Unreadable):
            list(gitobjects.pack(lambda at, size, whole=whole: whole[at:at + size]))  # type: ignore[misc]
