"""One round: what raised is not tried without end, people are asked seldom, what stands is told until it is heard."""

from __future__ import annotations

import io
import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import pytest

from clawsecrets.daemon.keeper import ASK_EVERY, Keeper
from clawsecrets.daemon.lead import Lead
from clawsecrets.daemon.logs import Log
from clawsecrets.daemon.told import Told
from clawsecrets.errors import ConfigError, Fenced, StoreDamaged, StoreError
from clawsecrets.model.audit import AuditEvent
from clawsecrets.model.need import Need, needs
from clawsecrets.model.notice import Notice, Severity, Topic
from clawsecrets.model.policy import DAY, RotationPolicy
from clawsecrets.model.record import Record
from clawsecrets.model.rotation import Outcome, Rotation, State, Wait
from clawsecrets.model.schedule import Pace, Rule
from clawsecrets.ports import Change, Reply
from clawsecrets.rotate.engine import Engine
from clawsecrets.rotate.ledger import Ledger
from clawsecrets.rotate.order import Order, Result, Settings
from tests.fakes import Quiet
from tests.sim.gear import WorldGear
from tests.sim.world import NAME, Item, World


@dataclass
class Desk:
    """A keeper over the simulated world of one secret."""

    strategy: str = "overlap"
    script: tuple[Item, ...] = ()
    rule: Rule = field(default_factory=lambda: Rule(RotationPolicy(interval=30 * DAY), hard_age=45 * DAY))
    answer: Outcome = Outcome.OK

    def __post_init__(self) -> None:
        self.world = World(self.strategy, script=self.script, patience=30.0)
        self.clock, self.store = self.world.clock, self.world.store
        self.told: list[Notice] = []
        self.stream = io.StringIO()
        ledger = Ledger(self.store, WorldGear(self.world), self.clock, "d", "d1")
        self.engine: Engine = self.world.engine()
        self.keeper = Keeper(self.store, self.engine, ledger, self, self.clock, Told(None, self.clock.now()), self,
                             Log(self.clock, stream=self.stream), lambda record: ["1. open the page"])

    def needs(self, records: Iterable[Record], now: float) -> tuple[list[Need], Mapping[str, Rule]]:
        return needs(list(records), {NAME: self.rule}, Pace(0.0), now), {NAME: self.rule}

    def tell(self, notices: Sequence[Notice]) -> Reply:
        self.told += notices
        return Reply(self.answer)

    def describe(self) -> str:
        return "a list"

    def round(self) -> list[Topic]:
        """One round; the topics that were told in it."""
        before = len(self.told)
        self.keeper.round(lambda: True)
        return [notice.topic for notice in self.told[before:]]

    @property
    def record(self) -> Record:
        return self.store.load(NAME)


def test_a_record_that_cannot_be_read_is_told_and_stops_no_other() -> None:
    desk = Desk()
    desk.round()
    desk.store.broken["other"] = StoreDamaged("the record document of other was altered", "bao kv rollback …")
    desk.clock.sleep(30 * DAY)
    assert desk.round() == [Topic.DAEMON]
    notice = desk.told[-1]
    assert notice.secret == "other" and "was altered" in notice.detail and notice.command == "bao kv rollback …"
    desk.clock.sleep(3600.0)
    assert desk.round() == [Topic.ROTATED] and desk.record.last_number == 2
    desk.clock.sleep(DAY)
    assert desk.round() == [Topic.DAEMON], "it stands still"
    desk.store.broken.clear()
    desk.clock.sleep(DAY)
    assert desk.round() == []


def test_what_the_process_has_to_say_is_told_where_nothing_can_be_read(monkeypatch: pytest.MonkeyPatch) -> None:
    desk = Desk()
    desk.round()
    desk.keeper.notices("store", [Notice(Topic.DAEMON, Severity.ERROR, "daemon::store:sealed", 0.0, again=DAY)])
    with monkeypatch.context() as patch:
        patch.setattr(desk.store, "records", _sealed)
        for everything in (True, False, True):
            with pytest.raises(StoreError):
                desk.round()
            desk.keeper.tell_aside(everything=everything)
        assert [notice.key for notice in desk.told] == ["daemon::store:sealed"]
        desk.clock.sleep(DAY)
        desk.keeper.tell_aside(everything=True)
        assert len(desk.told) == 2, "it stands still"
    desk.keeper.notices("store", [])
    desk.clock.sleep(DAY)
    assert desk.round() == []


def _sealed(**more: object) -> Iterable[Record]:
    raise StoreError("it is sealed")


def test_what_is_due_is_rotated_once_and_told_once() -> None:
    desk = Desk()
    assert desk.round() == [] and desk.record.last_number == 1
    desk.clock.sleep(30 * DAY)
    desk.round()
    desk.clock.sleep(3600.0)  # the grace of the simulated world
    assert desk.round() == [Topic.ROTATED]
    assert desk.record.last_number == 2 and desk.record.rotation is not None
    assert desk.record.rotation.state is State.DONE
    assert desk.round() == [] and desk.record.last_number == 2


def test_nothing_is_done_that_may_not_be_done() -> None:
    desk = Desk()
    desk.clock.sleep(90 * DAY)
    desk.keeper.round(lambda: False)
    assert desk.record.last_number == 1 and desk.told == []


def test_nothing_is_begun_under_a_lost_lead() -> None:
    desk = Desk()
    lead = Lead(desk.store, "d1", 30.0, desk.clock.now)
    other = Lead(desk.store, "d2", 30.0, desk.clock.now)
    assert lead.take()
    settings = Settings(lease=90.0, holder="d1", queue=0.0, lead=lead.lease)
    engine = Engine(desk.store, WorldGear(desk.world), desk.clock, Quiet(), lambda: "r1", settings)
    desk.clock.sleep(31.0)
    assert other.take()
    for _ in range(2):  # still believing, and knowing that it was lost
        with pytest.raises(Fenced):
            engine.rotate(NAME, Order())
        assert not lead.confirm()
    assert desk.record.rotation is None


def test_what_raises_cools_down_longer_each_time_and_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    desk, tries = Desk(), []

    def refuse(self: Engine, name: str, order: Order) -> Result:
        tries.append(desk.clock.now())
        raise ConfigError("there is no [injectors.gone]")

    monkeypatch.setattr(Engine, "rotate", refuse)
    desk.clock.sleep(30 * DAY)
    assert desk.round() == [Topic.DAEMON]
    assert "cannot be worked on: there is no [injectors.gone]" in desk.told[-1].detail
    for _ in range(200):
        desk.clock.sleep(30.0)
        desk.round()
    gaps = [round(b - a) for a, b in itertools.pairwise(tries)]
    assert gaps[:4] == [60, 120, 240, 480] and len(tries) < 10


def test_a_person_is_looked_for_seldom(monkeypatch: pytest.MonkeyPatch) -> None:
    desk, asked = Desk(), []
    waiting = Rotation("r", NAME, "overlap", State.DELIVERED, 0.0, 0.0, 1, 1, armed=False, waits_for=Wait.PERSON)
    record = replace(desk.record, rotation=waiting)
    desk.store.commit([Change(record, AuditEvent(0.0, "t", "x", NAME))])

    def look(self: Engine, name: str, order: Order) -> Result:
        asked.append(order.begin)
        return Result(record, already=True)

    monkeypatch.setattr(Engine, "rotate", look)
    assert desk.round() == [Topic.UNPROVEN]
    for _ in range(5):
        desk.clock.sleep(ASK_EVERY / 6)
        desk.round()
    assert asked == [False]
    desk.clock.sleep(ASK_EVERY / 6)
    desk.round()
    assert asked == [False, False]


def test_a_notice_that_was_not_heard_is_offered_again() -> None:
    desk = Desk(script=(Item("creating", "create", "refuse"),))
    desk.clock.sleep(30 * DAY)
    desk.answer = Outcome.LATER
    assert Topic.FAILED in desk.round()
    assert Topic.FAILED in desk.round()
    desk.answer = Outcome.OK
    assert Topic.FAILED in desk.round()
    assert desk.round() == []


def test_reminders_of_an_assisted_one_come_with_its_steps() -> None:
    desk = Desk("assisted")
    desk.rule = replace(desk.rule, assisted=True)
    heard = []
    for _ in range(33 * 4):
        desk.clock.sleep(DAY / 4)
        desk.round()
    heard = [(notice.days_left, notice.steps) for notice in desk.told if notice.topic is Topic.REMINDER]
    days = [left for left, _ in heard]
    assert days == [14, 7, 3, 1, 0, -1, -2, -3]
    assert all(steps == ("1. open the page",) for _, steps in heard)
    assert desk.told[-1].command == f"clawsecrets rotate {NAME}"
    rotation = desk.record.rotation
    assert rotation is not None and rotation.state is State.AWAITING, "it began by itself and waits"


def test_loud_past_its_hard_age() -> None:
    desk = Desk("assisted")
    desk.rule = replace(desk.rule, assisted=True)
    desk.clock.sleep(46 * DAY)
    assert Topic.HARD_AGE in desk.round()
    assert "46d old, past its hard limit: waiting for the new value" in {notice.detail for notice in desk.told}
