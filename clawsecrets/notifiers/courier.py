"""Starts the processes that send (apprise.py), all of a round at once, and gives each its time.

The address and the message go by standard input; what the library writes is thrown away. One that is not back in time
is killed, and its outcome is UNKNOWN: the message may have arrived.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from clawsecrets.clients import own_module
from clawsecrets.model.notice import Severity
from clawsecrets.model.rotation import Outcome
from clawsecrets.model.secret import SecretValue
from clawsecrets.notifiers.rendering import Message
from clawsecrets.ports import Reply

KINDS = {Severity.INFO: "info", Severity.WARNING: "warning", Severity.ERROR: "failure", Severity.CRITICAL: "failure"}
_OUTCOMES = {"ok": Outcome.OK, "refused": Outcome.REFUSED, "later": Outcome.LATER}
_KEPT = (
    "TZ", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "all_proxy", "no_proxy",
    "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE", "SSL_CERT_DIR",
)
"""What else of the environment counts: the time zone, proxies, certificates."""
UNREADABLE = "its address is not one that Apprise can read"


@dataclass(frozen=True, slots=True)
class Parcel:
    """One message and where it goes."""

    address: SecretValue
    message: Message


class Courier(Protocol):
    """Brings messages."""

    def bring(self, parcels: Sequence[Parcel], timeout: float) -> Sequence[Reply]:
        """All at once, each for at most `timeout` seconds. OK taken; REFUSED the service says no, or the address
        cannot be read; LATER not now; UNKNOWN it may have arrived."""


class AppriseCourier:
    """By Apprise."""

    def bring(self, parcels: Sequence[Parcel], timeout: float) -> Sequence[Reply]:
        """See Courier."""
        orders = [_order(parcel.address, "send", timeout, title=parcel.message.title, body=parcel.message.body,
                         kind=KINDS[parcel.message.severity]) for parcel in parcels]
        return _carried_out(orders, timeout)

    def check(self, address: SecretValue, timeout: float) -> Reply:
        """Whether the address can be read; sends nothing. OK names the service in `detail`."""
        return _carried_out([_order(address, "check", timeout)], timeout)[0]


def _order(address: SecretValue, do: str, timeout: float, **more: str) -> bytes:
    try:
        text = address.reveal_text()
    except ValueError:
        text = ""
    return json.dumps({"do": do, "address": text, "timeout": timeout, **more}).encode()


def _carried_out(orders: Sequence[bytes], timeout: float) -> list[Reply]:
    end = time.monotonic() + timeout
    started = [_start(order) for order in orders]
    return [_ended(process, max(0.0, end - time.monotonic()), timeout) for process in started]


def _start(order: bytes) -> subprocess.Popen[bytes] | None:
    given = {"HOME": "/nonexistent", "NETRC": os.devnull, "LANG": "C.UTF-8"}
    try:
        process = own_module.start("clawsecrets.notifiers.apprise", given, _KEPT)
    except OSError:
        return None
    assert process.stdin is not None
    with contextlib.suppress(OSError):
        process.stdin.write(order)
        process.stdin.close()
    return process


def _ended(process: subprocess.Popen[bytes] | None, left: float, timeout: float) -> Reply:
    if process is None:
        return Reply(Outcome.LATER, "the process that sends could not be started")
    assert process.stdout is not None
    with process.stdout as output:
        try:
            process.wait(left)  # what it prints is far less than a pipe holds
        except subprocess.TimeoutExpired:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            return Reply(Outcome.UNKNOWN, f"no answer within {timeout:g} s")
        return _reply(output.read(1 << 16))


def _reply(said: bytes) -> Reply:
    try:
        plain = json.loads(said)
    except ValueError:
        plain = None
    if not isinstance(plain, Mapping):
        return Reply(Outcome.LATER, "the process that sends ended without a word")
    if plain.get("outcome") == "unreadable":
        return Reply(Outcome.REFUSED, UNREADABLE)
    return Reply(_OUTCOMES.get(str(plain.get("outcome")), Outcome.UNKNOWN), str(plain.get("detail", "")))
