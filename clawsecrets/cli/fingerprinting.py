"""fingerprints export: an index of the store's values for scans elsewhere, without the values; and the public key of
the cache of what was clean."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from clawsecrets.cli.output import destination, say
from clawsecrets.cli.own import require_indexed
from clawsecrets.cli.session import Session, command, group
from clawsecrets.errors import UsageError
from clawsecrets.wiring.knowing import export_index


def register(app: typer.Typer) -> None:
    """Add this file's commands."""
    made = group(app, "fingerprints", "An index that finds the store's values without holding them.", about)
    command(made, "export")(export)
    command(made, "cache-key")(cache_key)


def about(session: Session) -> None:
    """Say what there is."""
    raise UsageError("what to do with fingerprints?", "clawsecrets fingerprints export writes the index; "
                     "clawsecrets scan --fingerprints FILE uses it")


def cache_key(session: Session) -> None:
    """Print the public key that belongs to CLAWSECRETS_CACHE_KEY, for jobs that may read the scan's cache and not
    write it."""
    from clawsecrets.wiring.caching import public_cache_key

    print(public_cache_key(os.environ))


def export(
    session: Session,
    output: Annotated[str, typer.Option("--output", "-o", metavar="FILE", help="A new file (0600); by default standard "
                                        "output (-).")] = "",
    names: Annotated[list[str] | None, typer.Option("--name", metavar="NAME", help="Only this secret; may be given "
                                                    "again.")] = None,
) -> None:
    """Write an index of the store's values for `scan --fingerprints`, with a random key of its own.

    The index is confidential: it tells names, lengths and which of them are live, and whoever holds it can check a
    guess. Keep it as a secret of the CI. Values that could be guessed are left out, and listed; clawsecrets' own
    records (adoptions, addresses of notices) are no part of it.
    """
    output = destination(output)
    if not output and sys.stdout.isatty():
        raise UsageError("the index is confidential: it is not written to a terminal", "name a file with --output FILE")
    if names:
        require_indexed(session, session.known(names))
    made = export_index(session.store, names or None, session.shop.own)
    session.store.log(session.event("fingerprints.exported", count=str(made.count)))
    if output:
        from clawsecrets.wiring.stores import write_new

        write_new(Path(output), made.text.encode())
    else:
        sys.stdout.write(made.text)
    for line in made.left_out:
        say(line)
    say(f"{made.count} value{'' if made.count == 1 else 's'} in the index"
        + (f", {len(made.left_out)} left out" if made.left_out else ""))
