"""Years of a daemon's life in seconds: many secrets, a clock that jumps, outages, crashes, people, two daemons.

Time is counted twice: `true` is what really passes (leases and jumps go by it), the wall clock is true time plus what
the jumps added up to (records, windows and the daemon go by it). What must hold at every beginning is checked in the
commit that begins (`_began`); what must hold in the long run, at the end of every round (`_check_overdue`).
"""

from __future__ import annotations

import datetime as dt
import itertools
import random
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from zoneinfo import ZoneInfo

from clawsecrets.config.zones import zone
from clawsecrets.daemon.keeper import Keeper, Looked
from clawsecrets.daemon.lead import Lead
from clawsecrets.daemon.logs import Log
from clawsecrets.daemon.told import Told
from clawsecrets.errors import ClawError
from clawsecrets.model.audit import AuditEvent
from clawsecrets.model.need import Need, needs
from clawsecrets.model.notice import Notice
from clawsecrets.model.policy import DAY, RotationPolicy
from clawsecrets.model.record import Record
from clawsecrets.model.rotation import Outcome, State
from clawsecrets.model.schedule import Limit, Pace, Rule, due
from clawsecrets.model.secret import Kind, Secret, SecretValue, Stage, Version
from clawsecrets.model.window import Openings, Window, parse_blackout, parse_window
from clawsecrets.ports import Change, Handover, Listed, Reply, Request
from clawsecrets.rotate.engine import Engine
from clawsecrets.rotate.gear import Outfit
from clawsecrets.rotate.ledger import Ledger
from clawsecrets.rotate.order import Order, Settings
from tests.fakes import MemoryStore, Quiet

HOUR = 3600.0
LEASE, TAKEOVER = 90.0, 30.0
STAGGER = 60.0
START = dt.datetime(2026, 1, 1, tzinfo=dt.UTC).timestamp()
FAR = 12 * HOUR
"""True seconds at most between two rounds of the simulation (the daemon looks every minute)."""
WINDOWS = (("Sun 03:00-05:00 Europe/Berlin",), ("Sun 02:00-03:00 Europe/Berlin",),
           ("Sat,Sun 01:00-04:00 America/New_York",), ("daily 01:30-02:30 Australia/Lord_Howe",),
           ("Mon-Fri 22:00-06:00 Europe/Berlin",), ())
INTERVALS = (7 * DAY, 30 * DAY, 90 * DAY)


class Kill(BaseException):
    """SIGKILL."""


class Broken(BaseException):
    """What must hold does not. No Exception: the daemon lives through those."""


class TrueClock:
    """True time."""

    def __init__(self) -> None:
        self.time = START
        self.skew = 0.0
        """What the wall clock is ahead."""

    def now(self) -> float:
        return self.time

    def sleep(self, seconds: float) -> None:
        self.time += seconds


class WallClock:
    """What the machine shows."""

    def __init__(self, true: TrueClock) -> None:
        self._true = true

    def now(self) -> float:
        return self._true.time + self._true.skew

    def sleep(self, seconds: float) -> None:
        self._true.time += seconds


@dataclass
class Process:
    """One daemon: its lead, its keeper, and when it is up again."""

    number: int
    lead: Lead
    keeper: Keeper
    holder: str
    up_at: float = 0.0


@dataclass
class Years:
    """The world. `rng` decides everything; the same seed, the same life."""

    rng: random.Random
    count: int
    troubles: bool = True
    log: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.true = TrueClock()
        self.clock = WallClock(self.true)
        self.store = MemoryStore(self.true, self._hook)
        self.ids, self.values = itertools.count(1), itertools.count(1)
        self.live: dict[str, set[bytes]] = {}
        self.outages: dict[str, tuple[float, Outcome]] = {}
        self.done: Counter[str] = Counter()
        self.told: dict[str, float] = {}
        """Secret -> true time of the last notice about it."""
        self.acting: Process | None = None
        self.nested = False
        self.jumped_at, self.all_down_until = START, START
        self.begun_at, self.begun_true = -HOUR, -HOUR
        """When the last rotation was begun, by the wall clock and truly."""
        self.checked_at = START
        self.begins: list[tuple[str, float]] = []
        """What daemons began, and when by the wall clock."""
        self.touched: dict[str, float] = {}
        """Secret -> true time at which something went wrong for it, or a person or a jump of the clock meddled."""
        self.rules: dict[str, Rule] = {}
        self.pace = Pace(STAGGER, limits={"p1": Limit(3, HOUR)})
        self._populate()
        self.told_file = Told(None, self.clock.now())
        self.processes = [self._process(number) for number in range(2)]

    # --- what there is ------------------------------------------------------------------------------------------

    def _populate(self) -> None:
        blackouts = (parse_blackout("12-22..01-02", zone("Europe/Berlin")),)
        for index in range(self.count):
            windows = tuple(parse_window(text, zone) for text in self.rng.choice(WINDOWS))
            interval = self.rng.choice(INTERVALS)
            after = (f"s{index - 1:03}",) if index % 11 == 5 else ()
            last = index == 0
            name = f"s{index:03}"
            rule = Rule(RotationPolicy(interval=interval, grace=self.rng.choice((0.0, 0.0, HOUR))),
                        Openings(windows, blackouts), jitter=HOUR, hard_age=2 * interval, after=after, last=last,
                        outside=index % 13 == 0, assisted=index % 10 == 7, provider=f"p{index % 5}")
            self.rules[name] = rule
            age = self.rng.uniform(0.0, interval)
            secret = Secret(name, rule.provider, Kind.API_KEY, 0.0, consumers=("app",),
                            group=f"g{index // 6}" if index % 6 in (1, 2, 3) else "")
            value = SecretValue(self._mint(name))
            version = Version(1, Stage.CURRENT, self.clock.now() - age, self.store.fingerprint(value),
                              origin="rotation")
            record = Record(secret).put_current(version)
            self.store.commit([Change(record, AuditEvent(0, "t", "secret.set", name), {1: value})])

    def _mint(self, name: str) -> bytes:
        value = f"v{next(self.values)}".encode()
        self.live.setdefault(name, set()).add(value)
        return value

    def _process(self, number: int) -> Process:
        """A new process, after its start or restart."""
        holder = f"d{number}-{next(self.ids)}"
        lead = Lead(self.store, holder, TAKEOVER, self.true.now)
        gear = YearsGear(self)
        settings = Settings(lease=LEASE, actor=f"daemon{number}", holder=holder, patience=30.0, queue=0.0,
                            stopping=lambda: not lead.confirm(), lead=lead.lease)
        engine = Engine(self.store, gear, self.clock, Quiet(), lambda: f"r{next(self.ids)}", settings)
        ledger = Ledger(self.store, gear, self.clock, settings.actor, holder)
        log = Log(self.clock, stream=_Nowhere())  # type: ignore[arg-type]
        keeper = Keeper(self.store, engine, ledger, self, self.clock, self.told_file, self, log, lambda record: ())
        return Process(number, lead, keeper, holder)

    # --- what the keeper is given: the timetable, and somebody to tell ------------------------------------------

    def needs(self, records: Iterable[Record], now: float) -> tuple[list[Need], Mapping[str, Rule]]:
        return needs(list(records), self.rules, self.pace, now), self.rules

    def tell(self, notices: Sequence[Notice]) -> Reply:
        for notice in notices:
            self.told[notice.secret] = self.true.time
        return Reply(Outcome.OK)

    def describe(self) -> str:
        return "the simulation"

    # --- life ---------------------------------------------------------------------------------------------------

    def live_through(self, seconds: float) -> None:
        """So much true time."""
        end = self.true.time + seconds
        while self.true.time < end:
            moment = self.true.time
            if self.troubles:
                self._trouble()
            soonest = self.true.time + FAR
            for process in list(self.processes):
                soonest = min(soonest, self._round(process))
            if not any(process.up_at <= self.true.time for process in self.processes):
                self.all_down_until = min(process.up_at for process in self.processes)
            self.true.time = max(self.true.time, moment, min(soonest, end)) + 1.0

    def _round(self, process: Process) -> float:
        """One look of one daemon; the true time of its next."""
        if process.up_at > self.true.time:
            return process.up_at
        if process.holder in self.store.dead:
            process = self.processes[process.number] = self._process(process.number)
        if not process.lead.confirm() and not process.lead.take():
            return self.true.time + FAR
        self.acting = process
        try:
            looked = process.keeper.round(process.lead.confirm)
        except Kill:
            self._down(process, self.rng.choice((10.0, HOUR)))
            return self.true.time + 1.0
        finally:
            self.acting = None
        if process.lead.held and not 0.0 <= self.true.time - self.checked_at < FAR / 2:
            self.checked_at = self.true.time
            self._check_overdue(looked)
        return self.true.time + max(1.0, min(FAR, looked.next_at - self.clock.now()))

    def _down(self, process: Process, seconds: float) -> None:
        self.store.dead.add(process.holder)
        process.up_at = self.true.time + seconds

    def _trouble(self) -> None:
        """What goes wrong, and what people do, every once in a while."""
        draw = self.rng.random()
        if draw < 0.004:
            for process in self.processes:  # the whole host is down, for hours to weeks
                self._down(process, self.rng.choice((HOUR, 8 * HOUR, 3 * DAY, 20 * DAY)))
            self.all_down_until = max(process.up_at for process in self.processes)
        elif draw < 0.02:
            self._down(self.rng.choice(self.processes), self.rng.choice((60.0, DAY)))
        elif draw < 0.026:
            self.true.skew += self.rng.choice((-2 * DAY, -6 * HOUR, -HOUR, HOUR, 6 * HOUR, 2 * DAY))
            self.jumped_at = self.true.time
        elif draw < 0.05:
            answer = self.rng.choice((Outcome.REFUSED, Outcome.LATER, Outcome.UNKNOWN))
            self.outages[f"p{self.rng.randrange(5)}"] = (self.true.time + self.rng.choice((HOUR, DAY, 9 * DAY)), answer)
        elif draw < 0.09:
            self._person(self.rng.choice(self.store.names()))
        elif draw < 0.2:
            for record in self.store.records():
                rotation = record.rotation
                if rotation is not None and rotation.state is State.AWAITING:
                    self._person(record.secret.name)
                    break

    def _person(self, name: str) -> None:
        """Rotates by name, gives a value, resumes what is stuck."""
        record = self.store.load(name)
        assisted = self.rules[name].assisted
        self.touched[name] = self.true.time
        engine = Engine(self.store, YearsGear(self), self.clock, Quiet(), lambda: f"r{next(self.ids)}",
                        Settings(lease=LEASE, actor="person", holder=f"h{next(self.ids)}", patience=30.0, queue=0.0))
        try:
            if record.rotation is not None and record.rotation.state is State.STUCK:
                engine.resume(name)
            else:
                engine.rotate(name, Order(supplied=SecretValue(self._mint(name)) if assisted else None))
        except ClawError as error:
            self.log.append(f"person: {name}: {error.message}")

    # --- what is checked ----------------------------------------------------------------------------------------

    def _hook(self, when: str) -> None:
        process = self.acting
        if process is None or not self.troubles or self.nested:
            return
        draw = self.rng.random()
        if draw < 0.002:
            raise Kill
        if when == "commit" and draw < 0.004:
            self._stopped(process)

    def _stopped(self, process: Process) -> None:
        """SIGSTOP: this one sleeps while the other takes over and works; then it wakes up in the middle of things."""
        self.nested = True
        self.true.time += LEASE + TAKEOVER + 1.0
        other = self.processes[1 - process.number]
        if other.up_at <= self.true.time and other.holder not in self.store.dead:
            self._round(other)
        self.nested, self.acting = False, process

    def began(self, name: str, actor: str) -> None:
        """A rotation was begun: called by the gear, in the step after the first commit."""
        if actor == "person":
            return
        record, rule = self.store.load(name), self.rules[name]
        current, rotation = record.current, record.rotation
        assert current is not None and rotation is not None
        now = rotation.started_at  # when it was decided: the process may have slept between that and its first step
        when = due(rule, record)
        if when is None or now < when:
            raise Broken(f"{name} was begun before it was due (a second time in its interval)")
        urgent = rule.outside and rule.hard_age is not None and now - current.created_at >= rule.hard_age
        if not urgent and not inside(rule.openings.windows, now):
            raise Broken(f"{name} was begun outside of its windows")
        for other in self.store.records():
            if other.secret.name == name or not record.secret.group or other.secret.group != record.secret.group:
                continue
            if other.rotating and other.rotation is not None and other.rotation.state is not State.AWAITING:
                raise Broken(f"{name} was begun while {other.secret.name} of its group is rotated")
            span, touched = rule.openings.first(now), other.current
            if touched is None or span is None or touched.created_at > now or urgent:
                continue
            if rule.openings.windows and touched.created_at >= span.opens:
                raise Broken(f"{name} was begun in the window in which {other.secret.name} of its group was rotated")
        if now - self.begun_at < STAGGER - 1 and self.jumped_at < self.begun_true:
            raise Broken(f"{name} was begun {now - self.begun_at:.0f} s after another")
        self.begun_at, self.begun_true = now, self.true.time
        self.begins.append((name, now))

    def _check_overdue(self, looked: Looked) -> None:
        """Who is late must have been told of; those to whom nothing happened are not late at all."""
        for record in looked.records:
            name, rule = record.secret.name, self.rules[record.secret.name]
            when = due(rule, record)
            if when is None or when > looked.at:
                continue
            quiet = max(self.jumped_at, self.all_down_until, self.touched.get(name, START)) - self.true.time + looked.at
            latest = self._latest(rule, max(when, quiet), 2)
            if looked.at <= latest:
                continue
            healthy = not (rule.assisted or record.secret.group or rule.last or rule.after)
            rotation = record.rotation
            failed = rotation is not None and (rotation.failures or not rotation.final)
            if healthy and not failed and rule.provider not in self.outages and rule.provider != "p1":
                raise Broken(f"{name} was due {(looked.at - when) / DAY:.1f} d ago, and nothing kept it")
            if self.told.get(name, -1.0) < self.true.time - (looked.at - when) - 8 * DAY:
                raise Broken(f"{name} is overdue by {(looked.at - when) / DAY:.1f} d, and nobody was told")

    @staticmethod
    def _latest(rule: Rule, since: float, openings: int) -> float:
        """The stated slack: an opening may go by (it is full, or it is let go for others), the second may not. Without
        windows: jitter, and a day for the queue."""
        if not rule.openings.windows:
            span = rule.openings.first(since)
            return max(since, span.opens if span else since) + HOUR + DAY
        spans = list(itertools.islice((s for s in rule.openings.spans(since) if s.opens >= since - 1), openings))
        return spans[-1].closes + HOUR


def inside(windows: Sequence[Window], at: float) -> bool:
    """Whether a window is open, by zoneinfo's own reckoning. In the hours after a clock change the former clock counts
    as well: a window that a gap swallows is open by it."""
    return not windows or any(_shows(window, at, at - back) for window in windows for back in (0.0, 4 * HOUR))


def _shows(window: Window, at: float, when: float) -> bool:
    """Whether a clock that is set as it was at `when` shows a time in the window at `at`."""
    offset = dt.datetime.fromtimestamp(when, ZoneInfo(window.zone.name)).utcoffset()
    assert offset is not None
    shown = dt.datetime.fromtimestamp(at, dt.UTC) + offset
    second, day = shown.hour * 3600 + shown.minute * 60 + shown.second, shown.weekday()
    if window.start < window.end:
        return day in window.days and window.start <= second < window.end
    return (day in window.days and second >= window.start) or ((day - 1) % 7 in window.days and second < window.end)


class _Nowhere:
    def write(self, text: str) -> None:
        """Nothing."""

    def flush(self) -> None:
        """Nothing."""


# --- what acts ----------------------------------------------------------------------------------------------


class _Issuer:
    def __init__(self, world: Years, name: str, assisted: bool) -> None:
        self.w, self.name, self.assisted = world, name, assisted

    def can(self, operation: str) -> bool:
        return True

    def _trouble(self) -> Reply | None:
        until, answer = self.w.outages.get(self.w.rules[self.name].provider, (0.0, Outcome.OK))
        if until <= self.w.true.time:
            self.w.outages.pop(self.w.rules[self.name].provider, None)
            return None
        return Reply(answer, "the provider is not well")

    def create(self, request: Request) -> Reply:
        if self.assisted:
            if request.supplied is None:
                return Reply(Outcome.LATER, "make one", person=True)
            return Reply(Outcome.OK, value=request.supplied)
        trouble = self._trouble()
        if trouble is not None:
            return trouble
        value = SecretValue(self.w._mint(self.name))
        return Reply(Outcome.OK, value=value, handle=f"h-{value.reveal().decode()}")

    def recover(self, request: Request) -> Reply:
        return Reply(Outcome.REFUSED)

    recreate = create

    def test(self, value: SecretValue, request: Request) -> Reply:
        return Reply(Outcome.OK if value.reveal() in self.w.live[self.name] else Outcome.REFUSED)

    def revoke(self, handle: str, value: SecretValue | None, request: Request) -> Reply:
        if value is not None:
            self.w.live[self.name].discard(value.reveal())
        return Reply(Outcome.OK)

    def find(self, request: Request) -> tuple[Reply, Sequence[Listed]]:
        return Reply(Outcome.OK), ()

    def explain(self, request: Request) -> Sequence[str]:
        return ()

    def describe(self, operation: str, request: Request) -> str:
        return operation


class _App:
    target = "app"
    validates = False
    reads: tuple[str, ...] = ()

    def reload(self, handover: Handover) -> Reply:
        return Reply(Outcome.OK)

    def probe(self, handover: Handover) -> Reply:
        return Reply(Outcome.OK)

    def prove(self, handover: Handover) -> Reply:
        return Reply(Outcome.OK, proof="seen")

    def preflight(self, handover: Handover) -> Reply:
        return Reply(Outcome.OK)

    def describe(self) -> str:
        return "app"


class YearsGear:
    """Outfits. ANNOUNCE asks for the admin credential: there the world hears that a rotation was begun."""

    def __init__(self, world: Years) -> None:
        self.w = world

    def is_admin(self, secret: Secret) -> bool:
        return False

    def outfit(self, secret: Secret, strategy: str = "") -> Outfit:
        rule = self.w.rules[secret.name]
        issuer = _Issuer(self.w, secret.name, rule.assisted)
        return Outfit("assisted" if rule.assisted else "overlap", issuer, rule.policy, {}, {"app": _App()},
                      admin_test=self._announced(secret.name))

    def _announced(self, name: str) -> Callable[[], Reply]:
        def look() -> Reply:
            rotation = self.w.store.load(name).rotation
            if rotation is not None and rotation.state is State.PLANNED and rotation.tries == rotation.hops == 0:
                self.w.began(name, "person" if self.w.acting is None else "daemon")
            return Reply(Outcome.OK)

        return look


def life(seed: int, secrets: int, years: float, *, troubles: bool = True) -> Years:
    """A whole life, checked; AssertionError names the seed."""
    world = Years(random.Random(seed), secrets, troubles)
    try:
        world.live_through(years * 365 * DAY)
    except Broken as error:
        raise AssertionError(f"seed {seed}, {secrets} secrets, at {_shown(world.clock.now())}: {error}") from None
    return world


def done(world: Years) -> Counter[str]:
    """How many rotations of each secret ended well."""
    ends = ("rotation.done", "rotation.done-owed")
    return Counter(item.event.secret for item in world.store.events() if item.event.action in ends)


def _shown(at: float) -> str:
    return dt.datetime.fromtimestamp(at, dt.UTC).isoformat(timespec="seconds")


