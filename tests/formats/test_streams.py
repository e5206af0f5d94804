"""Compressed streams: whole, in parts, several in a row, cut off, broken, and bombs."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
from collections.abc import Callable

import pytest
from backports import zstd
from hypothesis import given
from hypothesis import strategies as st

from clawsecrets.formats.bounds import Budget, Limits
from clawsecrets.formats.errors import Damaged, TooLarge, Unreadable
from clawsecrets.formats.streams import KINDS, decompressed

PACK: dict[str, Callable[[bytes], bytes]] = {
    "gz": lambda data: gzip.compress(data, mtime=0), "bz2": bz2.compress, "xz": lzma.compress,
    "lzma": lambda data: lzma.compress(data, lzma.FORMAT_ALONE), "zstd": zstd.compress,
}
TEXT = b"some text, some of it repeated: text, text, text. " * 40


def test_every_kind_is_tested() -> None:
    assert set(PACK) == set(KINDS)


@pytest.mark.parametrize("kind", KINDS)
@given(data=st.binary(max_size=3000), size=st.integers(1, 999))
def test_what_was_packed_comes_out(kind: str, data: bytes, size: int) -> None:
    stream = decompressed(io.BytesIO(PACK[kind](data)), kind)
    parts = []
    while part := stream.read(size):
        assert len(part) <= size
        parts.append(part)
    assert b"".join(parts) == data
    assert stream.read(1) == b""


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "lzma"])
def test_several_in_a_row_are_one(kind: str) -> None:
    packed = PACK[kind](TEXT) + PACK[kind](b"") + PACK[kind](b"end")
    assert decompressed(io.BytesIO(packed), kind).read() == TEXT + b"end"
    assert decompressed(io.BytesIO(packed + bytes(5000)), kind).read() == TEXT + b"end"


def test_skippable_frames() -> None:
    frame = b"\x53\x2a\x4d\x18\x04\0\0\0abcd"
    assert decompressed(io.BytesIO(frame + zstd.compress(TEXT) + frame), "zstd").read() == TEXT


@pytest.mark.parametrize("kind", KINDS)
def test_cut_off_anywhere(kind: str) -> None:
    packed = PACK[kind](TEXT)
    for size in range(len(packed) - (1 if kind == "lzma" else 0)):
        with pytest.raises(Damaged):
            decompressed(io.BytesIO(packed[:size]), kind).read()


@pytest.mark.parametrize("kind", KINDS)
def test_something_behind_it(kind: str) -> None:
    stream = decompressed(io.BytesIO(PACK[kind](TEXT) + b"and more"), kind)
    assert stream.read(len(TEXT)) == TEXT
    with pytest.raises(Damaged):
        stream.read(1)


@pytest.mark.parametrize("kind", KINDS)
@given(at=st.integers(0, 1 << 16), byte=st.integers(0, 255))
def test_only_our_own_errors(kind: str, at: int, byte: int) -> None:
    packed = bytearray(PACK[kind](TEXT))
    packed[at % len(packed)] = byte
    try:
        decompressed(io.BytesIO(bytes(packed)), kind, Limits(output=1 << 20)).read()
    except Unreadable:
        return


@pytest.mark.parametrize("kind", KINDS)
def test_what_came_before_a_fault_is_given(kind: str) -> None:
    data = b"".join(b"%d %d\n" % (k, k * k * 7919) for k in range(60_000))
    packed = PACK[kind](data)
    stream = decompressed(io.BytesIO(packed[:len(packed) - 9]), kind)
    given_, fault = b"", None
    try:
        while part := stream.read(1 << 20):
            given_ += part
    except Damaged as error:
        fault = error
    assert fault is not None and data.startswith(given_) and (given_ or kind == "bz2")


@pytest.mark.parametrize("kind", KINDS)
def test_the_output_is_bounded(kind: str) -> None:
    budget = Budget(Limits(output=100_000))
    with pytest.raises(TooLarge):
        decompressed(io.BytesIO(PACK[kind](bytes(5 << 20))), kind, budget).read()
    assert budget.output < 3 << 20


@pytest.mark.parametrize("kind", ["bz2", "xz", "zstd"])
def test_the_ratio_is_bounded(kind: str) -> None:
    with pytest.raises(TooLarge, match="times its size"):
        decompressed(io.BytesIO(PACK[kind](bytes(40 << 20))), kind).read()


def test_windows_are_bounded() -> None:
    wide = zstd.CompressionParameter
    options = {int(wide.window_log): 29, int(wide.enable_long_distance_matching): 1}
    packer = zstd.ZstdCompressor(options=options)
    packed = packer.compress(b"x" * 1000) + packer.flush()
    with pytest.raises(TooLarge):
        decompressed(io.BytesIO(packed), "zstd").read()
    with pytest.raises(TooLarge):
        huge = lzma.compress(b"x", filters=[{"id": lzma.FILTER_LZMA2, "dict_size": 1 << 20}])
        decompressed(io.BytesIO(_dictionary(huge)), "xz").read()


def _dictionary(packed: bytes) -> bytes:
    """The same .xz file, but its block header asks for a dictionary of 4 GiB (and has the right CRC)."""
    import zlib

    length = (packed[12] + 1) * 4
    head = bytearray(packed[12: 12 + length - 4])
    at = head.index(b"\x21\x01") + 2
    head[at] = 40
    return packed[:12] + bytes(head) + zlib.crc32(head).to_bytes(4, "little") + packed[12 + length:]
