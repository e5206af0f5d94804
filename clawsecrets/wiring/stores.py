"""Makes and opens the store that the configuration names, and the sources of the embedded one's key."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from clawsecrets.config import Config, KeyPlace, Paths, VaultUrl
from clawsecrets.errors import ConfigError, StoreError, StoreLocked, StoreMissing, UsageError
from clawsecrets.model.audit import AuditEvent
from clawsecrets.model.secret import SecretValue
from clawsecrets.store_ports import mend_of

if TYPE_CHECKING:
    from clawsecrets.ports import Store
    from clawsecrets.stores.keys import KeySource, Slot
    from clawsecrets.stores.sqlite import SqliteStore

Ask = Callable[[], SecretValue]
SNAPSHOT = "back up the cluster: bao operator raft snapshot save FILE (vault operator raft snapshot save FILE)"
"""What a backup is where the store is in a cluster."""
RESTORING = "restore a snapshot of the cluster: bao operator raft snapshot restore FILE"
COMPARING = ("see who changed it (the cluster's audit log) and what stood there before (bao kv metadata get); a "
             "snapshot of the cluster brings all back as it was then, also what was revoked since: rotate afterwards")
KEYS_OF_A_CLUSTER = "the cluster has keys of its own: bao operator rotate, bao operator rekey"


def open_store(config: Config, paths: Paths, ask_passphrase: Ask, *, accept_older: bool = False) -> Store:
    """The configured store, opened and verified. StoreMissing says how to make one."""
    if isinstance(config.store.url, VaultUrl):
        from clawsecrets.wiring import vault

        return vault.open_store(config, config.store.url, paths)
    return _open_embedded(config, paths, ask_passphrase, accept_older=accept_older)


def open_for_reading(config: Config, paths: Paths, ask_passphrase: Ask, now: Callable[[], float],
                     say: Callable[[str], None], *, accept_older: bool = False) -> Store:
    """The configured store for a command that only reads; `say` is told where a copy of it answers."""
    if isinstance(config.store.url, VaultUrl):
        from clawsecrets.wiring import vault

        return vault.open_for_reading(config, config.store.url, paths, now, say)
    return _open_embedded(config, paths, ask_passphrase, accept_older=accept_older)


def is_there(config: Config, paths: Paths) -> bool:
    """Whether the store was made. StoreError where it cannot be reached."""
    if config.store.file is not None:
        return config.store.file.exists()
    try:
        open_store(config, paths, _no_passphrase).close()
    except StoreMissing:
        return False
    return True


def _no_passphrase() -> SecretValue:
    raise StoreLocked("no passphrase was asked for")


def embedded(config: Config, doing: str, instead: str) -> Path:
    """The file of the embedded store. UsageError for another one, which cannot do that; `instead`: what does."""
    if config.store.file is None:
        raise UsageError(f"{doing} is of the embedded store; this one is {config.store.url}", instead)
    return config.store.file


def _open_embedded(config: Config, paths: Paths, ask_passphrase: Ask, *, accept_older: bool = False) -> SqliteStore:
    from clawsecrets.stores.slots import described
    from clawsecrets.stores.sqlite import open_store as open_sqlite

    path = embedded(config, "a master key", "the cluster keeps its own")
    if not path.exists():
        raise StoreMissing(f"there is no store at {path}", "clawsecrets init makes one")
    place = config.store.key
    sources = _sources(place, described(path), paths, ask_passphrase)
    try:
        return open_sqlite(path, config.store.anchor, sources, accept_older=accept_older)
    except StoreLocked as error:
        if not place.source:
            raise
        told = f"{config.file}: [store] key says to look for the key in {_said(place)}: is that right?"
        fault = StoreLocked(error.message, f"{told} else {error.hint}" if error.hint else told)
    raise fault


def _sources(place: KeyPlace, slots: Sequence[Slot], paths: Paths, ask_passphrase: Ask) -> list[KeySource]:
    """What could open the store: what the configuration says, else what the store's own slots say."""
    found: list[KeySource] = []
    for slot in slots:
        if place.source and slot.kind != place.source:
            continue
        if slot.kind == "key-file":
            named = slot.params.get("path")
            found.append(key_file(place.path or (Path(str(named)) if named else paths.key_file)))
        elif slot.kind == "systemd-credential":
            found.append(systemd_credential(place.credential or str(slot.params.get("name", ""))))
        elif slot.kind == "keyring":
            found.append(os_keyring())
    # a person is asked only when nothing opens by itself
    if not found and any(slot.kind == "passphrase" for slot in slots) and place.source in ("", "passphrase"):
        found.append(passphrase(ask_passphrase()))
    return found


def _said(place: KeyPlace) -> str:
    detail = place.path or place.credential
    return f"{place.source} {detail}" if detail else f"the {place.source}"


def require_findable(config: Config, sources: Sequence[KeySource]) -> None:
    """Refuse, before anything is made or changed, a key where this configuration would never look for it, and places
    whose names cannot be written down: the store could not be opened any more. ConfigError."""
    for path in filter(None, [config.store.file, *(getattr(source, "path", None) for source in sources)]):
        if os.fsencode(path) != str(path).encode(errors="replace"):
            raise ConfigError(f"{path} has a name that is not UTF-8, and could not be written down",
                              "choose another folder: CLAWSECRETS_HOME, --store URL or --key-file PATH")
    place = config.store.key
    if place.source and sources and not any(_leads_to(place, source) for source in sources):
        raise ConfigError(
            f"{config.file}: [store] key says to look for the key in {_said(place)}, and the new key would be "
            f"elsewhere ({', '.join(source.kind for source in sources)}): the store would not open",
            "first remove or change `key` under [store] there, or give the place that it names")


def _leads_to(place: KeyPlace, source: KeySource) -> bool:
    """Whether who follows the configuration finds that source."""
    from clawsecrets.stores.keys import KeyFile, SystemdCredential

    if isinstance(source, KeyFile) and place.path is not None:
        return place.source == source.kind and place.path.resolve() == source.path.resolve()
    if isinstance(source, SystemdCredential):
        return place.source == source.kind and place.credential == source.name
    return place.source == source.kind


# --- key sources ----------------------------------------------------------------------------------------------------


def key_file(path: Path) -> KeySource:
    """A key file."""
    from clawsecrets.stores.keys import KeyFile

    return KeyFile(path)


def passphrase(value: SecretValue) -> KeySource:
    """A passphrase."""
    from clawsecrets.stores.keys import Passphrase

    return Passphrase(value)


def systemd_credential(name: str) -> KeySource:
    """A systemd credential."""
    from clawsecrets.stores.keys import SystemdCredential

    return SystemdCredential(name)


def os_keyring() -> KeySource:
    """The OS keyring. Whether it is fit is seen when it is used."""
    from clawsecrets.stores.oskeyring import OsKeyring

    return OsKeyring()


def keyring_is_fit() -> bool:
    """Whether there is a keyring that keeps secrets sealed."""
    from clawsecrets.stores.oskeyring import usable_backend

    try:
        usable_backend()
    except StoreLocked:
        return False
    return True


def fresh_key_line() -> bytes:
    """A line for a key file or a systemd credential."""
    from clawsecrets.stores.keys import key_line

    _, _, line = key_line("credential")
    return line.encode() + b"\n"


# --- whole stores ---------------------------------------------------------------------------------------------------


def create_store(config: Config, sources: Sequence[KeySource], *, recovery: bool,
                 event: AuditEvent) -> SecretValue | None:
    """Make the configured store; gives the recovery code. ConfigError when the configuration would look for the key
    elsewhere."""
    from clawsecrets.stores.sqlite import create

    path = embedded(config, "a master key", "the cluster keeps its own")
    require_findable(config, sources)
    store, code = create(path, config.store.anchor, sources, recovery=recovery, event=event)
    store.close()
    return code


def create_in_cluster(config: Config, paths: Paths, event: AuditEvent) -> None:
    """Make the configured store in Vault or OpenBao. StoreError when there is one already."""
    from clawsecrets.wiring import vault

    assert isinstance(config.store.url, VaultUrl)
    vault.create_store(config, config.store.url, paths, event)


def rekey(config: Config, paths: Paths, ask_passphrase: Ask, event: AuditEvent,
          sources: Sequence[KeySource], *, accept_older: bool = False) -> Sequence[str]:
    """A new master key; gives a line for each old key that could not be destroyed. ConfigError, and nothing changed,
    when the configuration would look for the key elsewhere: for a new place, change `[store] key` or remove it."""
    from clawsecrets.stores.rekey import rekey as rekey_store

    embedded(config, "rekey", KEYS_OF_A_CLUSTER)
    require_findable(config, sources)
    store = _open_embedded(config, paths, ask_passphrase, accept_older=accept_older)
    try:
        return rekey_store(store, event, sources)
    finally:
        store.close()


def backup(config: Config, paths: Paths, ask_passphrase: Ask, file: Path, *, accept_older: bool = False) -> int:
    """A verified copy; gives its generation."""
    from clawsecrets.stores.backup import backup as backup_store

    embedded(config, "backup", SNAPSHOT)
    store = _open_embedded(config, paths, ask_passphrase, accept_older=accept_older)
    try:
        return backup_store(store, file)
    finally:
        store.close()


def restore(config: Config, file: Path, code: SecretValue, sources: Sequence[KeySource], event: AuditEvent) -> int:
    """A new store from a backup; gives the number of its secrets. ConfigError when the configuration would look for
    the key elsewhere."""
    from clawsecrets.stores.backup import restore as restore_store

    path = embedded(config, "restore", RESTORING)
    require_findable(config, sources)
    store = restore_store(file, path, config.store.anchor, code, sources, event)
    try:
        return len(store.names())
    finally:
        store.close()


@dataclass(frozen=True, slots=True)
class Health:
    """What a look at all of the store found, in words."""

    where: str
    faults: Sequence[str]
    log_fault: str
    """Empty: the audit log is whole."""
    unwritable: StoreError | None
    """Why it could not be written now."""
    notes: Sequence[str]
    """What weakens it without being a fault."""
    mend: str
    """What brings back what is damaged, for a fault that does not say it by itself."""

    def mend_of(self, fault: str) -> str:
        """What mends one of `faults`."""
        return mend_of(fault, self.mend)


def health(config: Config, paths: Paths, ask_passphrase: Ask, *, accept_older: bool = False) -> Health:
    """Open the store and look at every part of it. StoreError and its kin."""
    if isinstance(config.store.url, VaultUrl):
        from clawsecrets.wiring import vault

        store = vault.open_store(config, config.store.url, paths)
        try:
            return Health(str(config.store.url), store.check(), store.verify_log(), None,
                          vault.weaknesses(config, config.store.url, paths),
                          COMPARING)
        finally:
            store.close()
    from clawsecrets.stores.doctor import notes
    from clawsecrets.stores.faults import not_writable
    from clawsecrets.stores.trying import unwritable

    opened = _open_embedded(config, paths, ask_passphrase, accept_older=accept_older)
    try:
        cannot = unwritable(opened.path, opened.anchor.path)
        if cannot is None and not opened.writable:
            cannot = not_writable(opened.path)
        return Health(str(config.store.file), opened.check(), opened.verify_log(), cannot, notes(opened),
                      "clawsecrets restore BACKUP brings it back")
    finally:
        opened.close()


# --- private files --------------------------------------------------------------------------------------------------


def write_new(path: Path, content: bytes) -> None:
    """A new 0600 file, durable, or nothing. StoreError when it is there already or cannot be written."""
    from clawsecrets.stores.files import building, make_private_folder, write_draft

    if not path.parent.is_dir():
        make_private_folder(path.parent)
    with building(path) as draft:
        draft.unlink(missing_ok=True)
        write_draft(draft, content)


@contextmanager
def place_for(path: Path) -> Iterator[Callable[[bytes], None]]:
    """A new 0600 file's place, taken before its content exists; gives what writes the content.

    StoreError when it is there already or cannot be written; then, or when anything is raised inside, nothing stays.
    """
    from clawsecrets.stores.files import building, make_private_folder, write_draft

    if not path.parent.is_dir():
        make_private_folder(path.parent)
    with building(path) as draft:
        yield lambda content: write_draft(draft, content)


def read_private(path: Path, what: str) -> bytes:
    """A file that nobody else may read. StoreLocked with the chmod command when they may."""
    from clawsecrets.stores.files import read_private as read

    return read(path, what)
