"""Refs and reflogs, read by ourselves: names, what they point to, and which are broken. Names are an attacker's bytes:
what is shown of them is valid text."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from clawsecrets.data import regular
from clawsecrets.model.finding import Skipped
from clawsecrets.sources.git.layout import Layout

_ID = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")
_LOG = re.compile(rb"^([0-9a-f]{40,64}) ([0-9a-f]{40,64}) ", re.MULTILINE)
_PASSING = ("ORIG_HEAD", "MERGE_HEAD", "CHERRY_PICK_HEAD", "REVERT_HEAD", "REBASE_HEAD", "AUTO_MERGE")
_LARGE = 256 << 20

CLASSES = ("branch", "tag", "remote", "pull", "stash", "notes", "ref", "reflog")
"""How something can be reached, the most telling first (then: index, dangling)."""
_PREFIXES = (("refs/heads/", "branch"), ("refs/tags/", "tag"), ("refs/remotes/", "remote"), ("refs/pull/", "pull"),
             ("refs/merge-requests/", "pull"), ("refs/pull-requests/", "pull"), ("refs/changes/", "pull"),
             ("refs/stash", "stash"), ("refs/notes/", "notes"))


class Refs:
    """What points into the object database."""

    def __init__(self) -> None:
        self.tips: dict[str, str] = {}
        """Name -> object id (hexadecimal): refs, HEADs that are no branch's."""
        self.logged: dict[str, set[str]] = {}
        """Name of a reflog -> ids in it."""
        self.skipped: list[Skipped] = []


def kind(name: str) -> str:
    """How a ref of this name is called: one of CLASSES."""
    for prefix, word in _PREFIXES:
        if name.startswith(prefix):
            return word
    return "branch" if name.endswith("HEAD") and "refs/" not in name else "ref"


def shown(raw: str | bytes) -> str:
    """A name as text that can be shown: what is no UTF-8 and what controls a terminal is replaced."""
    text = raw.decode("utf-8", "replace") if isinstance(raw, bytes) else os.fsencode(raw).decode("utf-8", "replace")
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in text)


def read(layout: Layout, there: Callable[[Sequence[str]], Sequence[bool]]) -> Refs:
    """All refs and reflogs of a repository and its worktrees. `there`: which objects are in the database; a ref
    to one that is not is broken."""
    refs = Refs()
    _packed(layout.common / "packed-refs", refs)
    gitdirs = {layout.common, layout.gitdir, *layout.worktrees}
    for gitdir in sorted(gitdirs):
        _loose(gitdir, layout, refs)
        _one(gitdir / "HEAD", _local(gitdir / "HEAD", layout), refs.tips, refs)
        for name in _PASSING:  # left by commands, gone with the next one: no better than a reflog
            passing: dict[str, str] = {}
            _one(gitdir / name, name, passing, refs)
            refs.logged.setdefault(name, set()).update(passing.values())
        _logs(gitdir, layout, refs)
    names = sorted(refs.tips)
    for name, found in zip(names, there([refs.tips[name] for name in names]), strict=True):
        if not found:
            target = refs.tips[name]
            refs.skipped.append(Skipped(f"ref {shown(name)}", f"it points to {target}, which is not there"))
            del refs.tips[name]
    return refs


def _local(path: Path, layout: Layout) -> str:
    """The name of a ref by its file: of a worktree's own, with the worktree's name before it."""
    return os.path.relpath(path, layout.common)


def _packed(path: Path, refs: Refs) -> None:
    try:
        with regular(path) as file:
            lines = file.read(_LARGE).split(b"\n")
    except FileNotFoundError:
        return
    except OSError as error:
        refs.skipped.append(Skipped("packed-refs", f"cannot be read: {error.strerror}"))
        return
    for line in lines:
        if line[:1] in (b"#", b"^", b""):
            continue
        target, _, name = line.partition(b" ")
        if name and _ID.fullmatch(target.decode("ascii", "replace")):
            refs.tips[os.fsdecode(name.rstrip(b"\r"))] = target.decode()
        else:
            refs.skipped.append(Skipped("packed-refs", f"a line is damaged: {shown(line[:80])}"))


def _walk(folder: Path, refs: Refs) -> Iterator[Path]:
    def failed(error: OSError) -> None:
        if not isinstance(error, FileNotFoundError):
            refs.skipped.append(Skipped(f"{error.filename}", f"cannot be read: {error.strerror}"))

    for parent, folders, files in os.walk(folder, onerror=failed):
        folders.sort()
        for name in sorted(files):
            yield Path(parent, name)


def _loose(gitdir: Path, layout: Layout, refs: Refs) -> None:
    for path in _walk(gitdir / "refs", refs):
        if not path.name.endswith(".lock"):
            _one(path, _local(path, layout), refs.tips, refs)


def _one(path: Path, name: str, tips: dict[str, str], refs: Refs) -> None:
    """A file that holds an id, or the name of another ref (which is read as itself)."""
    try:
        with regular(path) as file:
            text = file.read(4096).decode("ascii", "replace").strip()
    except FileNotFoundError:
        return
    except OSError as error:
        refs.skipped.append(Skipped(f"ref {shown(name)}", f"cannot be read: {error.strerror}"))
        return
    first = text.split()[0] if text else ""
    if _ID.fullmatch(first):
        tips[name] = first
    elif not text.startswith("ref:"):
        refs.skipped.append(Skipped(f"ref {shown(name)}", "it is broken: neither an id nor another ref's name"))


def _logs(gitdir: Path, layout: Layout, refs: Refs) -> None:
    for path in _walk(gitdir / "logs", refs):
        try:
            with regular(path) as file:
                found = _LOG.findall(file.read(_LARGE))
        except OSError as error:
            refs.skipped.append(Skipped(f"reflog {shown(path.name)}", f"cannot be read: {error.strerror}"))
            continue
        name = os.path.relpath(path, gitdir / "logs")
        ids = {one.decode() for pair in found for one in pair if one.strip(b"0")}
        refs.logged.setdefault(name, set()).update(ids)


def by_target(refs: Refs, peel: Callable[[bytes], bytes]) -> Mapping[bytes, list[tuple[str, str]]]:
    """Object id -> (class, name) of what points to it, tags followed to what they name."""
    found: dict[bytes, list[tuple[str, str]]] = {}
    for name, target in refs.tips.items():
        way = kind(name), name
        pointed = bytes.fromhex(target)
        found.setdefault(pointed, []).append(way)
        if (peeled := peel(pointed)) != pointed:
            found.setdefault(peeled, []).append(way)
    for name, targets in refs.logged.items():
        word = "stash" if name == "refs/stash" else "reflog"
        for target in targets:
            found.setdefault(bytes.fromhex(target), []).append((word, name))
    return found
