"""The SQLite file: its tables, how it is opened, and its errors in words. No crypto here."""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import quote

from clawsecrets.errors import ClawError, StoreBusy, StoreError, StoreMissing, UsageError
from clawsecrets.stores.faults import SPACE, damaged, disk_full, io_failed
from clawsecrets.stores.files import require_private_file, require_private_folder

APPLICATION_ID = 0x434C4157
"""`CLAW`: shown by file(1) tools."""
MAX_BLOB_BYTES = 1 << 26
"""No row is longer; a damaged length field must not make us ask for gigabytes."""

SCHEMA = (
    "CREATE TABLE meta (key TEXT PRIMARY KEY, value BLOB NOT NULL) STRICT, WITHOUT ROWID",
    "CREATE TABLE slots (id INTEGER PRIMARY KEY, kind TEXT NOT NULL, params BLOB NOT NULL, wrapped BLOB NOT NULL)"
    " STRICT",
    "CREATE TABLE manifest (id INTEGER PRIMARY KEY CHECK (id = 1), sealed BLOB NOT NULL) STRICT",
    "CREATE TABLE heads (name TEXT PRIMARY KEY, revision INTEGER NOT NULL, deleted INTEGER NOT NULL,"
    " digest BLOB NOT NULL) STRICT, WITHOUT ROWID",
    "CREATE TABLE bodies (name TEXT PRIMARY KEY, sealed BLOB NOT NULL) STRICT",
    "CREATE TABLE vals (name TEXT NOT NULL, number INTEGER NOT NULL, wrapped BLOB NOT NULL, sealed BLOB NOT NULL,"
    " PRIMARY KEY (name, number)) STRICT, WITHOUT ROWID",
    "CREATE TABLE history (name TEXT NOT NULL, position INTEGER NOT NULL, sealed BLOB NOT NULL,"
    " PRIMARY KEY (name, position)) STRICT, WITHOUT ROWID",
    "CREATE TABLE leases (name TEXT PRIMARY KEY, holder TEXT NOT NULL, epoch INTEGER NOT NULL, expires REAL NOT NULL,"
    " boot TEXT NOT NULL, pid INTEGER NOT NULL, started TEXT NOT NULL, mac BLOB NOT NULL) STRICT, WITHOUT ROWID",
    "CREATE TABLE audit (seq INTEGER PRIMARY KEY, event BLOB NOT NULL, mac BLOB NOT NULL) STRICT",
)

_BUSY = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED})
_IO = {
    sqlite3.SQLITE_FULL: ("the disk is full", SPACE),
    sqlite3.SQLITE_READONLY: ("it cannot be written", "it is read-only here: reading works, changing does not"),
    sqlite3.SQLITE_IOERR: ("the disk reports an error", "check the disk; nothing of this command was kept"),
    sqlite3.SQLITE_CANTOPEN: ("it cannot be opened", "check that its folder exists and is yours, and has space"),
    sqlite3.SQLITE_PERM: ("it may not be opened", "check the owner of the file and its folder"),
}


@contextmanager
def translated(path: Path) -> Iterator[None]:
    """Turn every SQLite error inside into a StoreError about that file, and text that cannot be stored into a
    UsageError."""
    problem: ClawError | None = None
    try:
        yield
    except (sqlite3.Error, MemoryError, UnicodeDecodeError) as error:  # the last: SQLite quoting damaged names
        problem = _in_words(error, path)
    except UnicodeEncodeError:
        problem = UsageError("a text field holds half a character (a lone surrogate)", "give it as UTF-8 text")
    if problem is not None:
        raise problem from None


def _in_words(error: Exception, path: Path) -> StoreError:
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_CORRUPT) & 0xFF
    if code in _BUSY:
        return StoreBusy(f"another process is writing to {path}", "wait a moment and run the command again")
    if code in _IO:
        if code in (sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN) and disk_full(path.parent):
            code = sqlite3.SQLITE_FULL
        what, hint = _IO[code]
        return StoreError(f"{path}: {what}", hint)
    return damaged(f"{path} is damaged: it is not a whole database any more")


def lay_out(db: sqlite3.Connection) -> None:
    """Make the tables of an empty database."""
    db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    for statement in SCHEMA:
        db.execute(statement)


def connect(path: Path, wait: float) -> tuple[sqlite3.Connection, bool]:
    """An open connection and whether it can write. `wait`: seconds to wait for another writer.

    StoreMissing; StoreLocked when file or folder are open to others; StoreDamaged when it is not our database.
    On a read-only file system the file is read as it is.
    """
    _look(path)
    with translated(path):
        if os.access(path, os.W_OK) and os.access(path.parent, os.W_OK):
            try:
                return _opened(raw_connect(path, "mode=rw", wait), path, writable=True), True
            except sqlite3.OperationalError as error:  # a full disk has no room for the log's index: reading must work
                if getattr(error, "sqlite_errorcode", 0) & 0xFF not in _IO:
                    raise
        return _opened(_connect_read_only(path), path, writable=False), False


def _opened(db: sqlite3.Connection, path: Path, *, writable: bool) -> sqlite3.Connection:
    """The connection once its tables are known to be ours; closed when they are not."""
    try:
        _prepare(db, path, writable)
    except BaseException:
        db.close()
        raise
    return db


def connect_copy(path: Path) -> sqlite3.Connection:
    """A backup file, opened as it is: never written, its modes not looked at. StoreMissing, StoreDamaged."""
    if not path.is_file():
        raise StoreMissing(f"there is no backup at {path}", "give the file that `clawsecrets backup` wrote")
    with translated(path):
        return _opened(raw_connect(path, "mode=ro&immutable=1", 0.0), path, writable=False)


def raw_connect(path: Path, query: str, wait: float) -> sqlite3.Connection:
    """A connection with our settings and nothing looked at yet. sqlite3.Error."""
    uri = f"file:{quote(str(path))}?{query}"
    return _settled(sqlite3.connect(uri, timeout=wait, isolation_level=None, check_same_thread=False, uri=True))


def _settled(db: sqlite3.Connection) -> sqlite3.Connection:
    """The connection with our settings; closed where it is no database, however long the error is kept."""
    try:
        db.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, MAX_BLOB_BYTES)
        for setting in ("trusted_schema = OFF", "cell_size_check = ON", "secure_delete = ON", "synchronous = FULL",
                        "temp_store = MEMORY"):
            db.execute(f"PRAGMA {setting}")
    except BaseException:
        db.close()
        raise
    return db


def _look(path: Path) -> None:
    failed: OSError | None = None
    size = 0
    try:
        size = path.stat().st_size
        require_private_folder(path.parent)
        for part in (path, _beside(path, "-wal"), _beside(path, "-shm")):
            if part.exists():
                require_private_file(part)
    except FileNotFoundError:
        raise StoreMissing(f"there is no store at {path}", "make one with `clawsecrets init`") from None
    except OSError as error:
        failed = error
    if failed is not None:
        raise io_failed("open the store", path, failed)
    if not path.is_file() or size == 0:
        raise damaged(f"{path} is empty or not a file")


def _beside(path: Path, suffix: str) -> Path:
    return path.with_name(path.name + suffix)


def _connect_read_only(path: Path) -> sqlite3.Connection:
    """A connection that needs nothing to be writable. A write-ahead log that a crash left is read with its index
    where that is there, else in a copy in memory."""
    wal = _beside(path, "-wal")
    if not wal.exists() or not wal.stat().st_size:
        return raw_connect(path, "mode=ro&immutable=1", 0.0)
    if _beside(path, "-shm").exists():
        return raw_connect(path, "mode=ro", 0.0)
    return _in_memory(path, wal)


def _in_memory(path: Path, wal: Path) -> sqlite3.Connection:
    """The database with its log applied, in memory. What is copied for a moment is sealed as it is on the disk."""
    failed: OSError | None = None
    content = b""
    try:
        with TemporaryDirectory(prefix="clawsecrets-") as folder:
            copy = Path(folder, "store.db")
            shutil.copyfile(path, copy)
            shutil.copyfile(wal, _beside(copy, "-wal"))
            with closing(raw_connect(copy, "mode=rw", 0.0)) as db:
                db.execute("PRAGMA journal_mode = DELETE").fetchall()
                content = db.serialize()
    except OSError as error:
        failed = error
    if failed is not None:
        raise io_failed("read the write-ahead log beside", path, failed)
    memory = _settled(sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False))
    memory.deserialize(content)
    return memory


def _prepare(db: sqlite3.Connection, path: Path, writable: bool) -> None:
    found = [row[0] for row in db.execute("SELECT sql FROM sqlite_master WHERE sql IS NOT NULL")]
    if sorted(map(str, found)) != sorted(SCHEMA):
        raise damaged(f"{path} is not a clawsecrets store of format 1, or its tables were altered")
    if writable:
        db.execute("PRAGMA journal_mode = WAL")


def rows(db: sqlite3.Connection, types: tuple[type, ...], sql: str, args: Sequence[object] = ()) -> Iterator[Any]:
    """The rows of a query, their types checked (a flipped byte can change a type): StoreDamaged."""
    for row in db.execute(sql, args):
        if tuple(map(type, row)) != types:
            raise damaged("a row has columns of the wrong type")
        yield row


def one(db: sqlite3.Connection, types: tuple[type, ...], sql: str, args: Sequence[object] = ()) -> Any | None:
    """The first row, or None."""
    for row in rows(db, types, sql, args):
        return row
    return None


def rollback(db: sqlite3.Connection) -> None:
    """End the transaction; on a damaged file SQLite may have ended it already."""
    with suppress(sqlite3.Error):
        if db.in_transaction:
            db.execute("ROLLBACK")


def shed_log(db: sqlite3.Connection) -> None:
    """Move the write-ahead log into the file and empty it, so that erased values leave it too. Best effort: a
    reader of another process may hold it, then a later commit does it."""
    with suppress(sqlite3.Error):
        wait = db.execute("PRAGMA busy_timeout").fetchone()[0]
        db.execute("PRAGMA busy_timeout = 0")
        try:
            db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        finally:
            db.execute(f"PRAGMA busy_timeout = {int(wait)}")
