"""Vault and OpenBao: how the configuration says that we log in, and the policies that the store there needs."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from clawsecrets.config import Config, Paths, StoreConfig, VaultConfig, VaultUrl
from clawsecrets.errors import UsageError
from clawsecrets.model.audit import AuditEvent
from clawsecrets.model.provider import Provider
from clawsecrets.model.secret import Kind, Secret, SecretValue
from clawsecrets.ports import Store

if TYPE_CHECKING:
    from clawsecrets.stores.vault.login import Login
    from clawsecrets.stores.vault.methods import Exchange, Method
    from clawsecrets.stores.vault.store import VaultStore
    from clawsecrets.stores.vault.transport import Patience

POD_TOKEN = Path("/var/run/secrets/kubernetes.io/serviceaccount/token")
"""Where Kubernetes puts the token of a pod's service account."""


def log_in(config: StoreConfig, url: VaultUrl, paths: Paths, environ: Mapping[str, str] = os.environ) -> Login:
    """Whoever gives the store its token. Nothing is sent yet. StoreLocked, StoreError for files that cannot be used."""
    from clawsecrets.stores.vault.login import Login, Way

    said = config.vault
    cert = said.client_cert or _file(environ, "CLIENT_CERT")
    key = said.client_key or _file(environ, "CLIENT_KEY")
    way = Way((url.address, *said.nodes), said.namespace or _variable(environ, "NAMESPACE").strip("/"),
              str(said.ca_cert or _file(environ, "CACERT") or ""),
              (str(cert), str(key)) if cert is not None and key is not None else None)
    return Login(_method(config, paths, environ), way, patience(said))


def patience(said: VaultConfig) -> Patience:
    """How long a cluster that does not answer is asked again."""
    from clawsecrets.stores.vault.transport import Patience

    return Patience(*said.patience)


def _method(config: StoreConfig, paths: Paths, environ: Mapping[str, str]) -> Method:
    from clawsecrets.stores.vault import methods

    said = config.vault
    if said.auth == "token":
        return methods.Given(said.token_file, helper=paths.home / ".vault-token", environ=environ)
    if said.auth == "approle":
        return _approle(config)
    if said.auth == "cert":
        return methods.certificate(said.auth_mount, said.role)
    jwt = methods.jwt_variable(said.jwt_env, environ) if said.jwt_env and said.auth == "jwt" else \
        methods.jwt_file(said.jwt_file or POD_TOKEN)
    return methods.with_jwt(said.auth, said.auth_mount, said.role, jwt)


def _approle(config: StoreConfig) -> Exchange:
    from clawsecrets.stores.vault import methods

    said = config.vault
    assert said.secret_id_file is not None  # config/vault.py demands it
    kept = config.anchor.with_name(f"{config.anchor.stem}-secret-id.json")
    secret_id = methods.Wrapped(said.secret_id_file, kept, said.auth_mount or "approle") if said.secret_id_wrapped \
        else methods.plain_file(said.secret_id_file)
    return methods.approle(said.auth_mount, said.role_id, secret_id)


def _variable(environ: Mapping[str, str], name: str) -> str:
    return environ.get(f"VAULT_{name}", "") or environ.get(f"BAO_{name}", "")


def _file(environ: Mapping[str, str], name: str) -> Path | None:
    text = _variable(environ, name)
    return Path(os.path.abspath(text)) if text else None


# --- the store --------------------------------------------------------------------------------------------------------


def open_store(config: Config, url: VaultUrl, paths: Paths) -> VaultStore:
    """The store that is there, opened. StoreMissing, StoreLocked, StoreError, UsageError."""
    from clawsecrets.stores.vault.store import open_store as open_vault

    return open_vault(log_in(config.store, url, paths).connection, url.mount, url.prefix,
                      paths=config.store.vault.paths, patience=patience(config.store.vault))


def open_for_reading(config: Config, url: VaultUrl, paths: Paths, now: Callable[[], float],
                     say: Callable[[str], None]) -> Store:
    """The same for a command that only reads: where the cluster does not answer, a copy on this host may, if the
    configuration allows one; `say` is told."""
    said = config.store.vault
    if not said.max_age:
        return open_store(config, url, paths)
    from clawsecrets.stores.vault.readcopy import CopiedStore, Copy, Rules

    rules = Rules(str(url), said.max_age, now, say)
    file = config.store.anchor.with_name(f"{config.store.anchor.stem}-read-copy.sealed")
    return CopiedStore(lambda: open_store(config, url, paths), Copy(file, rules), rules)


def create_store(config: Config, url: VaultUrl, paths: Paths, event: AuditEvent) -> None:
    """Make the store. StoreError when there is one already."""
    from clawsecrets.stores.vault.store import create

    create(log_in(config.store, url, paths).connection, url.mount, url.prefix, event=event,
           paths=config.store.vault.paths, patience=patience(config.store.vault)).close()


def weaknesses(config: Config, url: VaultUrl, paths: Paths) -> list[str]:
    """What is wrong with how we log in without being a fault."""
    login = log_in(config.store, url, paths)
    try:
        return login.weaknesses()
    finally:
        login.close()


def login_words(config: Config, paths: Paths) -> str:
    """As whom the store is used; empty for a store that needs no login. Nothing is sent."""
    return _method(config.store, paths, os.environ).words if isinstance(config.store.url, VaultUrl) else ""


# --- policies ---------------------------------------------------------------------------------------------------------


def roles() -> Mapping[str, str]:
    """The roles that have a policy, and for whom each is."""
    from clawsecrets.stores.vault.policy import ROLES

    return ROLES


def policy(config: Config, role: str) -> tuple[str, Mapping[str, tuple[str, ...]]]:
    """A role's policy for the configured store: as text, and path -> capabilities. UsageError for another store."""
    from clawsecrets.stores.vault import policy as policies

    url, said = config.store.url, config.store.vault
    if not isinstance(url, VaultUrl):
        raise UsageError(f"the store is {url}, which knows no policies",
                         "--store vault+https://host:8200/mount/prefix, or url under [store] in the configuration")
    place = policies.Place(url.mount, url.prefix, said.paths)
    return policies.text(role, place, said.namespace), policies.rules(role, place)


# --- secrets that are there already -----------------------------------------------------------------------------------


def outside(config: Config, store: Store) -> Iterator[tuple[str, str, SecretValue | None]]:
    """Name, place and value of each of [store.paths] as it stands there now; None: nothing, or no text. StoreError,
    UsageError for another store."""
    from clawsecrets.stores.vault.store import VaultStore

    if not isinstance(store, VaultStore):
        raise UsageError(f"the store is {config.store.url}, and [store.paths] is for one in Vault or OpenBao",
                         "--store vault+https://host:8200/mount/prefix, or url under [store] in the configuration")
    for name, place in config.store.vault.paths.items():
        yield name, place, store.outside(name)


def recognised(name: str, place: str, value: SecretValue, providers: Iterable[Provider], now: float) -> Secret:
    """The secret that a value at such a place is: its provider and kind by the field's name and by its look."""
    from clawsecrets.importers import Item, recognise

    field = place.partition("#")[2]
    found = recognise([Item(field, place, value, field)], providers).candidates
    if not found:
        return Secret(name, "generic", Kind.OTHER, now)
    return Secret(name, found[0].provider, found[0].kind, now, env=found[0].env)
