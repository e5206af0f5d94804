"""Opens containers: archives, documents, databases, and what is nested in them. Each text that is met in them goes
through the inspector (scan/inspect.py).

    matches, whole = Walk(inspector, Budget(limits)).top(content, kind)
"""

from __future__ import annotations

import io
from bisect import bisect_right
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, BinaryIO

from clawsecrets.formats.bounds import Budget
from clawsecrets.formats.errors import TooLarge, Unreadable
from clawsecrets.formats.markup import OFFICE
from clawsecrets.formats.pieces import PIECE, cut
from clawsecrets.formats.sniff import HEAD, sniff
from clawsecrets.model.finding import Content, Match, Place, Skipped
from clawsecrets.model.value import SecretValue
from clawsecrets.scan import containers, decode, documents
from clawsecrets.scan.inspect import kind_of

if TYPE_CHECKING:
    from clawsecrets.scan.inspect import Inspector

_CHUNK = 1 << 20
_NAMES = 1 << 20
"""Bytes of member names that are looked at together."""


def _doubtful(kind: str, data: bytes) -> bool:
    """Whether a few bytes look like it by chance: what is none after all is no damaged one."""
    return kind == "lzma" or (kind == "tar" and data[257:262] != b"ustar")


class Walk:
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
            self._found += self._inspector.text(content)
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
            self._found += self._inspector.text(Content(item.notes, place))
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
        found = self._inspector.text(content)
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
            self._found += self._inspector.text(Content(piece.data, place, offset=piece.offset, line=piece.line,
                                                         column=piece.column, overlap=piece.overlap))

    # --- documents ----------------------------------------------------------------------------------------------------

    def _document(self, content: Content, kind: str, file: BinaryIO, size: int, depth: int) -> bool:
        """What is no archive; whether all of it was looked at, its raw bytes included."""
        try:
            if kind == "sqlite":
                self._database(content, file, size, depth)
                return True
            found = self._inspector.text(content)
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
                for match in self._inspector.text(Content(table.text, where)):
                    values.add((match.rule.id, match.secret.reveal()))
                    row = bisect_right(table.rows, match.start_line)
                    number = table.first + row - 1
                    self._found.append(match._replace(start_line=number, end_line=number))
                for name, data in table.files:
                    inner = where._replace(path=f"{where.path}/{name}")
                    self._open(Content(data, inner), kind_of(data), io.BytesIO(data), len(data), depth + 1)
        finally:
            for piece in _pieces(content, file, size):
                self._found += [match for match in self._inspector.text(piece)
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
        for hit in self._inspector.hits(b"\n".join([name for name, _ in names])) if names else ():
            owner = bisect_right(starts, hit.start) - 1
            name, place = names[owner]
            start = hit.start - starts[owner]
            value = name[start: hit.end - starts[owner]]
            self._found.append(Match(hit.rule, place, SecretValue(value), 1, 1, start + 1, "name", hit.prefix))

    def _skip(self, place: Place, reason: str) -> None:
        bare = not place.path or place.path.startswith("!/")  # a blob's own path is not known here: its id is
        self._inspector.notes.skipped(Skipped(place.key + place.path if bare else place.path, reason))


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
