"""Looks at content of any kind: opens what is packed, decodes what is encoded, gives the rest to the detector.

    Inspector(detector, notes=notes).look(content)

What cannot be opened is told as Skipped, and its raw bytes are looked at all the same. Members of archives are places
of their own: `outer.zip!/inner.txt`.
"""

from __future__ import annotations

import io
from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import BinaryIO, Protocol

from clawsecrets.formats.bounds import DEFAULT, Budget, Limits
from clawsecrets.formats.errors import TooLarge, Unreadable
from clawsecrets.formats.markup import OFFICE
from clawsecrets.formats.pieces import PIECE, cut
from clawsecrets.formats.sniff import HEAD, ends_in_zip, sniff
from clawsecrets.model.finding import Content, Dropped, Match, Place, Skipped
from clawsecrets.model.secret import SecretValue
from clawsecrets.scan import containers, decode, documents
from clawsecrets.scan.derived import Derived
from clawsecrets.scan.detector import Hit, Position
from clawsecrets.scan.ranges import Events, Seen
from clawsecrets.scan.ruleset import GENERIC

_APART = b"\n\n\n"
_ENCODED = Limits(output=64 << 20, members=10_000, depth=3, whole=16 << 20)
"""Bounds of a container that is encoded in text."""
_CHUNK = 1 << 20
_NAMES = 1 << 20
"""Bytes of member names that are looked at together."""


class Notes(Protocol):
    """Who is told what could not be opened."""

    def skipped(self, skipped: Skipped) -> None:
        """Something could not be looked at."""


class Detects(Protocol):
    """The detector."""

    dropped: list[Dropped]

    def look(self, content: Content, seen: Events | None = None) -> list[Match]:
        """The matches in content as it stands. `seen`: the candidates in it, when they are known."""

    def hits(self, data: bytes) -> list[Hit]:
        """Spans of secrets in decoded text."""


class Inspector:
    """Looks at contents, one after another: pieces of one content in their order. One for each process."""

    def __init__(self, detector: Detects, *, notes: Notes, limits: Limits = DEFAULT) -> None:
        self._detector, self._notes, self._limits = detector, notes, limits
        self._decoded: set[int] = set()
        """Ids of contents in which something encoded was found: what is built on them is decoded as a whole."""
        self._nested = 0
        self._opened: Place | None = None
        """Content in pieces that was read as a whole when its first piece came."""

    @property
    def dropped(self) -> list[Dropped]:
        """Candidates that a filter dropped, when the detector keeps them."""
        return self._detector.dropped

    def look(self, content: Content, seen: Seen | None = None) -> list[Match]:
        """Every secret in the content, in what it contains and in what it encodes. `seen`: what one pass over it, or
        over its fresh ranges, has seen, as places in its data."""
        if content.offset:
            return [] if content.place == self._opened else self._text(content)
        self._opened = None
        kind = kind_of(content.data)
        if not kind:
            return self._text(content, seen)
        found, whole = _Walk(self, Budget(self._limits)).top(content, kind)
        if whole and content.whole is not None:
            self._opened = content.place
        return found

    # --- text -------------------------------------------------------------------------------------------------------

    def _text(self, content: Content, seen: Seen | None = None) -> list[Match]:
        """Content that is no container."""
        matches = self._detector.look(content, seen.rules if seen else None)
        plain = len(matches)
        if content.base in self._decoded:
            decoded = decode.derived(content.data)
        elif seen is None:
            decoded = decode.derived(content.data, content.fresh)
        else:
            decoded = decode.derived(content.data, seen=seen.shapes) if seen.shapes else []
        if decoded:
            packed = [(text, kind) for text in decoded if not text.step and (kind := sniff(text.data[:HEAD]))]
            boxes = {id(text) for text, _ in packed}
            matches += self.judged(content, [text for text in decoded if id(text) not in boxes], matches)
            for text, kind in packed:
                matches += self._encoded(content, text, kind)
            if len(matches) > plain and content.id:
                self._decoded.add(content.id)
        return matches

    def _encoded(self, content: Content, text: Derived, kind: str) -> list[Match]:
        """The matches in a container that is encoded in text: they stand where it stands."""
        if self._nested >= decode.DEPTH or text.origins[0] < content.overlap:
            return []
        self._nested += 1
        try:
            found, _ = _Walk(self, Budget(_ENCODED)).top(Content(text.data, content.place), kind)
        finally:
            self._nested -= 1
        line, column = Position(content).of(text.origins[0])
        name = f"{text.encoding}+{kind}"
        return [replace(match, place=content.place, start_line=line, end_line=line, start_column=column,
                        encoding=name if match.encoding == "plain" else f"{name}+{match.encoding}") for match in found]

    def judged(self, content: Content, decoded: Sequence[Derived], known: Iterable[Match]) -> list[Match]:
        """The matches in texts that were decoded from the content, beyond those known: all in one call."""
        starts, size = [], 0
        for text in decoded:
            starts.append(size)
            size += len(text.data) + len(_APART)
        hits = self._detector.hits(_APART.join([text.data for text in decoded]))
        found: list[tuple[int, int, Hit, bytes, str]] = []
        for hit in hits:
            owner = bisect_right(starts, hit.start) - 1
            text, start = decoded[owner], hit.start - starts[owner]
            end = hit.end - starts[owner]
            if end > len(text.data) or start < text.context or not _believable(hit, text):
                continue
            if not text.rewritten(start, end):
                continue
            low, high = text.origin(start), text.origin(end - 1)
            value = text.data[start:end]
            if high + 1 > content.overlap:
                plain = content.data[low: low + len(value)] == value
                found.append((low, high, hit, value, "plain" if plain else text.encoding))
        return _placed(content, found, known)


def kind_of(data: bytes) -> str:
    """What container it is; empty for none."""
    return sniff(data[:HEAD]) or ("zip" if ends_in_zip(data) else "")


def _doubtful(kind: str, data: bytes) -> bool:
    """Whether a few bytes look like it by chance: what is none after all is no damaged one."""
    return kind == "lzma" or (kind == "tar" and data[257:262] != b"ustar")


def _believable(hit: Hit, text: Derived) -> bool:
    """Decoded bytes that are not all text prove nothing but what has a form of its own."""
    if text.mixed:
        return hit.rule.confidence == "high" and hit.rule.provider != GENERIC
    return text.step != 0 or text.context > 0 or hit.rule.confidence != "low"


def _placed(content: Content, found: list[tuple[int, int, Hit, bytes, str]], known: Iterable[Match]) -> list[Match]:
    seen = {(match.start_line, match.start_column, match.rule.id) for match in known}
    where = Position(content)
    matches = []
    for low, high, hit, value, encoding in sorted(found, key=lambda one: (one[0], len(one[4]))):
        line, column = where.of(low)
        if encoding == "plain" and (line, column, hit.rule.id) in seen:
            continue
        key = (line, column, hit.rule.id) if encoding == "plain" else (line, column, hit.rule.id, value)
        if key in seen:
            continue
        seen.add(key)  # type: ignore[arg-type]
        last = line + content.data.count(b"\n", low, high)
        matches.append(Match(hit.rule, content.place, SecretValue(value), line, last, column, encoding, hit.prefix))
    return matches


class _Walk:
    """One outer content, with everything in it, under one budget."""

    def __init__(self, inspector: Inspector, budget: Budget) -> None:
        self._inspector, self._budget = inspector, budget
        self._limits = budget.limits
        self._found: list[Match] = []
        self._names: list[tuple[bytes, Place]] = []
        self._named = 0
        self._stack: list[bool] = []
        """Of each archive that is open: whether its XML members are an office document's."""

    def top(self, content: Content, kind: str) -> tuple[list[Match], bool]:
        """The outer content: matches, and whether all of it was looked at (not only the first piece)."""
        if content.whole is None:
            whole = self._open(content, kind, io.BytesIO(content.data), len(content.data), 0)
        else:
            try:
                with content.whole() as file:
                    size = file.seek(0, 2) if file.seekable() else -1
                    if size >= 0:
                        file.seek(0)
                    whole = self._open(content, kind, file, size, 0)
            except OSError:
                self._skip(content.place, "it could not be read")
                whole = False
        self._look_at_names()
        return self._found, whole

    # --- what is in memory --------------------------------------------------------------------------------------------

    def _open(self, content: Content, kind: str, file: BinaryIO, size: int, depth: int) -> bool:
        """Look into a container; whether it was read to its end. If not, its bytes are looked at as they are."""
        before = self._budget.members
        try:
            if depth >= self._limits.depth:
                raise TooLarge(f"it is nested more than {self._limits.depth} deep")
            if kind in containers.ARCHIVES:
                self._archive(content, kind, file, depth)
                return True
        except Unreadable as fault:
            if not _doubtful(kind, content.data) or self._budget.members > before + 1:
                self._skip(content.place, self._why(fault, content))
            self._found += self._inspector._text(content)
            return False
        return self._document(content, kind, file, size, depth)

    def _why(self, fault: Unreadable, content: Content) -> str:
        if content.whole is None and len(content.data) == PIECE:
            return f"a container that comes as a stream is opened only up to {PIECE >> 20} MiB"
        return fault.reason

    def _archive(self, content: Content, kind: str, file: BinaryIO, depth: int) -> None:
        self._stack.append(False)
        most = self._limits.whole >> depth
        try:
            containers.walk(kind, file, content.place.path.rpartition("!/")[2] or content.place.path, self._budget,
                            most, lambda item: self._take(content.place, item, depth))
        finally:
            self._stack.pop()

    def _take(self, outer: Place, item: containers.Item, depth: int) -> None:
        """One member of an archive."""
        most = self._limits.whole >> depth
        place = outer._replace(path=f"{outer.path}!/{item.name}") if item.name else outer
        if item.name in OFFICE:
            self._stack[-1] = True
        if item.name and not item.raw:
            self._name(item.name.encode("utf-8", "surrogateescape"), place)
        if item.notes:
            self._found += self._inspector._text(Content(item.notes, place))
        source = _Kept(item.read)
        try:
            head = source.read(most + 1)
            if len(head) > most:
                self._large(head, source, place, depth)
            else:
                inner = outer if item.single and sniff(head[:HEAD]) == "tar" else place
                self._member(Content(head, inner), item.raw, depth)
        except Unreadable as fault:
            self._member(Content(source.rest, place), True, depth)
            if not item.more or self._budget.output > self._limits.output:
                raise
            self._skip(place, fault.reason)

    def _member(self, content: Content, raw: bool, depth: int) -> None:
        if not content.data:
            return
        kind = "" if raw else kind_of(content.data)
        if kind:
            self._open(content, kind, io.BytesIO(content.data), len(content.data), depth + 1)
            return
        found = self._inspector._text(content)
        if self._stack[-1] and content.place.path.endswith((".xml", ".rels")):
            found += self._inspector.judged(content, documents.document(content.data), found)
        self._found += found

    # --- what is too large for that -----------------------------------------------------------------------------------

    def _large(self, head: bytes, source: _Kept, place: Place, depth: int) -> None:
        """A member that is read once, from its beginning to its end, in pieces."""
        source.back(head)
        kind = kind_of(head)
        if kind in containers.STREAMED and depth + 1 < self._limits.depth:
            try:
                containers.walk(kind, source, place.path.rpartition("!/")[2], self._budget, self._limits.whole >> depth,
                                lambda item: self._take(place, item, depth + 1))
            except Unreadable as fault:
                self._skip(place, fault.reason)
        elif kind:
            self._skip(place, f"it is larger than {self._limits.whole >> depth >> 20} MiB, and inside of an archive")
        for piece in cut(source.read):
            self._found += self._inspector._text(Content(piece.data, place, offset=piece.offset, line=piece.line,
                                                         column=piece.column, overlap=piece.overlap))

    # --- documents ----------------------------------------------------------------------------------------------------

    def _document(self, content: Content, kind: str, file: BinaryIO, size: int, depth: int) -> bool:
        """What is no archive; whether all of it was looked at, its raw bytes included."""
        try:
            if kind == "sqlite":
                self._database(content, file, size, depth)
                return True
            found = self._inspector._text(content)
            self._found += found
            if len(content.data) != size:
                raise TooLarge(f"{kind} files are opened up to {len(content.data) >> 20} MiB")
            if kind == "pyc":
                self._found += self._inspector.judged(content, documents.compiled(content.data), found)
                return True
            for page in documents.pages(content.data, self._budget):
                inner = [text.through(page) for text in decode.derived(page.data)]
                self._found += self._inspector.judged(content, [page, *inner], ())
        except Unreadable as fault:
            self._skip(content.place, fault.reason)
        return kind == "sqlite" or len(content.data) == size

    def _database(self, content: Content, file: BinaryIO, size: int, depth: int) -> None:
        """Its rows; then its raw bytes, for what was deleted and still stands there."""
        values, place = set(), content.place
        try:
            for table in documents.tables(file, size, self._budget, self._limits.whole):
                where = place._replace(path=f"{place.path}!/{table.name}")
                for match in self._inspector._text(Content(table.text, where)):
                    values.add((match.rule.id, match.secret.reveal()))
                    row = bisect_right(table.rows, match.start_line)
                    number = table.first + row - 1
                    self._found.append(replace(match, start_line=number, end_line=number))
                for name, data in table.files:
                    inner = where._replace(path=f"{where.path}/{name}")
                    self._open(Content(data, inner), kind_of(data), io.BytesIO(data), len(data), depth + 1)
        finally:
            for piece in _pieces(content, file, size):
                self._found += [match for match in self._inspector._text(piece)
                                if (match.rule.id, match.secret.reveal()) not in values]

    # --- names, notes -------------------------------------------------------------------------------------------------

    def _name(self, name: bytes, place: Place) -> None:
        self._names.append((name, place))
        self._named += len(name)
        if self._named > _NAMES:
            self._look_at_names()

    def _look_at_names(self) -> None:
        names, self._names, self._named = self._names, [], 0
        starts, size = [], 0
        for name, _ in names:
            starts.append(size)
            size += len(name) + 1
        for hit in self._inspector._detector.hits(b"\n".join([name for name, _ in names])) if names else ():
            owner = bisect_right(starts, hit.start) - 1
            name, place = names[owner]
            start = hit.start - starts[owner]
            value = name[start: hit.end - starts[owner]]
            self._found.append(Match(hit.rule, place, SecretValue(value), 1, 1, start + 1, "name", hit.prefix))

    def _skip(self, place: Place, reason: str) -> None:
        bare = not place.path or place.path.startswith("!/")  # a blob's own path is not known here: its id is
        self._inspector._notes.skipped(Skipped(place.key + place.path if bare else place.path, reason))


class _Kept:
    """A member's data. What was read of it when it turned out to be damaged is not lost."""

    def __init__(self, read: Callable[[int], bytes]) -> None:
        self._read = read
        self._head, self._at = b"", 0
        self.rest = b""
        """What came before the fault, and was not given."""

    def read(self, size: int, /) -> bytes:
        """So many bytes, or all there are."""
        if self._at < len(self._head):
            part = self._head[self._at: self._at + size]
            self._at += len(part)
            return part
        self._head = b""
        parts: list[bytes] = []
        missing = size
        try:
            while missing and (data := self._read(min(missing, _CHUNK))):
                parts.append(data)
                missing -= len(data)
        except Unreadable:
            self.rest = b"".join(parts)
            raise
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def back(self, data: bytes) -> None:
        """Take back what was read last."""
        self._head, self._at = data, 0


def _pieces(content: Content, file: BinaryIO, size: int) -> Iterable[Content]:
    if len(content.data) == size:
        return (content,)
    file.seek(0)
    return (content._replace(data=piece.data, offset=piece.offset, line=piece.line, column=piece.column,
                             overlap=piece.overlap, whole=None) for piece in cut(file.read))
