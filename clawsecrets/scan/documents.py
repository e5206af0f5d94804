"""Texts of files that are no archives and no plain text: databases, compiled Python, PDF, office documents."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import BinaryIO

from clawsecrets.formats import markup, pdf, pyc, sqlite
from clawsecrets.formats.bounds import Budget
from clawsecrets.formats.sniff import sniff
from clawsecrets.scan.derived import Derived

_CHUNK = 4 << 20
_HEAD = 512


@dataclass(slots=True)
class Table:
    """Rows of a table, as text: a line for each row, `column=value` with tabs between, as the values stand there."""

    name: str
    first: int
    """Number of its first row, from 1."""
    text: bytes = b""
    rows: list[int] = field(default_factory=list)
    """Lines of the text at which rows begin, from 1."""
    files: list[tuple[str, bytes]] = field(default_factory=list)
    """Cells that are containers themselves: `row/column`, and the cell."""


def tables(file: BinaryIO, size: int, budget: Budget, most: int) -> Iterator[Table]:
    """The tables of a database, in parts of a few mebibytes. Raises what `sqlite.rows` does."""
    table = Table("", 1)
    parts: list[bytes] = []
    length = line = number = 0
    try:
        for name, cells in sqlite.rows(file, size, budget, most):
            if name != table.name or length > _CHUNK:
                if parts:
                    table.text = b"".join(parts)
                    yield table
                number = number if name == table.name else 0
                table, parts, length, line = Table(name, number + 1), [], 0, 1
            number += 1
            row = b"\t".join([column.encode() + b"=" + value for column, value in cells]) + b"\n"
            for column, value in cells:
                if len(value) > 32 and sniff(value[:_HEAD]):
                    table.files.append((f"{number}/{column}", value))
            table.rows.append(line)
            line += row.count(b"\n")
            length += len(row)
            parts.append(row)
    finally:
        table.text = b"".join(parts)
    if parts:
        yield table


def compiled(data: bytes) -> list[Derived]:
    """The strings of a compiled Python file, a line each."""
    parts: list[bytes] = []
    starts: list[int] = []
    origins: list[int] = []
    at = 0
    for start, end in pyc.strings(data):
        # what stands before a string, its length, looks like a part of it: not here, where a newline does
        parts += b"\n", data[start:end]
        starts += at, at + 1
        origins += 0, start
        at += 1 + end - start
    return [Derived(b"".join(parts), "pyc", starts, origins, 1)] if parts else []


def pages(data: bytes, budget: Budget) -> Iterator[Derived]:
    """The streams of a PDF file. Raises what `pdf.streams` does."""
    for start, text in pdf.streams(data, budget):
        yield Derived(text, "pdf", (0,), (start,))


def document(data: bytes) -> list[Derived]:
    """The text of an XML part of an office document."""
    text, starts, origins = markup.text(data)
    return [Derived(text, "xml", starts, origins, 1)] if text else []
