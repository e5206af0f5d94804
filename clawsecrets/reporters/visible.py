"""Text of strangers, made safe to show: what a terminal, a log or a browser would obey is written out instead."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterator, Mapping

from clawsecrets.model.late import late

_UNSEEN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
"""Controls, format characters (bidirectional overrides, zero widths, tags), surrogates, private and unassigned ones,
line and paragraph separators."""
_ODD_BLANKS = frozenset("\u115f\u1160\u2800\u3164\uffa0\u034f\u17b4\u17b5")
"""Letters and marks that look like nothing."""
_IN_JSON = late("[\x7f-\x9f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u2028-\u202f"
                "\u205f-\u206f\u2800\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\uffff\ud800-\udfff"
                "\U000e0000-\U000e0fff\U000f0000-\U0010ffff]")

_ORDINARY = bytes(range(0x7F))

def visible(text: str) -> str:
    """One line that shows every character: `\\n`, `\\x1b`, `\\u202e`; a byte that is no UTF-8 as `\\xff`. A backslash
    stays as it is. `##[`, which GitHub's runner obeys anywhere in a line, is broken up."""
    if text.isprintable() and "##[" not in text and not _ODD_BLANKS.intersection(text):
        return text
    return "".join(c if _plain(c) else _written(c) for c in _joined(text)).replace("##[", "#\\x23[")


def _plain(character: str) -> bool:
    if character in _ODD_BLANKS or (character != " " and unicodedata.category(character) == "Zs"):
        return False
    return unicodedata.category(character) not in _UNSEEN


def _written(character: str) -> str:
    number = ord(character)
    if character in "\n\r\t":
        return {"\n": "\\n", "\r": "\\r", "\t": "\\t"}[character]
    if 0xDC80 <= number <= 0xDCFF:
        return f"\\x{number - 0xDC00:02x}"  # surrogateescape: a byte of a file name
    return f"\\x{number:02x}" if number < 0x100 else f"\\u{number:04x}" if number < 0x10000 else f"\\U{number:08x}"


def without_bytes(text: str) -> str:
    """The text with bytes that are no UTF-8 written out: what JSON and XML cannot carry. Everything else stays."""
    if text.isascii():
        return text
    return "".join(_written(c) if 0xD800 <= ord(c) <= 0xDFFF else c for c in _joined(text))


def _joined(text: str) -> str:
    """Where the locale has no UTF-8, every byte of a file's name beyond ASCII comes alone: together they are one."""
    try:
        return text.encode("utf-8", "surrogateescape").decode("utf-8", "surrogateescape")
    except UnicodeEncodeError:  # half of a pair, of a document
        return text


class Ready(str):
    """A part of JSON that is written already, and escaped."""

    __slots__ = ()


def as_json(data: Mapping[str, object] | list[object], depth: int = 2) -> str:
    """JSON, readable, with a newline at its end; what lies deeper than `depth` stands on one line. Characters that a
    terminal obeys or that nobody sees are escaped (in JSON that changes nothing of what it says)."""
    import json  # not for the other formats

    encoded = json.JSONEncoder(ensure_ascii=False).encode
    return "".join([*map(escaped, _lines(data, depth, "\n", encoded)), "\n"])


def escaped(text: str) -> str:
    """JSON with characters escaped that a terminal obeys or that nobody sees."""
    if isinstance(text, Ready):
        return text
    rest = text.encode("utf-8", "surrogatepass").translate(None, _ORDINARY)  # most of it is gone at once
    if not rest or not _IN_JSON.search(rest.decode("utf-8", "surrogatepass")):
        return text
    return _IN_JSON.sub(lambda found: _unit(found[0]), text)


def _unit(char: str) -> str:
    """A character as JSON escapes it (RFC 8259, section 7): in units of UTF-16."""
    units = char.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[at:at + 2].hex()}" for at in range(0, len(units), 2))


def _lines(data: object, depth: int, margin: str, encoded: Callable[[object], str]) -> Iterator[str]:
    """The text in parts. json's own indentation is written in Python and takes seconds for thousands of findings."""
    inner, between = margin + "  ", "["
    if depth and data and isinstance(data, dict):
        between = "{"
        for key, value in data.items():
            yield f"{between}{inner}{encoded(key)}: "
            yield from _lines(value, depth - 1, inner, encoded)
            between = ","
        yield margin + "}"
    elif depth and data and isinstance(data, list):
        for value in data:
            yield between + inner
            yield from _lines(value, depth - 1, inner, encoded)
            between = ","
        yield margin + "]"
    else:
        yield data if isinstance(data, Ready) else encoded(data)
