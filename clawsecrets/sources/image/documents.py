"""Manifests, indexes and configurations of images: JSON that is not trusted. Pure.

Sources: OCI image-spec 1.1 (image-index.md, manifest.md, config.md, image-layout.md), Docker's image-spec v1.2 and its
distribution manifest v2 schema 1 and 2.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

LARGEST = 32 << 20
"""Bytes of a document that is understood; a larger one is read as a file."""
_DIGEST = re.compile(r"(sha256:[0-9a-f]{64}|sha384:[0-9a-f]{96}|sha512:[0-9a-f]{128})\Z")
_NOP = re.compile(r"^/bin/sh -c #\(nop\)\s*")
_ARGUMENTS = re.compile(r"^\|\d+ .*?(?=/bin/(?:ba)?sh -\w*c )", re.DOTALL)
_SHELL = re.compile(r"^/bin/(?:ba)?sh -\w*c ")
_REMARK = re.compile(r"\s+# buildkit$")
INSTRUCTION = 200
"""Characters of an instruction that are shown."""


class Pairs(list[tuple[str, Any]]):
    """A JSON object with all of its members, those with the same name too."""


class NotUnderstood(Exception):
    """It is no document of an image."""


def parse(data: bytes) -> Any:
    """JSON with objects as `Pairs`. NotUnderstood."""
    try:
        return json.loads(data, object_pairs_hook=Pairs, parse_int=str, parse_float=str)
    except (ValueError, RecursionError):
        raise NotUnderstood from None


def plain(value: Any) -> dict[str, Any]:
    """An object's members by name; empty for anything else."""
    return dict(value) if isinstance(value, Pairs) else {}


def listed(value: Any) -> list[Any]:
    """A list as it is; empty for anything else."""
    return value if isinstance(value, list) and not isinstance(value, Pairs) else []


def text(value: Any) -> str:
    """A string as it is; empty for anything else."""
    return value if isinstance(value, str) else ""


def is_digest(value: str) -> bool:
    """Whether it is a digest that can be checked."""
    return _DIGEST.match(value) is not None


@dataclass(frozen=True)
class Descriptor:
    """A reference to a blob."""

    digest: str
    media_type: str = ""
    platform: str = ""
    name: str = ""
    """The image's name, from the annotations that tools write."""
    urls: tuple[str, ...] = ()
    size: int = 0
    attests: bool = False
    """BuildKit's attestation manifest: of no platform."""

    @property
    def foreign(self) -> bool:
        """Whether its bytes stand elsewhere."""
        return bool(self.urls) or "foreign" in self.media_type or "nondistributable" in self.media_type

    @property
    def encrypted(self) -> bool:
        """Whether it takes a key to read it."""
        return self.media_type.endswith("+encrypted")

    @property
    def layer(self) -> bool:
        """Whether it says that it is a file system layer."""
        return "tar" in self.media_type


def descriptor(value: Any) -> Descriptor:
    """One descriptor. NotUnderstood when it names no digest."""
    fields = plain(value)
    digest = text(fields.get("digest"))
    if not is_digest(digest):
        raise NotUnderstood
    notes = plain(fields.get("annotations"))
    name = text(notes.get("io.containerd.image.name")) or text(notes.get("org.opencontainers.image.ref.name"))
    urls = tuple(text(url) for url in listed(fields.get("urls")))
    attests = text(notes.get("vnd.docker.reference.type")) == "attestation-manifest"
    size = text(fields.get("size"))
    return Descriptor(digest, text(fields.get("mediaType")), platform(fields.get("platform")), name, urls,
                      int(size) if size.isdecimal() and len(size) < 16 else 0, attests)


def descriptors(value: Any, faults: list[str]) -> Iterator[Descriptor]:
    """A list of descriptors; those that cannot be followed are told in `faults`."""
    for item in listed(value):
        try:
            yield descriptor(item)
        except NotUnderstood:
            faults.append("a reference in it has no digest that can be followed")


def platform(value: Any) -> str:
    """`linux/amd64`, `linux/arm/v7`; empty when none is named, or `unknown/unknown`."""
    fields = plain(value)
    parts = [text(fields.get(part)) for part in ("os", "architecture", "variant")]
    shown = "/".join(part for part in parts if part)
    return "" if shown == "unknown/unknown" else shown


@dataclass(frozen=True)
class Configuration:
    """What an image's configuration says about its layers."""

    platform: str
    diff_ids: Sequence[str]
    instructions: Sequence[str]
    """One for each layer; fewer when the history does not fit."""


def configuration(value: Any) -> Configuration:
    """Of a parsed configuration; empty fields when it is none."""
    fields = plain(value)
    diff_ids = [text(item) for item in listed(plain(fields.get("rootfs")).get("diff_ids"))]
    steps = [plain(item) for item in listed(fields.get("history"))]
    made = [instruction(text(step.get("created_by")) or text(step.get("comment"))) for step in steps
            if step.get("empty_layer") is not True]
    return Configuration(platform(value), diff_ids, made if len(made) == len(diff_ids) else [])


def instruction(created_by: str) -> str:
    """An instruction as a Dockerfile would have it, cut, and without build arguments (their values are secrets too
    often)."""
    line = _REMARK.sub("", created_by.strip())
    if _NOP.match(line):
        line = _NOP.sub("", line)
    else:
        line = _ARGUMENTS.sub("", line.removeprefix("RUN "))
        if line.startswith("|"):
            line = "RUN with build arguments"  # where they end cannot be told
        elif _SHELL.match(line):
            line = "RUN " + _SHELL.sub("", line)
    line = "".join(char if char.isprintable() else " " for char in line)
    return line if len(line) <= INSTRUCTION else line[:INSTRUCTION - 1] + "…"


def annotated(value: Mapping[str, Any]) -> bool:
    """Whether an object refers to other blobs: an index or a manifest."""
    return any(key in value for key in ("manifests", "layers", "config", "fsLayers", "blobs"))
