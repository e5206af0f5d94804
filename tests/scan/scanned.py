"""A scan of made repositories by the real pipeline, with one rule of its own."""

from __future__ import annotations

import os
import random
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from clawsecrets.config.paths import find_paths
from clawsecrets.model.finding import Match, Place, Provenance, Rule, Skipped
from clawsecrets.scan import pipeline
from clawsecrets.scan.batch import Batching
from clawsecrets.scan.detector import Detector
from clawsecrets.scan.inspect import Inspector
from clawsecrets.scan.ruleset import Ruleset
from clawsecrets.scan.spots import Spotted
from clawsecrets.scan.unread import Noting
from clawsecrets.scan_ports import Notes
from clawsecrets.wiring.caching import Caching

RULES = Ruleset([Rule("zebra.key", "zebra", "Zebra key", r"\bzbr_[A-Za-z0-9]{24}\b")], "code")


def token(number: int) -> str:
    """A made-up credential."""
    chance = random.Random(number)
    return "zbr_" + "".join(chance.choices("ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz23456789", k=24))


def git(folder: Path, *words: str) -> str:
    env = {"PATH": os.environ["PATH"], "HOME": str(folder), "GIT_CONFIG_NOSYSTEM": "1", "GIT_AUTHOR_NAME": "A",
           "GIT_AUTHOR_EMAIL": "a@invalid", "GIT_COMMITTER_NAME": "A", "GIT_COMMITTER_EMAIL": "a@invalid",
           "GIT_AUTHOR_DATE": "2026-01-01T00:00:00Z", "GIT_COMMITTER_DATE": "2026-01-01T00:00:00Z"}
    return subprocess.run(["git", *words], cwd=folder, env=env, check=True, capture_output=True, text=True).stdout


def repository(folder: Path, leaks: int = 2, clean: int = 30) -> Path:
    """A packed repository with so many leaks."""
    folder.mkdir(parents=True)
    git(folder, "init", "-q", "-b", "main")
    for number in range(clean):
        (folder / f"file{number}.txt").write_text(f"nothing {number}\n" * 20)
    commit(folder, "clean")
    for number in range(leaks):
        (folder / f"leak{number}.env").write_text(f"A=1\nKEY={token(number)}\n")
        commit(folder, f"leak {number}")
    git(folder, "repack", "-adq")
    return folder


def commit(folder: Path, message: str) -> None:
    git(folder, "add", "-A")
    git(folder, "commit", "-qm", message)


def looking(rules: Ruleset) -> Callable[[Notes], Spotted]:
    """What looks at content, as in a scan."""
    return lambda notes: Spotted(
        Batching(Noting(notes, lambda told: Inspector(Detector(rules), notes=told)), None, bool), rules.by_id)


class Told:
    counts = False

    def expects(self, work: int) -> None:
        raise AssertionError("it does not count")

    def moved(self, objects: int, size: int, work: int) -> None:
        pass

    def say(self, message: str) -> None:
        pass


@dataclass
class Scanned:
    """What one scan gave."""

    matches: list[Match]
    skipped: list[Skipped]
    cached: int
    objects: int
    source: str
    where: dict[Place, Sequence[Provenance]] = field(default_factory=dict)
    said: list[str] = field(default_factory=list)

    @property
    def facts(self) -> tuple[object, ...]:
        """Everything that a report is made of."""
        return (sorted((m.rule.id, m.place, m.secret.reveal(), m.start_line, m.start_column, m.end_line, m.encoding,
                        m.prefix) for m in self.matches),
                sorted((s.what, s.reason) for s in self.skipped),
                sorted((place, sorted(map(repr, found))) for place, found in self.where.items()))


def scan(repo: Path, home: Path, *, cache: bool = True, env: dict[str, str] | None = None, workers: int = 1,
         rules: Ruleset = RULES, options: Sequence[str] = (), interrupted: bool = False,
         during: Callable[[], None] = lambda: None) -> Scanned:
    """Scan a repository; `cache` False: as with --no-cache."""
    said: list[str] = []
    environ = env or {}
    paths = find_paths(environ={"CLAWSECRETS_HOME": str(home)})
    caching = Caching.opened(paths, rules.hash, options, environ, said.append)
    if cache:
        source = caching.git(repo)
    else:
        from clawsecrets.sources.git.source import GitSource

        source = GitSource(repo)
    outcomes, _ = pipeline.run([source], looking(rules), lambda: rules.by_id, workers, Told())
    during()
    outcome = outcomes[0]
    where = dict(source.locate({match.place for match in outcome.matches})) if outcome.matches else {}
    if cache:
        values = [match.secret.reveal().decode() for match in outcome.matches]
        caching.remember([source], outcomes, interrupted, lambda path: not any(value in path for value in values))
    coverage = source.coverage()
    return Scanned(outcome.matches, [*outcome.skipped, *coverage.skipped], coverage.cached, outcome.objects,
                   type(source).__name__, where, said)
