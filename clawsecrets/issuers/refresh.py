"""The issuer of a value that a refresh token yields (strategy refresh): Slack token rotation, Twitch.

The refresh token is sent by `refresh` alone, once a call. Its answers, by the provider file:

    refused   the provider does not accept this refresh token; a person must authorize anew
    later     it was not looked at: a wrong client secret, too many requests; nothing happened to it
    (others)  it may be spent, and `lost` in the file says what that allows
"""

from __future__ import annotations

from dataclasses import replace

from clawsecrets.issuers.fill import sketch
from clawsecrets.issuers.http import HttpIssuer
from clawsecrets.model.provider import Lost
from clawsecrets.model.rotation import Outcome
from clawsecrets.model.secret import SecretValue
from clawsecrets.ports import Issuer, Refresher, Reply, Request


class RefreshIssuer(HttpIssuer):
    """An HttpIssuer that makes its values with a refresh token, and nothing else."""

    def create(self, request: Request) -> Reply:
        """Not without the refresh token: see `refresh`."""
        return Reply(Outcome.REFUSED, f"{self.provider.code}: only its refresh token makes a new one")

    def refresh(self, request: Request) -> Reply:
        """Exchange `request.refresh`. LATER when the request cannot be made at all: nothing was sent."""
        operation = self.provider.operation("refresh")
        if operation is None:
            return Reply(Outcome.REFUSED, f"{self.provider.code} has no way to use a refresh token")
        words = self._words(request)
        trouble = self._trouble(operation.request, request, words)
        if trouble:
            return Reply(Outcome.LATER, trouble)
        reply, verdict = self._perform("refresh", operation, request, words)
        if reply.outcome is Outcome.REFUSED:
            return replace(reply, detail=f"{reply.detail}: the refresh token is not accepted. {self._anew(request)}")
        if reply.outcome is not Outcome.OK or verdict is None or verdict.answer is None:
            return reply
        value, token = (_secret(verdict.text(at)) for at in (verdict.answer.value, verdict.answer.refresh))
        if value is None:
            return Reply(Outcome.UNKNOWN, f"{reply.detail}, but without a value at {verdict.answer.value}",
                         refresh=token)
        return replace(reply, value=value, refresh=token, handle=reply.handle or self._handle_of(value))

    def ask_again(self, request: Request) -> Reply:
        """What the file says of a lost answer; under `ask-old` the old value is tried."""
        operation = self.provider.operation("refresh")
        lost = operation.lost if operation is not None else Lost.REAUTHORIZE
        unsure = f"the answer was lost and the refresh token may be spent. {self._anew(request)}"
        if lost is Lost.USE_AGAIN:
            return Reply(Outcome.OK, "the provider lets it be used again")
        if lost is Lost.REAUTHORIZE or request.old is None:
            return Reply(Outcome.REFUSED, unsure)
        seen = self.test(request.old, request)
        if seen.untestable or seen.outcome is Outcome.REFUSED:
            return Reply(Outcome.REFUSED, unsure)
        if seen.outcome is Outcome.OK:
            return Reply(Outcome.OK, "the old value is still accepted: it was not spent", proof="the old value lives")
        return seen

    def reauthorize(self, request: Request) -> Reply:
        """Take the refresh token of a person, or say how to get one."""
        given = request.supplied
        if given is None:
            return Reply(Outcome.LATER, f"waiting for a new refresh token. {self._anew(request)}", person=True)
        if _secret(_plain(given)) is None:
            return Reply(Outcome.LATER, "what was given is empty or no plain text: give the refresh token again",
                         person=True)
        return Reply(Outcome.OK, "given by a person", refresh=given)

    def _anew(self, request: Request) -> str:
        words = self._words(request)
        steps = "; ".join(sketch(step, words) for step in self.provider.manual.reauthorize)
        return (f"Authorize anew: open {sketch(self.provider.manual.url, words)}: {steps}; then: clawsecrets rotate "
                f"{request.secret} --new-value-stdin")


def _plain(value: SecretValue) -> str:
    try:
        return value.reveal_text()
    except ValueError:
        return ""


def _secret(text: str) -> SecretValue | None:
    """The text as a secret, None where it cannot be one."""
    return SecretValue(text) if text and text.isprintable() and text == text.strip() else None


def _conforms(issuer: RefreshIssuer) -> tuple[Issuer, Refresher]:
    return issuer, issuer
