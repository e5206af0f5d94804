"""PDF files (ISO 32000): their streams, unfiltered, and the text that a page shows, joined as a reader sees it."""

from __future__ import annotations

import base64
import binascii
import io
import re
from collections.abc import Iterator

from clawsecrets.formats.bounds import Budget
from clawsecrets.formats.errors import Damaged, Encrypted
from clawsecrets.formats.streams import decompressed

_STREAM = re.compile(rb"stream\r?\n")
_DICTIONARY = 4096
"""Bytes before a stream in which its dictionary is looked for."""
_FILTERS = re.compile(rb"/Filter\s*(/[A-Za-z0-9]+|\[[^\]]{0,200}\])")
_NAME = re.compile(rb"/([A-Za-z0-9]+)")
_LENGTH = re.compile(rb"/Length\s+(\d{1,12})(?!\s+\d+\s+R)")
_PICTURES = frozenset((b"DCTDecode", b"JPXDecode", b"CCITTFaxDecode", b"JBIG2Decode", b"DCT", b"CCF"))
_SHOWN = re.compile(
    rb"\((?:\\.|[^\\()]|\((?:\\.|[^\\()]){0,4096}+\)){0,65536}+\)|<[0-9A-Fa-f\s]{0,65536}+>"
    rb"|T[dDm*]|ET|['\"]|-?\d+(?:\.\d+)?\s+(?=[(<])", re.S,
)
"""What a content stream shows: strings; operators that begin a new line; a number between strings of one array."""
_ESCAPE = re.compile(rb"\\([0-7]{1,3}|\r?\n|.)", re.S)
_SAID = {b"n": b"\n", b"r": b"\r", b"t": b"\t", b"b": b"\b", b"f": b"\f"}
_GAP = -200.0
"""Thousandths of an em: a number in a TJ array below that is a space between words."""


def streams(data: bytes, budget: Budget) -> Iterator[tuple[int, bytes]]:
    """Each stream: where it begins in the file, and its text: unfiltered, then what it shows. Encrypted at once,
    Damaged at the end when a stream could not be unfiltered; TooLarge."""
    if re.search(rb"/Encrypt\s*(?:\d+\s+\d+\s+R|<<)", data[-_DICTIONARY:]) or b"/Encrypt " in data[:_DICTIONARY]:
        raise Encrypted
    fault: Damaged | None = None
    at = 0
    while found := _STREAM.search(data, at):
        start = found.end()
        budget.count()
        if data[max(0, found.start() - 3): found.start()] == b"end":
            at = start
            continue
        head = data[max(at, found.start() - _DICTIONARY): found.start()]
        head = head[head.rfind(b"endobj") + 1:]
        end = _end(data, head, start)
        at = end
        try:
            text = _unfiltered(data[start:end], head, budget)
        except Damaged as error:
            fault = error
            continue
        if text is not None:
            yield start, text
            if b"Tj" in text or b"TJ" in text:
                shown = _text(text)
                budget.spend(len(shown))
                yield start, shown
    if fault is not None:
        raise fault


def _end(data: bytes, head: bytes, start: int) -> int:
    said = _LENGTH.search(head)
    if said is not None:
        end = start + int(said[1])
        if data[end: end + 12].lstrip(b"\r\n ").startswith(b"endstream"):
            return end
    end = data.find(b"endstream", start)
    return end if end >= 0 else len(data)


def _unfiltered(data: bytes, head: bytes, budget: Budget) -> bytes | None:
    """The stream's content; None for pictures."""
    said = _FILTERS.search(head)
    names = _NAME.findall(said[1]) if said else []
    if _PICTURES & set(names):
        return None
    for name in names:
        data = _once(data, name, budget)
    return data


def _once(data: bytes, name: bytes, budget: Budget) -> bytes:
    try:
        if name in (b"FlateDecode", b"Fl"):
            return decompressed(io.BytesIO(data), "zlib", budget).read()
        if name in (b"ASCIIHexDecode", b"AHx"):
            digits = re.sub(rb"\s", b"", data.partition(b">")[0])
            return binascii.unhexlify(digits + b"0" * (len(digits) % 2))
        if name in (b"ASCII85Decode", b"A85"):
            return base64.a85decode(data.strip().removeprefix(b"<~").partition(b"~>")[0])
        if name in (b"RunLengthDecode", b"RL"):
            return _runs(data, budget)
        if name in (b"LZWDecode", b"LZW"):
            return _lzw(data, budget)
    except (ValueError, binascii.Error):
        raise Damaged("a stream is damaged") from None
    raise Damaged("a stream has a filter that is not read")


def _runs(data: bytes, budget: Budget) -> bytes:
    out, at = bytearray(), 0
    while at < len(data) and data[at] != 128:
        length = data[at]
        part = data[at + 1: at + 2 + length] if length < 128 else data[at + 1: at + 2] * (257 - length)
        at += length + 2 if length < 128 else 2
        budget.spend(len(part))
        out += part
    return bytes(out)


def _lzw(data: bytes, budget: Budget) -> bytes:
    """7.4.4 of ISO 32000, with the early change that all writers use."""
    first = [bytes((byte,)) for byte in range(256)] + [b"", b""]
    table, out = list(first), []
    bits, have, width, last = 0, 0, 9, b""
    for byte in data:
        bits, have = (bits << 8 | byte) & 0xFFFFFF, have + 8
        if have < width:
            continue
        have -= width
        code = bits >> have & ((1 << width) - 1)
        if code == 257:
            break
        if code == 256:
            table, width, last = list(first), 9, b""
            continue
        if code > len(table) or (code == len(table) and not last):
            raise Damaged("a stream is damaged")
        word = table[code] if code < len(table) else last + last[:1]
        if last and len(table) < 4096:
            table.append(last + word[:1])
        out.append(word)
        budget.spend(len(word))
        last = word
        width = 9 if len(table) < 511 else 10 if len(table) < 1023 else 11 if len(table) < 2047 else 12
    return b"".join(out)


def _text(content: bytes) -> bytes:
    """What is shown, a line for each place that it moves to."""
    parts = []
    for found in _SHOWN.finditer(content):
        token = found.group()
        if token[:1] == b"(":
            parts.append(_ESCAPE.sub(_plain, token[1:-1]))
        elif token[:1] == b"<":
            parts.append(_from_hex(token[1:-1]))
        elif token[:1] in b"-0123456789":
            if float(token) < _GAP:
                parts.append(b" ")
        else:
            parts.append(b"\n")
    return b"".join(parts)


def _plain(found: re.Match[bytes]) -> bytes:
    code = found[1]
    if code[0] in b"01234567":
        return bytes((int(code, 8) & 0xFF,))
    return _SAID.get(code, b"" if code.endswith(b"\n") else code)


def _from_hex(text: bytes) -> bytes:
    digits = re.sub(rb"\s", b"", text)
    data = binascii.unhexlify(digits + b"0" * (len(digits) % 2))
    if len(data) > 1 and not any(data[::2]):  # two bytes a character
        return data[1::2]
    return data


