"""The cache of clean content between a scan's sources and its outcome.

    caching = Caching.opened(paths, ruleset.hash, options, environ, say)     None: this scan uses no cache
    source = caching.git(Path("."), narrow=…, alternates=…)                  in place of GitSource(…)
    Opening(environ, stdin, seen=caching.layer)                              for images
    Noting(notes, lambda told: Inspector(detector, notes=told))              around the inspector (scan/unread.py)
    recalling = caching.recalling(sources, judged, rules)                    None, or what need not be said anew
    caching.remember(sources, outcomes, interrupted, shown, told)            after the scan
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clawsecrets.errors import ConfigError
from clawsecrets.scan.cache import Cache, PackSeen, RepositorySeen, bitmap, rules_name
from clawsecrets.scan.cachekey import SECRET, cache_key
from clawsecrets.scan.spots import parsed, plain, spots_of
from clawsecrets.scan.unread import UNREAD

if TYPE_CHECKING:
    from clawsecrets.config.paths import Paths
    from clawsecrets.model.finding import Report, Rule
    from clawsecrets.model.spot import Spot
    from clawsecrets.scan.pipeline import Outcome
    from clawsecrets.scan_ports import Source
    from clawsecrets.sources.git.clean import Clean, Present
    from clawsecrets.sources.git.layout import Layout
    from clawsecrets.sources.git.memory import Memory
    from clawsecrets.sources.git.narrow import Narrow
    from clawsecrets.wiring.recalling import Again

LAYER = "image-layer"
"""First value of what an image's parts tell (sources/image/source.py)."""


def public_cache_key(environ: Mapping[str, str]) -> str:
    """What belongs into CLAWSECRETS_CACHE_PUBLIC_KEY. ConfigError without CLAWSECRETS_CACHE_KEY."""
    if not environ.get(SECRET, "").strip():
        raise ConfigError(f"{SECRET} is not set", "`openssl rand -base64 32` makes one for the CI's secrets")
    return cache_key(Path(), environ).public_key()


class Caching:
    """One scan's use of the cache."""

    def __init__(self, cache: Cache) -> None:
        self._cache = cache
        self._repositories: dict[int, tuple[Layout, Present]] = {}
        """By the source's identity: as they stood before the scan."""
        self.spotted = False
        """Whether of any content it is known where its secrets stand (scan/spots.py)."""
        self._seen: Clean | None = None
        """What was believed of the repository that is read quickly."""

    @classmethod
    def opened(cls, paths: Paths, ruleset_hash: str, options: Iterable[str], environ: Mapping[str, str],
               say: Callable[[str], None]) -> Caching:
        """`options`: whatever changes what is found under the same rules. ConfigError for a key that is none."""
        key = cache_key(paths.state, environ)
        return cls(Cache(paths.cache, rules_name(ruleset_hash, *options), key, say))

    # --- before and during the scan

    def git(self, path: Path, *, narrow: Narrow | None = None, alternates: bool = False,
            trust_owner: bool = False) -> Source:
        """A repository without what was clean. UsageError and Incomplete, as GitSource."""
        from clawsecrets.sources.git import clean as cleaning
        from clawsecrets.sources.git.layout import find
        from clawsecrets.sources.git.quick import quick

        layout = find(path, alternates)
        there = cleaning.present(layout)
        seen = cleaning.believed(layout, there, self._cache.seen.repositories) if there else None

        def whole(narrow: Narrow | None = narrow):  # type: ignore[no-untyped-def]
            from clawsecrets.sources.git.source import GitSource

            return GitSource(path, narrow=narrow, alternates=alternates, trust_owner=trust_owner, seen=seen or None)

        source: Source | None = None
        if there is not None and seen and not narrow:
            source = quick(layout, there, seen, whole, trust_owner, lambda: _spots(seen))
            if source is not None:
                self._seen, self.spotted = seen, self.spotted or bool(seen.spots)
        source = source or whole()
        if there is not None and not narrow:
            self._repositories[id(source)] = (layout, there)
        return source

    def layer(self, digest: str) -> bool:
        """Whether an image's layer was clean before."""
        return digest in self._cache.seen.layers

    def recalling(self, sources: Sequence[Source], judged: str, rules: Mapping[str, Rule], drawing: str = ""
                  ) -> Again | None:
        """What an earlier scan has told of this one repository or image, when it can be told again. `judged`: what else
        the findings depend on. `drawing`: a hash of the code that draws the JSON report, where only that is wanted."""
        from clawsecrets.sources.git.quick import QuickSource
        from clawsecrets.wiring.recalling import Recalling, RecallingImage

        if len(sources) != 1:
            return None
        if isinstance(sources[0], QuickSource):
            return Recalling.of(sources[0], self._seen, judged, rules, drawing) if self._seen is not None else None
        return RecallingImage.of(sources[0], self._cache.seen.images, judged, rules, drawing)

    # --- after it

    def remember(self, sources: Sequence[Source], outcomes: Sequence[Outcome], interrupted: bool,
                 shown: Callable[[str], bool], told: tuple[Report, str] | None = None) -> None:
        """Keep what was found clean, by which commits the rest came, and what was told of one repository; nothing of
        a scan that was interrupted. `shown`: whether a path may be kept, since no value stands in it. `told`: the
        report, and what its findings depend on (`recalling`)."""
        if interrupted:
            return
        from clawsecrets.wiring.recalling import kept, kept_image

        repositories, layers = [], []
        for source, outcome in zip(sources, outcomes, strict=True):
            unread = {values[1] for values in outcome.extra if values[0] == UNREAD}
            dirty = unread | {match.place.key for match in outcome.matches}
            layers += _whole_layers(outcome, dirty)
            if id(source) in self._repositories and not _faults(source, outcome):
                layout, there = self._repositories[id(source)]
                if (found := _repository(layout, there, None, _ids(dirty, layout.width))) is not None:
                    repositories.append(found._replace(
                        memory=_memory(source, outcome, shown), spots=plain(spots_of(outcome.matches, unread)),
                        report=kept(source, outcome, *told, shown) if told and len(sources) == 1 else None))
        images = kept_image(sources[0], outcomes[0], *told) if told and len(sources) == 1 else {}
        self._cache.keep(repositories, layers, time.time(), images)

    def remember_new(self, recalling: Again) -> None:
        """Keep what has come to what was told before, and is clean."""
        from clawsecrets.wiring.recalling import Recalling

        if not isinstance(recalling, Recalling) or not recalling.moved:
            return
        source = recalling.source
        layout, there = self._repositories[id(source)]
        found = _repository(layout, there, recalling.seen, source.dark)
        if found is not None:
            self._cache.keep([found._replace(**recalling.kept())], [], time.time())


def _spots(seen: Clean) -> Mapping[bytes, Sequence[Spot]]:
    """Where secrets stand in blobs; nothing of what is not as it should be."""
    found: dict[bytes, Sequence[Spot]] = {}
    with suppress(ValueError, KeyError, IndexError, TypeError, AttributeError):
        for table in seen.spots:
            found |= parsed(table)
    return found


def _faults(source: Source, outcome: Outcome) -> int:
    """How many things the source itself could not read: then it is not known what was not seen."""
    inside = sum(int(values[2]) for values in outcome.extra if values[0] == UNREAD)
    told = [*outcome.skipped, *source.coverage().skipped]
    return sum(not skipped.by_choice for skipped in told) - inside


def _memory(source: Source, outcome: Outcome, shown: Callable[[str], bool]) -> Mapping[str, Any] | None:
    """Where its findings came from. Not where anything is missing: it may come, and be older."""
    memory: Memory | None = source.memory()  # type: ignore[attr-defined]
    if memory is None or any(values[0] == UNREAD for values in outcome.extra):
        return None
    return memory.without(shown).plain()


def _repository(layout: Layout, before: Present, seen: Clean | None, dirty: Collection[bytes]
                ) -> RepositorySeen | None:
    """Everything in it but what is dirty; None when it was changed meanwhile. `seen`: in its packs nothing has become
    clean or dirty."""
    from clawsecrets.sources.git.clean import Index, present

    after = present(layout)
    if after != before or not (before.packs or before.loose):
        return None
    packs = []
    for pack in before.packs:
        if seen is not None and pack.checksum in seen.packs:
            clean = seen.packs[pack.checksum][1]
        else:
            index = Index(pack.path, layout.width)
            clean = bitmap(pack.total, [place for name in dirty if (place := index.place(name)) >= 0])
            index.close()
        packs.append(PackSeen(pack.checksum, pack.listing, pack.total, pack.stamp, clean))
    loose = [place for place, name in enumerate(before.loose) if name in dirty]
    return RepositorySeen(layout.width, tuple(packs), b"".join(before.loose), bitmap(len(before.loose), loose))


def _ids(keys: Iterable[str], width: int) -> set[bytes]:
    """Of the keys of places those that are ids of objects."""
    return {bytes.fromhex(key) for key in keys if len(key) == 2 * width and not key.strip("0123456789abcdef")}


def _whole_layers(outcome: Outcome, dirty: set[str]) -> list[str]:
    """Digests of layers all shares of which were given, without a match."""
    shares: dict[tuple[str, str, int], set[int]] = {}
    for kind, *values in outcome.extra:
        if kind == LAYER:
            key, digest, number, count = values
            shares.setdefault((key, digest, count), set()).add(number)
    return [digest for (key, digest, count), numbers in shares.items() if len(numbers) == count and key not in dirty]
