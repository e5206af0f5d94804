"""Where the master key comes from: each source wraps it into a slot of the store, and opens that slot again.

    key-file             a 0600 file of lines `clawsecrets-key-1:ID:BASE64`; the slot names the line
    passphrase           Argon2id, its parameters in the slot
    systemd-credential   the same lines, in $CREDENTIALS_DIRECTORY/NAME
    keyring              oskeyring.py
    recovery             recovery.py
A key is never taken from an environment variable; the place of a key may be.
"""

from __future__ import annotations

import base64
import binascii
import os
import secrets
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from clawsecrets.errors import StoreError, StoreLocked
from clawsecrets.model.secret import SecretValue
from clawsecrets.stores.codec import canonical
from clawsecrets.stores.faults import damaged, io_failed
from clawsecrets.stores.files import (
    BY_BACKUP,
    SMALL,
    make_private_folder,
    read_private,
    read_small,
    taking_turns,
    write_private,
)
from clawsecrets.stores.seal import KEY_BYTES, Box, derive, new_key

PREFIX = "clawsecrets-key-1"
ARGON2 = {"iterations": 3, "lanes": 4, "memory": 65536}
"""RFC 9106, second recommended option: 3 passes, 4 lanes, 64 MiB (in KiB)."""
_ARGON2_MOST = {"iterations": 64, "lanes": 64, "memory": 1 << 21}
"""A slot that asks for more is not ours: it would only exhaust the machine."""


@dataclass(frozen=True, slots=True)
class Slot:
    """One way to the master key, as it stands in the store. `params` are readable by anyone."""

    kind: str
    params: Mapping[str, str | int]
    wrapped: bytes = field(default=b"", repr=False)


class KeySource(Protocol):
    """Keeps a key-encryption key somewhere outside of the store."""

    @property
    def kind(self) -> str:
        """The kind of slot that it makes and opens."""

    def create(self, store: str, master: bytes) -> Slot:
        """Wrap the master key, keeping outside (durably) what opens it again. StoreError, StoreLocked."""

    def open(self, store: str, slot: Slot) -> bytes:
        """The master key. StoreLocked when the key is wrong or absent, StoreDamaged when the slot was altered."""

    def forget(self, store: str, slot: Slot) -> None:
        """Destroy outside what only this slot needed. Called when the slot is gone for good. StoreError."""

    def notes(self, store: str, slot: Slot, database: Path) -> Sequence[str]:
        """What `doctor` should say about where the key lies: one line each."""


def wrap(kek: bytes, store: str, kind: str, params: Mapping[str, str | int], master: bytes) -> Slot:
    """A slot that holds `master` under a key-encryption key, bound to store, kind and parameters."""
    place = canonical(dict(params)).decode()
    return Slot(kind, dict(params), _slot_box(kek, store).seal(master, kind, place))


def unwrap(kek: bytes, store: str, slot: Slot) -> bytes | None:
    """The master key, or None when the key is another or the slot was altered."""
    master = _slot_box(kek, store).try_open(slot.wrapped, slot.kind, canonical(dict(slot.params)).decode())
    return master if master is not None and len(master) == KEY_BYTES else None


def _slot_box(kek: bytes, store: str) -> Box:
    return Box(derive(kek, store, "slot"), store, "slot")


def word(slot: Slot, name: str) -> str:
    """A text parameter of a slot. StoreDamaged when it is not there."""
    value = slot.params.get(name)
    if not isinstance(value, str) or not value:
        raise damaged(f"the {slot.kind} slot lacks its {name}")
    return value


def key_line(prefix: str) -> tuple[str, bytes, str]:
    """A new key: its id (`PREFIX-8 hex`), its 32 bytes, and the line that a key file holds."""
    key, label = new_key(), f"{prefix}-{secrets.token_hex(4)}"
    return label, key, f"{PREFIX}:{label}:{base64.b64encode(key).decode()}"


def parse_keys(content: bytes, path: Path) -> dict[str, bytes]:
    """The keys of a key file by id, in order. StoreLocked names the line that is wrong, never what it holds."""
    found: dict[str, bytes] = {}
    for number, line in enumerate(content.splitlines(), start=1):
        if not line.strip() or line.startswith(b"#"):
            continue
        entry = _parse_line(line)
        if entry is None:
            raise StoreLocked(f"{path} line {number} is not a key", f"its form is {PREFIX}:ID:BASE64 of 32 bytes")
        found[entry[0]] = entry[1]
    return found


def _parse_line(line: bytes) -> tuple[str, bytes] | None:
    try:
        prefix, label, text = line.decode("ascii").strip().split(":")
        key = base64.b64decode(text, validate=True)
    except (ValueError, binascii.Error):
        return None
    return (label, key) if prefix == PREFIX and label and len(key) == KEY_BYTES else None


@dataclass(frozen=True, slots=True)
class KeyFile:
    """A key file, 0600. It may hold keys of several stores, and of one store around a `rekey`.

    It is rewritten whole: processes that add or drop a line take turns, so that none writes over another's line.
    """

    path: Path
    kind: str = "key-file"

    def create(self, store: str, master: bytes) -> Slot:
        label, kek, line = key_line(store[:8])
        if not self.path.parent.is_dir():
            make_private_folder(self.path.parent)
        with taking_turns(self.path):
            self._write([*(self._lines() if self.path.exists() else ()), line.encode()])
            kept = parse_keys(read_private(self.path, "the key file"), self.path).get(label)
        if kept != kek:
            raise StoreError(f"the key file {self.path} lost the new key as it was written",
                             "stop what else writes to that file, then run the command again")
        return wrap(kek, store, self.kind, {"key": label, "path": str(self.path.absolute())}, master)

    def open(self, store: str, slot: Slot) -> bytes:
        label = word(slot, "key")
        kek = parse_keys(read_private(self.path, "the key file"), self.path).get(label)
        if kek is None:
            raise StoreLocked(f"the key file {self.path} does not hold this store's key ({label})",
                              f"give the key file of this store, or {BY_BACKUP}")
        master = unwrap(kek, store, slot)
        if master is None:
            raise damaged(f"the {self.kind} slot does not open with the key it names ({label})")
        return master

    def forget(self, store: str, slot: Slot) -> None:
        """Drop the line that the slot names; lines of other stores and of newer slots stay."""
        label = word(slot, "key").encode()
        with taking_turns(self.path):
            lines = self._lines()
            left = [line for line in lines if line.split(b":")[1:2] != [label]]
            if left != lines:
                self._write(left)

    def notes(self, store: str, slot: Slot, database: Path) -> Sequence[str]:
        found = []
        if self.path.resolve().parent == database.resolve().parent:
            found.append(f"the key file {self.path} lies beside the store: who copies the folder has both")
        labels = parse_keys(read_private(self.path, "the key file"), self.path)
        old = [label for label in labels if label.startswith(f"{store[:8]}-") and label != word(slot, "key")]
        found += [f"the key file {self.path} still holds key {label}, which this store no longer uses" for label in old]
        return found

    def _lines(self) -> list[bytes]:
        content = read_private(self.path, "the key file")
        parse_keys(content, self.path)
        return content.splitlines()

    def _write(self, lines: Sequence[bytes]) -> None:
        failed: OSError | None = None
        try:
            write_private(self.path, b"".join(line + b"\n" for line in lines))
        except OSError as error:
            failed = error
        if failed is not None:
            raise io_failed("write the key file", self.path, failed)


@dataclass(frozen=True, slots=True)
class SystemdCredential:
    """Keys that systemd hands to the service ($CREDENTIALS_DIRECTORY/NAME); the last line is used for new slots.

    systemd answers for the file's mode (it uses access lists, which look like group bits). The credential cannot be
    written from here: to change its key too, set a new credential with one more line before `rekey`.
    """

    name: str
    kind: str = "systemd-credential"

    def create(self, store: str, master: bytes) -> Slot:
        keys = self._keys()
        if not keys:
            raise StoreLocked(f"the systemd credential {self.name} holds no key", "make one: `clawsecrets init --help`")
        label, kek = list(keys.items())[-1]
        return wrap(kek, store, self.kind, {"key": label, "name": self.name}, master)

    def open(self, store: str, slot: Slot) -> bytes:
        label = word(slot, "key")
        kek = self._keys().get(label)
        if kek is None:
            raise StoreLocked(f"the systemd credential {self.name} does not hold this store's key ({label})",
                              "give the service the credential that the store was made with")
        master = unwrap(kek, store, slot)
        if master is None:
            raise damaged(f"the {self.kind} slot does not open with the key it names ({label})")
        return master

    def forget(self, store: str, slot: Slot) -> None:
        """Nothing here is ours to destroy."""

    def notes(self, store: str, slot: Slot, database: Path) -> Sequence[str]:
        return ()

    def _keys(self) -> dict[str, bytes]:
        folder = os.environ.get("CREDENTIALS_DIRECTORY", "")
        hint = f"run inside the service that has LoadCredentialEncrypted={self.name}, or {BY_BACKUP}"
        if not folder or "/" in self.name or self.name in ("", ".", ".."):
            raise StoreLocked(f"there is no systemd credential {self.name} here", hint)
        path, content = Path(folder, self.name), None
        with suppress(OSError):
            content, _ = read_small(path)
        if content is None or len(content) > SMALL:
            raise StoreLocked(f"the systemd credential {path} cannot be read", hint)
        return parse_keys(content, path)


@dataclass(frozen=True, slots=True)
class Passphrase:
    """A passphrase through Argon2id. `cost` is for new slots; an existing slot says its own."""

    value: SecretValue
    cost: Mapping[str, int] = field(default_factory=lambda: dict(ARGON2))
    kind: str = "passphrase"

    def create(self, store: str, master: bytes) -> Slot:
        if not self.value:
            raise StoreLocked("an empty passphrase protects nothing", "give one of several words")
        params: dict[str, str | int] = {"salt": secrets.token_hex(16), **self.cost}
        return wrap(self._stretch(params), store, self.kind, params, master)

    def open(self, store: str, slot: Slot) -> bytes:
        for name, most in _ARGON2_MOST.items():
            asked = slot.params.get(name)
            if not isinstance(asked, int) or not 1 <= asked <= most:
                raise damaged(f"the passphrase slot asks for {name} outside of 1 to {most}")
        word(slot, "salt")
        master = unwrap(self._stretch(slot.params), store, slot)
        if master is None:
            raise StoreLocked("the passphrase is wrong", f"type it again, or if it is lost, {BY_BACKUP}")
        return master

    def forget(self, store: str, slot: Slot) -> None:
        """Nothing is kept outside."""

    def notes(self, store: str, slot: Slot, database: Path) -> Sequence[str]:
        return ()

    def _stretch(self, params: Mapping[str, str | int]) -> bytes:
        from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

        try:
            salt = bytes.fromhex(str(params["salt"]))
            kdf = Argon2id(salt=salt, length=KEY_BYTES, iterations=int(params["iterations"]),
                           lanes=int(params["lanes"]), memory_cost=int(params["memory"]))
        except ValueError:
            kdf = None
        if kdf is None:
            raise damaged("the passphrase slot has parameters that Argon2id does not take")
        return kdf.derive(self.value.reveal())
