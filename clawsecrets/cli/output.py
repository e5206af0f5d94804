"""What commands print: tables that fit the terminal, stable JSON, masked values, progress on stderr."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import sys
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from clawsecrets.errors import UsageError

SCHEMA = 1
MASK = "••••••••"

RED, YELLOW, GREEN, DIM, BOLD, RESET = "\033[31m", "\033[33m", "\033[32m", "\033[2m", "\033[1m", "\033[0m"


def say(text: str, *, bold: bool = False) -> None:
    """A line for the person: on stderr, so that stdout carries data only."""
    text = flowed(clean(text))
    print(f"{BOLD}{text}{RESET}" if bold and sys.stderr.isatty() else text, file=sys.stderr)


def say_if_possible(text: str) -> None:
    """As `say`; where standard error takes nothing (a full disk), the exit code alone must tell it."""
    try:
        say(text)
        sys.stderr.flush()
    except OSError:
        forget(sys.stderr)


def require_stdout() -> None:
    """UsageError where our caller closed it: a value that nobody gets was not given."""
    if sys.__stdout__ is None:
        raise UsageError("standard output is closed: nobody would get it", "give it a pipe or a file")


def forget(stream: TextIO) -> None:
    """Let a stream lead nowhere from now on: what it did not take is not tried again when the interpreter ends."""
    with contextlib.suppress(OSError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


_WHOLE = re.compile(r"`[^`]+`|(?<=: )(?:clawsecrets|openclaw) [^;]+$")


def flowed(text: str) -> str:
    """Running text for stderr, wrapped at words where that is a terminal. What is to be copied stays on one line: a
    command in backticks or after the last colon, and a line that begins with two spaces and a command."""
    if not sys.stderr.isatty():
        return text
    import textwrap

    try:
        room = os.get_terminal_size(sys.stderr.fileno()).columns or 80
    except OSError:
        room = 80
    lines = []
    for line in text.split("\n"):
        indent = " " * (len(line) - len(line.lstrip()))
        if len(line) <= room or line.startswith(("$ ", "  openclaw ", "  clawsecrets ")):
            lines.append(line)
            continue
        held = _WHOLE.sub(lambda found: found[0].replace(" ", "\xa0"), line)
        pieces = textwrap.wrap(held.strip(), max(20, room - len(indent)), break_long_words=False,
                               break_on_hyphens=False)
        lines += [indent + piece.replace("\xa0", " ") for piece in pieces]
    return "\n".join(lines)

def emit(data: Mapping[str, object]) -> None:
    """A `--json` answer: one object with `schema`. It is UTF-8: what this stream cannot carry so, is escaped."""
    whole = {"schema": SCHEMA, **data}
    text = json.dumps(whole, indent=2, ensure_ascii=False)
    try:
        carried = (sys.stdout.encoding or "utf-8").lower() in ("utf-8", "utf8") and bool(text.encode())
    except UnicodeEncodeError:  # a byte of a file's name
        carried = False
    print(text if carried else json.dumps(whole, indent=2))


def destination(named: str) -> str:
    """Where `--output` leads; empty: to standard output, which `-` means too."""
    return "" if named == "-" else named


def new_file(named: str | Path) -> Path:
    """The place of a new file. UsageError for `-`: what such a file holds goes to no standard output."""
    if str(named) == "-":
        raise UsageError("- is no file, and this is not written to standard output", "name a new file")
    return Path(named)


def heard(tell: Callable[[], None]) -> None:
    """Tell something, now. A reader that has left stops neither the work nor its exit code: the stream leads nowhere
    from then on."""
    with contextlib.suppress(BrokenPipeError):
        tell()
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except BrokenPipeError:
            forget(stream)


def clean(text: str) -> str:
    """Without control characters: names and notes may come from files and servers that are not trusted."""
    if text.isprintable():
        return text
    return "".join(c if c == "\n" or unicodedata.category(c)[0] != "C" else "�" for c in text)


def colour(text: str, code: str) -> str:
    """Coloured on a terminal, plain elsewhere and under NO_COLOR (https://no-color.org)."""
    if not sys.stdout.isatty() or "NO_COLOR" in os.environ:
        return text
    return f"{code}{text}{RESET}"


@dataclass(frozen=True)
class Column:
    """A table column; where the terminal is narrow it gives way down to `least` characters (0: never), and goes away
    altogether with a `drop`, the smallest first."""

    title: str
    least: int = 0
    right: bool = False
    drop: int = 0


def width() -> int | None:
    """Columns of the terminal (or what COLUMNS says); None when piped: then nothing is cut or wrapped."""
    if sys.stdout.isatty() or os.environ.get("COLUMNS", "").isdigit():
        return max(40, shutil.get_terminal_size().columns)
    return None


def table(columns: Sequence[Column], rows: Sequence[Sequence[str]], colours: Sequence[str] = ()) -> None:
    """Print rows in aligned columns, never wider than the terminal."""
    cells = [[clean(cell) for cell in row] for row in rows]
    widths = [max([len(c.title), *(len(row[i]) for row in cells)]) for i, c in enumerate(columns)]
    room = width()
    if room is not None:
        shown = _shown(columns, widths, room)
        columns, cells = [columns[i] for i in shown], [[row[i] for i in shown] for row in cells]
        widths = _fit(columns, [widths[i] for i in shown], room)
    print(colour(_line(columns, [c.title for c in columns], widths), BOLD))
    for number, row in enumerate(cells):
        line = _line(columns, row, widths)
        print(colour(line, colours[number]) if number < len(colours) and colours[number] else line)


def wrapped(first: str, text: str, shade: str = "") -> None:
    """Print `first` (in that colour) and then `text`, wrapped to the terminal under its own beginning."""
    import textwrap

    room, text = width(), clean(text)
    indent = len(first) if room is None or len(first) <= room // 2 else 4
    lines = [text]
    if room is not None and len(first) + len(text) > room:
        lines = textwrap.wrap(text, room - indent, break_on_hyphens=False, break_long_words=False) or [""]
        if indent != len(first):
            lines = ["", *lines]
    print((colour(first, shade) if shade else first) + lines[0] if lines[0] else first.rstrip())
    for line in lines[1:]:
        print(" " * indent + line)


def _shown(columns: Sequence[Column], widths: Sequence[int], room: int) -> list[int]:
    """The columns that stay: those with a `drop` go, one by one, until the rest could be made to fit."""
    shown = list(range(len(columns)))
    for going in sorted((i for i in shown if columns[i].drop), key=lambda i: columns[i].drop):
        if sum(min(columns[i].least or widths[i], widths[i]) + 2 for i in shown) - 2 <= room:
            break
        shown.remove(going)
    return shown


def _fit(columns: Sequence[Column], widths: Sequence[int], room: int) -> list[int]:
    """Take from the columns that may give, the one farthest above its least first."""
    fitted = list(widths)
    least = [c.least or size for c, size in zip(columns, widths, strict=True)]
    lower = [min(floor, 4) if c.least else floor for c, floor in zip(columns, least, strict=True)]
    for floors in (least, lower if sum(lower) + 2 * (len(lower) - 1) <= room else least):
        while sum(fitted) + 2 * (len(fitted) - 1) > room:
            excess = [size - floor for size, floor in zip(fitted, floors, strict=True)]
            if max(excess) <= 0:
                break
            fitted[excess.index(max(excess))] -= 1
    return fitted


def _line(columns: Sequence[Column], row: Sequence[str], widths: Sequence[int]) -> str:
    parts = []
    for column, cell, width in zip(columns, row, widths, strict=True):
        short = cell if len(cell) <= width else cell[: width - 1] + "…"
        parts.append(short.rjust(width) if column.right else short.ljust(width))
    return "  ".join(parts).rstrip()


def moment(at: float) -> str:
    """A Unix time as UTC, to the minute; a dash for never."""
    import datetime

    if not at:
        return "-"
    return datetime.datetime.fromtimestamp(at, datetime.UTC).strftime("%Y-%m-%d %H:%MZ")


Trouble = tuple[str, str, str]
"""Step, outcome, detail."""


class Steps:
    """Progress of a rotation: one line a step on a terminal's stderr; silent when piped, unless `verbose`."""

    def __init__(self, verbose: bool) -> None:
        self._shown = verbose or sys.stderr.isatty()
        self.troubles: list[Trouble] = []
        """What was refused or went unanswered on the way, for those who were not shown it."""

    def step(self, secret: str, state: str, step: str) -> None:
        """A step begins."""
        if self._shown:
            heard(lambda: print(f"  {clean(secret)}: {step} …", file=sys.stderr))

    def result(self, secret: str, step: str, outcome: str, detail: str) -> None:
        """It ended."""
        trouble = (step, outcome, clean(detail))
        if outcome in ("refused", "unknown") and trouble not in self.troubles:
            self.troubles.append(trouble)
        if self._shown and (outcome != "ok" or detail):
            words = f"  {clean(secret)}: {step}: {outcome}{' · ' + clean(detail) if detail else ''}"
            heard(lambda: print(words, file=sys.stderr))

    def waits(self, secret: str, why: str, until: float) -> None:
        """It waits for another process: said also where steps are not shown."""
        import datetime

        at = datetime.datetime.fromtimestamp(until, datetime.UTC)
        lasts = f"; unless that goes on, its lease ends at about {at:%H:%M:%SZ}" if until else ""
        heard(lambda: print(clean(f"  waiting: {why}{lasts}"), file=sys.stderr))
