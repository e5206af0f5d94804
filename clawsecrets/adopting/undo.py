"""What an adoption changed, put back: from what was sealed in the store before, with the values that are current now.

1. Everything is looked at, and made, before anything is written: what cannot be put back ends it there.
2. What is written is computed anew from the store each time, so that whoever is killed is gone on with by the next one.
3. A value that was replaced since is put back nowhere: the current one stands in its place, and a file that is only
   kept (a backup, a log) stays as the adoption left it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from clawsecrets.adopting import clearing, compose_text, documents
from clawsecrets.adopting.documents import Cell
from clawsecrets.adopting.journal import Journal, Step
from clawsecrets.adopting.newer import Newer
from clawsecrets.adopting.plan import PROVIDER, Move, Way
from clawsecrets.adopting.renewing import Readers, Renewing, dumped
from clawsecrets.errors import Refused

PROVIDERS = ("secrets", "providers")


@dataclass
class Planned:
    """What is going to be written."""

    files: dict[str, tuple[bytes, int | None]] = field(default_factory=dict, repr=False)
    """Path -> content and mode (None: the one that it has)."""
    cells: list[tuple[Cell, str]] = field(default_factory=list, repr=False)
    """Auth profiles, each with its new text."""
    masked: list[tuple[str, str, str, str, str]] = field(default_factory=list, repr=False)
    """Database, table, column, what stands there masked, what stood there."""
    told: list[str] = field(default_factory=list)
    in_parts: set[str] = field(default_factory=set)
    """Files of which only what was moved is put back."""


class Undoing:
    """Puts back what stood there, as far as nobody changed it since; of a configuration, a `.env`, a Compose file and
    of auth profiles that were changed, what was moved, where what the adoption put in its place stands still."""

    def __init__(self, journal: Journal, readers: Readers) -> None:
        """NotFound when there is nothing to undo (any more); Refused as for `Newer`."""
        self.journal, self.readers = journal, readers
        self.plan, self.kept = journal.plan(), journal.undo()
        self.newer = Newer(journal.store, self.plan.names, self.kept.values)
        noted: Mapping[str, str] = json.loads(journal.option("after") or "{}")
        so_far: Mapping[str, str] = json.loads(journal.option("so_far") or "{}")
        self._after = {path: digest if digest == "changed" else so_far.get(path, digest)
                       for path, digest in {**so_far, **noted}.items()}
        self._files = Renewing(self.plan, self.newer, readers)
        self._mask = readers.folder([value for _, value in self.kept.values]).masked
        self._looks = [(name, value, readers.folder([value]).look) for name, value in self.newer.replaced()]

    def put_back(self) -> list[str]:
        """Do it; a line for what was left, or is there otherwise than before. Idempotent. WorkLeft when a secret was
        changed meanwhile."""
        planned = self.planned()
        for path, (content, mode) in planned.files.items():
            documents.replace_file(path, content, mode)
        for cell, text in planned.cells:
            documents.write_cell(cell, text)
        for row in planned.masked:
            documents.put_back(*row)
        self.newer.require_unchanged()
        return [*planned.told, *self.newer.words()]

    def finish(self) -> None:
        """Note that it is done: a new adoption begins with what stands there then."""
        self.journal.advance(Step.DONE, undone="yes")

    def planned(self) -> Planned:
        """What would be written. Changes nothing. Refused, with file and secret, where something cannot be."""
        planned = Planned()
        for path, (mode, content) in self.kept.files.items():
            self._file(path, mode, content.reveal(), planned)
        self._cells(planned)
        self._without_provider(planned)
        return planned

    def used(self, planned: Planned | None = None) -> tuple[set[str], set[str]]:
        """Secrets that SecretRefs of ours name, and variables of ours that stand as `${VARIABLE}`: in what stands
        there now, or would after what is planned."""
        names: set[str] = set()
        configs = (self.plan.config, *self.plan.included)
        raws = {path: self._content(path, planned) for path in (*configs, *self.plan.compose_lines)}
        for path in configs:
            names |= set(_referred(self.readers.parse(raws[path], path))) if raws[path] else set()
        later = dict(planned.cells) if planned is not None else {}
        for database in self._databases():
            for cell in documents.profile_cells(database):
                names |= set(_referred(json.loads(later.get(cell, cell.text))))
        variables = {move.variable for move in self.plan.moves if move.variable and any(
            b"${" + move.variable.encode() + end in raw for raw in raws.values() for end in (b"}", b":"))}
        return names, variables

    # --- files --------------------------------------------------------------------------------------------------------

    def _file(self, path: str, mode: int, before: bytes, planned: Planned) -> None:
        now = clearing.digest(path)
        held = documents.content_of(path) if now else b""
        ours = not now or now == self._after.get(path) or self._made(path, before, held)
        moves = [move for move in self.plan.moves if move.file == path]
        if not moves and path != self.plan.config:
            self._only_kept(path, (before, mode), held if now else None, planned, ours=ours)
            return
        put = dict(self.newer.put)
        whole, fault = self._whole(path, before, moves)
        if whole is not None and now and held == whole:
            return
        if ours and whole is not None:
            planned.files[path] = whole, mode
            return
        self.newer.put = put
        if ours and fault is not None:
            raise fault
        if not now:
            names = self._names(self._replaced_in(before))
            raise Refused(f"{path} is not there any more, and it held {names} in a place that is not put back",
                          "make the file anew, then run this again")
        self._in_parts(path, before, held, moves, planned, ours=ours)

    def _only_kept(self, path: str, before: tuple[bytes, int], held: bytes | None, planned: Planned, *,
                   ours: bool) -> None:
        """A file that nothing was moved out of: a backup, a log."""
        if held == before[0]:
            if names := self._replaced_in(held):  # an undo put it back, and they were replaced after that
                planned.told.append(f"{path}: still holds {self._names(names)}; left as it is")
            return
        if not ours:
            planned.told.append(f"{path}: was changed since; left as it is")
        elif names := self._replaced_in(before[0]):
            planned.told.append(f"{path}: left out: it held {self._names(names)}")
        else:
            planned.files[path] = before

    def _in_parts(self, path: str, before: bytes, held: bytes, moves: Sequence[Move], planned: Planned, *,
                  ours: bool) -> None:
        """Of a file that was changed since, or cannot be put back as it was: what was moved out of it."""
        if moves and all(move.way is Way.HAND for move in moves):
            planned.told.append(f"{path}: was changed since; left as it is")
            return
        made = self._files.parts(path, before, held, moves)
        if (names := self._replaced_in(made)) and not self._replaced_in(held):
            raise Refused(f"{path}: what would be put back holds {self._names(names)} in another place, too",
                          "put the values there by hand (clawsecrets get NAME --raw), then run this again")
        if made != held:
            planned.files[path] = made, None
        planned.in_parts.add(path)
        env = any(move.way is Way.SUPPLIED and not move.path for move in moves)
        what = "the variables that were moved, and that it has not, are put back at its end" if env else \
            "only what was moved is put back"
        elsewhere = self._replaced_in(before) if ours else []
        why = f"held {self._names(elsewhere)} in another place, too" if elsewhere else "was changed since"
        planned.told.append(f"{path}: {why}; {what}")

    def _made(self, path: str, before: bytes, held: bytes) -> bool:
        """Whether what stands there is what the adoption makes of it: of one that was killed no more is known."""
        values = [value for _, value in self.kept.values]
        made = documents.without_variables(before, self.plan.env_variables(path))
        if lines := self.plan.compose_lines.get(path):
            made = compose_text.interpolated(made, lines, values)
        return held in (made, self._mask(before))

    def _whole(self, path: str, before: bytes, moves: Sequence[Move]) -> tuple[bytes | None, Refused | None]:
        """The file as it was, with the current values; nothing where one that was replaced stands in another place of
        it, or where a later adoption moved what it had not then; or why it cannot be made."""
        try:
            made = self._files.renewed(path, before, moves)
        except Refused as error:
            return None, error
        return (None if made is None or self._replaced_in(made) else made), None

    def _without_provider(self, planned: Planned) -> None:
        """Take our SecretRef provider out of a configuration that is put back in parts, where it had none before and no
        reference is left: what refers to it later would get no value."""
        config = self.plan.config
        if config not in planned.in_parts or self.used(planned)[0]:
            return
        raw = self._content(config, planned)
        before = self.readers.parse(self.kept.files[config][1].reveal(), config)
        document = self.readers.parse(raw, config)
        if documents.at(before, (*PROVIDERS, PROVIDER)) is None and documents.at(document, (*PROVIDERS, PROVIDER)):
            for depth in (3, 2, 1):
                at = (*PROVIDERS, PROVIDER)[:depth]
                if depth == 3 or (documents.at(document, at) == {} and documents.at(before, at) is None):
                    documents.put(document, at, None)
            planned.files[config] = dumped(document), None

    # --- databases ----------------------------------------------------------------------------------------------------

    def _cells(self, planned: Planned) -> None:
        gone = [database for database in dict.fromkeys(cell[0] for cell in self.kept.cells)
                if not os.path.exists(database)]
        texts = {cell: cell.text for database in self._databases() for cell in documents.profile_cells(database)}
        for database, table, column, masked, sealed in self.kept.cells:
            text = sealed.reveal().decode("utf-8", "surrogateescape")
            if database in gone:
                continue
            if not masked:
                for cell in [cell for cell in texts if cell.database == database]:
                    texts[cell] = self._profiles(texts[cell], text, database)
            elif names := self._replaced_in(sealed.reveal()):
                line = f"{database}: table {table}: left out: a text that held {self._names(names)}"
                planned.told += [line] if line not in planned.told else []
            else:
                planned.masked.append((database, table, column, masked, text))
        planned.cells = [(cell, text) for cell, text in texts.items() if text != cell.text]
        planned.told += [f"{database}: is not there any more; nothing is put back into it" for database in gone]

    def _profiles(self, text: str, before: str, database: str) -> str:
        back = documents.without_references(text, before, self.plan.profiles(database), PROVIDER,
                                            lambda name, stood: self.newer.value(name, stood, database),
                                            self.newer.is_former)
        older, now = json.loads(before), json.loads(back)
        for at, name in self.plan.profiles(database).items():
            self.newer.met(name, *(documents.at(one, ("profiles", *at)) for one in (older, now)))
        return text if now == json.loads(text) else back

    def _databases(self) -> list[str]:
        """Those with auth profiles that were moved."""
        return [database for database in dict.fromkeys(move.file for move in self.plan.of(Way.PROFILE))
                if os.path.exists(database)]

    # --- parts --------------------------------------------------------------------------------------------------------

    def _replaced_in(self, raw: bytes) -> list[str]:
        """Secrets with a former value that stands there, in any form."""
        return list(dict.fromkeys(name for name, value, look in self._looks
                                  if not self.newer.within_current(value) and next(iter(look(raw)), None) is not None))

    @staticmethod
    def _names(names: Sequence[str]) -> str:
        """In words."""
        return f"a value of {', '.join(names)} that was replaced since"

    @staticmethod
    def _content(path: str, planned: Planned | None) -> bytes:
        if planned is not None and path in planned.files:
            return planned.files[path][0]
        return documents.content_of(path) if os.path.exists(path) else b""


def _referred(node: Any) -> Iterator[str]:
    """Every secret that a SecretRef of ours below names."""
    if isinstance(node, dict):
        if node.get("provider") == PROVIDER and isinstance(node.get("id"), str) and "source" in node:
            yield str(node["id"])
        for value in node.values():
            yield from _referred(value)
    elif isinstance(node, list):
        for value in node:
            yield from _referred(value)
