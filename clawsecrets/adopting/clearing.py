"""Takes plaintext out of OpenClaw's state folder, and looks whether any is left. The gateway is stopped meanwhile."""

from __future__ import annotations

import base64
import os
import stat
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from clawsecrets.adopting import documents
from clawsecrets.adopting.documents import Cell
from clawsecrets.errors import Refused
from clawsecrets.model.value import SecretValue

Look = Callable[[bytes], Iterable[tuple[int, int]]]
"""Every place in the data that stands for one of the values: where it begins and ends."""
LIVE_TABLES = frozenset({"config_machine_state", "auth_profile_store", "secret_store_entries", "mcp_oauth_stores"})


PIECE, OVERLAP = 16 << 20, 1 << 20
"""Bytes of a large file that are looked at together, and that two pieces share: no form of a value is longer."""


class Treatment(StrEnum):
    """What happens to a file that holds a value."""

    MOVED = "moved"
    """It is changed by OpenClaw or by a move; what is left in it after that is told."""
    REMOVED = "removed"
    DATABASE = "database"
    MASKED = "masked"
    LARGE = "larger than is changed here"
    """It is told, and not touched."""


@dataclass(frozen=True)
class Folder:
    """The state folder. `files`: all regular files in it with what happens to each; `look` finds the values."""

    files: Callable[[], Iterator[tuple[str, Treatment]]]
    look: Look
    kept: Sequence[str] = ()

    def dirty(self) -> Iterator[tuple[str, Treatment, bytes]]:
        """Files that hold a value, with their content. ConfigError when one cannot be read."""
        for path, treatment in self.files():
            if path in self.kept:
                continue
            if os.path.getsize(path) > documents.MOST:
                if self._holds(path):
                    yield path, Treatment.LARGE, b""
                continue
            raw = documents.content_of(path)
            if next(iter(self.look(raw)), None) is not None:
                yield path, treatment, raw

    def _holds(self, path: str) -> bool:
        """Whether one of the values stands in a file that is too large to be read whole. OSError."""
        kept = b""
        with open(path, "rb") as file:
            while piece := file.read(PIECE):
                if next(iter(self.look(kept + piece)), None) is not None:
                    return True
                kept = piece[-OVERLAP:]
        return False

    def databases(self) -> list[str]:
        """Every database."""
        return [path for path, treatment in self.files()
                if treatment is Treatment.DATABASE and path.endswith(".sqlite") and os.path.getsize(path)]

    def cells(self) -> tuple[list[Cell], list[str]]:
        """Texts of databases that hold a value, in tables that no credential is read from."""
        found: list[Cell] = []
        trouble: list[str] = []
        for database in self.databases():
            cells, faults = documents.cells_with(database, lambda raw: next(iter(self.look(raw)), None) is not None)
            found += [cell for cell in cells if cell.table not in LIVE_TABLES]
            trouble += faults
        return found, trouble

    def clear(self) -> list[str]:
        """Remove the backups that hold a value, mask what is only kept, write the databases anew. Idempotent; what
        hindered, a line each."""
        cells, trouble = self.cells()
        for cell in cells:
            try:
                documents.write_cell(cell, self.masked_text(cell.text))
            except Refused as error:  # a constraint of its table, for example: the value is told as left
                trouble.append(f"{error.message} (table {cell.table})")
        trouble += [fault for fault in map(documents.compact, self.databases()) if fault]
        for path, treatment, raw in list(self.dirty()):
            if treatment is Treatment.REMOVED:
                os.unlink(path)
            elif treatment is Treatment.MASKED:
                documents.replace_file(path, self.masked(raw))
        return trouble

    def masked(self, raw: bytes) -> bytes:
        """Each value as so many asterisks: what has a length keeps it."""
        data = bytearray(raw)
        for start, end in self.look(raw):
            data[start:end] = b"*" * (end - start)
        return bytes(data)

    def masked_text(self, text: str) -> str:
        """The same of a text."""
        return self.masked(text.encode("utf-8", "surrogateescape")).decode("utf-8", "surrogateescape")

    def left(self) -> list[str]:
        """Files that hold a value still."""
        return [path for path, _, _ in self.dirty()]


def kept_of(path: str) -> tuple[int, SecretValue]:
    """A file's mode and content."""
    return stat.S_IMODE(os.stat(path).st_mode), SecretValue(documents.content_of(path))


def linked(paths: Iterable[str]) -> list[str]:
    """A line for each that has another name, which keeps what stands there now: it may be anywhere, in a backup's
    folder, for example."""
    found = [(path, os.stat(path)) for path in paths]
    return [f"{path}: has {one.st_nlink - 1} other name(s) (hard links) that keep what stood in it: "
            f"find / -xdev -inum {one.st_ino}" for path, one in found if one.st_nlink > 1]


def digest(path: str) -> str:
    """What tells whether a file was changed since; empty: it is not there."""
    import hashlib

    if not os.path.exists(path):
        return ""
    return base64.b64encode(hashlib.sha256(documents.content_of(path)).digest()).decode()


def digests(paths: Iterable[str]) -> Mapping[str, str]:
    """Of each."""
    return {path: digest(path) for path in paths}
