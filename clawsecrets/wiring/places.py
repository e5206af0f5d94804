"""What a scan looks at: the order's words -> sources."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from clawsecrets.errors import ClawError, UsageError
from clawsecrets.model.late import late

if TYPE_CHECKING:
    from clawsecrets.scan.pipeline import Told
    from clawsecrets.scan_ports import Source
    from clawsecrets.wiring.caching import Caching
    from clawsecrets.wiring.scanning import Order

COMPOSE = ("compose.yaml", "compose.yml", "docker-compose.yml", "docker-compose.yaml")
_IMAGE = late(r"^\s+image:\s*[\"']?([^\s\"'#]+)", re.MULTILINE)
_DEFAULT = late(r"\$\{[A-Za-z_]\w*:?-([^}]*)\}")


class Places:
    """Opens what is to be scanned. `stack` closes it again after the scan."""

    def __init__(self, order: Order, chosen: Callable[[str], bool], told: Told, caching: Caching | None,
                 stack: ExitStack) -> None:
        self.order, self.chosen, self.told, self.caching, self.stack = order, chosen, told, caching, stack

    def sources(self) -> Sequence[Source]:
        """The sources, opened as far as is needed to say that they cannot be. ClawError."""
        kind, what = self.order.kind, self.order.what
        if kind == "git":
            return self.gits(what[0] if what else ".")
        if kind == "image":
            return [self.image(name) for name in what]
        if kind == "path":
            return [path_source(self.order, what or (".",), self.chosen)]
        if kind == "host":
            return [host_source(self.chosen)]
        if kind == "stdin":
            from clawsecrets.sources.stream import Interruptible, StreamSource

            return [StreamSource(Interruptible(sys.stdin.fileno()).read)]
        return self.here()

    def gits(self, what: str) -> list[Source]:
        """A repository, and those of its submodules that stand in its own folder."""
        found = [self.git(what)]
        order = self.order
        if order.staged or order.since or order.commits or order.branch or order.no_history or "://" in what:
            return found
        from clawsecrets.sources.git.inside import Inside
        from clawsecrets.sources.git.layout import find, nested

        layout = find(Path(what))
        return found + [Inside(self.git(str(path)), os.path.relpath(path, layout.top))
                        for path in nested(layout.common)]

    def git(self, what: str) -> Source:
        """One repository. UsageError, Incomplete."""
        order = self.order
        path = Path(what)
        if "://" in what and not path.exists():
            from clawsecrets.sources.git.remote import cloned

            self.told.say("cloning the repository")  # not its URL, which may have credentials
            path = self.stack.enter_context(cloned(what, file=True))
        if order.staged:
            from clawsecrets.sources.git.staged import StagedSource

            return StagedSource(path, alternates=order.trust_alternates, trust_owner=order.trust_owner)
        narrow = None
        if order.since or order.commits or order.branch or order.no_history:
            from clawsecrets.sources.git.narrow import Narrow

            narrow = Narrow(order.since, order.commits, order.branch, order.no_history)
        if self.caching is not None:
            return self.caching.git(path, narrow=narrow, alternates=order.trust_alternates,
                                    trust_owner=order.trust_owner)
        from clawsecrets.sources.git.source import GitSource

        return GitSource(path, narrow=narrow, alternates=order.trust_alternates, trust_owner=order.trust_owner)

    def image(self, name: str) -> Source:
        """One image, or what an archive holds. UsageError, Incomplete."""
        from clawsecrets.sources.image.opening import Opening

        if self.caching is not None:
            return Opening(os.environ, lambda: sys.stdin.buffer, seen=self.caching.layer).open(name)
        return Opening(os.environ, lambda: sys.stdin.buffer).open(name)

    def here(self) -> Sequence[Source]:
        """The repository with its history, the working tree, and the images of compose files where an engine
        answers."""
        top = _top(os.getcwd())
        root = top or "."
        found = self.gits(top) if top is not None else []
        found.append(path_source(self.order, (root,), self.chosen, beside=top is not None))
        images = sorted({*_images(root), *_images(".")})
        return [*found, *self.composed(images)] if images else found

    def composed(self, names: Sequence[str]) -> Iterator[Source]:
        """Images that compose files name, from the engines here: nobody asks a registry because a file says so."""
        from clawsecrets.clients.docker import engines
        from clawsecrets.errors import NotFound
        from clawsecrets.model.finding import Skipped
        from clawsecrets.sources.absent import Absent

        there = list(engines())
        for name in names:
            faults: list[Skipped] = []
            for engine in there:
                try:
                    yield self.image(f"{engine}://{name}")
                    break
                except NotFound:
                    continue
                except ClawError as error:
                    faults.append(Skipped(f"image {name}", error.message))
            else:
                why = "of a compose file: no engine here has it" if there else "of a compose file: no engine is here"
                yield Absent(faults or [Skipped(f"image {name}", why, by_choice=True)])


def path_source(order: Order, roots: Sequence[str], chosen: Callable[[str], bool], *, beside: bool = False) -> Source:
    """Files and folders. `beside`: the repository that the one root has is another source."""
    from clawsecrets.sources.files import FileSource

    if not order.no_ignored:
        return FileSource(roots, chosen, beside=beside)
    if len(roots) != 1:
        raise UsageError("--no-ignored takes one folder", "scan several one after the other")
    from clawsecrets.sources.git.worktree import unignored

    return FileSource(roots, chosen, listed=unignored(Path(roots[0])))


def host_source(chosen: Callable[[str], bool]) -> Source:
    """This host, as far as this user may look."""
    import pwd

    from clawsecrets.clients.docker import engines
    from clawsecrets.sources.host import HostSource
    from clawsecrets.sources.places import usual

    homes = {os.path.expanduser("~")}
    if os.geteuid() == 0:
        homes |= {entry.pw_dir for entry in pwd.getpwall() if entry.pw_dir.count("/") > 1 or entry.pw_uid == 0}
    return HostSource(usual([home for home in sorted(homes) if home != "/"], os.environ), engines(), chosen)


def _top(folder: str) -> str | None:
    """The nearest folder upwards with a `.git`, without asking git."""
    while not os.path.lexists(os.path.join(folder, ".git")):
        if folder == (folder := os.path.dirname(folder)):
            return None
    return folder


def _images(root: str) -> Iterable[str]:
    """Images that the compose files of a folder name."""
    from clawsecrets.data import read_regular

    for name in COMPOSE:
        try:
            text = read_regular(Path(root, name), 1 << 20).decode("utf-8", "replace")
        except OSError:
            continue
        for image in _IMAGE.findall(text):
            image = _DEFAULT.sub(r"\1", image)
            if "$" not in image:
                yield image
