"""One round of keeping: look at the store, do what is needed now, work off what is owed, tell what stands.

Everything is decided from the store's state, anew before each piece of work. What is kept between rounds only spares
work or words: which secrets could not be begun a moment ago, when a person was last looked for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Protocol

from clawsecrets.daemon.guard import guarded
from clawsecrets.daemon.logs import INFO, WARNING, Log
from clawsecrets.daemon.told import Told
from clawsecrets.errors import StoreError
from clawsecrets.model.need import NEVER, Act, Need
from clawsecrets.model.notice import Notice, Severity, Topic
from clawsecrets.model.policy import DAY
from clawsecrets.model.record import Record
from clawsecrets.model.rotation import FAILED, Outcome
from clawsecrets.model.schedule import Rule
from clawsecrets.model.standing import standing
from clawsecrets.model.status import outcome_words
from clawsecrets.ports import Clock, Notifier, Store
from clawsecrets.rotate.engine import Engine
from clawsecrets.rotate.ledger import Ledger
from clawsecrets.rotate.order import Order

ASK_EVERY = 6 * 3600.0
"""Seconds between two looks whether a person has done what a rotation waits for."""
COOLING = (60.0, 3600.0)
"""Seconds before work that raised an error is tried again: the first time, and at most."""
ACTING = frozenset({Act.BEGIN, Act.GO_ON, Act.ASK})


class Rules(Protocol):
    """The timetable, as far as a round needs it."""

    def needs(self, records: Iterable[Record], now: float) -> tuple[list[Need], Mapping[str, Rule]]:
        """What is to be done now, and by which rules."""


class Tally(Protocol):
    """Counts what happens, for the metrics."""

    def ended(self, outcome: str, seconds: float) -> None:
        """A rotation ended; `outcome` is its final state."""


class NoTally:
    """Counts nothing."""

    def ended(self, outcome: str, seconds: float) -> None:
        """Nothing."""


@dataclass(frozen=True)
class Looked:
    """What was seen at the end of a round. Unix times."""

    at: float
    records: Sequence[Record] = ()
    needs: Sequence[Need] = ()
    rules: Mapping[str, Rule] = field(default_factory=dict)

    @property
    def next_at(self) -> float:
        """When there is something to do by what is known now; NEVER: nothing by itself."""
        times = [need.at for need in self.needs if need.act is Act.WAIT and need.at > self.at]
        owed = [entry.next_at for record in self.records if not record.reconcile for entry in record.revocations]
        return min([*times, *(at for at in owed if at > self.at)], default=NEVER)


@dataclass
class _Cooling:
    until: float
    wait: float
    why: str


class Keeper:
    """Keeps the schedule of one store. `explain` gives the steps of a person for one secret's new value."""

    def __init__(self, store: Store, engine: Engine, ledger: Ledger, timetable: Rules, clock: Clock, told: Told,
                 notifier: Notifier, log: Log, explain: Callable[[Record], Sequence[str]],
                 tally: Tally | None = None) -> None:
        self._store = store
        self._engine = engine
        self._ledger = ledger
        self._timetable = timetable
        self._clock = clock
        self._told = told
        self._notifier = notifier
        self._log = log
        self._explain = explain
        self._tally = tally or NoTally()
        self._cooling: dict[tuple[str, str], _Cooling] = {}
        """By what was tried (rotation, revocation) and the secret."""
        self._asked: dict[str, float] = {}
        self._broken: dict[str, StoreError] = {}
        """Whose records could not be read at the last look: nothing is done with them, and the others are kept."""
        self._more: dict[str, tuple[Notice, ...]] = {}

    def round(self, may_act: Callable[[], bool]) -> Looked:
        """Do all that is needed now. `may_act` is asked before each piece of work: False ends the round."""
        tried: set[str] = set()
        looked = self.look()
        while may_act():
            need = self._next(looked, tried)
            if need is None:
                break
            tried.add(need.secret)
            self._work(need)
            looked = self.look()
        if may_act() and self._pay(may_act):
            looked = self.look()
        if may_act():
            self.tell(looked)
        return looked

    def look(self) -> Looked:
        """What stands now; changes nothing."""
        self._broken = {}
        records, now = list(self._store.records(broken=self._broken.__setitem__)), self._clock.now()
        needs, rules = self._timetable.needs(records, now)
        return Looked(now, records, needs, rules)

    def notices(self, source: str, found: Iterable[Notice]) -> None:
        """Further notices that stand until the same source says otherwise (the nightly checks, the process)."""
        self._more[source] = tuple(found)

    # --- work -------------------------------------------------------------------------------------------------------

    def _next(self, looked: Looked, tried: set[str]) -> Need | None:
        return next((need for need in looked.needs if need.act in ACTING and need.secret not in tried
                     and not self._rests(need, looked.at)), None)

    def _rests(self, need: Need, now: float) -> bool:
        asked = self._asked.get(need.secret, -NEVER)
        return self._cools("rotation", need.secret, now) or (need.act is Act.ASK and 0.0 <= now - asked < ASK_EVERY)

    def _cools(self, what: str, name: str, now: float) -> bool:
        cooling = self._cooling.get((what, name))
        return cooling is not None and 0.0 < cooling.until - now <= cooling.wait

    def _work(self, need: Need) -> None:
        name, record = need.secret, self._store.load(need.secret)
        if need.act is Act.ASK:
            self._asked[name] = self._clock.now()
        number = record.current.number if record.current is not None else 0
        order = Order(from_version=number) if need.act is Act.BEGIN else Order(begin=False)
        self._log.write(INFO, f"rotation.{need.act.value}", secret=name, why=need.why,
                        rotation=_unfinished(record))
        self._cool("rotation", name, guarded(self._log, "rotation", lambda: self._rotate(name, order), secret=name))

    def _rotate(self, name: str, order: Order) -> None:
        result = self._engine.rotate(name, order)
        rotation = result.record.rotation
        if rotation is None or result.already:
            return
        level = WARNING if rotation.state in FAILED else INFO
        self._log.write(level, "rotation.end" if rotation.final else "rotation.left", secret=name, rotation=rotation.id,
                        state=rotation.state.value, words=outcome_words(rotation), note=rotation.note)
        if rotation.final:
            self._tally.ended(rotation.state.value, max(0.0, rotation.finished_at - rotation.started_at))

    def _cool(self, what: str, name: str, trouble: str) -> None:
        if trouble in ("", "busy"):
            self._cooling.pop((what, name), None)
            return
        before = self._cooling.get((what, name))
        wait = min(COOLING[1], before.wait * 2) if before is not None else COOLING[0]
        self._cooling[what, name] = _Cooling(self._clock.now() + wait, wait, trouble)

    def _pay(self, may_act: Callable[[], bool]) -> bool:
        """Try the revocations that are due; whether there were any."""
        names = self._ledger.due(self._clock.now(), lambda name, fault: None)
        for name in names:
            if not may_act():
                break
            if not self._cools("revocation", name, self._clock.now()):
                self._cool("revocation", name, guarded(self._log, "revocation", partial(self._try, name), secret=name))
        return bool(names)

    def _try(self, name: str) -> None:
        for tried in self._ledger.work(name):
            self._log.write(INFO if tried.dead else WARNING, "revocation.tried", secret=name, dead=tried.dead,
                            version=tried.entry.version, rotation=tried.entry.rotation, detail=tried.reply.detail)

    # --- words ------------------------------------------------------------------------------------------------------

    def tell(self, looked: Looked) -> None:
        """Tell what stands and was not told yet."""
        every = list(self._standing(looked))
        news = self._told.news(every, looked.at)
        if self._say([self._with_steps(notice, looked) for notice in news]):
            self._told.remember(news, every, looked.at)

    def tell_aside(self, *, everything: bool) -> None:
        """Tell while no round can: what stands by what can be read, where `everything` is ours to tell; else, or where
        nothing can be read, what the process itself has to say."""
        with suppress(StoreError):
            if everything:
                self.tell(self.look())
                return
        now = self._clock.now()
        news = self._told.news([notice for found in self._more.values() for notice in found], now)
        if self._say(news):
            self._told.remember(news, None, now)

    def _say(self, notices: Sequence[Notice]) -> bool:
        """Whether there was something new, and it was heard."""
        outcomes: list[Outcome] = []
        # with nothing new as well: what waits for its digest, or for a channel that failed, may go now
        guarded(self._log, "notify", lambda: outcomes.append(self._notifier.tell(notices).outcome))
        return bool(notices and outcomes) and outcomes[0] in (Outcome.OK, Outcome.REFUSED)

    def _standing(self, looked: Looked) -> Iterable[Notice]:
        records = {record.secret.name: record for record in looked.records}
        for need in looked.needs:
            yield from standing(records[need.secret], looked.rules[need.secret], need, looked.at, self._told.since)
        for (what, name), cooling in sorted(self._cooling.items()):
            if name in records:
                yield Notice(Topic.DAEMON, Severity.ERROR, f"daemon:{name}:{what}:{cooling.why}", looked.at, name,
                             records[name].secret.provider, records[name].secret.kind.value,
                             detail=f"its {what} cannot be worked on: {cooling.why}", again=DAY)
        for name, fault in sorted(self._broken.items()):
            yield Notice(Topic.DAEMON, Severity.ERROR, f"daemon:{name}:unreadable:{fault.message}", looked.at, name,
                         detail=f"nothing is done with it: {fault.message}", command=fault.hint, again=DAY)
        for found in self._more.values():
            yield from found

    def _with_steps(self, notice: Notice, looked: Looked) -> Notice:
        """With what a person does, where a new value is asked of them."""
        if notice.topic not in (Topic.REMINDER, Topic.WAITING, Topic.HARD_AGE):
            return notice
        rule = looked.rules.get(notice.secret)
        record = next((one for one in looked.records if one.secret.name == notice.secret), None)
        if record is None or rule is None or not rule.assisted:
            return notice
        steps: list[str] = []
        guarded(self._log, "notify", lambda: steps.extend(self._explain(record)), secret=notice.secret)
        return replace(notice, steps=tuple(steps))


def _unfinished(record: Record) -> str:
    return record.rotation.id if record.rotation is not None and record.rotating else ""
