"""[injectors.NAME] and [consumers.NAME] of containers, systemd units, processes, services: shapes, and their reading.

Durations in seconds, paths absolute, empty text = not said.
"""

from __future__ import annotations

import re
import signal
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from clawsecrets.config.tables import Table
from clawsecrets.model.provider import is_loopback
from clawsecrets.model.secret import valid_name

_DOCKER_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,254}\Z")
_UNIT = re.compile(r"[A-Za-z0-9_][A-Za-z0-9:_.@\\-]{0,254}\Z")
_FILE_NAME = re.compile(r"(?!\.\.?\Z)[A-Za-z0-9_.+-]{1,255}\Z|/")
_HEADER = re.compile(r"[A-Za-z0-9-]{1,64}\Z")
ACTIONS = ("recreate", "restart", "none")
"""Of the docker consumer, besides the name of a signal."""


@dataclass(frozen=True, slots=True)
class SwarmSecretTarget:
    """[injectors.NAME] kind = "swarm-secret"."""

    name: str
    services: tuple[str, ...]
    host: str = ""
    engine: str = ""
    """The address of a manager's engine; empty: DOCKER_HOST, Docker's context, the usual socket."""
    owner: str = ""
    group: str = ""
    mode: int = 0
    """0: as the service has it."""
    names: Mapping[str, str] = field(default_factory=dict)
    """Secret name -> file name in the tasks."""
    timeout: float = 120.0
    keep: float = 0.0

    @property
    def longest(self) -> float:
        """Seconds that a delivery may take: for each service an update, and putting it back."""
        return 2 * len(self.services) * max(30.0, self.timeout)


@dataclass(frozen=True, slots=True)
class PodmanSecretTarget:
    """[injectors.NAME] kind = "podman-secret"."""

    name: str
    host: str = ""
    names: Mapping[str, str] = field(default_factory=dict)
    """Secret name -> the name of Podman's secret."""


@dataclass(frozen=True, slots=True)
class TmpfsDirectoryTarget:
    """[injectors.NAME] kind = "tmpfs-directory"."""

    name: str
    path: Path
    host: str = ""
    owner: str = ""
    group: str = ""
    mode: int = 0o600


@dataclass(frozen=True, slots=True)
class DockerTarget:
    """[consumers.NAME] kind = "docker": a container, or a Compose service."""

    name: str
    container: str = ""
    compose: Path | None = None
    service: str = ""
    project: str = ""
    action: str = "restart"
    files: tuple[str, ...] = ()
    rereads: bool = False
    host: str = ""
    engine: str = ""
    reads: tuple[str, ...] = ()
    timeout: float = 60.0
    settle: float = 2.0

    @property
    def longest(self) -> float:
        """Seconds that one call may take: Compose's look at the file, its work, and becoming healthy."""
        return 3 * self.timeout


@dataclass(frozen=True, slots=True)
class SwarmTarget:
    """[consumers.NAME] kind = "swarm"."""

    name: str
    service: str
    files: tuple[str, ...] = ()
    host: str = ""
    engine: str = ""
    reads: tuple[str, ...] = ()
    timeout: float = 120.0


@dataclass(frozen=True, slots=True)
class SystemdTarget:
    """[consumers.NAME] kind = "systemd"."""

    name: str
    unit: str
    action: str = "restart"
    user: bool = False
    files: tuple[str, ...] = ()
    rereads: bool = False
    host: str = ""
    reads: tuple[str, ...] = ()
    timeout: float = 90.0
    settle: float = 2.0

    @property
    def longest(self) -> float:
        """Seconds that one call may take: systemctl, and coming up."""
        return 2 * self.timeout


@dataclass(frozen=True, slots=True)
class ProcessTarget:
    """[consumers.NAME] kind = "process"."""

    name: str
    pidfile: Path
    signal: str = "HUP"
    """Empty: none is sent."""
    files: tuple[str, ...] = ()
    rereads: bool = False
    host: str = ""
    reads: tuple[str, ...] = ()
    timeout: float = 30.0


@dataclass(frozen=True, slots=True)
class HttpTarget:
    """[consumers.NAME] kind = "http"."""

    name: str
    health: str = ""
    probe: str = ""
    auth: str = ""
    reload: str = ""
    host: str = ""
    reads: tuple[str, ...] = ()
    validates: bool = False
    timeout: float = 30.0

    @property
    def longest(self) -> float:
        """Seconds that one call may take: the request, becoming healthy, and trying two values."""
        return 4 * self.timeout


RunningInjector = SwarmSecretTarget | PodmanSecretTarget | TmpfsDirectoryTarget
RunningConsumer = DockerTarget | SwarmTarget | SystemdTarget | ProcessTarget | HttpTarget


# --- injectors --------------------------------------------------------------------------------------------------------


def swarm_secret(name: str, table: Table) -> SwarmSecretTarget:
    """One table."""
    services = table.texts("services")
    if not services:
        table.fail("services is missing", 'name the services that use the secrets: services = ["openclaw_gateway"]')
    for service in services:
        _matching(table, "services", service, _DOCKER_NAME, "the name of a service")
    target = SwarmSecretTarget(
        name, services, table.text("host"), _engine(table), _number(table, "owner"), _number(table, "group"),
        table.mode("mode", 0), other_names(table, _FILE_NAME), table.seconds("timeout", 120.0, least=1.0),
        table.seconds("keep", 0.0))
    table.done()
    return target


def podman_secret(name: str, table: Table) -> PodmanSecretTarget:
    """One table."""
    target = PodmanSecretTarget(name, table.text("host"), other_names(table, _DOCKER_NAME))
    table.done()
    return target


def tmpfs_directory(name: str, table: Table) -> TmpfsDirectoryTarget:
    """One table."""
    target = TmpfsDirectoryTarget(name, table.needed_path("path"), table.text("host"), table.text("owner"),
                                  table.text("group"), table.mode("mode", 0o600))
    table.done()
    return target


# --- consumers --------------------------------------------------------------------------------------------------------


def docker(name: str, table: Table) -> DockerTarget:
    """One table."""
    if ("container" in table.data) == ("compose" in table.data):
        table.fail("needs either container, or compose and service", "name what is to be restarted")
    container, compose, service, project = "", None, "", ""
    if "container" in table.data:
        container = _matching(table, "container", table.needed("container"), _DOCKER_NAME, "the name of a container")
    else:
        compose = table.needed_path("compose")
        service = _matching(table, "service", table.needed("service"), _DOCKER_NAME, "the name of a service")
        project = table.text("project")
    action = table.text("action", "restart" if container else "recreate")
    if action not in ACTIONS and not _is_signal(action):
        table.fail(f"action = {action!r} is not known", "write recreate, restart, none, or a signal like HUP")
    if action == "recreate" and container:
        table.fail("a container is recreated by Compose only, for settings that are copied by hand would be lost",
                   "name its Compose file: compose = …, service = …")
    target = DockerTarget(
        name, container, compose, service, project, action, _files(table), table.flag("rereads"), table.text("host"),
        _engine(table), table.texts("reads"), table.seconds("timeout", 60.0, least=1.0), table.seconds("settle", 2.0))
    table.done()
    return target


def swarm(name: str, table: Table) -> SwarmTarget:
    """One table."""
    target = SwarmTarget(
        name, _matching(table, "service", table.needed("service"), _DOCKER_NAME, "the name of a service"),
        _files(table), table.text("host"), _engine(table), table.texts("reads"),
        table.seconds("timeout", 120.0, least=1.0))
    table.done()
    return target


def systemd(name: str, table: Table) -> SystemdTarget:
    """One table."""
    target = SystemdTarget(
        name, _matching(table, "unit", table.needed("unit"), _UNIT, "the name of a unit"),
        table.choice("action", ("restart", "reload"), "restart"), table.flag("user"), _files(table),
        table.flag("rereads"), table.text("host"), table.texts("reads"), table.seconds("timeout", 90.0, least=1.0),
        table.seconds("settle", 2.0))
    table.done()
    return target


def process(name: str, table: Table) -> ProcessTarget:
    """One table."""
    sent = table.text("signal", "HUP")
    if sent != "none" and not _is_signal(sent):
        table.fail(f"signal = {sent!r} is not known", "write a signal like HUP, or none")
    target = ProcessTarget(
        name, table.needed_path("pidfile"), "" if sent == "none" else sent, _files(table), table.flag("rereads"),
        table.text("host"), table.texts("reads"), table.seconds("timeout", 30.0, least=1.0))
    table.done()
    return target


def http(name: str, table: Table) -> HttpTarget:
    """One table."""
    target = HttpTarget(
        name, _url(table, "health"), _url(table, "probe"), table.text("auth"), _url(table, "reload"),
        table.text("host"), table.texts("reads"), table.flag("validates"), table.seconds("timeout", 30.0, least=1.0))
    table.done()
    if not (target.health or target.probe or target.reload):
        table.fail("needs health, probe or reload", 'for a consumer with none of them, write kind = "none"')
    if bool(target.probe) != bool(target.auth):
        table.fail("probe and auth belong together", 'auth = "bearer", or the name of the header for the value')
    if target.auth:
        _matching(table, "auth", target.auth, _HEADER, "bearer or the name of a header")
    if target.validates and not target.probe:
        table.fail("validates = true needs a probe", "the probe shows which of two values it accepts")
    return target


# --- their words ------------------------------------------------------------------------------------------------------


def other_names(table: Table, pattern: re.Pattern[str], fault: str = "cannot be used there") -> Mapping[str, str]:
    """The key `names`: secret name -> what it is called in the target. ConfigError: a name that does not match (`fault`
    says what is wrong with it), or two secrets with one."""
    names = table.mapping("names")
    taken: dict[str, str] = {}
    for secret, other in names.items():
        if not valid_name(secret):
            table.fail(f"names: {secret!r} is not a secret's name")
        if not pattern.match(other):
            table.fail(f"names.{secret}: {other!r} {fault}")
        if other in taken:
            table.fail(f"names: {secret} and {taken[other]} would both be {other}")
        taken[other] = secret
    return names


def _matching(table: Table, key: str, text: str, pattern: re.Pattern[str], what: str) -> str:
    if not pattern.match(text):
        table.fail(f"{key}: {text!r} is not {what}")
    return text


def _is_signal(text: str) -> bool:
    return f"SIG{text}" in signal.Signals.__members__ and text not in ("KILL", "STOP")


def _engine(table: Table) -> str:
    url = table.text("engine")
    if url and not url.startswith(("unix:///", "tcp://")):
        table.fail(f"engine = {url!r} is no address of an engine", "write unix:///path/of/the.sock")
    return url


def _number(table: Table, key: str) -> str:
    text = table.text(key)
    if text and not text.isdecimal():
        table.fail(f"{key} = {text!r} must be a number: names are the container's own", 'for example "1000"')
    return text


def _files(table: Table) -> tuple[str, ...]:
    files = table.texts("files")
    for file in files:
        if not file.startswith("/"):
            table.fail(f"files: {file!r} must be an absolute path, as the process sees it")
    return files


def _url(table: Table, key: str) -> str:
    text = table.text(key)
    if not text:
        return ""
    try:
        parts = urlsplit(text)
        host, _ = parts.hostname, parts.port
    except ValueError:
        host = None
    if not host or parts.username or parts.password or parts.query or parts.fragment:
        table.fail(f"{key} = {text!r} must be a plain URL, without a user or a query", "values go in a header only")
    if parts.scheme != "https" and not (parts.scheme == "http" and is_loopback(host)):
        table.fail(f"{key} must be https (http on loopback only)", "write https://…, or http://127.0.0.1:PORT/…")
    return text
