"""Contents that wait for each other: what each gives stays the same."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Sequence

from hypothesis import given, settings
from hypothesis import strategies as st

from clawsecrets.model.finding import Content, Kind, Match, Place, Skipped
from clawsecrets.scan import batch, gates
from clawsecrets.scan.batch import Batching, Ends
from clawsecrets.scan.detector import Detector
from clawsecrets.scan.inspect import Inspector, kind_of
from tests.scan.scanned import RULES, token

CONTEXT = 60
FILLER = [b"".join(b"line %d of part %d says nothing\n" % (line, part) for line in range(8)) for part in range(6)]
TELLING = [b"KEY=" + token(1).encode() + b"\n", b"data: " + base64.b64encode(b"KEY=" + token(2).encode()) + b"\n",
           b"a few words\n", b"other words\n", b'x = "zbr_" +\n    "' + token(3)[4:].encode() + b'"\n']


class Nobody:
    def skipped(self, skipped: Skipped) -> None:
        raise AssertionError(skipped)


def inspector() -> tuple[Inspector, Ends]:
    detector = Detector(RULES)
    return Inspector(detector, notes=Nobody()), lambda text: (detector.candidates(text), gates.events(text))


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
