"""The cache of clean content between a scan's sources and its outcome.

    caching = Caching.opened(paths, ruleset.hash, options, environ, say)     None: this scan uses no cache
    source = caching.git(Path("."), narrow=…, alternates=…)                  in place of GitSource(…)
    Opening(environ, stdin, seen=caching.layer)                              for images
    Noting(notes, lambda told: Inspector(detector, notes=told))              around the inspector (scan/unread.py)
    caching.remember(sources, outcomes, interrupted)                         after the scan
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from clawsecrets.errors import ConfigError
from clawsecrets.scan.cache import Cache, PackSeen, RepositorySeen, bitmap, rules_name
from clawsecrets.scan.cachekey import SECRET, cache_key
from clawsecrets.scan.unread import UNREAD

if TYPE_CHECKING:
    from clawsecrets.config.paths import Paths
    from clawsecrets.model.finding import Match
    from clawsecrets.ports import Source
    from clawsecrets.scan.pipeline import Outcome
    from clawsecrets.sources.git.clean import Present
    from clawsecrets.sources.git.layout import Layout
    from clawsecrets.sources.git.narrow import Narrow

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

    @classmethod
    def opened(cls, paths: Paths, ruleset_hash: str, options: Iterable[str], environ: Mapping[str, str],
               say: Callable[[str], None]) -> Caching:
        """`options`: whatever changes what is found under the same rules. ConfigError for a key that is none."""
        key = cache_key(paths.state, environ)
        return cls(Cache(paths.cache, rules_name(ruleset_hash, *options), key, say))

    # --- before and during the scan

    def git(self, path: Path, *, narrow: Narrow | None = None, alternates: bool = False,
            trust_owner: bool = False) -> Source:
        """A repository without what was clean. Incomplete, as GitSource."""
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
            source = quick(layout, there, seen, whole, trust_owner)
        source = source or whole()
        if there is not None and not narrow:
            self._repositories[id(source)] = (layout, there)
        return source

    def layer(self, digest: str) -> bool:
        """Whether an image's layer was clean before."""
        return digest in self._cache.seen.layers

    # --- after it

    def remember(self, sources: Sequence[Source], outcomes: Sequence[Outcome], interrupted: bool,
                 wanted: Callable[[Match], bool] = lambda match: True) -> None:
        """Keep what was found clean; nothing of a scan that was interrupted. `wanted`: which matches count. If not all
        do, what decides it must be among the options."""
        if interrupted:
            return
        repositories, layers = [], []
        for source, outcome in zip(sources, outcomes, strict=True):
            dirty = {match.place.key for match in outcome.matches if wanted(match)}
            dirty |= {values[1] for values in outcome.extra if values[0] == UNREAD}
            layers += _whole_layers(outcome, dirty)
            if id(source) in self._repositories and not _faults(source, outcome):
                layout, there = self._repositories[id(source)]
                if (found := _repository(layout, there, dirty)) is not None:
                    repositories.append(found)
        self._cache.keep(repositories, layers, time.time())


def _faults(source: Source, outcome: Outcome) -> int:
    """How many things the source itself could not read: then it is not known what was not seen."""
    inside = sum(int(values[2]) for values in outcome.extra if values[0] == UNREAD)
    told = [*outcome.skipped, *source.coverage().skipped]
    return sum(not skipped.by_choice for skipped in told) - inside


def _repository(layout: Layout, before: Present, dirty: set[str]) -> RepositorySeen | None:
    """Everything in it but what is dirty; None when it was changed meanwhile."""
    from clawsecrets.sources.git.clean import Index, present

    after = present(layout)
    if after != before or not (before.packs or before.loose):
        return None
    names = {bytes.fromhex(key) for key in dirty if len(key) == 2 * layout.width and _is_hex(key)}
    packs = []
    for pack in before.packs:
        index = Index(pack.path, layout.width)
        places = [place for name in names if (place := index.place(name)) >= 0]
        index.close()
        packs.append(PackSeen(pack.checksum, pack.index, pack.count, pack.stamp, bitmap(pack.count, places)))
    loose = [place for place, name in enumerate(before.loose) if name in names]
    return RepositorySeen(layout.width, tuple(packs), b"".join(before.loose), bitmap(len(before.loose), loose))


def _is_hex(text: str) -> bool:
    return all(char in "0123456789abcdef" for char in text)


def _whole_layers(outcome: Outcome, dirty: set[str]) -> list[str]:
    """Digests of layers all shares of which were given, without a match."""
    shares: dict[tuple[str, str, int], set[int]] = {}
    for kind, *values in outcome.extra:
        if kind == LAYER:
            key, digest, number, count = values
            shares.setdefault((key, digest, count), set()).add(number)
    return [digest for (key, digest, count), numbers in shares.items() if len(numbers) == count and key not in dirty]
