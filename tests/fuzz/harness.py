"""What is fuzzed: no bytes make a reader raise anything but its own errors, or take long."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable

from clawsecrets.errors import ClawError
from clawsecrets.formats import markup, pdf, pyc, sevenzip, sqlite, tar, ziparchive
from clawsecrets.formats.bounds import Budget, Limits
from clawsecrets.formats.errors import Unreadable
from clawsecrets.formats.streams import KINDS, decompressed
from clawsecrets.scan import baseline, decode
from tests.fuzz import git_targets
from tests.scan.planted import looked

SMALL = Limits(output=4 << 20, members=2000, whole=1 << 20)


def _tar(data: bytes) -> None:
    for member in tar.walk(io.BytesIO(data).read):
        member.read(1 << 16)


def _zip(data: bytes) -> None:
    for part in ziparchive.parts(io.BytesIO(data), Budget(SMALL)):
        part.read(1 << 16)


def _seven(data: bytes) -> None:
    """The bytes as an archive's header, with checksums that are right: else nothing behind them is reached."""
    start = struct.pack("<QQL", 0, len(data), zlib.crc32(data))
    whole = b"7z\xbc\xaf\x27\x1c\0\4" + struct.pack("<L", zlib.crc32(start)) + start + data
    sevenzip.extract(io.BytesIO(whole), Budget(SMALL), 1 << 20, lambda name, part: None)


def _sqlite(data: bytes) -> None:
    for _ in sqlite.rows(io.BytesIO(data), len(data), Budget(SMALL), 1 << 20):
        pass


def _pdf(data: bytes) -> None:
    for _ in pdf.streams(data, Budget(SMALL)):
        pass


def _streams(data: bytes) -> None:
    for kind in KINDS:
        try:
            decompressed(io.BytesIO(data), kind, SMALL).read(1 << 20)
        except Unreadable:
            continue


def _texts(data: bytes) -> None:
    markup.text(data)
    list(pyc.strings(data))
    decode.derived(data)


def _inspect(data: bytes) -> None:
    looked(data, "f", None, SMALL)


def _baseline(data: bytes) -> None:
    baseline.Baseline.parse(data, "b")


TARGETS: dict[str, Callable[[bytes], None]] = {
    "tar": _tar, "zip": _zip, "7z": _seven, "sqlite": _sqlite, "pdf": _pdf, "streams": _streams, "texts": _texts,
    "inspect": _inspect, "git-pack": git_targets.pack, "git-index": git_targets.index, "git-files": git_targets.files,
    "git-objects": git_targets.objects, "baseline": _baseline,
}


def calm(target: Callable[[bytes], None]) -> Callable[[bytes], None]:
    """The target, for which our own errors are answers."""

    def run(data: bytes) -> None:
        try:
            target(data)
        except (Unreadable, ClawError):
            return

    return run
