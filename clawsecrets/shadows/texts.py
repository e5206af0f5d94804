"""Every text that could be a credential where OpenClaw and the host keep some: for telling by its fingerprint one that
was erased here long ago. What is encoded, or in the middle of a text, is not told so: `HostShadows.look` tells it while
the value is known."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from clawsecrets.data import read_regular
from clawsecrets.errors import ClawError
from clawsecrets.formats.bounds import Budget, Limits
from clawsecrets.formats.errors import Damaged, TooLarge
from clawsecrets.formats.sqlite import rows
from clawsecrets.formats.sqlite_wal import laid_over
from clawsecrets.model.forms import LEAST
from clawsecrets.model.secret import SecretValue
from clawsecrets.shadows.places import LIVE, LIVE_TABLES, Role
from clawsecrets.shadows.reading import LARGE, SMALL, Leaves, provided, whole

MOST = 16 << 10
"""Bytes of a text that could be a credential."""
_LINE = re.compile(r"^\s*(?:export\s+|Environment=[\"']?)?([A-Za-z_][A-Za-z0-9_]*)\s*=\s*(.*?)\s*$")
_WORDS = re.compile(r"\s+")


class Text(NamedTuple):
    """One, and where it stands."""

    value: SecretValue
    where: str
    live: bool
    field: str = ""


def of_file(path: str, role: Role, leaves: Leaves) -> Iterator[Text]:
    """The texts of one file of a kind whose texts can be told apart. OSError."""
    if role in (Role.CONFIG, Role.INCLUDED, Role.BACKUP, Role.RETIRED, Role.CATALOG, Role.CREDENTIALS):
        raw = read_regular(Path(path), SMALL)
        try:
            found = list(leaves(raw, path))
            ready = role is Role.CONFIG and provided(found)
            for leaf in found:
                where = f"{path}: {leaf.path}" if role in (Role.CONFIG, Role.INCLUDED) else path
                field = leaf.path if ready and not leaf.text_only else ""
                yield from (Text(value, where, role in LIVE, field) for value in parts(leaf.value.reveal_text()))
            return
        except ClawError:
            pass  # no JSON
        yield from _lines(raw, path, live=role in LIVE)
    elif role is Role.ENV:
        yield from _lines(read_regular(Path(path), SMALL), path, live=True)
    elif role is Role.DATABASE:
        yield from _rows(path)


def _lines(raw: bytes, path: str, *, live: bool) -> Iterator[Text]:
    for number, line in enumerate(raw.decode("utf-8", "replace").splitlines(), 1):
        found = _LINE.match(line)
        if found:
            for value in parts(found.group(2)):
                yield Text(value, f"{path}:{number} ({found.group(1)})" if live else path, live)


def _rows(path: str) -> Iterator[Text]:
    database = laid_over(whole(path), whole(f"{path}-wal", optional=True))
    try:
        for table, cells in rows(io.BytesIO(database), len(database), Budget(Limits(output=4 * LARGE)),
                                 max(len(database), 1 << 20)):
            for _, cell in cells:
                for text in _strings(cell.decode("utf-8", "replace")):
                    for value in parts(text):
                        yield Text(value, f"{path}: table {table}", table in LIVE_TABLES)
    except (Damaged, TooLarge) as error:
        raise OSError(0, str(error), path) from None


def _strings(cell: str) -> Iterator[str]:
    """The texts of a cell: those of its JSON, else itself."""
    if cell[:1] not in ("{", "["):
        yield cell
        return
    try:
        waiting = [json.loads(cell)]
    except (ValueError, RecursionError):
        yield cell
        return
    while waiting:
        node = waiting.pop()
        if isinstance(node, str):
            yield node
        elif isinstance(node, dict):
            waiting.extend(node.values())
        elif isinstance(node, list):
            waiting.extend(node)


def parts(text: str) -> Iterator[SecretValue]:
    """A text, and its words where it has several, each also without quotes."""
    found = {text, *_WORDS.split(text)} if len(text) <= MOST else set()
    found |= {one.strip("\"'") for one in found}
    for one in sorted(found):
        if len(one) >= LEAST and "\0" not in one:
            yield SecretValue(one.encode("utf-8", "replace"))
