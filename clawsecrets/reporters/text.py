"""The report for people: one paragraph a secret, the most urgent first; then what was looked at and what was not."""

from __future__ import annotations

from collections.abc import Iterator

from clawsecrets.model.finding import Dropped, Finding, Report
from clawsecrets.model.late import late
from clawsecrets.reporters import words
from clawsecrets.reporters.visible import visible

PLACES = 10
"""Places of one secret that are listed; the rest is counted (every one is in the JSON report)."""
FAULTS = 50
"""Things that could not be looked at, likewise."""
_COLOURS = {"critical": "\033[1;31m", "high": "\033[31m", "medium": "\033[33m", "low": "\033[2m"}
_COMMAND = late(r"`[^`]+`")
_BOLD, _DIM, _GREEN, _RED, _RESET = "\033[1m", "\033[2m", "\033[32m", "\033[1;31m", "\033[0m"


class Text:
    """`width`: columns of the terminal, None to wrap nothing. `colour`: with ANSI colours."""

    def __init__(self, width: int | None = None, colour: bool = False) -> None:
        self._width, self._colour = width, colour

    def write(self, report: Report) -> str:
        """The whole text."""
        lines: list[str] = []
        for finding in report.findings:
            lines += [*self._finding(finding), ""]
        if report.dropped:
            lines += [*self._dropped(report), ""]
        return "\n".join([*lines, *self._end(report)]) + "\n"

    def _finding(self, finding: Finding) -> Iterator[str]:
        level = self._shade(finding.severity.upper(), _COLOURS.get(finding.severity, ""))
        many = f"{finding.length:,} bytes"
        yield f"{level}  {self._shade(visible(finding.rule_name), _BOLD)}  {visible(finding.masked)}  ({many})"
        yield from self._lines("  ", f"{finding.rule} · {finding.confidence} confidence · {finding.fingerprint}")
        if finding.known:
            yield from self._lines("  known: ", words.known_words(finding.known))
        if finding.live:
            yield from self._lines("  verified: ", f"{finding.live}"
                                   f"{f' ({finding.live_detail})' if finding.live_detail else ''}")
        for location in finding.locations[:PLACES]:
            yield from self._lines("  at ", words.place(location))
            if reached := words.reached(location):
                yield from self._lines("     ", reached, _DIM)
        if len(finding.locations) > PLACES:
            yield f"     and {len(finding.locations) - PLACES:,} more places"
        for number, step in enumerate(finding.next, 1):
            yield from self._lines(f"  {number}. ", step)

    def _dropped(self, report: Report) -> Iterator[str]:
        yield self._shade(f"not reported ({len(report.dropped):,}):", _BOLD)
        for item in report.dropped:
            yield from self._lines("  - ", _dropped_words(item))

    def _end(self, report: Report) -> Iterator[str]:
        faults = list(words.faults(report))
        seconds = report.stats.get("seconds", 0.0)
        took = f"; {seconds:.1f} s" if seconds else ""
        yield from self._lines("looked at: ", words.coverage_words(report.coverage) + took)
        chosen = [item for item in report.coverage.skipped if item.by_choice]
        if chosen:
            yield f"left out: {len(chosen):,}"
        for item in chosen[:PLACES]:
            yield from self._lines("  - ", f"{item.what}: {item.reason}", _DIM)
        if faults:
            yield self._shade(f"NOT looked at: {len(faults):,}", _RED)
            for what, why in faults[:FAULTS]:
                yield from self._lines("  - ", f"{what}: {why}")
            if len(faults) > FAULTS:
                yield f"  and {len(faults) - FAULTS:,} more"
        total = words.total_words(report)
        if report.complete:
            yield self._shade(total, _GREEN if not report.findings else _BOLD)
        else:
            yield self._shade(f"INCOMPLETE: {total} in what was looked at", _RED)

    def _lines(self, first: str, text: str, shade: str = "") -> Iterator[str]:
        """`first`, then the text wrapped under its own beginning. What stands in backticks is to be copied, and is not
        broken."""
        text = visible(text)
        if self._width is None or len(first) + len(text) <= self._width:
            yield first + self._shade(text, shade)
            return
        import textwrap  # for a terminal only

        room = max(20, self._width - len(first))
        held = _COMMAND.sub(lambda found: found[0].replace(" ", "\xa0"), text)
        pieces = textwrap.wrap(held, room, break_long_words=False, break_on_hyphens=False)
        for number, piece in enumerate(pieces or [""]):
            yield (first if not number else " " * len(first)) + self._shade(piece.replace("\xa0", " "), shade)

    def _shade(self, text: str, code: str) -> str:
        return f"{code}{text}{_RESET}" if self._colour and code else text


def _dropped_words(item: Dropped) -> str:
    return f"{item.place.path or item.place.key}:{item.line}: {item.rule}: {item.masked}: {item.reason}"
