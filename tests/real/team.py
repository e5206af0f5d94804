"""Two hosts of a team on one cluster: a daemon and a service on each, one store, one provider; and what must hold.

    with Team(cluster, fake, ca, keys=4, every=8) as team:
        team.a.start(); team.b.start()              # the daemons
        team.a.kill(); team.a.start()
        team.settle()                               # no more beginnings; everything comes to its end
        team.judge()                                # what must hold then; gives the figures

A host is a home of its own (CLAWSECRETS_HOME, `host`, targets) and, with a network, a machine of its own as far as
the kernel can make one: network, process and host name. They log in by AppRole, as rotators. Not a test file.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.cli.desk import PROVIDERS, ROOT, SCRIPT, Ran
from tests.daemon.running import free_port
from tests.fake_provider import FakeProvider
from tests.real.network import Network
from tests.real.openbao import Cluster, die_with_parent
from tests.waiting import LONG, until

PREFIX = "team/claw"
UNFINISHED, DAMAGED = 1, 3
"""Exit codes."""


class Host:
    """One host. `inside`: what a command begins with that runs there."""

    def __init__(self, name: str, root: Path, inside: Sequence[str] = ()) -> None:
        self.name, self.root, self._net = name, root, inside
        self.inside: Sequence[str] = ()
        self.port = free_port()
        self.home, self.log = root / "home", root / "daemon.log"
        self.home.mkdir(parents=True)
        self.env = {"PATH": f"{SCRIPT.parent}:{os.defpath}", "HOME": str(root), "LANG": "C.UTF-8",
                    "CLAWSECRETS_HOME": str(self.home)}
        self._machine: subprocess.Popen[bytes] | None = None
        self._app: subprocess.Popen[bytes] | None = None
        self.daemon: subprocess.Popen[bytes] | None = None
        self.starts = 0

    def power_on(self) -> None:
        """Its own process ids and host name: none of the other host's processes is seen by it, dead or alive."""
        if not self._net:
            return
        waits = f'hostname {self.name}; echo up > {self.root}/up; exec sleep infinity'
        self._machine = subprocess.Popen(
            [*self._net, "unshare", "--pid", "--fork", "--mount-proc", "--uts", "--kill-child", "sh", "-c", waits],
            stdin=subprocess.DEVNULL, preexec_fn=die_with_parent)
        until((self.root / "up").exists, f"host {self.name}")
        self.inside = ("nsenter", "-t", str(_child(self._machine.pid)), "-p", "-m", "-n", "-u")

    def run(self, *words: str, stdin: str = "", env: dict[str, str] | None = None) -> Ran:
        """A command there."""
        done = subprocess.run([*self.inside, str(SCRIPT), *words], input=stdin, env={**self.env, **(env or {})},
                              cwd=self.root, capture_output=True, text=True, check=False, timeout=LONG)
        return Ran(done.stdout, done.stderr, done.returncode)

    def ok(self, *words: str, stdin: str = "") -> Ran:
        ran = self.run(*words, stdin=stdin)
        assert ran.code == 0, (self.name, words, ran)
        return ran

    def asked(self, *words: str) -> Any:
        """The JSON of a command that may have found work left."""
        ran = self.run(*words, "--json")
        assert ran.code in (0, UNFINISHED), (self.name, words, ran)
        return json.loads(ran.out)

    # --- its processes ----------------------------------------------------------------------------------------------

    def serve(self, provider: str, ca: Path) -> None:
        """Start the service that uses the keys."""
        words = (sys.executable, "-m", "tests.real.team_app", str(self.root / "app.env"), str(self.port), provider,
                 str(ca), str(self.root / "fared.json"))
        self._app = subprocess.Popen([*self.inside, *words], cwd=ROOT, env=self.env, stdin=subprocess.DEVNULL,
                                     start_new_session=True, preexec_fn=die_with_parent)

    def start(self) -> None:
        """Start the daemon."""
        self.starts += 1
        with self.log.open("ab") as log:
            self.daemon = subprocess.Popen([*self.inside, str(SCRIPT), "daemon"], stdin=subprocess.DEVNULL, stdout=log,
                                           stderr=log, env=self.env, cwd=self.root, start_new_session=True,
                                           preexec_fn=die_with_parent)

    def kill(self) -> None:
        """SIGKILL to the daemon, and wait until it is gone."""
        _end(self.daemon)
        self.daemon = None

    def end(self) -> None:
        """SIGTERM to the daemon, and wait."""
        assert self.daemon is not None
        os.kill(_child(self.daemon.pid) if self.inside else self.daemon.pid, signal.SIGTERM)
        assert self.daemon.wait(LONG) == 0, self.log.read_text()[-3000:]
        self.daemon = None

    @property
    def runs(self) -> bool:
        return self.daemon is not None and self.daemon.poll() is None

    def power_off(self) -> None:
        for process in (self.daemon, self._app, self._machine):
            _end(process)

    # --- what it says ------------------------------------------------------------------------------------------------

    def events(self, name: str = "") -> list[dict[str, Any]]:
        """What its daemons logged so far, of that kind."""
        lines = self.log.read_text().splitlines() if self.log.exists() else []
        found = [json.loads(line) for line in lines if line.startswith('{"') and line.endswith("}")]
        return [event for event in found if not name or event["event"] == name]

    @property
    def leads(self) -> bool:
        """Whether its daemon led when it last said anything about that."""
        said = [event["event"] for event in self.events()
                if event["event"] in ("daemon.leads", "daemon.stands-by", "daemon.lost-lead", "daemon.start")]
        return bool(said) and said[-1] == "daemon.leads"

    @property
    def fared(self) -> dict[str, int]:
        """How its service's uses of the keys went."""
        found: dict[str, int] = json.loads((self.root / "fared.json").read_text())
        return found

    def holds(self) -> dict[str, str]:
        """What its target holds, by variable."""
        return dict(line.split("=", 1) for line in (self.root / "app.env").read_text().splitlines())


def _child(pid: int) -> int:
    """The process that this one started and waits for."""
    found: list[int] = []

    def there() -> bool:
        found[:] = [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
        return bool(found)

    until(there, f"a child of {pid}")
    return found[0]


def _end(process: subprocess.Popen[bytes] | None) -> None:
    if process is None:
        return
    if process.poll() is None and os.getpgid(process.pid) == process.pid:
        os.killpg(process.pid, signal.SIGKILL)  # with the child, where it runs on a machine of its own
    process.kill()
    process.wait(LONG)


class Team:
    """Hosts a and b. `every`: the interval in seconds; `patience`: of the store, in seconds."""

    def __init__(self, cluster: Cluster, fake: FakeProvider, ca: Path, keys: int, every: int,
                 network: Network | None = None, patience: int = 10) -> None:
        self.cluster, self.fake, self.ca, self.every, self.patience = cluster, fake, ca, every, patience
        self.root = Path(tempfile.mkdtemp(prefix="claw-team-"))
        self.a, self.b = (Host(name, self.root / name, network.prefix(name) if network else ())
                          for name in ("host-a", "host-b"))
        self.hosts = (self.a, self.b)
        self.keys = [f"acme-{number}" for number in range(keys)]

    def __enter__(self) -> Self:
        try:
            self._set_up()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """End everything and remove every file."""
        for host in self.hosts:
            host.power_off()
        shutil.rmtree(self.root, ignore_errors=True)

    # --- setting up ---------------------------------------------------------------------------------------------------

    def _set_up(self) -> None:
        url = f"vault+{self.cluster.nodes[0].url}/secret/{PREFIX}"
        self._store = (f'[store]\nurl = "{url}"\n[store.vault]\nca_cert = "{self.cluster.ca_file}"\n'
                       f'patience = "{self.patience}s"\n'
                       f'nodes = {json.dumps([node.url for node in self.cluster.nodes[1:]])}\n')
        for host in self.hosts:
            host.power_on()
            self.configure(host, "")
        self.cluster.policy("admin", self.a.ok("vault", "policy", "--role", "admin").out)
        made = self.a.run("init", env={"VAULT_TOKEN": self.cluster.make_token("admin")})
        assert made.code == 0, made
        self._roles()
        for host in self.hosts:
            self.configure(host, "9999d")
            host.serve(self.fake.url, self.ca)
        self._fill()

    def _roles(self) -> None:
        """Each host logs in by itself, under the policy that is printed, for a minute at a time."""
        self.cluster.policy("rotator", self.a.ok("vault", "policy").out)
        self.cluster.api("POST", "sys/auth/approle", {"type": "approle"})
        self.cluster.api("POST", "auth/approle/role/rotator", {"token_policies": "rotator", "token_ttl": "60s",
                                                               "token_max_ttl": "180s"})
        self._role = self.cluster.api("GET", "auth/approle/role/rotator/role-id")["data"]["role_id"]
        for host in self.hosts:
            made = self.cluster.api("POST", "auth/approle/role/rotator/secret-id")["data"]["secret_id"]
            file = host.root / "secret-id"
            file.touch(0o600)
            file.write_text(made)

    def configure(self, host: Host, every: str) -> None:
        """Write a host's configuration; no interval yet: before there is a role."""
        login = (f'auth = "approle"\nrole_id = "{self._role}"\nsecret_id_file = "{host.root}/secret-id"\n'
                 if every else "")
        app = f"http://127.0.0.1:{host.port}"
        schedule = "".join(f'[schedule.secrets.{key}]\nevery = "{every}"\njitter = "0"\n' for key in self.keys if every)
        (host.home / "clawsecrets.toml").write_text(
            f'host = "{host.name}"\nproviders_dirs = ["{PROVIDERS}"]\n{self._store}{login}'
            f'[providers.acme]\nbase_url = "{self.fake.url}"\nca_bundle = "{self.ca}"\ntimeout = "5s"\n'
            f'[injectors.out]\nkind = "env-file"\npath = "{host.root}/app.env"\ndialect = "docker"\n'
            f'[consumers.app]\nkind = "http"\nreads = ["out"]\nhealth = "{app}/health"\nprobe = "{app}/probe"\n'
            f'reload = "{app}/reload"\nauth = "bearer"\ntimeout = "5s"\n'
            '[rotation]\nlease = "10s"\npatience = "1s"\n'
            f'[schedule]\nstagger = "0"\nbackoff = "2s"\nbackoff_most = "5s"\nattempts = 1000\n{schedule}'
            '[daemon]\ntick = "1s"\ntakeover = "5s"\nlog = "json"\nlisten = "nowhere"\n')

    def _fill(self) -> None:
        self.a.ok("set", "acme-admin", stdin=self.fake.admin)
        self.a.ok("configure", "acme-admin", "--interval", "never")
        for key in self.keys:
            made = self.fake.seed("acme", f"by-hand-{key}")
            self.a.ok("set", key, "--provider", "acme", "--env", self.variable(key), stdin=made.value)
            self.a.ok("configure", key, "--handle", made.handle, "--inject", "out", "--consume", "app")
            self.b.ok("configure", key, "--inject", "out", "--consume", "app")
        for host in self.hosts:
            host.ok("sync")

    @staticmethod
    def variable(key: str) -> str:
        return key.upper().replace("-", "_")

    def go(self) -> None:
        """Rotate from now on, and start both daemons."""
        for host in self.hosts:
            self.configure(host, f"{self.every}s")
            host.start()

    # --- looking ------------------------------------------------------------------------------------------------------

    def rotated(self) -> int:
        """How many rotations ended well, by what the daemons said: at least."""
        return sum(event["state"] == "done" for host in self.hosts for event in host.events("rotation.end"))

    def until_rotated(self, more: int) -> None:
        """Wait for some more. Both hosts must be there for that."""
        goal = self.rotated() + more
        self.until(lambda: self.rotated() >= goal, f"{more} more rotations")

    def until(self, there: Callable[[], object], what: str) -> None:
        """Wait for it; with the last words of both daemons where it does not come."""
        try:
            until(there, what)
        except AssertionError as error:
            told = "".join(f"\n{host.name}:\n{host.log.read_text()[-3000:]}" for host in self.hosts)
            raise AssertionError(f"{error}{told}") from None

    def settle(self) -> None:
        """No more beginnings, and no more faults: everything that is unfinished or owed comes to its end."""
        self.cluster.wait_writable()
        for host in self.hosts:
            if host.runs:
                host.end()
            self.configure(host, "9999d")
            host.start()

        def quiet() -> bool:
            left = [one["state"] for one in self.a.asked("rotations")["rotations"]]
            return set(left) <= {"stuck"} and not self.a.asked("revocations")["revocations"]

        self.until(quiet, "everything at its end")
        for host in self.hosts:
            self.until(lambda host=host: self._serves(host), f"the newest version on {host.name}")
            host.end()

    def _serves(self, host: Host) -> bool:
        return all(not one["behind"] for one in host.asked("hosts")["hosts"])

    def events(self) -> list[dict[str, Any]]:
        """The audit log."""
        found: list[dict[str, Any]] = self.a.asked("audit-log", "show", "--last", "0")["events"]
        return found

    # --- what must hold -----------------------------------------------------------------------------------------------

    def judge(self) -> dict[str, Any]:
        """All of it; the figures. AssertionError says what does not hold."""
        for host in self.hosts:
            assert host.ok("audit-log", "verify").out.startswith("whole:")
        checked = self.a.run("store", "check")
        assert checked.code == 0 and checked.out == "", checked
        found = self.books()
        for host in self.hosts:
            assert host.fared["refused"] == 0, f"an outage on {host.name}: {host.fared}"
        return {**self._figures(self.events()), **found}

    def books(self) -> dict[str, int]:
        """The provider's, held against the store and the hosts: what works, and who has it."""
        live = self.fake.live("acme")
        values = {item.value for item in live.values()}
        current = {key: self.a.ok("get", key, "--raw").out for key in self.keys}
        lost = [key for key, value in current.items() if value not in values]
        assert lost == [], f"lost: {lost}"
        owed = {one["handle"] for one in self.a.asked("revocations")["revocations"]}
        orphans = {handle for handle, item in live.items() if item.value not in current.values()} - owed
        assert orphans == set(), f"orphans: {orphans}"
        for host in self.hosts:
            held = host.holds()
            assert {key: held[self.variable(key)] for key in self.keys} == current, f"{host.name} is behind"
        return {"lost": len(lost), "orphans": len(orphans), "owed": len(owed)}

    def _figures(self, events: list[dict[str, Any]]) -> dict[str, Any]:
        ends, actors = self._ends(events), Counter(event["actor"].split("/")[0] for event in events
                                                   if event["action"] == "rotation.done")
        return {
            "keys": len(self.keys), "interval_s": self.every, "rotations": len(ends), **Counter(ends.values()),
            "early": self.early(events), "audit_events": len(events),
            "ended_by": dict(actors), "daemon_starts": sum(host.starts for host in self.hosts),
            "uses_of_keys": {how: sum(host.fared[how] for host in self.hosts) for how in self.a.fared},
        }

    def _ends(self, events: list[dict[str, Any]]) -> dict[str, str]:
        """How each rotation ended, by the audit log. All of them must have, in a way that is told."""
        last = {event["rotation"]: event["action"].removeprefix("rotation.") for event in events
                if event["rotation"] and event["action"].startswith("rotation.")}
        assert set(last.values()) <= {"done", "done-owed", "aborted", "aborted-owed", "stuck"}, Counter(last.values())
        return last

    def early(self, events: list[dict[str, Any]]) -> int:
        """How many rotations began before the interval of the version then current was over: none."""
        made: dict[tuple[str, int], float] = {}
        current: dict[str, list[int]] = defaultdict(lambda: [1])
        early = []
        for event in events:
            secret, version, action = event["secret"], event["version"], event["action"]
            if action == "rotation.created":
                made.setdefault((secret, version), event["at"])
            elif action == "rotation.published" and version != current[secret][-1]:
                current[secret].append(version)
            elif action == "rotation.demoted" and len(current[secret]) > 1:
                current[secret].pop()
            elif action == "rotation.planned" and event["detail"].get("step") == "begin":
                age = event["at"] - made.get((secret, current[secret][-1]), 0.0)
                if age < self.every - SLACK:
                    early.append((secret, version, age))
        assert early == [], early
        return len(early)


SLACK = 0.5
"""Seconds between the making of a version and the moment that its event names."""
