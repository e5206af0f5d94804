"""Compiled rules, kept in the cache folder, so that a start neither reads TOML nor compiles.

The file is `rules-…`, one for each choice of rule files, in a folder that only we, or root, may write to: a line with
format and version, the key, a CRC-32 of the rest, and the rest: plain values (marshal; each bit turned over, since a
scan finds secrets in expressions, too) with the rules less their examples, what was found out about them, and
Hyperscan's database. The key is a hash over names, sizes and times of all files that the rules and the judging code
come from, our version, and Hyperscan's. A file that is somebody else's, has another key, or is damaged is left aside
and written again. Nothing in it can run code, but it could hide a leak: hence the owner and the mode.
"""

from __future__ import annotations

import hashlib
import marshal
import os
import sys
import zlib
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from pathlib import Path

import hyperscan

from clawsecrets import __version__
from clawsecrets.model.finding import Rule
from clawsecrets.scan import gates
from clawsecrets.scan.kept import read_kept, unshared
from clawsecrets.scan.ruleset import Ruleset

NAME = "rules"
_HEAD = b"clawsecrets rules 6\n"
_MOST = 256 << 20
MOST_KEPT = 8
"""Files that stay: each is some 6 MB."""
_TURNED = bytes(range(255, -1, -1))
_HERE = Path(__file__).resolve().parent
CODE = (_HERE, _HERE.parent / "formats", _HERE.parent / "model")
"""Folders of the code that decides what is found."""


def rules_for(files: Sequence[Path], folder: Path, make: Callable[[], Iterable[Rule]]) -> Ruleset:
    """The ruleset of these rule files: from the cache in `folder`, else of the rules that `make` reads, and then kept
    there; without the rules' examples, for which there are the files. A cache that cannot be used or written only costs
    time. What `make` raises escapes; so does the ConfigError for a rule that Hyperscan cannot run."""
    code = [path for place in CODE for path in sorted(place.rglob("*.py"))]
    key = _key([*files, *code])
    found = _load(folder / name(files), key)
    if found is not None:
        return found
    ruleset = Ruleset([rule._replace(examples=(), negative=()) for rule in make()], _content(code))
    _keep(folder / name(files), key, ruleset)
    return ruleset


def name(files: Iterable[Path]) -> str:
    """The cache's file for these rule files: a scan with rules of its own does not take another's place."""
    return f"{NAME}-{zlib.crc32(chr(0).join(map(str, files)).encode('utf-8', 'surrogateescape')):08x}"


def _key(files: Iterable[Path]) -> bytes:
    """Hex. A file that is not there counts as such."""
    seen = [__version__, str(getattr(hyperscan, "__version__", "")), os.uname().machine, sys.version]
    for path in files:
        try:
            at = path.stat()
            seen.append(f"{path}\0{at.st_size}\0{at.st_mtime_ns}\0{at.st_ino}")
        except OSError:
            seen.append(f"{path}\0-")
    return hashlib.blake2b("\n".join(seen).encode("utf-8", "surrogateescape"), digest_size=20).hexdigest().encode()


def _content(code: Iterable[Path]) -> str:
    """A hash of the code itself: the same in every checkout and on every machine."""
    state = hashlib.blake2b(__version__.encode(), digest_size=16)
    for path in code:
        with suppress(OSError):
            state.update(path.name.encode() + b"\0" + path.read_bytes())
    return state.hexdigest()


def _load(path: Path, key: bytes) -> Ruleset | None:
    data = read_kept(path, _MOST, _owners())
    head = _HEAD + key + b"\n"
    if data is None or not data.startswith(head):
        return None
    start = len(head) + 4
    body = memoryview(data)[start:]
    if data[len(head):start] != zlib.crc32(body).to_bytes(4):  # against damage; owner and mode are against malice
        return None
    try:
        plain = marshal.loads(bytes(body).translate(_TURNED))  # noqa: S302  (plain values; only we write it)
        code, hashed, rules, made, compiled, shapes = plain
        ruleset = Ruleset([Rule(*fields) for fields in rules], code, made=made, compiled=compiled, hashed=hashed,
                          shapes=shapes)
        _ = ruleset.database
    except (ValueError, TypeError, EOFError):
        return None
    return ruleset


def _owners() -> tuple[int, int]:
    """Us, and the machine: root made it, as in a container's image."""
    return 0, os.geteuid()


def _keep(path: Path, key: bytes, ruleset: Ruleset) -> None:
    folder = path.parent
    rules = [tuple(rule) for rule in ruleset.rules]
    body = marshal.dumps((ruleset.code, ruleset.hash, rules, ruleset.facts(), ruleset.serialized,
                          gates.gate().serialized)).translate(_TURNED)
    data = b"".join((_HEAD, key, b"\n", zlib.crc32(body).to_bytes(4), body))
    import tempfile

    with suppress(OSError):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not unshared(folder.stat(), _owners()):
            return
        handle, temporary = tempfile.mkstemp(prefix=".rules-", dir=folder)  # 0600
        try:
            with open(handle, "wb") as file:
                file.write(data)
            os.replace(temporary, path)
            for old in sorted(folder.glob(f"{NAME}-*"), key=lambda one: one.stat().st_mtime)[:-MOST_KEPT]:
                old.unlink()
        except OSError:
            with suppress(OSError):
                os.unlink(temporary)
            raise
