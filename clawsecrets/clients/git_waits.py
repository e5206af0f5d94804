"""What git would wait for: a FIFO or a device where a repository has a file. Git opens what it finds and has no end for
it, so whoever runs git looks here first. Sockets are no danger: they cannot be opened.

Looked at is what git reads without being told to: the files of a gitdir, `refs`, `logs`, `info`, `worktrees` and the
object folders, those of alternates too.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator

_WALKED = ("refs", "logs", "info", "objects", "worktrees")
_LINKED = ("/logs/refs", "/objects/pack")
"""Folders that people put elsewhere, and link to (git-new-workdir)."""
_SMALL = 1 << 20
_LINKS = 5
"""As deep as git follows alternates of alternates."""


def special(gitdir: str | os.PathLike[str]) -> str:
    """The first thing that git would wait for, or that leads it out of the repository; empty when there is none."""
    gitdir = os.fspath(gitdir)
    for folder in dict.fromkeys((gitdir, _common(gitdir))):
        for found in _files(folder):
            return found
        for name in _WALKED:
            for found in _tree(os.path.join(folder, name)):
                return found
        for found in _alternates(os.path.join(folder, "objects"), _LINKS):
            return found
    return ""


def special_in_tree(top: str | os.PathLike[str]) -> str:
    """The same for what git reads in a working tree to know what it ignores: `.gitignore`, and repositories in it."""
    for folder, folders, files in os.walk(top):
        if ".git" in folders:
            folders.remove(".git")
            if found := special(os.path.join(folder, ".git")):
                return found
        if ".gitignore" in files and _waits(path := os.path.join(folder, ".gitignore")):
            return path
    return ""


def _common(gitdir: str) -> str:
    """What all worktrees share."""
    try:
        shared = os.fsdecode(_small(os.path.join(gitdir, "commondir"))).strip()
        return os.path.realpath(os.path.join(gitdir, shared))
    except (OSError, ValueError):
        return gitdir


def _files(folder: str) -> Iterator[str]:
    """What stands in it that is neither file, folder nor socket."""
    for entry in _entries(folder):
        if not entry.is_file(follow_symlinks=False) and not entry.is_dir(follow_symlinks=False) and _waits(entry.path):
            yield entry.path


def _tree(folder: str) -> Iterator[str]:
    """The same in all folders below it; links to folders as well, which could lead anywhere."""
    waiting = [folder]
    while waiting:
        for entry in _entries(waiting.pop()):
            if entry.is_dir(follow_symlinks=False):
                waiting.append(entry.path)
            elif not entry.is_file(follow_symlinks=False):
                if not os.path.isdir(entry.path):
                    if _waits(entry.path):
                        yield entry.path
                elif os.path.realpath(entry.path).endswith(_LINKED) and os.path.dirname(entry.path) == folder:
                    waiting.append(entry.path)
                else:
                    yield entry.path


def _entries(folder: str) -> Iterator[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            yield from entries
    except OSError:
        return


def _small(path: str) -> bytes:
    """A file that ought to be small. OSError."""
    handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
    try:
        return os.read(handle, _SMALL) if stat.S_ISREG(os.fstat(handle).st_mode) else b""
    finally:
        os.close(handle)


def _waits(path: str) -> bool:
    """Whether reading it could wait for ever."""
    try:
        mode = os.stat(path).st_mode
    except OSError:
        return False
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode) or stat.S_ISSOCK(mode))


def _alternates(store: str, level: int) -> Iterator[str]:
    listing = os.path.join(store, "info", "alternates")
    try:
        lines = _small(listing).split(b"\n") if level else []
    except OSError:
        return
    for line in lines:
        if line and line[:1] != b"#" and b"\0" not in line:
            other = os.path.realpath(os.path.join(store, os.fsdecode(line)))
            yield from _tree(other)
            yield from _alternates(other, level - 1)
