"""Who we are at the cluster: a token that somebody gives us, or what it is exchanged for at an auth method.

No credential is ever in a message; which file it was looked for in is.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from clawsecrets.errors import StoreError, StoreLocked
from clawsecrets.model.secret import SecretValue
from clawsecrets.stores.faults import io_failed
from clawsecrets.stores.files import (
    SMALL,
    make_private_folder,
    read_private,
    read_small,
    taking_turns,
    write_private,
)
from clawsecrets.stores.vault.reply import Reply, Said

Ask = Callable[[str, Mapping[str, str], SecretValue | None], Reply]
"""Sends POST path, body, token to the cluster; NOT_YET and UNSURE are what is left after patience."""
_OTHERS = 0o027
"""A token sink may be read by its group (agents write 0640), and by nobody else."""


@dataclass(frozen=True, slots=True)
class Given:
    """A token that stands somewhere: in an agent's sink, else in the first of these variables, else in a file."""

    sink: Path | None = None
    """Nothing else counts then."""
    variables: Sequence[str] = ("VAULT_TOKEN", "BAO_TOKEN")
    helper: Path | None = None
    """~/.vault-token."""
    environ: Mapping[str, str] = field(default_factory=lambda: os.environ, repr=False)

    def read(self) -> SecretValue:
        """The token as it stands there now. StoreLocked."""
        if self.sink is not None:
            return _line(_own(self.sink, _OTHERS, "the token"), self.sink)
        for name in self.variables:
            if token := self.environ.get(name, "").strip():
                return _one(token.encode(errors="surrogateescape"), f"the variable {name}")
        if self.helper is not None and self.helper.is_file():
            return _line(read_private(self.helper, "the token"), self.helper)
        raise StoreLocked("there is no token for the store: none of "
                          f"{', '.join((*self.variables, str(self.helper or '~/.vault-token')))} holds one",
                          "log in (`bao login`, `vault login`), set VAULT_TOKEN, or say [store.vault] auth = … in the "
                          "configuration")

    @property
    def words(self) -> str:
        """Where it comes from."""
        return f"the token in {self.sink}" if self.sink else "the token of VAULT_TOKEN or ~/.vault-token"


@dataclass(frozen=True, slots=True)
class Exchange:
    """A login at an auth method. `body` gives what is sent, read anew for each login. StoreLocked, StoreError."""

    kind: str
    mount: str
    body: Callable[[Ask], Mapping[str, str]] = field(repr=False)

    @property
    def words(self) -> str:
        """Where the token comes from."""
        return f"the {self.kind} login at auth/{self.mount}"


Method = Given | Exchange


def approle(mount: str, role_id: str, secret_id: Callable[[Ask], SecretValue]) -> Exchange:
    """AppRole. `secret_id`: `plain_file` or `Wrapped`."""
    return Exchange("approle", mount or "approle", lambda ask: {
        "role_id": role_id, "secret_id": secret_id(ask).reveal_text()})


def with_jwt(kind: str, mount: str, role: str, jwt: Callable[[], SecretValue]) -> Exchange:
    """Kubernetes, JWT and OIDC: a token that somebody else signed for us."""
    return Exchange(kind, mount or kind, lambda ask: {**({"role": role} if role else {}), "jwt": jwt().reveal_text()})


def certificate(mount: str, role: str) -> Exchange:
    """The TLS certificate that the connection shows."""
    return Exchange("cert", mount or "cert", lambda ask: {"name": role} if role else {})


# --- where credentials stand -----------------------------------------------------------------------------------------


def plain_file(path: Path) -> Callable[[Ask], SecretValue]:
    """A private file that holds a secret-id."""
    return lambda ask: _line(read_private(path, "the secret-id"), path)


def jwt_file(path: Path) -> Callable[[], SecretValue]:
    """A file that holds a signed token (short-lived, rewritten by who runs us; a pod's is readable by all in it)."""
    return lambda: _line(_own(path, 0, "the signed token"), path)


def jwt_variable(name: str, environ: Mapping[str, str] = os.environ) -> Callable[[], SecretValue]:
    """A variable in which a CI gives a signed token."""
    def read() -> SecretValue:
        text = environ.get(name, "").strip()
        if not text:
            raise StoreLocked(f"the variable {name} holds no signed token",
                              "let the CI job ask for one (`id_tokens` in GitLab, `id-token: write` in GitHub)")
        return SecretValue(text)

    return read


@dataclass(frozen=True, slots=True)
class Wrapped:
    """A file that holds a response-wrapping token for a secret-id. It can be opened once: what was in it is kept in
    `kept` (0600), until another token stands in the file."""

    path: Path
    kept: Path
    mount: str

    def __call__(self, ask: Ask) -> SecretValue:
        """The secret-id. StoreLocked when the token was opened by somebody else, or is none for this auth method."""
        token = _line(read_private(self.path, "the wrapped secret-id"), self.path)
        if not self.kept.parent.is_dir():
            make_private_folder(self.kept.parent)
        with taking_turns(self.kept):
            print_ = hashlib.sha256(token.reveal()).hexdigest()
            return self._known(print_) or self._opened(ask, token, print_)

    def _known(self, print_: str) -> SecretValue | None:
        if not self.kept.exists():
            return None
        try:
            plain = json.loads(read_private(self.kept, "the unwrapped secret-id"))
            return SecretValue(str(plain["secret_id"])) if plain["of"] == print_ else None
        except (ValueError, TypeError, KeyError):
            return None

    def _opened(self, ask: Ask, token: SecretValue, print_: str) -> SecretValue:
        self._keep("", "")  # before it is spent: could what is in it be kept?
        seen = ask("sys/wrapping/lookup", {"token": token.reveal_text()}, None)
        made_by = str((seen.data.get("data") or {}).get("creation_path", "")) if seen.said is Said.DONE else ""
        if seen.said in (Said.NOT_YET, Said.UNSURE):
            raise StoreError(f"the wrapped secret-id could not be opened: {seen.why}", "run the command again")
        if not made_by.startswith(f"auth/{self.mount}/role/"):
            what = f"it wraps what {made_by} made" if made_by else "it was opened already, has ended, or is none"
            raise StoreLocked(f"the token in {self.path} does not open to a secret-id: {what}",
                              "if nobody here opened it, somebody else did: destroy that secret-id, have a new one "
                              "made (-wrap-ttl), and put its token there")
        opened = ask("sys/wrapping/unwrap", {}, token)
        secret_id = (opened.data.get("data") or {}).get("secret_id")
        if opened.said is not Said.DONE or not isinstance(secret_id, str):
            raise StoreLocked(f"the token in {self.path} could not be opened: {opened.why or 'no secret-id was in it'}",
                              "have a new secret-id made (-wrap-ttl), and put its token there")
        self._keep(print_, secret_id)
        return SecretValue(secret_id)

    def _keep(self, print_: str, secret_id: str) -> None:
        failed: OSError | None = None
        try:
            write_private(self.kept, json.dumps({"of": print_, "secret_id": secret_id}).encode())
        except OSError as error:
            failed = error
        if failed is not None:
            raise io_failed("write", self.kept, failed)


def _own(path: Path, loose: int, what: str) -> bytes:
    """A small file that nobody may read who has one of these bits. StoreLocked."""
    failed: OSError | None = None
    content, mode = b"", 0
    try:
        content, mode = read_small(path)
    except OSError as error:
        failed = error
    if failed is not None:
        raise StoreLocked(f"cannot read {what} in {path}: {failed.strerror or 'it cannot be read'}",
                          "see that whoever writes it has done so, and that this user may read it")
    if mode & loose:
        raise StoreLocked(f"{path} holds {what} and is open to others (mode {mode & 0o777:04o})",
                          f"chmod 600 {path} (an agent's sink: mode = 0640)")
    return content


def _line(content: bytes, path: Path) -> SecretValue:
    """What one line of a file holds. StoreLocked."""
    return _one(content, str(path))


def _one(content: bytes, where: str) -> SecretValue:
    """A token that fits into a header. StoreLocked."""
    text = content.strip()
    if not text or len(content) > SMALL or not text.isascii() or not text.decode().isprintable():
        raise StoreLocked(f"{where} does not hold one token, and nothing else", "write it there again")
    return SecretValue(text)
