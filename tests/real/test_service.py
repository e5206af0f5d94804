"""The units under a real systemd: README's own lines install the service; it rotates, shut in, with a sealed key."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import canary
from tests.cli.desk import PROVIDERS
from tests.daemon.running import free_port
from tests.fake_provider import ADMIN, FakeProvider
from tests.real.machine import Machine
from tests.real.terminal import at_terminal
from tests.waiting import until

ROOT = Path(__file__).resolve().parents[2]
UNITS = ROOT / "config" / "systemd"
PYTHON = "/opt/python"
"""Where the machine sees this Python, whose own folder a service's user may not be able to enter."""
LIBRARIES = "/opt/libraries"
PATH = f"{os.defpath}:/usr/sbin:/usr/local/sbin"
KEY = "acme-api-key"
pytestmark = [pytest.mark.real("systemd"), pytest.mark.slow]
DROP_IN = "[Service]\nReadWritePaths=/srv/bot\n"
CONFIG = """providers_dirs = ["/etc/clawsecrets/providers"]
[daemon]
tick = "1s"
log = "json"
listen = "127.0.0.1:{port}"
[schedule]
stagger = "0"
[schedule.secrets.{key}]
every = "2s"
jitter = "0"
[providers.acme]
base_url = "{url}"
timeout = "5m"
[injectors.bot-files]
kind = "directory"
path = "/srv/bot/secrets"
[consumers.bot]
kind = "command"
reload = ["/bin/true"]
probe = ["/bin/true"]
reads = ["bot-files"]
"""


def documented() -> list[str]:
    """The lines of README that install the service."""
    section = (ROOT / "README.md").read_text().split("## Running it for years")[1]
    return [re.sub(r"\s+#.*", "", line) for line in section.split("```console\n")[1].split("```")[0].splitlines()]


def install(machine: Machine, wheel: Path) -> None:
    """`python3 -m venv` and `pip install .`, without a network: the wheel of this checkout, and beside it the libraries
    that the tests use. A Python that looks for its own library in its own folder is told where that is now."""
    machine.path("/etc/ld.so.conf.d/00-python.conf").write_text(f"{PYTHON}/lib\n")
    machine.run("ldconfig")
    machine.run(f"{PYTHON}/bin/python3", "-m", "venv", "--without-pip", "/opt/clawsecrets")
    packages = machine.run("/opt/clawsecrets/bin/python3", "-c", "import site; print(site.getsitepackages()[0])")
    machine.path(f"{packages.strip()}/libraries.pth").write_text(f"{LIBRARIES}\n")
    shutil.copy(wheel, machine.path("/opt/clawsecrets") / wheel.name)
    machine.run("/opt/clawsecrets/bin/python3", "-m", "pip", "install", "--quiet", "--no-deps", "--no-index",
                "--ignore-installed", f"/opt/clawsecrets/{wheel.name}")


class Service:
    """A machine on which README's lines were typed, but for the last: the service is not started yet."""

    def __init__(self, machine: Machine, fake: FakeProvider, wheel: Path) -> None:
        self.machine, self.fake, self.port = machine, fake, free_port()
        self.value = fake.seed("acme").value
        for line in documented()[:-1]:
            if line == "/opt/clawsecrets/bin/pip install .":
                continue
            elif line == "python3 -m venv /opt/clawsecrets":
                install(machine, wheel)
            elif line.startswith("clawsecrets-run init"):
                self._configure()
                self.terminal = at_terminal(machine.command(line.split(), "/checkout"), {"PATH": PATH})
            elif line.startswith("clawsecrets-run set"):
                self.run("set", KEY, "--provider", "acme", data=self.value)
            else:
                machine.run(*line.split(), folder="/checkout")
        self.run("set", "acme-admin", data=ADMIN)
        self.run("configure", KEY, "--handle", next(iter(fake.live("acme"))), "--inject", "bot-files", "--consume",
                 "bot")

    def _configure(self) -> None:
        file = self.machine.path("/etc/clawsecrets/clawsecrets.toml")
        assert "[daemon]" in file.read_text()
        file.write_text(CONFIG.format(port=self.port, key=KEY, url=self.fake.url))
        shutil.copytree(PROVIDERS, self.machine.path("/etc/clawsecrets/providers"))
        self.machine.run("install", "-d", "-o", "clawsecrets", "-g", "clawsecrets", "/srv/bot")

    def run(self, *words: str, data: str = "") -> str:
        """clawsecrets-run."""
        return self.machine.run("clawsecrets-run", *words, data=data.encode())

    def drop_in(self, text: str) -> None:
        """`systemctl edit clawsecrets`."""
        self.machine.run("sh", "-c", 'mkdir -p "$1"; printf %s "$2" > "$1/override.conf"; systemctl daemon-reload',
                         "sh", "/etc/systemd/system/clawsecrets.service.d", text)

    def shown(self, name: str, unit: str = "clawsecrets") -> str:
        """A property of a unit."""
        return self.machine.run("systemctl", "show", "--value", f"--property={name}", unit).strip()

    def journal(self, unit: str = "clawsecrets") -> list[dict[str, str]]:
        """What the service logged."""
        lines = self.machine.run("journalctl", "--output=cat", "-u", unit).splitlines()
        return [json.loads(line) for line in lines if line.startswith("{")]

    def until_logged(self, event: str, count: int = 1) -> None:
        """Wait for the daemon's own word of it; what else it says is in the failure."""
        try:
            until(lambda: self._logged(event) >= count, event)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.machine.run('journalctl', '--no-pager', '-n', '80')}") from None

    def _logged(self, event: str) -> int:
        lines = self.journal()
        assert {line["state"] for line in lines if line["event"] == "rotation.end"} <= {"done"}, "a rotation failed"
        return sum(line["event"] == event for line in lines)

    def until_due(self) -> None:
        """Wait until the key is to be rotated now, by the word of clawsecrets itself."""
        until(lambda: self._next() in ("begin", "go-on"), f"{KEY} is due")

    def _next(self) -> str:
        shown = json.loads(self.run("status", "--json"))
        return next(row["next"] for row in shown["secrets"] if row["name"] == KEY)

    def delivered(self) -> str:
        """What stands in the folder of the target."""
        (file,) = self.machine.path("/srv/bot/secrets").iterdir()
        return file.read_text()

    def alive(self) -> list[str]:
        """The values that the provider accepts."""
        return [item.value for item in self.fake.live("acme").values()]


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run([sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(folder),
                    str(ROOT)], check=True)
    (wheel,) = folder.glob("clawsecrets-*.whl")
    libraries = Path(pytest.__file__).parents[1]
    with (FakeProvider() as fake,
          Machine({Path(sys.base_prefix): PYTHON, libraries: LIBRARIES, ROOT: "/checkout"}) as machine):
        yield Service(machine, fake, wheel)


def test_the_service_rotates_shut_in_and_follows_systemd(service: Service) -> None:
    machine = service.machine
    assert re.search(r"\n    [0-9A-Z-]{20,}\n", service.terminal), "no recovery code was shown"
    # without the drop-in the target's folder cannot be written, for either of the two
    refused = machine.call("clawsecrets-run", "inject", KEY)
    assert refused.returncode == 6 and b"/srv/bot/secrets: Read-only file system" in refused.stdout, refused
    assert not machine.path("/srv/bot/secrets").exists()
    service.drop_in(DROP_IN)
    service.run("inject", KEY)

    machine.run(*documented()[-1].split())
    assert service.shown("ActiveState") == "active" and service.shown("StatusText") != ""
    service.until_logged("rotation.end", 2)
    assert service.value not in service.alive()
    machine.run("systemctl", "reload", "clawsecrets")
    service.until_logged("daemon.reloaded")
    assert service.run("daemon", "--check") == ""

    pid = service.shown("MainPID")
    status = machine.run("cat", f"/proc/{pid}/status")
    found = dict(re.findall(r"^(\w+):\s*(.*)$", status, re.M))
    assert found["CapEff"] == found["CapBnd"] == found["CapAmb"] == "0" * 16
    assert (found["NoNewPrivs"], found["Seccomp"]) == ("1", "2") and found["Uid"].split()[0] != "0"
    mounts = machine.run("cat", f"/proc/{pid}/mounts").splitlines()
    assert next(line for line in reversed(mounts) if line.split()[1] == "/").split()[3].startswith("ro")

    machine.run("systemctl", "stop", "clawsecrets")
    assert (service.shown("Result"), service.shown("ExecMainStatus")) == ("success", "0")
    service.until_logged("daemon.stopped")
    # SIGTERM may have parked a rotation: then two are alive
    assert {service.run("get", KEY, "--raw"), service.delivered()} <= set(service.alive())


MOUNTED = """
import os, subprocess, sys
from pathlib import Path
from clawsecrets.injectors.atomic import is_mount_point
file = Path("/srv/plain/file")
file.parent.mkdir()
file.write_text("x")
print(os.path.ismount(file), is_mount_point(file))
subprocess.run(["mount", "--bind", file, file], check=True)
print(is_mount_point(file))
"""


def test_a_plain_file_of_an_overlay_is_not_taken_for_a_mount(service: Service) -> None:
    """The machine is an overlay over two file systems: os.path.ismount is wrong there."""
    assert service.machine.run("/opt/clawsecrets/bin/python3", "-c", MOUNTED).split() == ["True", "False", "True"]


def test_one_that_hangs_is_killed_and_started_anew(service: Service) -> None:
    machine = service.machine
    service.drop_in(f"{DROP_IN}WatchdogSec=2s\nRestartSec=100ms\n")
    machine.run("systemctl", "start", "clawsecrets")
    first = service.shown("MainPID")
    machine.run("kill", "-STOP", first)
    until(lambda: service.shown("NRestarts") == "1" and service.shown("ActiveState") == "active", "another process")
    assert service.shown("MainPID") not in ("0", first)
    ended = sum(line["event"] == "rotation.end" for line in service.journal())
    service.until_logged("rotation.end", ended + 1)
    machine.run("systemctl", "stop", "clawsecrets")
    service.drop_in(DROP_IN)


def test_the_timer_does_the_same_without_the_daemon(service: Service) -> None:
    machine, before = service.machine, service.alive()
    for name in ("clawsecrets-due.service", "clawsecrets-due.timer"):
        machine.run("install", "-m", "644", f"/checkout/config/systemd/{name}", "/etc/systemd/system/")
    machine.run("sh", "-c", "cd /etc/systemd/system && cp -r clawsecrets.service.d clawsecrets-due.service.d")
    machine.run("systemctl", "daemon-reload")
    machine.run("systemctl", "enable", "--now", "clawsecrets-due.timer")
    assert service.shown("NextElapseUSecRealtime", "clawsecrets-due.timer")
    service.until_due()
    machine.run("systemctl", "start", "clawsecrets-due.service")
    assert service.shown("Result", "clawsecrets-due.service") == "success"
    after = service.alive()
    assert len(after) == 1 and after != before and after == [service.delivered()]


def test_no_value_is_in_the_journal(service: Service) -> None:
    machine = service.machine
    whole = machine.run("journalctl", "--no-pager", "--output=verbose").encode()
    assert b"rotation.end" in whole
    for value in (service.value, ADMIN, service.delivered()):
        assert not canary.search(whole, value.encode())


# --- what systemd says of the files -----------------------------------------------------------------------------------


def stated() -> float:
    """The exposure that README states."""
    found = re.search(r"`systemd-analyze security` rates the unit (\d+\.\d) of 10",
                      (ROOT / "README.md").read_text().replace("\n", " "))
    assert found is not None
    return float(found[1])


@pytest.mark.parametrize("name", ["clawsecrets.service", "clawsecrets-due.service"])
def test_the_exposure_is_what_readme_states(name: str) -> None:
    done = subprocess.run(["systemd-analyze", "security", "--offline=yes", f"--threshold={round(stated() * 10)}",
                           str(UNITS / name)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-600:] + done.stderr
    (score,) = re.findall(r"Overall exposure level for \S+: (\d+\.\d)", done.stdout)
    assert float(score) == stated()


def test_systemd_knows_every_line(service: Service) -> None:
    """`verify` says what it does not know, and what cannot be started; as installed, with the drop-in."""
    for unit in ("clawsecrets.service", "clawsecrets-due.service", "clawsecrets-due.timer"):
        done = service.machine.call("systemd-analyze", "verify", "--man=no", f"/etc/systemd/system/{unit}")
        said = [line for line in (done.stdout + done.stderr).decode().splitlines() if "clawsecrets" in line]
        assert (done.returncode, said) == (0, [])


def test_both_services_are_shut_in_alike() -> None:
    def settings(name: str) -> list[str]:
        lines = (UNITS / name).read_text().split("\nUser=")[1].split("\n[Install]")[0].splitlines()
        return [line for line in lines if line and not line.startswith("#")]

    assert settings("clawsecrets.service") == settings("clawsecrets-due.service")
