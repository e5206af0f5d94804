"""What OpenClaw keeps in its state folder, and who reads it. Paths are relative to that folder.

Measured on OpenClaw 2026.9.6: `openclaw secrets audit` looks at none of the backups, and `apply` and `config set` write
every older configuration, with all that stood in it, beside the new one.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Iterator
from enum import StrEnum
from fnmatch import fnmatch


class Role(StrEnum):
    """What a file is to OpenClaw."""

    CONFIG = "configuration"
    INCLUDED = "included configuration"
    """Its paths are not those of the whole."""
    ENV = "environment file"
    DATABASE = "database"
    LOG = "a database's write-ahead log"
    CATALOG = "model catalogue"
    CREDENTIALS = "credentials"
    BACKUP = "backup"
    RETIRED = "retired file"
    OTHER = "kept file"


LIVE = frozenset({Role.CONFIG, Role.INCLUDED, Role.ENV, Role.CATALOG, Role.CREDENTIALS})
"""Read when the gateway starts, or while it runs."""
LIVE_TABLES = frozenset({"config_machine_state", "auth_profile_store", "secret_store_entries", "mcp_oauth_stores"})
"""Tables of the databases that the gateway takes credentials from."""
BULK = frozenset({"workspace", "sandboxes", "node_modules", "extensions", "npm", "tmp", "cache", "browser", "media"})
"""Folders in which no credential is read: what agents and plugins put there is for `clawsecrets scan`."""

_ABSENT = (FileNotFoundError, NotADirectoryError)
_PATTERNS: tuple[tuple[str, Role], ...] = (
    ("openclaw.json", Role.CONFIG),
    ("openclaw.json.*", Role.BACKUP),
    (".env", Role.ENV),
    (".env.*", Role.BACKUP),
    ("*.sqlite", Role.DATABASE),
    ("*.sqlite-wal", Role.LOG),
    ("*.sqlite-shm", Role.LOG),
    ("agents/*/agent/models.json", Role.CATALOG),
    ("agents/*/agent/plugins/*/catalog.json", Role.CATALOG),
    ("agents/*/agent/auth*.json", Role.RETIRED),
    ("agents/*/agent/auth*.json.*", Role.RETIRED),
    ("credentials/*.bak", Role.BACKUP),
    ("credentials/*", Role.CREDENTIALS),
    ("*.bak", Role.BACKUP),
    ("*.bak.*", Role.BACKUP),
    ("*.migrated-*", Role.RETIRED),
    ("*.json5", Role.CONFIG),
)


def role(relative: str) -> Role:
    """What the file at this path is."""
    found = next((role for pattern, role in _PATTERNS if fnmatch(relative, pattern)), Role.OTHER)
    return Role.OTHER if found is Role.CONFIG and "/" in relative else found


def files(folder: str, *, bulk: bool, unlisted: Callable[[OSError], None]) -> Iterator[tuple[str, str]]:
    """Every regular file below the folder: its path and its path from there. What is linked into it belongs to it, each
    folder once; in the folders in BULK links are not followed. `bulk`: those folders too. `unlisted` is told of
    everything that may not be listed or looked at; its error names it."""
    top = os.fspath(folder)
    seen: set[tuple[int, int]] = set()
    waiting = [top]
    while waiting:
        for where, folders, names in walk(waiting.pop(0), unlisted):
            if _again(where, seen, unlisted):
                folders.clear()
                continue
            if where == top and not bulk:
                folders[:] = [name for name in folders if not _is_bulk(name)]
            folders.sort()
            relative = os.path.relpath(where, top)
            follow = not _is_bulk(relative.split(os.sep, 1)[0])
            waiting += [path for path in (os.path.join(where, name) for name in folders if not _is_bulk(name) or
                                          where != top) if follow and os.path.islink(path)
                        and not _leads_out(path, top, unlisted)]
            for name in sorted(names):
                path = os.path.join(where, name)
                if _is_file(path, os.path.normpath(os.path.join(relative, name)), unlisted, follow=follow):
                    yield path, os.path.normpath(os.path.join(relative, name))


def _is_bulk(name: str) -> bool:
    return name in BULK or name.startswith("workspace-")


def _again(folder: str, seen: set[tuple[int, int]], unlisted: Callable[[OSError], None]) -> bool:
    """Whether the folder was gone through already, by another name."""
    try:
        found = os.stat(folder)
    except OSError as error:
        unlisted(error)
        return True
    again = (found.st_dev, found.st_ino) in seen
    seen.add((found.st_dev, found.st_ino))
    return again


def _leads_out(link: str, top: str, unlisted: Callable[[OSError], None]) -> bool:
    """Whether it leads to a folder that holds this one, or to the kernel's own files: `unlisted` is told."""
    target = os.path.realpath(link)
    if os.path.commonpath([target, os.path.realpath(top)]) == target != os.path.realpath(top) or \
            target.startswith(("/proc/", "/sys/", "/dev/")):
        unlisted(OSError(errno.ELOOP, "it is a link that leads out of the folder", link))
        return True
    return False


def _is_file(path: str, relative: str, unlisted: Callable[[OSError], None], *, follow: bool) -> bool:
    """Whether it is a regular file. `unlisted` is told of one that OpenClaw knows, and that is a FIFO or a device."""
    try:
        mode = os.stat(path, follow_symlinks=follow).st_mode
    except OSError as error:
        if not isinstance(error, _ABSENT) and error.errno != errno.ELOOP:  # a link to itself holds nothing
            unlisted(error)
        return False
    if not stat.S_ISREG(mode) and follow and role(relative) is not Role.OTHER:
        unlisted(_irregular(path))
    return stat.S_ISREG(mode)


def _irregular(path: str) -> OSError:
    return OSError(errno.EINVAL, "it is not a regular file", path)


def walk(folder: str, unlisted: Callable[[OSError], None]) -> Iterator[tuple[str, list[str], list[str]]]:
    """os.walk. `unlisted` is told of folders that may not be listed; of one that is not there nobody is."""

    def fault(error: OSError) -> None:
        if not isinstance(error, _ABSENT):
            unlisted(error)

    return os.walk(folder, onerror=fault)


def regular(path: str, unseen: Callable[[OSError], None], *, named: bool = False) -> bool:
    """Whether it is a regular file. `unseen` is told where this user may not know; with `named` (a person or a unit
    names it) also where it is a folder, FIFO or device."""
    try:
        mode = os.stat(path).st_mode
    except _ABSENT:
        return False
    except OSError as error:
        unseen(error)
        return False
    if named and not stat.S_ISREG(mode):
        unseen(_irregular(path))
    return stat.S_ISREG(mode)
