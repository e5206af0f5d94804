"""Adds a target to an existing configuration file, keeping every byte that stands there.

The new table goes to the end as text. Before anything is written, the whole new text is parsed: it must hold what
stood there, unchanged, and the new target. Then the file is replaced atomically, 0600, under a lock on its folder.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import secrets
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from clawsecrets.config.load import load, parse
from clawsecrets.config.paths import Paths
from clawsecrets.config.shape import Config
from clawsecrets.errors import ConfigError

Field = str | bool | int | Sequence[str] | Mapping[str, str]
SECTIONS = ("injectors", "consumers")
_BARE = re.compile(r"[A-Za-z0-9_-]+\Z")


def append_table(file: Path, section: str, name: str, fields: Mapping[str, Field], paths: Paths) -> Config:
    """Add `[section.name]` with `fields` (`kind` among them) to `file`, creating it (0600) where there is none.

    Gives the configuration as it is afterwards. ConfigError, and nothing written, when the table exists already,
    when the file or the new table is wrong, or when the file cannot be written.
    """
    if section not in SECTIONS:
        raise ConfigError(f"[{section}.{name}] cannot be added", f"sections: {', '.join(SECTIONS)}")
    target = Path(os.path.realpath(file))  # a linked configuration file stays a link
    try:
        _make_folders(target.parent)
        with _locked(target.parent):
            return _append(target, section, name, fields, paths)
    except OSError as error:
        fault = error.strerror
    raise ConfigError(f"{file}: cannot be written: {fault}", f"check that you may write in {target.parent}")


def _make_folders(folder: Path) -> None:
    """Every folder that is made is 0700: `mkdir(parents=True)` leaves the modes of the parents to the umask."""
    missing = [path for path in (folder, *folder.parents) if not path.exists()]
    for path in reversed(missing):
        path.mkdir(mode=0o700, exist_ok=True)


def _append(target: Path, section: str, name: str, fields: Mapping[str, Field], paths: Paths) -> Config:
    text = ""
    if target.exists():
        load(target, paths)  # a wrong file is reported before it is touched
        text = target.read_bytes().decode()
    before = tomllib.loads(text.removeprefix("\ufeff"))
    if name in before.get(section, {}):
        raise ConfigError(f"{target}: [{section}.{name}] is there already", "choose another name, or edit the file")
    newline = "\r\n" if "\r\n" in text else "\n"
    gap = "" if not text else newline if text.endswith("\n") else newline * 2
    added = newline.join(_rendered(section, name, fields))
    whole = f"{text}{gap}{added}{newline}"
    config = parse(whole.removeprefix("\ufeff"), str(target), paths)
    _verify(target, before, whole, section, name)
    _replace(target, whole.encode())
    return config


def _verify(target: Path, before: Mapping[str, object], whole: str, section: str, name: str) -> None:
    """Everything that stood there must still stand there, and nothing but the new table besides."""
    after = tomllib.loads(whole.removeprefix("\ufeff"))
    del after[section][name]
    if not after[section] and section not in before:
        del after[section]
    if after != before:
        raise ConfigError(f"{target}: [{section}.{name}] cannot be added at the end", "add it by hand")


def _rendered(section: str, name: str, fields: Mapping[str, Field]) -> Iterator[str]:
    yield f"[{section}.{_key(name)}]"
    for key, value in fields.items():
        yield f"{_key(key)} = {_value(value)}"


def _key(text: str) -> str:
    return text if _BARE.match(text) else _string(text)


def _value(value: Field) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, str):
        return _string(value)
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{_key(key)} = {_string(item)}" for key, item in value.items()) + " }"
    return "[" + ", ".join(_string(item) for item in value) + "]"


def _string(text: str) -> str:
    """A TOML basic string. JSON's escapes are TOML's, but for DEL, which TOML wants escaped."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Two processes that append at once must not lose each other's table."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _replace(target: Path, content: bytes) -> None:
    draft = target.with_name(f".{target.name}.{secrets.token_hex(4)}")
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    try:
        with open(handle, "wb") as out:
            _keep_owner(target, handle)
            out.write(content)
            out.flush()
            os.fsync(handle)
        os.replace(draft, target)
    except BaseException:
        with suppress(FileNotFoundError):
            draft.unlink()
        raise
    folder = os.open(target.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _keep_owner(target: Path, handle: int) -> None:
    """Root that edits a file leaves it to its group."""
    with suppress(FileNotFoundError):
        now = target.stat()
        if os.geteuid() == 0 and (now.st_uid, now.st_gid) != (0, 0):
            os.fchown(handle, now.st_uid, now.st_gid)
