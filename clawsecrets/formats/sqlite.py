"""SQLite databases, read as data: no expression of theirs is evaluated.

A hostile database can hold views, triggers, generated columns, virtual tables and broken pages. Only columns that are
stored are selected, from ordinary tables, read-only, with untrusted schema, no extensions, a bound on steps and sizes.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from typing import BinaryIO

from clawsecrets.formats.bounds import Budget
from clawsecrets.formats.errors import Damaged, TooLarge

_STEPS = 10_000
"""Virtual machine steps between two looks at the bound."""
_LOOKS = 200_000
_MOST_COLUMNS, _MOST_SQL, _MOST_TABLES = 2000, 1 << 20, 20_000
SCHEMA = "schema"
_ALLOWED = frozenset((sqlite3.SQLITE_READ, sqlite3.SQLITE_SELECT, sqlite3.SQLITE_PRAGMA))

_FAULTS = (sqlite3.Error, UnicodeError, MemoryError, OverflowError)
"""What the library raises for a damaged database: words and names in it need not be text."""

Cell = tuple[str, bytes]
"""A column and what stands in it: text or a blob. Numbers and NULL are left out."""


def rows(file: BinaryIO, size: int, budget: Budget, most: int) -> Iterator[tuple[str, list[Cell]]]:
    """Every row: its table and its cells. The statements that made the schema come first, as rows of a table called
    `schema`. `most`: bytes of a cell. Damaged (after the rows that could be read), TooLarge."""
    fault: Damaged | TooLarge | None = None
    connection = _opened(file, size, most)
    try:
        _guard(connection)
        names, statements = _schema(connection)
        for cells in statements:
            yield SCHEMA, cells
        for name in names:
            try:
                for row in _table(connection, name):
                    cells = [(column, value if isinstance(value, bytes) else bytes(value)) for column, value in row]
                    budget.count()
                    budget.spend(sum(len(value) for _, value in cells))
                    yield name, cells
            except _FAULTS as error:
                fault = fault or _fault(error)
    except _FAULTS as error:
        fault = _fault(error)
    finally:
        connection.close()
    if fault is not None:
        raise fault


def _fault(error: Exception) -> Damaged | TooLarge:
    if isinstance(error, sqlite3.DataError | MemoryError) or "interrupt" in str(error) or "too big" in str(error):
        return TooLarge("a table of it takes too long to read, or holds something larger than is read")
    return Damaged("the database is damaged")


def _opened(file: BinaryIO, size: int, most: int) -> sqlite3.Connection:
    """A connection to a copy in memory, or, when it is large, to the open file itself."""
    try:
        if size <= most:
            file.seek(0)
            data = bytearray(file.read(size))
            if data[18:20] == b"\2\2":
                data[18:20] = b"\1\1"  # write-ahead mode: asks for files beside it
            connection = sqlite3.connect(":memory:", isolation_level=None)
            connection.deserialize(bytes(data))
        else:
            number = file.fileno()
            connection = sqlite3.connect(f"file:/dev/fd/{number}?mode=ro&immutable=1", uri=True, isolation_level=None)
    except (sqlite3.Error, OverflowError):
        raise Damaged("the database is damaged") from None
    except (OSError, MemoryError):
        raise TooLarge("the database is too large to be opened in memory") from None
    connection.text_factory = bytes
    connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, max(most, 1 << 20))
    connection.setlimit(sqlite3.SQLITE_LIMIT_SQL_LENGTH, _MOST_SQL)
    connection.setlimit(sqlite3.SQLITE_LIMIT_ATTACHED, 0)
    return connection


def _guard(connection: sqlite3.Connection) -> None:
    for statement in ("trusted_schema=OFF", "cell_size_check=ON", "query_only=ON", "mmap_size=0", "temp_store=MEMORY"):
        connection.execute(f"PRAGMA {statement}")
    left = [_LOOKS]

    def step() -> int:
        left[0] -= 1
        return left[0] < 0

    connection.set_progress_handler(step, _STEPS)

    def allow(action: int, *_: object) -> int:
        return sqlite3.SQLITE_OK if action in _ALLOWED else sqlite3.SQLITE_DENY

    connection.set_authorizer(allow)


def _schema(connection: sqlite3.Connection) -> tuple[list[str], list[list[Cell]]]:
    """Names of the ordinary tables, and the statements of everything."""
    names, statements = [], []
    found = connection.execute("SELECT type, name, rootpage, sql FROM sqlite_schema").fetchmany(_MOST_TABLES + 1)
    if len(found) > _MOST_TABLES:
        raise TooLarge(f"it has more than {_MOST_TABLES} tables")
    for kind, name, root, sql in found:
        if isinstance(sql, bytes):
            statements.append([("sql", sql)])
        if kind == b"table" and isinstance(root, int) and root > 0 and isinstance(name, bytes):
            names.append(name.decode("utf-8", "replace"))
    return names, statements


def _table(connection: sqlite3.Connection, name: str) -> Iterator[list[Cell]]:
    quoted = _quoted(name)
    columns = [column.decode("utf-8", "replace") for _, column, _, _, _, _, hidden
               in connection.execute(f"PRAGMA table_xinfo({quoted})") if not hidden][:_MOST_COLUMNS]
    if not columns:
        return
    chosen = ", ".join(_quoted(column) for column in columns)
    for row in connection.execute(f"SELECT {chosen} FROM {quoted} NOT INDEXED"):  # noqa: S608 (quoted)
        yield [(column, value) for column, value in zip(columns, row, strict=True)
               if isinstance(value, bytes) and value]


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""').replace("\0", "") + '"'
