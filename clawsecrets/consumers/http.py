"""A service with a health URL, and perhaps a way to try a value on it.

`health` alone shows that the service is well after the change, and not which value it uses: that is delivered, not
proven. With `auth` the value itself is tried at `probe` (in a header, never in the URL): 2xx is accepted, 401 and 403
are refused, anything else cannot be told. `reload` is a URL to POST to. No redirect is followed; https, or loopback.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from dataclasses import dataclass

from clawsecrets.clients import http
from clawsecrets.consumers.command import not_current
from clawsecrets.model.rotation import Outcome
from clawsecrets.model.secret import SecretValue
from clawsecrets.ports import Consumer, Handover, Reply

BEARER = "bearer"
_REFUSED = (401, 403)


PROVES = "the service accepts the new value at the probe URL (`validates`: and no longer the old one)"
CANNOT = "which value it uses, by a health URL alone: delivered, not proven"


@dataclass(frozen=True)
class HttpConsumer:
    """`auth`: `bearer`, or the name of the header that carries the value. `timeout`: seconds that it may take to become
    healthy."""

    target: str
    health: str = ""
    probe_url: str = ""
    auth: str = ""
    reload_url: str = ""
    reads: Collection[str] = ()
    validates: bool = False
    timeout: float = 30.0
    sleep: Callable[[float], None] = time.sleep

    def reload(self, handover: Handover) -> Reply:
        """POST to the reload URL, then wait until it is healthy."""
        if self.reload_url:
            answer = http.send(http.Call("POST", self.reload_url, {}, b""), self._limits())
            if isinstance(answer, http.Lost):
                return Reply(Outcome.UNKNOWN if answer.sent else Outcome.LATER, f"reload: {answer.why}", after=5.0)
            if not 200 <= answer.status < 300:
                return Reply(Outcome.REFUSED, f"reload: it answered with status {answer.status}")
        return self._healthy()

    def probe(self, handover: Handover) -> Reply:
        """Does it accept the new value, and no longer the old one?"""
        if not self.probe_url:
            return Reply(Outcome.UNKNOWN, "it has no probe URL")
        new, why = self._accepts(handover.new)
        old: bool | None = False
        if new is not None and handover.old is not None and handover.old != handover.new:
            old, why = self._accepts(handover.old)
        if new and old is False:
            return Reply(Outcome.OK, proof=f"{self.probe_url} accepts version {handover.new_version} only")
        if old and new is False:
            return Reply(Outcome.REFUSED, "it accepts the old value and refuses the new")
        told = "it accepts both values" if new and old else "it accepts neither value" if new is False else why
        return Reply(Outcome.LATER, told, after=5.0)

    def prove(self, handover: Handover) -> Reply:
        """Is it healthy, and, where it can be asked, does it accept the new value?"""
        well = self._healthy()
        if well.outcome is not Outcome.OK or not self.probe_url:
            return well
        if self.validates:
            return self.probe(handover)
        new, why = self._accepts(handover.new)
        if new:
            return Reply(Outcome.OK, proof=f"{self.probe_url} accepts version {handover.new_version}")
        refused = Reply(Outcome.REFUSED, "it refuses the new value")
        return refused if new is False else Reply(Outcome.LATER, why, after=5.0)

    def preflight(self, handover: Handover) -> Reply:
        """Is it healthy, and does it accept what is current?"""
        well = self._healthy()
        if well.outcome is not Outcome.OK or not self.probe_url:
            return well
        accepted, why = self._accepts(handover.new)
        if accepted is None:
            return Reply(Outcome.LATER, why)
        return Reply(Outcome.OK) if accepted else Reply(Outcome.REFUSED, not_current(handover.name))

    def describe(self) -> str:
        """One line for `--dry-run` and docs."""
        parts = [("reloaded by POST to", self.reload_url), ("healthy at", self.health), ("tried at", self.probe_url)]
        return ", ".join(f"{words} {url}" for words, url in parts if url)

    def _limits(self) -> http.Limits:
        return http.Limits(read=min(20.0, self.timeout), total=min(30.0, self.timeout))

    def _healthy(self) -> Reply:
        """OK without a proof: a health URL does not show which value it uses."""
        if not self.health:
            return Reply(Outcome.OK, "it has no health URL")
        end, told = time.monotonic() + self.timeout, ""
        while True:
            answer = http.send(http.Call("GET", self.health), self._limits())
            if isinstance(answer, http.Answered) and 200 <= answer.status < 300:
                return Reply(Outcome.OK, f"healthy ({answer.status}); that does not show which value it uses")
            told = answer.why if isinstance(answer, http.Lost) else f"status {answer.status}"
            if time.monotonic() >= end:
                return Reply(Outcome.REFUSED, f"it did not become healthy within {self.timeout:g} s: {told}")
            self.sleep(0.2)

    def _accepts(self, value: SecretValue) -> tuple[bool | None, str]:
        """Whether it accepts the value; None, and why, when that cannot be told."""
        try:
            text = value.reveal_text()
        except ValueError:
            return None, "the value is no text, so it cannot be tried in a header"
        header = ("Authorization", f"Bearer {text}") if self.auth == BEARER else (self.auth, text)
        answer = http.send(http.Call("GET", self.probe_url, dict([header])), self._limits())
        if isinstance(answer, http.Lost):
            return None, f"probe: {answer.why}"
        if 200 <= answer.status < 300:
            return True, ""
        return (False, "") if answer.status in _REFUSED else (None, f"probe: status {answer.status}")


def _conforms(consumer: HttpConsumer) -> Consumer:
    return consumer
