"""The daemon for ten minutes at intervals of seconds, against HTTP fakes and a real OpenClaw gateway, killed (SIGKILL)
every few seconds; then unkilled, then idle. The figures go to bench/results/daemon.json.

    DAEMON_SOAK_SECONDS=60 python -m bench.soak daemon       a short one
"""

from __future__ import annotations

import json
import os
import random
import secrets
import signal
import subprocess
import time
from collections import Counter
from pathlib import Path
from typing import IO

import pytest

from bench import figures
from clawsecrets.clients.gateway import accepts
from tests.fake_provider import ADMIN, FakeProvider
from tests.real.deployment import SCRIPT, TOKEN, Deployment
from tests.waiting import LONG, until

pytestmark = [pytest.mark.real, pytest.mark.soak]

SECONDS = float(os.environ.get("DAEMON_SOAK_SECONDS", "600"))
KILLED, STEADY, IDLE = 0.7, 0.2, 0.1
"""Shares of the time: with kills; without; with nothing to do."""
PAUSES = (2.0, 8.0)
"""Seconds that a daemon lives, evenly spread."""
KEYS, ROLLS = ("acme-one", "acme-two", "acme-three", "acme-four"), ("roll-one",)
PROVIDERS = Path(__file__).parents[1] / "data" / "providers"
MOST_GROWTH_KIB = 8192
MOST_IDLE_PERCENT = 0.5
TICKS = os.sysconf("SC_CLK_TCK")


def settings(fake: FakeProvider, here: Deployment, every: str) -> str:
    """The configuration of the daemon; `every` is an acme key's interval."""
    lines = [f'[providers.{code}]\nbase_url = "{fake.url}"' for code in ("acme", "rollco")]
    lines += [f'[schedule.secrets.{name}]\nevery = "{every}"\njitter = "0"' for name in (*KEYS, *ROLLS)]
    lines += [f'[schedule.secrets.{TOKEN}]\nevery = "{every if every.endswith("d") else "15s"}"\njitter = "0"']
    lines += [f'[injectors.out]\nkind = "directory"\npath = "{here.base}/out"',
              '[consumers.app]\nkind = "command"\nprobe = ["true"]',
              '[schedule]\nstagger = "0"\nbackoff = "2s"\nbackoff_most = "5s"\nattempts = 1000',
              '[daemon]\ntick = "1s"\ntakeover = "10s"\nlog = "json"\nlisten = "nowhere"']
    return "\n".join(lines) + "\n"


def furnish(here: Deployment, fake: FakeProvider) -> str:
    """A store with a gateway token, keys that overlap and a token that cuts over; gives the configuration without the
    schedule."""
    here.make_store(f"OPENCLAW_GATEWAY_TOKEN={secrets.token_hex(24)}")
    base = f'providers_dirs = ["{PROVIDERS}"]\n' + here.settings.read_text()
    here.settings.write_text(base + settings(fake, here, "1d"))
    for name in KEYS:
        key = fake.seed("acme")
        here.claw("set", name, "--provider", "acme", stdin=key.value)
        here.claw("configure", name, "--handle", key.handle, "--inject", "out", "--consume", "app")
    for name in ROLLS:
        here.claw("set", name, "--provider", "rollco", stdin=fake.seed("rollco").value)
        here.claw("configure", name, "--inject", "out", "--consume", "app")
    for code in ("acme", "rollco"):
        here.claw("set", f"{code}-admin", stdin=ADMIN)
        here.claw("configure", f"{code}-admin", "--interval", "never")
    here.bind()
    here.gateway.start()
    return base


class Daemon:
    """One daemon process; its log is added to `log`."""

    def __init__(self, here: Deployment, log: IO[bytes]) -> None:
        self.process = subprocess.Popen([str(SCRIPT), "daemon"], env=here.environment, cwd=here.base, stdout=log,
                                        stderr=log, stdin=subprocess.DEVNULL)

    @property
    def rss(self) -> int:
        """KiB."""
        words = Path(f"/proc/{self.process.pid}/status").read_text().split()
        return int(words[words.index("VmRSS:") + 1])

    @property
    def cpu(self) -> float:
        """Seconds of processor time, its children's too."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return sum(int(field) for field in fields[11:15]) / TICKS

    def kill(self) -> None:
        """SIGKILL."""
        self.process.kill()
        self.process.wait(LONG)

    def end(self) -> int:
        """SIGTERM; its exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(LONG)


def states(here: Deployment) -> Counter[str]:
    """How many rotations entered each state, by the audit log."""
    return Counter(str(event["action"]) for event in here.asked("audit-log", "show", "--last", "0")["events"])


def under_kills(here: Deployment, fake: FakeProvider, log: IO[bytes], rng: random.Random, seconds: float) -> int:
    """Start it and kill it, again and again, with a provider that misbehaves at times. How often it was killed."""
    end, kills = time.monotonic() + seconds, 0
    while time.monotonic() < end:
        daemon = Daemon(here, log)
        time.sleep(rng.uniform(*PAUSES))
        if rng.random() < 0.2:
            fake.fault(rng.choice(("create", "revoke", "roll")), "reset", when=rng.choice(("before", "after")))
        daemon.kill()
        kills += 1
    return kills


def settle(here: Deployment) -> None:
    """No more beginnings, and the usual pace; what is unfinished or owed is brought to its end by the daemon."""
    text = here.settings.read_text()
    for every in ("4s", "15s"):
        text = text.replace(f'every = "{every}"', 'every = "9999d"')
    here.settings.write_text(text.replace('tick = "1s"\ntakeover = "10s"\n', ""))


def quiet(here: Deployment) -> bool:
    """Whether no rotation is unfinished and nothing is owed."""
    unfinished = json.loads(here.claw("rotations", "--json", code=None))["rotations"]
    owed = json.loads(here.claw("revocations", "--json", code=None))["revocations"]
    return not unfinished and not owed


def test_ten_minutes(random_seed: int) -> None:
    print(f"seed {random_seed}, {SECONDS:.0f} s")
    rng, machine = random.Random(random_seed), figures.machine()
    with FakeProvider() as fake, Deployment() as here, open(here.base / "daemon.log", "ab") as log:
        base = furnish(here, fake)
        here.settings.write_text(base + settings(fake, here, "4s"))
        kills = under_kills(here, fake, log, rng, SECONDS * KILLED)
        after_kills = states(here)

        fake.clear()
        steady = Daemon(here, log)
        until(lambda: states(here)["rotation.done"] > after_kills["rotation.done"] + 3, "rotations without kills")
        before_rss, begun = steady.rss, states(here)["rotation.done"]
        time.sleep(SECONDS * STEADY)
        after_rss = steady.rss
        settle(here)
        steady.process.send_signal(signal.SIGHUP)
        until(lambda: quiet(here), "everything at its end")
        counted = states(here)
        before_cpu, began = steady.cpu, time.monotonic()
        time.sleep(max(30.0, SECONDS * IDLE))
        idle = 100 * (steady.cpu - before_cpu) / (time.monotonic() - began)
        assert steady.end() == 0

        live = {item.value for item in fake.live("acme").values()}
        ours = {here.value(name).reveal().decode() for name in KEYS}
        orphans = len(live - ours) + max(0, len(fake.live("rollco")) - len(ROLLS))
        token_works = accepts(here.gateway.url, here.value(), LONG)
        here.claw("audit-log", "verify")
        found = {
            "seconds": SECONDS, "seed": random_seed, "kills": kills, "rotations": counted["rotation.done"],
            "rotations_under_kills": after_kills["rotation.done"], "failed": counted["rotation.aborted"],
            "stuck": counted["rotation.stuck"], "orphans": orphans, "rss_kib_start": before_rss,
            "rss_kib_end": after_rss, "idle_cpu_percent": round(idle, 3), "secrets": len(KEYS) + len(ROLLS) + 1,
            "steady_rotations": counted["rotation.done"] - begun,
        }
        print(json.dumps(found))
        figures.write("daemon", machine, found)
    assert live >= ours and token_works, found
    assert orphans == 0, found
    assert counted["rotation.done"] > SECONDS / 10, found
    assert after_rss - before_rss < MOST_GROWTH_KIB, found
    assert idle < MOST_IDLE_PERCENT, found
