"""`env-file`: variables in a file that docker, Compose, systemd or a shell reads. Everything else in it stays.

Every assignment of a variable is replaced (the last one wins in all dialects, but an older one would be a stale copy),
a missing one is appended. Before anything is written the result is read back in the dialect: it must give exactly the
values asked for, and for all other variables what it gave before.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from clawsecrets.errors import Refused
from clawsecrets.injectors import mapping
from clawsecrets.injectors.answers import attempt, text_of
from clawsecrets.injectors.atomic import Access, Folder, exposures, locked, read_file
from clawsecrets.injectors.dialects import dialect
from clawsecrets.injectors.dialects.line import Line
from clawsecrets.injectors.dialects.systemd import swallows
from clawsecrets.model.rotation import Outcome
from clawsecrets.ports import Entry, Injector, Reply

HOLDS = "the file, read back as its reader parses it"
NEEDS = "a restart (systemd, shell), or a recreation (docker, Compose): an environment is frozen when a process starts"


class EnvFile:
    """An env file in one dialect. `variables` (secret name -> variable) goes before the name that an entry brings."""

    def __init__(self, target: str, path: Path, dialect_name: str, rights: Access | None = None,
                 variables: Mapping[str, str] | None = None) -> None:
        self._target = target
        self._path = path
        self._dialect = dialect(dialect_name)
        self._rights = rights or Access()
        self._variables = dict(variables or {})

    @property
    def target(self) -> str:
        """Its configured name."""
        return self._target

    def deliver(self, entries: Sequence[Entry]) -> Reply:
        """Set the variables of these entries; touches no other."""
        return attempt(lambda: self._deliver(entries))

    def could(self, entries: Sequence[Entry]) -> Reply:
        """Whether the dialect can carry them in the file as it is now. Writes nothing."""
        return attempt(lambda: self._could(entries), Outcome.REFUSED)

    def remove(self, bound: Mapping[str, str]) -> Reply:
        """Take every assignment of these secrets' variables out."""
        return attempt(lambda: self._remove(bound))

    def holds(self, entry: Entry) -> bool | None:
        """Whether every assignment of its variable gives that value. None: not readable, or it cannot be known."""
        try:
            lines = self._dialect.read(_decoded(read_file(self._path)))
            found = self._of(lines, self._variable(entry))
            values = [line.value for line in found]
            return _unknown_or(values, entry.value.reveal_text())
        except (FileNotFoundError, ValueError):  # no file, or a value that no env file can hold
            return False
        except (OSError, Refused):
            return None

    def preflight(self) -> Reply:
        """Whether the file can be read in the dialect and replaced. Writes nothing that stays."""
        return attempt(self._preflight, Outcome.REFUSED)

    def exposed(self, names: Sequence[str]) -> Sequence[str]:
        """Files of it with other owners or permissions than they were given."""
        return list(exposures([self._path], self._rights))

    def describe(self) -> str:
        """One line."""
        return f"writes variables into {self._path}, as {self._dialect.about} reads it"

    def _variable(self, entry: Entry) -> str:
        return mapping.variable(replace(entry, env=self._variables.get(entry.name, entry.env)))

    def _wanted(self, entries: Sequence[Entry]) -> tuple[dict[str, str], dict[str, str]]:
        """By variable: the values, and how the dialect writes them. Refused where it cannot."""
        pairs = [(entry.name, self._variable(entry)) for entry in entries]
        mapping.refuse_collisions(pairs)
        wanted = {
            variable: text_of(variable, entry.value) for (_, variable), entry in zip(pairs, entries, strict=True)
        }
        return wanted, {name: self._dialect.quote(name, value) for name, value in wanted.items()}

    def _could(self, entries: Sequence[Entry]) -> str:
        wanted, quoted = self._wanted(entries)
        with locked(self._path.parent) as folder:
            self._set(_encoded(self._read(folder)), wanted, quoted)
        return f"{self._path} could hold {len(wanted)} secret(s)"

    def _deliver(self, entries: Sequence[Entry]) -> str:
        wanted, quoted = self._wanted(entries)
        if not wanted:
            return "nothing is bound to it"
        with locked(self._path.parent) as folder:
            folder.rewrite(self._path.name, lambda content: self._set(content, wanted, quoted), self._rights)
        return f"read back {', '.join(sorted(wanted))}"

    def _set(self, content: bytes, wanted: Mapping[str, str], quoted: Mapping[str, str]) -> bytes:
        before = _decoded(content)
        after = self._with(before, quoted)
        self._verify(before, after, wanted)
        return _encoded(after)

    def _remove(self, bound: Mapping[str, str]) -> str:
        gone = {self._variables.get(name) or env or mapping.env_name(name) for name, env in bound.items()}
        with locked(self._path.parent) as folder:
            if folder.check(self._path.name) is None:
                return "the file is not there"
            folder.rewrite(self._path.name, lambda content: self._without(content, gone), self._rights)
        return f"removed {', '.join(sorted(gone))}"

    def _without(self, content: bytes, gone: Collection[str]) -> bytes:
        before = _decoded(content)
        lines = self._sound(before, gone)
        after = "".join(line.text for line in lines if line.name not in gone)
        self._verify(before, after, {}, gone)
        return _encoded(after)

    def _preflight(self) -> str:
        with locked(self._path.parent) as folder:
            self._sound(self._read(folder), set())
            folder.try_out(self._path.name, self._rights)
        return f"{self._path} can be replaced"

    def _read(self, folder: Folder) -> str:
        folder.check(self._path.name)
        return _decoded(folder.read(self._path.name) or b"")

    def _sound(self, text: str, ours: Collection[str]) -> list[Line]:
        """The file's lines. Refused where the dialect's reader, or we, could not cope with one."""
        lines = self._dialect.read(text)
        for line in lines:
            if line.fault:
                raise Refused(f"{self._path} line {line.number} {line.fault}", "mend that line")
            for name in sorted(line.mentions & set(ours)):
                raise Refused(f"{self._path} line {line.number} touches {name} in a way that cannot be rewritten",
                              f"put {name}=… on a line of its own, with nothing else and below no continued comment")
        return lines

    def _of(self, lines: Sequence[Line], variable: str) -> list[Line]:
        if any(line.fault or variable in line.mentions for line in lines):
            raise Refused("the file cannot be judged")
        return [line for line in lines if line.name == variable]

    def _with(self, text: str, quoted: Mapping[str, str]) -> str:
        lines = self._sound(text, quoted)
        parts = [line.with_value(quoted[line.name], self._dialect.ending) if line.name in quoted else line.text
                 for line in lines]
        present = {line.name for line in lines}
        return self._append("".join(parts), {name: q for name, q in quoted.items() if name not in present})

    def _append(self, text: str, missing: Mapping[str, str]) -> str:
        if not missing:
            return text
        ending = self._dialect.ending or ("\r\n" if text.partition("\n")[0].endswith("\r") else "\n")
        if text and not text.endswith("\n"):
            text += ending
        if self._dialect.name == "systemd" and swallows(text):
            text += ending
        return text + "".join(f"{name}={quoted}{ending}" for name, quoted in missing.items())

    def _verify(self, before: str, after: str, wanted: Mapping[str, str], gone: Collection[str] = ()) -> None:
        """Refused when the new text would not be read as meant; nothing has been written then."""
        ours = {*wanted, *gone}
        was, now = self._dialect.read(before), self._dialect.read(after)
        others_stay = _others(was, ours) == _others(now, ours) and not any(line.fault for line in now)
        found: dict[str, set[str | None]] = {}
        for line in now:
            if line.name in ours:
                found.setdefault(line.name, set()).add(line.value)
        if not others_stay or found != {name: {value} for name, value in wanted.items()}:
            raise Refused(f"{self._path} has a form that cannot be rewritten safely (look at its last line)",
                          "put every variable on a line of its own")


def _others(lines: Sequence[Line], ours: Collection[str]) -> list[tuple[str, str | None]]:
    return [(line.name, line.value) for line in lines if line.name and line.name not in ours]


def _unknown_or(values: Sequence[str | None], wanted: str) -> bool | None:
    if any(value is not None and value != wanted for value in values) or not values:
        return False
    return None if None in values else True


def _decoded(content: bytes) -> str:
    """Text in which bytes that are not UTF-8 survive."""
    return content.decode("utf-8", "surrogateescape")


def _encoded(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def _conforms(injector: EnvFile) -> Injector:
    return injector
