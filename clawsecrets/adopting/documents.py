"""OpenClaw's files, changed in place: a field of the configuration, a line of `.env`, a cell of a database."""

from __future__ import annotations

import json
import os
import re
import secrets
import sqlite3
import stat
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from clawsecrets.data import read_regular
from clawsecrets.errors import ConfigError, Refused
from clawsecrets.formats.sqlite_wal import laid_over

MOST = 512 << 20
"""Bytes of a file that is read whole."""
PROFILES: tuple[tuple[str, str], ...] = (("config_machine_state", "value_json"), ("auth_profile_store", ""))
"""Tables with auth profiles, and the column that holds them (empty: whichever does)."""
REFS: Mapping[str, str] = {"key": "keyRef", "token": "tokenRef"}
_QUOTED = {"'": re.compile(rb"'[^']*'"), '"': re.compile(rb'"(?:[^"\\]|\\.)*"', re.DOTALL)}
_FITS = {"": re.compile(r"[A-Za-z0-9_./:@%+,=-]+"), "'": re.compile(r"[^']*"), '"': re.compile(r'[^"\\$`]*')}
"""Quotes -> what everybody who reads an environment file reads alike in them."""
_HEAD = re.compile(rb"^[ \t]*(?:export[ \t]+)?([A-Za-z_][A-Za-z0-9_.-]*)[ \t]*=", re.MULTILINE)


class Cell(NamedTuple):
    """One text of a database."""

    database: str
    table: str
    row: int
    column: str
    text: str


def replace_file(path: str, content: bytes, mode: int | None = None) -> None:
    """Durably, whole or not at all, with the mode and owner that it has (or `mode`, and its folder's owner). A link
    stays, and what it leads to is replaced. OSError."""
    path = os.path.realpath(path)
    there = os.path.exists(path)
    try:
        found = os.stat(path)
        mode = stat.S_IMODE(found.st_mode) if mode is None else mode
    except FileNotFoundError:
        found = os.stat(os.path.dirname(path))  # one that comes back belongs to whom its folder does
    owner = (found.st_uid, found.st_gid)
    draft = f"{path}.{secrets.token_hex(4)}.new"
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with open(handle, "wb") as file:
            file.write(content)
            file.flush()
            if owner != (os.geteuid(), os.getegid()) and (there or os.geteuid() == 0):
                os.fchown(file.fileno(), *owner)
            os.fchmod(file.fileno(), 0o600 if mode is None else mode)
            os.fsync(file.fileno())
        os.replace(draft, path)
    except OSError:
        os.unlink(draft)
        raise
    folder = os.open(os.path.dirname(path) or ".", os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def content_of(path: str) -> bytes:
    """ConfigError when it cannot be read."""
    try:
        return read_regular(Path(path), MOST)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}", "adopt it as the user that owns it") from None


def at(document: Any, path: Collection[str | int]) -> Any:
    """What stands there; None: nothing."""
    for part in path:
        try:
            document = document[part]
        except (KeyError, IndexError, TypeError):
            return None
    return document


def put(document: Any, path: tuple[str | int, ...], value: Any) -> None:
    """Set a field whose parent is there; None takes it out."""
    parent = at(document, path[:-1])
    if not isinstance(parent, dict | list):
        return
    if isinstance(parent, list):
        parent[int(path[-1])] = value
    elif value is None:
        parent.pop(str(path[-1]), None)
    else:
        parent[str(path[-1])] = value


def make_parents(document: Any, path: Collection[str | int]) -> None:
    """The tables that a field stands in, where they are not there any more."""
    for part in list(path)[:-1]:
        if not isinstance(document, dict):
            return
        document = document.setdefault(str(part), {})


def without_variables(raw: bytes, names: Collection[str]) -> bytes:
    """A `.env` without the assignments of these variables, over all of their lines; everything else as it stands."""
    kept, last = [], 0
    for start, end, name in _assignments(raw):
        if name in names:
            kept.append(raw[last:start])
            last = end
    return b"".join([*kept, raw[last:]])


def with_variables(raw: bytes, before: bytes, names: Collection[str]) -> bytes:
    """A `.env` with the assignments that `before` has of these variables, at its end; those that it has stay as they
    are."""
    there = {name for _, _, name in _assignments(raw)}
    lines = [before[start:end] for start, end, name in _assignments(before) if name in names and name not in there]
    for line in lines:
        raw += (b"\n" if raw and not raw.endswith(b"\n") else b"") + line
    return raw


def with_values(raw: bytes, wanted: Callable[[str, str], str | None],
                read: Callable[[bytes], Mapping[str, str]]) -> bytes:
    """A `.env` in which every assignment has the value that `wanted` gives for its variable and value (None: it
    stays). `read` says what a text of this kind assigns. Refused, with the variable, where one cannot be written."""
    before = read(raw)
    made, last, expected = b"", 0, dict(before)
    for start, end, name in _assignments(raw):
        stood = read(raw[start:end]).get(name)
        new = wanted(name, stood) if stood is not None else None
        if new is None or new == stood:
            continue
        made += raw[last:start] + _assigned(raw[start:end], name, new, read)
        last = end
        if before.get(name) == stood:  # the last assignment of a name counts
            expected[name] = new
    made += raw[last:]
    if read(made) != expected:
        raise Refused("a value cannot be written there", "put it there by hand, then run this again")
    return made


def assignment(name: str, value: str, read: Callable[[bytes], Mapping[str, str]]) -> bytes:
    """A line of a `.env`. Refused as above."""
    return _assigned(name.encode() + b"=\n", name, value, read)


def _assigned(line: bytes, name: str, value: str, read: Callable[[bytes], Mapping[str, str]]) -> bytes:
    """An assignment with another value, in the quotes that it has if they can hold it. What follows them stays."""
    head = _HEAD.match(line)
    begin = len(line) - len(line[head.end() if head else 0:].lstrip(b" \t"))
    quote = line[begin:begin + 1].decode("ascii", "replace")
    if quote in ("'", '"'):
        closed = _QUOTED[quote].match(line, begin)
        end = closed.end() if closed else begin
    else:
        quote = ""
        bare = re.match(rb"(?:(?![ \t]#)[^\r\n])*", line[begin:])
        end = begin + len(bare.group().rstrip(b" \t") if bare else b"")
    for mark, fits in sorted(_FITS.items(), key=lambda one: one[0] != quote):
        if fits.fullmatch(value):
            made = line[:begin] + f"{mark}{value}{mark}".encode() + line[end:]
            if read(made).get(name) == value:
                return made
    raise Refused(f"{name} cannot be written as a line of an environment file: no quotes can hold its value",
                  "put it there by hand, then run this again")


def _assignments(raw: bytes) -> Iterator[tuple[int, int, str]]:
    """Every assignment of a `.env`: where it begins, where its last line ends, its variable."""
    inside = 0
    for match in _HEAD.finditer(raw):
        if match.start() >= inside:  # else in the middle of a quoted value
            inside = _end(raw, match.end())
            yield match.start(), inside, match.group(1).decode()


def _end(raw: bytes, begin: int) -> int:
    """Where an assignment's last line ends."""
    rest = raw[begin:].lstrip(b" \t")
    at_quote = len(raw) - len(rest)
    quote = rest[:1]
    if quote in (b"'", b'"'):
        closed = _QUOTED[quote.decode()].match(raw, at_quote)
        if closed:
            begin = closed.end()
    newline = raw.find(b"\n", begin)
    return len(raw) if newline < 0 else newline + 1


# --- databases ------------------------------------------------------------------------------------------------------


def profile_cells(database: str) -> Iterator[Cell]:
    """The cells that hold auth profiles. ConfigError where it cannot be read, Refused where it is damaged."""
    with _told(database), closing(_opened(database, write=False)) as connection:
        for table, column in PROFILES:
            if not connection.execute("SELECT 1 FROM sqlite_master WHERE type='table' AND name=?", (table,)).fetchone():
                continue
            rows = connection.execute(f"SELECT rowid, * FROM {table}")  # noqa: S608 (from the table above)
            names = [one[0] for one in rows.description][1:]
            for row in rows:
                for name, text in zip(names, row[1:], strict=True):
                    if isinstance(text, str) and (not column or name == column) and '"profiles"' in text:
                        yield Cell(database, table, row[0], name, text)


def write_cell(cell: Cell, text: str) -> None:
    """Put another text there. Refused where another program has the database locked."""
    with _told(cell.database), closing(_opened(cell.database, write=True)) as connection, connection:
        connection.execute(f'UPDATE "{cell.table}" SET "{cell.column}"=? WHERE rowid=?',  # noqa: S608 (from the schema)
                           (text, cell.row))


def cells_with(database: str, dirty: Callable[[bytes], bool]) -> tuple[list[Cell], list[str]]:
    """Texts of ordinary tables in which one of the values stands; and what could not be looked at."""
    found: list[Cell] = []
    trouble: list[str] = []
    with _told(database), closing(_opened(database, write=False)) as connection:
        tables = connection.execute("SELECT name, sql FROM sqlite_master WHERE type='table'").fetchall()
        virtual = [name for name, sql in tables if (sql or "").upper().startswith("CREATE VIRTUAL")]
        for table, sql in tables:
            shadow = table in virtual or any(table.startswith(f"{one}_") for one in virtual)
            if shadow or "WITHOUT ROWID" in (sql or ""):
                continue
            try:
                rows = connection.execute(f'SELECT rowid, * FROM "{table}"')  # noqa: S608 (from the schema)
                names = [one[0] for one in rows.description][1:]
                for row in rows:
                    for column, text in zip(names, row[1:], strict=True):
                        if isinstance(text, str) and dirty(text.encode("utf-8", "surrogatepass")):
                            found.append(Cell(database, table, row[0], column, text))
            except sqlite3.Error as error:
                trouble.append(f"{database}: table {table}: {error}")
    return found, trouble


def compact(database: str) -> str:
    """Write the log into the file, and the file anew, so that nothing deleted stays in it. Empty, or what hindered."""
    try:
        with closing(_opened(database, write=True)) as connection:
            connection.execute("PRAGMA secure_delete=ON")
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            connection.execute("VACUUM")
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    except sqlite3.Error as error:
        return f"{database}: {error}"
    return ""


@contextmanager
def _told(database: str) -> Iterator[None]:
    """A database's own refusal, in our words: it is locked, the disk is full, it is damaged."""
    try:
        yield
    except sqlite3.Error as error:
        raise Refused(f"{database}: {error}",
                      "end what uses it, see that the disk has room, then run it again") from None


def _opened(database: str, *, write: bool) -> sqlite3.Connection:
    """To write: the database itself. To read: what it holds now, in memory, so that nobody is disturbed."""
    database = os.path.realpath(database)  # its log stands beside the file itself
    if write:
        connection = sqlite3.connect(f"{Path(database).absolute().as_uri()}?mode=rw", uri=True, timeout=10.0,
                                     isolation_level=None)
    else:
        log = content_of(f"{database}-wal") if os.path.exists(f"{database}-wal") else b""
        data = bytearray(laid_over(content_of(database), log))
        if data[18:20] == b"\2\2":
            data[18:20] = b"\1\1"  # write-ahead mode: asks for files beside it
        connection = sqlite3.connect(":memory:")
        if data:
            connection.deserialize(bytes(data))
    connection.text_factory = lambda raw: raw.decode("utf-8", "surrogateescape")
    return connection


def refers(field: Any, provider: str, name: str) -> bool:
    """Whether a field is the SecretRef of this secret."""
    return isinstance(field, dict) and (field.get("provider"), field.get("id")) == (provider, name)


def with_references(text: str, provider: str, names: Mapping[tuple[str, str], str]) -> str:
    """Auth profiles with SecretRefs for the fields (profile, field) that `names` has a secret for."""
    document = json.loads(text)
    for (profile, key), name in names.items():
        entry = at(document, ("profiles", profile))
        if isinstance(entry, dict) and isinstance(entry.get(key), str):
            del entry[key]
            entry[REFS[key]] = {"source": "exec", "provider": provider, "id": name}
    return json.dumps(document, separators=(",", ":"), ensure_ascii=False)


def without_references(text: str, before: str, names: Mapping[tuple[str, str], str], provider: str,
                       renewed: Callable[[str, str], str], former: Callable[[str, Any], bool]) -> str:
    """Auth profiles with the values that `before` has, where the SecretRefs of `names` (as in `with_references`) stand
    still. `renewed` gives what is to stand in a value's place, `former` says of which that stands there it is asked."""
    document, older = json.loads(text), json.loads(before)
    for (profile, key), name in names.items():
        entry, value = at(document, ("profiles", profile)), at(older, ("profiles", profile, key))
        if not isinstance(entry, dict):
            continue
        if isinstance(value, str) and refers(entry.get(REFS[key]), provider, name):
            del entry[REFS[key]]
            entry[key] = renewed(name, value)
        elif former(name, entry.get(key)):
            entry[key] = renewed(name, entry[key])
    return json.dumps(document, separators=(",", ":"), ensure_ascii=False)


def put_back(database: str, table: str, column: str, masked: str, text: str) -> None:
    """Put a text into the rows that hold its masked form. Refused as above."""
    with _told(database), closing(_opened(database, write=True)) as connection:
        connection.execute(f'UPDATE "{table}" SET "{column}"=? WHERE "{column}"=?', (text, masked))  # noqa: S608
