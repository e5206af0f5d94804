"""A person is the issuer: they make the credential, everything else is done for them as far as an API allows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from clawsecrets.issuers.http import ENDS_OLD, HttpIssuer
from clawsecrets.model.provider import Provider
from clawsecrets.model.rotation import Outcome
from clawsecrets.model.secret import SecretValue
from clawsecrets.ports import Issuer, Listed, Reply, Request


class Backing(Issuer, Protocol):
    """An issuer that does for a person's credential what can be done without the person."""

    def with_handle(self, reply: Reply, request: Request) -> Reply:
        """The reply of a creation with the credential's id, where it can be told."""


class AssistedIssuer:
    """The issuer of a provider whose credentials are made by hand (strategy assisted, or its fallback)."""

    def __init__(self, provider: Provider, http: Backing | None = None) -> None:
        self.provider = provider
        self._http: Backing = http or HttpIssuer(provider)

    def can(self, operation: str) -> bool:
        """What the provider's API can do, but never create or recover."""
        return operation in ("test", "revoke", "list") and self._http.can(operation)

    def create(self, request: Request) -> Reply:
        """Wait for the value of a person; it is OK as soon as it is there (TEST follows). Sends nothing before."""
        given = request.supplied
        if given is None:
            return self._ask("waiting for the new value")
        fault = _fault(given, request.old)
        if fault:
            return self._ask(fault)
        return self._http.with_handle(Reply(Outcome.OK, "given by a person", value=given), request)

    def recover(self, request: Request) -> Reply:
        """A person can be asked again."""
        return Reply(Outcome.REFUSED, "the person can give the value again")

    def recreate(self, request: Request) -> Reply:
        """The same as create."""
        return self.create(request)

    def test(self, value: SecretValue, request: Request) -> Reply:
        """By the provider's API; untestable without one."""
        return self._http.test(value, request)

    def revoke(self, handle: str, value: SecretValue | None, request: Request) -> Reply:
        """By the provider's API where it can; else OK once the provider refuses the value, and until then a person."""
        return self._http.revoke(handle, value, request)

    def find(self, request: Request) -> tuple[Reply, Sequence[Listed]]:
        """By the provider's API; a person's credential need not carry the label."""
        return self._http.find(request)

    def explain(self, request: Request) -> Sequence[str]:
        """The steps, in order, with the URL."""
        return self._http.explain(request)

    def describe(self, operation: str, request: Request) -> str:
        """What happens; creating is a person's part, and may end the old one."""
        ends_old = self.provider.manual.kills_old
        if operation in ("create", "recover", "recreate"):
            return f"a person makes it: {self.provider.manual.url}{ENDS_OLD if ends_old else ''}"
        if operation == "revoke" and ends_old and not self.can("revoke"):
            return "nothing to call: making the new one has ended it"
        return self._http.describe(operation, request)

    def _ask(self, why: str) -> Reply:
        return Reply(Outcome.LATER, f"{why}: {self.provider.manual.url}", person=True)


def _fault(given: SecretValue, old: SecretValue | None) -> str:
    """Why a given value cannot be the new one; empty when it can."""
    if old is not None and given == old:
        return "that is the value in use now, a new one is needed"
    try:
        text = given.reveal_text()
    except ValueError:
        return "that value is not text, give it again"
    if not text or not text.isprintable() or text != text.strip():
        return "that value is empty or holds spaces around it or control characters, give it again"
    return ""


_issuer: type[Issuer] = AssistedIssuer
