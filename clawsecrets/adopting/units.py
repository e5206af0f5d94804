"""systemd units that hold credentials: read, and what a person is to change there. Nothing here changes one: its
service has to be loaded and started anew, and that is the operator's to time."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePath

from clawsecrets.errors import Refused
from clawsecrets.model.value import SecretValue

_LINE = re.compile(r"[ \t]*Environment[ \t]*=[ \t]*(?P<rest>.*?)[ \t]*\Z")
_NAME = r"(?P<name>[A-Za-z_][A-Za-z0-9_]*)="
_ONE = (re.compile(_NAME + r"(?P<value>[^\s\"'\\]+)\Z"), re.compile(f'"{_NAME}' + r'(?P<value>[^"\\]+)"\Z'),
        re.compile(f"'{_NAME}" + r"(?P<value>[^'\\]+)'\Z"))


@dataclass(frozen=True)
class Assigned:
    """One variable of a unit."""

    name: str
    line: int
    value: SecretValue
    alone: bool
    """Nothing else stands on its line."""


def is_unit(path: str) -> bool:
    """Whether a file is called as a unit or a drop-in."""
    return PurePath(path).suffix in (".service", ".conf")


def assigned(raw: bytes) -> list[Assigned]:
    """The variables that it sets. `%%` is a percent sign. What holds an escape is left out."""
    return list(_assigned(raw.decode("utf-8", "replace")))


def _assigned(text: str) -> Iterator[Assigned]:
    for number, line in enumerate(text.splitlines(), 1):
        found = _LINE.match(line)
        if not found:
            continue
        try:
            words = shlex.split(found.group("rest"), posix=False)
        except ValueError:
            continue
        for word in words:
            if one := next(filter(None, (pattern.match(word) for pattern in _ONE)), None):
                yield Assigned(one.group("name"), number, SecretValue(one.group("value").replace("%%", "%")),
                               len(words) == 1)


def with_value(raw: bytes, one: Assigned, value: str) -> bytes:
    """The unit with another value for this variable. Refused where it cannot be written there."""
    old, new = (f"{one.name}={text.replace('%', '%%')}" for text in (one.value.reveal_text(), value))
    lines = raw.decode("utf-8", "surrogateescape").splitlines(keepends=True)
    lines[one.line - 1] = lines[one.line - 1].replace(old, new, 1)
    made = "".join(lines).encode("utf-8", "surrogateescape")
    wanted = [(each.name, each.line, SecretValue(value) if (each.name, each.line) == (one.name, one.line)
               else each.value) for each in assigned(raw)]
    if [(each.name, each.line, each.value) for each in assigned(made)] != wanted:
        raise Refused(f"{one.name} cannot be written into a unit's line", "put it there by hand, then run this again")
    return made


def advice(path: str, one: Assigned, variable: str, env_file: str) -> tuple[str, str]:
    """What is to be changed, and the command that does it: by the variable's name, for lines move. `variable`: empty
    when nobody needs it there any more."""
    name = unit_of(path)
    user = " --user" if "/user/" in path or "/.config/" in path else ""
    anew = f"systemctl{user} daemon-reload"
    if name:
        anew += f" && systemctl{user} restart {shlex.quote(name)}"
    if not one.alone:
        what = f"line {one.line}: take {one.name} out of the line"
        return _and_file(what, variable, env_file), f"${{EDITOR:-vi}} +{one.line} {shlex.quote(path)} && {anew}"
    line = rf"^\s*Environment\s*=\s*[^A-Za-z0-9_]?{one.name}="
    if variable and env_file:
        change = shlex.quote(f"s|{line}.*|EnvironmentFile={env_file}|")
        return (f"line {one.line}: EnvironmentFile={env_file} in its place",
                f"sed -i -E {change} {shlex.quote(path)} && {anew}")
    return (_and_file(f"line {one.line}: take it out", variable, env_file),
            f"sed -i -E {shlex.quote(f'/{line}/d')} {shlex.quote(path)} && {anew}")


def _and_file(what: str, variable: str, env_file: str) -> str:
    if not variable:
        return f"{what}; OpenClaw gets it by its SecretRef"
    if env_file:
        return f"{what}, and add EnvironmentFile={env_file}"
    return f"{what}; the service gets {variable} by `clawsecrets run`, or from a file in memory (--env-file)"


def unit_of(path: str) -> str:
    """The unit that a file belongs to; empty: none that it tells of."""
    pure = PurePath(path)
    if pure.suffix == ".service":
        return pure.name
    return pure.parent.name.removesuffix(".d") if pure.parent.name.endswith(".service.d") else ""
