"""Images put together by hand: what no engine here writes, each place with a token, found with its location."""

from __future__ import annotations

import io
import json
import random
import tracemalloc
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from clawsecrets.model.finding import Kind, Provenance
from clawsecrets.sources.image import layers
from clawsecrets.sources.image.opening import Opening
from tests.plants.image_plants import CONFIG, MANIFEST, Layout, compressed, legacy, loose_object, sha256, tar, token
from tests.sources.image_looking import Looked, Seen, look

AMD = {"os": "linux", "architecture": "amd64"}
ARM = {"os": "linux", "architecture": "arm64", "variant": "v8"}


def opened(path: Path, tokens: list[str], workers: int = 2) -> Looked:
    return look(Opening({}).open(str(path)), tokens, workers)


def passed(path: Path, tokens: list[str]) -> Looked:
    """The same archive, as a stream."""
    with path.open("rb") as file:
        return look(Opening({}, lambda: file).open("-"), tokens)


def only(looked: Looked, wanted: str) -> Seen:
    assert looked.skipped == (), looked.reasons
    seen = looked.of(wanted)
    assert len(seen) == 1, seen
    return seen[0]


def provenance(seen: Seen) -> Provenance:
    assert len(seen.provenances) == 1
    return seen.provenances[0]


@pytest.mark.parametrize("how", ["", "gzip", "zstd", "estargz"])
@pytest.mark.parametrize("shape", ["folder", "archive", "stream"])
def test_layers_of_every_compression(tmp_path: Path, how: str, shape: str) -> None:
    secret, below = token(), token()
    layout = Layout()
    lower = tar({"./etc/key": f"a\nb\n{below}".encode()})
    upper = tar({"etc/.wh.key": b"", "/opt/app/config.ini": f"x\nkey={secret}\n".encode()})
    layout.index([layout.image([lower, upper], how=how, annotations={},
                               instructions=["COPY key /etc/", "/bin/sh -c #(nop) ADD app /opt/app"])])
    path = layout.write(tmp_path / "layout") if shape == "folder" else layout.archive(tmp_path / "image.tar")
    looked = passed(path, [secret, below]) if shape == "stream" else opened(path, [secret, below])
    found = only(looked, secret)
    assert (found.place.kind, found.place.path, found.line) == (Kind.IMAGE_LAYER, "opt/app/config.ini", 2)
    where = provenance(found)
    assert (where.layer, where.instruction, where.platform) == (sha256(upper), "ADD app /opt/app", "linux/amd64")
    deleted = only(looked, below)
    assert (deleted.place.path, deleted.line, provenance(deleted).layer) == ("etc/key", 3, sha256(lower))


@pytest.mark.parametrize("shape", ["archive", "stream"])
def test_every_platform_of_nested_indexes(tmp_path: Path, shape: str) -> None:
    shared, amd, arm = token(), token(), token()
    layout = Layout()
    common = tar({"shared": shared.encode()})
    images = [layout.image([common, tar({"own": own.encode()})], platform=platform)
              for own, platform in ((amd, AMD), (arm, ARM))]
    layout.index([layout.nested(images, annotations={"org.opencontainers.image.ref.name": "app:2"})])
    path = layout.archive(tmp_path / "image.tar")
    looked = opened(path, [shared, amd, arm]) if shape == "archive" else passed(path, [shared, amd, arm])
    assert provenance(only(looked, amd)).platform == "linux/amd64"
    assert provenance(only(looked, arm)).platform == "linux/arm64/v8"
    places = only(looked, shared).provenances  # read once, told twice
    assert [one.platform for one in places] == ["linux/amd64", "linux/arm64/v8"]
    assert {one.image for one in places} == {"app:2"}
    assert {one.layer for one in places} == {sha256(common)}


@pytest.mark.parametrize("shape", ["archive", "stream"])
def test_configuration_annotations_attestations_and_what_nobody_refers_to(tmp_path: Path, shape: str) -> None:
    wanted = {name: token() for name in ("env", "label", "twice", "argument", "index", "descriptor", "manifest",
                                         "layer", "sbom", "dangling", "text", "strange", "artifact")}
    layout = Layout()
    image = layout.image(
        [tar({"a": wanted["layer"].encode()})], annotations={"org.example.note": wanted["manifest"]}, platform=AMD,
        config={"config": {"Env": ["PATH=/bin", f"A={wanted['env']}"], "Labels": {"x": wanted["label"]}}},
        instructions=[f"RUN |1 KEY={wanted['argument']} /bin/sh -c make install # buildkit"],
        rewritten=lambda data: data.replace(b'"Labels": {', b'"Labels": {"x": "%s", ' % wanted["twice"].encode()))
    statement = {"_type": "https://in-toto.io/Statement/v0.1", "predicate": {"packages": [wanted["sbom"]]}}
    attestation = layout.json({
        "schemaVersion": 2, "mediaType": MANIFEST,
        "config": layout.json({"architecture": "unknown", "os": "unknown", "rootfs": {"diff_ids": []}}, CONFIG),
        "layers": [layout.json(statement, "application/vnd.in-toto+json")],
    }, MANIFEST, platform={"architecture": "unknown", "os": "unknown"},
        annotations={"vnd.docker.reference.type": "attestation-manifest", "note": wanted["descriptor"]})
    artifact = layout.json({
        "schemaVersion": 2, "artifactType": "application/vnd.example.thing",
        "config": layout.blob(b"{}", "application/vnd.oci.empty.v1+json"),
        "layers": [layout.blob(b"free text " + wanted["artifact"].encode(), "text/plain")],
    }, MANIFEST)
    layout.blob(compressed(tar({"old/file": wanted["dangling"].encode()}), "gzip"))
    layout.blob(b"\x00\x01 something " + wanted["text"].encode())
    layout.files["notes/readme"] = wanted["strange"].encode()
    layout.index([image, attestation, artifact], annotations={"k": wanted["index"]})
    path = layout.archive(tmp_path / "image.tar")

    tokens = list(wanted.values())
    looked = opened(path, tokens) if shape == "archive" else passed(path, tokens)
    found = {name: only(looked, secret) for name, secret in wanted.items()}
    paths = {name: (seen.place.kind, seen.place.path) for name, seen in found.items()}
    assert paths["env"] == (Kind.IMAGE_CONFIG, "config.Env")
    assert found["env"].line == 2
    assert paths["label"] == paths["twice"] == (Kind.IMAGE_CONFIG, "config.Labels.x")
    assert paths["argument"] == (Kind.IMAGE_CONFIG, "history[0].created_by")
    assert provenance(found["layer"]).instruction == "RUN make install"
    assert paths["index"] == (Kind.IMAGE_ANNOTATION, "index.json!/annotations.k")
    assert paths["descriptor"] == (Kind.IMAGE_ANNOTATION, "index.json!/manifests[1].annotations.note")
    assert paths["manifest"][1].endswith("!/annotations.org.example.note")
    assert provenance(found["manifest"]).platform == "linux/amd64"
    for name in ("sbom", "dangling", "text", "strange", "artifact"):
        assert provenance(found[name]).instruction == "" or name in ("sbom", "artifact"), name
    assert paths["dangling"] == (Kind.IMAGE_LAYER, "old/file")
    assert paths["strange"] == (Kind.IMAGE_ANNOTATION, "notes/readme")
    assert {paths[name][0] for name in ("sbom", "text", "artifact")} == {Kind.IMAGE_ANNOTATION}


def test_archives_of_old_engines_share_layers_by_links(tmp_path: Path) -> None:
    secret, tag, note = token(), token(), token()
    layer = tar({"key": secret.encode()})
    path = legacy(tmp_path / "old.tar", {"ADD one": layer, "ADD two": tar({"other": b""})}, more={
        "feed/layer.tar": "../nowhere", "repositories": json.dumps({"app": {tag: "0"}}).encode(),
        "feed/json": json.dumps({"container_config": {"Cmd": [note]}}).encode()})
    for looked in (opened(path, [secret, tag, note]), passed(path, [secret, tag, note])):
        found = only(looked, secret)
        assert found.place.path == "key"
        assert provenance(found).image == "old:1"
        assert (provenance(found).layer, provenance(found).instruction) == (sha256(layer), "ADD one")
        assert only(looked, tag).place.path.startswith("repositories!/")
        assert only(looked, note).place.path == "feed/json!/container_config.Cmd"


def test_a_layer_that_is_a_link_to_another(tmp_path: Path) -> None:
    secret = token()
    layer = tar({"key": secret.encode()})
    config = json.dumps({"os": "linux", "architecture": "amd64", "history": [{"created_by": "A"}, {"created_by": "B"}],
                         "rootfs": {"diff_ids": [sha256(layer)] * 2}}).encode()
    path = tmp_path / "linked.tar"
    path.write_bytes(tar({
        "one/layer.tar": layer, "two/layer.tar": "../one/layer.tar", "c.json": config,
        "manifest.json": json.dumps([{"Config": "c.json", "RepoTags": ["a:1"],
                                      "Layers": ["one/layer.tar", "two/layer.tar"]}]).encode()}))
    for looked in (opened(path, [secret]), passed(path, [secret])):
        assert [one.instruction for one in only(looked, secret).provenances] == ["A", "B"]


def test_archives_of_engine_25_and_later(tmp_path: Path) -> None:
    secret = token()
    layout = Layout()
    image = layout.image([tar({"srv/key": secret.encode()})], annotations={})
    layout.index([{**image, "annotations": {"io.containerd.image.name": "registry.example.org/app:9",
                                            "org.opencontainers.image.ref.name": "9"}}])
    path = layout.saved(tmp_path / "saved.tar", image, "registry.example.org/app:9")
    for looked in (opened(path, [secret]), passed(path, [secret])):
        assert provenance(only(looked, secret)).image == "registry.example.org/app:9"


def test_names_links_and_remarks(tmp_path: Path) -> None:
    wanted = {name: token() for name in ("file", "folder", "link", "xattr", "comment", "behind", "absolute", "up")}
    layer = tar({f"a/{wanted['file']}.txt": b"x", f"a/{wanted['folder']}/b": b"y", "a/link": f"/x/{wanted['link']}",
                 "a/attr": b"z", "/abs": wanted["absolute"].encode(), "../../up": wanted["up"].encode()},
                {"a/attr": {"SCHILY.xattr.user.key": wanted["xattr"], "comment": wanted["comment"]}})
    layout = Layout()
    layout.index([layout.image([layer + b"not a header " * 80 + wanted["behind"].encode()])])
    path = layout.archive(tmp_path / "image.tar")
    looked = opened(path, list(wanted.values()))
    paths = {name: [one.place.path for one in looked.of(secret)] for name, secret in wanted.items()}
    assert looked.skipped == (), looked.reasons
    assert "a/" in paths["file"] and "a/" in paths["folder"]
    assert paths["link"] == ["a/link"]
    assert paths["xattr"] == paths["comment"] == ["a/attr!/(pax)"]
    assert paths["behind"] == [layers.BEHIND]
    assert (paths["absolute"], paths["up"]) == (["abs"], ["up"])


@pytest.mark.parametrize("workers", [1, 2, 3, 5])
def test_a_large_layer_is_shared_and_nothing_read_twice_or_not_at_all(tmp_path: Path, workers: int) -> None:
    noise = random.Random(workers)
    secrets = [token() for _ in range(60)]
    files = {f"f{n}": secret.encode() + b"\n" * noise.choice((0, 100, 700_000, 3_000_000))
             for n, secret in enumerate(secrets)}
    path = legacy(tmp_path / "large.tar", {"ADD": tar(files)})
    source = Opening({}).open(str(path))
    parts = source.parts(workers)
    assert len(parts) == workers
    looked = look(source, secrets, workers)
    for number, secret in enumerate(secrets):
        assert only(looked, secret).place.path == f"f{number}"
    kept = [values for values in looked.told.extras]
    assert sorted(values[3] for values in kept) == list(range(workers))
    assert {(values[2], values[4]) for values in kept} == {(sha256(tar(files)), workers)}


@pytest.mark.parametrize("how", ["", "gzip"])
@pytest.mark.parametrize("stream", [False, True])
def test_large_members_come_in_pieces_and_can_be_opened_whole(tmp_path: Path, how: str, stream: bool,
                                                              monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(layers, "WHOLE", 100_000)
    secret, inner = token(), io.BytesIO()
    with zipfile.ZipFile(inner, "w") as archive:
        archive.writestr("in.txt", secret)
        archive.writestr("noise", random.Random(1).randbytes(200_000))
    text = b"line\n" * 50_000 + secret.encode()
    layout = Layout()
    layout.index([layout.image([tar({"pad": b"x", "big.txt": text, "big.zip": inner.getvalue()})], how=how)])
    path = layout.archive(tmp_path / "image.tar")
    monkeypatch.setattr(layers, "cut", lambda read: _cut(read))
    monkeypatch.setattr(layers, "PIECE", 64 << 10)
    with path.open("rb") as file:
        source = Opening({}, lambda: file).open("-" if stream else str(path))
        looked = look(source, [secret])
        assert {(one.place.path, one.line) for one in looked.of(secret)} >= {("big.txt", 50_001)}
        assert looked.skipped == ()
    if stream:
        return
    wholes = [content.whole for part in Opening({}).open(str(path)).parts(1)
              for content in part.contents(looked.told) if content.whole is not None
              and content.place.path == "big.zip"]
    assert len(wholes) == 1 and wholes[0] is not None
    with wholes[0]() as whole:
        assert whole.read() == inner.getvalue()


def _cut(read: Callable[[int], bytes]) -> Any:
    from clawsecrets.formats.pieces import cut

    return cut(read, 64 << 10, 1 << 10)


@pytest.mark.parametrize("how", ["", "gzip"])
def test_git_objects_in_a_layer_are_unpacked(tmp_path: Path, how: str) -> None:
    secret = token()
    name, data = loose_object(b"one\ntwo " + secret.encode())
    layout = Layout()
    layout.index([layout.image([tar({f"srv/.git/{name}": data})], how=how)])
    found = only(opened(layout.write(tmp_path / "image"), [secret]), secret)
    assert (found.place.path, found.line) == (f"srv/.git/{name}!/blob", 2)


def test_names_that_are_no_text_pass(tmp_path: Path) -> None:
    secret = token()
    raw = tar({"a\udcff/b": secret.encode()})
    layout = Layout()
    layout.index([layout.image([raw])])
    assert only(opened(layout.write(tmp_path / "image"), [secret]), secret).place.path == "a\udcff/b"


def test_memory_stays_bounded(tmp_path: Path) -> None:
    """A member of 200 MiB in a compressed layer: only pieces of it are ever held."""
    header = bytearray(tar({"zeros": b""})[:512])
    header[124:136] = b"%011o\0" % (200 << 20)
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    packer = zlib.compressobj(1, wbits=31)
    data = packer.compress(bytes(header)) + b"".join(packer.compress(bytes(1 << 20)) for _ in range(200))
    data += packer.compress(bytes(1024)) + packer.flush()
    layout = Layout()
    layout.index([layout.json({"schemaVersion": 2, "layers": [layout.blob(data)]},
                              MANIFEST)])
    source = Opening({}).open(str(layout.write(tmp_path / "image")))
    tracemalloc.start()
    looked = look(source, [])
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert looked.skipped == (), looked.reasons
    assert looked.told.bytes >= 200 << 20
    assert peak < 100 << 20
