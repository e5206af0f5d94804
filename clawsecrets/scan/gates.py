"""Where text may be encoded: one Hyperscan pass over raw bytes that tells almost nothing for ordinary sources.

What is asked of base64 and hex is that they decode to text: the high bit of each byte is 0, which each position of a
group of four characters shows. A hash passes one time in a million; text passes always.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate

import hyperscan

from clawsecrets.model.expression import APART
from clawsecrets.model.late import late

BASE64, BASE64_PACKED, HEX, PERCENT, ESCAPE, ENTITY, JOINED, CONTINUED, NEWLINE, WIDE, LISTED, COLOUR = range(12)
_QUAD = "[I-Za-f][A-HQ-Xg-nw-z0-3][ABEFIJMNQRUVYZcdghklopstwx014589][A-Za-z0-9+/_-]"
"""Four characters of base64 that stand for three of ASCII, the first one printable."""
_WIDE_QUADS = "[I-Za-f][AQgw][AB][A-Za-z0-9+/_-]A[C-H][AEIMQUYcgkosw048]A"
"""Eight that stand for three of UTF-16, either byte order."""
_PAIR = "[2-7][0-9A-Fa-f]"
_LIST = r"(?:[^ ,]|[^,] |[0189A-Fa-f][0-9A-Fa-f], ?|(?m:^)[0-9A-Fa-fxX]{0,4},? ?)"
"""What stands before the first byte of text in a list of bytes: of a long list, only its beginning is to be told. It
may be cut off before that, in the middle of a number."""
_ESC = r"(?:\\u(?:00[2-7][0-9A-Fa-f]|\{0{0,4}[2-7][0-9A-Fa-f]\})|\\x[2-7][0-9A-Fa-f]|\\[01][0-7][0-7])"
_ENT = r"&(?:#[xX]?[0-9A-Fa-f]{2,5}|lowbar|colon|sol|commat|equals|hyphen|dash|period|plus|num|dollar|percnt|amp);"
_PCT = r"%(?:25){0,2}(?:2[1-9A-Fa-f]|[3-7][0-9A-Fa-f])"
_QUOTE = "[\"'`]"
_JOINT = r"\s{0,40}(?:[+.&~]|\|\||\.\.|<>)?\s{0,40}(?:\\\r?\n\s{0,40})?"
_SIGN = r"\s{0,40}(?:[+.&~]|\|\||\.\.|<>)\s{0,40}(?:\\\r?\n\s{0,40})?[fbruFBRU]?"
_BLANK = r"\s{0,40}(?:\\\r?\n\s{0,40})?[fbruFBRU]?"
"""Between two literals that are one: with a sign, or without. Without one, lists of imports look the same, so a digit
is asked for close by: 30 random characters have none in one case of a thousand."""
_TOKEN = r"[A-Za-z0-9_.:/+=~-]"
SHAPES: tuple[tuple[int, str], ...] = (
    (BASE64, rf"(?:{_QUAD}){{6}}"),
    (BASE64, rf"(?:{_WIDE_QUADS}){{3}}"),
    (BASE64_PACKED, r"(?:H4sI|UEsDB|QlpoOT|/Td6WFoA|_Td6WFoA|KLUv/[A-Za-z0-9]|KLUv_[A-Za-z0-9])[A-Za-z0-9+/_-]{18}"),
    (BASE64_PACKED, r"(?:eJ[w-z0-3]|eAE|eN[o-r])[A-Za-z0-9+/_-]{29}"),
    (HEX, rf"(?:{_PAIR}){{16}}"),
    (HEX, rf"(?:{_PAIR}00){{8}}"),
    (HEX, rf"{_LIST}(?:0[xX]{_PAIR}, ?){{11}}0[xX]{_PAIR},"),
    (HEX, rf"(?:{_PAIR}[ :]){{12}}"),
    (HEX, r"1[fF]8[bB]08[0-9A-Fa-f]{26}"),
    (PERCENT, rf"{_PCT}(?:{_TOKEN}{{2}}|{_PCT})"),
    (ESCAPE, rf"{_ESC}(?:{_TOKEN}{{3}}|\\{{0,3}}{_ESC})"),
    (ENTITY, rf"{_ENT}(?:{_TOKEN}{{2}}|{_ENT})"),
    (JOINED, rf"{_QUOTE}{_SIGN}{_QUOTE}{_TOKEN}{{3}}"),
    (JOINED, rf"{_QUOTE}{_BLANK}{_QUOTE}{_TOKEN}{{2,22}}[0-9]"),
    (JOINED, rf"[0-9]{_TOKEN}{{0,6}}{_QUOTE}{_BLANK}{_QUOTE}{_TOKEN}{{3}}"),
    (JOINED, rf"{_TOKEN}\$\{{\s?{_QUOTE}{_TOKEN}{{3}}"),
    (LISTED, rf"{_QUOTE}\s{{0,40}},?\s{{0,40}}\]\s?\.join\("),
    (LISTED, rf"{_QUOTE}\.join\(\s?[\[(]\s{{0,40}}[bruBRU]?{_QUOTE}{_TOKEN}{{3}}"),
    (CONTINUED, rf"{_TOKEN}[\\`^]\r?\n\s{{0,40}}{_TOKEN}{{3}}"),
    (NEWLINE, r"\\[nrtbfv](?:[A-Za-z0-9_.:+/|-]{12}|[A-Za-z][A-Za-z0-9+]{1,14}:(?:/|\\/){2})"),
    (COLOUR, r"(?:\x1b|\\(?:u001[bB]|x1[bB]|033|e))\[[0-9;]{0,12}m[A-Za-z0-9_-]{8}"),
    (NEWLINE, r"-----BEGIN [A-Z ]{0,40}PRIVATE KEY(?: BLOCK)?-----\\{1,4}[nr]"),
)
"""What asks for which decoding. They begin with characters that are rare in sources, which lets Hyperscan pass over the
rest: what must stand before is asked by `_BEFORE`."""
_KINDS = bytes(1 if byte in b"\t\n\r" or 32 <= byte < 127 else 2 * (byte != 0) for byte in range(256))
_WIDE_RUNS = tuple((unit, unit * least, late(b"(?:" + unit + b"){%d,}+" % least))
                   for unit, least in ((b"\1\0", 12), (b"\1\0\0\0", 8)))
"""Text in UTF-16 and UTF-32, in data that was translated by `_KINDS`: its unit, what begins a run, the whole run. By a
plain search, since Hyperscan takes four times as long for it in binaries."""
_BEFORE = {
    JOINED: late(
        rf"(?P<first>{_TOKEN}{{3,80}}+)(?:{_QUOTE}(?P<joint>{_JOINT}[fbruFBRU]?){_QUOTE}|\$\{{\s?{_QUOTE})"
        rf"(?P<second>{_TOKEN}{{3,12}})".encode()),
    CONTINUED: late(rf"{_TOKEN}{{3}}[\\`^]\r?\n\s{{0,40}}{_TOKEN}{{3}}".encode()),
    PERCENT: late(rf"(?:{_TOKEN}{{2}}|{_PCT}){_PCT}(?:{_TOKEN}{{2}}|{_PCT})".encode()),
    ESCAPE: late(rf"(?:{_TOKEN}{{3}}|{_ESC})\\{{0,3}}{_ESC}(?:{_TOKEN}{{3}}|\\{{0,3}}{_ESC})".encode()),
    ENTITY: late(rf"(?:{_TOKEN}{{2}}|{_ENT}){_ENT}(?:{_TOKEN}{{2}}|{_ENT})".encode()),
}
_LOOKED = 200
"""Bytes before the end of a hint that such a shape has at most."""
_LINE_END = 52
"""The same, of a line that goes on."""


"""Between fresh ranges that are looked at together."""
_SECOND = 28
"""Bytes between the beginning of the second literal and the end of the hint, at most."""
_LITERAL_BEFORE = late(rb"[\"'`]\s{0,40}[fbruFBRU]?\Z")
_SIGNED = late(rb"[+.&~|<>]")
_PATHS = late(rb"[\w.-]+(?:/[\w.-]+)+\Z")


class Gate:
    """The compiled shapes. One for a process: loading `serialized` takes no time, compiling takes some."""

    def __init__(self, serialized: Sequence[bytes] = ()) -> None:
        self._databases = [hyperscan.loadb(one, hyperscan.HS_MODE_BLOCK) for one in serialized] or \
            [_compile(SHAPES)]
        self._scratches = [hyperscan.Scratch(database) for database in self._databases]
        self._events: list[tuple[int, int]] = []
        add = self._events.append

        def note(kind: int, start: int, end: int, flags: int, context: object) -> None:
            add((kind, end))

        self._note = note

    @property
    def serialized(self) -> tuple[bytes, ...]:
        """As Hyperscan writes them."""
        return tuple(bytes(hyperscan.dumpb(database)) for database in self._databases)

    def seen(self, data: bytes, fresh: Sequence[tuple[int, int]] | None) -> dict[int, list[int]]:
        """By kind, where a shape ends in the data or its fresh ranges."""
        found: dict[int, list[int]] = {}
        events, note, text, scratch = self._events, self._note, self._databases[0], self._scratches[0]
        parts = [data] if fresh is None else [data[low:high] for low, high in fresh]
        joined = parts[0] if len(parts) == 1 else APART.join(parts)
        events.clear()
        text.scan(joined, note, scratch=scratch)
        if b"\0" in joined:
            events += [(WIDE, end) for end in _wide(joined)]
        if fresh is None:
            for kind, end in events:
                found.setdefault(kind, []).append(end)
        elif events:
            starts = [0, *accumulate(len(part) + len(APART) for part in parts)]
            for kind, end in events:
                number = bisect_right(starts, end - 1) - 1
                place = end - starts[number]
                if place <= len(parts[number]):  # else the gap belongs to what was seen
                    found.setdefault(kind, []).append(fresh[number][0] + place)
        return found


def _wide(data: bytes) -> list[int]:
    """Wherever enough text in UTF-16 or UTF-32 ends, ascending."""
    kinds, found = data.translate(_KINDS), list[int]()
    for unit, least, run in _WIDE_RUNS:
        at = kinds.find(least)
        while at >= 0:
            whole = run.match(kinds, at)
            assert whole is not None
            found += range(at + len(least), whole.end() + 1, len(unit))
            at = kinds.find(least, whole.end())
    return sorted(found)


def _compile(shapes: Sequence[tuple[int, str]]) -> hyperscan.Database:
    database = hyperscan.Database()
    database.compile(expressions=[text.encode() for _, text in shapes], ids=[kind for kind, _ in shapes],
                     elements=len(shapes), flags=0)
    return database


_gate: list[Gate] = []
"""The process's one, once it is there: it is code, not state."""


def use(serialized: Sequence[bytes]) -> None:
    """Take shapes that were compiled before (scan/compiled.py); without any, the next one who asks compiles them."""
    if serialized:
        _gate[:] = [Gate(serialized)]


def gate() -> Gate:
    """The process's one."""
    if not _gate:
        _gate.append(Gate())
    return _gate[0]


def events(data: bytes) -> list[tuple[int, int]]:
    """What may be encoded in the data: the kind, and where it ends."""
    return [(kind, end) for kind, ends in gate().seen(data, None).items() for end in ends]


def by_kind(events: Sequence[tuple[int, int]]) -> dict[int, list[int]]:
    """The ends of each kind, ascending."""
    found: dict[int, list[int]] = {}
    for kind, end in sorted(events):
        found.setdefault(kind, []).append(end)
    return found


def hints(data: bytes, fresh: Sequence[tuple[int, int]] | None = None) -> dict[int, list[int]]:
    """By kind, where something that may be encoded that way was seen: ends, ascending."""
    return sifted(data, gate().seen(data, fresh))


def sifted(data: bytes, found: dict[int, list[int]]) -> dict[int, list[int]]:
    """Of what a pass has seen, what the bytes before it bear out."""
    for kind in _BEFORE.keys() & found.keys():
        shape = _BEFORE[kind]
        if kind == JOINED:
            ends = [end for end in found[kind] if _joined(shape, data, end)]
        else:
            looked = _LINE_END if kind == CONTINUED else _LOOKED
            ends = [end for end in found[kind] if shape.search(data, max(0, end - looked), end + 3)]
        if ends:
            found[kind] = ends
        else:
            del found[kind]
    return found


def _joined(shape: re.Pattern[bytes], data: bytes, end: int) -> bool:
    """Whether the two literals that meet before `end` may be one secret: not two paths below each other (a list of
    imports)."""
    low = max(0, end - _SECOND)
    quote = max(data.rfind(b'"', low, end - 2), data.rfind(b"'", low, end - 2), data.rfind(b"`", low, end - 2))
    if data.find(b"/", quote, quote + 13) > 0 and _LITERAL_BEFORE.search(data, max(0, quote - _LOOKED), quote):
        return False  # as below, but sooner
    seen = None
    for seen in shape.finditer(data, max(0, end - _LOOKED), end + 3):  # noqa: B007 - the last one is what is wanted
        pass
    return seen is not None and (seen["joint"] is None or bool(_SIGNED.search(seen["joint"])) or not (
        _PATHS.search(seen["first"]) or b"/" in seen["second"]))
