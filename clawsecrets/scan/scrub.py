"""Takes the values that were found out of every text that goes into a report: paths, commit subjects, ref names,
authors, instructions of image layers, names of what was skipped.

A token can stand in a file's name, in the subject of the commit that adds it, or in base64 in an image's label. Each
form of a value is looked for: plain, percent, hex, base64 at each alignment, and as strings of JSON and of a shell
escape it; also the beginning of one at the end of a text that was cut. What is found gives way to the value's mask.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Iterator
from dataclasses import replace

from clawsecrets.model.finding import Coverage, Dropped, Provenance, Skipped
from clawsecrets.scan.mask import ELLIPSIS

SHORTEST = 4
"""Characters; what is shorter stands in any text by chance."""
ALONE = 8
"""A shorter value is taken out only where it stands alone, not inside of a longer word."""
_LONGEST = 64 << 10
"""Bytes of a value that are looked for: texts of a report are shorter."""
_QUOTED = [f"%{byte:02X}" for byte in range(256)]
for _byte in b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~":
    _QUOTED[_byte] = chr(_byte)
"""Bytes as URLs write them (RFC 3986, "unreserved" and the rest)."""


class Scrubber:
    """Knows the values, each with its mask. Texts are remembered: the same path comes a thousand times."""

    def __init__(self, values: Iterable[tuple[bytes, str]], not_in_paths: Iterable[tuple[bytes, str]] = ()) -> None:
        """`not_in_paths`: values that are so weak that names of files and folders keep what looks the same."""
        values, weak = tuple(values), tuple(not_in_paths)
        self._beside = Scrubber((*values, *weak)) if weak else None
        self._long: dict[str, list[tuple[str, str]]] = {}
        self._short: dict[str, list[tuple[str, str]]] = {}
        self._done: dict[str, str] = {}
        self._refs: dict[tuple[str, ...], tuple[str, ...]] = {}
        for value, masked in values:
            for form in dict.fromkeys(_forms(value[:_LONGEST])):
                if len(form) >= ALONE:
                    self._long.setdefault(form[:ALONE], []).append((form, masked))
                elif len(form) >= SHORTEST:
                    self._short.setdefault(form[:SHORTEST], []).append((form, masked))

    def text(self, text: str) -> str:
        """The text without any value."""
        return self._beside.path(text) if self._beside else self.path(text)

    def path(self, text: str) -> str:
        """The name of a place without any value that may be taken out of one."""
        if len(text) < SHORTEST or not (self._long or self._short):
            return text
        done = self._done.get(text)
        if done is None:
            done = self._done[text] = self._scrubbed(text)
        return done

    def _scrubbed(self, text: str) -> str:
        if self._long.keys().isdisjoint([text[at:at + ALONE] for at in range(len(text))]) and (
                not self._short or self._short.keys().isdisjoint([text[at:at + SHORTEST] for at in range(len(text))])):
            return text
        parts, at, kept = [], 0, 0
        while at < len(text):
            length, masked = self._at(text, at)
            if not length:
                at += 1
                continue
            end = self._overlapped(text, at, at + length)
            parts += [text[kept:at], masked]
            at = kept = end
        return "".join((*parts, text[kept:])) if parts else text

    def _overlapped(self, text: str, start: int, end: int) -> int:
        """Where it ends, with those values that begin inside of it."""
        at = start + 1
        while at < end:
            end = max(end, at + self._at(text, at)[0])
            at += 1
        return end

    def _at(self, text: str, at: int) -> tuple[int, str]:
        """Length and mask of the longest form of a value that begins here; 0 for none."""
        best = (0, "")
        whole = len(text.rstrip(ELLIPSIS + "."))
        for form, masked in self._long.get(text[at:at + ALONE], ()):
            if text.startswith(form, at) or form.startswith(text[at:whole]):  # the second: it was cut
                best = max(best, (min(len(form), len(text) - at), masked))
        for form, masked in self._short.get(text[at:at + SHORTEST], ()):
            end = at + len(form)
            if text.startswith(form, at) and not text[at - 1:at].isalnum() and not text[end:end + 1].isalnum():
                best = max(best, (len(form), masked))
        return best

    def provenance(self, given: Provenance) -> Provenance:
        """The same without values."""
        text = self.text
        refs = self._refs.get(given.refs)
        if refs is None:
            refs = self._refs[given.refs] = tuple(map(text, given.refs))
        return Provenance(given.kind, self.path(given.path), given.commit, text(given.author), given.date,
                          text(given.message), given.reachable, refs, text(given.image), text(given.platform),
                          given.layer, text(given.instruction), text(given.container))

    def skipped(self, given: Skipped) -> Skipped:
        """The same without values."""
        return replace(given, what=self.path(given.what), reason=self.text(given.reason))

    def coverage(self, given: Coverage) -> Coverage:
        """The same without values."""
        return replace(given, sources=tuple(map(self.path, given.sources)),
                       skipped=tuple(map(self.skipped, given.skipped)))

    def dropped(self, given: Dropped) -> Dropped:
        """The same without values."""
        place = given.place
        cleaned = place._replace(key=self.path(place.key), path=self.path(place.path))
        return replace(given, place=cleaned, reason=self.text(given.reason))


def _forms(value: bytes) -> Iterator[str]:
    """What a value may look like in a text."""
    text = value.decode("utf-8", "surrogateescape")
    yield text
    yield text.strip()
    yield from (line for line in text.splitlines() if len(line) >= 16)  # a key of many lines, one of which is quoted
    hexed, every = value.hex(), "%" + value.hex("%")
    yield from (hexed, hexed.upper(), every, every.upper())
    for offset in range(3):
        yield from _base64(value, offset)
    if not text.isalnum():
        quoted = "".join([_QUOTED[byte] for byte in value])
        if quoted != text:
            yield from _quoted(quoted)
        written = json.dumps(text)[1:-1]
        yield written
        yield written.replace("/", "\\/")
        yield repr(text)[1:-1]


def _quoted(quoted: str) -> Iterator[str]:
    """The ways in which URLs write it: with all but letters, digits and `-._~` escaped, and with less."""
    yield quoted
    yield quoted.replace("%2F", "/")
    yield (quoted.replace("%21", "!").replace("%27", "'").replace("%28", "(").replace("%29", ")")
           .replace("%2A", "*"))  # JavaScript's encodeURIComponent
    yield quoted.replace("%20", "+")  # forms
    yield quoted.replace("%", "%25")
    first, *rest = quoted.split("%")
    yield "".join([first, *[f"%{part[:2].lower()}{part[2:]}" for part in rest]])


def _base64(value: bytes, offset: int) -> Iterator[str]:
    """The characters that depend on the value alone when `offset` other bytes stand before it (RFC 4648)."""
    encoded = base64.b64encode(b"\0" * offset + value).rstrip(b"=").decode()
    core = encoded[(0, 2, 3)[offset]:(offset + len(value)) * 8 // 6]
    yield core
    if "+" in core or "/" in core:
        yield core.replace("+", "-").replace("/", "_")
