"""Each channel by itself: what goes there, when, and what happens to one that fails."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from clawsecrets.config.zones import zone
from clawsecrets.model.channel import Channel
from clawsecrets.model.notice import Notice, Severity, Topic
from clawsecrets.model.policy import DAY
from clawsecrets.model.rotation import Outcome
from clawsecrets.model.secret import SecretValue
from clawsecrets.model.window import parse_window
from clawsecrets.notifiers.channels import ALARMING, IN_ONE, Channels, Means
from clawsecrets.notifiers.courier import Parcel
from clawsecrets.notifiers.outbox import BACKOFF, MOST, Outbox
from clawsecrets.ports import Reply
from tests.fakes import FakeClock
from tests.notifiers.examples import NOW, every

PHONE, MAIL = Channel("phone", "notify-phone"), Channel("mail", "notify-mail")
INFO, WARNING, ERROR, CRITICAL = Severity


def notice(key: str, severity: Severity = INFO, topic: Topic = Topic.ROTATED) -> Notice:
    return Notice(topic, severity, key, NOW, key)


@dataclass
class Desk:
    """Channels with a courier that does what it is told."""

    channels: tuple[Channel, ...] = (PHONE, MAIL)
    file: Path | None = None

    def __post_init__(self) -> None:
        self.clock = FakeClock(NOW)
        self.log: list[str] = []
        self.sent: list[tuple[str, str]] = []
        """Address and title, in order, of what was taken."""
        self.tried: list[str] = []
        self.down: dict[str, Outcome] = {}
        self.missing: set[str] = set()
        self.cleaned: Callable[[Notice], Notice] = lambda it: it
        self.restart()

    def restart(self) -> None:
        means = Means(self, self.clock, self.address, self.cleaned, host="h")
        self.notifier = Channels(self.channels, Outbox(self.file), means, lambda it: self.log.append(it.key))

    def address(self, secret: str) -> SecretValue | str:
        return f"{secret} is not in the store" if secret in self.missing else SecretValue(secret)

    def bring(self, parcels: Sequence[Parcel], timeout: float) -> Sequence[Reply]:
        replies = []
        for parcel in parcels:
            address = parcel.address.reveal_text()
            self.tried.append(address)
            outcome = self.down.get(address, Outcome.OK)
            if outcome is Outcome.OK:
                self.sent.append((address, parcel.message.title.removeprefix("clawsecrets: ").partition(":")[0]))
            replies.append(Reply(outcome, "why not"))
        return replies

    def tell(self, *notices: Notice) -> Outcome:
        return self.notifier.tell(notices).outcome

    def taken(self) -> list[tuple[str, str]]:
        """What was taken since the last call."""
        found, self.sent = self.sent, []
        return found


def test_all_of_one_round_are_one_message_to_each() -> None:
    desk = Desk()
    assert desk.tell(notice("a"), notice("b")) is Outcome.OK
    assert desk.taken() == [("notify-phone", "2 notices"), ("notify-mail", "2 notices")]
    assert desk.log == ["a", "b"] and desk.notifier.describe() == "log, phone, mail"
    desk.tell()
    assert desk.taken() == [] and desk.log == ["a", "b"]


def test_a_channel_takes_what_it_is_for() -> None:
    desk = Desk((Channel("phone", "p", WARNING), Channel("mail", "m", topics=frozenset({Topic.DRIFT}))))
    desk.tell(notice("quiet"), notice("loud", ERROR), notice("drift", INFO, Topic.DRIFT), notice("t", INFO, Topic.TEST))
    assert desk.taken() == [("p", "2 notices, 1 error"), ("m", "2 notices")]
    assert len(desk.log) == 4


@pytest.mark.parametrize("outcome", [Outcome.LATER, Outcome.UNKNOWN, Outcome.REFUSED])
def test_one_that_fails_is_tried_again_alone(outcome: Outcome) -> None:
    desk = Desk()
    desk.down["notify-phone"] = outcome
    assert desk.tell(notice("a")) is Outcome.OK, "it is kept"
    assert desk.taken() == [("notify-mail", "a")]
    desk.tell()
    assert desk.tried == ["notify-phone", "notify-mail"], "not before its time"
    desk.clock.sleep(BACKOFF[0])
    desk.down.clear()
    desk.tell(notice("b"))
    assert sorted(desk.taken()) == [("notify-mail", "b"), ("notify-phone", "2 notices")]
    desk.clock.sleep(DAY)
    desk.tell()
    assert desk.taken() == []


def test_it_is_tried_less_and_less_often_and_never_given_up() -> None:
    desk = Desk((PHONE,))
    desk.down["notify-phone"] = Outcome.LATER
    desk.tell(notice("a"))
    for _ in range(2 * 24 * 60):
        desk.clock.sleep(60)
        desk.tell()
    assert 48 <= len(desk.tried) <= 60
    desk.down.clear()
    desk.clock.sleep(BACKOFF[1])
    desk.tell()
    assert desk.taken() == [("notify-phone", "a")]


def test_the_others_are_told_of_one_that_keeps_failing() -> None:
    desk = Desk()
    desk.down["notify-phone"] = Outcome.LATER
    desk.tell(notice("a"))
    desk.taken()
    for _ in range(ALARMING):
        desk.clock.sleep(BACKOFF[1])
        desk.tell()
    assert desk.taken() == [("notify-mail", "the daemon needs a look")]
    assert desk.log.count("daemon::notify:phone") == ALARMING + 1, "each failure stands in the log"


def test_both_down_do_not_fill_each_other() -> None:
    desk = Desk()
    desk.down = {"notify-phone": Outcome.LATER, "notify-mail": Outcome.LATER}
    desk.tell(notice("a"))
    for _ in range(100):
        desk.clock.sleep(BACKOFF[1])
        desk.tell()
    desk.down.clear()
    desk.clock.sleep(BACKOFF[1])
    desk.tell()
    assert [title for _, title in desk.taken()] == ["a", "a"]


def test_an_address_that_is_not_there_fails_that_channel_only() -> None:
    desk = Desk()
    desk.missing.add("notify-phone")
    assert desk.tell(notice("a")) is Outcome.OK
    assert desk.taken() == [("notify-mail", "a")]
    desk.missing.clear()
    desk.clock.sleep(BACKOFF[0])
    desk.tell()
    assert desk.taken() == [("notify-phone", "a")]


def test_each_notice_is_cleaned_before_it_is_kept_logged_or_sent(tmp_path: Path) -> None:
    desk = Desk(file=tmp_path / "notify.json")
    desk.cleaned = lambda it: replace(it, key="cleaned", secret="cleaned", detail="cleaned")
    desk.restart()
    desk.down["notify-phone"] = Outcome.LATER
    desk.tell(replace(notice("canary"), detail="canary-value"))
    assert desk.log[0] == "cleaned" and desk.taken() == [("notify-mail", "cleaned")]
    assert "canary" not in (tmp_path / "notify.json").read_text()


# --- digest, quiet hours ---------------------------------------------------------------------------------------------


def test_a_digest_gathers_and_an_urgent_one_takes_all_along() -> None:
    desk = Desk((Channel("phone", "p", digest=3600.0),))
    desk.tell(notice("a"))
    desk.clock.sleep(3000)
    desk.tell(notice("b"))
    assert desk.taken() == []
    desk.clock.sleep(600)
    desk.tell()
    assert desk.taken() == [("p", "2 notices")]
    desk.tell(notice("c"))
    desk.tell(notice("d", ERROR))
    assert desk.taken() == [("p", "2 notices, 1 error")]


def test_the_same_thing_is_in_a_digest_once() -> None:
    desk = Desk((Channel("phone", "p", digest=3600.0),))
    desk.tell(notice("a"))
    desk.tell(notice("a"))
    desk.clock.sleep(3600)
    desk.tell()
    assert desk.taken() == [("p", "a")]


def test_quiet_hours_keep_what_is_not_urgent() -> None:
    quiet = parse_window("22:00-07:00", lambda name: zone("Europe/Berlin"))  # NOW is 09:00 there
    desk = Desk((Channel("phone", "p", quiet=(quiet,)),))
    desk.clock.sleep(14 * 3600)  # 23:00
    desk.tell(notice("a"))
    assert desk.taken() == []
    desk.tell(notice("b", CRITICAL))
    assert desk.taken() == [("p", "2 notices, 1 critical")]
    desk.tell(notice("c"))
    desk.clock.sleep(7.9 * 3600)  # 06:54
    desk.tell()
    assert desk.taken() == []
    desk.clock.sleep(0.2 * 3600)
    desk.tell()
    assert desk.taken() == [("p", "c")]


def test_a_clock_that_is_put_back_keeps_nothing_for_long() -> None:
    desk = Desk((Channel("phone", "p", digest=3600.0), MAIL))
    desk.down["notify-mail"] = Outcome.LATER
    desk.tell(notice("a"))
    desk.clock.sleep(-100 * DAY)
    desk.down.clear()
    desk.tell()
    assert desk.taken() == [("p", "a"), ("notify-mail", "a")]


# --- many, restart, disk ---------------------------------------------------------------------------------------------


def test_many_go_in_several_messages_the_most_severe_first() -> None:
    desk = Desk((PHONE,))
    desk.tell(*(notice(f"n{number:02}") for number in range(25)), notice("z", CRITICAL))
    desk.tell()
    desk.tell()
    assert [title for _, title in desk.taken()] == [f"{IN_ONE} notices, 1 critical", f"{IN_ONE} notices", "6 notices"]


def test_what_waits_is_bounded_and_the_loud_stay() -> None:
    desk = Desk((PHONE,))
    desk.down["notify-phone"] = Outcome.LATER
    desk.tell(notice("old but loud", ERROR), *(notice(f"n{number}") for number in range(MOST + 50)))
    waiting = desk.notifier._outbox.of("phone")
    assert len(waiting.notices) == MOST and waiting.left_out == 51
    assert "old but loud" in {kept.key for kept, _ in waiting.notices}


def test_a_restart_loses_none(tmp_path: Path) -> None:
    desk = Desk(file=tmp_path / "state" / "notify.json")
    desk.down["notify-phone"] = Outcome.LATER
    given = [it for _, it in every()]
    desk.tell(*given)
    assert os.stat(tmp_path / "state" / "notify.json").st_mode & 0o777 == 0o600
    desk.down.clear()
    desk.restart()
    kept = [it for it, _ in desk.notifier._outbox.of("phone").notices]
    assert kept == list({it.key: it for it in given}.values())
    desk.clock.sleep(BACKOFF[0])
    desk.taken()
    for _ in range(10):
        desk.tell()
    assert {address for address, _ in desk.taken()} == {"notify-phone", "notify-mail"}
    desk.restart()
    desk.tell()
    assert desk.taken() == []
    assert [path.name for path in (tmp_path / "state").iterdir()] == ["notify.json"]


def test_a_channel_that_is_no_longer_configured_is_forgotten(tmp_path: Path) -> None:
    desk = Desk(file=tmp_path / "notify.json")
    desk.down["notify-phone"] = Outcome.LATER
    desk.tell(notice("a"))
    desk.channels = (MAIL,)
    desk.restart()
    desk.tell(notice("b"))
    assert json.loads((tmp_path / "notify.json").read_text())["channels"].keys() == {"mail"}


@pytest.mark.parametrize("text", ["", "{", "[]", '{"channels": 1}', '{"channels": {"phone": {}}}',
                                  '{"channels": {"phone": {"notices": [[{"topic": "x"}, 1]], "left_out": 0}}}'])
def test_a_damaged_outbox_is_an_empty_one(tmp_path: Path, text: str) -> None:
    (tmp_path / "notify.json").write_text(text)
    desk = Desk(file=tmp_path / "notify.json")
    desk.tell(notice("a"))
    assert len(desk.taken()) == 2


def test_a_fifo_in_its_place_holds_nothing_up(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "notify.json")
    desk = Desk(file=tmp_path / "notify.json")
    desk.down["notify-mail"] = Outcome.LATER
    assert desk.tell(notice("a")) is Outcome.OK and desk.taken() == [("notify-phone", "a")]
    assert [it.key for it, _ in Outbox(tmp_path / "notify.json").of("mail").notices] == ["a"]


def test_one_that_takes_over_goes_on_from_what_the_other_left(tmp_path: Path) -> None:
    one = Desk(file=tmp_path / "notify.json")
    one.down["notify-mail"] = Outcome.LATER
    one.tell(notice("a"))
    other = Desk(file=tmp_path / "notify.json")  # it stands by
    one.clock.sleep(BACKOFF[0])
    one.down = {"notify-phone": Outcome.LATER}
    one.tell(notice("b"))
    assert one.taken() == [("notify-phone", "a"), ("notify-mail", "2 notices")]
    other.clock.sleep(BACKOFF[0] * 3)
    other.tell(notice("c"))
    assert other.taken() == [("notify-phone", "2 notices"), ("notify-mail", "c")], "nothing twice, and nothing lost"


def test_where_nothing_can_be_kept_it_is_offered_again_to_the_one_that_failed(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    desk = Desk(file=tmp_path / "file" / "notify.json")  # a file is no folder
    assert desk.tell(notice("a")) is Outcome.OK, "all took it"
    desk.down["notify-phone"] = Outcome.LATER
    assert desk.tell(notice("b")) is Outcome.LATER
    desk.taken()
    desk.clock.sleep(BACKOFF[0])
    desk.down.clear()
    assert desk.tell(notice("b")) is Outcome.OK
    assert desk.taken() == [("notify-phone", "b")] and desk.log.count("b") == 1
