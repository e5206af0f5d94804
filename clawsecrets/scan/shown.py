"""Values in the texts that a report is about to show: names, authors, messages. A scan that was narrowed did not look
at all of them, and a value in one is no less a value."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol

from clawsecrets.model.expression import APART
from clawsecrets.model.finding import Content, Coverage, Dropped, Kind, Match, Place, Provenance
from clawsecrets.scan.mask import mask

_APART = APART.decode()


class _Looks(Protocol):
    def look(self, content: Content) -> Iterable[Match]: ...


def told(provenances: Iterable[Provenance], coverage: Coverage, dropped: Iterable[Dropped]) -> Sequence[str]:
    """The texts, each once."""
    texts: dict[str, None] = {}
    for one in provenances:
        texts |= dict.fromkeys((one.path, one.author, one.message, one.instruction, one.image, one.container))
        texts |= dict.fromkeys(one.refs)
    for item in coverage.skipped:
        texts |= dict.fromkeys((item.what, item.reason))
    texts |= dict.fromkeys(coverage.sources)
    texts |= dict.fromkeys(item.place.path for item in dropped)
    return [text for text in texts if text]


def hidden(inspector: _Looks, texts: Sequence[str]) -> list[Match]:
    """The matches in them. They are not reported: the scan was not asked to look there."""
    data = (_APART + _APART.join(texts) + _APART).encode("utf-8", "surrogateescape")
    return list(inspector.look(Content(data, Place(Kind.FILE, ""))))


def masks(matches: Iterable[Match]) -> dict[bytes, str]:
    """Their values, each with its mask."""
    return {match.secret.reveal(): mask(match.secret.reveal(), match.prefix) for match in matches}
