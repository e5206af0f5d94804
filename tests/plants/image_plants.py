"""Images with one invented token in each place where an image can hide one, and where it must be found.

`built(engine, …)` makes them with the real engines; `Layout` and `legacy` put archives together by hand, for what no
engine here writes: attestations, several platforms, dangling blobs, archives before and after engine 25.
"""

from __future__ import annotations

import fnmatch
import gzip
import hashlib
import io
import json
import os
import random
import string
import subprocess
import tarfile
import zlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.real.docker import BASE, Dockerd

INDEX = "application/vnd.oci.image.index.v1+json"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar"

_random = random.Random("image plants")


def token() -> str:
    """An invented token, another one each time."""
    return "plant" + "".join(_random.choices(string.ascii_letters + string.digits, k=31))


@dataclass(frozen=True)
class Plant:
    """A token, and where it must be found."""

    token: str
    kind: str
    path: str
    """What the path must end in; `*` stands for anything."""
    instruction: str = ""
    """What the layer's instruction must hold."""

    def at(self, path: str) -> bool:
        """Whether it is that path."""
        return fnmatch.fnmatchcase(path, "*" + self.path.replace("[", "[[]"))


def sha256(data: bytes) -> str:
    """The digest of a blob."""
    return "sha256:" + hashlib.sha256(data).hexdigest()


def tar(files: Mapping[str, bytes | str], pax: Mapping[str, Mapping[str, str]] | None = None) -> bytes:
    """A tar archive; a value that is a string is the target of a symbolic link. `pax`: records by member."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.pax_headers = dict((pax or {}).get(name, {}))
            if isinstance(data, str):
                member.type, member.linkname = tarfile.SYMTYPE, data
                archive.addfile(member)
            else:
                member.size = len(data)
                archive.addfile(member, io.BytesIO(data))
    return buffer.getvalue()


def compressed(data: bytes, how: str) -> bytes:
    """A layer as it is stored."""
    if how == "gzip":
        return gzip.compress(data, mtime=0)
    if how == "zstd":
        from backports import zstd

        return zstd.compress(data)
    if how == "estargz":  # one gzip member for each chunk
        return b"".join(gzip.compress(data[at:at + 4096], mtime=0) for at in range(0, len(data), 4096))
    return data


_SUFFIX = {"gzip": "+gzip", "zstd": "+zstd", "estargz": "+gzip", "": ""}


@dataclass
class Layout:
    """An OCI layout, put together blob by blob."""

    files: dict[str, bytes] = field(default_factory=lambda: {"oci-layout": b'{"imageLayoutVersion":"1.0.0"}'})

    def blob(self, data: bytes, media_type: str = LAYER, **more: Any) -> dict[str, Any]:
        """Store it; its descriptor."""
        digest = sha256(data)
        self.files["blobs/" + digest.replace(":", "/")] = data
        return {"mediaType": media_type, "digest": digest, "size": len(data), **more}

    def json(self, value: Any, media_type: str, **more: Any) -> dict[str, Any]:
        """The same of a document."""
        return self.blob(json.dumps(value).encode(), media_type, **more)

    def image(self, layers: Iterable[bytes], config: Mapping[str, Any] | None = None, how: str = "",
              annotations: Mapping[str, str] | None = None, platform: Mapping[str, str] | None = None,
              instructions: Iterable[str] = (), rewritten: Callable[[bytes], bytes] = bytes,
              **more: Any) -> dict[str, Any]:
        """A manifest with its configuration (as `rewritten` makes it) and layers; its descriptor."""
        layers = list(layers)
        steps = list(instructions) or [f"COPY layer{number} /" for number in range(len(layers))]
        whole = {"architecture": "amd64", "os": "linux", **(platform or {}),
                 "rootfs": {"type": "layers", "diff_ids": [sha256(layer) for layer in layers]},
                 "history": [{"created_by": step} for step in steps], **(config or {})}
        manifest = {"schemaVersion": 2, "mediaType": MANIFEST,
                    "config": self.blob(rewritten(json.dumps(whole).encode()), CONFIG),
                    "layers": [self.blob(compressed(layer, how), LAYER + _SUFFIX[how]) for layer in layers],
                    "annotations": dict(annotations or {})}
        if platform is not None:
            more["platform"] = dict(platform)
        return self.json(manifest, MANIFEST, **more)

    def index(self, manifests: Iterable[Mapping[str, Any]], **more: Any) -> bytes:
        """Write index.json."""
        value = {"schemaVersion": 2, "mediaType": INDEX, "manifests": list(manifests), **more}
        self.files["index.json"] = json.dumps(value).encode()
        return self.files["index.json"]

    def nested(self, manifests: Iterable[Mapping[str, Any]], **more: Any) -> dict[str, Any]:
        """An index as a blob; its descriptor."""
        return self.json({"schemaVersion": 2, "mediaType": INDEX, "manifests": list(manifests)}, INDEX, **more)

    def write(self, folder: Path) -> Path:
        """As a folder."""
        for name, data in self.files.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(data)
        return folder

    def archive(self, file: Path) -> Path:
        """As a tar file."""
        file.write_bytes(tar(self.files))
        return file

    def saved(self, file: Path, manifest: Mapping[str, Any], tag: str) -> Path:
        """As engine 25 and later save it: manifest.json beside an OCI layout."""
        found = json.loads(self.files["blobs/" + manifest["digest"].replace(":", "/")])
        path = lambda entry: "blobs/" + entry["digest"].replace(":", "/")  # noqa: E731
        listed = [{"Config": path(found["config"]), "RepoTags": [tag],
                   "Layers": [path(layer) for layer in found["layers"]]}]
        repository, _, name = tag.rpartition(":")
        self.files["manifest.json"] = json.dumps(listed).encode()
        self.files["repositories"] = json.dumps({repository: {name: "0" * 64}}).encode()
        return self.archive(file)


def legacy(file: Path, layers: Mapping[str, bytes], config: Mapping[str, Any] | None = None, tag: str = "old:1",
           more: Mapping[str, bytes | str] | None = None) -> Path:
    """As engines before 25 save it: a folder with json, VERSION and layer.tar for each layer. `layers` by their
    instruction."""
    whole = {"architecture": "amd64", "os": "linux",
             "rootfs": {"type": "layers", "diff_ids": [sha256(layer) for layer in layers.values()]},
             "history": [{"created_by": step} for step in layers], **(config or {})}
    data = json.dumps(whole).encode()
    name = sha256(data).partition(":")[2] + ".json"
    files: dict[str, bytes | str] = {}
    paths = []
    for step, layer in layers.items():
        folder = hashlib.sha256(step.encode()).hexdigest()
        files |= {f"{folder}/VERSION": b"1.0", f"{folder}/json": json.dumps({"id": folder}).encode(),
                  f"{folder}/layer.tar": layer}
        paths.append(f"{folder}/layer.tar")
    files[name] = data
    files |= more or {}
    files["manifest.json"] = json.dumps([{"Config": name, "RepoTags": [tag], "Layers": paths}]).encode()
    file.write_bytes(tar(files))
    return file


# --- git inside a layer -----------------------------------------------------------------------------------------


def loose_object(data: bytes) -> tuple[str, bytes]:
    """(path below .git, content) of a loose blob."""
    whole = b"blob %d\0" % len(data) + data
    name = hashlib.sha1(whole).hexdigest()
    return f"objects/{name[:2]}/{name[2:]}", zlib.compress(whole)


def repository(folder: Path, secret: str, *, packed: bool, tool: Mapping[str, str]) -> None:
    """A git repository whose history holds `secret` in a file that was deleted and, packed, only as a difference."""
    def git(*arguments: str) -> None:
        subprocess.run(["git", "-C", str(folder), "-c", "user.name=A", "-c", "user.email=a@example.org",
                        "-c", "commit.gpgsign=false", *arguments], env={**os.environ, **tool}, check=True,
                       capture_output=True)

    folder.mkdir(parents=True)
    git("init", "-q", "-b", "main")
    lines = [f"line {number} of a long file, {number * number}" for number in range(400)]
    for step, text in enumerate([lines, [*lines[:200], secret, *lines[200:]], [*lines, "the end"]]):
        (folder / "notes.txt").write_text("\n".join(text))
        git("add", ".")
        git("commit", "-q", "-m", f"step {step}")
    (folder / "notes.txt").unlink()
    git("add", "-A")
    git("commit", "-q", "-m", "gone")
    if packed:
        git("gc", "-q", "--aggressive", "--prune=now")


# --- by a real engine ---------------------------------------------------------------------------------------------

TAG = "registry.example.org/team/planted:1"

_DOCKERFILE = """FROM {base}
MAINTAINER {author}
LABEL org.example.note={label}
ENV SERVICE_TOKEN={env}
ARG BUILD_TOKEN
COPY files/ /srv/
RUN rm -r /srv/gone && echo empty > /srv/overwritten && ln -s /nowhere/{link} /srv/link && echo $BUILD_TOKEN > /dev/null
ONBUILD RUN echo {onbuild}
HEALTHCHECK CMD cat {health}
VOLUME /{volume}
WORKDIR /srv/{workdir}
ENTRYPOINT ["/bin/sh", "-c", "{entrypoint}"]
CMD ["--key", "{cmd}"]
USER {user}
"""
_CONFIG = {
    "author": "author", "label": "config.Labels.org.example.note", "env": "config.Env", "onbuild": "config.OnBuild",
    "health": "config.Healthcheck.Test", "volume": "config.Volumes./{}", "workdir": "config.WorkingDir",
    "entrypoint": "config.Entrypoint", "cmd": "config.Cmd", "user": "config.User",
}
_LAYER = {
    "gone": ("srv/gone/key.txt", "COPY"), "overwritten": ("srv/overwritten", "COPY"),
    "plain": ("srv/plain.txt", "COPY"), "name": ("srv/", "COPY"), "link": ("srv/link", "RUN"),
    "loose": ("!/blob", "COPY"), "packed": (".pack!/blob *", "COPY"),
}
DOCKER_ONLY = frozenset({"config.OnBuild", "config.Healthcheck.Test"})
"""Fields that the OCI format has not: a conversion drops them."""


def built(engine: Dockerd, made: Callable[[], str] = token) -> list[Plant]:
    """Build the image `TAG` with the classic builder; the plants in it. `made` makes tokens, another one each time."""
    tokens = {name: made() for name in (*_CONFIG, *_LAYER, "argument", "comment")}
    engine.load_base(message=tokens["comment"])
    context = engine.base / "context"
    files = context / "files"
    (files / "gone").mkdir(parents=True)
    for name in ("gone/key.txt", "overwritten", "plain.txt"):
        (files / name).write_text(f"first line\nkey = {tokens[name.partition('/')[0].partition('.')[0]]}\n")
    (files / f"{tokens['name']}.cfg").write_text("nothing\n")
    for name in ("loose", "packed"):
        repository(files / name, tokens[name], packed=name == "packed", tool=engine.environment())
    (context / "Dockerfile").write_text(_DOCKERFILE.format(base=BASE, **tokens))
    engine.docker("build", "-q", "-t", TAG, "--build-arg", f"BUILD_TOKEN={tokens['argument']}", context)
    plants = [Plant(tokens[name], "image-config", path.format(tokens[name])) for name, path in _CONFIG.items()]
    plants += [Plant(tokens[name], "image-layer", path, made) for name, (path, made) in _LAYER.items()]
    plants.append(Plant(tokens["argument"], "image-config", "].created_by"))
    plants.append(Plant(tokens["comment"], "image-config", "history[0].comment"))
    return plants
