"""A scan, put together: rules, sources, what looks at content, and what is made of the matches.

Kept light: a pre-commit hook passes through here. What is heavy is imported where it is used.
"""

from __future__ import annotations

import contextlib
import fnmatch
import os
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from clawsecrets.errors import ConfigError, UsageError
from clawsecrets.model.finding import CONFIDENCES, Coverage, Drawn, Match, Report

if TYPE_CHECKING:
    from clawsecrets.config import Config, Paths
    from clawsecrets.ports import Store
    from clawsecrets.scan.baseline import Baseline
    from clawsecrets.scan.inspect import Inspector
    from clawsecrets.scan.pipeline import Looks, Outcome, Told
    from clawsecrets.scan.ranges import Events
    from clawsecrets.scan.ruleset import Ruleset
    from clawsecrets.scan.sought import Finder
    from clawsecrets.scan.triage import Group, Seen
    from clawsecrets.scan_ports import Notes, Source
    from clawsecrets.wiring.caching import Caching
    from clawsecrets.wiring.recalling import Again


LONG = 16
"""Characters of a name in which a value could stand."""


class Order(NamedTuple):
    """What to scan, and how."""

    kind: str
    """git, image, path, host, stdin; empty: what stands here."""
    what: tuple[str, ...] = ()
    confidence: str = ""
    baseline: str = ""
    no_baseline: bool = False
    rules: tuple[str, ...] = ()
    explain: bool = False
    trust_inline_allow: bool = False
    no_cache: bool = False
    workers: int = 0
    since: str = ""
    commits: str = ""
    branch: str = ""
    staged: bool = False
    no_history: bool = False
    trust_alternates: bool = False
    trust_owner: bool = False
    no_ignored: bool = False
    known: bool = False
    fingerprints: str = ""
    verify: bool = False
    force_verify: bool = False
    form: str = ""
    """How the report will be written, where that is known."""


def _no_store() -> Store:
    raise UsageError("--known needs a store", "clawsecrets init makes one")


class Scan:
    """One scan."""

    def __init__(self, order: Order, paths: Paths, told: Told, store_url: str = "",
                 open_store: Callable[[], Store] = _no_store,
                 warn: Callable[[str], None] = lambda message: None) -> None:
        """`open_store` opens the store, for `--known`. `warn` tells the person something that must be heard, on a
        terminal or not."""
        self.order, self.paths, self.told, self.store_url = order, paths, told, store_url
        self.open_store, self.warn = open_store, warn
        self.began = time.monotonic()
        self.config: Config | None = None
        """None: there is no configuration file."""
        self.shown: Callable[[str], bool] = lambda path: True
        """Whether no value stands in a path of the report."""

    def run(self) -> Report:
        """All of it. ClawError when it cannot begin."""
        from clawsecrets.scan import pipeline
        from clawsecrets.wiring.places import Places

        if self.order.verify:
            from clawsecrets.scan.verify import refuse_pull_request

            refuse_pull_request(os.environ, self.order.force_verify)
        self._configure()
        ruleset, baseline, finders = self.ruleset(), self.baseline(), self.finders()
        rules = {**ruleset.by_id, **{name: rule for finder in finders for name, rule in finder.rules.items()}}
        caching = self.caching(ruleset)
        make = self.maker(ruleset, finders, caching)
        with contextlib.ExitStack() as stack:
            sources = Places(self.order, self.chosen(), self.told, caching, stack).sources()
            judged = self._judged(baseline) if caching is not None else ""
            verify = self.order.verify  # what a provider said is not said again, and nobody goes unasked
            drawing, again = _drawing() if caching is not None and self.order.form == "json" else "", None
            if caching is not None and not verify:
                again = caching.recalling(sources, judged, ruleset.by_id, drawing)
            outcomes, interrupted = pipeline.run(sources, make, lambda: rules, self.workers(), self.told)
            if caching is not None and again is not None:
                if again.holds(outcomes[0]):
                    if not interrupted:
                        caching.remember_new(again)
                    return self._said_again(again, outcomes[0], ruleset, interrupted)
                if not interrupted:
                    outcomes, interrupted = pipeline.run(sources, make, lambda: rules, self.workers(), self.told)
            report = self.report(sources, outcomes, ruleset, baseline, interrupted)
            if caching is not None:
                report = _drawn(report, drawing) if drawing else report
                caching.remember(sources, outcomes, interrupted, self.shown, None if verify else (report, judged))
            return report

    def _judged(self, baseline: Baseline | None) -> str:
        """A hash of all that findings depend on besides the rules and what was read."""
        import hashlib

        from clawsecrets import __version__

        config, entries = self.config.scan if self.config else None, []
        if baseline is not None:
            from datetime import UTC, datetime

            today = datetime.now(UTC).date()
            entries = [(entry, entry.expired(today)) for entry in baseline.entries.values()]
        text = repr((__version__, self._least(), config and (config.disable, config.exclude), entries,
                     baseline and baseline.salt))
        return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()

    def _said_again(self, again: Again, outcome: Outcome, ruleset: Ruleset, interrupted: bool) -> Report:
        """The report of a scan to which nothing but clean content was new."""
        found, coverage = again.found, again.source.coverage()
        coverage = coverage._replace(sources=found.sources, objects=outcome.objects, bytes=outcome.bytes,
                                     cached=coverage.cached + outcome.cached, layers=found.layers)
        return Report(found.findings, coverage, found.baselined, (), found.rules,
                      self._stats(ruleset, found.not_shown), interrupted, found.drawn)

    def caching(self, ruleset: Ruleset) -> Caching | None:
        """What earlier scans found clean under the same rules. None where more is looked for than the rules say."""
        order = self.order
        if order.no_cache or order.known or order.fingerprints or order.explain or order.staged \
                or order.kind not in ("", "git", "image"):
            return None
        from clawsecrets.wiring.caching import Caching

        options = ["trust-inline-allow"] if order.trust_inline_allow else []
        return Caching.opened(self.paths, ruleset.hash, options, os.environ, self.told.say)

    def _configure(self) -> None:
        """The configuration, if there is one: most who scan have none, and need not wait for its reader."""
        if self.paths.config_given or os.path.lexists(self.paths.config):
            from clawsecrets.config.load import read_config

            self.config = read_config(self.paths, self.store_url)

    def workers(self) -> int:
        """Processes to use."""
        return self.order.workers or len(os.sched_getaffinity(0))

    def ruleset(self) -> Ruleset:
        """Every rule; those that are disabled too, since the compiled ones are shared."""
        from clawsecrets.wiring.rules import load_ruleset

        extra = (*(self.config.scan.rules if self.config else ()), *map(Path, self.order.rules))
        return load_ruleset(self.paths, extra, self.config.providers_dirs if self.config else ())

    def chosen(self) -> Callable[[str], bool]:
        """The operator's filter of paths."""
        patterns = self.config.scan.exclude if self.config else ()
        return lambda path: not any(fnmatch.fnmatchcase(path, pattern) for pattern in patterns)

    def finders(self) -> Sequence[Finder]:
        """What looks for values that are known: the store's, or an index's. StoreError, ConfigError."""
        order = self.order
        if not (order.known or order.fingerprints):
            return ()
        from clawsecrets.wiring.knowing import known_finders

        return known_finders(order.known, self.open_store, order.fingerprints, self.warn)

    def maker(self, ruleset: Ruleset, finders: Sequence[Finder], caching: Caching | None) -> Callable[[Notes], Looks]:
        """Makes what looks at content, in each worker."""
        from clawsecrets.scan import gates
        from clawsecrets.scan.batch import Batching
        from clawsecrets.scan.detector import Detector
        from clawsecrets.scan.inspect import Inspector, kind_of
        from clawsecrets.scan.unread import Noting

        order = self.order
        if finders:
            from clawsecrets.scan.sought import Naming, Seeking

        def make(notes: Notes) -> Looks:
            detector = Detector(ruleset, explain=order.explain, trust_inline_allow=order.trust_inline_allow)
            if finders:
                seeking = Seeking(detector, finders)
                named = Naming(Noting(notes, lambda told: Inspector(seeking, notes=told)), finders)
                return Batching(named, None, kind_of)
            inner = Noting(notes, lambda told: Inspector(detector, notes=told))
            looks = Batching(inner, None if order.explain else both(detector), kind_of)
            if caching is None or not caching.spotted:
                return looks
            from clawsecrets.scan.spots import Spotted

            return Spotted(looks, ruleset.by_id)

        def both(detector: Detector) -> Callable[[bytes], tuple[Events, Events]]:
            return lambda text: (detector.candidates(text), gates.events(text))

        return make

    @staticmethod
    def plain(ruleset: Ruleset) -> Inspector:
        """What looks at texts of ours; what it cannot open is nobody's loss."""
        from clawsecrets.scan.detector import Detector
        from clawsecrets.scan.inspect import Inspector

        class Nobody:
            def skipped(self, skipped: object) -> None:
                """Not told."""

        return Inspector(Detector(ruleset), notes=Nobody())

    def baseline(self) -> Baseline | None:
        """The baseline that was named, else the one that stands where the scan looks, if there is one."""
        if self.order.no_baseline:
            return None
        if self.order.baseline:
            path = Path(self.order.baseline)
        else:
            from clawsecrets.scan.baseline_place import usual_place

            path = usual_place(self._folder())
            if not os.path.lexists(path):
                return None
        from clawsecrets.scan.baseline_file import load

        found = load(path)
        if found is None and self.order.baseline:
            raise ConfigError(f"{path}: there is no such baseline", "clawsecrets baseline add makes one")
        return found

    def _folder(self) -> Path:
        """Where the scan looks, if that is one folder."""
        what = self.order.what
        inside = len(what) == 1 and self.order.kind in ("git", "path") and os.path.isdir(what[0])
        return Path(os.path.abspath(what[0])) if inside else Path.cwd()

    # --- what is made of the matches ----------------------------------------------------------------------------------

    def report(self, sources: Sequence[Source], outcomes: Sequence[Outcome], ruleset: Ruleset,
               baseline: Baseline | None, interrupted: bool) -> Report:
        """The findings, and what was looked at."""
        found = [[match for match in outcome.matches if self._wanted(match)] for outcome in outcomes]
        below = [match for outcome in outcomes for match in outcome.matches if not self._wanted(match)]
        coverage, dropped = Coverage(), [item for outcome in outcomes for item in outcome.dropped]
        named = self._named([match for matches in found for match in matches], baseline)
        seen = [item for source, matches in zip(sources, found, strict=True) for item in self._located(source, matches)]
        for source, outcome in zip(sources, outcomes, strict=True):
            coverage = coverage.plus(source.coverage()).plus(Coverage(
                objects=outcome.objects, bytes=outcome.bytes, cached=outcome.cached, skipped=tuple(outcome.skipped)))
        stats = self._stats(ruleset, len(below))
        clean = not (seen or below or dropped or coverage.skipped)
        if clean and not any(map(_telling, coverage.sources)):
            return Report((), coverage, stats=stats, interrupted=interrupted)  # a hook's usual case: import no more
        from clawsecrets.scan.shown import hidden, told

        inside = hidden(self.plain(ruleset), told((item.provenance for item in seen), coverage, dropped))
        if clean and not inside:
            return Report((), coverage, stats=stats, interrupted=interrupted)
        from clawsecrets.scan import triage

        groups = triage.group(seen)
        if self.order.verify:
            self._verify(groups)
        judged = triage.conclude(groups, baseline, self._pages(groups), unshown=below, names=named(), hidden=inside)
        scrubbed = judged.scrubber.path
        self.shown = lambda path: scrubbed(path) == path
        stats["seconds"] = round(time.monotonic() - self.began, 3)
        return Report(judged.findings, judged.coverage(coverage), judged.baselined,
                      tuple(map(judged.scrubber.dropped, dropped)), judged.rules, stats, interrupted)

    def _stats(self, ruleset: Ruleset, not_shown: int) -> dict[str, float]:
        return {"seconds": round(time.monotonic() - self.began, 3), "rules": len(ruleset.rules),
                "not_shown": not_shown}

    def _verify(self, groups: Sequence[Group]) -> None:
        """Ask the providers which of them are live."""
        from clawsecrets.issuers.loader import load_providers
        from clawsecrets.wiring.shop import SystemClock
        from clawsecrets.wiring.verifying import verify_groups

        providers = load_providers(self.config.providers_dirs if self.config else ())
        verify_groups(groups, providers, self.config, os.environ, self.warn, SystemClock(),
                      force=self.order.force_verify)

    def _named(self, found: Sequence[Match], baseline: Baseline | None) -> Callable[[], dict[bytes, str]]:
        """The fingerprints, which are begun before git says where the findings stand: both take their time."""
        if not found:
            return dict
        from clawsecrets.scan.fingerprint import STANDARD_SALT
        from clawsecrets.scan.triage import named

        return named(found, baseline.salt if baseline else STANDARD_SALT)

    def _located(self, source: Source, found: Sequence[Match]) -> Iterator[Seen]:
        if not found:
            return
        from clawsecrets.scan import triage

        chosen = self.chosen()
        for item in triage.located(found, source.locate({match.place for match in found})):
            if chosen(item.provenance.path):
                yield item

    def _wanted(self, match: Match) -> bool:
        """Whether it is to be reported: confident enough, and by a rule that is not disabled."""
        disabled = self.config.scan.disable if self.config else ()
        return CONFIDENCES.index(match.rule.confidence) <= CONFIDENCES.index(self._least()) and not any(
            match.rule.id == word or (word.endswith(".*") and match.rule.provider == word[:-2]) for word in disabled)

    def _least(self) -> str:
        return self.order.confidence or (self.config.scan.confidence if self.config else "medium")

    def _pages(self, groups: Sequence[Group]) -> dict[str, str]:
        """Where each provider's credentials are kept, for those that were found and have a file."""
        pages = {group.rule.provider: group.rule.page for group in groups if group.rule.page is not None}
        if self.order.known or self.order.fingerprints:  # what looks for known values makes rules of its own
            from clawsecrets.issuers.loader import load_providers

            providers = load_providers(self.config.providers_dirs if self.config else ())
            codes = {group.rule.provider for group in groups} - pages.keys()
            pages |= {code: providers.page(code) for code in codes if code in providers}
        return pages

    def written(self, report: Report, form: str, *, columns: int, colours: bool) -> Sequence[bytes]:
        """The report in a format, in parts; `columns` 0: it is not for a terminal."""
        from clawsecrets.reporters import written

        return written(report, form, width=columns or None, colour=colours)

    def code(self, report: Report, allow_incomplete: bool) -> int:
        """The exit code."""
        from clawsecrets.scan.verdict import exit_code

        return exit_code(report, allow_incomplete)


def _telling(text: str) -> bool:
    """Whether a value could stand in it: a part of a path that is as long as a token, with a digit in it."""
    return any(len(part) >= LONG and any(map(str.isdigit, part)) for part in text.replace("/", " ").split())


def _drawing() -> str:
    """A hash of the code that draws findings as JSON: what it drew is not told again by another one."""
    import hashlib

    import clawsecrets

    state, folder = hashlib.blake2b(digest_size=16), Path(clawsecrets.__path__[0], "reporters")
    for name in ("json.py", "visible.py"):
        state.update((folder / name).read_bytes())
    return state.hexdigest()


def _drawn(report: Report, drawing: str) -> Report:
    """With the text of its findings as the JSON report has them: it is written once, and kept."""
    from clawsecrets.reporters.json import drawn

    return report._replace(drawn=Drawn(drawing, *drawn(report)))


def write_report(pieces: Sequence[bytes], output: str) -> None:
    """The report as a file, whole or not at all (into a device or pipe: written as it is). OSError names
    `output`."""
    if os.path.lexists(output) and not os.path.isfile(output):
        with open(output, "wb") as stream:
            stream.writelines(pieces)
        return
    target = os.path.realpath(output)
    draft = f"{target}.{os.getpid()}.new"
    try:
        with open(draft, "xb") as file:
            file.writelines(pieces)
        os.replace(draft, target)
    except OSError as error:
        with contextlib.suppress(OSError):
            os.unlink(draft)
        raise OSError(error.errno, error.strerror, output) from None  # not the draft: nobody has named that
