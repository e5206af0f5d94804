"""Git's objects as they lie in layers: everything that git has packed is unpacked, and nothing hostile breaks it."""

from __future__ import annotations

import contextlib
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clawsecrets.formats.errors import Damaged, Unreadable
from clawsecrets.sources.image import gitobjects, layers
from clawsecrets.sources.image.gitobjects import applied, is_loose, loose, pack
from clawsecrets.sources.image.opening import Opening
from tests.plants.image_plants import Layout, loose_object, repository, tar
from tests.sources.image_looking import Looked, look

ENV = {"GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_NOSYSTEM": "1"}


def git(folder: Path, *arguments: str, data: bytes = b"") -> bytes:
    return subprocess.run(["git", "-C", str(folder), *arguments], input=data, capture_output=True, check=True).stdout


def expected(folder: Path) -> dict[str, tuple[str, bytes]]:
    """Every object, as git itself gives it."""
    found = {}
    listed = git(folder, "cat-file", "--batch-all-objects", "--batch-check=%(objectname) %(objecttype)").decode()
    for line in listed.splitlines():
        name, kind = line.split()
        found[name] = (kind, git(folder, "cat-file", kind, name))
    return found


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("git") / "repository"
    repository(folder, "a secret", packed=True, tool=ENV)
    return folder


def read(data: bytes) -> dict[str, tuple[str, bytes]]:
    return {found.id: (found.kind, found.data) for found in pack(lambda at, size: data[at:at + size])}


def test_a_pack_as_git_reads_it(packed: Path) -> None:
    data = next((packed / ".git/objects/pack").glob("*.pack")).read_bytes()
    assert read(data) == expected(packed)
    assert any(b"a secret" in content for _, content in read(data).values())


def test_a_pack_with_bases_by_their_id_and_little_memory(packed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = "\n".join(reversed(list(expected(packed)))).encode()
    data = git(packed, "pack-objects", "--stdout", "--no-reuse-delta", "--window=20", data=names)
    assert read(data) == expected(packed)
    monkeypatch.setattr(gitobjects, "KEPT", 1)
    assert read(data) == expected(packed)


@pytest.mark.parametrize("how", ["", "gzip"])
@pytest.mark.parametrize("stream", [False, True])
def test_a_large_pack_in_a_layer(packed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str,
                                 stream: bool) -> None:
    monkeypatch.setattr(layers, "WHOLE", 100)
    data = next((packed / ".git/objects/pack").glob("*.pack")).read_bytes()
    layout = Layout()
    layout.index([layout.image([tar({"x": b"y", "srv/objects/pack/p.pack": data, "z": b"end of it"})], how=how)])
    path = layout.archive(tmp_path / "image.tar")

    def looked() -> Looked:
        with path.open("rb") as file:
            return look(Opening({}, lambda: file).open("-" if stream else str(path)), ["a secret", "end of it"])

    found = looked()
    assert found.skipped == (), found.reasons
    assert found.of("a secret")[0].place.path.startswith("srv/objects/pack/p.pack!/blob ")
    assert found.of("end of it")
    monkeypatch.setattr(layers, "HELD", 100)
    found = looked()  # only a file that can be read in any order is read whatever its size
    assert bool(found.skipped) == (stream or how != "")
    assert bool(found.of("a secret")) == (not found.skipped)


def test_loose_objects() -> None:
    name, data = loose_object(b"content")
    assert is_loose(f".git/{name}", data) and is_loose(name, data)
    assert not is_loose("objects/readme", data) and not is_loose(name, b"text")
    assert loose(data).data == b"content"
    for wrong in (b"x", data[:-6], b"x\x9c" + b"\0" * 20):
        with pytest.raises(Damaged):
            loose(wrong)


@given(at=st.floats(0, 1), value=st.integers(0, 255), cut=st.floats(0, 1))
def test_a_damaged_pack_ends_in_words(packed: Path, at: float, value: int, cut: float) -> None:
    data = bytearray(next((packed / ".git/objects/pack").glob("*.pack")).read_bytes())
    data[int(at * (len(data) - 1))] = value
    del data[int(cut * len(data)) + 1:]
    with contextlib.suppress(Unreadable):
        read(bytes(data))


@given(base=st.binary(max_size=64), delta=st.binary(max_size=64))
def test_any_difference_ends_in_words(base: bytes, delta: bytes) -> None:
    for given_delta in (delta, bytes([len(base), 10]) + delta):
        with contextlib.suppress(Unreadable):
            applied(base, given_delta)
