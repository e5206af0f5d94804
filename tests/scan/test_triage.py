"""From matches to findings: grouping, order, severity, the baseline, what to do next, the exit code."""

from __future__ import annotations

import datetime
from typing import Any

import pytest

from clawsecrets.model.finding import Coverage, Finding, Kind, Known, Location, Place, Provenance, Report, Rule, Skipped
from clawsecrets.scan.baseline import Baseline, Entry
from clawsecrets.scan.fingerprint import fingerprint
from clawsecrets.scan.severity import severity, urgency
from clawsecrets.scan.triage import Seen, conclude, group, located, triage
from clawsecrets.scan.verdict import exit_code
from tests.reporters.plants import ACME, PAGES, PROSE, TODAY, judged, match

VALUE = b"acme_Qm3xT8vLw0ZrYk5uPd2sHn7bJc4gFe6aVi9B"
OTHER = b"acme_Zb81kQpW3mXs7VdLr2TfYh5NcGj9AeUoI4tR"
LIVE, DEAD = Known("acme-api-key", 3, "current", True), Known("acme-api-key", 1, "revoked", False)


def at(path: str, kind: Kind = Kind.FILE) -> Place:
    return Place(kind, path, path)


def seen(value: bytes = VALUE, path: str = "a", reach: str = "", kind: Kind = Kind.FILE, date: str = "",
         **more: Any) -> Seen:
    return Seen(match(value, at(path, kind), **more), Provenance(kind, path, date=date, reachable=reach))


def only(*items: Seen, baseline: Baseline | None = None) -> Finding:
    found = judged(items, baseline)
    [one] = found.findings + found.baselined
    return one


# --- grouping ------------------------------------------------------------------------------------------------------


def test_one_value_is_one_finding_with_every_place() -> None:
    one = only(seen(path="b"), seen(path="a"), seen(path="a"), seen(path="a", line=9, encoding="base64"))
    assert [(item.provenance.path, item.encoding) for item in one.locations] == \
        [("a", "plain"), ("b", "plain"), ("a", "base64")]
    assert (one.masked, one.length, one.fingerprint) == ("acme_…i9B", 41, fingerprint(VALUE))


def test_two_values_are_two() -> None:
    assert len(judged([seen(VALUE), seen(OTHER)]).findings) == 2


def test_every_way_to_reach_a_place_is_a_location() -> None:
    place = at("a", Kind.GIT_BLOB)
    ways = {place: [Provenance(Kind.GIT_BLOB, "old/name", "c1"), Provenance(Kind.GIT_BLOB, "new/name", "c2")]}
    assert len(triage([match(VALUE, place)], ways, today=TODAY).findings[0].locations) == 2


def test_a_place_that_the_source_does_not_know_is_told_as_it_is() -> None:
    [one] = located([match(VALUE, at("x/y"))], {})
    assert one.provenance == Provenance(Kind.FILE, "x/y")


def test_of_two_rules_at_one_place_the_more_confident_is_kept() -> None:
    both = [seen(rule=PROSE), seen(rule=ACME)]
    assert only(*both).rule == "acme.key" and only(*reversed(both)).rule == "acme.key"
    apart = [seen(rule=PROSE, path="elsewhere"), seen(rule=ACME)]
    assert {item.rule for item in judged(apart).findings} == {"acme.key", "generic.assignment"}


def test_a_value_that_one_rule_knows_to_be_the_stores_is_known_under_each() -> None:
    found = judged([seen(rule=PROSE, path="elsewhere"), seen(rule=ACME, known=LIVE)]).findings
    assert [item.known for item in found] == [LIVE, LIVE]


def test_the_rules_of_the_findings_come_with_them() -> None:
    assert judged([seen()]).rules == {"acme.key": ACME}


# --- order and severity --------------------------------------------------------------------------------------------


def test_the_most_telling_place_comes_first() -> None:
    order = ["branch", "index", "tag", "remote", "pull", "stash", "notes", "reflog", "dangling", "something-new"]
    one = only(*(seen(path=word, reach=word, kind=Kind.GIT_BLOB) for word in reversed(order)))
    assert [item.provenance.reachable for item in one.locations] == order
    dated = only(seen(path="x", date="2026-02-01"), seen(path="y", date="2025-01-01"), seen(path="a"))
    assert [item.provenance.path for item in dated.locations] == ["y", "x", "a"]


@pytest.mark.parametrize(("confidence", "reached", "known", "live", "wanted"), [
    ("high", {"branch"}, None, "", "high"),
    ("medium", {""}, None, "", "medium"),
    ("low", {"branch"}, None, "", "low"),
    ("high", {"reflog", "dangling"}, None, "", "medium"),
    ("low", {"dangling"}, None, "", "low"),
    ("high", {"dangling", "tag"}, None, "", "high"),
    ("low", {"dangling"}, LIVE, "", "critical"),
    ("low", {"branch"}, None, "live", "critical"),
    ("high", {"branch"}, DEAD, "", "low"),
    ("high", {"branch"}, DEAD, "live", "critical"),
    ("high", {"branch"}, LIVE, "dead", "low"),
    ("high", {"branch"}, None, "unknown", "high"),
    ("high", (), None, "", "high"),
])
def test_severity(confidence: str, reached: set[str], known: Known | None, live: str, wanted: str) -> None:
    assert severity(confidence, reached, known, live) == wanted


def test_the_most_urgent_finding_comes_first_whatever_the_order() -> None:
    items = [seen(OTHER), seen(VALUE, known=LIVE), seen(b"Winter-2041!", rule=PROSE)]
    wanted = ["critical", "high", "medium"]
    assert [one.severity for one in judged(items).findings] == wanted
    assert [one.severity for one in judged(items[::-1]).findings] == wanted
    assert judged(items).findings == tuple(sorted(judged(items).findings, key=urgency))


def test_what_the_provider_said_counts() -> None:
    [one] = groups = group([seen()])
    one.live, one.live_detail = "live", f"accepted {VALUE.decode()}"
    [told] = conclude(groups, pages=PAGES, today=TODAY).findings
    assert (told.severity, told.live, told.live_detail) == ("critical", "live", "accepted acme_…i9B")


def test_what_is_not_shown_is_taken_out_of_texts_too() -> None:
    groups = group([seen(path=f"x-{OTHER.decode()}")])
    [shown] = conclude(groups, pages=PAGES, today=TODAY, unshown=[match(OTHER, at("b"))]).findings
    assert shown.locations[0].provenance.path == "x-acme_…4tR"


def test_short_values_that_are_not_shown_leave_paths_alone() -> None:
    groups = group([seen(path="src/r0ute/a.py")])
    short = match(b"r0ute", at("b"))
    [shown] = conclude(groups, pages=PAGES, today=TODAY, unshown=[short]).findings
    assert shown.locations[0].provenance.path == "src/r0ute/a.py"
    [shown] = conclude(groups, pages=PAGES, today=TODAY, hidden=[short]).findings  # it stands there as a password
    assert shown.locations[0].provenance.path == "src/…/a.py"


# --- the baseline --------------------------------------------------------------------------------------------------


def baseline(expires: datetime.date, value: bytes = VALUE) -> Baseline:
    return Baseline().plus([Entry(fingerprint(value), "acme.key", expires, "eve", "an example")])


def test_what_is_in_the_baseline_does_not_count() -> None:
    found = judged([seen(VALUE), seen(OTHER)], baseline(TODAY))
    assert [one.fingerprint for one in found.findings] == [fingerprint(OTHER)]
    assert [(one.fingerprint, one.baseline) for one in found.baselined] == [(fingerprint(VALUE), "an example")]


def test_an_expired_entry_hides_nothing_and_is_told() -> None:
    found = judged([seen(VALUE)], baseline(TODAY - datetime.timedelta(1)))
    assert found.baselined == () and "expired on 2026-11-20" in found.findings[0].next[0]


def test_the_fingerprint_has_the_salt_of_the_baseline() -> None:
    salted = Baseline(b"s" * 16)
    assert only(seen(), baseline=salted).fingerprint == fingerprint(VALUE, b"s" * 16)


# --- what next -----------------------------------------------------------------------------------------------------


def steps(*items: Seen) -> str:
    return "\n".join(only(*items).next)


def test_a_known_value_is_rotated_by_its_name() -> None:
    assert only(seen(known=LIVE)).next[0] == "`clawsecrets rotate acme-api-key --compromised`"
    token = LIVE._replace(stage="refresh")  # a rotation spends it
    assert only(seen(known=token)).next[0] == "`clawsecrets rotate acme-api-key --compromised`"
    assert "baseline add" not in steps(seen(known=LIVE))
    assert "nothing to rotate" in steps(seen(known=DEAD))
    retired = Known("acme-api-key", 2, "retired", True)
    assert "`clawsecrets revocations retry acme-api-key`" in steps(seen(known=retired))


def test_an_unknown_value_leads_to_the_providers_page() -> None:
    told = steps(seen())
    assert PAGES["acme"] in told and "--provider acme" in told
    assert f"`clawsecrets baseline add {fingerprint(VALUE)} --reason TEXT --expires 90d`" in told
    other = ACME._replace(provider="nobody")
    assert "where it was made" in steps(seen(rule=other)) and "--provider" not in steps(seen(rule=other))


@pytest.mark.parametrize(("kind", "reach", "word"), [
    (Kind.GIT_BLOB, "branch", "squash is no cure"), (Kind.GIT_BLOB, "dangling", "git reflog expire"),
    (Kind.GIT_BLOB, "reflog", "git gc"), (Kind.GIT_BLOB, "index", "git add"),
    (Kind.GIT_BLOB, "stash", "git stash drop"),
    (Kind.GIT_MESSAGE, "tag", "--replace-message"), (Kind.GIT_NAME, "branch", "rename"),
    (Kind.GIT_CONFIG, "", "credential helper"), (Kind.IMAGE_LAYER, "", "later layer"), (Kind.IMAGE_CONFIG, "", "ARG"),
    (Kind.IMAGE_ANNOTATION, "", "provenance"), (Kind.CONTAINER, "", "mounted file"), (Kind.LOG, "", "log"),
    (Kind.STDIN, "", "piped"), (Kind.FILE, "", "clawsecrets inject"),
])
def test_how_it_is_taken_away(kind: Kind, reach: str, word: str) -> None:
    assert word in steps(seen(kind=kind, reach=reach))


def test_no_name_of_strangers_is_in_what_is_to_be_copied() -> None:
    hostile = "x`; rm -rf ~ #"
    where = Provenance(Kind.GIT_BLOB, hostile, author=hostile, message=hostile, reachable="branch", refs=(hostile,),
                       image=hostile, instruction=hostile, container=hostile)
    assert "rm -rf" not in "\n".join(only(Seen(match(VALUE, at(hostile)), where)).next)


# --- the exit code -------------------------------------------------------------------------------------------------

FINDING = Finding("r", "R", "p", "high", "…", 9, "0" * 32, "high",
                  (Location(Provenance(Kind.FILE, "a"), 1, 1, 1),))
WHOLE, FAULTY = Coverage(("x",)), Coverage(("x",), skipped=(Skipped("y", "z"),))


@pytest.mark.parametrize(("report", "allow", "code"), [
    (Report((), WHOLE), False, 0),
    (Report((FINDING,), WHOLE), False, 1),
    (Report((FINDING,), FAULTY), True, 1),
    (Report((), FAULTY), False, 6),
    (Report((), FAULTY), True, 0),
    (Report((), Coverage(("x",), shallow=True)), False, 6),
    (Report((), Coverage(("x",), skipped=(Skipped("y", "z", True),))), False, 0),
    (Report((), WHOLE, baselined=(FINDING,)), False, 0),
    (Report((), WHOLE, interrupted=True), True, 6),
])
def test_exit_code(report: Report, allow: bool, code: int) -> None:
    assert exit_code(report, allow) == code


def test_rules_of_unknown_confidence_are_low() -> None:
    assert severity("odd", {"branch"}) == "low"
    assert Rule("a", "b", "c", "d").confidence == "high"
