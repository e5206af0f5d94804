"""What the person named -> a source.

    -                             an archive on standard input
    PATH                          an archive of `docker save` (compressed or not), an OCI layout: folder or archive;
                                  also with skopeo's words before it: docker-archive:, oci-archive:, oci:, dir:
    docker://NAME  podman://NAME  that engine
    registry://HOST/NAME:TAG      a registry
    NAME                          the engine that has it; else the registry that the name begins with
"""

from __future__ import annotations

import hashlib
import os
import re
import stat
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from clawsecrets.errors import ClawError, Incomplete, NotFound, UsageError
from clawsecrets.formats import tar
from clawsecrets.sources.image.blobs import Archive, Blobs, Folder, Readable, Window
from clawsecrets.sources.image.inspected import Inspected
from clawsecrets.sources.image.reading import passed
from clawsecrets.sources.image.source import HEAD, ImageSource, Seen, nothing
from clawsecrets.sources.image.stream import PassingImage

if TYPE_CHECKING:
    from clawsecrets.clients.docker import Engine
    from clawsecrets.scan_ports import Source
    from clawsecrets.sources.image.catalog import Catalog

def _engines(environ: Mapping[str, str], engine: str) -> Mapping[str, Engine]:
    from clawsecrets.clients.docker import engines  # not imported for a file: HTTP takes its time

    return engines(environ, engine)


_WORDS = ("docker-archive:", "oci-archive:", "oci:", "dir:")
_HOST = re.compile(r"(?:localhost|[^/]*[.:][^/]*)/")
"""A name begins with a registry's host when its first part could be no user's name."""


@dataclass(frozen=True)
class Opening:
    """How images are found. `stdin`: what `-` is read from."""

    environ: Mapping[str, str]
    stdin: Callable[[], Readable] | None = None
    seen: Seen = nothing
    helper: str = ""
    """The credential helper that the operator wants to be asked."""
    engines: Callable[[Mapping[str, str], str], Mapping[str, Engine]] = _engines

    def open(self, name: str) -> Source:
        """The source of one image. UsageError, NotFound, Incomplete when there is nothing to look at."""
        if name == "-":
            return self._stream()
        scheme, separator, rest = name.partition("://")
        if separator:
            return self._addressed(scheme, rest)
        word = next((word for word in _WORDS if name.startswith(word)), "")
        if word or os.path.lexists(name):
            return self._path(name[len(word):])
        if name.startswith(("/", ".", "~")):
            raise UsageError(f"{name}: there is no such file or folder", "check the path")
        return self._named(name)

    def _addressed(self, scheme: str, name: str) -> Source:
        if scheme in ("docker", "podman"):
            return self._engine(scheme, name)
        if scheme == "registry":
            return self._registry(name)
        raise UsageError(f"{scheme}:// is no place of images", "docker://, podman://, registry://, or a path")

    def _stream(self) -> Source:
        if self.stdin is None:
            raise UsageError("there is no standard input to read an image from", "give a path")
        return PassingImage("<stdin>", self.stdin, seen=self.seen)

    # --- files ------------------------------------------------------------------------------------------------------

    def _path(self, path: str) -> Source:
        try:
            mode = os.stat(path).st_mode
        except OSError as error:
            raise UsageError(f"{path}: {os.strerror(error.errno or 0).lower()}", "check the path") from None
        if stat.S_ISDIR(mode):
            return self._folder(path)
        if not stat.S_ISREG(mode):
            return PassingImage(path, lambda: open(path, "rb", buffering=0), seen=self.seen)
        window = _opened(path)
        if not window.size:
            raise Incomplete(f"{path}: it is empty", "an image that was not written to its end?")
        if not tar.valid(passed(window, HEAD)):
            window.close()
            return PassingImage(path, lambda: _opened(path), seen=self.seen)
        return ImageSource(path, Archive(window, path), self.seen)

    def _folder(self, path: str) -> Source:
        blobs = Folder(path)
        files = blobs.files()
        if "index.json" in files or ("manifest.json" in files and "version" not in files):
            return ImageSource(path, blobs, self.seen)
        if "manifest.json" in files:  # skopeo's dir: blobs lie beside their manifest
            return ImageSource(path, blobs, self.seen, follow=_dir(blobs), blob=lambda digest: digest.partition(":")[2])
        raise Incomplete(f"{path}: it has no index.json and no manifest.json",
                         "give an OCI layout; for any folder there is `scan path`")

    # --- engines ----------------------------------------------------------------------------------------------------

    def _engine(self, kind: str, name: str) -> Source:
        from clawsecrets.clients import podman

        found = self.engines(self.environ, kind).get(kind)
        if found is not None:
            return self._saved(found, name)
        if kind == "podman" and podman.installed():
            return self._podman(name)
        raise Incomplete(f"no {kind} answers here", f"start {kind}, name its socket in "
                         f"{'CONTAINER_HOST' if kind == 'podman' else 'DOCKER_HOST'}, or give an image as a file")

    def _saved(self, engine: Engine, name: str) -> Source:
        facts = engine.image(name)  # NotFound
        layers, known = _layers(facts), _identity(engine, name, facts)
        if layers and all(self.seen(layer) for layer in layers):  # the engine has checked that they are what they say
            inspected = Inspected({**facts, "history": engine.history(name)}, name)
            return ImageSource(name, inspected, self.seen, follow=inspected.follow, cached=len(layers), known=known)
        return PassingImage(name, lambda: engine.save([name]), sparse=True, seen=self.seen, known=known)

    def _podman(self, name: str) -> Source:
        from clawsecrets.clients import podman

        if not podman.knows(name):
            raise NotFound("podman has no such image", "see `podman images`")
        return PassingImage(name, lambda: podman.Saved(name), sparse=True, seen=self.seen)

    def _named(self, name: str) -> Source:
        from clawsecrets.clients import podman

        engines = self.engines(self.environ, "")
        faults: list[ClawError] = []
        for engine in engines.values():
            try:
                return self._saved(engine, name)
            except NotFound:
                continue
            except ClawError as error:
                faults.append(error)
        if "podman" not in engines and podman.installed() and podman.NAME.match(name) and podman.knows(name):
            return self._podman(name)
        if faults:
            raise faults[0]
        if _HOST.match(name):
            return self._registry(name)
        if engines or podman.installed():
            raise NotFound(f"{name}: no engine here has such an image, and there is no such file",
                           "pull it, or write registry://HOST/NAME:TAG")
        raise Incomplete(f"{name}: no engine answers here, and there is no such file",
                         "start docker or podman, give a file, or write registry://HOST/NAME:TAG")

    # --- registries -------------------------------------------------------------------------------------------------

    def _registry(self, name: str) -> Source:
        from clawsecrets.clients.registry import Reference, Repository, login
        from clawsecrets.sources.image.remote import Remote

        reference = Reference.parse(name)
        remote = Remote(Repository(reference, login(reference.host, self.environ, self.helper)))
        source = ImageSource(name, remote, self.seen, follow=remote.follow, blob=lambda digest: digest)
        source.catalog()  # it is there, and we may read it
        return source


def _identity(engine: Engine, name: str, facts: Mapping[str, Any]) -> str:
    """By the image's id (the digest of its configuration, or in containerd's store of its manifest or index; each names
    all layers, image-spec), and by the names that `save` writes beside it."""
    ident = str(facts.get("Id") or "")
    if not re.fullmatch(r"sha256:[0-9a-f]{64}", ident):
        return ""
    names = [sorted(map(str, facts.get(which) or ())) for which in ("RepoTags", "RepoDigests")]
    return hashlib.blake2b(repr((engine.name, name, ident, names)).encode("utf-8", "surrogatepass"),
                           digest_size=16).hexdigest()


def _layers(facts: Mapping[str, Any]) -> list[str]:
    """diffIDs of an engine's image; none when it does not tell them."""
    rootfs = facts.get("RootFS")
    found = rootfs.get("Layers") if isinstance(rootfs, dict) else None
    return [layer for layer in found if isinstance(layer, str)] if isinstance(found, list) else []


def _dir(blobs: Blobs) -> Callable[[Catalog], bool]:
    def follow(catalog: Catalog) -> bool:
        data = catalog.get("manifest.json")
        if data is not None:
            catalog.manifest("manifest.json", data)
        return data is not None

    return follow


def _opened(path: str) -> Window:
    handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    return Window(handle, 0, os.fstat(handle).st_size, owned=True)
