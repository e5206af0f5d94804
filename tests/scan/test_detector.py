"""The detector: spans, lines, fresh ranges, pieces, overlaps, and work that stays linear on hostile input."""

from __future__ import annotations

import re
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clawsecrets.errors import ConfigError
from clawsecrets.model.finding import Content, Kind, Match, Place, Rule
from clawsecrets.scan.begins import words
from clawsecrets.scan.detector import Detector
from clawsecrets.scan.exact import Exact, pem_end
from clawsecrets.scan.ruleset import Ruleset
from tests.scan.rules_here import all_rules, detector, ruleset

PLACE = Place(Kind.FILE, "a.txt", "a.txt")
ACME = Rule("acme.key", "acme", "Acme key", r"\b(acme_[a-z0-9]{20})\b", examples=("acme_k2v9x7q4m1t8r5w3z6n0",))
BEAR = Rule("bear.key", "bear", "Bear key", r"[a-z0-9]{20}", "medium", near=("bear",), examples=("x",))
ANY = Rule("generic.thing", "generic", "A thing", r"thing=([a-z0-9_]{8,60})", "medium", examples=("x",))
PEM = Rule("zebra.pem", "zebra", "Zebra key", r"(-----BEGIN ZEBRA PRIVATE KEY-----\s{1,4}[A-Z]{32})", examples=("x",))
ONE, TWO = b"acme_k2v9x7q4m1t8r5w3z6n0", b"acme_p7h3k9d5s1g8f4l6z2c0"
SMALL = Ruleset([ACME, BEAR, ANY])


def look(data: bytes, made: Detector | None = None, **more: object) -> list[Match]:
    return (made or Detector(SMALL)).look(Content(data, PLACE, **more))  # type: ignore[arg-type]


def values(matches: list[Match]) -> list[bytes]:
    return [match.secret.reveal() for match in matches]


def test_a_match_says_where_and_what() -> None:
    (match,) = look(b"a\nbc " + ONE + b"\n")
    assert (match.start_line, match.end_line, match.start_column) == (2, 2, 4)
    assert match.rule is ACME and match.prefix == "acme_" and match.place == PLACE and values([match]) == [ONE]


@pytest.mark.parametrize("data", [ONE, ONE + b"\n", b" " + ONE, b"\xff\x00" + ONE + b"\x00\xff", b"'" + ONE + b"'"])
def test_a_value_is_found_at_any_edge(data: bytes) -> None:
    assert values(look(data)) == [ONE]


@pytest.mark.parametrize("data", [b"x" + ONE, ONE + b"x", ONE[:-1], ONE.upper(), b""])
def test_what_only_resembles_it_is_not_found(data: bytes) -> None:
    assert look(data) == []


def test_many_on_one_line_and_on_many_lines() -> None:
    line = b" ".join([ONE, TWO] * 50)
    matches = look(b"\n".join([line] * 20))
    assert len(matches) == 2000
    assert {match.start_line for match in matches} == set(range(1, 21))
    assert [match.start_column for match in matches[:3]] == [1, 27, 53]


def test_a_piece_counts_on_from_the_one_before() -> None:
    (match,) = look(b"xx " + ONE + b"\n", offset=1000, line=7, column=5)
    assert (match.start_line, match.start_column) == (8, 9)
    assert look(b"xx " + ONE + b"\n" + TWO, overlap=3 + len(ONE), line=7)[0].start_line == 9


def test_only_fresh_ranges_are_looked_at_until_something_stands_there() -> None:
    data = ONE + b"\n" * 5000 + b"new text" + b"\n" * 5000
    assert look(data, fresh=[(4000, 6000)]) == []
    assert values(look(data, fresh=[(0, 600), (4000, 6000)])) == [ONE]
    added = data + TWO
    assert values(look(added, fresh=[(len(added) - 600, len(added))])) == [TWO]
    assert look(data, fresh=[]) == []


def test_all_is_looked_at_when_the_base_had_matches() -> None:
    made = Detector(SMALL)
    data = ONE + b"\n" * 5000
    assert values(look(data, made, id=4)) == [ONE]
    assert values(look(data + b"tail", made, id=5, base=4, fresh=[(4900, 5029)])) == [ONE]
    assert values(look(data + b"tail", made, id=6, base=5, fresh=[(4900, 5029)])) == [ONE]
    assert look(data + b"tail", made, id=7, base=3, fresh=[(4900, 5029)]) == []


def test_a_value_longer_than_its_rule_looks_is_found_again_in_what_is_built_on_it() -> None:
    made = Detector(Ruleset([PEM, ACME]))
    lines = [b"".join(b"%c" % (65 + (7 * i + k * k) % 26) for k in range(64)) for i in range(60)]
    key = b"-----BEGIN ZEBRA PRIVATE KEY-----\n" + b"\n".join(lines) + b"\n-----END ZEBRA PRIVATE KEY-----"
    data = b"text\n" * 200 + key + b"\n" + ONE + b"\n" * 5000
    assert sorted(values(look(data, made, id=4))) == sorted([key, ONE])
    assert sorted(values(look(b"x" + data, made, id=5, base=4, fresh=[(0, 200)]))) == sorted([key, ONE])


def test_windows_do_not_make_a_match_between_them() -> None:
    data = b"the bear " + b"." * 3000 + b" k2v9x7q4m1t8r5w3z6n0 " + b"." * 3000
    assert look(data, fresh=[(0, 9), (3009, 3040)]) == []


def test_the_more_certain_and_the_provider_rule_win() -> None:
    assert [match.rule.id for match in look(b"thing=" + ONE)] == ["acme.key"]
    assert [match.rule.id for match in look(b"thing=k2v9x7q4m1t8r5w3z6n0")] == ["generic.thing"]
    assert [match.rule.id for match in look(b"bear thing=k2v9x7q4m1t8r5w3z6n0")] == ["bear.key"]


def test_two_rules_of_the_same_certainty_give_one_match_by_id() -> None:
    rules = [Rule(f"{name}.key", name, name, r"\b([0-9a-f]{32})\b", examples=("x",)) for name in ("zeta", "alpha")]
    matches = look(b"8f14e45fceea167a5a36dedd4bea2543", Detector(Ruleset(rules)))
    assert [match.rule.id for match in matches] == ["alpha.key"]


def test_inline_comments_change_nothing_unless_trusted() -> None:
    data = b"key: " + ONE + b"  # gitleaks:allow\nkey: " + TWO + b"\n"
    assert values(look(data)) == [ONE, TWO]
    assert values(look(data, Detector(SMALL, trust_inline_allow=True))) == [TWO]


def test_what_was_dropped_is_told_without_its_value() -> None:
    made = Detector(SMALL, explain=True)
    assert look(b"\nacme_your0token0goes0here\n", made) == []
    (told,) = made.dropped
    assert (told.rule, told.line, told.place) == ("acme.key", 2, PLACE) and told.reason
    assert "token" not in told.masked
    assert Detector(SMALL).dropped == []


def test_two_rules_of_one_id_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"acme\.key"):
        Ruleset([ACME, ACME])


def test_a_rule_that_hyperscan_cannot_run_is_named() -> None:
    bad = Rule("acme.big", "acme", "Big", r"(?:[a-z]{900}[0-9]){900}", examples=("x",))
    with pytest.raises(ConfigError, match=r"acme\.big"):
        _ = Ruleset([ACME, bad]).database


# --- key blocks -----------------------------------------------------------------------------------------------------

BODY = "\n".join(["MIIEpQIBAAKCAQEA7nR3kV9xW2mTqL5yZs8dPf4bHc1gJu6aXe0iOoKlNwStYrQv"] * 3)


@pytest.mark.parametrize("newline", ["\n", "\r\n", "\\n", "\n    "])
def test_a_key_block_is_reported_to_its_end(newline: str) -> None:
    block = f"-----BEGIN RSA PRIVATE KEY-----\n{BODY}\n-----END RSA PRIVATE KEY-----".replace("\n", newline)
    data = f'key = "{block}"\nnext\n'.encode()
    (match,) = detector().look(Content(data, PLACE))
    assert match.secret.reveal() == block.encode()
    assert match.end_line - match.start_line == block.count("\n")


def test_a_key_block_without_an_end_ends_where_the_rule_does() -> None:
    data = b"-----BEGIN PRIVATE KEY-----\nAAAA" + b"\n" * 50_000 + b"-----END PRIVATE KEY-----"
    assert pem_end(data, 0, 32) == 32
    two = b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----BEGIN PRIVATE KEY-----\nBBBB\n-----END PRIVATE KEY-----"
    assert pem_end(two, 0, 32) == 32 and pem_end(two, 33, 65) == len(two)
    assert pem_end(b"plain", 0, 5) == 5


# --- hostile input --------------------------------------------------------------------------------------------------


class Counting:
    """A pattern that counts the bytes that it is asked to search."""

    def __init__(self, expression: bytes) -> None:
        import re

        self.real = re.compile(expression)
        self.groups = self.real.groups
        self.work = 0

    def search(self, data: bytes, low: int, high: int) -> object:
        found = self.real.search(data, low, high)
        self.work += (found.end() if found else high) - low
        return found

    def match(self, data: bytes, low: int, high: int) -> object:
        self.work += high - low
        return self.real.match(data, low, high)


@pytest.mark.parametrize("size", [10_000, 100_000])
def test_a_candidate_at_every_byte_costs_linear_work(size: int) -> None:
    pattern = Counting(rb"\b(zz[a-z]{20})\b")
    data = b"z" * size
    exact = Exact(pattern.real.pattern.decode(), 30)
    exact._pattern = pattern  # type: ignore[assignment]
    assert list(exact.spans(data, range(1, size))) == []
    assert pattern.work <= 4 * size


PIECES = [b"token", b"Token: ", b"api_key", b"=", b" ", b"\n", b"a1b2c3d4e5", b"secret", b"0", b"x", b'"', b"key ",
          b"_", b"TOKENSECRET=", b"zzzzzzzzzzzz"]


@settings(max_examples=300, deadline=None)
@given(st.lists(st.sampled_from(PIECES), max_size=60), st.integers(12, 40))
def test_words_find_what_the_expression_finds(pieces: list[bytes], reach: int) -> None:
    text = r"(?i:\btoken|secret|(?:api|access)[-_ ]?key|key\b)[ :=]{1,3}([a-z0-9]{5,12})(?:[^a-z0-9]|$)"
    data = b"".join(pieces)
    ends = [end for end in range(1, len(data) + 1)
            if re.search(f"(?:{text})\\Z".encode(), data[max(0, end - reach):end])]
    quick, slow = Exact(text, reach), Exact(text, reach)
    assert quick._words is not None
    slow._words = None
    found = list(quick.spans(data, ends))
    assert found == list(slow.spans(data, ends))
    assert found == list(quick.spans(data, ends))  # from memory


def test_an_expression_that_begins_with_no_words_is_looked_for_as_it_is() -> None:
    for text in ("(?i:a|token)x", "[a-z]token", "token", "(?i:[ab]cde|token)=", "(?i:(?:x?token|key))="):
        assert words(text) is None, text
    found = words("(?i:\\bApi[-_]key|tokens?)=")
    assert found is not None and sorted(found.pattern.split(b"|")) == [b"api", b"token"]


HOSTILE = [
    b"password=" * 30_000, b"token: " * 40_000, b"\x00" * 300_000, b"-----BEGIN RSA PRIVATE KEY-----" * 8_000,
    b"eyJhbGciOiJIUzI1NiJ9." * 12_000, b"://:@" * 50_000, b"a:5432:a:a:" * 20_000, b"sk-" * 90_000,
    b"curl -u " * 30_000, b"secret='" + b"a1" * 150_000, b'"' * 300_000, b"machine " * 30_000, b"$2a$10$" * 40_000,
    b"https://" + b"a" * 300_000, b"openclaw gateway token " * 12_000, b"key\n" * 60_000, bytes(range(256)) * 1_000,
    b"the password is " * 15_000, b"Authorization: Basic " * 12_000, b"api_key=" + b"=" * 300_000,
]


@pytest.mark.parametrize("data", HOSTILE, ids=[repr(data[:16]) for data in HOSTILE])
def test_hostile_input_ends(data: bytes) -> None:
    hits = detector().hits(data)
    assert all(0 <= hit.start < hit.end <= len(data) for hit in hits)
    assert all(one.end <= other.start for one, other in pairwise(hits))


def test_the_prefix_is_public_and_short() -> None:
    examples = {rule.id: rule.examples for rule in all_rules()}
    shown = {rule.id: ruleset().prefix(index, value.encode()) for index, rule in enumerate(ruleset().rules)
             for value in examples[rule.id][:1]}
    assert len(shown) == len(examples)
    assert all(len(prefix) <= 16 for prefix in shown.values())
    assert all(not prefix for id, prefix in shown.items() if id.startswith("generic."))
