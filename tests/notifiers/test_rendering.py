"""Every notice in plain words, against a golden file; a value that got into one is in no message.

CLAWSECRETS_WRITE_TRANSCRIPTS=1 writes the file, to be read before it is committed.
"""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from clawsecrets.model.audit import AuditEvent
from clawsecrets.model.notice import Notice, Severity, Topic
from clawsecrets.model.record import Record
from clawsecrets.model.secret import Kind, Secret, SecretValue, Stage, Version
from clawsecrets.notifiers.rendering import LONGEST_BODY, LONGEST_TITLE, message, title
from clawsecrets.ports import Change
from clawsecrets.wiring.notifying import without_values
from tests import canary as canaries
from tests.fakes import FakeClock, MemoryStore
from tests.notifiers.examples import NAME, NOW, every

GOLDEN = Path(__file__).parent / "golden" / "messages.txt"
EVERY = list(every())


def shown() -> str:
    parts = []
    for words, notice in EVERY:
        sent = message([notice], "gateway-1")
        parts.append(f"=== {words} ({notice.topic.value}, {sent.severity.name.lower()})\n{sent.title}\n\n{sent.body}\n")
    digest = message([notice for _, notice in EVERY[:4]], "gateway-1", left_out=2)
    return "\n".join([*parts, f"=== a digest\n{digest.title}\n\n{digest.body}\n"])


def test_every_message_is_as_in_the_golden_file() -> None:
    if os.environ.get("CLAWSECRETS_WRITE_TRANSCRIPTS", "") not in ("", "0"):
        GOLDEN.parent.mkdir(exist_ok=True)
        GOLDEN.write_text(shown())
    assert shown() == GOLDEN.read_text()


def test_every_topic_is_among_them() -> None:
    assert {notice.topic for _, notice in EVERY} == set(Topic)


@pytest.mark.parametrize(("words", "notice"), EVERY, ids=[words for words, _ in EVERY])
def test_each_says_what_to_do(words: str, notice: Notice) -> None:
    sent = message([notice], "h")
    assert len(sent.title) <= LONGEST_TITLE and sent.title.startswith("clawsecrets: ")
    assert notice.secret in sent.title and notice.command in sent.body
    assert all(step in sent.body for step in notice.steps)
    assert "clawsecrets " in sent.body.rpartition("-- ")[0] or "othing is to be done" in sent.body


def test_rotated_is_said_only_where_it_was_shown() -> None:
    titles = {title(notice) for words, notice in EVERY if words == "rotated, with caveats"}
    assert titles == {f"{NAME}: replaced, with caveats"}


def stocked(*values: bytes) -> MemoryStore:
    store = MemoryStore(FakeClock(NOW))
    versions = tuple(Version(n, Stage.CURRENT if n == len(values) else Stage.REVOKED, NOW)
                     for n in range(1, len(values) + 1))
    record = Record(Secret(NAME, "anthropic", Kind.API_KEY, NOW), versions, last_number=len(values))
    store.commit([Change(record, AuditEvent(NOW, "t", "secret.set", NAME, 1, "", {}),
                         {n: SecretValue(value) for n, value in enumerate(values, 1)})])
    return store


@pytest.mark.parametrize(("words", "notice"), EVERY, ids=[words for words, _ in EVERY])
@pytest.mark.parametrize("form", ["plain", "base64", "hex"])
def test_a_value_in_a_notice_is_in_no_message(words: str, notice: Notice, form: str) -> None:
    import base64

    old, new = canaries.fresh(), canaries.fresh()
    store = stocked(old, new)
    put = {"plain": bytes.decode, "base64": lambda v: base64.b64encode(v).decode(), "hex": bytes.hex}[form]
    spoilt = replace(notice, detail=f"{notice.detail} ({put(old)})", steps=(*notice.steps, f"paste {put(new)} here"),
                     command=f"{notice.command} {put(new)}", key=f"{notice.key}:{put(old)}")
    raw = message([spoilt], "h")
    assert canaries.search(raw.body.encode(), new), "nothing was planted"
    cleaned = without_values(store, spoilt)
    sent = message([cleaned], "h")
    everything = f"{sent.title}\n{sent.body}\n{cleaned!r}".encode()
    assert canaries.search(everything, old) == canaries.search(everything, new) == []


def test_a_notice_without_a_value_stays_as_it_is() -> None:
    store = stocked(canaries.fresh())
    assert [without_values(store, notice) for _, notice in EVERY] == [notice for _, notice in EVERY]


def test_what_others_said_is_one_line_of_bounded_length() -> None:
    nasty = Notice(Topic.FAILED, Severity.WARNING, "k", NOW, "a", detail="x\n\x1b[31m\u202eEvil\n" + "y" * 50_000)
    sent = message([replace(nasty, key=str(n)) for n in range(50)], "h\nh")
    assert "\x1b" not in sent.body and "\u202e" not in sent.body
    assert len(sent.body) < LONGEST_BODY + 100
    assert not any(line.startswith("Evil") for line in sent.body.splitlines())
    assert sent.body.endswith("-- clawsecrets on h h")


def test_the_most_severe_comes_first() -> None:
    quiet, loud = Notice(Topic.DUE, Severity.INFO, "a", NOW, "a"), Notice(Topic.LEAK, Severity.CRITICAL, "b", NOW, "b")
    sent = message([quiet, loud], "h")
    assert sent.title == "clawsecrets: 2 notices, 1 critical" and sent.severity is Severity.CRITICAL
    assert sent.body.index("b: leak found") < sent.body.index("a: is due")


@pytest.mark.parametrize("at", [float("inf"), -1e30, 1e30])
def test_a_time_that_is_none_is_said_so(at: float) -> None:
    assert "Since: an unknown time" in message([Notice(Topic.DUE, Severity.INFO, "a", at)], "h").body
