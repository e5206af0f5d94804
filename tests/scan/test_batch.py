"""Contents that wait for each other, and ranges in which nothing was before: what each gives stays the same."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Sequence

from hypothesis import given, settings
from hypothesis import strategies as st

from clawsecrets.model.finding import Content, Kind, Match, Place, Skipped
from clawsecrets.scan import batch, gates
from clawsecrets.scan.batch import Batching
from clawsecrets.scan.detector import Detector
from clawsecrets.scan.inspect import Inspector, kind_of
from clawsecrets.scan.ranges import Events
from tests.scan.scanned import RULES, token

CONTEXT = 60
FILLER = [b"".join(b"line %d of part %d says nothing\n" % (line, part) for line in range(8)) for part in range(6)]
TELLING = [b"KEY=" + token(1).encode() + b"\n", b"data: " + base64.b64encode(b"KEY=" + token(2).encode()) + b"\n",
           b"a few words\n", b"other words\n", b'x = "zbr_" +\n    "' + token(3)[4:].encode() + b'"\n']


class Nobody:
    def skipped(self, skipped: Skipped) -> None:
        raise AssertionError(skipped)


class Counting:
    """A pass that knows how much it was given."""

    def __init__(self, detector: Detector) -> None:
        self._detector = detector
        self.size = 0

    def __call__(self, text: bytes) -> tuple[Events, Events]:
        self.size += len(text)
        return self._detector.candidates(text), gates.events(text)


def inspector() -> tuple[Inspector, Counting]:
    detector = Detector(RULES)
    return Inspector(detector, notes=Nobody()), Counting(detector)


def told(matches: Iterable[Match]) -> list[tuple[str, str, int, int, bytes]]:
    return sorted((one.place.key, one.encoding, one.start_line, one.start_column, one.secret.reveal())
                  for one in matches)


def content(number: int, parts: Sequence[bytes], base: int = 0, changed: Sequence[int] = ()) -> Content:
    """One content; with a base: that differs in these parts."""
    data, fresh, at = b"".join(parts), list[tuple[int, int]](), 0
    for i, part in enumerate(parts):
        low, high = max(0, at - CONTEXT), min(len(data), at + len(part) + CONTEXT)
        if i in changed and fresh and low <= fresh[-1][1]:
            fresh[-1] = fresh[-1][0], high
        elif i in changed:
            fresh.append((low, high))
        at += len(part)
    return Content(data, Place(Kind.GIT_BLOB, f"{number:040x}"), number, base, fresh if base else None)


@st.composite
def histories(draw: st.DrawFn) -> list[Content]:
    """Versions, each built on an earlier one. The same changes come in several."""
    versions = [list(FILLER)]
    made = [content(1, versions[0])]
    for number in range(2, draw(st.integers(3, 14))):
        base = draw(st.integers(1, number - 1))
        parts, changed = list(versions[base - 1]), set[int]()
        for _ in range(draw(st.integers(1, 2))):
            at = draw(st.integers(0, len(parts) - 1))
            parts[at] = draw(st.sampled_from([*TELLING, FILLER[at]]))
            changed.add(at)
        versions.append(parts)
        made.append(content(number, parts, base, sorted(changed)))
    return made


@settings(max_examples=150, deadline=None)
@given(histories(), st.integers(0, 3000))
def test_it_gives_what_each_content_gives_alone(history: list[Content], enough: int) -> None:
    alone, _ = inspector()
    inner, ends = inspector()
    batching = Batching(inner, ends, kind_of)
    before, batch.ENOUGH = batch.ENOUGH, enough
    try:
        found = [match for one in history for match in batching.look(one)]
    finally:
        batch.ENOUGH = before
    found += batching.rest()
    plainly = [match for one in history for match in alone.look(one._replace(fresh=None, base=0))]
    assert told(found) == told(plainly)


def test_a_change_in_which_nothing_was_is_looked_at_once() -> None:
    """On other branches it costs nothing; where more stands beside it, that is looked at."""
    inner, ends = inspector()
    batching = Batching(inner, ends, kind_of)
    plain, parts = list(FILLER), list(FILLER)
    parts[2] = b"a few words\n"
    for one in (content(1, plain), content(2, parts, 1, [2])):
        batching.look(one)
        batching.rest()
    before = ends.size
    batching.look(content(3, parts, 1, [2]))
    assert list(batching.rest()) == [] and ends.size == before
    parts[5] = TELLING[0]
    batching.look(content(4, parts, 3, [2, 5]))
    [found] = batching.rest()
    assert found.secret.reveal() == token(1).encode()
    assert 0 < ends.size - before <= len(TELLING[0]) + 2 * CONTEXT


def test_a_change_with_a_secret_is_told_wherever_it_comes() -> None:
    inner, ends = inspector()
    batching = Batching(inner, ends, kind_of)
    parts = list(FILLER)
    parts[2] = TELLING[0]
    batching.look(content(1, FILLER))
    found = list(batching.rest())
    for number in (2, 3):
        batching.look(content(number, parts, 1, [2]))
        found += batching.rest()
    assert [one.place.key[-1] for one in found] == ["2", "3"]


def test_no_more_is_remembered_than_there_is_room_for() -> None:
    """What was forgotten is looked at again."""
    inner, ends = inspector()
    batching = Batching(inner, ends, kind_of)
    most, batch.MOST_BLANK = batch.MOST_BLANK, 3
    try:
        for number in range(1, 40):
            parts = list(FILLER)
            parts[2] = b"number %d\n" % number
            batching.look(content(number, parts, 1, [2]))
            batching.rest()
            assert len(batching._blank) <= batch.MOST_BLANK + 1
    finally:
        batch.MOST_BLANK = most
