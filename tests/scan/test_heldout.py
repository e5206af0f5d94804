"""Recall and false alarms on the set that was made without a look at the rules (see `heldout/`).

Two sets of contexts, a part of each for every type, drawn with a seed: the whole is 26,000 files. As reported by
default: matches of low confidence do not count.
"""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Sequence
from functools import cache

import pytest

from clawsecrets.model.finding import Content, Kind, Place
from clawsecrets.scan.inspect import Inspector
from tests.scan.heldout.contexts import FIRST
from tests.scan.heldout.negatives import negatives
from tests.scan.heldout.planted import Case, cases
from tests.scan.heldout.second import SECOND
from tests.scan.heldout.types import ALL
from tests.scan.planted import Told
from tests.scan.rules_here import detector

RECALL = 0.97
WRONG = 2
"""Of 500 hard negatives."""
SHARE = 0.08
"""Of all cases that are looked at here."""
ENCODED = frozenset({"docker-auth", "basic-header"})
"""Types whose value stands in base64 and is reported so."""
CHECKED = ("github", "github-oauth", "github-user", "github-install", "gitlab-routable", "npm", "grafana", "nostr")
"""Types with a checksum that the set does not compute: an issuer may compute it in another way than we know."""

_BLANK = re.compile(r"\s|\\{1,4}[nr]")
"""What stands between the lines of a key block, whatever it is written in."""


def reported(text: bytes, name: str = "f") -> list[str]:
    """The values that a scan reports by default."""
    matches = Inspector(detector(), notes=Told()).look(Content(text, Place(Kind.FILE, name, name)))
    return [match.secret.reveal().decode("latin-1") for match in matches if match.rule.confidence != "low"]


def seen(case: Case) -> bool:
    """Whether what is reported is the planted value, or its secret part."""
    data = case.text.encode("utf-16" if case.context == "utf16" else "utf-8")
    values = reported(data, case.name.rsplit("/", 1)[-1])
    planted = _BLANK.sub("", case.value)
    return any(case.type in ENCODED or planted in value or (len(value) >= 8 and value in planted)
               for value in (_BLANK.sub("", value) for value in values))


@cache
def judged() -> Sequence[tuple[Case, bool]]:
    """A share of both sets, and whether each was found; of every type and every context there is some."""
    rng = random.Random(31)
    both = [*cases(FIRST, 404), *cases(SECOND, 505)]
    return [(case, seen(case)) for case in both if case.type in CHECKED or rng.random() < SHARE]


def test_recall() -> None:
    missed = [case.name for case, ok in judged() if not ok]
    assert len(judged()) > 2000 and {case.type for case, _ in judged()} >= {kind.slug for kind in ALL}
    assert len(missed) <= (1 - RECALL) * len(judged()), Counter(name.split("/")[0] for name in missed).most_common(20)


def test_every_context_is_read() -> None:
    """No way of writing a value down is overlooked as a whole, but for an answer that does not say what it is."""
    total, missed = Counter(case.context for case, _ in judged()), Counter(c.context for c, ok in judged() if not ok)
    assert not [context for context in missed if missed[context] > 0.4 * total[context] and context != "asked"]


@pytest.mark.parametrize("kind", CHECKED)
def test_a_checksum_that_we_do_not_know_hides_nothing(kind: str) -> None:
    mine = [ok for case, ok in judged() if case.type == kind and case.context != "asked"]
    assert len(mine) > 100 and sum(mine) >= 0.97 * len(mine)


def test_false_alarms() -> None:
    plain = negatives(606)
    wrong = [name for name, text in plain.items() if reported(text.encode(), name.rsplit("/", 1)[-1])]
    assert len(plain) >= 700
    assert len(wrong) <= WRONG * len(plain) / 500, wrong
