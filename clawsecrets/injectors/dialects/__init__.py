"""The four dialects of env files: who reads them, and how. Each reader is a reimplementation of the named source."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from clawsecrets.errors import ConfigError
from clawsecrets.injectors.dialects import compose, docker, shell, systemd
from clawsecrets.injectors.dialects.line import Line


@dataclass(frozen=True, slots=True)
class Dialect:
    """How one program reads an env file.

    `quote` gives a value as it must stand after `NAME=`, or raises Refused with the reason, without the value.
    """

    name: str
    about: str
    read: Callable[[str], list[Line]]
    quote: Callable[[str, str], str]
    ending: str = ""
    """The line ending that this dialect demands; empty: the file's own."""


DIALECTS: Mapping[str, Dialect] = {
    d.name: d
    for d in (
        Dialect("docker", "docker run --env-file", docker.read, docker.quote),
        Dialect("compose", "Docker Compose: env_file and .env", compose.read, compose.quote),
        Dialect("systemd", "systemd: EnvironmentFile=", systemd.read, systemd.quote),
        Dialect("shell", "POSIX shell: . FILE", shell.read, shell.quote, ending="\n"),
    )
}


def dialect(name: str) -> Dialect:
    """The dialect of that name. ConfigError."""
    if name not in DIALECTS:
        raise ConfigError(f"there is no env file dialect {name!r}", f"one of: {', '.join(DIALECTS)}")
    return DIALECTS[name]
