"""store copy, store check: two stores, or one looked at deeply."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from clawsecrets import wiring
from clawsecrets.cli.answers import DONE, WORK_LEFT
from clawsecrets.cli.output import clean, emit, heard, say
from clawsecrets.cli.session import JsonOption, Session, ask_passphrase, command, group
from clawsecrets.errors import StoreError, StoreMissing, UsageError
from clawsecrets.store_ports import Fault, Identified, Mending, mend_of

if TYPE_CHECKING:
    from clawsecrets.config import Config
    from clawsecrets.stores.moving import Copy, End, Report

DAMAGED = StoreError.exit_code
TOLD, FEW = 10, 50
"""How often progress is said where stderr is no terminal, at most; of fewer secrets than that none is said there."""
FromOption = Annotated[str, typer.Option("--from", metavar="URL", help="The store to copy; else the configuration's.")]
ToOption = Annotated[str, typer.Option("--to", metavar="URL", help="Where to; else the configuration's. Make it first: "
                                       "clawsecrets init --store URL.")]


def register(app: typer.Typer) -> None:
    """Add this file's commands."""
    every = group(app, "store", "The store itself: look at it deeply, compare two, move to another.", check_own)
    command(every, "check")(check)
    command(every, "copy")(copy)


# --- copy -----------------------------------------------------------------------------------------------------------


def copy(
    session: Session,
    source: FromOption = "",
    target: ToOption = "",
    retire_source: Annotated[bool, typer.Option("--retire-source", help="The target keeps the secrets from now on, and "
                                                "the source does nothing with them any more.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be done.")] = False,
    as_json: JsonOption = False,
) -> int:
    """Copy everything into another store: versions, stages, history, unfinished rotations, debts, values.

    The copy is held: until the source is retired, only the source rotates and delivers. Can be killed and run again;
    nothing in the target that is not a held copy of the very same secret is written over. Every secret is read back and
    compared. Exit codes: 0 all of it is there, 1 some could not be copied now, 3 a store is unavailable or damaged.
    """
    with _opened(session, source, target) as (one, other):
        work = _copy(session, one, other, retire_source, dry_run)
        report = work.run(Told("copied"))
        if as_json:
            emit({"from": one.url, "to": other.url, "dry_run": dry_run, "retired": retire_source and not dry_run,
                  "secrets": report.done, "refused": report.refused, "busy": report.busy})
        else:
            _tell(one, other, report, retire_source, dry_run)
    return DONE if report.complete else WORK_LEFT


def _copy(session: Session, one: End, other: End, retire: bool, dry_run: bool) -> Copy:
    from clawsecrets.stores.moving import Copy
    from clawsecrets.wiring.shop import holder

    return Copy(one, other, session.clock, session.actor, holder(), retire, dry_run)


def _tell(one: End, other: End, report: Report, retire: bool, dry_run: bool) -> None:
    words = {what: sum(1 for it in report.done.values() if it == what) for what in sorted(set(report.done.values()))}
    told = ", ".join(f"{count} {what}" for what, count in words.items()) or "nothing"
    print(f"{'would be: ' if dry_run else ''}{told}")
    for name, why in {**report.refused, **report.busy}.items():
        say(f"{name}: NOT copied: {why}")
    if report.busy:
        say("run it again for those that others are at work on")
    if dry_run or not report.complete:
        return
    if retire:
        say(f"{other.url} keeps them from now on: write it as url under [store] in the configuration of every host")
    elif "moved" not in words:
        say(f"the copy is held, {one.url} goes on with them. To move: clawsecrets store copy --from {one.url} "
            f"--to {other.url} --retire-source")


# --- check ----------------------------------------------------------------------------------------------------------


def check_own(session: Session, as_json: JsonOption = False) -> int:
    """Look deeply at the configuration's store."""
    return check(session, as_json=as_json)


def check(
    session: Session,
    url: Annotated[str, typer.Argument(metavar="URL", help="The store; else the configuration's.")] = "",
    against: Annotated[str, typer.Option("--against", metavar="URL", help="Compare it with this one: values, stages, "
                                         "history.")] = "",
    mend: Annotated[bool, typer.Option("--mend", help="First bring in order what a crash may have left.")] = False,
    as_json: JsonOption = False,
) -> int:
    """Look at everything in a store: every record and value opened, the audit log verified; or compare two stores.

    Exit codes: 0 sound (and the same), 1 they differ, 3 damaged or unavailable.
    """
    with ExitStack() as stack:
        one, *others = [stack.enter_context(_end(session, where)) for where in ([url, against] if against else [url])]
        ends = [one, *others]
        if others and _same(one, others[0]):
            raise UsageError("that is one and the same store", "name two")
        mended = [line for end in ends for line in _mended(end)] if mend else []
        faults = [Fault(f"{end.url}: {fault}", mend_of(fault)) for end in ends for fault in _faults(end)]
        found: list[str] = []
        if others and not faults:
            from clawsecrets.stores.comparing import compare

            found = list(compare(one.store, others[0].store, Told("compared")))
        secrets = 0 if faults else len(one.store.names())  # where something is damaged, it cannot be listed
    if as_json:
        emit({"store": one.url, "against": others[0].url if others else "", "secrets": secrets, "mended": mended,
              "faults": faults, "differences": found})
    else:
        for line in (*mended, *faults, *found):
            print(clean(line))
            if how := mend_of(line):
                print(f"        {clean(how)}")
        if not faults and not found:
            say(f"{secrets} secret(s): {'the same in both' if others else 'sound'}")
    return DAMAGED if faults else WORK_LEFT if found else DONE


def _mended(end: End) -> list[str]:
    # only a store on a cluster has something that a crash leaves
    return list(end.store.mend()) if isinstance(end.store, Mending) else []


def _faults(end: End) -> list[str]:
    return [line for line in (end.store.verify_log(), *end.store.check()) if line]


# --- parts ----------------------------------------------------------------------------------------------------------


@contextmanager
def _opened(session: Session, source: str, target: str) -> Iterator[tuple[End, End]]:
    with _end(session, source) as one, _end(session, target) as other:
        if _same(one, other):
            named = "" if one.url == other.url else f": {one.url} and {other.url}"
            raise UsageError(f"both are one and the same store{named}", "name the other one by --from or --to")
        yield one, other


def _same(one: End, other: End) -> bool:
    """Whether both are one store, also where it goes by two addresses."""
    both = one.store, other.store
    return one.url == other.url or (isinstance(both[0], Identified) and isinstance(both[1], Identified)
                                    and both[0].identity == both[1].identity)


@contextmanager
def _end(session: Session, url: str) -> Iterator[End]:
    from clawsecrets.stores.moving import End

    config = wiring.read_config(session.paths, url) if url else session.config
    try:
        store = wiring.open_store(config, session.paths, ask_passphrase, accept_older=session.accept_older)
    except StoreMissing as missing:
        if not url:
            raise
        raise StoreMissing(missing.message, f"make it first: {_making(session, config)}") from None
    try:
        yield End(store, str(config.store.url))
    finally:
        store.close()


def _making(session: Session, config: Config) -> str:
    """The command that makes a store there."""
    file, words = config.store.file, ["clawsecrets", "init", "--store", str(config.store.url)]
    if file is not None:  # a key and a recovery code of its own, not beside it
        folder = session.paths.config.parent
        words += ["--key-file", str(folder / f"{file.parent.name}-{file.stem}.key"),
                  "--recovery-file", str(folder / f"{file.parent.name}-{file.stem}.recovery")]
    return shlex.join(words)


class Told:
    """Progress on stderr: one line that is drawn anew on a terminal, else a few lines."""

    def __init__(self, verb: str) -> None:
        self._verb, self._said = verb, 0
        self._terminal = sys.stderr.isatty()

    def __call__(self, done: int, of: int, name: str) -> None:
        """So many are done."""
        if self._terminal:
            end = "\n" if done == of else ""
            heard(lambda: print(f"\r  {self._verb} {done} of {of}", end=end, file=sys.stderr))
        elif of >= FEW and done * TOLD // max(1, of) > self._said:
            self._said = done * TOLD // of
            say(f"  {self._verb} {done} of {of}")
