"""What an adoption looks at outside of OpenClaw's folder: units, logins, Compose files. Changes nothing."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from clawsecrets.adopting import units
from clawsecrets.adopting.compose_text import entries, is_compose, placeholder
from clawsecrets.adopting.plan import Move
from clawsecrets.model.secret import SecretValue
from clawsecrets.model.shadow import Looked, Shadow, Sought

COMPOSE = ("compose.yaml", "compose.yml", "docker-compose.yaml", "docker-compose.yml")
_WHERE = re.compile(r"(?P<file>/.*?):(?P<line>[0-9]+)(?: \((?P<name>\w+)\))?\Z", re.S)
_PROCESS = "the environment of process"


@dataclass(frozen=True, slots=True)
class Found:
    """A place outside of OpenClaw's folder that holds one of the values."""

    secret: str
    where: str
    change: str
    """What is to be changed."""
    command: str
    """What does it; empty: no one command does."""


def own_units() -> list[Path]:
    """OpenClaw's own units and drop-ins on this host, as far as they may be read."""
    from clawsecrets.shadows.processes import unit_files

    return [Path(path) for path in unit_files([str(Path.home())], lambda _: None)  # `look` tells what cannot be listed
            if units.is_unit(path) and "openclaw" in path.lower() and os.access(path, os.R_OK)]


def files_around(folders: Iterable[Path]) -> list[str]:
    """Compose files in these folders, each with the `.env` beside it."""
    found: dict[str, None] = {}
    for folder in folders:
        for name in COMPOSE:
            if (path := folder / name).is_file():
                found[str(path)] = None
                if (folder / ".env").is_file():
                    found[str(folder / ".env")] = None
    return list(found)


def look(values: Sequence[tuple[str, SecretValue]], files: Sequence[str], known: Collection[str], adopt: Sequence[str],
         env_file: str) -> tuple[list[Found], list[str]]:
    """Files that hold one of the values, and lines about processes that do. `files`: further ones to look at; `known`:
    those that are told of otherwise; `adopt`: the command that adopts."""
    from clawsecrets.scan.literals import Literals
    from clawsecrets.shadows.look import HostShadows
    from clawsecrets.wiring.shadows import leaves

    host = HostShadows((), [str(Path.home())], Literals, leaves, (), files)
    looked: Looked = host.look([Sought(name, value) for name, value in values])
    found, processes = [], []
    for one in looked.shadows:
        if one.where.startswith(_PROCESS):
            processes.append(f"{one.name} also stands in {one.where} · {one.mend}")
        elif one.live and _file(one.where) not in known:
            found.append(_told(one, adopt, env_file))
    return found, [*processes, *(f"not looked at: {line}" for line in looked.unseen)]


def by_hand(moves: Sequence[Move], values: Sequence[tuple[str, SecretValue]], env_file: str) -> list[Found]:
    """What a person is to change in units, as they stand now."""
    known = [value for _, value in values]
    found = []
    for file in dict.fromkeys(move.file for move in moves):
        mine = {move.dotted: move for move in moves if move.file == file}
        for one in units.assigned(Path(file).read_bytes() if os.path.exists(file) else b""):
            if (move := mine.get(one.name)) and one.value in known:
                found.append(Found(move.name, f"{file}:{one.line} ({one.name})",
                                   *units.advice(file, one, move.variable, env_file)))
    return found


def _file(where: str) -> str:
    found = _WHERE.match(where)
    return found.group("file") if found else where


def _told(shadow: Shadow, adopt: Sequence[str], env_file: str) -> Found:
    match = _WHERE.match(shadow.where)
    if match is None:
        return Found(shadow.name, shadow.where, shadow.mend, "")
    file, line = match.group("file"), int(match.group("line"))
    if units.is_unit(file):
        one = next((one for one in units.assigned(Path(file).read_bytes()) if one.line == line), None)
        if one is not None:
            return Found(shadow.name, f"{file}:{line} ({one.name})", *units.advice(file, one, one.name, env_file))
        return Found(shadow.name, shadow.where, shadow.mend, f"${{EDITOR:-vi}} +{line} {shlex.quote(file)}")
    if is_compose(file):
        entry = next((one for one in entries(Path(file).read_bytes()) if one.line == line), None)
        if entry is None:
            change = f"line {line}: ${{VARIABLE}} in its place, which clawsecrets run gives"
            return Found(shadow.name, shadow.where, change, f"${{EDITOR:-vi}} +{line} {shlex.quote(file)}")
        change = f"line {line}: {placeholder(entry.name)} in its place"
        return Found(shadow.name, f"{file}:{line} ({entry.name})", change,
                     shlex.join([*adopt, "--also", file, "--apply"]))
    if os.path.basename(file) == ".env":
        change = f"line {line}: take it out; what reads the file gets it by `clawsecrets run`"
        return Found(shadow.name, shadow.where, change, shlex.join([*adopt, "--also", file, "--apply"]))
    name = match.group("name")
    if name is None:
        return Found(shadow.name, shadow.where, shadow.mend, f"${{EDITOR:-vi}} +{line} {shlex.quote(file)}")
    assigned = shlex.quote(rf"/^\s*(export\s+)?{name}\s*=/d")
    return Found(shadow.name, shadow.where, shadow.mend, f"sed -i -E {assigned} {shlex.quote(file)}")


def injected(paths: Mapping[str, object]) -> list[str]:
    """The files that clawsecrets writes itself."""
    return [str(path) for one in paths.values() if (path := getattr(one, "path", None))]
