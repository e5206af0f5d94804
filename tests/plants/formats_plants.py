"""Files with one invented token in each encoding and in each container of files, also in each other: what must be told
of each. Names say nothing about what a file is: it must be recognised by what it holds."""

from __future__ import annotations

import base64
import bz2
import gzip
import importlib.util
import io
import lzma
import marshal
import textwrap
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from urllib.parse import quote

import py7zr

from tests.scan.planted import database, pdf, tar, zipped

FIRST = "a first line that says nothing at all\n"


@dataclass(frozen=True)
class Planted:
    """One file, and what a scan must say of it."""

    name: str
    token: str
    data: bytes
    inside: str = ""
    """The path behind the file's name."""
    line: int = 2
    encoding: str = "plain"

    def beneath(self, path: str) -> str:
        """The path that must be told of the file that stands at `path`."""
        return path + self.inside


def planted(made: Callable[[str], str]) -> list[Planted]:
    """All of them."""
    found = [*_encodings(made), *_containers(made), *_nested(made)]
    assert len({one.name for one in found}) == len(found)
    return found


# --- encodings ----------------------------------------------------------------------------------------------------


def _b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _encodings(made: Callable[[str], str]) -> Iterator[Planted]:
    for name, (write, encoding) in _WAYS.items():
        token = made(f"encoding {name}")
        yield Planted(f"enc-{name}", token, (FIRST + write(token)).encode(), encoding=encoding)
    for name, mark in (("utf-16-le", b""), ("utf-16-be", b""), ("utf-16-le", b"\xff\xfe"), ("utf-16-be", b"\xfe\xff")):
        told = f"{name}{'-mark' if mark else ''}"
        token = made(f"encoding {told}")
        yield Planted(f"enc-{told}", token, mark + f"{FIRST}key = {token}\n".encode(name),
                      encoding=name.replace("-le", "le").replace("-be", "be"))


def _half(token: str) -> tuple[str, str]:
    return token[:20], token[20:]


_PROSE = "words that stand before it, so that there is more than one line of it: "
_WAYS: dict[str, tuple[Callable[[str], str], str]] = {
    "plain": (lambda t: f"key = {t}\n", "plain"),
    "base64": (lambda t: f"data: {_b64(t.encode())}\n", "base64"),
    "base64url": (lambda t: f"d={base64.urlsafe_b64encode(b'??>>~~' + t.encode()).decode()}&e=1\n", "base64"),
    "base64-bare": (lambda t: f"data: {_b64(b'x=' + t.encode()).rstrip('=')}\n", "base64"),
    "base64-wrapped": (lambda t: "\n".join(textwrap.wrap(_b64((_PROSE + t).encode()), 64)) + "\n", "base64"),
    "base64-twice": (lambda t: f"data: {_b64(_b64(t.encode()).encode())}\n", "base64+base64"),
    "base64-utf16": (lambda t: f"run -enc {_b64(('echo ' + t).encode('utf-16-le'))}\n", "base64+utf-16le"),
    "base64-gzip": (lambda t: f"data: {_b64(gzip.compress((_PROSE + t).encode(), mtime=0))}\n", "base64+gzip"),
    "hex": (lambda t: f"blob = {t.encode().hex()}\n", "hex"),
    "percent": (lambda t: "u=" + "".join(f"%{byte:02X}" for byte in t.encode()) + "\n", "percent"),
    "percent-some": (lambda t: "https://h.invalid/?next=" + quote(f"/x?key={t}&b=1", safe="").replace("v1", "v%31")
                     + "\n", "percent"),
    "escapes": (lambda t: "'" + "".join(f"\\u{ord(char):04x}" for char in t) + "'\n", "escaped"),
    "html": (lambda t: "<b>" + "".join(f"&#{ord(char)};" for char in t) + "</b>\n", "html"),
    "html-hex": (lambda t: "<b>" + "".join(f"&#x{ord(char):x};" for char in t) + "</b>\n", "html"),
    "concatenated": (lambda t: 'key = "{}" + "{}"\n'.format(*_half(t)), "concatenated"),
    "continued": (lambda t: "KEY={}\\\n{}\n".format(*_half(t)), "continued"),
}


# --- containers ---------------------------------------------------------------------------------------------------


def _text(token: str) -> bytes:
    return f"{FIRST}key = {token}\n".encode()


def _zstd(data: bytes) -> bytes:
    from backports import zstd

    return zstd.compress(data)


def _7z(files: dict[str, bytes]) -> bytes:
    made = io.BytesIO()
    with py7zr.SevenZipFile(made, "w") as archive:
        for name, data in files.items():
            archive.writestr(data, name)
    return made.getvalue()


def _docx(token: str) -> bytes:
    first, second = _half(token)
    return zipped({"[Content_Types].xml": b"<Types/>", "word/document.xml": (
        '<?xml version="1.0"?><w:document><w:body><w:p><w:r><w:t>key: ' + first + "</w:t></w:r><w:r><w:t>" + second
        + "</w:t></w:r></w:p></w:body></w:document>").encode()})


def _pyc(token: str) -> bytes:
    code = compile(f"\nkey = {token!r}\n", "app.py", "exec")
    return importlib.util.MAGIC_NUMBER + bytes(12) + marshal.dumps(code)


def _rows(token: str) -> bytes:
    return database(("CREATE TABLE notes (id INTEGER, body TEXT)", ()), ("INSERT INTO notes VALUES (1, 'nothing')", ()),
                    ("INSERT INTO notes VALUES (2, ?)", (f"key = {token}",)))


def _containers(made: Callable[[str], str]) -> Iterator[Planted]:
    inner = {"a/first.txt": b"nothing\n"}
    for name, write in _ARCHIVES.items():
        token = made(f"container {name}")
        yield Planted(f"box-{name}", token, write({**inner, "a/key.txt": _text(token)}), "!/a/key.txt")
    for name, pack in _STREAMS.items():
        token = made(f"container {name}")
        yield Planted(f"box-{name}", token, pack(_text(token)), "!/content")
        token = made(f"container tar.{name}")
        yield Planted(f"box-tar.{name}", token, pack(tar({**inner, "a/key.txt": _text(token)})), "!/a/key.txt")
    for name, (write_one, inside, line, encoding) in _DOCUMENTS.items():
        token = made(f"container {name}")
        yield Planted(f"box-{name}", token, write_one(token), inside, line, encoding)


_ARCHIVES: dict[str, Callable[[dict[str, bytes]], bytes]] = {
    "zip": zipped, "tar": tar, "7z": _7z,
    "jar": lambda files: zipped({"META-INF/MANIFEST.MF": b"Manifest-Version: 1.0\n", **files}),
    "whl": lambda files: zipped({"app-1.dist-info/WHEEL": b"Wheel-Version: 1.0\n", **files}),
}
_STREAMS: dict[str, Callable[[bytes], bytes]] = {
    "gz": lambda data: gzip.compress(data, mtime=0), "bz2": bz2.compress, "xz": lzma.compress, "zst": _zstd,
}
_DOCUMENTS: dict[str, tuple[Callable[[str], bytes], str, int, str]] = {
    "docx": (_docx, "!/word/document.xml", 1, "xml"),
    "sqlite": (_rows, "!/notes", 2, "plain"),
    "pyc": (_pyc, "", 0, "plain"),
    "pdf": (lambda token: pdf(b"BT /F1 12 Tf (key: " + token.encode() + b") Tj ET"), "", 0, "pdf"),
}


def _nested(made: Callable[[str], str]) -> Iterator[Planted]:
    def of(name: str, write: Callable[[str], bytes], inside: str, line: int = 2, encoding: str = "plain") -> Planted:
        token = made(f"nested {name}")
        return Planted(f"deep-{name}", token, write(token), inside, line, encoding)

    yield of("zip-tar-gz", lambda t: zipped({"o/in.tgz": gzip.compress(tar({"a/key.txt": _text(t)}), mtime=0)}),
             "!/o/in.tgz!/a/key.txt")
    yield of("7z-zip", lambda t: _7z({"in.zip": zipped({"key.txt": _text(t)})}), "!/in.zip!/key.txt")
    yield of("tar-zst-docx", lambda t: _zstd(tar({"letter": _docx(t)})), "!/letter!/word/document.xml", 1, "xml")
    yield of("xz-sqlite", lambda t: lzma.compress(_rows(t)), "!/content!/notes", 2)
    yield of("zip-utf16", lambda t: zipped({"key.txt": ("\ufeff" + FIRST + t).encode("utf-16-le")}), "!/key.txt", 2,
             "utf-16le")
    yield of("tar-base64", lambda t: tar({"v.yaml": f"{FIRST}data: {_b64(t.encode())}\n".encode()}), "!/v.yaml", 2,
             "base64")
    yield of("base64-zip", lambda t: f"{FIRST}data: {_b64(zipped({'a': _text(t)}))}\n".encode(), "", 2, "base64+zip")
    yield of("zip-pyc", lambda t: zipped({"m.bin": _pyc(t)}), "!/m.bin", 0, "plain")
    yield of("gz-pdf", lambda t: gzip.compress(pdf(b"BT (" + t.encode() + b") Tj ET"), mtime=0), "!/content", 0, "pdf")
    yield of("zip-five", lambda t: _five(_text(t)), "!/1!/2!/3!/4!/5")


def _five(data: bytes) -> bytes:
    for name in "54321":
        data = zipped({name: data})
    return data
