"""The ports of a scan: what is read, and how a report is written. Adapters state conformance next to their class.

A `Content` may hold values; no method logs or raises one.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Protocol

from clawsecrets.model.finding import Content, Coverage, Place, Provenance, Report, Skipped


class Notes(Protocol):
    """What a source tells while it is read, apart from content."""

    def skipped(self, skipped: Skipped) -> None:
        """Something could not be looked at."""

    def looked(self, objects: int, size: int, work: int = 0) -> None:
        """So many contents of so many bytes were given since the last call (for coverage and progress). `work`: so
        many of the bytes that `Source.work` tells of are done with, whatever came of them."""

    def cached(self, objects: int) -> None:
        """So many contents were left out: an earlier scan found them clean."""

    def known(self, message: str) -> None:
        """A line for the person, on a terminal only."""

    def extra(self, *values: str | int | bytes) -> None:
        """Plain values for whoever started the scan: what a cache may remember."""


class Part(Protocol):
    """A share of a source that one worker process reads from its beginning to its end."""

    def contents(self, notes: Notes) -> Iterable[Content]:
        """Everything in it, once. What cannot be read goes to `notes.skipped`; only a KeyboardInterrupt escapes."""


class Source(Protocol):
    """Something to scan. Made and asked in the parent process; its parts are read in forked workers."""

    def parts(self, workers: int) -> Sequence[Part]:
        """Shares of about equal work, at most `workers`. Incomplete or UsageError when it cannot be looked at at
        all."""

    def work(self) -> Iterable[int] | None:
        """Bytes of what the parts read, as they are stored, one after the other; None: nobody can know. Asked after
        `parts`, beside the reading of them, and only where somebody is shown how long it still takes. What its parts
        tell by `Notes.looked` adds up to it, unless it changes meanwhile."""

    def locate(self, places: Collection[Place]) -> Mapping[Place, Sequence[Provenance]]:
        """How each place can be reached, the most telling first: asked for findings only, after the parts were
        read."""

    def coverage(self) -> Coverage:
        """What it is, and what of it could not be looked at, beyond what the parts told."""


class Reporter(Protocol):
    """Writes a report in one format."""

    def write(self, report: Report) -> str:
        """The whole text."""
