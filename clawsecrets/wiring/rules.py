"""The detection rules of a scan: the provider files', ours of config/detect/, and the operator's own.

The usual start finds them compiled in the cache folder, and imports neither the provider loader nor a TOML reader.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from clawsecrets.config.paths import Paths
from clawsecrets.data import data_path
from clawsecrets.model.finding import Rule
from clawsecrets.scan.compiled import rules_for
from clawsecrets.scan.ruleset import Ruleset


def load_ruleset(paths: Paths, extra_rule_files: Sequence[Path] = (), provider_dirs: Iterable[Path] = ()) -> Ruleset:
    """Every rule, compiled. `extra_rule_files` are the operator's (`--rules`), `provider_dirs` the configuration's
    folders of further provider files. ConfigError names file and rule."""
    folders = tuple(provider_dirs)
    providers = [path for folder in (data_path("providers"), *folders) for path in sorted(folder.glob("*.toml"))]
    ours = [*sorted((data_path("config") / "detect").glob("*.toml")), *extra_rule_files]
    return rules_for([*providers, *ours], paths.cache, lambda: _all(folders, ours))


def try_rules(ruleset: Ruleset, data: bytes) -> list[tuple[int, int, str, str, str]]:
    """What the rules make of a text, in its order: line, column, rule, mask, and why it was dropped (empty: found)."""
    from clawsecrets.model.finding import Content, Kind, Place
    from clawsecrets.scan.detector import Detector, Hit, Position
    from clawsecrets.scan.mask import mask

    where, tried = Position(Content(data, Place(Kind.STDIN, "-"))), []

    def note(hit: Hit, why: str = "") -> None:
        line, column = where.of(hit.start)
        tried.append((line, column, hit.rule.id, mask(data[hit.start:hit.end], hit.prefix), why))

    for hit in Detector(ruleset).hits(data, note):
        note(hit)
    return sorted(tried)


def _all(folders: Sequence[Path], files: Sequence[Path]) -> Iterator[Rule]:
    from clawsecrets.issuers.loader import load_providers
    from clawsecrets.scan.rulefile import read_rules, rule_of

    pages = {}
    for provider in load_providers(folders).values():
        page = pages[provider.code] = provider.manual.url
        yield from (rule_of(detect, provider.code, provider.name)._replace(page=page) for detect in provider.detect)
    for file in files:
        yield from (rule._replace(page=pages.get(rule.provider)) for rule in read_rules(file))
