"""`--staged`: what the next commit would bring, for a hook that must not be felt. One git command, no numpy."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from clawsecrets.clients.git import Git
from clawsecrets.model.finding import Content, Coverage, Kind, Place, Provenance, Skipped
from clawsecrets.sources.git.delta import Damaged
from clawsecrets.sources.git.layout import find, owned, small
from clawsecrets.sources.git.objects import Objects

if TYPE_CHECKING:
    from clawsecrets.scan_ports import Notes

_EMPTY = {20: "4b825dc642cb6eb9a060e54bf8d69288fbee4904",
          32: "6ef19b41225c5369f1c104d45d8d85efa9b057b53b14b4b9b939dd74decc5321"}
"""The empty tree: what a first commit is compared with."""
_GITLINK = "160000"
_GONE = "000000"


class StagedSource:
    """The blobs that the index has and HEAD has not, with their names."""

    def __init__(self, path: Path, *, alternates: bool = False, trust_owner: bool = False) -> None:
        """The repository at `path` or around it. UsageError when nothing is there, Incomplete when it is none."""
        self._layout = find(path, alternates)
        self._skipped = owned(self._layout, trust_owner)
        index = os.path.realpath(os.environ.get("GIT_INDEX_FILE", ""))  # `git commit FILE` tells its hook so
        own = Path(index).is_file() and Path(index).is_relative_to(self._layout.gitdir)
        self._git = Git(self._layout.gitdir, self._layout.top, index if own else "")

    def parts(self, workers: int) -> Sequence[StagedSource]:
        """One: there is little to read."""
        return [self]

    def staged(self) -> Iterator[tuple[str, str, str]]:
        """Mode, object id and path of each. Incomplete when git fails."""
        head = "HEAD" if self._born() else _EMPTY[self._layout.width]
        raw = self._git.run("diff-index", "--cached", "--raw", "-z", "--no-abbrev", "--no-ext-diff", "--no-textconv",
                            "--no-renames", head, "--")
        fields = raw.decode("utf-8", "surrogateescape").split("\0")
        for entry, path in zip(fields[::2], fields[1::2], strict=False):
            _, mode, _, name, _ = entry.split(" ")
            if mode not in (_GONE, _GITLINK):
                yield mode, name, path.encode("utf-8", "surrogateescape").decode("utf-8", "replace")

    def _born(self) -> bool:
        """Whether HEAD has a commit. Found without git where that is plain."""
        gitdir, common = self._layout.gitdir, self._layout.common
        head = small(gitdir / "HEAD").decode("utf-8", "replace").strip()
        if not head.startswith("ref:"):
            return True
        name = head[4:].strip()
        if any((folder / name).is_file() for folder in (gitdir, common)):
            return True
        packed = common / "packed-refs"
        return packed.is_file() and f" {name}\n" in packed.read_text("utf-8", "replace")

    def contents(self, notes: Notes) -> Iterator[Content]:
        """Each blob, and all names."""
        objects = Objects(self._layout.stores, self._layout.width)
        count = size = 0
        names = []
        for _, name, path in self.staged():
            names.append(path)
            try:
                data = objects.read(name)[1]
            except (Damaged, OSError) as error:
                reason = error.strerror if isinstance(error, OSError) else str(error)
                notes.skipped(Skipped(path, f"the staged object {name} cannot be read: {reason}"))
                continue
            count, size = count + 1, size + len(data)
            yield Content(data, Place(Kind.GIT_BLOB, name, path))
        objects.close()
        if names:
            yield Content("\n".join(names).encode(), Place(Kind.GIT_NAME, "index"))
        notes.looked(count, size)

    def work(self) -> None:
        """Nobody waits for it."""

    def locate(self, places: Collection[Place]) -> Mapping[Place, Sequence[Provenance]]:
        """All of it is in the index."""
        return {place: [Provenance(place.kind, place.path, reachable="index")] for place in places}

    def coverage(self) -> Coverage:
        """What it is."""
        return Coverage((f"git {self._layout.top} (staged)",), skipped=(*self._layout.skipped, *self._skipped))
