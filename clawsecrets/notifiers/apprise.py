"""Sends one message by Apprise, or says whether an address can be read: a process of its own, started for each.

A process, because the library logs addresses, remembers them and waits as long as a server likes: here all of that ends
with the process, and nothing it writes is kept. Standard input is one JSON object (see courier.py), standard output
another: `outcome`, and `detail` that is made of numbers and words of our own, never of what was logged or answered.

Started with an environment that holds no APPRISE_… variable; no configuration file, plugin folder, template or cache of
Apprise is read. Redirects are not followed.
"""

from __future__ import annotations

import json
import logging
import os
import re
import signal
import sys
from collections.abc import Mapping
from typing import Any

from clawsecrets.clients.straight import never_redirect

_HTTP, _SMTP = re.compile(r"error=(\d{3})\b"), re.compile(r"\((\d{3}), b['\"]")
_UNTRUSTED, _LATE = "CERTIFICATE_VERIFY_FAILED", re.compile(r"timed out|timeout", re.IGNORECASE)
_NAMELESS = re.compile(r"Name or service not known|NameResolutionError|failure in name resolution")
_NOT_NOW = frozenset({"408", "425", "429"})
"""HTTP: too slow, too early, too many. Each is 4xx, and says nothing against the address."""
_ERRNO = re.compile(r"\[Errno (\d+)\]")


class Hearing(logging.Handler):
    """Listens to the library's log for why it failed. Keeps numbers and words of its own, nothing of a line."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.why = ""
        self.refused = False
        """A service said no, for good: HTTP 4xx, SMTP 5xx (RFC 5321, 4.2.1). HTTP 5xx and SMTP 4xx are not now."""
        self._answered = False

    def emit(self, record: logging.LogRecord) -> None:
        """The most telling line wins: a service's answer, then what kept it from answering."""
        try:
            text = record.getMessage()
        except (TypeError, ValueError):
            return
        for sign, words, final in ((_HTTP, "HTTP", "4"), (_SMTP, "SMTP", "5")):
            if found := sign.search(text):
                self.why, self._answered = f"the service answered {words} {found[1]}", True
                self.refused = found[1][0] == final and found[1] not in _NOT_NOW
                return
        if not self._answered:
            self.why = _hindrance(text) or self.why


def _hindrance(text: str) -> str:
    if _UNTRUSTED in text:
        return "its TLS certificate is not trusted"
    if _NAMELESS.search(text):
        return "the name of its host cannot be resolved"
    if found := _ERRNO.search(text):
        return f"no connection: {os.strerror(int(found[1]))}"
    return "it did not answer in time" if _LATE.search(text) else ""


def listen() -> Hearing:
    """From now on nothing of any log goes anywhere but to the one who listens."""
    hearing = Hearing()
    logging.disable(logging.NOTSET)
    root = logging.getLogger()
    root.handlers[:] = [logging.NullHandler()]
    library = logging.getLogger("apprise")
    library.handlers[:] = [hearing]
    library.setLevel(logging.DEBUG)
    library.propagate = False
    return hearing


def service_of(address: str) -> Any | None:
    """The library's sender for an address; None when it cannot read it."""
    import apprise

    asset = apprise.AppriseAsset(app_id="clawsecrets", app_desc="clawsecrets", app_url="", async_mode=False,
                                 secure_logging=True, storage_mode="memory")
    sender = apprise.Apprise.instantiate(address, asset=asset)
    if sender is not None and sender.overflow_mode == apprise.OverflowMode.UPSTREAM:
        sender.overflow_mode = apprise.OverflowMode.SPLIT  # a service cuts what is too long, or refuses it
    return sender


def answer(order: Mapping[str, Any], hearing: Hearing) -> dict[str, str]:
    """Do what was ordered."""
    sender = service_of(str(order["address"]))
    if sender is None:
        return {"outcome": "unreadable", "detail": ""}
    service = str(sender.service_name)
    if order["do"] == "check":
        return {"outcome": "ok", "detail": service}
    import apprise

    taken = sender.notify(body=order["body"], title=order["title"], notify_type=apprise.NotifyType(order["kind"]),
                          body_format=apprise.NotifyFormat.TEXT)
    if taken:
        return {"outcome": "ok", "detail": service}
    why = hearing.why or "the service did not take it"
    return {"outcome": "refused" if hearing.refused else "later", "detail": f"{service}: {why}"}


def main() -> None:
    """Read the order, carry it out, print the answer."""
    order = json.loads(sys.stdin.buffer.read())
    signal.alarm(int(order["timeout"]) + 5)  # whoever started this may be gone
    never_redirect()
    print(json.dumps(answer(order, listen())))


if __name__ == "__main__":
    main()
