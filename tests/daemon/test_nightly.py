"""The nightly look: what it finds, what it records, and what it leaves alone."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from clawsecrets.daemon.logs import Log
from clawsecrets.daemon.nightly import CHECKS, Watch, drift, night
from clawsecrets.errors import ConfigError
from clawsecrets.injectors.atomic import access
from clawsecrets.injectors.directory import Directory
from clawsecrets.injectors.envfile import EnvFile
from clawsecrets.model.audit import AuditEvent
from clawsecrets.model.notice import Notice, Severity, Topic
from clawsecrets.model.policy import RotationPolicy
from clawsecrets.model.record import Record, Revocation
from clawsecrets.model.rotation import Outcome, Rotation, State
from clawsecrets.model.secret import Kind, Secret, SecretValue, Stage, Version
from clawsecrets.model.shadow import Looked, Sought
from clawsecrets.ports import Change, Entry, Handover, Reply, Request
from clawsecrets.rotate.gear import Outfit
from tests.fakes import FakeClock, MemoryStore

NAME = "a"
VALUES = {1: SecretValue("value-one-0123"), 2: SecretValue("value-two-0123")}


@dataclass
class Provider:
    """An issuer that accepts these values, and counts."""

    accepts: set[bytes]
    tried: list[bytes] = field(default_factory=list)
    answer: Reply | None = None
    operations: tuple[str, ...] = ("test",)

    def can(self, operation: str) -> bool:
        return operation in self.operations

    def test(self, value: SecretValue, request: Request) -> Reply:
        self.tried.append(value.reveal())
        return self.answer or Reply(Outcome.OK if value.reveal() in self.accepts else Outcome.REFUSED, "HTTP 401")


@dataclass
class App:
    """A consumer."""

    reply: Reply = field(default_factory=lambda: Reply(Outcome.OK, proof="seen"))
    target: str = "app"
    validates: bool = False
    reads: tuple[str, ...] = ()
    asked: list[Handover] = field(default_factory=list)

    def prove(self, handover: Handover) -> Reply:
        self.asked.append(handover)
        return self.reply


@dataclass
class Place:
    """What one test has."""

    folder: Path
    provider: Provider = field(default_factory=lambda: Provider({b"value-two-0123"}))
    app: App = field(default_factory=App)
    elsewhere: bool = False
    broken: bool = False
    private: Sequence[str] = ()
    shadows: Looks | None = None

    def __post_init__(self) -> None:
        self.clock = FakeClock()
        self.store = MemoryStore(self.clock)
        self.injector = EnvFile("env", self.folder / "app.env", "shell", access(mode=0o600))
        versions = (Version(1, Stage.RETIRED, 0.0), Version(2, Stage.CURRENT, 10.0))
        secret = Secret(NAME, "acme", Kind.API_KEY, 0.0, env="A_KEY")
        record = Record(secret, versions, last_number=2)
        self.store.commit([Change(record, AuditEvent(0.0, "t", "secret.set", NAME), VALUES)])
        self.injector.deliver([Entry(NAME, 2, VALUES[2], "A_KEY")])

    def outfit(self, secret: Secret, strategy: str = "") -> Outfit:
        if self.broken:
            raise ConfigError("there is no [injectors.env]")
        consumers: Mapping[str, App] = {"app": self.app}
        return Outfit("overlap", self.provider, RotationPolicy(), {"env": self.injector},  # type: ignore[arg-type]
                      consumers, tests_elsewhere=self.elsewhere, shadows=self.shadows)  # type: ignore[arg-type]

    def is_admin(self, secret: Secret) -> bool:
        return False

    def change(self, edit: Mapping[str, object]) -> None:
        record = replace(self.store.load(NAME), **edit)  # type: ignore[arg-type]
        self.store.commit([Change(record, AuditEvent(0.0, "t", "x", NAME))])

    def look(self) -> list[Notice]:
        watch = Watch(self.store, self, self.clock, "t", "p1", 90.0, lambda: self.private)
        return night(watch, Log(self.clock, stream=io.StringIO()), CHECKS)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def test_when_all_is_well_nothing_is_told_and_what_was_seen_is_recorded(place: Place) -> None:
    assert place.look() == []
    record = place.store.load(NAME)
    assert record.current is not None
    assert record.current.tested_at == record.current.proven_at == place.clock.now()
    assert [handover.old for handover in place.app.asked] == [None], "no older value is shown to a consumer"
    actions = [item.event.action for item in place.store.events()]
    assert actions == ["secret.set", "secret.tested", "secret.seen-dead", "secret.proven"]


def test_an_old_one_is_tried_until_it_was_refused_and_never_again(place: Place) -> None:
    place.look()
    place.look()
    assert place.provider.tried.count(b"value-one-0123") == 1
    assert place.provider.tried.count(b"value-two-0123") == 2


def test_an_old_one_that_still_works_is_told(place: Place) -> None:
    place.provider.accepts.add(b"value-one-0123")
    [found] = place.look()
    assert found.severity is Severity.WARNING and "version 1" in found.detail and "still accepted" in found.detail


@dataclass
class Looks:
    """A shadow check that finds this."""

    found: Looked

    def look(self, sought: Sequence[Sought]) -> Looked:
        return self.found

    def known(self, name_of: Callable[[SecretValue], str]) -> Looked:
        return self.found


@pytest.mark.parametrize(("unseen", "kept"), [
    ((), ()), (("/srv/other: Permission denied",), ()), (("/srv/bot: Permission denied",), (0, 1)),
    (("/srv/bot/a.env: Permission denied",), (0,)), (("the environment of process 7 (openclaw): another's",), (2,)),
])
def test_a_place_that_cannot_be_looked_at_any_more_is_not_taken_for_clean(
        place: Place, unseen: tuple[str, ...], kept: tuple[int, ...]) -> None:
    caveats = ("still in /srv/bot/a.env:1 (KEY) · mend it", "still in /srv/bot/b: gateway.auth.token · adopt",
               "still in the environment of process 7 (openclaw): KEY · restart it")
    place.change({"rotation": Rotation("r", NAME, "overlap", State.DONE, 1.0, 1.0, 1, 2, caveats=("other", *caveats))})
    place.shadows = Looks(Looked((), unseen))
    told = [notice.detail for notice in place.look()]
    rotation = place.store.load(NAME).rotation
    assert rotation is not None and rotation.caveats == ("other", *(caveats[one] for one in kept))
    assert len(told) == len(kept) and all("could not be looked at" in line for line in told)


def test_one_that_the_ledger_owes_is_left_to_the_ledger(place: Place) -> None:
    place.change({"revocations": (Revocation(1, "h", 0.0, "replaced"),)})
    assert place.look() == []
    assert b"value-one-0123" not in place.provider.tried


def test_a_current_value_that_is_refused_is_told(place: Place) -> None:
    place.provider.accepts.clear()
    [found] = place.look()
    assert (found.topic, found.secret, found.command) == (Topic.DRIFT, NAME, "clawsecrets rotate a")
    assert "refuses the current value: HTTP 401" in found.detail


@pytest.mark.parametrize("reply", [Reply(Outcome.UNKNOWN, "no answer"), Reply(Outcome.LATER, "HTTP 429"),
                                   Reply(Outcome.REFUSED, untestable=True), Reply(Outcome.OK, untestable=True)])
def test_no_answer_is_no_drift(place: Place, reply: Reply) -> None:
    place.provider.answer = reply
    assert place.look() == []
    current = place.store.load(NAME).current
    assert current is not None and current.tested_at == 0.0


def test_a_validating_consumer_is_never_shown_an_old_value(place: Place) -> None:
    place.elsewhere = True
    assert place.look() == [] and place.provider.tried == []


@pytest.mark.parametrize(("reply", "severity"), [
    (Reply(Outcome.REFUSED, "it holds the old one"), Severity.ERROR),
    (Reply(Outcome.LATER, "not reachable"), Severity.WARNING),
    (Reply(Outcome.LATER, "it has no probe", person=True), None),
])
def test_what_a_consumer_says(place: Place, reply: Reply, severity: Severity | None) -> None:
    place.app.reply = reply
    found = place.look()
    assert [notice.severity for notice in found] == ([] if severity is None else [severity])
    current = place.store.load(NAME).current
    assert current is not None and current.proven_at == 0.0


def test_a_target_that_lost_it_or_shows_it_to_others(place: Place, tmp_path: Path) -> None:
    file = tmp_path / "app.env"
    file.chmod(0o644)
    [loose] = place.look()
    assert "mode 0644" in loose.detail and "env: " in loose.detail
    file.chmod(0o600)
    file.write_text("A_KEY=something-else\n")
    [lost] = place.look()
    assert "env does not hold the current value" in lost.detail and lost.command == "clawsecrets inject a"


def test_files_of_a_folder_are_looked_at_one_by_one(tmp_path: Path) -> None:
    folder = Directory("out", tmp_path / "out", access(mode=0o400))
    folder.deliver([Entry("a", 1, VALUES[1]), Entry("b", 1, VALUES[2])])
    (tmp_path / "out" / "foreign").write_text("x")
    assert folder.exposed(["a", "b"]) == []
    (tmp_path / "out" / "b").chmod(0o440)
    assert [fault.partition(" has mode ")[2] for fault in folder.exposed(["a", "b"])] == ["0440: more than 0400 allows"]


def test_the_store_itself(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(place.store, "check", lambda: ["row 3 does not open"])
    monkeypatch.setattr(place.store, "verify_log", lambda: "event 7 was altered")
    place.private = ["/x/store.db can be read by others"]
    found = place.look()
    assert [notice.detail for notice in found] == [
        "the store: row 3 does not open", "the audit log: event 7 was altered", "/x/store.db can be read by others"]
    assert {notice.severity for notice in found} == {Severity.CRITICAL}


def test_an_unfinished_rotation_is_left_alone(place: Place) -> None:
    place.change({"rotation": Rotation("r", NAME, "overlap", State.CREATED, 0.0, 0.0)})
    place.provider.accepts.clear()
    assert place.look() == [] and place.provider.tried == [] and place.app.asked == []


def test_one_secret_or_check_that_fails_stops_no_other(place: Place) -> None:
    place.broken = True
    found = place.look()
    assert {notice.detail for notice in found} == {"a could not be looked at: there is no [injectors.env]"}

    def bug(watch: Watch) -> Iterator[Notice]:
        raise RuntimeError("value-two-0123")
        yield drift(watch, "", "")

    watch = Watch(place.store, place, place.clock, "t", "p1", 90.0)
    [told] = night(watch, Log(place.clock, stream=io.StringIO()), [("odd", bug), ("store", CHECKS[0][1])])
    assert "the nightly check odd could not look" in told.detail and "value-two" not in told.detail


def test_it_stops_when_the_daemon_does(place: Place) -> None:
    watch = Watch(place.store, place, place.clock, "t", "p1", 90.0, may_act=lambda: False)
    place.provider.accepts.clear()
    assert night(watch, Log(place.clock, stream=io.StringIO()), CHECKS) == []
