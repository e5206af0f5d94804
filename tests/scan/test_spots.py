"""Where secrets stand is remembered: a later scan takes them from there, and says what it would say without."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from clawsecrets.model.finding import Content, Dropped, Kind, Match, Place, Rule
from clawsecrets.model.spot import Spot
from clawsecrets.model.value import SecretValue
from clawsecrets.scan import spots as spotting
from clawsecrets.scan.detector import Detector
from clawsecrets.scan.spots import Spotted, parsed, plain, spots_of
from tests.scan.scanned import commit, git, repository, scan, token

TEXTS = {
    "first.env": f"{token(21)}",
    "lines.env": f"\n\nA=1\r\nKEY={token(22)} and {token(23)}\r\n\n  x: {token(22)}\n",
    "packed.env": f"one {token(24)}\nKEY: {base64.b64encode(b'  ' + token(25).encode() + b'  ').decode()}\n",
    "bytes.bin": f"\xff\xfe é {token(26)}",
}
RULE = Rule("made.token", "made", "A made token", "tok_[a-z]{8}")
DATA = b"a\nxtok_abcdefgh\ntok_ijklmnop"
PLACE = Place(Kind.GIT_BLOB, "ab" * 20)


@pytest.fixture
def looked(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[bytes]]:
    """The content of all blobs that the detector looked at."""
    seen: list[bytes] = []
    look = Detector.look

    def told(self: Detector, content: Content, events: object = None) -> list[Match]:
        if content.place.kind is Kind.GIT_BLOB:
            seen.append(content.data)
        return look(self, content, events)  # type: ignore[arg-type]

    monkeypatch.setattr(Detector, "look", told)
    yield seen


def filled(folder: Path) -> Path:
    repo = repository(folder)
    for name, text in TEXTS.items():
        (repo / name).write_bytes(text.encode("latin-1"))
    commit(repo, "more")
    git(repo, "repack", "-adq")
    return repo


def test_a_later_scan_takes_them_from_where_they_stand(tmp_path: Path, looked: list[bytes]) -> None:
    repo, home = filled(tmp_path / "repo"), tmp_path / "home"
    first = scan(repo, home)
    assert len(first.matches) > 6 and looked
    (repo / "new.env").write_text(f"KEY={token(27)}\n")
    commit(repo, "newer")
    for new in (1, 0, 0):
        looked.clear()
        again = scan(repo, home)
        # what is new, and what is encoded in something: that is looked for each time
        assert sorted(looked) == sorted([TEXTS["packed.env"].encode(), *[f"KEY={token(27)}\n".encode()] * new])
        assert again.source == "QuickSource"
        assert again.facts == scan(repo, home, cache=False).facts


def test_the_cache_holds_nothing_of_a_value(tmp_path: Path) -> None:
    repo, home = filled(tmp_path / "repo"), tmp_path / "home"
    found = scan(repo, home)
    [file] = (home / "cache").glob("scan-*.cache")
    body = file.read_bytes()
    assert b'"spots":{"rules":[[' in body
    for match in found.matches:
        value = match.secret.reveal()[len(match.prefix):]
        for at in range(len(value) - 8):
            assert value[at:at + 8] not in body


def test_a_table_that_is_none_is_not_used(tmp_path: Path, looked: list[bytes], monkeypatch: pytest.MonkeyPatch) -> None:
    repo, home = filled(tmp_path / "repo"), tmp_path / "home"
    for table in ({"rules": [], "objects": {"ab" * 20: [[0, 1, 1, 1, 1]]}}, {"rules": 7}, [], {"objects": {}},
                  {"rules": [["a", ""]], "objects": {"ab" * 20: [[0, 2, 1, 1, 1]]}}):
        with monkeypatch.context() as patch:
            patch.setattr("clawsecrets.wiring.caching.plain", lambda spots, table=table: table)
            scan(repo, home)
        looked.clear()
        assert scan(repo, home).facts == scan(repo, home, cache=False).facts
        assert TEXTS["first.env"].encode() in looked


class Inner:
    """Looks at what comes to it."""

    def __init__(self) -> None:
        self.seen: list[Content] = []
        self.dropped: list[Dropped] = []

    def look(self, content: Content) -> Sequence[Match]:
        self.seen.append(content)
        return ()

    def rest(self) -> Sequence[Match]:
        return ()


def taken(*spots: Spot) -> tuple[list[bytes], bool]:
    """The values, and whether the content was looked at."""
    inner = Inner()
    found = Spotted(inner, {RULE.id: RULE}).look(Content(DATA, PLACE, spots=spots))
    return [match.secret.reveal() for match in found], bool(inner.seen)


GOOD = Spot(RULE.id, 2, 2, 2, 12, "tok_")


def test_values_come_out_of_the_content() -> None:
    assert taken(GOOD) == ([b"tok_abcdefgh"], False)
    assert taken(Spot(RULE.id, 3, 3, 1, 12, ""), GOOD) == ([b"tok_abcdefgh", b"tok_ijklmnop"], False)
    assert taken(GOOD._replace(end=3, size=25)) == ([b"tok_abcdefgh\ntok_ijklmnop"], False)
    assert taken() == ([], True)


@pytest.mark.parametrize("bad", [
    GOOD._replace(rule="another"), GOOD._replace(line=4, end=4), GOOD._replace(size=200), GOOD._replace(column=99),
    GOOD._replace(size=13)])
def test_what_cannot_be_of_the_content_is_looked_for(bad: Spot) -> None:
    assert taken(bad) == ([], True)
    assert taken(GOOD, bad) == ([], True)


def test_only_what_stands_in_a_blob_as_it_is() -> None:
    match = Match(RULE, PLACE, SecretValue(b"tok_abcdefgh"), 2, 2, 2, "plain", "tok_")
    assert spots_of([match], []) == {PLACE.key: [GOOD]}
    assert spots_of([match], [PLACE.key]) == {}
    for other in (match._replace(encoding="base64"), match._replace(place=PLACE._replace(path="!/inner")),
                  match._replace(place=PLACE._replace(kind=Kind.GIT_NAME))):
        assert spots_of([match, other], []) == {}
        assert spots_of([other, match], []) == {}


def test_too_many_are_looked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spotting, "MOST", 2)
    match = Match(RULE, PLACE, SecretValue(b"tok_abcdefgh"), 2, 2, 2)
    assert len(spots_of([match] * 2, [])[PLACE.key]) == 2 and spots_of([match] * 3, []) == {}


def test_they_are_kept_as_they_are() -> None:
    spots = {"ab" * 20: [GOOD, GOOD._replace(line=7, end=9)], "cd" * 20: [GOOD._replace(rule="b", prefix="")]}
    assert parsed(plain(spots)) == {bytes.fromhex(key): tuple(every) for key, every in spots.items()}


@pytest.mark.parametrize("one", [[0, 0, 1, 1, 5], [0, 2, 1, 1, 5], [0, 1, 1, 0, 5], [0, 1, 1, 1, 0], [-1, 1, 1, 1, 5],
                                 [1, 1, 1, 1, 5], [0, 1, 1, 1], ["x", 1, 1, 1, 5]])
def test_what_is_no_place_is_refused(one: list[object]) -> None:
    with pytest.raises((ValueError, IndexError, TypeError)):
        parsed({"rules": [["a", ""]], "objects": {"ab" * 20: [one]}})
