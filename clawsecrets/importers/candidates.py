"""Drafts -> candidates: one per value, one name each, and a word about everything that is not so simple.

The same value twice is one candidate with two places, when both are the same provider's, or when one of them is
recognised and the other is only called something. Two providers, or two generic secrets of different names, that
share a value stay two candidates, with a note: rotating one must not leave the other behind unseen.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from clawsecrets.importers.item import Skipped
from clawsecrets.model.secret import Kind, SecretValue

GENERIC = "generic"
"""Code of the provider file for what no other is made for."""
LONGEST = 128


@dataclass(frozen=True, slots=True)
class Place:
    """Where a value stands, and the variable it goes by there (empty: none)."""

    where: str
    env: str


@dataclass(frozen=True, slots=True)
class Draft:
    """What one item was recognised as."""

    name: str
    provider: str
    kind: Kind
    env: str
    where: str
    value: SecretValue
    how: str
    guess: bool = False


@dataclass(frozen=True, slots=True)
class Candidate:
    """One secret to import. Its repr does not show the value."""

    name: str
    provider: str
    """Code of its provider file."""
    kind: Kind
    env: str
    """The variable it goes by; empty: none is known."""
    value: SecretValue
    how: str
    """What it was recognised by."""
    places: tuple[Place, ...]
    """Everywhere it stands, in the order of reading."""

    @property
    def where(self) -> str:
        """The first of its places."""
        return self.places[0].where


@dataclass(frozen=True, slots=True)
class Conflict:
    """Two different values that go by one name."""

    name: str
    where: str
    other_name: str
    """What the second is called instead."""
    other_where: str

    def __str__(self) -> str:
        return (
            f"{self.name}: {self.where} and {self.other_where} hold different values; "
            f"the second is imported as {self.other_name}"
        )


@dataclass(frozen=True, slots=True)
class Placement:
    """What came of all items."""

    candidates: tuple[Candidate, ...]
    unplaced: tuple[Skipped, ...]
    conflicts: tuple[Conflict, ...]
    notes: tuple[str, ...] = ()
    """Values that two candidates share."""


def secret_name(text: str) -> str:
    """A valid secret name: `ANTHROPIC_API_KEY` -> `anthropic-api-key`, `botToken` -> `bot-token`. At most 128."""
    plain = re.sub(r"[^a-z0-9.]+", "-", re.sub(r"(?<=[a-z])(?=[A-Z])", "-", text).lower()).strip("-.")
    plain = re.sub(r"\.{2,}", ".", plain)[:LONGEST].rstrip("-.")
    return plain or "secret"


def place(drafts: Sequence[Draft], unplaced: Sequence[Skipped]) -> Placement:
    """Merge, name, and report."""
    merged, notes = _merge(drafts)
    candidates, conflicts = _name(merged)
    renamed = {old.where: new.name for old, new in zip(merged, candidates, strict=True)}
    told = tuple(f"{renamed[one]} and {renamed[two]} have the same value" for one, two in notes)
    return Placement(tuple(candidates), tuple(unplaced), tuple(conflicts), told)


def _merge(drafts: Sequence[Draft]) -> tuple[list[Candidate], list[tuple[str, str]]]:
    """One candidate per value and provider, ordered by first place; and pairs of places that share a value."""
    groups: dict[bytes, list[list[tuple[int, Draft]]]] = {}
    # recognised ones first, so that what is only called something joins them
    for order, draft in sorted(enumerate(drafts), key=_rank):
        same = groups.setdefault(_digest(draft.value), [])
        home = next((group for group in same if _belongs(draft, group[0][1])), None)
        if home is None:
            same.append([(order, draft)])
        else:
            home.append((order, draft))
    found = [group for same in groups.values() for group in same]
    pairs = [(_first(same[0]), _first(other)) for same in groups.values() for other in same[1:]]
    return [_candidate(group) for group in sorted(found, key=_order)], pairs


def _belongs(draft: Draft, leader: Draft) -> bool:
    if draft.provider != leader.provider:
        return draft.provider == GENERIC
    return draft.provider != GENERIC or draft.name == leader.name


def _rank(pair: tuple[int, Draft]) -> tuple[bool, bool, int]:
    order, draft = pair
    return draft.provider == GENERIC, draft.guess, order


def _order(group: Sequence[tuple[int, Draft]]) -> int:
    """The position of its first place among all items."""
    return min(order for order, _ in group)


def _first(group: Sequence[tuple[int, Draft]]) -> str:
    return min(group, key=lambda pair: pair[0])[1].where


def _candidate(group: Sequence[tuple[int, Draft]]) -> Candidate:
    leader = group[0][1]
    places = tuple(Place(draft.where, draft.env) for _, draft in sorted(group, key=lambda pair: pair[0]))
    env = leader.env or next((one.env for one in places if one.env), "")
    return Candidate(leader.name, leader.provider, leader.kind, env, leader.value, leader.how, places)


def _name(candidates: Sequence[Candidate]) -> tuple[list[Candidate], list[Conflict]]:
    """Every name once: the first keeps it, the next gets `-2`, and so on, stepping over names that others have."""
    reserved = {candidate.name for candidate in candidates}
    holders: dict[str, Candidate] = {}
    result: list[Candidate] = []
    conflicts: list[Conflict] = []
    for candidate in candidates:
        holder = holders.setdefault(candidate.name, candidate)
        if holder is candidate:
            result.append(candidate)
            continue
        number = 2
        while (other := _numbered(candidate.name, number)) in reserved:
            number += 1
        reserved.add(other)
        conflicts.append(Conflict(candidate.name, holder.where, other, candidate.where))
        result.append(replace(candidate, name=other))
    return result, conflicts


def _numbered(name: str, number: int) -> str:
    end = f"-{number}"
    return name[: LONGEST - len(end)].rstrip("-.") + end


def _digest(value: SecretValue) -> bytes:
    """To find equal values; it stays in this function's caller and is never kept or shown."""
    return hashlib.sha256(value.reveal()).digest()
