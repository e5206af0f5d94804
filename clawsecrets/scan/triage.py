"""From matches, which hold secrets, to findings, which hold none: grouped by value, judged, with what to do next.

    seen = located(matches, source.locate(places))        each source by itself
    groups = group(seen)                                  by rule and value; `--verify` fills in `live`
    report = conclude(groups, baseline, pages, today)     findings, those of the baseline, and what cleans texts
"""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from clawsecrets.model.finding import CONFIDENCES, Coverage, Finding, Known, Location, Match, Place, Provenance, Rule
from clawsecrets.model.value import SecretValue
from clawsecrets.scan.advice import advice, kinds
from clawsecrets.scan.baseline import Baseline, Entry
from clawsecrets.scan.fingerprint import begun, fingerprints
from clawsecrets.scan.mask import mask
from clawsecrets.scan.scrub import ALONE, Scrubber
from clawsecrets.scan.severity import rank, severity, urgency
from clawsecrets.scan.shown import masks

NO_REASON = "(no reason was given)"


class Seen(NamedTuple):
    """A match, and one way to reach the place where it stands."""

    match: Match
    provenance: Provenance


@dataclass
class Group:
    """One value under one rule, with all that was seen of it. Holds the secret: never leaves the scan."""

    rule: Rule
    secret: SecretValue
    prefix: str = ""
    known: Known | None = None
    seen: list[Seen] = field(default_factory=list)
    live: str = ""
    """What the provider said, for `--verify` to fill in: live, dead, unknown."""
    live_detail: str = ""


@dataclass(frozen=True)
class Judged:
    """The outcome: nothing in it holds a secret, except what `scrubber` knows in order to clean other texts."""

    findings: tuple[Finding, ...]
    """Those that count; the most urgent first."""
    baselined: tuple[Finding, ...]
    rules: Mapping[str, Rule]
    scrubber: Scrubber

    def coverage(self, given: Coverage) -> Coverage:
        """What was looked at, without the values that were found (a token may stand in the name of a file that could
        not be read)."""
        return self.scrubber.coverage(given)


def located(matches: Iterable[Match], provenances: Mapping[Place, Sequence[Provenance]]) -> Iterator[Seen]:
    """Each match with each way to reach it; where the source knows none, with its place alone."""
    for match in matches:
        place = match.place
        for provenance in provenances.get(place) or (Provenance(place.kind, place.path or place.key),):
            yield Seen(match, provenance)


def group(seen: Iterable[Seen]) -> list[Group]:
    """The groups, in the order of their first match. A value that two rules find at the same places is kept under the
    more confident one."""
    found: dict[tuple[str, bytes], Group] = {}
    for item in seen:
        match = item.match
        key = (match.rule.id, match.secret.reveal())
        one = found.get(key)
        if one is None:
            one = found[key] = Group(match.rule, match.secret, match.prefix)
        one.known = one.known or match.known
        one.prefix = one.prefix or match.prefix
        one.seen.append(item)
    return _without_doubles(found)


def _without_doubles(found: Mapping[tuple[str, bytes], Group]) -> list[Group]:
    by_value: dict[bytes, list[Group]] = {}
    for (_, value), one in found.items():
        by_value.setdefault(value, []).append(one)
    kept: list[Group] = []
    for same in by_value.values():
        same.sort(key=lambda one: (CONFIDENCES.index(one.rule.confidence), bool(one.rule.near), one.rule.id))
        covered: set[tuple[Place, int]] = set()
        known = next((one.known for one in same if one.known), None)
        for one in same:
            places = {(item.match.place, item.match.start_line) for item in one.seen}
            if not places <= covered:
                one.known = one.known or known
                kept.append(one)
            covered |= places
    return kept


def named(matches: Iterable[Match], salt: bytes) -> Callable[[], dict[bytes, str]]:
    """Begin with the fingerprints of all values; a call gives them, by value."""
    return begun([match.secret.reveal() for match in matches], salt)


def conclude(groups: Sequence[Group], baseline: Baseline | None = None, pages: Mapping[str, str] | None = None,
             today: datetime.date | None = None, unshown: Sequence[Match] = (),
             names: Mapping[bytes, str] | None = None, hidden: Sequence[Match] = ()) -> Judged:
    """Judge the groups. `names`: their fingerprints, where those are known already. `unshown`: matches that are not
    reported (not confident enough), whose values are taken out of texts all the same; short ones not out of paths, for
    they are common words. `hidden`: matches in the texts themselves. `pages`: provider code -> page
    where its credentials are kept, of those providers that have a provider file. `today` (UTC) decides which entries
    of the baseline have expired."""
    baseline = baseline or Baseline()
    names = names or fingerprints([one.secret.reveal() for one in groups], baseline.salt)
    shown = [mask(one.secret.reveal(), one.prefix) for one in groups]
    weak = {id(match) for match in unshown if not match.known and len(match.secret) < ALONE}
    values = masks(match for match in (*unshown, *hidden) if id(match) not in weak)
    values |= {one.secret.reveal(): masked for one, masked in zip(groups, shown, strict=True)}
    scrubber = Scrubber(values.items(), masks(match for match in unshown if id(match) in weak).items())
    judge = _Judge(baseline, pages or {}, today or datetime.datetime.now(datetime.UTC).date(), scrubber)
    every = [judge.finding(one, masked, names[one.secret.reveal()])
             for one, masked in zip(groups, shown, strict=True)]
    every.sort(key=urgency)
    return Judged(tuple(item for item in every if not item.baseline), tuple(item for item in every if item.baseline),
                  {one.rule.id: one.rule for one in groups}, scrubber)


def triage(matches: Iterable[Match], provenances: Mapping[Place, Sequence[Provenance]],
           baseline: Baseline | None = None, pages: Mapping[str, str] | None = None,
           today: datetime.date | None = None) -> Judged:
    """All of it in one call, for one source and without `--verify`."""
    return conclude(group(located(matches, provenances)), baseline, pages, today)


class _Judge:
    def __init__(self, baseline: Baseline, pages: Mapping[str, str], today: datetime.date,
                 scrubber: Scrubber) -> None:
        self._baseline, self._pages, self._today, self._scrubber = baseline, pages, today, scrubber
        self._clean: dict[int, Provenance] = {}
        """By the identity of those that came (which `Group.seen` holds): many matches stand at one place."""

    def finding(self, one: Group, masked: str, fingerprint: str) -> Finding:
        rule = one.rule
        locations = self._locations(one)
        entry = self._baseline.get(fingerprint)
        holds = entry is not None and not entry.expired(self._today)
        page = self._pages.get(rule.provider, "")
        importable = rule.provider if rule.provider in self._pages else ""
        level = severity(rule.confidence, {item.provenance.reachable for item in locations}, one.known, one.live)
        return Finding(
            rule.id, rule.name, rule.provider, rule.confidence, masked, len(one.secret), fingerprint, level, locations,
            one.known, one.live, self._scrubber.text(one.live_detail),
            (self._scrubber.text(entry.reason) or NO_REASON) if entry is not None and holds else "",
            advice(fingerprint, one.known, one.live, page, kinds(locations), importable,
                   "" if holds else _expired(entry)),
        )

    def _locations(self, one: Group) -> tuple[Location, ...]:
        made = {
            Location(self._scrubbed(provenance), match.start_line, match.end_line, match.start_column,
                     match.encoding)
            for match, provenance in one.seen
        }
        return tuple(sorted(made, key=_telling))

    def _scrubbed(self, given: Provenance) -> Provenance:
        clean = self._clean.get(id(given))
        if clean is None:
            clean = self._clean[id(given)] = self._scrubber.provenance(given)
        return clean


def _telling(location: Location) -> tuple[object, ...]:
    """The most telling first: plain before encoded, a branch before what nothing leads to, then the oldest."""
    where = location.provenance
    return (location.encoding != "plain", rank(where.reachable), where.date or "9999", where.kind, where.path,
            location.start_line, location.start_column, where.commit, where.image, where.platform, where.layer,
            where.container, location.encoding, location.end_line, where.author,
            where.message, where.refs, where.instruction)


def _expired(entry: Entry | None) -> str:
    return "" if entry is None else f"its entry in the baseline expired on {entry.expires} ({entry.who})"
