"""baseline add|list|prune|init: values that somebody looked at and decided to live with, for a while."""

from __future__ import annotations

import datetime
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from clawsecrets.cli.output import DIM, YELLOW, Column, emit, say, table
from clawsecrets.cli.session import JsonOption, Session, command, group
from clawsecrets.cli.wording import require_none_of_ours
from clawsecrets.errors import UsageError
from clawsecrets.model.policy import DAY, parse_duration
from clawsecrets.scan import earlier
from clawsecrets.scan.baseline import Baseline, Entry, valid_fingerprint
from clawsecrets.scan.baseline_file import editing, load
from clawsecrets.scan.baseline_place import usual_place
from clawsecrets.wiring.hushing import quiet

ANY_RULE = "any"
"""The rule of an entry whose finding was not named by a report."""

FileOption = Annotated[str, typer.Option("--baseline", metavar="FILE", help="The baseline; by default "
                                         ".clawsecrets-baseline at the root of the repository, or here.")]


def register(app: typer.Typer) -> None:
    """Add this file's commands."""
    made = group(app, "baseline", "Findings that were judged: they count no more until their entry expires.",
                 list_entries)
    command(made, "list")(list_entries)
    command(made, "add")(add)
    command(made, "prune")(prune)
    command(made, "init")(init)


def list_entries(session: Session, baseline: FileOption = "", as_json: JsonOption = False) -> None:
    """List the entries; those that have expired hide nothing."""
    path, today = _place(baseline), _today(session)
    found = load(path)
    shown = str(path) if found is not None else quiet(str(path), (str(path),))
    entries = [found.entries[key] for key in sorted(found.entries)] if found else []
    if as_json:
        emit({"file": shown, "exists": found is not None,
              "entries": [{"fingerprint": entry.fingerprint, "rule": entry.rule, "expires": entry.expires.isoformat(),
                           "expired": entry.expired(today), "who": entry.who, "reason": entry.reason}
                          for entry in entries]})
    elif entries:
        columns = [Column("FINGERPRINT", 8), Column("RULE", 8), Column("EXPIRES"), Column("WHO", 6, drop=1),
                   Column("REASON", 10)]
        table(columns, [[entry.fingerprint, entry.rule, "expired" if entry.expired(today) else str(entry.expires),
                         entry.who, entry.reason] for entry in entries],
              [YELLOW if entry.expired(today) else DIM for entry in entries])
    else:
        say(f"{shown}: no entries" if found is not None else f"there is no baseline: {shown} is not there")


def add(
    session: Session,
    reason: Annotated[str, typer.Option(metavar="TEXT", help="Why it may stay. Never write a value here.")],
    expires: Annotated[str, typer.Option(metavar="DATE", help="When it is to be looked at again: 2027-01-31, or 90d "
                                         "from today.")],
    fingerprints: Annotated[list[str] | None, typer.Argument(metavar="FINGERPRINT", help="As the scan shows "
                                                             "them.")] = None,
    report: Annotated[str, typer.Option("--from", metavar="REPORT", help="A JSON report: all of its findings, or those "
                                        "that are named.")] = "",
    who: Annotated[str, typer.Option(metavar="NAME", help="Who decides; by default the user's name.")] = "",
    baseline: FileOption = "",
) -> None:
    """Add findings to the baseline, or give those that are in it a new reason and date.

    The first one makes the file; commit it. An entry is about a value, wherever it stands. A reason that holds a value
    of this host's store is refused, where that opens without a question.
    """
    today = _today(session)
    until, why, name = _until(expires, today), _words(reason, "--reason"), _words(who or _user(), "--who")
    chosen = _chosen(fingerprints or [], report)
    require_none_of_ours(session, "--reason", why)
    require_none_of_ours(session, "--who", name)
    path = _place(baseline)
    with editing(path) as change:
        old = change.old or Baseline()
        change.new = old.plus(Entry(key, rule if rule != ANY_RULE or key not in old.entries else old.entries[key].rule,
                                    until, name, why) for key, rule in chosen.items())
    say(f"{path}: {len(chosen)} entr{'y' if len(chosen) == 1 else 'ies'} until {until}")
    if change.old is None:
        say("the file is new: commit it, so that colleagues and CI judge alike")


def prune(
    session: Session,
    report: Annotated[str, typer.Option("--report", metavar="REPORT", help="A JSON report of a complete scan: entries "
                                        "that it did not find go, too.")] = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would go; change nothing.")] = False,
    baseline: FileOption = "",
) -> None:
    """Take out what has expired and, with a report, what is found no more."""
    today, path = _today(session), _place(baseline)
    seen = earlier.read(Path(report)) if report else None
    if seen is not None and not seen.complete:
        raise UsageError("that scan was not complete: what it did not find may be there all the same",
                         "scan everything, then prune with that report")
    with editing(path) as change:
        if change.old is None:
            raise UsageError(f"{path}: there is no such baseline", "name it with --baseline FILE")
        gone = {key: "expired" for key, entry in change.old.entries.items() if entry.expired(today)}
        if seen is not None:
            gone |= {key: "found no more" for key in change.old.entries
                     if key not in seen.findings and key not in seen.baselined}
        change.new = None if dry_run else change.old.without(set(gone))
    for key in sorted(gone):
        print(f"{key}  {change.old.entries[key].rule}  {gone[key]}")
    left = len(change.old.entries) - len(gone)
    say(f"{path}: {len(gone)} {'would go' if dry_run else 'gone'}, {left} left")


def init(session: Session, baseline: FileOption = "") -> None:
    """Make an empty baseline with a salt of its own, before the first scan.

    Fingerprints are then this repository's own: nobody can look up those of common passwords in a table made before.
    Without it the first `baseline add` makes the file, with the standard salt.
    """
    path = _place(baseline)
    with editing(path) as change:
        if change.old is not None:
            raise UsageError(f"{path} is there already", "another salt would make its entries worthless")
        change.new = Baseline.new()
    say(f"{path}: made; commit it, and scan again for the fingerprints that it takes")


# --- what was typed ------------------------------------------------------------------------------------------------


def _place(given: str) -> Path:
    return Path(given) if given else usual_place(Path.cwd())


def _today(session: Session) -> datetime.date:
    return datetime.datetime.fromtimestamp(session.clock.now(), datetime.UTC).date()


def _until(text: str, today: datetime.date) -> datetime.date:
    """The last day. What was typed is not repeated."""
    hint = "write a day such as 2027-01-31, or a duration such as 90d"
    try:
        days = round(parse_duration(text) / DAY) if not text[:5].endswith("-") else None
        day = datetime.date.fromisoformat(text) if days is None else today + datetime.timedelta(days)
    except ValueError:
        day = None
    if day is None:
        raise UsageError("--expires: this is no date and no duration", hint)
    if day <= today:
        raise UsageError("--expires: that day is not in the future", hint)
    return day


def _words(text: str, option: str) -> str:
    text = " ".join(text.split())
    if not text or not text.isprintable():
        raise UsageError(f"{option}: words are needed, on one line", "say why, so that the next one understands it")
    return text


def _user() -> str:
    import getpass

    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"uid{os.getuid()}"


def _chosen(named: Sequence[str], report: str) -> dict[str, str]:
    """Fingerprint -> rule. What is no fingerprint is not repeated: it could be the value itself."""
    for place, text in enumerate(named, 1):
        if not valid_fingerprint(text):
            raise UsageError(f"argument {place} is not a fingerprint (32 hex digits)", "copy it from the scan's report")
    if not report:
        if not named:
            raise UsageError("nothing was named", "give fingerprints, or a report with --from REPORT.json")
        return dict.fromkeys(named, ANY_RULE)
    seen = earlier.read(Path(report))
    if not named:
        if not seen.findings:
            raise UsageError("that report has no findings", "there is nothing to add")
        return seen.findings
    known = {**seen.baselined, **seen.findings}
    for place, text in enumerate(named, 1):
        if text not in known:
            raise UsageError(f"argument {place} is in no finding of that report", "the report names the fingerprints")
    return {text: known[text] for text in named}
