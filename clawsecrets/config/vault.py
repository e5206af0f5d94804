"""[store.vault], [store.paths]: how a Vault or OpenBao cluster is reached, as whom, and what is the team's own there.

The usual variables count where the table says nothing: VAULT_TOKEN, VAULT_NAMESPACE, VAULT_CACERT, VAULT_CLIENT_CERT,
VAULT_CLIENT_KEY, and the same with BAO_. The server is the one of the store's URL: VAULT_ADDR plays no part.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from clawsecrets.config.tables import Table
from clawsecrets.model.provider import url_fault
from clawsecrets.model.secret import valid_name

AUTH = ("token", "approle", "kubernetes", "jwt", "cert")
READS, WRITES = 30.0, 60.0
_NEEDS: Mapping[str, tuple[str, ...]] = {"approle": ("role_id", "secret_id_file"), "kubernetes": ("role",)}
_TELLING = ("role_id", "secret_id_file", "jwt_file", "jwt_env")
"""Keys that are never meant with auth = "token"."""
_PLACE = re.compile(r"(?:[A-Za-z0-9][A-Za-z0-9._-]*/)+data(?:/[A-Za-z0-9][A-Za-z0-9._-]*)+#[^#/\0]+\Z")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
_SEGMENTS = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*(/[A-Za-z0-9][A-Za-z0-9._-]*)*\Z")


@dataclass(frozen=True, slots=True)
class VaultConfig:
    """For `stores.vault`. No key holds a credential: files and variables that do are named."""

    auth: str = "token"
    auth_mount: str = ""
    """Where the auth method is mounted; empty: at its own name."""
    role: str = ""
    role_id: str = ""
    secret_id_file: Path | None = None
    secret_id_wrapped: bool = False
    """The file holds a response-wrapping token instead of the secret-id itself."""
    jwt_file: Path | None = None
    jwt_env: str = ""
    token_file: Path | None = None
    """A token sink that an agent writes; None: VAULT_TOKEN, then ~/.vault-token."""
    namespace: str = ""
    nodes: tuple[str, ...] = ()
    """Addresses of further nodes, asked where the one of the URL does not answer."""
    ca_cert: Path | None = None
    client_cert: Path | None = None
    client_key: Path | None = None
    patience: tuple[float, float] = (READS, WRITES)
    """Seconds for which a cluster that does not answer is asked again: reads, writes."""
    max_age: float = 0.0
    """Seconds for which a read copy on this host counts where the cluster does not answer; 0: there is none."""
    paths: Mapping[str, str] = field(default_factory=dict)
    """Name -> MOUNT/data/PATH#FIELD: secrets that stay at a path of the team's own."""


def read_vault(table: Table, paths: Table) -> VaultConfig:
    """What [store.vault] and [store.paths] say. ConfigError."""
    auth = table.choice("auth", AUTH, "token")
    for key in _NEEDS.get(auth, ()):
        if not table.has(key):
            table.fail(f'auth = "{auth}" needs {key}')
    for key in _TELLING if auth == "token" else ():
        if table.has(key):
            table.fail(f'{key} has no meaning with auth = "token"', f"say auth = … beside it: {', '.join(AUTH)}")
    cache = table.table("cache")
    max_age = cache.seconds("max_age", 0.0)
    cache.done()
    config = VaultConfig(
        auth, _mount(table), table.text("role"), table.text("role_id"), table.path("secret_id_file"),
        table.flag("secret_id_wrapped"), table.path("jwt_file"), _variable(table), table.path("token_file"),
        table.text("namespace").strip("/"), _nodes(table), table.path("ca_cert"), table.path("client_cert"),
        table.path("client_key"), _patience(table), max_age, _mapped(paths))
    if (config.client_cert is None) != (config.client_key is None):
        table.fail("client_cert and client_key belong together")
    if auth == "jwt" and (config.jwt_file is None) == (not config.jwt_env):
        table.fail('auth = "jwt" needs jwt_file or jwt_env, one of them')
    table.done()
    return config


def _mount(table: Table) -> str:
    mount = table.text("auth_mount").strip("/")
    if mount and not _SEGMENTS.match(mount):
        table.fail(f"auth_mount = {mount!r} is not the path of an auth method", 'without auth/, like "approle"')
    return mount


def _variable(table: Table) -> str:
    name = table.text("jwt_env")
    if name and not _VARIABLE.match(name):
        table.fail("jwt_env is not the name of an environment variable", "it names one, and is never a token itself")
    return name


def _nodes(table: Table) -> tuple[str, ...]:
    nodes = tuple(node.rstrip("/") for node in table.texts("nodes"))
    for node in nodes:
        if (fault := url_fault(node)) or urlsplit(node).path:
            table.fail(f"nodes: an address {fault or 'holds no path'}", 'write them like "https://node2.example:8200"')
    return nodes


def _patience(table: Table) -> tuple[float, float]:
    reads = table.seconds("patience", READS, least=1.0)
    return reads, max(2 * reads, 2.0)


def _mapped(table: Table) -> Mapping[str, str]:
    found = table.mapping_of_all()
    for name, place in found.items():
        if not valid_name(name):
            table.fail(f"{name!r} is not a secret's name")
        if not _PLACE.match(place):
            table.fail(f'{name} = {place!r} is not a place in Vault', "write MOUNT/data/PATH#FIELD, like "
                       '"secret/data/openclaw#OPENAI_API_KEY"')
    if len(set(found.values())) < len(found):
        table.fail("two names stand for the same field")
    return found
