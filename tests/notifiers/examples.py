"""One notice at least of every topic, most of them read off records as the daemon does."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from clawsecrets.model.need import needs
from clawsecrets.model.notice import Notice, Severity, Topic
from clawsecrets.model.policy import DAY, RotationPolicy
from clawsecrets.model.record import Record, Revocation
from clawsecrets.model.rotation import Rotation, State, Wait
from clawsecrets.model.schedule import Pace, Rule
from clawsecrets.model.secret import Kind, Secret, Stage, Version
from clawsecrets.model.standing import standing

NOW = 1_800_000_000.0
NAME = "anthropic-api-key"
RULE = Rule(RotationPolicy(interval=90 * DAY), hard_age=135 * DAY)
ASSISTED = replace(RULE, assisted=True)
STEPS = ("Open https://console.example/settings/keys", "Create a key named clawsecrets-0123456789ab-1",
         "Paste its value here")


def record(age: float, state: State | None = None, **more: object) -> Record:
    """A secret whose current version is so many seconds old."""
    rotation = None
    if state is not None:
        rotation = Rotation("clawsecrets-0123456789ab", NAME, "overlap", state, NOW - 500, NOW - 300, 2, 3)
        rotation = replace(rotation, **more)  # type: ignore[arg-type]
    return Record(Secret(NAME, "anthropic", Kind.API_KEY, 0.0), (Version(3, Stage.CURRENT, NOW - age),), rotation,
                  last_number=3)


def stand(it: Record, rule: Rule = RULE) -> list[Notice]:
    """What the daemon would tell of it."""
    [need] = needs([it], {NAME: rule}, Pace(0.0), NOW)
    return list(standing(it, rule, need, NOW, 0.0))


def every() -> Iterator[tuple[str, Notice]]:
    """Each with words for what it is an example of."""
    debt = Revocation(2, "key_2", NOW - 2 * DAY, "replaced", 5, NOW, "the provider answers HTTP 500")
    ended = {
        "rotated": record(60, State.DONE, finished_at=NOW - 60),
        "rotated, with caveats": record(60, State.DONE, finished_at=NOW - 60,
                                        caveats=("the old one could not be tried at its provider",)),
        "failed": record(80 * DAY, State.ABORTED, finished_at=NOW - 60, failures=1,
                         note="create at https://api.example: HTTP 403"),
        "an old one lives": replace(record(60, State.DONE_OWED, finished_at=0.0), revocations=(debt,)),
        "stuck": record(95 * DAY, State.STUCK, note="the new one cannot be tested: HTTP 500", stuck_in=State.CREATED,
                        hops=7),
        "not proven": record(60, State.DELIVERED, waits_for=Wait.PERSON,
                             note="silent: delivered; it has no means to show what it uses"),
        "waits for the old one's end": record(60, State.RETIRING, waits_for=Wait.PERSON,
                                              note="the admin credential is not in the store"),
    }
    for words, it in ended.items():
        yield from ((words, notice) for notice in stand(it))
    held = replace(record(95 * DAY), secret=replace(record(0).secret, paused_at=NOW - DAY, pause_reason="a move"))
    yield from (("due, but paused", notice) for notice in stand(held))
    yield from (("past its hard age", notice) for notice in stand(record(140 * DAY, State.ABORTED, failures=8,
                finished_at=0.0, note="create at https://api.example: HTTP 403")))
    for left in (13.5, 6.5, 0.5, -3.0):
        age = (90 - left) * DAY
        yield from ((f"reminder {left:g} days before", replace(notice, steps=STEPS))
                    for notice in stand(record(age), ASSISTED))
    yield "leak", Notice(Topic.LEAK, Severity.CRITICAL, "leak:1", NOW, NAME, "anthropic", "api-key", 3,
                         "found in /srv/app/.env.bak, line 3")
    yield "drift", Notice(Topic.DRIFT, Severity.ERROR, "drift:1", NOW, NAME, "anthropic", "api-key", 3,
                          "app-env does not hold the current value", command=f"clawsecrets inject {NAME}")
    yield "drift of the store", Notice(Topic.DRIFT, Severity.CRITICAL, "drift::audit", NOW,
                                       detail="the audit log: event 7 does not follow", again=7 * DAY,
                                       command="clawsecrets audit-log verify")
    yield "daemon", Notice(Topic.DAEMON, Severity.ERROR, "daemon::config", NOW, detail="the new configuration was "
                           "refused, the former one is kept: c.toml: line 3: is not TOML")
    yield "over", Notice(Topic.DAEMON, Severity.ERROR, "daemon::store-works:1", NOW, over=True, detail="the store "
                         "can be used again, and the schedule is kept; it was: /var/lib/s.db: the disk is full")
    yield "test", Notice(Topic.TEST, Severity.INFO, "test::", NOW, detail="this is channel phone")
