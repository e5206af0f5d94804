"""One page that needs nothing else: no server, no font, no script from anywhere. To be mailed, kept, printed.

Everything that is not ours is escaped, and should that ever fail: the page's policy (CSP) lets nothing run or load but
the one style and the one script below, by their hashes.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Iterator
from html import escape

from clawsecrets import __version__
from clawsecrets.model.finding import Finding, Location, Report
from clawsecrets.reporters import words
from clawsecrets.reporters.html_parts import SCRIPT, STYLE
from clawsecrets.reporters.visible import visible

PLACES = 200
"""Places of one secret that are listed; the rest is counted."""
OPEN = 3
"""Places that are shown without a click."""
FAULTS = 1000
_LEVELS = ("critical", "high", "medium", "low")


class Html:
    """The page."""

    def write(self, report: Report) -> str:
        """The whole text."""
        return "".join((*_head(), "<main>\n", *_summary(report), *_bar(report),
                        *(_finding(item) for item in report.findings), *_faults(report), *_baselined(report),
                        *_coverage(report), "</main>\n", f"<script>{SCRIPT}</script>\n</body>\n</html>\n"))


def _head() -> Iterator[str]:
    policy = (f"default-src 'none'; style-src '{_hash(STYLE)}'; script-src '{_hash(SCRIPT)}'; base-uri 'none'; "
              "form-action 'none'")
    yield ('<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
           f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
           '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
           '<meta name="color-scheme" content="light dark">\n<meta name="referrer" content="no-referrer">\n'
           f"<title>Leaked secrets</title>\n<style>{STYLE}</style>\n</head>\n<body>\n")


def _hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _summary(report: Report) -> Iterator[str]:
    yield f"<header>\n<h1>Leaked secrets</h1>\n<p class=\"what\">{_text(', '.join(report.coverage.sources))}</p>\n"
    if not report.complete:
        yield ('<p class="banner bad"><strong>Incomplete.</strong> Not everything that was asked for could be looked '
               'at: <a href="#faults">what is missing</a>.</p>\n')
    elif not report.findings:
        yield '<p class="banner good"><strong>Nothing found.</strong> All that was asked for was looked at.</p>\n'
    yield f'<p class="total">{_text(words.total_words(report))}</p>\n</header>\n'


def _bar(report: Report) -> Iterator[str]:
    """Filter and severities; the script shows it (without one it would do nothing)."""
    if not report.findings:
        return
    counts = {level: sum(1 for item in report.findings if item.severity == level) for level in _LEVELS}
    boxes = "".join(f'<label class="{level}"><input type="checkbox" value="{level}" checked> {level} '
                    f"<b>{number}</b></label>" for level, number in counts.items() if number)
    yield (f'<form id="bar" hidden><input id="filter" type="search" placeholder="Filter: path, rule, commit, image…" '
           f'aria-label="Filter" autocomplete="off">{boxes}<span id="shown" role="status"></span></form>\n')


def _finding(item: Finding) -> str:
    known = _row("In the store", _text(words.known_words(item.known))) if item.known else ""
    detail = f" ({item.live_detail})" if item.live_detail else ""
    live = _row("Verified", _text(f"{item.live}{detail}")) if item.live else ""
    steps = "".join(f"<li>{_code(step)}</li>" for step in item.next)
    return (f'<article class="finding {_level(item)}" data-level="{_level(item)}">\n'
            f'<h2><span class="level">{_text(item.severity)}</span> {_text(item.rule_name)}</h2>\n'
            f'<p class="value"><code>{_text(item.masked)}</code> <small>{item.length:,} bytes</small></p>\n<dl>'
            f"{known}{live}{_row('Rule', f'{_text(item.rule)}, {_text(item.confidence)} confidence')}"
            f"{_row('Fingerprint', f'<code>{_text(item.fingerprint)}</code>')}</dl>\n"
            f"<h3>Where</h3>\n{_places(item.locations)}"
            + (f"<h3>What to do</h3>\n<ol>{steps}</ol>\n" if steps else "") + "</article>\n")


def _level(item: Finding) -> str:
    return item.severity if item.severity in _LEVELS else "low"


def _row(name: str, markup: str) -> str:
    return f"<dt>{name}</dt><dd>{markup}</dd>"


def _places(locations: tuple[Location, ...]) -> str:
    shown = f"<ul>{''.join(map(_place, locations[:OPEN]))}</ul>\n"
    rest = locations[OPEN:PLACES]
    if not rest:
        return shown
    more = len(locations) - PLACES
    last = f"<li>and {more:,} more</li>" if more > 0 else ""
    return (f"{shown}<details><summary>{len(locations) - OPEN:,} more</summary>\n"
            f"<ul>{''.join(map(_place, rest))}{last}</ul></details>\n")


def _place(location: Location) -> str:
    reached = words.reached(location)
    message = location.provenance.message
    extra = " · ".join(filter(None, (reached, f"“{message}”" if message else "")))
    return f"<li><code>{_text(words.place(location))}</code>{f'<small>{_text(extra)}</small>' if extra else ''}</li>"


def _faults(report: Report) -> Iterator[str]:
    found = list(words.faults(report))
    if found:
        yield f'<section id="faults">\n<h2>Not looked at ({len(found):,})</h2>\n{_table(found[:FAULTS])}'
        yield f"<p>and {len(found) - FAULTS:,} more</p>\n" if len(found) > FAULTS else ""
        yield "</section>\n"
    chosen = [(item.what, item.reason) for item in report.coverage.skipped if item.by_choice]
    if chosen:
        yield (f"<section>\n<details><summary>Left out ({len(chosen):,})</summary>\n"
               f"{_table(chosen[:FAULTS])}</details>\n</section>\n")


def _baselined(report: Report) -> Iterator[str]:
    if report.baselined:
        rows = [(f"{item.rule_name}: {item.masked}, {words.place(item.locations[0])}", item.baseline)
                for item in report.baselined]
        yield (f"<section>\n<details><summary>In the baseline ({len(rows):,})</summary>\n{_table(rows[:FAULTS])}"
               "</details>\n</section>\n")


def _table(rows: Iterable[tuple[str, str]]) -> str:
    body = "".join(f"<tr><td>{_text(one)}</td><td>{_text(other)}</td></tr>\n" for one, other in rows)
    return f"<table>{body}</table>\n"


def _coverage(report: Report) -> Iterator[str]:
    seconds = report.stats.get("seconds", 0.0)
    took = f"; {seconds:.1f} s" if seconds else ""
    yield (f"<footer><p>Looked at {_text(words.coverage_words(report.coverage))}{took}. Values are never shown: what "
           "you see of one is the public beginning of its format and at most its last three characters.</p>"
           f"<p>clawsecrets {_text(__version__)}</p></footer>\n")


def _text(text: str) -> str:
    return escape(visible(text))


def _code(text: str) -> str:
    """A step; what stands in backticks is set as code."""
    parts = _text(text).split("`")
    if len(parts) % 2 == 0:
        return "`".join(parts)
    return "".join(f"<code>{part}</code>" if number % 2 else part for number, part in enumerate(parts))
