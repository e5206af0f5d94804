"""Where the parts of a repository are, found by reading its own folder: no git is run, and nothing in it is obeyed
beyond the layout that gitrepository-layout(5) gives (`.git` files, `commondir`, `objects/info/alternates`)."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from clawsecrets.data import absent, regular
from clawsecrets.errors import Incomplete, UsageError
from clawsecrets.model.finding import Skipped

_SMALL = 1 << 20
_KNOWN_EXTENSIONS = frozenset({"noop", "noop-v1", "objectformat", "partialclone", "preciousobjects",
                               "worktreeconfig", "compatobjectformat", "relativeworktrees"})
"""Of `extensions.*`: those that change nothing about where refs and objects are, or that are handled."""
_LINKS = 5
"""As deep as git follows alternates of alternates."""


class Layout(NamedTuple):
    """A repository's parts."""

    top: Path
    """What is scanned: the working tree's root, or the bare repository."""
    gitdir: Path
    """`.git`; of a linked worktree, its own part of it."""
    common: Path
    """What all worktrees share: objects, refs, config."""
    stores: tuple[Path, ...]
    """Object folders: the repository's own, then alternates."""
    width: int = 20
    """Bytes of an object id."""
    shallow: bool = False
    partial: bool = False
    """Whether its config says that objects may be missing because a remote has them."""
    owner: int = 0
    """The user id of `gitdir`."""
    skipped: tuple[Skipped, ...] = ()

    @property
    def worktrees(self) -> tuple[Path, ...]:
        """The gitdirs of the main working tree and of all linked ones."""
        linked = self.common / "worktrees"
        return (self.common, *sorted(path for path in listed(linked) if path.is_dir()))


def listed(folder: Path) -> list[Path]:
    """What stands in a folder; nothing when there is none. Another OSError escapes."""
    try:
        return sorted(folder.iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return []


def is_repository(folder: Path) -> bool:
    """Whether it looks like a git folder: as git itself decides. A PermissionError escapes."""
    head = folder / "HEAD"
    shared = folder / "commondir"
    if not (head.is_symlink() or head.is_file()):
        return False
    return shared.is_file() or ((folder / "objects").is_dir() and (folder / "refs").is_dir())


def find(path: Path, other_stores: bool = False) -> Layout:
    """The repository at `path`, or the one that `path` is inside of.

    `other_stores`: the operator allows alternates outside of the repository. UsageError when nothing is at `path`,
    Incomplete when it is no repository or cannot be read."""
    if absent(path):
        raise UsageError(f"{path}: there is no such file or folder", "check the path")
    try:
        return _found(Path(os.path.realpath(path)), other_stores)
    except OSError as error:
        raise Incomplete(f"cannot read the repository {path}: {error.strerror}",
                         "run the scan as a user who may read it") from error
    except ValueError:  # a NUL where a path stands
        raise Incomplete(f"{path} is no repository: its `.git` or `commondir` is damaged", "see `git fsck`") from None


def _found(path: Path, other_stores: bool) -> Layout:
    if not path.exists():
        raise Incomplete(f"there is no {path}", "give the folder of a repository")
    for folder in (path, *path.parents):
        dot = folder / ".git"
        if dot.is_file():
            return _read(folder, _pointed(dot), other_stores)
        if dot.is_dir() and is_repository(dot):
            return _read(folder, dot, other_stores)
        if is_repository(folder):
            return _read(folder, folder, other_stores)
        if dot.exists():
            raise Incomplete(f"{dot} is no repository: HEAD, objects or refs is missing", "see `git fsck`")
    raise Incomplete(f"{path} is no git repository, nor inside of one", "`clawsecrets scan path` scans plain files")


def _pointed(dot: Path) -> Path:
    """Where a `.git` file points, if what is there points back (a linked worktree) or is a submodule's folder."""
    text = small(dot).strip()
    target = Path(os.path.realpath(dot.parent / os.fsdecode(text.removeprefix(b"gitdir:").strip())))
    if not text.startswith(b"gitdir:") or not is_repository(target):
        raise Incomplete(f"{dot} points to no repository", "give the repository's own folder")
    back = target / "gitdir"
    if back.is_file() and os.path.realpath(target / os.fsdecode(small(back).strip())) == os.path.realpath(dot):
        return target
    if "modules" in target.parts and any(target.is_relative_to(up / ".git" / "modules") for up in dot.parent.parents):
        return target
    raise Incomplete(f"{dot} points to {target}, which does not belong to it",
                     "if that is the repository that you mean, give that folder itself")


def _read(top: Path, gitdir: Path, other_stores: bool) -> Layout:
    shared = gitdir / "commondir"
    common = Path(os.path.realpath(gitdir / os.fsdecode(small(shared).strip()))) if shared.is_file() else gitdir
    config = settings(common / "config")
    extensions = {key.partition(".")[2] for key in config if key.startswith("extensions.")}
    skipped = [Skipped(f"extensions.{name}", "this extension of git's format is not known here: not all may have been"
                       " read") for name in sorted(extensions - _KNOWN_EXTENSIONS)]
    stores = [Path(os.path.realpath(common / "objects"))]
    if not stores[0].is_dir():
        raise Incomplete(f"{common} has no objects folder", "see `git fsck`")
    waiting = os.path.realpath(os.environ.get("GIT_QUARANTINE_PATH", ""))
    if Path(waiting).is_relative_to(stores[0]) and waiting != str(stores[0]):
        stores.append(Path(waiting))  # a pre-receive hook: what is pushed waits there
    _alternates(stores, (top, common), other_stores, skipped)
    _regular(stores)
    skipped += _leftovers(stores[0])
    partial = "extensions.partialclone" in config or any(
        key.startswith("remote.") and key.endswith((".promisor", ".partialclonefilter")) for key in config)
    return Layout(
        top, gitdir, common, tuple(stores), 32 if config.get("extensions.objectformat", "").lower() == "sha256" else 20,
        (common / "shallow").is_file() and bool(small(common / "shallow").strip()), partial, gitdir.stat().st_uid,
        tuple(skipped),
    )


def _regular(stores: list[Path]) -> None:
    """Incomplete where a pack or an index is no file: who reads it could wait for ever."""
    for store in stores:
        for path in listed(store / "pack"):
            if path.suffix in (".pack", ".idx") and path.exists() and not path.is_file():
                raise Incomplete(f"{path} is no file", "see `git fsck`")


def nested(common: Path) -> Iterator[Path]:
    """The repositories of submodules, and of theirs, that stand in a repository's own folder."""
    waiting = [common / "modules"]
    while waiting:
        for path in listed(waiting.pop()):
            if not path.is_dir() or path.is_symlink():
                continue
            if is_repository(path):
                yield path
                waiting.append(path / "modules")
            else:
                waiting.append(path)  # a submodule's name may have slashes


def _leftovers(store: Path) -> Iterator[Skipped]:
    """What a killed git left in the making in a repository's own folder: whole objects may stand in it. In a hook such
    folders are those of pushes that are going on."""
    hook = bool(os.environ.get("GIT_QUARANTINE_PATH") or os.environ.get("GIT_OBJECT_DIRECTORY"))
    for path in listed(store):
        if path.name.startswith("tmp_objdir") and not hook:
            yield Skipped(f"objects in {path}", "a killed push left them; `git gc --prune=now` clears them")
        elif len(path.name) == 2 and path.is_dir():
            yield from (Skipped(str(one), "a killed git left it half written; `git gc --prune=now` clears it")
                        for one in path.glob("tmp_obj_*"))
        elif path.name == "pack" and not hook:
            yield from (Skipped(str(one), "git writes this pack, or was killed at it; `git gc --prune=now` clears it")
                        for pattern in ("tmp_pack_*", ".tmp-*-pack-*.pack") for one in path.glob(pattern))


def _alternates(stores: list[Path], inside: tuple[Path, ...], allowed: bool, skipped: list[Skipped]) -> None:
    """Follow `info/alternates`, also those of alternates."""
    level = list(stores)
    for _ in range(_LINKS):
        following: list[Path] = []
        for store in level:
            listing = store / "info" / "alternates"
            if os.path.lexists(listing) and not listing.is_file():
                skipped.append(Skipped(str(listing), "is no file: which other object folders there are is not known"))
                continue
            for line in small(listing).split(b"\n") if listing.is_file() else []:
                if not line or line.startswith(b"#"):
                    continue
                if b"\0" in line:
                    skipped.append(Skipped(str(listing), "a line is damaged"))
                    continue
                other = Path(os.path.realpath(store / os.fsdecode(line)))
                if other in stores:
                    continue
                if not allowed and not any(other.is_relative_to(folder) for folder in inside):
                    skipped.append(Skipped(f"objects in {other}", "an alternate outside of the repository is read only"
                                           " with --trust-alternates"))
                elif not other.is_dir():
                    skipped.append(Skipped(f"objects in {other}", "the alternate is not there"))
                else:
                    stores.append(other)
                    following.append(other)
        level = following


def owned(layout: Layout, trusted: bool) -> tuple[Skipped, ...]:
    """What to tell when the repository belongs to somebody else, as git itself judges it: nothing of it is believed
    or run here, but that is no reason to be silent. `trusted`: the operator said that it is fine."""
    mine = {os.geteuid()}
    if os.geteuid() == 0 and os.environ.get("SUDO_UID", "").isdigit():
        mine.add(int(os.environ["SUDO_UID"]))
    others = {layout.owner, layout.top.stat().st_uid} - mine
    if trusted or not others:
        return ()
    return (Skipped(f"{layout.gitdir}", f"dubious ownership: it belongs to user {min(others)}, who could change it"
                    " while it is read; it was scanned, and --trust-owner says that this is fine"),)


def small(path: Path) -> bytes:
    """A file that ought to be small: at most 1 MiB of it."""
    with regular(path) as file:
        return file.read(_SMALL)


def settings(path: Path) -> Mapping[str, str]:
    """A git config file as `section.key` or `section.subsection.key` -> last value, names in lower case. Includes are
    not followed, quotes and comments only as far as the settings need that are asked here."""
    found: dict[str, str] = {}
    section = ""
    for line in (small(path) if path.is_file() else b"").decode("utf-8", "replace").splitlines():
        line = line.strip()
        if line.startswith("["):
            name, _, rest = line[1:].partition("]")
            head, _, sub = name.partition(" ")
            section = head.strip().lower() + ("." + sub.strip().strip('"').lower() if sub.strip() else "")
            line = rest.strip()
        if line and line[0] not in "#;" and section:
            key, _, value = line.partition("=")
            found[f"{section}.{key.strip().lower()}"] = value.partition("#")[0].partition(";")[0].strip().strip('"')
    return found
