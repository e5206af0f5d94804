"""Notices in plain words: a short title, and a body that says what happened and what to do, with the exact steps.

Plain text, one thing a line, so that it reads the same in a chat, a mail and on a watch. It holds what the notices
hold: names, times, states, never a value.
"""

from __future__ import annotations

import datetime
import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from clawsecrets.model.notice import Notice, Severity, Topic

LONGEST_TITLE = 120
LONGEST_LINE = 1000
"""Characters. What servers answered may be longer."""
LONGEST_BODY = 12_000

_TITLES: Mapping[Topic, str] = {
    Topic.DUE: "is due",
    Topic.ROTATED: "has a new value in use",
    Topic.FAILED: "rotation failed, the old value is still in use",
    Topic.STUCK: "stuck: a person must decide",
    Topic.WAITING: "its rotation waits for you",
    Topic.REVOCATION: "an old credential is not proven dead",
    Topic.UNPROVEN: "delivered, but nobody has shown that it is used",
    Topic.LEAK: "leak found",
    Topic.REMINDER: "needs a new value from you",
    Topic.HARD_AGE: "past its hard age",
    Topic.DRIFT: "not as it was left",
    Topic.DAEMON: "the daemon needs a look",
    Topic.TEST: "a test: notices arrive here",
}
_ADVICE: Mapping[Topic, str] = {
    Topic.DUE: "It is rotated by itself in its window. Nothing is to be done.",
    Topic.ROTATED: "Nothing is to be done.",
    Topic.FAILED: "It is tried again by itself, later and later. To try now: clawsecrets rotate {secret}",
    Topic.STUCK: "What went wrong: clawsecrets rotations",
    Topic.WAITING: "What it waits for: clawsecrets rotations",
    Topic.REVOCATION: "Which ones, and since when: clawsecrets revocations",
    Topic.UNPROVEN: "Look whether it works with the new value. The old one is kept until you say so.",
    Topic.LEAK: "Take it for stolen. To replace it and end it at once: clawsecrets rotate {secret} --compromised",
    Topic.REMINDER: "Only you can make the new value. Everything after that is done for you.",
    Topic.HARD_AGE: "Why it was not rotated: clawsecrets status",
    Topic.DRIFT: "What else is not right: clawsecrets doctor",
    Topic.DAEMON: "What else is not right: clawsecrets doctor",
    Topic.TEST: "Nothing happened and nothing is to be done.",
}
_OVER = "the daemon works again"
_NOTHING = "Nothing is to be done."
_HELD = "Nothing happens by itself before a person has acted."


@dataclass(frozen=True, slots=True)
class Message:
    """What is sent."""

    title: str
    body: str
    severity: Severity


def message(notices: Sequence[Notice], host: str, left_out: int = 0) -> Message:
    """One message for one notice or several, the most severe first. `left_out`: so many older ones were dropped."""
    ordered = sorted(notices, key=lambda notice: -notice.severity)
    worst = ordered[0].severity
    if len(ordered) == 1:
        head, body = title(ordered[0]), "\n".join(lines(ordered[0]))
    else:
        loud = sum(notice.severity is worst for notice in ordered)
        head = f"{len(ordered)} notices" + (f", {loud} {worst.name.lower()}" if worst >= Severity.ERROR else "")
        body = "\n\n".join("\n".join([f"# {_marked(notice)}", *lines(notice)]) for notice in ordered)
    if left_out:
        body += f"\n\n{left_out} older notice(s) were left out: clawsecrets status shows what still stands."
    foot = f"\n\n-- clawsecrets on {_plain(host)}"
    return Message(_short(f"clawsecrets: {head}", LONGEST_TITLE), _short(body, LONGEST_BODY) + foot, worst)


def title(notice: Notice) -> str:
    """What it is about, in a few words."""
    words = _TITLES[notice.topic]
    if notice.topic is Topic.ROTATED and notice.detail:
        words = _short(_plain(notice.detail).partition(";")[0], 80)  # `rotated` only where everything was shown
    elif notice.over:
        words = _OVER
    elif notice.topic is Topic.REMINDER and notice.days_left is not None:
        words = f"{words} {_when(notice.days_left)}"
    return f"{notice.secret}: {words}" if notice.secret else words


def lines(notice: Notice) -> Iterator[str]:
    """The body, line by line."""
    if notice.detail:
        yield _short(_plain(notice.detail), LONGEST_LINE)
    held = notice.topic is Topic.DUE and notice.command
    advice = _HELD if held else _NOTHING if notice.over else _ADVICE[notice.topic]
    yield advice.format(secret=notice.secret or "NAME")
    yield from _todo(notice)
    yield from _facts(notice)


def _todo(notice: Notice) -> Iterator[str]:
    steps = [re.sub(r"^[0-9]+[.] ", "", _short(_plain(step), LONGEST_LINE)) for step in notice.steps]
    if notice.command and not any(notice.command in step for step in steps):
        steps.append(_plain(notice.command))
    if len(steps) == 1:
        yield f"What to do: {steps[0]}"
    elif steps:
        yield "What to do:"
        yield from (f"{number}. {step}" for number, step in enumerate(steps, 1))


def _facts(notice: Notice) -> Iterator[str]:
    """Which secret, when, under which id."""
    if notice.secret:
        about = ", ".join(filter(None, (notice.kind, notice.provider,
                                        f"version {notice.version}" if notice.version else "no value")))
        yield f"Secret: {notice.secret} ({about})"
    if notice.due_at:
        yield f"{'Next due' if notice.topic is Topic.ROTATED else 'Due'}: {moment(notice.due_at)}"
    if notice.rotation:
        yield f"Rotation: {notice.rotation}"
    yield f"Since: {moment(notice.at)}"


def moment(at: float) -> str:
    """A Unix time in UTC, to the minute."""
    try:
        return datetime.datetime.fromtimestamp(at, datetime.UTC).strftime("%Y-%m-%d %H:%M UTC")
    except (OverflowError, ValueError, OSError):
        return "an unknown time"


def _marked(notice: Notice) -> str:
    mark = f"[{notice.severity.name.lower()}] " if notice.severity >= Severity.ERROR else ""
    return f"{mark}{title(notice)}"


def _when(days: int) -> str:
    if days > 0:
        return "within a day" if days == 1 else f"within {days} days"
    return "today" if days == 0 else f"(overdue by {-days} day{'s' if days < -1 else ''})"


def _plain(text: str) -> str:
    """One line without control or invisible characters: notes may come from servers that are not trusted."""
    return "".join(" " if char.isspace() else char for char in text
                   if char.isspace() or unicodedata.category(char)[0] != "C")


def _short(text: str, most: int) -> str:
    return text if len(text) <= most else text[:most - 1] + "…"
