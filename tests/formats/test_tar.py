"""The tar walker against what the standard library writes, and against what nobody should write."""

from __future__ import annotations

import io
import tarfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clawsecrets.formats import tar
from clawsecrets.formats.errors import Damaged, TooLarge, Unreadable

FORMATS = {"ustar": tarfile.USTAR_FORMAT, "gnu": tarfile.GNU_FORMAT, "pax": tarfile.PAX_FORMAT}
NAMES = st.text(st.characters(min_codepoint=33, max_codepoint=0x17F, exclude_characters="/\x7f"), min_size=1,
                max_size=60)


def written(members: list[tuple[tarfile.TarInfo, bytes]], form: int = tarfile.PAX_FORMAT) -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w", format=form) as archive:
        for info, data in members:
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return made.getvalue()


def walked(data: bytes) -> list[tuple[str, str, bytes, str]]:
    return [(member.name, member.type, member.read(), member.linkname) for member in tar.walk(io.BytesIO(data).read)]


@pytest.mark.parametrize("form", FORMATS)
@given(st.lists(st.tuples(NAMES, st.binary(max_size=1500)), min_size=1, max_size=6), st.integers(1, 700))
def test_reads_what_the_standard_library_writes(form: str, files: list[tuple[str, bytes]], chunk: int) -> None:
    data = written([(tarfile.TarInfo(name), content) for name, content in files], FORMATS[form])
    stream = io.BytesIO(data)
    found = []
    for member in tar.walk(lambda size: stream.read(min(size, chunk))):
        content = b""
        while part := member.read(97):
            content += part
        found.append((member.name, content))
        assert data[member.offset: member.offset + member.size] == content
    assert found == files


@pytest.mark.parametrize("form", ["gnu", "pax"])
def test_long_names_and_links(form: str) -> None:
    link = tarfile.TarInfo("d/" * 200 + "link")
    link.type, link.linkname = tarfile.SYMTYPE, "../" * 150 + "x"
    hard = tarfile.TarInfo("hard")
    hard.type, hard.linkname = tarfile.LNKTYPE, "e" * 180
    assert walked(written([(link, b""), (hard, b"")], FORMATS[form])) == [
        ("d/" * 200 + "link", tar.SYMLINK, b"", "../" * 150 + "x"), ("hard", tar.HARD, b"", "e" * 180)]


def test_the_prefix_of_ustar() -> None:
    name = "/".join(["folder"] * 25) + "/file"
    assert [found[0] for found in walked(written([(tarfile.TarInfo(name), b"x")], tarfile.USTAR_FORMAT))] == [name]


def test_members_that_are_not_read_are_passed_over() -> None:
    data = written([(tarfile.TarInfo(str(k)), bytes(3000)) for k in range(9)])
    stream = io.BytesIO(data)
    assert [member.name for member in tar.walk(stream.read, lambda size: stream.seek(size, 1))] == list("012345678")


def test_passing_over_by_seeking_sees_that_the_end_is_missing() -> None:
    data = written([(tarfile.TarInfo("big"), bytes(4 << 20))])[:3 << 20]
    stream = io.BytesIO(data)
    with pytest.raises(Damaged):
        list(tar.walk(stream.read, lambda size: stream.seek(size, 1)))


def test_notes_are_given() -> None:
    info = tarfile.TarInfo("a")
    info.pax_headers = {"comment": "a remark", "SCHILY.xattr.user.x": "attribute"}
    [member] = tar.walk(io.BytesIO(written([(info, b"x")])).read)
    assert b"a remark" in member.notes and b"attribute" in member.notes


def test_sizes_beyond_octal() -> None:
    info = tarfile.TarInfo("huge")
    info.size = 9 << 33
    head = info.tobuf(tarfile.GNU_FORMAT)
    [member] = _first(head + bytes(1000))
    assert member.size == 9 << 33


def _first(data: bytes) -> list[tar.Member]:
    return [next(tar.walk(io.BytesIO(data).read))]


def test_very_old_archives() -> None:
    data = bytearray(written([(tarfile.TarInfo("v7"), b"text")], tarfile.USTAR_FORMAT))
    data[257:512] = bytes(255)
    data[148:156] = b"%06o\0 " % (sum(data[:148]) + 256 + sum(data[156:512]))
    assert walked(bytes(data)) == [("v7", tar.FILE, b"text", "")]


def test_sparse_members() -> None:
    info = tarfile.TarInfo("sparse")
    info.size = 512
    head = bytearray(info.tobuf(tarfile.GNU_FORMAT))
    head[156:157] = tarfile.GNUTYPE_SPARSE
    head[482] = 1
    head[148:156] = b"%06o\0 " % (sum(head[:148]) + 256 + sum(head[156:512]))
    more, last = bytearray(512), bytearray(512)
    more[504] = 1
    data = bytes(head) + bytes(more) + bytes(last) + b"data" * 128 + bytes(1024)
    assert walked(data) == [("sparse", tar.FILE, b"data" * 128, "")]


def test_what_stands_behind_the_end() -> None:
    one = written([(tarfile.TarInfo("a"), b"x")])
    assert [found[0] for found in walked(one + one)] == ["a", "a"]
    found = []
    for member in tar.walk(io.BytesIO(one + b"more" * 1000).read):
        content = b""
        while part := member.read(1000):
            content += part
        found.append((member.type, content))
    assert found == [(tar.FILE, b"x"), (tar.REST, b"more" * 1000)]


@pytest.mark.parametrize("data", [b"", b"x" * 512, b"x" * 5000])
def test_no_archive(data: bytes) -> None:
    with pytest.raises(Damaged):
        walked(data)


def test_headers_beyond_all_measure() -> None:
    info = tarfile.TarInfo("x")
    info.type, info.size = tarfile.XHDTYPE, 2 << 20
    with pytest.raises(TooLarge):
        walked(info.tobuf(tarfile.USTAR_FORMAT) + bytes(3 << 20))
    info.size = 0
    with pytest.raises(TooLarge):
        walked(info.tobuf(tarfile.USTAR_FORMAT) * 100)


def test_cut_off_anywhere() -> None:
    info = tarfile.TarInfo("n" * 200)
    data = written([(info, b"text" * 300), (tarfile.TarInfo("b"), b"y")])
    members = len(walked(data))
    for size in range(len(data)):
        try:
            assert len(walked(data[:size])) <= members + 1
        except Unreadable:
            continue


@given(st.binary(max_size=700), st.integers(0, 2047), st.integers(1, 40))
def test_only_our_own_errors(noise: bytes, at: int, size: int) -> None:
    data = bytearray(written([(tarfile.TarInfo("n" * 150), b"text" * 99), (tarfile.TarInfo("b"), b"y")]))
    data[at: at + size] = noise[:size]
    for sample in (bytes(data), noise):
        try:
            for member in tar.walk(io.BytesIO(sample).read):
                member.read(1000)
        except Unreadable:
            continue
