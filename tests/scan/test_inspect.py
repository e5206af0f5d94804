"""Every container of scanner.md, with a token in it; what cannot be opened is told, and looked at as it is."""

from __future__ import annotations

import base64
import bz2
import gzip
import io
import lzma
import py_compile
import struct
import tarfile
import tracemalloc
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import py7zr
import pytest
from backports import zstd
from hypothesis import given
from hypothesis import strategies as st

from clawsecrets.formats.bounds import Limits
from clawsecrets.formats.pieces import PIECE, cut
from clawsecrets.model.finding import Content, Kind, Place, Rule
from clawsecrets.scan.detector import Detector
from clawsecrets.scan.inspect import Inspector
from clawsecrets.scan.ruleset import Ruleset
from clawsecrets.scan.shown import hidden
from tests.scan.planted import TEXT, TOKEN, Told, database, detector, found, looked, pdf, tar, zipped

T = TOKEN.encode()
HALVES = T[:15], T[15:]
NAMED = Rule("bear.key", "bear", "Bear key", r"[a-z0-9]{20}", "medium", near=("bear",), examples=("x",))


def sevenzip(files: dict[str, bytes], password: str | None = None) -> bytes:
    made = io.BytesIO()
    with py7zr.SevenZipFile(made, "w", password=password) as archive:
        for name, data in files.items():
            archive.writestr(data, name)
    return made.getvalue()


def compiled(folder: Path) -> bytes:
    source, target = folder / "m.py", folder / "m.pyc"
    source.write_text(f"def f():\n    return 'x', '{TOKEN}', 'abc'\n")
    py_compile.compile(str(source), str(target))
    return target.read_bytes()


def document() -> bytes:
    runs = b"".join(b"<w:r><w:t>%s</w:t></w:r>" % half for half in HALVES)
    return zipped({"[Content_Types].xml": b"<Types/>", "word/document.xml": b"<w:p>" + runs + b"</w:p>"})


def linked() -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w", format=tarfile.PAX_FORMAT) as archive:
        link = tarfile.TarInfo("a/link")
        link.type, link.linkname = tarfile.SYMTYPE, f"https://x/{TOKEN}"
        archive.addfile(link)
        note = tarfile.TarInfo("a/note")
        note.pax_headers = {"comment": f"by {TOKEN}"}
        archive.addfile(note)
    return made.getvalue()


SHOWN = b"BT 72 712 Td [(%s)-20(%s)] TJ ET" % HALVES
NESTED = {"in/w.txt": TEXT}
CONTAINERS: dict[str, tuple[Callable[[], bytes], str, int, int, str]] = {
    "a.tar": (lambda: tar(NESTED), "!/in/w.txt", 2, 7, "plain"),
    "a.tar.gz": (lambda: tar(NESTED, "w:gz"), "!/in/w.txt", 2, 7, "plain"),
    "a.tgz": (lambda: tar(NESTED, "w:gz"), "!/in/w.txt", 2, 7, "plain"),
    "a.tar.bz2": (lambda: tar(NESTED, "w:bz2"), "!/in/w.txt", 2, 7, "plain"),
    "a.tar.xz": (lambda: tar(NESTED, "w:xz"), "!/in/w.txt", 2, 7, "plain"),
    "a.tar.zst": (lambda: zstd.compress(tar(NESTED)), "!/in/w.txt", 2, 7, "plain"),
    "log.gz": (lambda: gzip.compress(TEXT), "!/log", 2, 7, "plain"),
    "two.gz": (lambda: gzip.compress(b"first\n") + gzip.compress(TEXT), "!/two", 3, 7, "plain"),
    "noname": (lambda: gzip.compress(TEXT), "!/content", 2, 7, "plain"),
    "a.bz2": (lambda: bz2.compress(TEXT), "!/a", 2, 7, "plain"),
    "a.xz": (lambda: lzma.compress(TEXT), "!/a", 2, 7, "plain"),
    "a.lzma": (lambda: lzma.compress(TEXT, lzma.FORMAT_ALONE), "!/a", 2, 7, "plain"),
    "a.zst": (lambda: zstd.compress(TEXT) + zstd.compress(b"more"), "!/a", 2, 7, "plain"),
    "a.zip": (lambda: zipped(NESTED), "!/in/w.txt", 2, 7, "plain"),
    "bz.zip": (lambda: zipped(NESTED, zipfile.ZIP_BZIP2), "!/in/w.txt", 2, 7, "plain"),
    "lz.zip": (lambda: zipped(NESTED, zipfile.ZIP_LZMA), "!/in/w.txt", 2, 7, "plain"),
    "stored.whl": (lambda: zipped(NESTED, zipfile.ZIP_STORED), "!/in/w.txt", 2, 7, "plain"),
    "script": (lambda: b"#!/bin/sh\nexit\n" + zipped(NESTED), "!/in/w.txt", 2, 7, "plain"),
    "a.docx": (document, "!/word/document.xml", 1, 16, "xml"),
    "a.7z": (lambda: sevenzip(NESTED), "!/in/w.txt", 2, 7, "plain"),
    "a.db": (lambda: database(("CREATE TABLE kv(k, v)", ()), ("INSERT INTO kv VALUES('a', 'b'), ('c', ?)", (T,))),
             "!/kv", 2, 7, "plain"),
    "blob.db": (lambda: database(("CREATE TABLE b(x)", ()), ("INSERT INTO b VALUES(?)", (gzip.compress(TEXT),))),
                "!/b/1/x!/content", 2, 7, "plain"),
    "a.pdf": (lambda: pdf(SHOWN), "", 5, 1, "pdf"),
    "open.pdf": (lambda: pdf(SHOWN, packed=False), "", 5, 1, "pdf"),
    "deep.zip": (lambda: zipped({"q.tar.gz": tar({"in.zip": zipped({"d.txt": TEXT})}, "w:gz")}),
                 "!/q.tar.gz!/in.zip!/d.txt", 2, 7, "plain"),
    "encoded.zip": (lambda: zipped({"e": b"x: " + base64.b64encode(T)}), "!/e", 1, 4, "base64"),
    "climbs.tar": (lambda: tar({"../../etc/x": TEXT}), "!/../../etc/x", 2, 7, "plain"),
    "absolute.zip": (lambda: zipped({"/etc/x": TEXT}), "!//etc/x", 2, 7, "plain"),
    "links.tar": (linked, "!/a/link", 1, 11, "plain"),
    "notes.tar": (linked, "!/a/note", 2, 15, "plain"),
}


@pytest.mark.parametrize("name", CONTAINERS)
def test_a_container_is_opened(name: str) -> None:
    make, path, line, column, encoding = CONTAINERS[name]
    told = Told()
    every = looked(make(), name, told)
    if name == "notes.tar":
        assert (name + path, encoding, TOKEN) in [(where, how, value) for where, _, _, how, value in every]
    else:
        assert (name + path, line, column, encoding, TOKEN) in every
        assert len(every) == (2 if name == "links.tar" else 1)
    assert told.skips == []


@pytest.mark.parametrize("name", [name for name in CONTAINERS if name != "stored.whl"])
def test_nothing_is_written(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    looked(CONTAINERS[name][0](), name)
    assert list(tmp_path.iterdir()) == []


def test_compiled_python(tmp_path: Path) -> None:
    [(path, _, _, encoding, value)] = looked(compiled(tmp_path), "m.pyc")
    assert (path, encoding, value) == ("m.pyc", "plain", TOKEN)


def test_names_of_members_are_looked_at() -> None:
    for data in (zipped({f"d/{TOKEN}.txt": b""}), tar({f"d/{TOKEN}.txt": b""}), sevenzip({f"d/{TOKEN}.txt": b"x"})):
        assert looked(data, "a") == [(f"a!/d/{TOKEN}.txt", 1, 3, "name", TOKEN)]


def test_comments_of_a_zip() -> None:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        info = zipfile.ZipInfo("m")
        info.comment = b"c=" + T
        archive.writestr(info, b"")
        archive.comment = b"all=" + T
    assert {path for path, *_ in looked(made.getvalue(), "z")} == {"z", "z!/m"}


# --- what is hidden -----------------------------------------------------------------------------------------------


def test_a_member_that_the_directory_does_not_name() -> None:
    whole = zipped({"gone.txt": TEXT, "stays.txt": b"nothing"})
    at = whole.index(b"PK\x01\x02")
    second = whole.index(b"PK\x01\x02", at + 4)
    directory = whole[second: whole.index(b"PK\x05\x06")]
    end = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 1, 1, len(directory), at, 0)
    told = Told()
    assert looked(whole[:at] + directory + end, "z", told) == [("z!/gone.txt", 2, 7, "plain", TOKEN)]
    assert told.skips == []


def test_bytes_before_and_behind_an_archive() -> None:
    assert [value for *_, value in looked(zipped({"a": b"x"}) + b"\n" + T, "z")] == [TOKEN]
    assert [value for *_, value in looked(b"#!sh\n# " + b"-" * 30 + T + b"\n" + zipped({"a": b"x"}), "z")] == [TOKEN]
    assert [value for *_, value in looked(tar({"a": b"x"}) + b" " + T, "t")] == [TOKEN]
    assert [value for *_, value in looked(tar({"a": b"x"}) + tar({"b": TEXT}), "t")] == [TOKEN]


def test_deleted_rows_of_a_database() -> None:
    data = database(("PRAGMA secure_delete=OFF", ()), ("CREATE TABLE kv(k, v)", ()),
                    ("INSERT INTO kv VALUES(7, ?)", (TOKEN + " " * 300,)),
                    ("DELETE FROM kv", ()))
    assert TOKEN.encode() in data
    told = Told()
    assert [(path, value) for path, *_, value in looked(data, "d", told)] == [("d", TOKEN)]
    assert told.skips == []


def test_a_database_in_write_ahead_mode(tmp_path: Path) -> None:
    data = bytearray(database(("CREATE TABLE kv(k, v)", ()), ("INSERT INTO kv VALUES('a', ?)", (TOKEN,))))
    data[18:20] = b"\2\2"
    told = Told()
    assert [path for path, *_ in looked(bytes(data), "d", told)] == ["d!/kv"]
    assert told.skips == []


def test_views_and_generated_columns_are_not_evaluated() -> None:
    bomb = "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT count(*) FROM c"
    data = database((f"CREATE VIEW v AS {bomb}", ()),
                    ("CREATE TABLE t(a, b AS (length(hex(zeroblob(400000000)))) VIRTUAL)", ()),
                    ("INSERT INTO t(a) VALUES(?)", (TOKEN,)))
    told = Told()
    assert [path for path, *_ in looked(data, "d", told)] == ["d!/t"]
    assert told.skips == []


def test_the_statements_of_a_schema() -> None:
    data = database((f"CREATE TABLE t(a DEFAULT '{TOKEN}')", ()))
    assert [path for path, *_ in looked(data, "d")] == ["d!/schema"]


# --- what cannot be opened ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("data", [
    lambda: gzip.compress(b"\0" * (20 << 20)), lambda: zstd.compress(b"\0" * (40 << 20)),
    lambda: bz2.compress(b"\0" * (40 << 20)), lambda: zipped({"a": b"\0" * (20 << 20)}),
    lambda: zipped({"b.gz": gzip.compress(b"\0" * (20 << 20))}), lambda: sevenzip({"a": b"\0" * (40 << 20)}),
    lambda: pdf(b"\0" * (20 << 20)),
], ids=["gzip", "zstd", "bzip2", "zip", "gzip in zip", "7z", "pdf"])
def test_a_bomb_is_told(data: Callable[[], bytes]) -> None:
    told = Told()
    looked(data(), "bomb", told, Limits(output=8 << 20, whole=4 << 20, ratio_from=1 << 20))
    assert told.skips
    assert all("unpacks to more" in skip.reason or "larger than" in skip.reason for skip in told.skips)


def test_the_ratio_is_bounded_by_default() -> None:
    told = Told()
    looked(zstd.compress(b"\0" * (40 << 20)), "z", told)
    assert told.reasons == [("z", "it unpacks to more than 1000 times its size")]


def test_depth_is_bounded() -> None:
    data = TEXT
    for _ in range(9):
        data = zipped({"a": data})
    told = Told()
    looked(data, "z", told)
    [(what, reason)] = told.reasons
    assert what.count("!/") == 6 and reason == "it is nested more than 6 deep"


def test_a_fork_bomb_of_archives_is_bounded() -> None:
    """Like 42.zip: sixteen copies at each level, all of one stored file."""
    data = zipped({"0": b"\0" * (8 << 20)})
    for _ in range(4):
        data = zipped({str(k): data for k in range(16)})
    told = Told()
    looked(data, "z", told, Limits(output=64 << 20))
    assert told.skips


def test_members_are_counted() -> None:
    told = Told()
    looked(tar({str(k): b"" for k in range(60)}), "t", told, Limits(members=50))
    assert told.reasons == [("t", "it has more than 50 members")]


def test_members_that_overlap_are_told() -> None:
    data = zipped({"a": TEXT})
    at = data.index(b"PK\x01\x02")
    directory = data[at: data.index(b"PK\x05\x06")] * 3
    told = Told()
    looked(data[:at] + directory + struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 3, 3, len(directory), at, 0), "z", told)
    assert told.reasons == [("z", "its members overlap")]


def test_encrypted_archives_are_told() -> None:
    data = bytearray(zipped(NESTED))
    for mark, flags in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        data[data.index(mark) + flags] |= 1
    for name, made in (("z", bytes(data)), ("7", sevenzip(NESTED, "correct horse")),
                       ("p", pdf(SHOWN, also=b"/Encrypt 5 0 R"))):
        told = Told()
        assert looked(made, name, told) == []
        assert ["encrypted" in skip.reason for skip in told.skips] == [True]


def test_sizes_that_lie() -> None:
    data = bytearray(zipped(NESTED))
    at = data.index(b"PK\x01\x02")
    data[at + 24: at + 28] = struct.pack("<L", 3)
    told = Told()
    assert looked(bytes(data), "z", told) == [("z!/in/w.txt", 2, 7, "plain", TOKEN)]
    assert told.reasons == [("z!/in/w.txt", "a member is not what the archive says of it")]


def test_what_is_unpacked_before_a_fault_is_looked_at() -> None:
    text = b"".join(TEXT + bytes(range(k, k + 40)) for k in range(200))
    for name, data in (("a.gz", gzip.compress(text, 1)), ("a.tar", tar({"m": text})), ("a.zip", zipped({"m": text}))):
        told = Told()
        assert looked(data[:len(data) // 2], name, told), name
        assert told.skips


def test_broken_archives_are_looked_at_as_they_are() -> None:
    told = Told()
    assert looked(b"\x1f\x8b\x08 no gzip " + T, "x.gz", told) == [("x.gz", 1, 13, "plain", TOKEN)]
    assert told.reasons == [("x.gz", "what is compressed (gz) is damaged")]


def test_what_only_looks_like_an_archive_is_none() -> None:
    text = b"]\0\0\x80\0" + b"\xff" * 8 + b" text " + T
    told = Told()
    assert len(looked(text, "x", told)) == 1
    assert told.skips == []


SMALL: dict[str, Callable[[], bytes]] = {
    "tar": lambda: tar({"a": TEXT, "b" * 200: b"x"}), "gz": lambda: gzip.compress(TEXT),
    "bz2": lambda: bz2.compress(TEXT), "xz": lambda: lzma.compress(TEXT), "zst": lambda: zstd.compress(TEXT),
    "zip": lambda: zipped(NESTED), "7z": lambda: sevenzip(NESTED), "pdf": lambda: pdf(SHOWN),
}


@pytest.mark.parametrize("kind", SMALL)
def test_cut_off_at_every_byte(kind: str) -> None:
    """Never an error; and what is not found is not silent either."""
    data = SMALL[kind]()
    step = max(1, len(data) // 400)
    for size in range(0, len(data), step):
        told = Told()
        every = looked(data[:size], "a", told)
        if kind not in ("tar", "pdf") and size > 12:
            assert every or told.skips, size


@pytest.mark.parametrize("kind", [*SMALL, "db"])
@given(at=st.integers(0, 1 << 20), byte=st.integers(0, 255), size=st.integers(0, 9))
def test_any_byte_may_be_wrong(kind: str, at: int, byte: int, size: int) -> None:
    data = bytearray(SMALL[kind]() if kind != "db" else DATABASE)
    at %= len(data)
    data[at: at + size] = bytes((byte,)) * size
    looked(bytes(data), "a", None, Limits(output=8 << 20, whole=4 << 20))


def test_a_database_whose_words_are_no_text() -> None:
    """Found by the test above: the library raises UnicodeDecodeError for it."""
    data = bytearray(DATABASE)
    data[3811] = 128
    told = Told()
    looked(bytes(data), "d", told)
    assert told.reasons == [("d", "the database is damaged")]


DATABASE = database(("CREATE TABLE kv(k, v)", ()), ("INSERT INTO kv VALUES('a', ?)", (TOKEN,)),
                    ("CREATE VIRTUAL TABLE f USING fts5(x)", ()), ("INSERT INTO f VALUES(?)", ("words " * 9,)))


# --- what is large ------------------------------------------------------------------------------------------------


class _Endless(io.RawIOBase):
    """So many bytes of one line, made as they are read; a token near the end."""

    def __init__(self, size: int) -> None:
        self.left = size

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        if self.left <= 0:
            return b""
        part = min(size, self.left, 1 << 20)
        self.left -= part
        return b"y " * (part // 2 - 25) + T + b" " * (50 - len(T)) if not self.left else b"y " * (part // 2)


def _pieces(read: Callable[[int], bytes]) -> list[tuple[int, int, int, str]]:
    inspector = Inspector(detector(), notes=Told())
    place = Place(Kind.STDIN, "s", "s")
    return [(line, column, len(value), value) for piece in cut(read)
            for _, line, column, _, value in found(inspector, Content(
                piece.data, place, offset=piece.offset, line=piece.line, column=piece.column, overlap=piece.overlap))]


@pytest.mark.parametrize("size", [48 << 20, pytest.param(2 << 30, marks=pytest.mark.soak)])
def test_a_line_of_any_length(size: int) -> None:
    tracemalloc.start()
    [(line, column, _, value)] = _pieces(_Endless(size).read)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert (line, value) == (1, TOKEN) and size - 60 < column < size
    assert peak < 6 * PIECE


def _large(data: bytes, name: str, piece: int = 1 << 16, told: Told | None = None) -> list[tuple[str, int, str]]:
    """As a source gives something large: in pieces, the first of which opens it."""
    inspector = Inspector(detector(), notes=told or Told())
    place = Place(Kind.FILE, name, name)
    found_here = []
    for number, part in enumerate(cut(io.BytesIO(data).read, piece, 1 << 12)):
        content = Content(part.data, place, offset=part.offset, line=part.line, column=part.column,
                          overlap=part.overlap, whole=None if number else lambda: io.BytesIO(data))
        found_here += [(path, line, value) for path, line, _, _, value in found(inspector, content)]
    return found_here


def test_a_large_archive_is_opened_once() -> None:
    noise = "".join(f"line {k}\n" for k in range(40_000)).encode()
    for name, data in (("a.tar", tar({"n": noise, "m": TEXT})), ("a.zip", zipped({"n": noise, "m": TEXT},
                                                                                zipfile.ZIP_STORED))):
        told = Told()
        assert _large(data, name, told=told) == [(f"{name}!/m", 2, TOKEN)]
        assert told.skips == []


def test_a_large_archive_that_is_damaged_is_looked_at_in_pieces() -> None:
    noise = "".join(f"line {k}\n" for k in range(40_000)).encode()
    data = tar({"n": noise, "m": TEXT})
    data = data[:data.rindex(T) + len(T) + 1]
    told = Told()
    assert TOKEN in {value for *_, value in _large(data, "a.tar", told=told)}
    assert told.skips


def test_a_large_member_comes_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    text = b"x" * (3 << 20) + b"\n" + TEXT
    told = Told()
    assert looked(tar({"m": text}), "a.tar", told, Limits(whole=1 << 20)) == [("a.tar!/m", 3, 7, "plain", TOKEN)]
    assert looked(gzip.compress(tar({"m": text})), "b.tgz", told, Limits(whole=1 << 20)) == [
        ("b.tgz!/b.tar!/m", 3, 7, "plain", TOKEN)]
    assert told.skips == []


def test_a_large_zip_inside_of_a_tar_is_told() -> None:
    inner = zipped({"m": zlib.compress(b"x") + bytes(range(256)) * 9000 + TEXT}, zipfile.ZIP_STORED)
    told = Told()
    assert looked(tar({"i.zip": inner}), "a", told, Limits(whole=1 << 20))
    assert [skip.what for skip in told.skips] == ["a!/i.zip"]


@given(st.binary(max_size=600), st.sampled_from(
    [b"", b"PK\x03\x04", b"PK\x05\x06", b"\x1f\x8b\x08", b"BZh91AY&SY", b"\xfd7zXZ\0", b"\x28\xb5\x2f\xfd",
     b"7z\xbc\xaf\x27\x1c", b"SQLite format 3\0", b"%PDF-1.4 /FlateDecode stream\n", b"\xa7\r\r\n\0\0\0\0"]))
def test_any_bytes_can_be_looked_at(data: bytes, start: bytes) -> None:
    looked(start + data + T, "any")


@pytest.mark.parametrize("escape", ["\x1b[%sm", r"\u001b[%sm", r"\x1b[%sm", r"\033[%sm", r"\\u001b[%sm"])
def test_coloured_logs(escape: str) -> None:
    """A terminal's colours stand directly before a value, and end with a letter."""
    text = f"12:01 {escape % '36'}API_KEY{escape % 0}={escape % '1;32'}{TOKEN}{escape % 0}\n"
    assert [(line, value) for _, line, _, _, value in looked(text)] == [(1, TOKEN)]


def test_texts_that_are_looked_at_together_do_not_name_each_others_values() -> None:
    words = ["the bear", "k2v9x7q4m1t8r5w3z6n0", "bear: k2v9x7q4m1t8r5w3z6n1"]
    inspector = Inspector(Detector(Ruleset([NAMED])), notes=Told())
    assert [match.secret.reveal() for match in hidden(inspector, words)] == [b"k2v9x7q4m1t8r5w3z6n1"]
    data = b" ".join(base64.b64encode(word.encode() + b"\n") for word in words)
    found = inspector.look(Content(data, Place(Kind.FILE, "a.txt", "a.txt")))
    assert [match.secret.reveal() for match in found] == [b"k2v9x7q4m1t8r5w3z6n1"]
