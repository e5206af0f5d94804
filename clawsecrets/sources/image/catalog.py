"""Which layer belongs to which image: what documents refer to, followed from the top, whatever they say.

Fails closed: what is referred to and cannot be had, or not understood, is told. What nobody refers to is found by
whoever holds the files (source.py, stream.py) and read as well.
"""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from clawsecrets.model.finding import Kind, Skipped
from clawsecrets.sources.image import documents
from clawsecrets.sources.image.documents import Descriptor, NotUnderstood

DEPTH = 8
"""Indexes in indexes."""
MOST = 20_000
"""Documents that are followed."""
USES = 64
"""Places of one layer that are remembered."""


class Use(NamedTuple):
    """One place of a layer or a document."""

    image: str = ""
    platform: str = ""
    layer: str = ""
    """diffID, where it is known, else the digest."""
    instruction: str = ""


@dataclass
class Layer:
    """One stored layer, or a blob that may be one."""

    name: str
    """The file that holds it."""
    digest: str = ""
    """What its bytes as they are stored must hash to; empty when nobody says."""
    diff_id: str = ""
    """What its bytes must hash to once they are unpacked, when `digest` is not known."""
    size: int = 0
    """Bytes, as its descriptor says."""
    claimed: bool = False
    """Whether somebody says that it is a layer: then it must be readable as one."""
    encrypted: bool = False
    uses: list[Use] = field(default_factory=list)

    @property
    def key(self) -> str:
        """What its places go by."""
        return self.digest or self.diff_id or self.name


@dataclass
class Text:
    """One document."""

    name: str
    kind: Kind
    data: bytes
    uses: list[Use] = field(default_factory=list)


Get = Callable[[str], bytes | None]
"""A file's bytes, when it is there and no longer than `documents.LARGEST`."""


@dataclass
class Catalog:
    """Fill it by `archive` and `layout` (or `manifest`), then read `layers`, `texts` and `skipped`."""

    get: Get
    real: Callable[[str], str]
    """The file that a name leads to; empty when there is none."""
    blob: Callable[[str], str] = lambda digest: "blobs/" + digest.replace(":", "/")
    """The name of the file of a digest."""
    sparse: bool = False
    """An engine keeps only the platforms it needs of an index: others that are missing are no fault."""
    label: str = ""
    """The image's name where no document tells it."""
    layers: dict[str, Layer] = field(default_factory=dict)
    texts: dict[str, Text] = field(default_factory=dict)
    skipped: list[Skipped] = field(default_factory=list)
    _followed: int = 0

    # --- `docker save` ------------------------------------------------------------------------------------------

    def archive(self) -> bool:
        """Follow manifest.json. False when there is none that can be understood."""
        data = self.get("manifest.json")
        if data is None:
            return False
        try:
            images = documents.listed(documents.parse(data))
        except NotUnderstood:
            self.skipped.append(Skipped("manifest.json", "it is damaged"))
            return False
        self._text("manifest.json", Kind.IMAGE_ANNOTATION, data)
        for image in images[:MOST]:
            self._image(documents.plain(image))
        return True

    def _image(self, image: Mapping[str, Any]) -> None:
        name = next((documents.text(tag) for tag in documents.listed(image.get("RepoTags"))), "") or self.label
        config = documents.text(image.get("Config"))
        paths = [documents.text(path) for path in documents.listed(image.get("Layers"))]
        data = self._fetch(config, f"configuration of {name}") if config else None
        facts = self._config(config, data, name)
        for number, path in enumerate(paths):
            if not (real := self.real(path)):
                self.skipped.append(Skipped(path, "a layer is not there"))
                continue
            digest = _digest_of(real)
            diff_id = facts.diff_ids[number] if number < len(facts.diff_ids) else ""
            use = Use(name, facts.platform, diff_id or digest, _at(facts.instructions, number))
            layer = self._layer(real, digest, use)
            if not digest and documents.is_digest(diff_id):
                layer.diff_id = diff_id
        if data is not None and len(paths) != len(facts.diff_ids):
            self.skipped.append(Skipped(config, "it lists other layers than the manifest"))

    # --- OCI ----------------------------------------------------------------------------------------------------

    def layout(self) -> bool:
        """Follow index.json. False when there is none."""
        data = self.get("index.json")
        if data is None:
            return False
        self._document("index.json", data, Use(self.label), 0)
        return True

    def manifest(self, name: str, data: bytes) -> None:
        """Follow one manifest or index."""
        self._document(name, data, Use(self.label), 0)

    def _document(self, name: str, data: bytes, use: Use, depth: int) -> None:
        try:
            fields = documents.plain(documents.parse(data))
        except NotUnderstood:
            self.skipped.append(Skipped(name, "it is no manifest"))
            fields = {}
        self._text(name, Kind.IMAGE_ANNOTATION, data, use)
        faults: list[str] = []
        if "manifests" in fields:
            self._index(fields, use, depth, faults)
        elif "fsLayers" in fields:
            self._old_manifest(name, fields, use)
        elif documents.annotated(fields):
            self._manifest(fields, use, faults)
        else:
            faults.append("a kind of manifest that is not known")
        self.skipped.extend(Skipped(name, fault) for fault in faults)

    def _index(self, fields: Mapping[str, Any], use: Use, depth: int, faults: list[str]) -> None:
        if depth >= DEPTH:
            faults.append("indexes are nested too deeply")
            return
        if not isinstance(fields["manifests"], list):
            faults.append("its list of manifests is none")
        entries = list(documents.descriptors(fields.get("manifests"), faults))
        there = [entry for entry in entries if self.real(self.blob(entry.digest))]
        for entry in entries:
            self._followed += 1
            if self._followed > MOST:
                faults.append("it refers to too many manifests")
                return
            absent = self.sparse and there and entry not in there and depth > 0
            shown = f"{entry.digest} ({entry.platform or 'manifest'})"
            if absent:
                self.skipped.append(Skipped(shown, "the engine does not keep this platform", by_choice=True))
                continue
            data = self._blob(entry, "a manifest")
            if data is not None:
                name = self.blob(entry.digest)
                image = use.image if depth else (_named(entry.name, use.image))
                self._document(name, data, Use(image, entry.platform or use.platform), depth + 1)

    def _manifest(self, fields: Mapping[str, Any], use: Use, faults: list[str]) -> None:
        facts = documents.configuration(None)
        for entry in documents.descriptors([fields.get("config")] if "config" in fields else [], faults):
            data = self._blob(entry, "a configuration")
            facts = self._config(self.blob(entry.digest), data, use.image, use.platform)
        found = [*documents.descriptors(fields.get("layers"), faults),
                 *documents.descriptors(fields.get("blobs"), faults)]
        for number, entry in enumerate(found):
            diff_id = facts.diff_ids[number] if number < len(facts.diff_ids) else ""
            instruction = _at(facts.instructions, number)
            where = Use(use.image, use.platform or facts.platform, diff_id or entry.digest, instruction)
            self._referred(entry, where)

    def _referred(self, entry: Descriptor, use: Use) -> None:
        name = self.blob(entry.digest)
        if not self.real(name):
            why = "it stands elsewhere (a foreign layer)" if entry.foreign else "it is not there"
            self.skipped.append(Skipped(f"layer {entry.digest}", why))
            return
        layer = self._layer(self.real(name), entry.digest, use, claimed=entry.layer)
        layer.encrypted = layer.encrypted or entry.encrypted
        layer.size = entry.size

    def _old_manifest(self, name: str, fields: Mapping[str, Any], use: Use) -> None:
        """Distribution manifest v2, schema 1: layers newest first, each with its history as text."""
        history = [documents.text(documents.plain(item).get("v1Compatibility"))
                   for item in documents.listed(fields.get("history"))]
        for number, item in enumerate(documents.listed(fields.get("fsLayers"))):
            digest = documents.text(documents.plain(item).get("blobSum"))
            if not documents.is_digest(digest):
                self.skipped.append(Skipped(name, "a layer in it has no digest"))
                continue
            made = _old_instruction(history[number] if number < len(history) else "")
            self._referred(Descriptor(digest, "tar"), Use(use.image, use.platform, digest, made))

    # --- what is found ------------------------------------------------------------------------------------------

    def _config(self, name: str, data: bytes | None, image: str, platform: str = "") -> documents.Configuration:
        facts = documents.configuration(None)
        if data is None:
            return facts
        try:
            facts = documents.configuration(documents.parse(data))
        except NotUnderstood:
            self.skipped.append(Skipped(name, "the configuration is damaged"))
        self._text(self.real(name) or name, Kind.IMAGE_CONFIG, data, Use(image, platform or facts.platform))
        return facts

    def _layer(self, name: str, digest: str, use: Use, claimed: bool = True) -> Layer:
        layer = self.layers.setdefault(name, Layer(name, digest))
        layer.claimed = layer.claimed or claimed
        _add(layer.uses, use)
        return layer

    def _text(self, name: str, kind: Kind, data: bytes, use: Use | None = None) -> None:
        document = self.texts.setdefault(name, Text(name, kind, data))
        if kind is Kind.IMAGE_CONFIG:
            document.kind = kind
        if use is not None:
            _add(document.uses, use)

    def _blob(self, entry: Descriptor, what: str) -> bytes | None:
        if entry.encrypted:
            self.skipped.append(Skipped(entry.digest, f"{what} is encrypted"))
            return None
        return self._fetch(self.blob(entry.digest), f"{what}: {entry.digest}")

    def _fetch(self, name: str, what: str) -> bytes | None:
        data = self.get(name)
        if data is None:
            self.skipped.append(Skipped(what, "it is not there, or larger than any document"))
        return data


def _add(uses: list[Use], use: Use) -> None:
    """Once; the same image under the shorter name that an index has for it is no other image."""
    same = use._replace(image="")
    if len(uses) < USES and use not in uses and \
            not any(known._replace(image="") == same and _same(known.image, use.image) for known in uses):
        uses.append(use)


def _same(known: str, name: str) -> bool:
    return not name or known == name or known.endswith((":" + name, "/" + name)) or name.endswith("/" + known)


def _named(name: str, label: str) -> str:
    """An index's name for an image may be its tag only."""
    if not name or not label or name == label:
        return name or label
    return label if label.endswith(":" + name) else name


def _at(items: Sequence[str], number: int) -> str:
    return items[number] if number < len(items) else ""


def _digest_of(name: str) -> str:
    """The digest that a file's name in a layout states."""
    folder, _, rest = name.partition("/")
    digest = rest.replace("/", ":", 1)
    return digest if folder == "blobs" and documents.is_digest(digest) else ""


def digest_of(name: str) -> str:
    """The digest that a file's name states, empty when it states none: `blobs/sha256/<hex>`, `<hex>.json`,
    `<hex>.tar`, the digest itself."""
    if documents.is_digest(name):
        return name
    found = _digest_of(name)
    stem, ending = posixpath.splitext(name)
    if not found and ending in (".json", ".tar") and documents.is_digest("sha256:" + stem):
        found = "sha256:" + stem
    return found


def _old_instruction(compatibility: str) -> str:
    try:
        fields = documents.plain(documents.parse(compatibility.encode("utf-8", "replace")))
    except NotUnderstood:
        return ""
    parts = documents.listed(documents.plain(fields.get("container_config")).get("Cmd"))
    return documents.instruction(" ".join(documents.text(part) for part in parts))
