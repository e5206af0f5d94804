"""What a scan looks at: the order's words -> sources."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

from clawsecrets.errors import ClawError, UsageError

if TYPE_CHECKING:
    from clawsecrets.ports import Source
    from clawsecrets.scan.pipeline import Told
    from clawsecrets.wiring.scanning import Order

COMPOSE = ("compose.yaml", "compose.yml", "docker-compose.yml", "docker-compose.yaml")
_IMAGE = re.compile(r"^\s+image:\s*[\"']?([^\s\"'#]+)", re.MULTILINE)
_DEFAULT = re.compile(r"\$\{[A-Za-z_]\w*:?-([^}]*)\}")


def sources_of(order: Order, chosen: Callable[[str], bool], told: Told) -> Sequence[Source]:
    """The sources, opened as far as is needed to say that they cannot be. ClawError."""
    if order.kind == "git":
        return [git_source(order, order.what[0] if order.what else ".", told)]
    if order.kind == "image":
        return [image_source(name, told) for name in order.what]
    if order.kind == "path":
        return [path_source(order, order.what or (".",), chosen)]
    if order.kind == "host":
        return [host_source(chosen)]
    if order.kind == "stdin":
        from clawsecrets.sources.stream import StreamSource

        return [StreamSource(sys.stdin.buffer.read)]
    return here(order, chosen, told)


def git_source(order: Order, what: str, told: Told) -> Source:
    """One repository. UsageError, Incomplete."""
    from pathlib import Path

    from clawsecrets.sources.git.source import GitSource

    return GitSource(Path(what), alternates=order.trust_alternates)


def image_source(name: str, told: Told) -> Source:
    """One image, or what an archive holds. UsageError, Incomplete."""
    from clawsecrets.sources.image.opening import Opening

    return Opening(os.environ, lambda: sys.stdin.buffer).open(name)


def path_source(order: Order, roots: Sequence[str], chosen: Callable[[str], bool]) -> Source:
    """Files and folders."""
    from clawsecrets.sources.files import FileSource

    if not order.no_ignored:
        return FileSource(roots, chosen)
    if len(roots) != 1:
        raise UsageError("--no-ignored takes one folder", "scan several one after the other")
    from clawsecrets.sources.git.worktree import unignored

    return FileSource(roots, chosen, listed=unignored(roots[0]))


def host_source(chosen: Callable[[str], bool]) -> Source:
    """This host, as far as this user may look."""
    import pwd

    from clawsecrets.clients.docker import engines
    from clawsecrets.sources.host import HostSource
    from clawsecrets.sources.places import usual

    if os.geteuid() == 0:
        homes = sorted({entry.pw_dir for entry in pwd.getpwall() if entry.pw_dir.count("/") > 1 or entry.pw_uid == 0})
    else:
        homes = [os.path.expanduser("~")]
    return HostSource(usual([home for home in homes if home != "/"], os.environ), engines(), chosen)


def here(order: Order, chosen: Callable[[str], bool], told: Told) -> Sequence[Source]:
    """The repository with its history, the working tree, and the images of compose files where an engine answers."""
    top = _top(os.getcwd())
    found: list[Source] = []
    if top is not None:
        found.append(git_source(order, top, told))
    root = top or "."
    found.append(path_source(order, (root,), chosen))
    images = sorted(_images(root))
    if not images:
        return found
    from clawsecrets.clients.docker import engines

    answering = engines()
    for name in images if answering else ():
        try:
            found.append(image_source(name, told))
        except ClawError as error:
            told.say(f"image {name} is not looked at: {error.message}")
    return found


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
            text = read_regular(_path(root, name), 1 << 20).decode("utf-8", "replace")
        except OSError:
            continue
        for image in _IMAGE.findall(text):
            image = _DEFAULT.sub(r"\1", image)
            if "$" not in image:
                yield image


def _path(root: str, name: str):  # type: ignore[no-untyped-def]
    from pathlib import Path

    return Path(root) / name
