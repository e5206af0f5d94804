"""`template`: a file rendered from a Jinja template, in which `{{ secret("name") }}` stands for a value.

The file is rendered whole, so a secret cannot be taken out of it: the template has to leave it out first.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping, Sequence
from pathlib import Path

from clawsecrets.data import read_regular
from clawsecrets.errors import ClawError, Refused, UsageError
from clawsecrets.injectors.answers import attempt, text_of, words
from clawsecrets.injectors.atomic import Access, exposures, locked, read_file
from clawsecrets.injectors.rendering import Lookup, render
from clawsecrets.model.rotation import Outcome
from clawsecrets.ports import Entry, Injector, Reply

HOLDS = "each value in the file, as the template writes it"
NEEDS = "whatever makes its reader read the file again"
MOST = 1 << 20
"""Bytes of a template."""


def read_template(path: Path) -> str:
    """A template's text. UsageError when it cannot be read."""
    fault = ""
    try:
        return read_regular(path, MOST).decode()
    except OSError as error:
        fault = f"{path}: {error.strerror or words(error)}"  # of a device, FIFO or folder: that it is no file
    except UnicodeDecodeError:
        fault = f"{path}: it is not UTF-8 text"
    raise UsageError(fault, "give a template, a text file")


class Template:
    """A rendered file."""

    def __init__(self, target: str, template: Path, path: Path, rights: Access | None = None) -> None:
        self._target = target
        self._template = template
        self._path = path
        self._rights = rights or Access()

    @property
    def target(self) -> str:
        """Its configured name."""
        return self._target

    def deliver(self, entries: Sequence[Entry]) -> Reply:
        """Render it with these entries' values and replace the file."""
        return attempt(lambda: self._deliver(entries))

    def could(self, entries: Sequence[Entry]) -> Reply:
        """Whether it can be rendered with these, and the file replaced. Writes nothing."""
        return attempt(lambda: self._could(entries), Outcome.REFUSED)

    def remove(self, bound: Mapping[str, str]) -> Reply:
        """OK where there is no file. Refused where there is: it is rendered whole."""
        return attempt(lambda: self._remove(bound))

    def holds(self, entry: Entry) -> bool | None:
        """Whether the file is what the template makes of that value, whatever it makes of the others. None: it cannot
        be known (no use of it in the template, or a use that hides where the others stand)."""
        try:
            content = read_file(self._path).decode()
            return self._fits(entry, content)
        except (FileNotFoundError, UnicodeDecodeError):
            return False
        except (OSError, ClawError):
            return None

    def preflight(self) -> Reply:
        """Whether the template can be read, and the file written with the owner and mode asked for."""
        return attempt(self._preflight, Outcome.REFUSED)

    def exposed(self, names: Sequence[str]) -> Sequence[str]:
        """The file, where it has other owners or permissions than it was given."""
        return list(exposures([self._path], self._rights))

    def describe(self) -> str:
        """One line."""
        return f"renders {self._template} into {self._path}"

    def _rendered(self, entries: Sequence[Entry]) -> bytes:
        values = {entry.name: entry.value for entry in entries}

        def lookup(name: str) -> str:
            if name not in values:
                raise Refused(f"secret {name!r} is not bound to {self._target}",
                              f"clawsecrets configure {name} --inject {self._target}")
            return text_of(name, values[name])

        return self._render(lookup).encode()

    def _render(self, lookup: Lookup) -> str:
        text = self._text()
        try:
            return render(text, lookup)
        except ClawError as error:
            fault = Refused(f"{self._template}: {error.message}", error.hint)
        raise fault

    def _text(self) -> str:
        try:
            return read_template(self._template)
        except UsageError as error:
            fault = Refused(error.message, error.hint)
        raise fault

    def _could(self, entries: Sequence[Entry]) -> str:
        if entries:
            self._rendered(entries)
        with locked(self._path.parent) as folder:
            folder.check(self._path.name)
        return f"{self._path} could hold {len(entries)} secret(s)"

    def _deliver(self, entries: Sequence[Entry]) -> str:
        if not entries:
            return "nothing is bound to it"
        content = self._rendered(entries)
        with locked(self._path.parent) as folder:
            folder.replace(self._path.name, content, self._rights)
        return f"read back {self._path.name}"

    def _remove(self, bound: Mapping[str, str]) -> str:
        with locked(self._path.parent) as folder:
            if folder.check(self._path.name) is None:
                return "the file is not there"
        raise Refused(f"{self._path} is rendered whole from {self._template}",
                      "take it out of the template and inject another secret of it, or remove the file")

    def _fits(self, entry: Entry, content: str) -> bool | None:
        used: dict[str, str] = {}

        def lookup(name: str) -> str:
            filler = text_of(name, entry.value) if name == entry.name else secrets.token_hex(16)
            return used.setdefault(name, filler)

        made = self._render(lookup)
        if entry.name not in used:
            return None
        others = [filler for name, filler in used.items() if name != entry.name]
        if any(filler not in made for filler in others):
            return None  # cut, encoded or only asked about
        return _between(re.split("|".join(others), made) if others else [made], content)

    def _preflight(self) -> str:
        self._text()
        with locked(self._path.parent) as folder:
            folder.try_out(self._path.name, self._rights)
        return f"{self._path} can be replaced"


def _between(parts: Sequence[str], content: str) -> bool:
    """Whether `content` is these parts in order, with anything between them."""
    if len(parts) == 1:
        return content == parts[0]
    if not content.startswith(parts[0]):
        return False
    at = len(parts[0])
    for part in parts[1:-1]:
        found = content.find(part, at)
        if found < 0:
            return False
        at = found + len(part)
    return content.endswith(parts[-1]) and len(content) - len(parts[-1]) >= at


def write_rendered(path: Path, text: str) -> None:
    """Replace a file, 0600, at once. Refused, StoreBusy, OSError."""
    with locked(path.parent) as folder:
        folder.replace(path.name, text.encode(), Access(mode=0o600))


def _conforms(injector: Template) -> Injector:
    return injector
