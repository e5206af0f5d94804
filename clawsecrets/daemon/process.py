"""The process: it leads or stands by, wakes up, looks; SIGTERM ends it, SIGHUP reads the configuration again.

Work is done in one thread, woken by wakeups.py. This loop does none: it keeps the lead, watches that the work goes on,
and tells the service manager so. Whatever ends the process, at whatever moment, the next start goes on from the store.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from clawsecrets.config.timing import DaemonConfig
from clawsecrets.daemon import web
from clawsecrets.daemon.guard import guarded
from clawsecrets.daemon.lead import Lead
from clawsecrets.daemon.logs import ERROR, INFO, WARNING, Log
from clawsecrets.daemon.metrics import FORMAT, Metrics
from clawsecrets.daemon.nightly import CHECKS, night
from clawsecrets.daemon.sdnotify import Systemd
from clawsecrets.daemon.told import Told
from clawsecrets.daemon.wakeups import Wakeups
from clawsecrets.daemon.world import Surroundings, build
from clawsecrets.errors import ClawError, ConfigError
from clawsecrets.model.need import NEVER
from clawsecrets.model.notice import Notice, Severity, Topic
from clawsecrets.model.policy import DAY
from clawsecrets.wiring.shop import holder

if TYPE_CHECKING:
    from clawsecrets.config import Config, Paths
    from clawsecrets.ports import Store

EXIT_CUT_SHORT = 1
"""The step under way did not end in time after SIGTERM; the next start settles it as after a crash."""
STANDBY_LOOKS = 5.0
"""Seconds at most between two looks of a daemon that stands by, whether it is to take over."""
SHORT = 0.2
"""Seconds that a sleeper waits at most once the daemon is to stop."""
PLAIN = "text/plain; charset=utf-8"


class StoppableClock:
    """The machine's clock; its sleepers wake up when the daemon is to stop."""

    def __init__(self, stop: threading.Event) -> None:
        self._stop = stop

    def now(self) -> float:
        """Unix seconds."""
        return time.time()

    def sleep(self, seconds: float) -> None:
        """Wait, or until the daemon is to stop; who waits for something else in a loop still waits a little."""
        if self._stop.wait(seconds):
            time.sleep(min(seconds, SHORT))


@dataclass(frozen=True)
class Given:
    """What the command line gives."""

    paths: Paths
    store: Store
    read_config: Callable[[], Config]
    """Reads the configuration anew."""
    actor: str
    stream_log: Callable[[StoppableClock, Config], Log] = lambda clock, config: Log(clock, config.daemon.log)
    keep_login: Callable[[], str] = lambda: ""
    """Renews the login at the store in good time; says in words where it cannot."""


class Daemon:
    """One daemon process. `run` returns its exit code."""

    def __init__(self, config: Config, given: Given) -> None:
        self._given = given
        self._stop, self._wake = threading.Event(), threading.Event()
        self._reload = False
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, self._signalled)
        self._clock = StoppableClock(self._stop)
        self.log = given.stream_log(self._clock, config)
        self.metrics = Metrics()
        self._systemd = Systemd()
        self._lead = Lead(given.store, holder(), config.daemon.takeover)
        told = Told(config.store.anchor.with_name(f"{config.store.anchor.stem}-told.json"), self._clock.now())
        self._around = Surroundings(given.paths, given.store, self._clock, self.log, told, self.metrics, given.actor,
                                    self._may_act, self._lead.lease, self._may_serve)
        self._world = build(config, self._around)
        self._login_said = ""
        self._working = threading.Lock()
        self._ended = time.monotonic()
        """When the last step or round ended, on the monotonic clock."""
        self._led = False
        self._trouble = ""
        """The store's trouble that was told."""
        self._aside = self._trouble_told = False
        """Whether there is something to tell besides rounds; whether people were told of the trouble."""
        self._said: dict[str, str] = {}
        """What went wrong at the last look, by what was done."""
        self._wakeups = Wakeups(self._tick, self._night)
        self._web = web.Web(config.daemon.listen, self._pages(), self.log)

    @property
    def _timing(self) -> DaemonConfig:
        return self._world.config.daemon

    # --- the loop ---------------------------------------------------------------------------------------------------

    def run(self) -> int:
        """Until SIGTERM or SIGINT."""
        self.log.write(INFO, "daemon.start", pid=os.getpid(), notices_to=self._world.told_to)
        self._web.open()
        self._systemd.say("READY=1", "STATUS=standing by")
        self.metrics.leads(False)
        self._start_wakeups()
        try:
            while not self._stop.is_set():
                guarded(self.log, "daemon", self._turn)
                self._wake.wait(self._pause())
                self._wake.clear()
        finally:
            code = self._leave()
        return code

    def _turn(self) -> None:
        if self._reload:
            self._reload = False
            self._read_again()
        if self._lead.held:
            self._lead.confirm()
        if self._led and not self._lead.held:  # whoever noticed it: the work asks between its steps, too
            self._lost()
        elif not self._lead.held:
            self._try_to_lead()
        if self._lead.trouble != self._trouble:
            self._tell_trouble()
        if self._lead.gone is not None:
            self.log.error("daemon.store-gone", self._lead.gone)
            self._stop.set()
        guarded(self.log, "login", self._keep_login)
        self._web.open()
        if self._alive():
            self._systemd.say("WATCHDOG=1")
        if time.monotonic() - self._ended > 2 * self._timing.tick and not self._working.locked():
            self._wakeups.look_now()  # none came: the wall clock was put back, or the scheduler missed one

    def _keep_login(self) -> None:
        said = self._given.keep_login()
        if said != self._login_said:
            self._login_said = said
            if said:
                self.log.write(WARNING, "daemon.login-ends", detail=said)
            self._world.keeper.notices("login", [Notice(
                Topic.DAEMON, Severity.ERROR, "daemon::login", self._clock.now(), detail=said)] if said else [])

    def _lost(self) -> None:
        """Another one leads."""
        self._led = False
        self.log.write(WARNING, "daemon.lost-lead")
        self.metrics.leads(False)
        self._systemd.say("STATUS=standing by")

    def _tell_trouble(self) -> None:
        """Nothing is rotated while the store cannot be written: that may not go unsaid, nor that it is over."""
        trouble, now, found = self._lead.trouble, self._clock.now(), []
        self.metrics.leads(self._lead.held and not trouble)
        if trouble:
            self.log.write(ERROR, "daemon.store-trouble", error=trouble, detail="nothing is rotated meanwhile")
            self._systemd.say("STATUS=the store cannot be written")
            found.append(Notice(
                Topic.DAEMON, Severity.ERROR, f"daemon::store:{trouble}", now, command="clawsecrets doctor",
                detail=f"nothing is rotated: {trouble}", again=DAY))
        else:
            self.log.write(INFO, "daemon.store-works")
            self._systemd.say("STATUS=keeping the schedule" if self._lead.held else "STATUS=standing by")
            if self._trouble_told:
                found.append(Notice(
                    Topic.DAEMON, Severity.ERROR, f"daemon::store-works:{now}", now, over=True,
                    detail=f"the store can be used again, and the schedule is kept; it was: {self._trouble}"))
            self._trouble_told = False
        self._world.keeper.notices("store", found)
        self._trouble, self._aside = trouble, True
        self._wakeups.look_now()

    def _pause(self) -> float:
        share = self._timing.takeover / 3
        pause = share if self._lead.held else min(share / 2, STANDBY_LOOKS)
        if self._systemd.watchdog:
            pause = min(pause, self._systemd.watchdog / 3)
        return min(pause, max(1.0, self._timing.tick))

    def _signalled(self, number: int, frame: object) -> None:
        if number == signal.SIGHUP:
            self._reload = True
        else:
            self._stop.set()
        self._wake.set()

    def _try_to_lead(self) -> None:
        other = self._lead.other
        if self._lead.take():
            self._led = True
            self.log.write(INFO, "daemon.leads")
            self.metrics.leads(True)
            self._systemd.say("STATUS=keeping the schedule")
            self._ended = time.monotonic()
            self._wakeups.look_now()
        elif self._lead.other and self._lead.other != other:
            self.log.write(INFO, "daemon.stands-by", detail=self._lead.other)

    def _start_wakeups(self) -> None:
        config = self._world.config
        self._wakeups.start(config.daemon.tick, config.daemon.nightly, config.schedule.zone.name)

    def _alive(self) -> bool:
        """Whether the work goes on, or nothing is under way. One step may take as long as a lease lasts."""
        return not self._working.locked() or time.monotonic() - self._ended < 10 * self._world.watch.lease

    # --- work, in the scheduler's thread ----------------------------------------------------------------------------

    def _may_act(self) -> bool:
        self._ended = time.monotonic()  # asked between any two steps: the work goes on
        return not self._stop.is_set() and self._lead.confirm()

    def _may_serve(self) -> bool:
        """Whether this host's own targets may be worked on: leading or not."""
        self._ended = time.monotonic()
        return not self._stop.is_set()

    def _tick(self) -> None:
        with self._working:
            self._lasts("sync", self._world.serve)
            failed = self._lead.held and self._lasts("tick", self._round) and not self._trouble
            self._world.keeper.notices("look", [Notice(
                Topic.DAEMON, Severity.ERROR, f"daemon::look:{self._said['tick']}", self._clock.now(), again=DAY,
                detail=f"nothing is rotated: {self._said['tick']}", command="clawsecrets doctor")] if failed else [])
            if self._aside or failed:
                guarded(self.log, "notify", lambda: self._tell_aside(everything=self._lead.held and not failed))
            self._ended = time.monotonic()

    def _lasts(self, what: str, call: Callable[[], None]) -> bool:
        """Do it, guarded; whether the same goes wrong as at the last look. That is logged once."""
        before = self._said.get(what, "")
        self._said[what] = now = guarded(self.log, what, call, known=before)
        return now == before and now not in ("", "busy")

    def _tell_aside(self, *, everything: bool) -> None:
        """What can wait neither until the store works nor until this one leads."""
        if self._trouble:
            self._trouble_told = True
        else:
            self._aside = False
        self._world.keeper.tell_aside(everything=everything)

    def _round(self) -> None:
        world = self._world
        looked = world.keeper.round(lambda: self._world is world and self._may_act())
        self.metrics.looked(looked)
        if looked.next_at < NEVER:
            self._wakeups.look_at(min(looked.next_at + 0.05, self._clock.now() + self._timing.tick))
        if self._world is not world:
            self._wakeups.look_now()

    def _night(self) -> None:
        with self._working:
            if self._lead.held:
                guarded(self.log, "nightly", self._nightly)
            self._ended = time.monotonic()

    def _nightly(self) -> None:
        world = self._world
        found = night(world.watch, self.log, CHECKS)
        self.log.write(WARNING if found else INFO, "nightly.end", found=len(found))
        self.metrics.drift(len(found))
        world.keeper.notices("nightly", found)
        self._wakeups.look_now()

    # --- reload, leave ----------------------------------------------------------------------------------------------

    def _read_again(self) -> None:
        """SIGHUP: all of it, or nothing of it."""
        self._systemd.reloading()
        try:
            config, before = self._given.read_config(), self._world.config
            if before.file and (not config.file or (config.empty and not before.empty)):
                raise ConfigError(f"{before.file} is {'empty' if config.file else 'not there any more'}",
                                  "put it back; or restart it to go on with the defaults")
            if config.store != before.store:
                raise ConfigError("[store] cannot change while the daemon runs", "restart it")
            world = build(config, self._around)
        except ClawError as error:
            self.log.error("daemon.config-refused", error, detail="the former configuration is kept")
            self.metrics.reloaded("refused")
            self._world.keeper.notices("config", [Notice(
                Topic.DAEMON, Severity.ERROR, f"daemon::config:{error.message}", self._clock.now(),
                detail=f"the new configuration was refused, the former one is kept: {error.message}")])
        else:
            self._world = world
            self._lead.last(config.daemon.takeover)
            self.log.form = config.daemon.log
            self.log.write(INFO, "daemon.reloaded", notices_to=world.told_to)
            self.metrics.reloaded("ok")
            if config.daemon.listen != self._web.address:
                self._web.close()
                self._web = web.Web(config.daemon.listen, self._pages(), self.log)
            self._start_wakeups()
        self._systemd.say("READY=1")
        self._wakeups.look_now()

    def _leave(self) -> int:
        self._systemd.say("STOPPING=1")
        self.log.write(INFO, "daemon.stops", within=self._timing.stop)
        self._stop.set()
        self._wakeups.stop()
        ended = self._working.acquire(timeout=self._timing.stop)
        if not ended:
            self.log.write(ERROR, "daemon.cut-short", detail="a step did not end in time; the next start settles it")
            self._web.close()
            os._exit(EXIT_CUT_SHORT)
        self._lead.give_up()
        self._working.release()  # the interpreter waits for the thread of a look that begins now, and does nothing
        self._web.close()
        self.log.write(INFO, "daemon.stopped")
        return self._lead.gone.exit_code if self._lead.gone is not None else 0

    # --- pages ------------------------------------------------------------------------------------------------------

    def _pages(self) -> dict[str, web.Page]:
        return {"/healthz": self._health, "/readyz": self._ready,
                "/metrics": lambda: (200, FORMAT, self.metrics.page())}

    def _health(self) -> tuple[int, str, bytes]:
        """200 while the process does its work (one that stands by does)."""
        late = self._lead.held and time.monotonic() - self._ended > 10 * self._timing.tick + 60
        if (late and not self._working.locked()) or not self._alive():
            return 503, PLAIN, b"it has not looked at the store for too long\n"
        return 200, PLAIN, b"ok\n"

    def _ready(self) -> tuple[int, str, bytes]:
        """200 while it keeps the schedule."""
        if self._lead.trouble:
            return 503, PLAIN, b"the store cannot be written\n"
        return (200, PLAIN, b"ready\n") if self._lead.held and not self._stop.is_set() else \
            (503, PLAIN, b"stands by\n")
