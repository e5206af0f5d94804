"""The recovery code: 160 random bits, shown once, that open the store or a backup on any machine.

The code derives an X25519 key; the store holds only the public one, so that a `rekey` can wrap a new master key to
it while the code lies in a safe. Written form: 32 letters (Crockford's base 32, no I L O U) and 4 of checksum, in
groups of four; case, spaces and dashes do not matter, and O is read as 0, I and L as 1.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from clawsecrets.errors import StoreLocked
from clawsecrets.model.secret import SecretValue
from clawsecrets.stores.faults import damaged
from clawsecrets.stores.keys import Slot, unwrap, word, wrap
from clawsecrets.stores.seal import MAGIC, derive

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

KIND = "recovery"
ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
CODE_BYTES = 20
_READ = {**{letter: i for i, letter in enumerate(ALPHABET)}, "O": 0, "I": 1, "L": 1}
_CHECK_LETTERS = 4
_HINT = "a recovery code has nine groups of four letters; look for a letter that was misread"


def new_code() -> SecretValue:
    """A new code of 160 random bits in its written form."""
    return SecretValue(written(secrets.token_bytes(CODE_BYTES)))


def written(raw: bytes) -> str:
    """Groups of four letters, the last group a checksum."""
    letters = _letters(int.from_bytes(raw), CODE_BYTES * 8 // 5) + _checksum(raw)
    return "-".join(letters[i : i + 4] for i in range(0, len(letters), 4))


def read_code(code: SecretValue) -> bytes:
    """The 20 bytes of a written code. StoreLocked when it is mistyped (which is not the same as a wrong code)."""
    letters = [letter for letter in code.reveal().decode("ascii", "replace").upper() if letter not in " -\t\r\n"]
    wanted = CODE_BYTES * 8 // 5
    if len(letters) != wanted + _CHECK_LETTERS or any(letter not in _READ for letter in letters):
        raise StoreLocked(f"that is not a recovery code: {wanted + _CHECK_LETTERS} letters are expected", _HINT)
    number = 0
    for letter in letters[:wanted]:
        number = number * 32 + _READ[letter]
    raw = number.to_bytes(CODE_BYTES)
    if [_READ[x] for x in _checksum(raw)] != [_READ[x] for x in letters[wanted:]]:
        raise StoreLocked("the recovery code is mistyped: its checksum does not fit", _HINT)
    return raw


def _letters(number: int, count: int) -> str:
    return "".join(ALPHABET[(number >> 5 * i) & 31] for i in reversed(range(count)))


def _checksum(raw: bytes) -> str:
    digest = hashlib.sha256(b"clawsecrets recovery code" + raw).digest()
    return _letters(int.from_bytes(digest[:4]) >> 12, _CHECK_LETTERS)


def _private(code: SecretValue) -> X25519PrivateKey:
    from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

    return X25519PrivateKey.from_private_bytes(derive(read_code(code), "", "recovery-code"))


def public_key(code: SecretValue) -> str:
    """The recipient that belongs to a code, in hexadecimal."""
    return _private(code).public_key().public_bytes_raw().hex()


def wrap_to(public: str, store: str, master: bytes) -> Slot:
    """A slot that only the code of that recipient opens. StoreDamaged when it is no X25519 key."""
    from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey

    ephemeral, shared = X25519PrivateKey.generate(), None
    with suppress(ValueError):
        shared = ephemeral.exchange(X25519PublicKey.from_public_bytes(bytes.fromhex(public)))
    if shared is None:
        raise damaged("the recovery recipient is not an X25519 key")
    sender = ephemeral.public_key().public_bytes_raw().hex()
    return wrap(_kek(shared, sender, public), store, KIND, {"recipient": public, "sender": sender}, master)


def _kek(shared: bytes, sender: str, recipient: str) -> bytes:
    return derive(shared, f"{MAGIC}/{sender}/{recipient}", "recovery")


@dataclass(frozen=True, slots=True)
class RecoveryCode:
    """Opens the recovery slot; `create` wraps to the code's own recipient."""

    code: SecretValue
    kind: str = KIND

    def create(self, store: str, master: bytes) -> Slot:
        return wrap_to(public_key(self.code), store, master)

    def open(self, store: str, slot: Slot) -> bytes:
        from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PublicKey

        private, shared = _private(self.code), None
        recipient = private.public_key().public_bytes_raw().hex()
        if recipient != word(slot, "recipient"):
            raise StoreLocked("this recovery code is of another store", "use the code that `init` showed for this one")
        with suppress(ValueError):
            shared = private.exchange(X25519PublicKey.from_public_bytes(bytes.fromhex(word(slot, "sender"))))
        master = None if shared is None else unwrap(_kek(shared, word(slot, "sender"), recipient), store, slot)
        if master is None:
            raise damaged("the recovery slot does not open with its own code")
        return master

    def forget(self, store: str, slot: Slot) -> None:
        """Nothing is kept outside."""

    def notes(self, store: str, slot: Slot, database: Path) -> Sequence[str]:
        return ()


@dataclass(frozen=True, slots=True)
class Recipient:
    """Wraps to a recovery code that is not at hand, by its public key. Opens nothing."""

    public: str
    kind: str = KIND

    def create(self, store: str, master: bytes) -> Slot:
        return wrap_to(self.public, store, master)

    def open(self, store: str, slot: Slot) -> bytes:
        raise StoreLocked("the recovery slot opens with the recovery code only", "have the code at hand")

    def forget(self, store: str, slot: Slot) -> None:
        """Nothing is kept outside."""

    def notes(self, store: str, slot: Slot, database: Path) -> Sequence[str]:
        return ()
