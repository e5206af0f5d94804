"""scan: from the words to the report and the exit code. Imports nothing of typer."""

from __future__ import annotations

import os
import sys
import time
from typing import TYPE_CHECKING

from clawsecrets.cli.scan_words import Words
from clawsecrets.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from clawsecrets.ports import Store
    from clawsecrets.wiring.scanning import Order

REDRAW = 0.2
"""Seconds between two drawings of the progress line."""
_SURE = 0.005
"""Share of the work from which on the remaining time is more than a guess."""


def scan(words: Words) -> int:
    """Run it, write the report, and give the exit code. ClawError, OSError."""
    from clawsecrets.config.paths import find_paths
    from clawsecrets.wiring import scanning

    form = "json" if words.flag("json") else words.text("format") or "text"
    if words.flag("json") and words.text("format") not in ("", "json"):
        raise UsageError("--json and --format say different things", "leave one of them out")
    output = "" if words.text("output") == "-" else words.text("output")
    progress = Progress(words.flag("verbose"))
    run = scanning.Scan(_order(words, form), find_paths(words.text("config")), progress, words.text("store"),
                        lambda: _store(words), progress.warn)
    try:
        report = run.run()
    finally:
        progress.done()
    terminal = not output and sys.stdout.isatty()
    pieces = run.written(report, form, columns=_columns() if terminal else 0,
                         colours=terminal and "NO_COLOR" not in os.environ)
    _write(pieces, output, form)
    if report.interrupted:
        print("clawsecrets: interrupted; the report is incomplete", file=sys.stderr)
    return run.code(report, words.flag("allow-incomplete"))


def _store(words: Words) -> Store:
    from clawsecrets.cli.session import Session

    return Session(words.text("store"), words.text("config"), accept_older=words.flag("accept-older")).store


def _order(words: Words, form: str) -> Order:
    from clawsecrets.wiring.scanning import Order

    workers = words.text("workers")
    if workers and not (workers.isascii() and workers.isdigit() and 0 < int(workers) <= 64):
        raise UsageError("--workers: a number from 1 to 64 is needed", "leave it out to use every core")
    narrowed = [name for name in ("since", "commits", "branch", "staged", "no-history") if words.options.get(name)]
    if len(narrowed) > 1:
        raise UsageError(f"--{narrowed[0]} and --{narrowed[1]} exclude each other", "give one of them")
    return Order(
        words.kind, words.what, confidence=words.text("confidence"), baseline=words.text("baseline"),
        rules=words.texts("rules"), workers=int(workers or 0), since=words.text("since"),
        commits=words.text("commits"), branch=words.text("branch"), fingerprints=words.text("fingerprints"), form=form,
        **{name.replace("-", "_"): words.flag(name) for name in (
            "no-baseline", "explain", "trust-inline-allow", "no-cache", "staged", "no-history", "trust-alternates",
            "trust-owner", "no-ignored", "known", "verify", "force-verify")},
    )


def _columns() -> int:
    try:
        return os.get_terminal_size(sys.stdout.fileno()).columns or 80
    except OSError:
        return 80


def _write(pieces: Sequence[bytes], output: str, form: str) -> None:
    """To the file, whole or not at all; or to standard output: what programs read is UTF-8 whatever the locale."""
    if output:
        from clawsecrets.wiring.scanning import write_report

        write_report(pieces, output)
        return
    try:
        if form != "text" or sys.stdout.encoding.lower() in ("utf-8", "utf8"):
            sys.stdout.flush()
            sys.stdout.buffer.writelines(pieces)
        else:
            sys.stdout.writelines(piece.decode() for piece in pieces)
        if pieces[-1] and not pieces[-1].endswith(b"\n"):
            sys.stdout.write("\n")
        sys.stdout.flush()
    except BrokenPipeError:
        # the reader left (`| head`): that changes nothing in what was found, and so in the exit code
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


class Progress:
    """One line on a terminal's stderr, redrawn: how much, how fast, how long still. Silent when piped.

    How long still: by the bytes as they are stored that are done with, of those there are; only where that is known."""

    def __init__(self, verbose: bool) -> None:
        self._shown = sys.stderr.isatty()
        self._verbose = verbose or self._shown
        self._began = self._drawn = time.monotonic()
        self._objects = self._bytes = self._work = self._whole = 0
        self._line = False

    @property
    def counts(self) -> bool:
        """Whether it must be told how much there is."""
        return self._shown

    def expects(self, work: int) -> None:
        """So many bytes, as they are stored, are to be read in all."""
        self._whole = work

    def moved(self, objects: int, size: int, work: int) -> None:
        """So much was looked at since the last call."""
        self._objects += objects
        self._bytes += size
        self._work += work
        now = time.monotonic()
        over = self._line and 0 < self._whole <= self._work and work > 0
        if self._shown and (now - self._drawn >= REDRAW or over):
            self._drawn = now
            self._draw(now - self._began)

    def say(self, message: str) -> None:
        """A line for the person."""
        if self._verbose:
            self.warn(message)

    def warn(self, message: str) -> None:
        """A line that must be heard."""
        from clawsecrets.cli.output import say

        self.done()
        say(message)

    def done(self) -> None:
        """Take the line away."""
        if self._line:
            sys.stderr.write("\r\033[K")
            sys.stderr.flush()
            self._line = False

    def _draw(self, seconds: float) -> None:
        rate = self._bytes / seconds if seconds else 0.0
        words = f"  scanned {self._objects:,} objects, {self._bytes / 1e6:,.0f} MB, {rate / 1e6:,.0f} MB/s"
        if whole := self._whole:
            share = min(1.0, self._work / whole)
            words += f", {int(100 * share)} %"
            if share >= _SURE:
                words += f", {_lasting(seconds * (1 - share) / share)} left"
        sys.stderr.write(f"\r\033[K{words}")
        sys.stderr.flush()
        self._line = True


def _lasting(seconds: float) -> str:
    """A time to wait in words that are as exact as anybody can be about it."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes = whole // 60
    return f"{minutes} min {whole % 60:02} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02} min"
