"""We are the issuer: a random value. Whether it works is for its consumer to say."""

from __future__ import annotations

import base64
import secrets
from collections.abc import Sequence

from clawsecrets.model.provider import Local, Provider
from clawsecrets.model.rotation import Outcome
from clawsecrets.model.secret import SecretValue
from clawsecrets.ports import Issuer, Listed, Reply, Request


class LocalIssuer:
    """The issuer of a self-issued secret; the file's [local] says how the value looks."""

    def __init__(self, provider: Provider) -> None:
        self.provider = provider
        self._local = provider.local or Local()

    def can(self, operation: str) -> bool:
        """Only `create`."""
        return operation == "create"

    def create(self, request: Request) -> Reply:
        """A new value from the system's random source."""
        raw = secrets.token_bytes(self._local.bytes)
        text = raw.hex() if self._local.encoding == "hex" else base64.urlsafe_b64encode(raw).decode().rstrip("=")
        return Reply(Outcome.OK, "made here", value=SecretValue(self._local.prefix + text))

    def recover(self, request: Request) -> Reply:
        """Nothing to recover: a lost value was never given to anybody."""
        return Reply(Outcome.REFUSED, "a value that was made here and lost is nowhere")

    def recreate(self, request: Request) -> Reply:
        """The same as create."""
        return self.create(request)

    def test(self, value: SecretValue, request: Request) -> Reply:
        """Untestable: the consumer validates."""
        return Reply(Outcome.OK, "its consumer validates it", untestable=True)

    def revoke(self, handle: str, value: SecretValue | None, request: Request) -> Reply:
        """Untestable: the old value dies when the consumer takes the new one."""
        return Reply(Outcome.OK, "it ends where its consumer takes the new one", untestable=True)

    def find(self, request: Request) -> tuple[Reply, Sequence[Listed]]:
        """None for certain: no provider knows of it."""
        return Reply(Outcome.OK, "made here, listed nowhere"), ()

    def explain(self, request: Request) -> Sequence[str]:
        """What a person would do instead."""
        return (f"Open {self.provider.manual.url}", *self.provider.manual.steps)

    def describe(self, operation: str, request: Request) -> str:
        """What happens here."""
        if operation == "create":
            return f"make {self._local.bytes} random bytes here, as {self._local.encoding}"
        return f"{operation}: nothing to call, the consumer validates"


_issuer: type[Issuer] = LocalIssuer
