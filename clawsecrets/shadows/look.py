"""The shadow check: every place that OpenClaw or this host reads, looked through for values that were replaced."""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from clawsecrets.errors import ClawError
from clawsecrets.model.shadow import Looked, Shadow, Sought
from clawsecrets.model.value import SecretValue
from clawsecrets.ports import Shadows
from clawsecrets.shadows import places, processes
from clawsecrets.shadows.places import Role
from clawsecrets.shadows.reading import Held, Leaves, Reader
from clawsecrets.shadows.search import Search, Seeking
from clawsecrets.shadows.texts import Text, of_file, parts

ADOPT = "clawsecrets adopt --apply"
_MENDS = {
    Role.DATABASE: ADOPT,
    Role.CATALOG: "openclaw gateway restart (it is written anew)",
    Role.BACKUP: f"{ADOPT} (it clears what is kept)",
    Role.RETIRED: f"{ADOPT} (it clears what is kept)",
}
UNIT = "take it out of the unit, then systemctl daemon-reload and restart the service"
LOGIN = "take the line out; what was started from such a login keeps it until it is restarted"
RESTART = "restart it"
LINE = "take the line out, then openclaw gateway restart"


@dataclass(frozen=True)
class HostShadows:
    """Looks on this host. `folders`: OpenClaw's state folders; `configs`: configurations that stand elsewhere; `files`:
    further environment files (of Compose projects, for example)."""

    folders: Sequence[str]
    homes: Sequence[str]
    search: Search
    leaves: Leaves
    configs: Sequence[str] = ()
    files: Sequence[str] = ()
    processes: bool = True
    root: str = "/"
    includes: Callable[[str], Sequence[str]] = lambda _: ()
    """The files that a configuration includes. ClawError."""
    delivered: Callable[[str], bool] = lambda _: True
    """Whether a SecretRef to this secret would be answered: it is delivered to a bundle. ClawError."""

    def look(self, sought: Sequence[Sought]) -> Looked:
        """All places, live ones first."""
        values = [one.value.reveal() for one in sought]
        seeking, unseen = Seeking(values, self.search), list[str]()
        unseen += [f"{sought[number].name}: too short to be looked for" for number in seeking.short]
        reader = Reader(seeking, self.leaves, unseen.append)
        found: dict[tuple[str, str], Shadow] = {}
        for held, mend in self._all(reader, unseen):
            name = sought[held.number].name
            found.setdefault((name, held.where), Shadow(name, held.where, held.live, held.form,
                                                           self._command(held, mend, name)))
        return Looked(tuple(sorted(found.values(), key=lambda shadow: not shadow.live)), tuple(dict.fromkeys(unseen)))

    def known(self, name_of: Callable[[SecretValue], str]) -> Looked:
        """The same for values that are known by their fingerprint only: `name_of` gives the secret's name, or nothing.
        What is encoded is not seen so."""
        unseen = list[str]()
        found: dict[tuple[str, str], Shadow] = {}
        for text, mend in self._texts(unseen):
            if name := name_of(text.value):
                held = Held(0, text.where, text.live, "plain", text.field)
                found.setdefault((name, text.where), Shadow(name, text.where, text.live, "plain",
                                                            self._command(held, mend, name)))
        return Looked(tuple(sorted(found.values(), key=lambda shadow: not shadow.live)), tuple(dict.fromkeys(unseen)))

    def _texts(self, unseen: list[str]) -> Iterator[tuple[Text, str]]:
        for path, role, mend in self._places(unseen):
            try:
                for text in of_file(path, role, self.leaves):
                    yield text, mend
            except OSError as error:
                unseen.append(f"{path}: {error.strerror or 'cannot be read'}")
        if self.processes:
            for where, value in processes.variables(unseen.append):
                for part in parts(value.decode("utf-8", "replace")):
                    yield Text(part, where, True), RESTART

    def _all(self, reader: Reader, unseen: list[str]) -> Iterator[tuple[Held, str]]:
        for path, role, mend in self._places(unseen):
            for held in reader.file(path, role):
                yield held, mend
        if self.processes:
            for held in processes.running(reader.seeking, unseen.append):
                yield held, RESTART

    def _places(self, unseen: list[str]) -> Iterator[tuple[str, Role, str]]:
        """Every file that is looked at, what it is, and what mends it."""
        def told(error: OSError) -> None:
            unseen.append(f"{error.filename}: {error.strerror or 'cannot be looked at'}")

        parts = self._included(unseen)
        for folder in self.folders:
            yield from ((path, Role.INCLUDED, ADOPT) if path in parts else (path, role, mend)
                        for path, role, mend in self._folder(folder, told))
        for path in self._there((*self.configs, *parts), told):
            yield path, Role.INCLUDED if path in parts else Role.CONFIG, ADOPT
        beside = (os.path.join(os.path.dirname(one), ".env") for one in self.configs)
        for path in self._there((*self.files, *beside), told):
            yield path, Role.ENV, LINE
        for path in processes.unit_files(self.homes, told, self.root):
            yield path, Role.ENV, UNIT
        for path in processes.login_files(self.homes, told, self.root):
            yield path, Role.ENV, LOGIN

    def _included(self, unseen: list[str]) -> list[str]:
        """What the configurations include: it is read like them."""
        found: dict[str, None] = {}
        for config in (*(os.path.join(folder, "openclaw.json") for folder in self.folders), *self.configs):
            if os.path.isfile(config):
                try:
                    found.update(dict.fromkeys(self.includes(config)))
                except ClawError as error:
                    unseen.append(f"what {config} includes: {error.message}")
        return list(found)

    def _there(self, paths: Iterable[str], told: Callable[[OSError], None]) -> Iterator[str]:
        inside = tuple(folder.rstrip("/") + "/" for folder in self.folders)
        return (path for path in dict.fromkeys(paths) if not path.startswith(inside)
                and places.regular(path, told, named=True))

    @staticmethod
    def _folder(folder: str, told: Callable[[OSError], None]) -> Iterator[tuple[str, Role, str]]:
        for path, relative in places.files(folder, bulk=False, unlisted=told):
            role = places.role(relative)
            usual = LINE if role is Role.ENV else ADOPT if role is Role.CONFIG else f"rm {shlex.quote(path)}"
            yield path, role, _MENDS.get(role, usual)

    def _command(self, held: Held, mend: str, name: str) -> str:
        """The exact command, where there is one. A reference that nobody answers would leave OpenClaw without a value:
        what makes all that it needs is told instead."""
        if held.field and self.delivered(name):
            return shlex.join(["openclaw", "config", "set", held.field, "--ref-source", "exec", "--ref-provider",
                               "clawsecrets", "--ref-id", name])
        return mend


def _conforms(it: HostShadows) -> Shadows:
    return it
