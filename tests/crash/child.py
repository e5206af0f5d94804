"""A rotating process that can be killed at any numbered point.

`python -m tests.crash.child` imports everything once, then reads one JSON order a line, forks a process for each, and
answers with one JSON line: {"status": waitpid's, "points": [names], "result": …}. In the forked process a point is:

    before X, after X   each call X on issuer, injector or consumer, and each commit
    sql ...             each SQL statement that changes something, as it begins (COMMIT too)
    file ...            each opening for writing, rename, link or removal of a file
    sent, answered      an HTTP request is out; its answer has arrived but is not read yet
    writing, wrote      the same of a request that changes something on the server where the store is
    asked, did          the same of a request that changes something at a container engine
    starting, running, ended PROGRAM    a program that changes something is about to be started; runs; has ended

{"kill": n} kills it at its n-th point with SIGKILL; {"stop": n} stops it there with SIGSTOP and answers at once, with
its pid. The product knows nothing of all this.
"""

from __future__ import annotations

import gc
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
import traceback
import urllib.parse
from collections.abc import Callable
from pathlib import Path
from typing import Any

from clawsecrets.clients import http as _loaded_before_forking
from clawsecrets.errors import ClawError
from clawsecrets.model.secret import SecretValue
from clawsecrets.ports import Store
from clawsecrets.rotate.order import Order
from clawsecrets.stores.sqlite import SqliteStore
from tests.crash.parts import NAME, PROVIDERS, CrashGear, HastyClock, Place, engine, ledger, loaded
from tests.waiting import readable

PORTS = {
    "issuer": ("create", "recover", "recreate", "test", "revoke", "find"),
    "slots": ("locate", "idle"),
    "refresher": ("refresh", "ask_again", "reauthorize"),
    **dict.fromkeys(("app", "tasks", "pod"), ("reload", "probe", "prove")),
    **dict.fromkeys(("env", "dir", "files", "bundle", "swarm", "podman", "out"), ("deliver",)),
}
CHANGES = ("INSERT", "UPDATE", "DELETE", "COMMIT")
LOOKS = frozenset({"compose", "config", "ps", "show", "inspect", "probe"})
"""Words of programs that change nothing."""
FILE_EVENTS = frozenset({"open", "os.rename", "os.link", "os.remove", "os.truncate"})
assert _loaded_before_forking


class Points:
    """Counts points, and ends (or stops) the process at one."""

    def __init__(self, kill: int, stop: int, pipe: int) -> None:
        self._kill, self._stop, self._pipe = kill, stop, pipe
        self.names: list[str] = []
        self.armed = False
        self._inside = False

    def reach(self, name: str) -> None:
        if not self.armed or self._inside:
            return
        self._inside = True
        self.names.append(name)
        if len(self.names) == self._kill:
            os.write(self._pipe, json.dumps({"points": self.names}).encode())
            os.kill(os.getpid(), signal.SIGKILL)
        if len(self.names) == self._stop:
            os.write(self._pipe, json.dumps({"points": self.names, "stopped": os.getpid()}).encode() + b"\n")
            os.kill(os.getpid(), signal.SIGSTOP)
        self._inside = False

    def around(self, port: object, name: str) -> object:
        """The port with a point before and after each call that has an effect or looks."""
        return _Around(port, name, self)

    def on_audit(self, event: str, args: tuple[Any, ...]) -> None:
        if event == "subprocess.Popen" and (name := _program(args[1])):
            self.reach(f"starting {name}")
        if event not in FILE_EVENTS or not self.armed or args[0] == os.devnull:
            return
        if event == "open" and not (isinstance(args[2], int) and args[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)):
            return
        self.reach(f"file {event}")

    def on_sql(self, text: str) -> None:
        if text.lstrip().upper().startswith(CHANGES):
            self.reach(f"sql {' '.join(text.split()[:3])}")


class _Around:
    def __init__(self, port: object, name: str, points: Points) -> None:
        self._port, self._name, self._points = port, name, points

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._port, name)
        if name not in PORTS[self._name]:
            return found

        def call(*args: Any, **named: Any) -> Any:
            self._points.reach(f"before {self._name}.{name}")
            answer = found(*args, **named)
            self._points.reach(f"after {self._name}.{name}")
            return answer

        return call


class _Store:
    """The real store with a point before and after each commit."""

    def __init__(self, store: Store, points: Points) -> None:
        self._store, self._points = store, points

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def commit(self, *args: Any) -> Any:
        self._points.reach("before commit")
        answer = self._store.commit(*args)
        self._points.reach("after commit")
        return answer


def _watch_http(points: Points, server: str) -> None:
    """Points around each request. Of those to the store's server, and to an engine, only what changes something: to be
    killed before it reads is to be killed after what it wrote before."""
    port = urllib.parse.urlsplit(server).port if server else 0
    real, begin = http.client.HTTPConnection.getresponse, http.client.HTTPConnection.putrequest

    def putrequest(self: http.client.HTTPConnection, method: str, url: str, *args: Any, **named: Any) -> None:
        looks = self.host == "localhost" and "exec" in url.split("/")  # `cat` in a container
        self.reads = method in ("GET", "LIST") or looks  # type: ignore[attr-defined]
        begin(self, method, url, *args, **named)

    def getresponse(self: http.client.HTTPConnection, *args: Any, **named: Any) -> Any:
        ours, engine = self.port == port, self.sock.family == socket.AF_UNIX
        if (ours or engine) and self.reads:  # type: ignore[attr-defined]
            return real(self, *args, **named)
        points.reach("writing" if ours else "asked" if engine else "sent")
        readable(self.sock.fileno(), 20.0)
        points.reach("wrote" if ours else "did" if engine else "answered")
        return real(self, *args, **named)

    http.client.HTTPConnection.putrequest = putrequest  # type: ignore[method-assign]
    http.client.HTTPConnection.getresponse = getresponse  # type: ignore[method-assign]


def _program(words: Any) -> str:
    """Its name, and what it is to do; empty when it only looks."""
    name, *rest = (os.fsdecode(word) for word in words)
    if LOOKS.intersection(rest):
        return ""
    return f"{os.path.basename(name)} {' '.join(word for word in rest if word.isalpha() and word.islower())}".strip()


def _watch_programs(points: Points) -> None:
    real = subprocess.Popen.communicate

    def communicate(self: subprocess.Popen[bytes], *args: Any, **named: Any) -> Any:
        name = _program(self.args)
        if not name:
            return real(self, *args, **named)
        points.reach(f"running {name}")
        answer = real(self, *args, **named)
        points.reach(f"ended {name}")
        return answer

    subprocess.Popen.communicate = communicate  # type: ignore[method-assign]


def act(order: dict[str, Any], points: Points) -> dict[str, Any]:
    """What the forked process does: one ordinary command."""
    place = Place(**{**order["place"], "folder": Path(order["place"]["folder"])})
    sys.addaudithook(points.on_audit)
    _watch_http(points, place.server)
    _watch_programs(points)
    if "path" in place.world:
        os.environ["PATH"] = f"{place.world['path']}:{os.environ['PATH']}"
    store = place.open()
    if isinstance(store, SqliteStore):
        store._db.set_trace_callback(points.on_sql)
    watched = _Store(store, points)
    gear, clock = CrashGear(place, points.around), HastyClock(order.get("longest", 0.02))
    if "barrier" in order:
        _await(Path(order["barrier"]))
    points.armed = True
    result: dict[str, Any] = {}
    try:
        result = _COMMANDS[order["command"]](place, watched, gear, clock, order)
    except ClawError as error:
        result = {"error": type(error).__name__, "message": error.message, "hint": error.hint}
    points.armed = False
    return result


def _await(file: Path) -> None:
    """Hold until the file is written (all processes are ready by then)."""
    with file.with_suffix(".ready").open("a") as ready:
        ready.write(".")
    while not file.exists():
        time.sleep(0.001)


def _rotate(place: Place, store: Any, gear: CrashGear, clock: HastyClock, order: dict[str, Any]) -> dict[str, Any]:
    supplied = SecretValue(order["supplied"]) if order.get("supplied") else None
    wanted = Order(order.get("from_version", 0), order.get("compromised", False), False, supplied)
    result = engine(place, store, gear, clock).rotate(NAME, wanted)
    rotation = result.record.rotation
    return {"already": result.already, "state": rotation.state.value if rotation else "",
            "stuck_in": rotation.stuck_in.value if rotation and rotation.stuck_in else "",
            "note": rotation.note if rotation else ""}


def _abort(place: Place, store: Any, gear: CrashGear, clock: HastyClock, order: dict[str, Any]) -> dict[str, Any]:
    rotation = engine(place, store, gear, clock).abort(NAME).record.rotation
    return {"state": rotation.state.value if rotation else ""}


def _pay(place: Place, store: Any, gear: CrashGear, clock: HastyClock, order: dict[str, Any]) -> dict[str, Any]:
    tried = ledger(place, store, gear, clock).work(NAME, force=True)
    return {"dead": [item.dead for item in tried]}


_COMMANDS: dict[str, Callable[..., dict[str, Any]]] = {"rotate": _rotate, "abort": _abort, "pay": _pay}


def fork(order: dict[str, Any]) -> tuple[int, int]:
    """A process that does the order; its pid, and the pipe that it answers on."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid:
        os.close(writing)
        return pid, reading
    os.close(reading)
    status = 70
    try:
        points = Points(order.get("kill", 0), order.get("stop", 0), writing)
        result = act(order, points)
        os.write(writing, json.dumps({"points": points.names, "result": result}).encode())
        status = 0
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(status)
    return 0, 0


def answer(order: dict[str, Any]) -> dict[str, Any]:
    """Do one order and wait for its process to end, or to stop. {"wait": pid}: continue a stopped one, and wait."""
    if "wait" in order:
        pid = order["wait"]
        os.kill(pid, signal.SIGCONT)
        reading = _stopped.pop(pid)
    else:
        pid, reading = fork(order)
    if "stop" in order:
        _, status = os.waitpid(pid, os.WUNTRACED)
        if os.WIFSTOPPED(status):
            _stopped[pid] = reading
            said = json.loads(os.read(reading, 1 << 20).split(b"\n")[0])
            return {**said, "status": "stopped"}
        return {**_said(reading), "status": status}
    said = _said(reading)
    _, status = os.waitpid(pid, 0)
    return {**said, "status": status}


def _said(reading: int) -> dict[str, Any]:
    pieces = []
    while piece := os.read(reading, 1 << 20):
        pieces.append(piece)
    os.close(reading)
    lines = b"".join(pieces).strip().split(b"\n")
    said: dict[str, Any] = json.loads(lines[-1]) if lines[-1] else {}
    return said


_stopped: dict[int, int] = {}


def together(orders: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """All of them at once, held at a barrier until each is ready."""
    barrier = Path(orders[0]["barrier"])
    forked = [fork(order) for order in orders]
    ready = barrier.with_suffix(".ready")
    while not ready.exists() or ready.stat().st_size < len(orders):
        time.sleep(0.001)
    barrier.touch()
    answers = [_said(reading) for _, reading in forked]
    for pid, _ in forked:
        os.waitpid(pid, 0)
    return answers


def main() -> None:
    """Read orders until the input ends."""
    for code in PROVIDERS.values():
        loaded(code)
    gc.collect()
    gc.freeze()  # what is there is shared with every fork: none copies it by looking for garbage
    for line in sys.stdin:
        order = json.loads(line)
        print(json.dumps(together(order) if isinstance(order, list) else answer(order)), flush=True)


if __name__ == "__main__":
    main()
