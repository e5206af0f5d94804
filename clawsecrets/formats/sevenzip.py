"""7z archives, by py7zr, which is imported when the first one is met. Members come out as they are unpacked: nothing is
written to disk, and one member at a time is held in memory."""

from __future__ import annotations

import lzma
import struct
import zlib
from collections.abc import Callable
from typing import Any, BinaryIO

from clawsecrets.formats.bounds import Budget
from clawsecrets.formats.errors import Damaged, Encrypted, TooLarge, Unreadable

Take = Callable[[str, bytes], None]
_DICTIONARY = 128 << 20
_FAULTS = (ArithmeticError, AssertionError, AttributeError, EOFError, LookupError, MemoryError, OSError, RuntimeError,
           TypeError, ValueError, struct.error, lzma.LZMAError, zlib.error)
"""What the library was seen to raise for damaged archives, beyond its own: it trusts many of their numbers."""


def extract(file: BinaryIO, budget: Budget, most: int, take: Take) -> None:
    """Give every member to `take(name, data)`. A member larger than `most` bytes is TooLarge; Damaged, Encrypted. What
    `take` raises escapes."""
    import py7zr
    from py7zr import exceptions
    faults = (*_FAULTS, exceptions.ArchiveError, exceptions.AbsolutePathError)
    held = _Held(budget, most, take)
    try:
        with py7zr.SevenZipFile(file, "r", max_extract_size=budget.left) as archive:
            _check(archive, budget)
            archive.extractall(factory=held)
    except exceptions.PasswordRequired:
        fault: Unreadable = Encrypted()
    except exceptions.DecompressionBombError:
        fault = TooLarge("it unpacks to more than is read")
    except exceptions.UnsupportedCompressionMethodError:
        fault = Damaged("it is compressed in a way that is not read")
    except Unreadable:
        raise
    except faults as error:
        if held.raised is not None:
            raise held.raised from None
        fault = TooLarge("unpacking it takes too much memory") if isinstance(error, MemoryError) else Damaged(
            "its header or its data is damaged")
    else:
        if held.raised is None:
            return
        fault = Damaged("its data is damaged")
    if held.raised is not None:
        raise held.raised
    raise fault


def _check(archive: Any, budget: Budget) -> None:
    """Before anything is unpacked: encryption, number of members, memory that decoders ask for."""
    if archive.needs_password():
        raise Encrypted
    budget.count(len(archive.files))
    streams = archive.header.main_streams
    for folder in streams.unpackinfo.folders if streams is not None else ():
        for coder in folder.coders:
            if coder["method"] in (b"\x03\x01\x01", b"\x03\x04\x01") and len(coder["properties"] or b"") >= 5:
                if int.from_bytes(coder["properties"][1:5], "little") > _DICTIONARY:
                    raise TooLarge("unpacking it takes too much memory")
            elif coder["method"] == b"\x21" and coder["properties"] and coder["properties"][0] > 30:
                raise TooLarge("unpacking it takes too much memory")  # 30: 128 MiB


class _Held:
    """Makes the objects that the library writes members into."""

    def __init__(self, budget: Budget, most: int, take: Take) -> None:
        self.budget, self.most, self.take = budget, most, take
        self.raised: BaseException | None = None
        """What one of our own calls raised, from inside of the library."""

    def create(self, filename: str) -> _Writer:
        """One member begins."""
        return _Writer(self, filename)


class _Writer:
    """One member, until it is closed."""

    def __init__(self, held: _Held, name: str) -> None:
        self._held, self._name = held, name
        self._parts: list[bytes] = []
        self._size = 0

    def write(self, data: bytes | bytearray) -> int:
        """More of it."""
        self._size += len(data)
        try:
            self._held.budget.spend(len(data))
            if self._size > self._held.most:
                raise TooLarge(f"a member is larger than {self._held.most >> 20} MiB")
        except TooLarge as error:
            self._held.raised = error
            raise
        self._parts.append(bytes(data))
        return len(data)

    def close(self) -> None:
        """It is complete."""
        data, self._parts = b"".join(self._parts), []
        try:
            self._held.take(self._name, data)
        except BaseException as error:
            self._held.raised = error
            raise

    def read(self, size: int | None = None) -> bytes:
        """Nothing is read back."""
        return b""

    def seek(self, offset: int, whence: int = 0) -> int:
        """There is no other place."""
        return 0

    def flush(self) -> None:
        """There is nothing to flush."""

    def size(self) -> int:
        """Bytes so far."""
        return self._size
