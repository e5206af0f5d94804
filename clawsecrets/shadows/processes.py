"""The environments of running processes, and what systemd gives to its services. Linux; changes nothing."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Sequence
from glob import glob
from pathlib import Path

from clawsecrets.clients.processes import NotSeen, environment
from clawsecrets.data import read_regular
from clawsecrets.shadows.places import regular, walk
from clawsecrets.shadows.reading import SMALL, Held
from clawsecrets.shadows.search import Seeking

UNITS: Sequence[str] = ("/etc/systemd/system", "/run/systemd/system", "/etc/systemd/user")
USER_UNITS = ".config/systemd/user"
"""Below a home folder."""
HOST: Sequence[str] = ("/etc/environment", "/etc/default/openclaw")
HOME: Sequence[str] = (".profile", ".bash_profile", ".bashrc", ".zprofile", ".zshenv", ".zshrc", ".pam_environment")
"""What a login reads, below a home folder."""
_FILE = re.compile(rb"^[ \t]*EnvironmentFile[ \t]*=[ \t]*-?[\"']?([^\s\"'][^\n\"']*?)[\"']?[ \t\r]*$", re.MULTILINE)
_SPECIFIER = re.compile(r"%(.)")


def running(seeking: Seeking, unseen: Callable[[str], None]) -> Iterator[Held]:
    """Processes that were started with one of the values."""
    for where, value in variables(unseen):
        for number, form in {hit.number: hit.form for hit in seeking.within(value)}.items():
            yield Held(number, where, True, form)


def variables(unseen: Callable[[str], None]) -> Iterator[tuple[str, bytes]]:
    """The variables of all processes, ours left out. One that cannot be looked at is told only when it is OpenClaw's:
    everybody has processes that others may not see."""
    for name in os.listdir("/proc"):
        if not name.isdecimal() or int(name) == os.getpid():
            continue
        pid = int(name)
        try:
            found = environment(pid)
        except NotSeen:
            if b"openclaw" in _command(pid):
                unseen(f"the environment of process {pid} (openclaw): it belongs to another user")
            continue
        for variable, value in found.items():
            yield f"the environment of process {pid} ({_title(pid)}): {variable}", value


def _command(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()[:4096].replace(b"\0", b" ")
    except OSError:
        return b""


def _title(pid: int) -> str:
    """The kernel's short name of it: a command line could hold anything."""
    try:
        return Path(f"/proc/{pid}/comm").read_text(errors="replace").strip() or "?"
    except OSError:
        return "?"


def unit_files(homes: Sequence[str], unlisted: Callable[[OSError], None], root: str = "/") -> list[str]:
    """Unit files and drop-ins that are kept on this host, and the environment files that they name. `unlisted` is told
    of what may not be listed or looked at."""
    folders = [os.path.join(root, place.lstrip("/")) for place in UNITS] + [os.path.join(h, USER_UNITS) for h in homes]
    found: dict[str, None] = {}
    for folder in folders:
        home = folder.removesuffix(f"/{USER_UNITS}") if folder.endswith(f"/{USER_UNITS}") else ""
        for where, _, names in walk(folder, unlisted):
            for name in sorted(names):
                path = os.path.join(where, name)
                if name.endswith((".service", ".conf")) and regular(path, unlisted):
                    found[path] = None
                    found.update(dict.fromkeys(_named(path, home, unlisted)))
    return list(found)


def _named(path: str, home: str, unlisted: Callable[[OSError], None]) -> Iterator[str]:
    """The environment files that a unit names (systemd.exec(5)); what depends on its instance counts as a pattern.
    `home`: of the user whose unit it is; empty: the system's."""
    try:
        raw = read_regular(Path(path), SMALL)
    except OSError:
        return  # whoever reads the unit itself tells that
    known = {"h": home or "/root", "t": "" if home else "/run", "E": f"{home}/.config" if home else "/etc",
             "S": f"{home}/.local/state" if home else "/var/lib", "%": "%"}
    for written in map(os.fsdecode, _FILE.findall(raw)):
        file = _SPECIFIER.sub(lambda one: known.get(one.group(1)) or "*", written)
        several = any(sign in file for sign in "*?[")
        for one in sorted(glob(file)) if several else [file]:
            if regular(one, unlisted, named=not several):
                yield one


def login_files(homes: Sequence[str], unlisted: Callable[[OSError], None], root: str = "/") -> list[str]:
    """What gives variables to whatever is started from a login here. `unlisted`: as above."""
    places = [os.path.join(root, place.lstrip("/")) for place in HOST]
    for home in homes:
        places += [os.path.join(home, name) for name in HOME]
        folder = os.path.join(home, ".config/environment.d")
        _, _, names = next(walk(folder, unlisted), ("", [], []))
        places += [os.path.join(folder, name) for name in sorted(names) if name.endswith(".conf")]
    return [place for place in places if regular(place, unlisted)]
