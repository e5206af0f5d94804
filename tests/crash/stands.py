"""What outlives a killed rotation: an engine with containers, a unit, a process, a service, a gateway. Each reads its
secret as the real one does, holds what it read, and says which value it uses.

Stand-ins for Compose, Podman and systemctl are shell programs in `bin/` of the deployment: they change the same folders
that the engine shows, and go on by themselves when who started them is killed. Two of one kind wait for each other.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from clawsecrets.injectors.resolve import read_bundle
from tests.consumers.fake_gateway import FakeGateway
from tests.crash.fake_docker import FakeDocker
from tests.crash.targets import DOOR, NAME
from tests.waiting import LONG, until

COMPOSE = """#!/bin/sh
# docker-compose --file F [--profile P] (config --services | ps --all --quiet SERVICE | up ... SERVICE)
cd {world}
for service; do :; done
[ "$3" = --profile ] && shift 2
case "$3" in
config) echo composed; echo podded;;
ps) for one in containers/*/service; do
      [ -e "$one" ] && read -r name < "$one" && [ "$name" = "$service" ] && basename "$(dirname "$one")"; done; exit 0;;
up) exec 9> lock; flock 9
    made=$(od -An -N16 -tx1 /dev/urandom | tr -d ' \\n')
    mkdir -p "making/$made/files"; echo "$service" > "making/$made/service"
    [ "$service" = composed ] && cp ../out/app.env "making/$made/env"
    [ "$service" = podded ] && {{ : > "making/$made/env"; cp podman/acme/value "making/$made/files/_run_secrets_acme" ||
        {{ rm -r "making/$made"; exit 1; }}; }}
    for one in containers/*/service; do
      [ -e "$one" ] && read -r name < "$one" && [ "$name" = "$service" ] && mv "$(dirname "$one")" gone/; done
    mv "making/$made" containers/;;
esac
"""
PODMAN = """#!/bin/sh
# podman secret (inspect NAME | rm NAME | create [--replace] --label K=V ... NAME -): 4.3, which knows no --replace
cd {world}; mkdir -p podman; exec 9> podman.lock; flock 9
case "$2" in
inspect) [ -d "podman/$3" ] || {{ echo "no such secret" >&2; exit 125; }}; cat "podman/$3/told";;
rm) [ -d "podman/$3" ] || {{ echo "no such secret" >&2; exit 125; }}; mv "podman/$3" "gone/$$-$3";;
create) [ "$3" != --replace ] || {{ echo "Error: unknown flag: --replace" >&2; exit 125; }}
    shift 2; told=""
    while [ "$1" = --label ]; do told="$told${{told:+,}}\\"${{2%%=*}}\\":\\"${{2#*=}}\\""; shift 2; done
    [ -d "podman/$1" ] && exit 125
    mkdir "making/$$"; cat > "making/$$/value"
    [ -s "making/$$/value" ] || {{ rm -r "making/$$"; echo "secret data must be larger than 0" >&2; exit 125; }}
    echo "[{{\\"Spec\\":{{\\"Labels\\":{{$told}}}}}}]" > "making/$$/told"; mv "making/$$" "podman/$1";;
esac
"""
SYSTEMCTL = """#!/bin/sh
# systemctl (show ... | restart ...): one unit with an EnvironmentFile= and a LoadCredential=, of those that are there
cd {world}; exec 9> lock; flock 9
[ "$1" = show ] && {{ echo LoadState=loaded; echo ActiveState=active; echo SubState=running
  echo "MainPID=$(cat unit)"; echo ControlGroup=
  [ -e ../out/app.env ] && echo "EnvironmentFiles=$PWD/../out/app.env (x)"; exit 0; }}
[ -e unit ] && kill "$(cat unit)"
mkdir -p credentials; place=$PWD/credentials/$$; mkdir "$place"
[ -e ../out/files ] && cp ../out/files/* "$place"
set --; [ -e ../out/app.env ] && set -- "$(grep ^ACME= ../out/app.env | tr -d \\")"
env -i "$@" CREDENTIALS_DIRECTORY="$place" sleep 100000 < /dev/null > /dev/null 2>&1 9>&- &
echo $! > unit.new; mv unit.new unit
for one in credentials/*; do [ "$PWD/$one" = "$place" ] || rm -r "$one"; done
"""
APP = """#!/bin/sh
# app (reload | probe): reads its value again, or compares the one on standard input with what it uses
cd {world}
[ "$1" = probe ] && {{ value=$(cat); [ "$value" = "$(cat uses)" ] && exit 0; exit 1; }}
grep ^ACME= ../out/app.env | cut -d= -f2- > "uses.$$"; mv "uses.$$" uses
"""
PROGRAM = """
import os, signal, sys
source, uses, pid = sys.argv[1:]
def again(*_):
    with open(source) as file: value = file.read()
    with open(uses + ".new", "w") as file: file.write(value)
    os.rename(uses + ".new", uses)
signal.signal(signal.SIGHUP, again)
again()
with open(pid, "w") as file: file.write(str(os.getpid()))
while True: signal.pause()
"""

WATCHER = """
import json, os, subprocess, sys, time
source, note = sys.argv[1:]
has = child = None
while True:
    with open(source) as file: value = file.read()
    if value != has:
        if child: child.kill(); child.wait()
        has, child = value, subprocess.Popen(["sleep", "100000"], env={"ACME": value, "PATH": os.environ["PATH"]})
        with open(f"/proc/{child.pid}/stat") as file: start = file.read().rpartition(")")[2].split()[19]
        told = {"pid": child.pid, "start": start, "secrets": {"acme": {"version": "1", "variable": "ACME"}}}
        with open(note + ".new", "w") as file: json.dump(told, file)
        os.rename(note + ".new", note)
    time.sleep(0.005)
"""
"""What `run --watch` does when a secret changes, seen by the file that the injector writes."""


@dataclass
class Stand:
    """What stands around one deployment of one kind. Made before the first delivery; `start` after it."""

    folder: Path
    kind: str
    engine: FakeDocker | None = None
    gateway: FakeGateway | None = None
    service: Service | None = None
    process: subprocess.Popen[bytes] | None = None
    world: dict[str, str] = field(default_factory=dict)

    def start(self) -> None:
        """Those that read begin, with what was delivered."""
        out = self.folder / "out"
        if self.engine is not None and self.kind in ("env_file", "podman"):
            name = "composed" if self.kind == "env_file" else "podded"
            self._run("docker-compose", "--file", "x", "up", name)
        elif self.kind == "mounted_folder" and self.engine is not None:
            self.engine.add("mounted", mounts={"/run/s": out / "files"})
        elif self.kind == "compose_secret" and self.engine is not None:
            self.engine.add("single", mounts={f"/run/secrets/{NAME}": out / "files" / NAME})
        elif self.kind in ("systemd", "credential"):
            self._run("systemctl", "restart", "app.service")
        elif self.kind == "memory":
            pid = self.folder / "world/pid"
            words = [str(out / "files" / NAME), str(self.folder / "world/uses"), str(pid)]
            self.process = subprocess.Popen([sys.executable, "-S", "-c", PROGRAM, *words])
            until(lambda: pid.exists() and pid.read_text(), "the process")
        elif self.kind == "run":
            note = self.folder / "world/run.json"
            words = [str(out / "files" / NAME), str(note)]
            self.process = subprocess.Popen([sys.executable, "-S", "-c", WATCHER, *words])
            until(note.exists, "the process")
        elif self.service is not None:
            self.service.read()
        elif self.kind == "command":
            self._run("app", "reload")
        elif self.gateway is not None:
            self._bundle()
            self.gateway._read(self.gateway.refs)

    def uses(self) -> set[str]:
        """Every value that is in use by a reader now."""
        if self.engine is not None:
            path = {"mounted_folder": f"/run/s/{NAME}"}.get(self.kind, f"/run/secrets/{NAME}")
            with self.engine.lock:
                homes = list((self.engine.folder / "containers").iterdir())
                return {text for home in homes if (text := self._of(home, path))}
        if self.kind in ("systemd", "credential"):
            pid = int((self.folder / "world/unit").read_text())
            return {self._of_unit(pid)}
        if self.kind == "run":
            return {self._of_run()}
        if self.service is not None:
            return {self.service.value}
        if self.gateway is not None:
            return set(self.gateway.held.values())
        return {(self.folder / "world/uses").read_text().strip()}

    def left(self) -> list[str]:
        """All that stands at engine, Podman and the unit, but for values: what a rotation must not add to."""
        found: list[str] = []
        if self.engine is not None:
            for service in self.engine.services.values():
                while service.leaving:  # it ends by itself
                    self.engine.tasks(service)
            found = [f"container {name}" for name in self.engine.all()] + ["secret" for _ in self.engine.secrets]
        for kind in ("podman", "credentials", "making"):
            folder = self.folder / "world" / kind
            found += [f"in {kind}" for _ in folder.iterdir()] if folder.is_dir() else []
        return sorted(found)

    def _of(self, home: Path, path: str) -> str:
        assert self.engine is not None
        if self.kind == "env_file":
            pairs = (self.engine.read(home, "/proc/1/environ") or b"").split(b"\0")
            return next((pair[5:].decode().strip('"') for pair in pairs if pair.startswith(b"ACME=")), "")
        return (self.engine.read(home, path) or b"").decode()

    def _of_unit(self, pid: int) -> str:
        name = b"ACME" if self.kind == "systemd" else b"CREDENTIALS_DIRECTORY"

        def started() -> dict[bytes, bytes]:
            """Its environment; empty as long as it is still a copy of its parent."""
            found = dict(item.split(b"=", 1) for item in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0") if item)
            return found if name in found else {}

        until(started, "the start of the unit")
        value = started()[name]
        return value.decode() if self.kind == "systemd" else (Path(os.fsdecode(value)) / NAME).read_text()

    def _of_run(self) -> str:
        found: list[str] = []

        def there() -> list[str]:
            """Between the end of one and the start of the next there is none for a moment."""
            with suppress(OSError):
                pairs = Path(f"/proc/{_noted(self.folder)}/environ").read_bytes().split(b"\0")
                found[:] = [pair[5:].decode() for pair in pairs if pair.startswith(b"ACME=")]
            return found

        until(there, "the process under run")
        return found[0]

    def _run(self, *words: str) -> None:
        subprocess.run([str(self.folder / "bin" / words[0]), *words[1:]], check=True, timeout=LONG)

    def _bundle(self) -> None:
        assert self.gateway is not None
        self.gateway.bundle[NAME] = read_bundle(str(self.folder / "out/bundle")).open(NAME).decode()


@contextmanager
def stand(folder: Path, kind: str) -> Iterator[Stand]:
    """A stand for a deployment in that folder, which goes with all its processes."""
    (folder / "world" / "making").mkdir(parents=True)
    (folder / "world" / "gone").mkdir()
    (folder / "bin").mkdir()
    (folder / "compose.yaml").write_text("services: {}\n")
    (folder / "app.conf.j2").write_text(f'key = "{{{{ secret(\'{NAME}\') }}}}"\n')
    programs = {"docker-compose": COMPOSE, "podman": PODMAN, "systemctl": SYSTEMCTL, "app": APP,
                "docker": "#!/bin/sh\nexit 1\n"}
    for name, text in programs.items():
        path = folder / "bin" / name
        text = text.replace("{world}", shlex.quote(str(folder / "world")))
        path.write_text(text.replace("{{", "{").replace("}}", "}"))
        path.chmod(0o700)
    it = Stand(folder, kind, world={"path": str(folder / "bin")})
    with ExitStack() as stack:
        if kind in ("env_file", "mounted_folder", "compose_secret", "swarm", "podman"):
            it.engine = stack.enter_context(FakeDocker(folder / "world"))
            it.world["engine"] = it.engine.url
            if kind == "swarm":
                it.engine.make_service("swarmed")
        if kind == "http":
            it.service = stack.enter_context(Service(folder / "out/app.conf"))
            it.world["http"] = it.service.url
        if kind == "openclaw":
            it.gateway = FakeGateway({"models.providers.acme.apiKey": NAME}, token=DOOR, token_ref="other")
            it.gateway.on_reload = it._bundle
            it.world["gateway"] = stack.enter_context(it.gateway).url
        stack.callback(_end, it)
        yield it
    shutil.rmtree(folder)


def _end(it: Stand) -> None:
    unit = it.folder / "world/unit"
    if unit.exists():
        os.kill(int(unit.read_text()), signal.SIGKILL)
    if it.process is not None:
        it.process.kill()
        it.process.wait(LONG)
    if it.kind == "run" and (it.folder / "world/run.json").exists():
        os.kill(_noted(it.folder), signal.SIGKILL)


def _noted(folder: Path) -> int:
    return int(json.loads((folder / "world/run.json").read_text())["pid"])


class Service:
    """A program with a file that it reads when it is told to, which lets in who has the value that it uses."""

    def __init__(self, file: Path) -> None:
        self._file, self.value = file, ""
        it = self

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *args: object) -> None:
                """Nothing."""

            def do_GET(self) -> None:
                given = (self.headers.get("Authorization") or "").removeprefix("Bearer ")
                self._say(401 if self.path == "/probe" and given != it.value else 200)

            def do_POST(self) -> None:
                it.read()
                self._say(204)

            def _say(self, status: int) -> None:
                self.send_response(status)
                self.send_header("Content-Length", "0")
                self.end_headers()

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def read(self) -> None:
        """As when it is told to."""
        self.value = self._file.read_text().split('"')[1]

    def __enter__(self) -> Service:
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._server.shutdown()
        self._server.server_close()
