"""Content of which an earlier scan under the same rules has told where its secrets stand: they are taken from there,
out of the content itself, without looking for them again."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from clawsecrets.model.finding import Content, Dropped, Kind, Match, Rule
from clawsecrets.model.spot import Spot
from clawsecrets.model.value import SecretValue

if TYPE_CHECKING:
    from clawsecrets.scan.pipeline import Looks

MOST = 1000
"""Matches of one content. More of them are looked for again."""


class Spotted:
    """Before an inspector, which looks at everything else."""

    def __init__(self, inner: Looks, rules: Mapping[str, Rule]) -> None:
        self._inner, self._rules = inner, rules

    def look(self, content: Content) -> Iterable[Match]:
        """The matches in it."""
        if content.spots and (found := self._taken(content, content.spots)):
            return found
        return self._inner.look(content)

    def rest(self) -> Iterable[Match]:
        """Those of what waits."""
        return self._inner.rest()

    @property
    def dropped(self) -> list[Dropped]:
        """The inner one's."""
        return self._inner.dropped

    def _taken(self, content: Content, spots: Sequence[Spot]) -> list[Match]:
        """A match for each; none where they cannot be of this content."""
        data, found = content.data, list[Match]()
        number, begin = 1, 0
        for spot in sorted(spots, key=lambda spot: spot.line):
            while number < spot.line:
                number, begin = number + 1, data.find(b"\n", begin) + 1
                if not begin:
                    return []
            start = begin + spot.column - 1
            value, rule = data[start:start + spot.size], self._rules.get(spot.rule)
            if rule is None or len(value) != spot.size or value.count(b"\n") > spot.end - spot.line:
                return []
            found.append(Match(rule, content.place, SecretValue(value), spot.line, spot.end, spot.column, "plain",
                               spot.prefix))
        return found


def spots_of(matches: Iterable[Match], unread: Iterable[str]) -> dict[str, list[Spot]]:
    """By the key of a git blob: where its matches stand, of those all of whose matches stand in it as they are.
    `unread`: keys of what could not be opened completely, which is looked at again."""
    found: dict[str, list[Spot]] = {}
    other = set(unread)
    for match in matches:
        place, key = match.place, match.place.key
        if place.kind is not Kind.GIT_BLOB or place.path or match.encoding != "plain" or match.known is not None:
            other.add(key)
            continue
        found.setdefault(key, []).append(Spot(match.rule.id, match.start_line, match.end_line, match.start_column,
                                              len(match.secret), match.prefix))
    return {key: spots for key, spots in found.items() if key not in other and len(spots) <= MOST}


def plain(spots: Mapping[str, Sequence[Spot]]) -> dict[str, Any]:
    """As JSON can hold it."""
    rules = sorted({(spot.rule, spot.prefix) for every in spots.values() for spot in every})
    number = {rule: i for i, rule in enumerate(rules)}
    return {"rules": [list(rule) for rule in rules],
            "objects": {key: [[number[spot.rule, spot.prefix], *spot[1:5]] for spot in every]
                        for key, every in spots.items()}}


def parsed(table: Mapping[str, Any]) -> dict[bytes, tuple[Spot, ...]]:
    """By the object's id. ValueError, KeyError, IndexError or TypeError when it is not what `plain` gives."""
    rules = [(str(rule), str(prefix)) for rule, prefix in table["rules"]]
    return {bytes.fromhex(key): tuple([_spot(rules, *map(int, one)) for one in every])
            for key, every in table["objects"].items()}


def _spot(rules: Sequence[tuple[str, str]], which: int, line: int, end: int, column: int, size: int) -> Spot:
    if which < 0 or not 1 <= line <= end or column < 1 or size < 1:
        raise ValueError("no place in a text")
    rule, prefix = rules[which]
    return Spot(rule, line, end, column, size, prefix)
