"""Where container engines listen: what the environment and Docker's own configuration say, and the usual sockets."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any
from urllib.parse import urlsplit

from clawsecrets.model.provider import is_loopback

MAX_SETTINGS = 1 << 20
"""Bytes of one of Docker's own configuration files."""


@dataclass(frozen=True)
class Address:
    """Where an engine listens."""

    url: str
    """unix:///path or tcp://host:port."""
    certificates: str = ""
    """Folder with ca.pem, cert.pem, key.pem: TLS."""

    def fault(self) -> str:
        """Empty when it may be spoken to."""
        parts = urlsplit(self.url)
        if parts.scheme == "unix":
            return "" if parts.path.startswith("/") else "names no absolute path of a socket"
        if parts.scheme != "tcp":
            return "is no unix:// or tcp:// address"
        try:
            host, port = parts.hostname or "", parts.port
        except ValueError:
            return "has no valid port"
        if not host or not port:
            return "names no host and port"
        if not self.certificates and not is_loopback(host):
            return "would be spoken to without TLS: set DOCKER_TLS_VERIFY and DOCKER_CERT_PATH"
        return ""


@dataclass(frozen=True)
class Candidate:
    """An engine that may be there. `named`: the operator's own configuration names it, so that it must answer."""

    engine: str
    """docker or podman."""
    address: Address
    named: bool = False


def candidates(environ: Mapping[str, str], engine: str = "") -> list[Candidate]:
    """Where engines usually listen, the likeliest first; `engine` restricts it to `docker` or `podman`."""
    found = []
    if engine in ("", "docker"):
        found += _dockers(environ)
    if engine in ("", "podman") and not (found and found[0].named and not engine):
        found += _podmans(environ)
    return found


def _dockers(environ: Mapping[str, str]) -> list[Candidate]:
    certificates = ""
    if environ.get("DOCKER_TLS_VERIFY") or environ.get("DOCKER_CERT_PATH"):
        certificates = environ.get("DOCKER_CERT_PATH") or os.path.join(_settings(environ), "")
    host = environ.get("DOCKER_HOST") or _context(environ)
    if host:
        return [Candidate("docker", Address(host, certificates if host.startswith("tcp:") else ""), named=True)]
    paths = ["/var/run/docker.sock"]
    if runtime := environ.get("XDG_RUNTIME_DIR"):
        paths.append(f"{runtime}/docker.sock")
    return [Candidate("docker", Address(f"unix://{path}")) for path in paths]


def _podmans(environ: Mapping[str, str]) -> list[Candidate]:
    if host := environ.get("CONTAINER_HOST"):
        return [Candidate("podman", Address(host), named=True)]
    paths = [f"{runtime}/podman/podman.sock"] if (runtime := environ.get("XDG_RUNTIME_DIR")) else []
    return [Candidate("podman", Address(f"unix://{path}")) for path in (*paths, "/run/podman/podman.sock")]


def _settings(environ: Mapping[str, str]) -> str:
    return environ.get("DOCKER_CONFIG") or os.path.join(environ.get("HOME") or os.path.expanduser("~"), ".docker")


def _context(environ: Mapping[str, str]) -> str:
    """The address of the context that `docker context use` chose; empty when none was chosen."""
    folder = _settings(environ)
    name = environ.get("DOCKER_CONTEXT") or _read_json(os.path.join(folder, "config.json")).get("currentContext")
    if not isinstance(name, str) or name in ("", "default"):
        return ""
    path = os.path.join(folder, "contexts", "meta", sha256(name.encode()).hexdigest(), "meta.json")
    endpoints = _read_json(path).get("Endpoints")
    docker = endpoints.get("docker") if isinstance(endpoints, dict) else None
    host = docker.get("Host") if isinstance(docker, dict) else None
    return host if isinstance(host, str) else ""


def _read_json(path: str) -> dict[str, Any]:
    try:
        with open(path, "rb") as file:
            value = json.loads(file.read(MAX_SETTINGS))
    except (OSError, ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}
