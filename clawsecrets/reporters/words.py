"""Words that several formats share: where something stands, how it is reached, what was looked at."""

from __future__ import annotations

from collections.abc import Iterator

from clawsecrets.model.finding import Coverage, Finding, Kind, Known, Location, Report

_UNITS = ("kB", "MB", "GB", "TB")
SHOWN_COMMIT = 12
"""Digits of a commit's id that people are shown."""
_KINDS = {
    Kind.FILE: "file", Kind.GIT_BLOB: "file in git", Kind.GIT_MESSAGE: "message in git", Kind.GIT_NAME: "name in git",
    Kind.GIT_CONFIG: "the repository's own files", Kind.IMAGE_LAYER: "layer of an image",
    Kind.IMAGE_CONFIG: "configuration of an image", Kind.IMAGE_ANNOTATION: "annotation of an image",
    Kind.CONTAINER: "container", Kind.LOG: "log", Kind.STDIN: "standard input",
}
_WAYS = {"reflog": "only in a reflog", "dangling": "nothing leads there", "index": "staged", "stash": "in a stash",
         "notes": "in a note"}


def kind_words(kind: Kind) -> str:
    """A kind for people."""
    return _KINDS.get(kind, kind.value)


def place(location: Location) -> str:
    """`path:line:column`, with what kind of thing it is where that is no file."""
    where = location.provenance
    name = where.path or ("standard input" if where.kind is Kind.STDIN else kind_words(where.kind))
    told = f"{name}:{location.start_line}:{location.start_column}"
    extra = [] if location.encoding == "plain" else [location.encoding]
    if where.path and where.kind not in (Kind.FILE, Kind.GIT_BLOB, Kind.STDIN, Kind.IMAGE_LAYER):
        extra.append(kind_words(where.kind))
    return told + (f" ({', '.join(extra)})" if extra else "")


def reached(location: Location) -> str:
    """How it can be reached, and since when; empty for a file."""
    where = location.provenance
    parts = []
    if where.commit:
        who = f" by {where.author}" if where.author else ""
        when = f" on {where.date[:10]}" if where.date else ""
        parts.append(f"commit {where.commit[:SHOWN_COMMIT]}{who}{when}")
    if where.reachable:
        names = ", ".join(where.refs[:3]) + (f" and {len(where.refs) - 3} more" if len(where.refs) > 3 else "")
        parts.append(_WAYS.get(where.reachable, where.reachable) + (f" {names}" if names else ""))
    if where.image:
        parts.append(f"image {where.image}{f' ({where.platform})' if where.platform else ''}")
    if where.layer:
        parts.append(f"layer {where.layer.removeprefix('sha256:')[:SHOWN_COMMIT]}")
    if where.instruction:
        parts.append(f"made by: {where.instruction}")
    if where.container:
        parts.append(f"container {where.container}")
    return " · ".join(parts)


def known_words(known: Known) -> str:
    """Which secret of the store it is."""
    return f"{known.name} version {known.version} ({known.stage}, {'may still be live' if known.live else 'dead'})"


def coverage_words(coverage: Coverage) -> str:
    """What was looked at, in one line."""
    parts = [_count(coverage.objects, "object"), size_words(coverage.bytes)]
    parts += [_count(number, word) for number, word in
              ((coverage.commits, "commit"), (coverage.refs, "ref"), (coverage.layers, "layer")) if number]
    if coverage.cached:
        parts.append(f"{coverage.cached:,} known from an earlier scan")
    return f"{', '.join(coverage.sources) or 'nothing'}: {', '.join(parts)}"


def faults(report: Report) -> Iterator[tuple[str, str]]:
    """What was not looked at although it was asked for: what, and why."""
    if report.interrupted:
        yield "the rest", "the scan was interrupted"
    if report.coverage.shallow:
        yield "older history", "the repository is a shallow or partial clone"
    yield from ((item.what, item.reason) for item in report.coverage.skipped if not item.by_choice)


def total_words(report: Report) -> str:
    """How many findings, of which severity."""
    found = report.findings
    if not found:
        told = "no findings"
    else:
        counts = {level: sum(1 for item in found if item.severity == level) for level in
                  dict.fromkeys(item.severity for item in found)}
        places = sum(len(item.locations) for item in found)
        told = f"{_count(len(found), 'secret')} in {_count(places, 'place')}: " + ", ".join(
            f"{number} {level}" for level, number in counts.items())
    return told + (f"; {len(report.baselined)} more in the baseline" if report.baselined else "")


def size_words(size: int) -> str:
    """Bytes for people."""
    if size < 1000:
        return _count(size, "byte")
    step = min((len(str(size)) - 1) // 3, len(_UNITS))
    return f"{size / 1000 ** step:.1f} {_UNITS[step - 1]}"


def identity(finding: Finding, *more: object) -> str:
    """A stable name (64 hex digits) of a finding at a place, for formats that want one: nothing of it is secret."""
    import hashlib

    text = "\0".join(map(str, (finding.rule, finding.fingerprint, *more)))
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()


def _count(number: int, word: str) -> str:
    return f"{number:,} {word}{'' if number == 1 else 's'}"
