"""The operating system's keyring as a source of the master key. Backends that keep secrets in the open are refused."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from clawsecrets.errors import StoreLocked
from clawsecrets.stores.faults import damaged
from clawsecrets.stores.files import BY_BACKUP
from clawsecrets.stores.keys import Slot, key_line, parse_keys, unwrap, word, wrap

if TYPE_CHECKING:
    from keyring.backend import KeyringBackend

SERVICE = "clawsecrets"
_REFUSED = ("keyring.backends.fail.", "keyring.backends.null.")
_REFUSED_WORDS = ("plaintext", "uncrypted", "insecure")
_HINT = "on a host without a session choose a key file (--key-file) or a systemd credential"
T = TypeVar("T")


def backend_name(backend: KeyringBackend) -> str:
    """`module.Class`"""
    return f"{type(backend).__module__}.{type(backend).__qualname__}"


def refused(backend: KeyringBackend) -> bool:
    """Whether a backend keeps nothing, or keeps it in the open."""
    name = backend_name(backend).lower()
    return name.startswith(_REFUSED) or any(bad in name for bad in _REFUSED_WORDS)


def usable_backend() -> KeyringBackend:
    """The configured backend, of a chain the first that is fit. StoreLocked names those that were refused."""
    import keyring
    from keyring.backends.chainer import ChainerBackend

    chosen = keyring.get_keyring()
    candidates = list(chosen.backends) if isinstance(chosen, ChainerBackend) else [chosen]
    for candidate in candidates:
        if not refused(candidate):
            return candidate
    names = ", ".join(backend_name(candidate) for candidate in candidates) or "none at all"
    raise StoreLocked(f"there is no keyring fit for a master key here (refused: {names})", _HINT)


def _asked(doing: str, call: Callable[[], T]) -> T:
    from keyring.errors import KeyringError

    try:
        return call()
    except (KeyringError, NotImplementedError, RuntimeError, OSError):
        pass
    raise StoreLocked(f"the keyring would not {doing}", f"unlock it; {_HINT}")


@dataclass(frozen=True, slots=True)
class OsKeyring:
    """One entry per key: service `clawsecrets`, account the key's id, content one line as in a key file."""

    kind: str = "keyring"

    def create(self, store: str, master: bytes) -> Slot:
        backend = usable_backend()
        label, kek, line = key_line(store[:8])
        _asked("keep the key", lambda: backend.set_password(SERVICE, label, line))
        if _asked("give the key back", lambda: backend.get_password(SERVICE, label)) != line:
            raise StoreLocked(f"the keyring {backend_name(backend)} does not give back what it was given", _HINT)
        return wrap(kek, store, self.kind, {"key": label, "backend": backend_name(backend)}, master)

    def open(self, store: str, slot: Slot) -> bytes:
        backend, label = usable_backend(), word(slot, "key")
        line = _asked("give the key", lambda: backend.get_password(SERVICE, label))
        if line is None:
            raise StoreLocked(f"the keyring {backend_name(backend)} does not hold this store's key ({label})",
                              f"it was kept by {word(slot, 'backend')}; or {BY_BACKUP}")
        kek = parse_keys(line.encode(), Path("keyring entry")).get(label)
        master = None if kek is None else unwrap(kek, store, slot)
        if master is None:
            raise damaged(f"the keyring slot does not open with the key it names ({label})")
        return master

    def forget(self, store: str, slot: Slot) -> None:
        backend, label = usable_backend(), word(slot, "key")
        _asked("delete the old key", lambda: backend.delete_password(SERVICE, label))

    def notes(self, store: str, slot: Slot, database: Path) -> Sequence[str]:
        return ()
