"""The other readers by themselves: right on what is whole, and only our own errors on anything."""

from __future__ import annotations

import base64
import io
import sqlite3
import zipfile
import zlib
from bisect import bisect_right
from collections.abc import Callable

import py7zr
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clawsecrets.formats import markup, pdf, pyc, sevenzip, sqlite, ziparchive
from clawsecrets.formats.bounds import Budget, Limits
from clawsecrets.formats.errors import Damaged, TooLarge, Unreadable
from clawsecrets.formats.sniff import sniff

SMALL = Limits(output=4 << 20, members=5000)
TEXT = b"some text to be packed, and packed again, and again " * 9


def zipped(**files: bytes) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return made.getvalue()


def seven() -> bytes:
    made = io.BytesIO()
    with py7zr.SevenZipFile(made, "w") as archive:
        archive.writestr(TEXT, "a")
        archive.writestr(b"x", "b/c")
    return made.getvalue()


def base() -> bytes:
    connection = sqlite3.connect(":memory:")
    connection.execute("CREATE TABLE t(a TEXT, b BLOB, c INTEGER)")
    connection.execute("CREATE TABLE w(k PRIMARY KEY, v) WITHOUT ROWID")
    connection.execute("CREATE INDEX i ON t(a)")
    connection.executemany("INSERT INTO t VALUES(?, ?, ?)", [("x" * 9000, b"\0\1", 7), ("short", None, None)])
    connection.execute("INSERT INTO w VALUES('k', 'v')")
    connection.commit()
    return connection.serialize()


def page(filters: str, data: bytes) -> bytes:
    return b"%%PDF-1.4\n1 0 obj << /Length %d /Filter %s >>\nstream\n%s\nendstream endobj" % (
        len(data), filters.encode(), data)


def read_zip(data: bytes) -> list[tuple[str, str, bytes]]:
    return [(part.type, part.name, part.read()) for part in ziparchive.parts(io.BytesIO(data), Budget(SMALL))]


def read_seven(data: bytes) -> list[tuple[str, bytes]]:
    found: list[tuple[str, bytes]] = []
    sevenzip.extract(io.BytesIO(data), Budget(SMALL), 1 << 20, lambda name, part: found.append((name, part)))
    return found


def read_base(data: bytes) -> list[tuple[str, list[sqlite.Cell]]]:
    return list(sqlite.rows(io.BytesIO(data), len(data), Budget(SMALL), 8 << 20))


def read_pdf(data: bytes) -> list[bytes]:
    return [text for _, text in pdf.streams(data, Budget(SMALL))]


READERS: dict[str, tuple[Callable[[bytes], object], bytes]] = {
    "zip": (read_zip, zipped(a=TEXT, b=b"")), "7z": (read_seven, seven()), "sqlite": (read_base, base()),
    "pdf": (read_pdf, page("/FlateDecode", zlib.compress(b"BT (a) Tj [(b)-9(c)] TJ ET"))),
    "pyc": (lambda data: list(pyc.strings(data)), b"\xa7\r\r\n" + bytes(12) + b"\xe3z\x10sixteen letters!"),
    "markup": (markup.text, b"<w:p><w:t>a</w:t></w:p>"),
}


@pytest.mark.parametrize("kind", READERS)
@given(noise=st.binary(max_size=300), at=st.integers(0, 1 << 20), cut=st.integers(0, 1 << 20))
def test_only_our_own_errors(kind: str, noise: bytes, at: int, cut: int) -> None:
    read, whole = READERS[kind]
    data = bytearray(whole)
    at %= len(data)
    data[at: at + len(noise)] = noise
    for sample in (bytes(data), whole[:cut % len(whole)], whole[:16] + noise):
        try:
            read(sample)
        except Unreadable:
            continue


def test_zip() -> None:
    assert [part for part in read_zip(zipped(a=TEXT, b=b"")) if part[0] == ziparchive.MEMBER] == [
        ("member", "a", TEXT), ("member", "b", b"")]


def test_zip64() -> None:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive, archive.open("a", "w", force_zip64=True) as member:
        member.write(TEXT)
    assert ("member", "a", TEXT) in read_zip(made.getvalue())


def test_zip_without_its_directory() -> None:
    data = zipped(a=TEXT, b=b"more")
    found = []
    with pytest.raises(Damaged):
        for part in ziparchive.parts(io.BytesIO(data[:data.index(b"PK\x01\x02") + 9]), Budget()):
            found.append((part.name, part.read()))
    assert found[:2] == [("a", TEXT), ("b", b"more")]


def test_7z() -> None:
    assert sorted(read_seven(seven())) == [("a", TEXT), ("b/c", b"x")]
    with pytest.raises(TooLarge):
        sevenzip.extract(io.BytesIO(seven()), Budget(Limits(output=20)), 1 << 20, lambda name, data: None)
    with pytest.raises(TooLarge):
        sevenzip.extract(io.BytesIO(seven()), Budget(), 20, lambda name, data: None)


def test_what_the_taker_raises_escapes_from_7z() -> None:
    def refuse(name: str, data: bytes) -> None:
        raise TooLarge("of the taker")

    with pytest.raises(TooLarge, match="of the taker"):
        sevenzip.extract(io.BytesIO(seven()), Budget(), 1 << 20, refuse)


def test_sqlite() -> None:
    found = read_base(base())
    assert ("t", [("a", b"x" * 9000), ("b", b"\0\1")]) in found
    assert ("t", [("a", b"short")]) in found
    assert ("w", [("k", b"k"), ("v", b"v")]) in found
    assert sum(table == sqlite.SCHEMA for table, _ in found) == 3


def test_sqlite_by_the_open_file(tmp_path: object) -> None:
    path = tmp_path / "large.db"  # type: ignore[operator]
    path.write_bytes(base())
    with path.open("rb") as file:
        found = list(sqlite.rows(file, path.stat().st_size, Budget(), 1000))
    assert ("w", [("k", b"k"), ("v", b"v")]) in found
    assert [entry.name for entry in tmp_path.iterdir()] == ["large.db"]  # type: ignore[attr-defined]


@pytest.mark.parametrize(("filters", "pack"), [
    ("/FlateDecode", zlib.compress), ("/Fl", zlib.compress), ("[/ASCIIHexDecode]", lambda data: data.hex().encode()),
    ("/ASCII85Decode", lambda data: base64.a85encode(data) + b"~>"),
    ("[/ASCII85Decode /FlateDecode]", lambda data: base64.a85encode(zlib.compress(data)) + b"~>"),
    ("/RunLengthDecode", lambda data: bytes((len(data) - 1,)) + data + b"\x80"), ("/LZWDecode", lambda data: lzw(data)),
])
def test_filters_of_pdf(filters: str, pack: Callable[[bytes], bytes]) -> None:
    text = b"BT (shown) Tj ET and more text, more text, more"
    assert read_pdf(page(filters, pack(text)))[0] == text


def lzw(data: bytes) -> bytes:
    """Codes of nine bits, a clear code before the table grows out of them."""
    bits = "".join(f"{code:09b}" for k in range(0, len(data), 200) for code in (256, *data[k: k + 200])) + f"{257:09b}"
    return bytes(int(bits[k: k + 8].ljust(8, "0"), 2) for k in range(0, len(bits), 8))


def test_text_that_a_pdf_shows() -> None:
    text = rb"BT (one\) \164wo) Tj 0 -12 Td [(th) -20 (ree) -900 (four)] TJ T* <66697665> Tj ET"
    assert read_pdf(page("[]", text))[1].split(b"\n") == [b"one) two", b"three four", b"five", b""]


def test_pictures_are_passed_over_and_unknown_filters_told() -> None:
    assert read_pdf(page("/DCTDecode", b"\xff\xd8 picture")) == []
    with pytest.raises(Damaged):
        read_pdf(page("/Unheard", b"x"))


def test_strings_of_compiled_python() -> None:
    data = READERS["pyc"][1]
    assert [data[start:end] for start, end in pyc.strings(data)] == [b"sixteen letters!"]


def test_text_of_documents() -> None:
    data = b"<p>one</p><p><b>tw</b><i>o</i></p>"
    text, starts, origins = markup.text(data)
    assert text.split() == [b"one", b"two"]
    for at in (text.index(b"one"), text.index(b"two"), text.index(b"two") + 2):
        part = bisect_right(starts, at) - 1
        assert data[origins[part] + at - starts[part]] == text[at]


@pytest.mark.parametrize(("head", "kind"), [
    (b"", ""), (b"PK", ""), (b"PK\x03\x04", "zip"), (b"\x1f\x8b\x08", "gz"), (b"BZh9", ""),
    (b"7z\xbc\xaf\x27\x1c", "7z"),
    (b"SQLite format 3\0", "sqlite"), (b"SQL", ""), (b"%PDF-1.7", "pdf"), (b"\xa7\r\r\n\0\0\0\0", "pyc"),
    (b"\x52\x2a\x4d\x18", "zstd"), (b"plain text " * 60, ""), (b"\0" * 512, ""), (b"# ustar" + b" " * 300, ""),
])
def test_sniffing(head: bytes, kind: str) -> None:
    assert sniff(head) == kind
