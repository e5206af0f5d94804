"""A calendar file (RFC 5545) of planned rotations. Lines end with CRLF and are folded at 75 octets."""

from __future__ import annotations

import datetime
import hashlib
import unicodedata
from collections.abc import Iterable, Iterator, Sequence

from clawsecrets.model.forecast import Planned

LENGTH = 75
"""Octets of a line without its CRLF (section 3.1)."""
LASTS = "PT15M"


def calendar(planned: Iterable[Planned], now: float) -> str:
    """The whole file. A rotation keeps its UID from export to export, as long as its due day stays the same."""
    lines = ["BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//clawsecrets//rotation plan//EN", "CALSCALE:GREGORIAN",
             "METHOD:PUBLISH", "X-WR-CALNAME:clawsecrets"]
    for item in planned:
        lines += _event(item, now)
    lines.append("END:VCALENDAR")
    return "".join(f"{part}\r\n" for line in lines for part in _folded(line))


def _event(item: Planned, now: float) -> Sequence[str]:
    what = f"{item.secret}: new value needed from you" if item.assisted else f"{item.secret}: rotates by itself"
    command = f"clawsecrets rotate {item.secret}"
    about = f"{item.why}; due {_stamp(item.due)}" + (f"\nGive it with: {command}" if item.assisted else "")
    uid = hashlib.sha256(f"{item.secret}\n{int(item.due // 86400)}".encode()).hexdigest()[:32]
    return ["BEGIN:VEVENT", f"UID:{uid}@clawsecrets", f"DTSTAMP:{_stamp(now)}", f"DTSTART:{_stamp(item.at)}",
            f"DURATION:{LASTS}", f"SUMMARY:{_text(what)}", f"DESCRIPTION:{_text(about)}", "TRANSP:TRANSPARENT",
            "END:VEVENT"]


def _stamp(at: float) -> str:
    """Form 2 of section 3.3.5: UTC."""
    return datetime.datetime.fromtimestamp(at, datetime.UTC).strftime("%Y%m%dT%H%M%SZ")


def _text(text: str) -> str:
    """Section 3.3.11. Control characters have no place in it (3.1): a carriage return would begin a line of its own."""
    text = "".join(char for char in text if char == "\n" or unicodedata.category(char) != "Cc")
    return text.replace("\\", "\\\\").replace(";", "\\;").replace(",", "\\,").replace("\n", "\\n")


def _folded(line: str) -> Iterator[str]:
    """The line in pieces of at most 75 octets, no character torn; all but the first begin with a space."""
    piece, size = "", 0
    for char in line:
        octets = len(char.encode())
        if size + octets > LENGTH:
            yield piece
            piece, size = " ", 1
        piece, size = piece + char, size + octets
    yield piece
