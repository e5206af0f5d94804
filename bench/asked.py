"""What was asked for on the command line of a bench, held against what there is."""

from __future__ import annotations

import sys
from collections.abc import Collection, Sequence

EXIT_USAGE = 2


def answered(words: Sequence[str], known: Collection[str], what: str, usage: str) -> int | None:
    """Exit code where there is nothing to run: 0 after the usage (--help), 2 after one line on stderr for a word that
    names no `what`. None where every word is known."""
    if any(word in ("-h", "--help") for word in words):
        print(usage.strip())
        return 0
    wrong = next((word for word in words if word not in known), None)
    if wrong is None:
        return None
    print(f"there is no {what} {wrong!r}; there are: {', '.join(known)}", file=sys.stderr)
    return EXIT_USAGE
