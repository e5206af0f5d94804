"""Hosts of their own on one machine: network namespaces on a bridge, which can be cut off or kept apart.

    with Network("node0", "node1", "host-a") as net:
        net.address("node0")                        # reachable from here, and from each other
        net.prefix("node0")                         # what a command begins with that runs there
        net.cut("node0"); net.join("node0")         # its cable
        net.apart("node0", ["node1"])               # these two hear nothing of each other; `join` ends that too

Needs root, `ip` and `iptables`. The bridge stands in a namespace of its own, so no rule of this machine counts, and
nothing here is changed but one interface, which is gone at the end. Not a test file: tests import it.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import shutil
import subprocess
from collections.abc import Collection, Sequence
from types import TracebackType
from typing import Self

_count = itertools.count()


def missing() -> str:
    """Why there can be no namespaces here; empty when there can."""
    if absent := [name for name in ("ip", "iptables", "unshare", "nsenter") if shutil.which(name) is None]:
        return f"network namespaces need {', '.join(absent)} (apt: iproute2, iptables, util-linux)"
    name = f"claw{os.getpid()}-try"
    made = subprocess.run(["ip", "netns", "add", name], capture_output=True, text=True, check=False)
    if made.returncode:
        return f"network namespaces cannot be made here: {made.stderr.strip()}"
    subprocess.run(["ip", "netns", "del", name], check=False)
    return ""


def ensure_installed() -> None:
    """Nothing to install here. RuntimeError when they cannot be made."""
    if reason := missing():
        raise RuntimeError(reason)


class Network:
    """One bridge with a member for each name, and this machine itself (`gateway`)."""

    def __init__(self, *names: str) -> None:
        self._names = names
        self._id = f"claw{os.getpid()}x{next(_count)}"
        # 198.18.0.0/15 is set aside for tests of network devices (RFC 2544): no host uses it
        self._net = f"198.{18 + os.getpid() // 256 % 2}.{os.getpid() % 256}"
        self._hub = f"{self._id}-hub"
        self._link = f"{self._id[4:]}r"
        self.gateway = f"{self._net}.1"

    def address(self, name: str) -> str:
        return f"{self._net}.{10 + self._names.index(name)}"

    def prefix(self, name: str) -> Sequence[str]:
        return "ip", "netns", "exec", f"{self._id}-{name}"

    def __enter__(self) -> Self:
        try:
            self._make()
        except BaseException:
            self.close()
            raise
        return self

    def _make(self) -> None:
        _ip("netns", "add", self._hub)
        _ip("-n", self._hub, "link", "add", "bridge", "type", "bridge")
        _ip("-n", self._hub, "link", "set", "bridge", "up")
        _ip("link", "add", self._link, "type", "veth", "peer", "name", "here", "netns", self._hub)
        _ip("addr", "add", f"{self.gateway}/24", "dev", self._link)
        _ip("link", "set", self._link, "up")
        self._plug("here")
        for name in self._names:
            space = f"{self._id}-{name}"
            _ip("netns", "add", space)
            _ip("-n", space, "link", "set", "lo", "up")
            _ip("-n", space, "link", "add", "eth0", "type", "veth", "peer", "name", name, "netns", self._hub)
            _ip("-n", space, "addr", "add", f"{self.address(name)}/24", "dev", "eth0")
            _ip("-n", space, "link", "set", "eth0", "up")
            self._plug(name)

    def _plug(self, port: str) -> None:
        _ip("-n", self._hub, "link", "set", port, "master", "bridge", "up")

    def cut(self, name: str) -> None:
        """Nothing reaches it, and nothing comes from it; connections that stand hang."""
        _ip("-n", self._hub, "link", "set", name, "down")

    def apart(self, name: str, others: Collection[str]) -> None:
        """The same between it and these others alone."""
        for other in others:
            for chain, side in (("INPUT", "-s"), ("OUTPUT", "-d")):
                _run(*self.prefix(name), "iptables", "-w", "-A", chain, side, self.address(other), "-j", "DROP")

    def join(self, name: str) -> None:
        """End both."""
        _ip("-n", self._hub, "link", "set", name, "up")
        _run(*self.prefix(name), "iptables", "-w", "-F")

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Remove everything. Safe to call twice."""
        for space in (*(f"{self._id}-{name}" for name in self._names), self._hub):
            with contextlib.suppress(RuntimeError):
                _ip("netns", "del", space)
        with contextlib.suppress(RuntimeError):  # it goes with its peer in the hub, as soon as that is free
            _ip("link", "del", self._link)


def _ip(*words: str) -> None:
    _run("ip", *words)


def _run(*words: str) -> None:
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(words)}: {done.stderr.strip()}")
