"""What the command is given, and the environment that it finds."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

from clawsecrets.errors import Refused
from clawsecrets.model.forms import LEAST
from clawsecrets.model.secret import SecretValue

FOLDER = "CLAWSECRETS_FILES"
"""The variable that says where the files are."""
PASSED = frozenset({b"CLAWSECRETS_HOME", b"CLAWSECRETS_CONFIG"})
"""Our own variables that the command may have: by them a `clawsecrets` that it starts works on the same store. They
name folders and the configuration, which whoever runs as this user finds anyway; the others may hold a key, or name its
file."""
_OF_CLIENTS = (b"TOKEN", b"SECRET_ID", b"ROLE_ID", b"CLIENT_KEY", b"WRAP_TOKEN")
LEADING_TO_KEYS = frozenset({b"CREDENTIALS_DIRECTORY",
                             *(brand + name for brand in (b"VAULT_", b"BAO_") for name in _OF_CLIENTS)})
"""Variables that open our store: of systemd (systemd.exec(5)) and of the clients of Vault and OpenBao."""


class Given(NamedTuple):
    """One secret for the command."""

    name: str
    version: int
    value: SecretValue
    variable: str
    """Of its value; with files: of its file's path, empty for none."""
    file: str


def unmasked(given: Sequence[Given]) -> list[str]:
    """Names of those that are too short to be masked."""
    return [each.name for each in given if len(each.value.reveal().rstrip(b"\r\n")) < LEAST]


def environ_for(base: Mapping[bytes, bytes], given: Sequence[Given], folder: str,
                dropped: Collection[bytes]) -> dict[bytes, bytes]:
    """The command's environment: ours without what is secret or opens the store (`dropped` too), and what it is given.
    `folder`: of its files, empty for none. Refused where a value cannot be in an environment."""
    found = {name: value for name, value in base.items() if not _ours(name) and name not in dropped}
    for each in given:
        if folder:
            value = f"{folder}/{each.file}".encode()
        else:
            value = each.value.reveal()
            if b"\0" in value:
                raise Refused(f"{each.name}: its value has a NUL byte, which no environment can hold",
                              "give it as a file: --files")
        if each.variable:
            found[each.variable.encode()] = value
    if folder:
        found[FOLDER.encode()] = folder.encode()
    return found


def _ours(name: bytes) -> bool:
    return name in LEADING_TO_KEYS or (name.startswith((b"CLAWSECRETS_", b"_CLAWSECRETS_")) and name not in PASSED)
