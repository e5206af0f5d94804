"""What commands print: tables that fit the terminal, stable JSON, masked values, progress on stderr."""

from __future__ import annotations

import json
import os
import shutil
import sys
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

SCHEMA = 1
MASK = "••••••••"

RED, YELLOW, GREEN, DIM, BOLD, RESET = "\033[31m", "\033[33m", "\033[32m", "\033[2m", "\033[1m", "\033[0m"


def say(text: str, *, bold: bool = False) -> None:
    """A line for the person: on stderr, so that stdout carries data only."""
    text = clean(text)
    print(f"{BOLD}{text}{RESET}" if bold and sys.stderr.isatty() else text, file=sys.stderr)


def emit(data: Mapping[str, object]) -> None:
    """A `--json` answer: one object with `schema`."""
    print(json.dumps({"schema": SCHEMA, **data}, indent=2, ensure_ascii=False))


def clean(text: str) -> str:
    """Without control characters: names and notes may come from files and servers that are not trusted."""
    return "".join(c if c == "\n" or unicodedata.category(c)[0] != "C" else "�" for c in text)


def colour(text: str, code: str) -> str:
    """Coloured on a terminal, plain elsewhere and under NO_COLOR (https://no-color.org)."""
    if not sys.stdout.isatty() or "NO_COLOR" in os.environ:
        return text
    return f"{code}{text}{RESET}"


@dataclass(frozen=True)
class Column:
    """A table column; `shrink`: it gives way when the terminal is narrow."""

    title: str
    shrink: bool = False
    right: bool = False


def table(columns: Sequence[Column], rows: Sequence[Sequence[str]], colours: Sequence[str] = ()) -> None:
    """Print rows in aligned columns. On a terminal (or with COLUMNS set) never wider than it; piped: untruncated."""
    cells = [[clean(cell) for cell in row] for row in rows]
    widths = [max([len(c.title), *(len(row[i]) for row in cells)]) for i, c in enumerate(columns)]
    if sys.stdout.isatty() or "COLUMNS" in os.environ:
        widths = _fit(columns, widths, shutil.get_terminal_size().columns)
    print(colour(_line(columns, [c.title for c in columns], widths), BOLD))
    for number, row in enumerate(cells):
        line = _line(columns, row, widths)
        print(colour(line, colours[number]) if number < len(colours) and colours[number] else line)


def _fit(columns: Sequence[Column], widths: Sequence[int], room: int) -> list[int]:
    fitted = list(widths)
    while sum(fitted) + 2 * (len(fitted) - 1) > room:
        able = [i for i, c in enumerate(columns) if c.shrink and fitted[i] > max(6, len(c.title))]
        if not able:
            break
        widest = max(able, key=lambda i: fitted[i])
        fitted[widest] -= 1
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


class Steps:
    """Progress of a rotation: one line a step on a terminal's stderr; silent when piped, unless `verbose`."""

    def __init__(self, verbose: bool) -> None:
        self._shown = verbose or sys.stderr.isatty()

    def step(self, secret: str, state: str, step: str) -> None:
        """A step begins."""
        if self._shown:
            print(f"  {clean(secret)}: {step} …", file=sys.stderr, flush=True)

    def result(self, secret: str, step: str, outcome: str, detail: str) -> None:
        """It ended."""
        if self._shown and (outcome != "ok" or detail):
            print(f"  {clean(secret)}: {step}: {outcome}{' · ' + clean(detail) if detail else ''}", file=sys.stderr,
                  flush=True)
