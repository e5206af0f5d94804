"""What cannot be looked at is told, and never taken for clean; hostile archives end in words, not in errors."""

from __future__ import annotations

import gzip
import io
import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clawsecrets.errors import ClawError, Incomplete, UsageError
from clawsecrets.formats.bounds import Limits
from clawsecrets.sources.image import layers, source, stream
from clawsecrets.sources.image.opening import Opening
from tests.plants.image_plants import LAYER, MANIFEST, Layout, legacy, sha256, tar, token
from tests.sources.image_looking import Looked, look

AMD = {"os": "linux", "architecture": "amd64"}
SECRET = token()
FILES = tar({"etc/key": SECRET.encode()})


def whole(path: Path) -> Looked:
    """In any order."""
    return look(Opening({}).open(str(path)), [SECRET])


def passed(path: Path) -> Looked:
    """As a stream."""
    with path.open("rb") as file:
        return look(Opening({}, lambda: file).open("-"), [SECRET])


BOTH = pytest.mark.parametrize("way", [whole, passed])
Way = Callable[[Path], Looked]


def written(layout: Layout, tmp_path: Path, *manifests: dict[str, Any]) -> Path:
    layout.index(manifests)
    return layout.archive(tmp_path / "image.tar")


def layered(layout: Layout, *descriptors: dict[str, Any]) -> dict[str, Any]:
    """A manifest without a configuration."""
    return layout.json({"schemaVersion": 2, "layers": descriptors}, MANIFEST)


def told(looked: Looked, words: str) -> None:
    assert words in looked.reasons, looked.reasons
    assert looked.skipped


@BOTH
def test_a_layer_that_is_not_there(tmp_path: Path, way: Way) -> None:
    layout = Layout()
    manifest = layered(layout, layout.blob(FILES), layout.blob(b"gone"))
    del layout.files["blobs/" + sha256(b"gone").replace(":", "/")]
    looked = way(written(layout, tmp_path, manifest))
    told(looked, "it is not there")
    assert looked.of(SECRET)


@BOTH
@pytest.mark.parametrize("more", [{"urls": ["https://files.example.org/layer"]},
                                  {"mediaType": "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"}])
def test_a_foreign_layer(tmp_path: Path, way: Way, more: dict[str, Any]) -> None:
    layout = Layout()
    entry = {**layout.blob(b"elsewhere"), **more}
    del layout.files["blobs/" + sha256(b"elsewhere").replace(":", "/")]
    told(way(written(layout, tmp_path, layered(layout, entry))), "foreign layer")


@BOTH
def test_an_encrypted_layer(tmp_path: Path, way: Way) -> None:
    layout = Layout()
    entry = layout.blob(random.Random(1).randbytes(5000), LAYER + "+gzip+encrypted")
    told(way(written(layout, tmp_path, layered(layout, entry))), "it is encrypted")


@BOTH
@pytest.mark.parametrize("data", [b"LZ4 or something else", FILES[:700], gzip.compress(FILES)[:-20],
                                  gzip.compress(b"no archive of files")], ids=["unknown", "cut", "cut gzip", "text"])
def test_a_layer_that_cannot_be_read(tmp_path: Path, way: Way, data: bytes) -> None:
    layout = Layout()
    looked = way(written(layout, tmp_path, layered(layout, layout.blob(data))))
    assert looked.skipped


@BOTH
def test_a_layer_that_is_not_what_its_digest_says(tmp_path: Path, way: Way) -> None:
    layout = Layout()
    manifest = layered(layout, layout.blob(b"other"))
    layout.files["blobs/" + sha256(b"other").replace(":", "/")] = FILES
    looked = way(written(layout, tmp_path, manifest))
    told(looked, "not what its digest says")
    assert looked.of(SECRET)
    assert looked.told.extras == []  # no cache is told that it was read


@BOTH
@pytest.mark.parametrize("packed", [False, True])
def test_a_layer_that_is_not_what_its_diff_id_says(tmp_path: Path, way: Way, packed: bool) -> None:
    layer = gzip.compress(FILES) if packed else FILES
    path = legacy(tmp_path / "image.tar", {"ADD": layer},
                  {"rootfs": {"type": "layers", "diff_ids": [sha256(b"other")]}})
    looked = way(path)
    told(looked, "not what its digest says")
    assert looked.of(SECRET)
    good = legacy(tmp_path / "good.tar", {"ADD": layer}, {"rootfs": {"diff_ids": [sha256(FILES)]}})
    assert way(good).skipped == ()


@BOTH
def test_a_document_that_is_not_what_its_digest_says(tmp_path: Path, way: Way) -> None:
    layout = Layout()
    manifest = layout.image([FILES])
    layout.files["blobs/" + manifest["digest"].replace(":", "/")] += b" "
    told(way(written(layout, tmp_path, manifest)), "not what its digest says")


def test_a_cache_does_not_believe_a_name(tmp_path: Path) -> None:
    layout = Layout()
    manifest = layered(layout, layout.blob(b"clean"))
    layout.files["blobs/" + sha256(b"clean").replace(":", "/")] = FILES
    path = written(layout, tmp_path, manifest)
    looked = look(Opening({}, seen=lambda digest: digest == sha256(b"clean")).open(str(path)), [])
    told(looked, "not what its digest says")


@BOTH
@pytest.mark.parametrize("data", [b"", b"{", b"[1, 2", b"[]", b"[" * 5000, b'{"manifests": 7}', b'{"layers": [{}]}'],
                         ids=["empty", "open", "cut", "list", "deep", "number", "nothing"])
def test_an_index_that_makes_no_sense(tmp_path: Path, way: Way, data: bytes) -> None:
    layout = Layout()
    layout.blob(FILES)
    layout.files["index.json"] = data
    looked = way(layout.archive(tmp_path / "image.tar"))
    assert looked.of(SECRET)  # read all the same
    assert looked.skipped


@BOTH
def test_indexes_that_go_in_circles_or_too_deep(tmp_path: Path, way: Way) -> None:
    layout = Layout()
    entry = layout.image([FILES])
    for _ in range(12):
        entry = layout.nested([entry])
    looked = way(written(layout, tmp_path, entry))
    told(looked, "nested too deeply")
    assert looked.of(SECRET)


@BOTH
def test_a_platform_that_is_missing(tmp_path: Path, way: Way) -> None:
    layout = Layout()
    there, gone = layout.image([FILES], platform=AMD), layout.image([tar({"b": b""})], platform={**AMD, "os": "plan9"})
    del layout.files["blobs/" + gone["digest"].replace(":", "/")]
    path = written(layout, tmp_path, layout.nested([there, gone]))
    told(way(path), "it is not there")
    with path.open("rb") as file:  # an engine keeps only its own
        looked = look(stream.PassingImage("app", lambda: file, sparse=True), [SECRET])
    assert looked.skipped == ()
    assert any("does not keep this platform" in item.reason for item in looked.told.skips)


@BOTH
def test_no_manifest_is_no_image(tmp_path: Path, way: Way) -> None:
    path = tmp_path / "files.tar"
    path.write_bytes(FILES)
    looked = way(path)
    told(looked, "it has no manifest")
    assert looked.of(SECRET)


@pytest.mark.parametrize("data", [b"", b"no archive at all", gzip.compress(b"text", mtime=0), FILES[:100]],
                         ids=["empty", "text", "packed text", "cut"])
def test_a_file_that_is_no_archive(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "image.tar"
    path.write_bytes(data)
    try:
        looked = whole(path)
    except ClawError as error:
        assert error.exit_code == 6
    else:
        assert looked.skipped
    if data:
        assert passed(path).skipped


def test_what_cannot_be_named(tmp_path: Path) -> None:
    def nobody(environ: object, engine: str) -> dict[str, Any]:
        return {}

    opening = Opening({"PATH": ""}, engines=nobody)
    (tmp_path / "empty").mkdir()
    for name, kind in (("ftp://x", UsageError), ("-", UsageError), (str(tmp_path / "empty"), Incomplete),
                       ("docker://app:1", Incomplete), ("./gone.tar", UsageError),
                       ("oci:/nowhere/at/all", UsageError),
                       ("registry://only-a-word", UsageError)):
        with pytest.raises(kind) as caught:
            opening.open(name)
        assert caught.value.hint


def test_without_an_engine_a_plain_name_is_incomplete(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(Incomplete, match="no engine answers") as caught:
        Opening({}, engines=lambda environ, engine: {}).open("app:1")
    assert "registry://" in caught.value.hint


def test_links_in_a_layout_are_not_followed(tmp_path: Path) -> None:
    secret = tmp_path / "outside"
    secret.write_bytes(SECRET.encode())
    layout = Layout()
    folder = written_folder(layout, tmp_path)
    (folder / "blobs" / "sha256" / ("a" * 64)).symlink_to(secret)
    (folder / "more").symlink_to(tmp_path)
    looked = whole(folder)
    told(looked, "a link")
    assert looked.of(SECRET) == []


def written_folder(layout: Layout, tmp_path: Path) -> Path:
    layout.index([layout.image([tar({"a": b"b"})])])
    return layout.write(tmp_path / "layout")


def test_a_file_that_may_not_be_opened_or_is_gone(tmp_path: Path) -> None:
    layout = Layout()
    layout.index([layout.image([FILES])])
    folder = layout.write(tmp_path / "layout")
    image = Opening({}).open(str(folder))
    parts = image.parts(1)
    (folder / "blobs" / sha256(FILES).replace(":", "/")).unlink()
    assert isinstance(image, source.ImageSource)
    looked = look(image, [SECRET])
    told(looked, "no such file")
    assert parts


@BOTH
def test_bombs(tmp_path: Path, way: Way, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(layers, "LIMITS", Limits(output=1 << 38, ratio=100, ratio_from=4 << 20))
    layout = Layout()
    header = tar({"zeros": b""})[:512]
    bomb = gzip.compress(_sized(header, 40 << 20) + bytes(40 << 20))
    manifest = layered(layout, layout.blob(bomb), layout.blob(FILES))
    looked = way(written(layout, tmp_path, manifest))
    told(looked, "unpacks to more than")
    assert looked.of(SECRET)  # the next layer is read all the same
    assert looked.told.bytes < 20 << 20


def _sized(header: bytes, size: int) -> bytes:
    changed = bytearray(header)
    changed[124:136] = b"%011o\0" % size
    changed[148:156] = b" " * 8
    changed[148:156] = b"%06o\0 " % sum(changed)
    return bytes(changed)


@BOTH
def test_a_git_object_that_is_damaged_is_told_and_read_as_it_is(tmp_path: Path, way: Way) -> None:
    name = "srv/.git/objects/ab/" + "c" * 38
    pack = b"PACK\0\0\0\2\0\0\0\7" + SECRET.encode()
    layout = Layout()
    manifest = layout.image([tar({name: b"x" + SECRET.encode(), "srv/.git/objects/pack/pack-1.pack": pack})])
    looked = way(written(layout, tmp_path, manifest))
    assert len([item for item in looked.skipped if "git" in item.reason]) == 2
    assert {one.place.path for one in looked.of(SECRET)} == {name, "srv/.git/objects/pack/pack-1.pack"}


# --- whatever the bytes -------------------------------------------------------------------------------------------


def _sound() -> tuple[bytes, bytes, bytes]:
    layout = Layout()
    image = layout.image([tar({"a/b": b"text", "c": "link"}), tar({"d": b"e"})], how="gzip", platform=AMD)
    layout.index([layout.nested([image])])
    plain = tar(layout.files)
    old = io.BytesIO()
    buffer = tar({"x/layer.tar": FILES, "x/json": b"{}", "c.json": json.dumps(
        {"rootfs": {"diff_ids": [sha256(FILES)]}, "history": []}).encode(), "manifest.json": json.dumps(
        [{"Config": "c.json", "Layers": ["x/layer.tar"]}]).encode()})
    old.write(buffer)
    return plain, old.getvalue(), gzip.compress(plain)


SOUND = _sound()


@given(which=st.integers(0, 2), cut=st.floats(0, 1), changes=st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)),
                                                                     max_size=6))
def test_damaged_archives_end_in_words(tmp_path_factory: pytest.TempPathFactory, which: int, cut: float,
                                       changes: list[tuple[float, int]]) -> None:
    data = bytearray(SOUND[which])
    for at, value in changes:
        data[int(at * (len(data) - 1))] = value
    del data[int(cut * len(data)) + 1:]
    path = tmp_path_factory.getbasetemp() / "damaged.tar"
    path.write_bytes(bytes(data))
    for way in (whole, passed):
        try:
            looked = way(path)
        except ClawError:
            continue
        if len(data) < len(SOUND[which]) // 2:
            assert looked.skipped


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20) | st.sampled_from([sha256(b"x"), "sha256:zz"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(
        st.sampled_from(["manifests", "layers", "config", "digest", "mediaType", "annotations", "platform", "history",
                         "rootfs", "diff_ids", "created_by", "urls", "size", "fsLayers", "blobSum", "Config", "Layers",
                         "RepoTags", "os"]), inner, max_size=5), max_leaves=25)


@given(index=_JSON, manifest=_JSON, config=_JSON)
def test_documents_of_any_shape(tmp_path_factory: pytest.TempPathFactory, index: Any, manifest: Any,
                                config: Any) -> None:
    layout = Layout()
    entry = layout.json(manifest, MANIFEST)
    layout.files["index.json"] = json.dumps({"manifests": [entry, index]}).encode()
    layout.files["c.json"] = json.dumps(config).encode()
    layout.files["manifest.json"] = json.dumps([manifest, {"Config": "c.json", "Layers": ["l", "c.json"]}]).encode()
    layout.files["l"] = FILES
    path = layout.archive(tmp_path_factory.getbasetemp() / "shape.tar")
    for way in (whole, passed):
        assert way(path).of(SECRET)


def test_a_layer_with_data_behind_its_compressed_end(tmp_path: Path) -> None:
    layout = Layout()
    data = gzip.compress(FILES) + SECRET.encode()
    looked = whole(written(layout, tmp_path, layered(layout, layout.blob(data))))
    assert looked.skipped
