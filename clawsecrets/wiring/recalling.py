"""Says the findings of a repository again that an earlier scan has told, when all that came since is clean; and those
of an image, when it still hashes to the same.

They hold as long as these do, each of which is looked at every time: everything that the scan has read is still there
(sources/git/clean.py); the rules, the options, the baseline and the configuration are the same; each name that led to
a commit with a finding still does, and no other one (sources/git/steady.py). What is new is read; a match in it, or
anything that could not be read, and the scan is made as if nothing had been kept.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Protocol

from clawsecrets.scan import recalled
from clawsecrets.scan.recalled import Recalled
from clawsecrets.scan.unread import UNREAD

if TYPE_CHECKING:
    from clawsecrets.model.finding import Report, Rule
    from clawsecrets.scan.pipeline import Outcome
    from clawsecrets.scan_ports import Source
    from clawsecrets.sources.git.clean import Clean
    from clawsecrets.sources.git.quick import QuickSource

_IN_FILES = frozenset(("file", "refs"))
"""Keys of places that are no objects of the repository, but files of its own: they change."""


class Again(Protocol):
    """Findings that may be said again."""

    @property
    def source(self) -> Any:
        """Whose they are."""

    @property
    def found(self) -> Recalled:
        """They."""

    def holds(self, outcome: Outcome) -> bool:
        """Whether what was looked at leaves them as they are. If not, the source gives all again."""


class Recalling:
    """One repository whose findings may be said again, until its new content says otherwise."""

    def __init__(self, source: QuickSource, seen: Clean, report: Mapping[str, Any], found: Recalled) -> None:
        self.source, self.seen, self.found = source, seen, found
        self._report = report

    @classmethod
    def of(cls, source: QuickSource, seen: Clean, judged: str, rules: Mapping[str, Rule], drawing: str = ""
           ) -> Recalling | None:
        """What the cache has of it; None when it does not hold any more, or is not as it should be. From now on the
        source gives only what is new. `drawing`: as recalled.unpacked has it."""
        report = seen.report
        try:
            if report is not None and report["judged"] == _of(source, judged) and source.settle(report["refs"]) \
                    and (found := recalled.unpacked(report["found"], rules, drawing)) is not None:
                return cls(source, seen, report, found)
        except (ValueError, KeyError, IndexError, TypeError, AttributeError):
            pass
        source.unsettle()
        return None

    def holds(self, outcome: Outcome) -> bool:
        """Whether what is new is clean, and all of it was read. If not, the source gives all again."""
        return _holds(self.source, outcome)

    @property
    def moved(self) -> bool:
        """Whether there is anything to keep that is not kept."""
        return bool(self.source.fresh) or self._report["refs"] != self.source.standing()

    def kept(self) -> Mapping[str, Any]:
        """What is kept from now on, by the names of cache.RepositorySeen."""
        memory, spots = self.source.memory(), self.seen.spots
        return {"memory": memory.plain() if memory else None, "spots": spots[0] if spots else None,
                "report": {**self._report, "refs": self.source.standing()}}


class RecallingImage:
    """One image whose findings may be said again, if it is what it says."""

    def __init__(self, source: Any, found: Recalled) -> None:
        self.source, self.found = source, found

    @classmethod
    def of(cls, source: Source, images: Mapping[str, Mapping[str, Any]], judged: str, rules: Mapping[str, Rule],
           drawing: str = "") -> RecallingImage | None:
        """What the cache has of it; None when it has nothing that holds. From now on the source only hashes."""
        told = images.get(identity(source), {}) if images else {}
        if not told or told.get("judged") != judged:
            return None
        try:
            found = recalled.unpacked(told["found"], rules, drawing)
        except (ValueError, KeyError, IndexError, TypeError, AttributeError):
            found = None
        if found is None:
            return None
        source.settle()  # type: ignore[attr-defined]
        return cls(source, found)

    def holds(self, outcome: Outcome) -> bool:
        """Whether every layer was what it says."""
        return _holds(self.source, outcome)


def _holds(source: Any, outcome: Outcome) -> bool:
    """Whether nothing was found, and nothing was left. If not, the source gives all again."""
    told = outcome.matches or outcome.skipped or outcome.extra or outcome.dropped or source.coverage().skipped
    if told:
        source.unsettle()
    return not told


def identity(source: Source) -> str:
    """Of an image of which it is known; empty for anything else."""
    known = getattr(source, "identity", None)
    return str(known()) if known is not None else ""


def kept_image(source: Source, outcome: Outcome, report: Report, judged: str) -> Mapping[str, Mapping[str, Any]]:
    """What is kept of what a scan of this image alone has told; nothing where not all was read, or only what its engine
    says of it."""
    faults = bool(outcome.skipped) or any(kind == UNREAD for kind, *_ in outcome.extra)
    told_only: int = getattr(source, "cached", 0)
    name = identity(source) if report.complete and not faults and not told_only else ""
    return {name: {"judged": judged, "found": recalled.packed(report)}} if name else {}


def _of(source: Source, judged: str) -> str:
    """That, with the place that the report names."""
    top = os.fsencode(source.layout.top)  # type: ignore[attr-defined]
    return hashlib.blake2b(judged.encode() + top, digest_size=16).hexdigest()


def kept(source: Source, outcome: Outcome, report: Report, judged: str, shown: Callable[[str], bool]
         ) -> Mapping[str, Any] | None:
    """What is kept of what a scan of this repository alone has told. None where it cannot be told again without
    looking: something was not read, a finding is in no commit, in a file of the repository's own, or in a path that is
    not to be kept."""
    memory = source.memory()  # type: ignore[attr-defined]
    if memory is None or not report.complete or any(match.place.key in _IN_FILES for match in outcome.matches):
        return None
    if not all(commit and shown(path) for commit, path in memory.first.values()):
        return None
    refs = source.standing()  # type: ignore[attr-defined]
    return None if refs is None else {"judged": _of(source, judged), "refs": refs, "found": recalled.packed(report)}
