"""Encodings inside of text, undone: bounded in depth and output, and only where a cheap look says that it may pay.

    derived(data, fresh)      what the data holds in encoded form, each with the places that it comes from

Base64 (URL-safe, unpadded, wrapped, of UTF-16, of compressed data), hex, percent, backslash and HTML escapes, strings
in parts, UTF-16 and UTF-32; and each inside of each other.
"""

from __future__ import annotations

import binascii
import contextlib
import html
import io
import re
from collections.abc import Callable, Iterator, Sequence

from clawsecrets.formats.bounds import Budget, Limits
from clawsecrets.formats.errors import Unreadable
from clawsecrets.formats.sniff import sniff
from clawsecrets.formats.streams import KINDS, decompressed
from clawsecrets.scan import gates
from clawsecrets.scan.derived import Derived, rewritten, windows
from clawsecrets.scan.ranges import Events
from clawsecrets.scan.wide import texts

DEPTH = 3
_REACH = 600
"""Bytes around a hint that are rewritten: more than a rule needs."""
_PACKED = Limits(output=16 << 20, ratio=1000)
_ALPHABET = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/_-"
_STANDARD = bytes.maketrans(b"-_", b"+/")
_PRINTABLE = bytes(range(32, 127)) + b"\t\n\r"
_RUN = re.compile(rb"[A-Za-z0-9+/_-]*={0,2}")
_MORE = re.compile(rb"""["'`]?[ \t]*[+.\\]?(?:\r?\n|\\r\\n|\\n)[ \t]*(?:(?://|[#>*|])[ \t]+)?"""
                   rb"""(?:(?:[+.][ \t]*)?[bru]?["'`])?([A-Za-z0-9+/_-]{2,}={0,2}|={1,2})"""
                   rb"""(?=["'`]?[ \t]*[,;)+.\\]*[ \t]*(?:[\r\n"'`\\]|\Z))""")
"""A wrapped run goes on: the end of a line, indentation, signs of comments, quotes, string concatenation."""
_NAMED = re.compile(rb"""[\w.-]{2,64}["'`]?[ \t]{0,16}(?:[:=]|=>|:=)[ \t]{0,16}["'`]?\Z""")
_DIGITS = b"0123456789abcdefABCDEF"
_HEX_RUN = re.compile(rb"[0-9a-fA-F]*")
_SHORTEST_HEX = 24
_HEX_SPREAD = re.compile(rb"[0-9A-Fa-fxX ,:\s]*")
_HEX_FIRST = re.compile(rb"(?<![0-9A-Fa-fxX])(?:0[xX])?[0-9A-Fa-f]{2}[ ,:]")
_BETWEEN_HEX = b" ,:\t\r\n\v\f"
_MOST_LINES = 100_000


def derived(data: bytes, fresh: Sequence[tuple[int, int]] | None = None, *,
            seen: Events | None = None) -> list[Derived]:
    """Everything that is encoded in the data, to a depth of 3. `fresh`: only what is seen in these ranges. `seen`: what
    `gates.events` gave, as places in the data."""
    found: list[Derived] = []
    level = list(_once(data, gates.hints(data, fresh) if seen is None else gates.sifted(data, gates.by_kind(seen))))
    for _ in range(DEPTH - 1):
        found += level
        level = [inner.through(outer) for outer in level
                 for inner in _once(outer.data, gates.hints(outer.data)) if inner.encoding != outer.encoding
                 or inner.encoding in _REPEAT]
    return found + level


_REPEAT = frozenset(("base64", "hex", "percent", "escaped"))
"""Encodings that stand inside of themselves; the other ones are undone completely the first time."""


def _once(data: bytes, hints: dict[int, list[int]]) -> Iterator[Derived]:
    for kind, ends in sorted(hints.items()):
        if kind in _RUNS:
            yield from _RUNS[kind](data, ends)
        elif kind == gates.WIDE:
            yield from texts(data, ends)
        else:
            name, pattern, write = _REWRITES[kind]
            yield rewritten(data, windows(ends, len(data), _REACH), pattern, write, name)


# --- runs ---------------------------------------------------------------------------------------------------------


def _base64(data: bytes, ends: Sequence[int]) -> Iterator[Derived]:
    done = 0
    phases: set[int] = set()
    begin = 0
    for end in ends:
        if end > done:
            begin = _begin(data, end, done, _ALPHABET)
            phases = set()
        phase = (end - begin) % 4  # a hint ends with a group: chance may see groups where there are none
        if phase in phases:
            continue
        phases.add(phase)
        start = _behind_path(data, begin + phase, end)
        lines, stop = _run(data, start)
        done = max(done, stop)
        yield from _worth(data, start, _plain64(b"".join(lines)), "base64")
        if len(lines) > 1 and not any(len(line) % 4 for line in lines[:-1]):  # or each line stands for itself
            yield from _worth(data, start, b"\n".join([_plain64(line) for line in lines]), "base64")


def _base64_packed(data: bytes, ends: Sequence[int]) -> Iterator[Derived]:
    done = 0
    for end in ends:
        if end <= done:
            continue
        start = _begin(data, end, done, _ALPHABET)
        for mark in _MARKS:
            at = data.find(mark, start, end)
            if at >= 0:
                start = at
                break
        lines, done = _run(data, start)
        yield from _worth(data, start, _plain64(b"".join(lines)), "base64")


_MARKS = (b"H4sI", b"UEsDB", b"QlpoOT", b"/Td6WFoA", b"_Td6WFoA", b"KLUv")


def _begin(data: bytes, end: int, floor: int, alphabet: bytes) -> int:
    """Where the run begins that goes over `end`."""
    reach = 4096
    while True:
        low = max(floor, end - reach)
        start = low + len(data[low:end].rstrip(alphabet))
        if start > low or low == floor:
            return start
        reach *= 8


def _behind_path(data: bytes, start: int, end: int) -> int:
    """The run's beginning without the path that it may stand behind: slashes are characters of base64, too."""
    slash = data.rfind(b"/", start, end - 20) + 1
    if slash and (end - slash) % 4 == 0 and _plain64(data[start:slash]).translate(None, _PRINTABLE):
        return slash
    return start


def _run(data: bytes, start: int) -> tuple[list[bytes], int]:
    """The characters of a run of base64, line by line that it is wrapped over, and where it ends."""
    found = _RUN.match(data, start)
    assert found is not None
    if data[found.end() - 1: found.end()] == b"=" or found.end() - start < 16:
        return [found.group()], found.end()
    parts = [found.group()]
    end = found.end()
    for _ in range(_MOST_LINES):
        more = _MORE.match(data, end)
        if more is None:
            break
        parts.append(more[1])
        end = more.end()
        if more[1].endswith(b"="):
            break
    return parts, end


def _plain64(text: bytes) -> bytes:
    text = text.rstrip(b"=").translate(_STANDARD)
    if len(text) % 4 == 1:
        text = text[:-1]
    try:
        return binascii.a2b_base64(text + b"=" * (-len(text) % 4))
    except binascii.Error:
        return b""


def _hex(data: bytes, ends: Sequence[int]) -> Iterator[Derived]:
    done = 0
    for end in ends:
        if end <= done:
            continue
        if data[end - 1] in _DIGITS:
            start = _begin(data, end, done, _DIGITS)
            start += (end - start) % 2
            found = _HEX_RUN.match(data, start)
        else:
            found = None
        if found is None or found.end() - start < _SHORTEST_HEX:
            start = _begin(data, end, max(done, end - 4096), _DIGITS + b"xX ,:\t\r\n")
            first = _HEX_FIRST.search(data, start, end)
            start = first.start() if first else start
            found = _HEX_SPREAD.match(data, start)
            assert found is not None
        done = max(found.end(), end)
        digits = found.group().replace(b"0x", b"").replace(b"0X", b"").translate(None, _BETWEEN_HEX)
        with contextlib.suppress(binascii.Error):
            yield from _worth(data, start, binascii.unhexlify(digits[:len(digits) & ~1]), "hex")


def _worth(data: bytes, start: int, decoded: bytes, encoding: str) -> Iterator[Derived]:
    """What was decoded, if it is text, or holds some, or is a container."""
    if not decoded:
        return
    kind = sniff(decoded[:512]) or ("zlib" if decoded[:2] in _ZLIB else "")
    if kind in KINDS or kind == "zlib":
        try:
            decoded = decompressed(io.BytesIO(decoded), kind, Budget(_PACKED)).read()
        except Unreadable:
            return
        encoding += "+" + {"gz": "gzip"}.get(kind, kind)
        kind = sniff(decoded[:512])
    if kind:
        yield Derived(decoded, encoding, (0,), (start,))
        return
    odd = len(decoded.translate(None, _PRINTABLE))
    if odd * 5 > len(decoded):
        wide = _from_wide(decoded)
        if wide:
            decoded, encoding, odd = wide[0], f"{encoding}+{wide[1]}", 0
        else:
            decoded = b"\n".join(re.findall(rb"[\t -~]{12,}", decoded))
    if decoded:
        name = _name(data, start)
        yield Derived(name + decoded, encoding, (0,), (start,), 0, len(name), odd > 0 and odd * 5 > len(decoded))


_ZLIB = frozenset((b"\x78\x01", b"\x78\x5e", b"\x78\x9c", b"\x78\xda"))


def _from_wide(data: bytes) -> tuple[bytes, str] | None:
    for low, name in ((0, "utf-16le"), (1, "utf-16be")):
        text, zeros = data[low::2], data[1 - low::2]
        if zeros.count(0) * 5 >= len(zeros) * 4 and len(text.translate(None, _PRINTABLE)) * 5 <= len(text):
            return text.translate(None, b"\0"), name
    return None


def _name(data: bytes, start: int) -> bytes:
    """What names the encoded value on its line: a rule may ask for the name."""
    low = max(data.rfind(b"\n", max(0, start - 100), start) + 1, start - 100, 0)
    found = _NAMED.search(data[low:start])
    return found.group() if found else b""


_RUNS: dict[int, Callable[[bytes, Sequence[int]], Iterator[Derived]]] = {
    gates.BASE64: _base64, gates.BASE64_PACKED: _base64_packed, gates.HEX: _hex,
}


# --- rewriting ----------------------------------------------------------------------------------------------------


def _percent(found: re.Match[bytes]) -> bytes:
    return binascii.unhexlify(found[1])


def _escape(found: re.Match[bytes]) -> bytes:
    octal = found["octal"]
    return bytes((int(octal, 8) if octal else int(found["hex"] or found["braced"] or found["x"], 16),))


def _entity(found: re.Match[bytes]) -> bytes:
    text = html.unescape(found.group().decode("ascii").replace("&hyphen;", "-").replace("&dash;", "-"))
    return text.encode("ascii", "replace")


def _spaced(found: re.Match[bytes]) -> bytes:
    return b"\n" if found[1] in b"nr" else b" "


def _nothing(found: re.Match[bytes]) -> bytes:
    return b""


_QUOTE = rb"[\"'`]"
_REWRITES: dict[int, tuple[str, re.Pattern[bytes], Callable[[re.Match[bytes]], bytes]]] = {
    gates.PERCENT: ("percent", re.compile(rb"%(?:25){0,2}([2-7][0-9A-Fa-f])"), _percent),
    gates.ESCAPE: ("escaped", re.compile(
        rb"\\{1,4}(?:u00(?P<hex>[2-7][0-9A-Fa-f])|u\{0{0,4}(?P<braced>[2-7][0-9A-Fa-f])\}|x(?P<x>[2-7][0-9A-Fa-f])"
        rb"|(?P<octal>[01][0-7][0-7]))"), _escape),
    gates.ENTITY: ("html", re.compile(rb"&(?:#[xX]?[0-9A-Fa-f]{2,5}|[a-z]{2,6});"), _entity),
    gates.JOINED: ("concatenated", re.compile(
        _QUOTE + rb"\s{0,40}(?:[+.&~]|\|\||\.\.|<>)?\s{0,40}(?:\\\r?\n\s{0,40})?[fbruFBRU]?" + _QUOTE
        + rb"|\$\{\s?" + _QUOTE + rb"|" + _QUOTE + rb"\s?\}"), _nothing),
    gates.LISTED: ("concatenated", re.compile(_QUOTE + rb"\s{0,40},\s{0,40}[bruBRU]?" + _QUOTE), _nothing),
    gates.CONTINUED: ("continued", re.compile(rb"[\\`^]\r?\n[ \t]{0,200}"), _nothing),
    gates.COLOUR: ("coloured", re.compile(rb"(?:\x1b|\\{1,4}(?:u001[bB]|x1[bB]|033|e))\[[0-9;]{0,12}m"), _nothing),
    gates.NEWLINE: ("escaped", re.compile(rb"\\{1,4}([nrtbfv])"), _spaced),
}

