"""What an error of a scan repeats of what was typed, or of a file of rules: nothing that is, or looks like, a secret.

A token that was typed in the place of a path or a revision would stand in a CI server's log for ever.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterator, Sequence

from clawsecrets.errors import ClawError

COMMANDS = ("scan", "rules", "baseline", "fingerprints")
"""Whose words are looked at: what they are given is where credentials are looked for."""
_PIECE = re.compile(r"[A-Za-z0-9_+-]{12,}")
_CLASSES = re.compile(r"[A-Z]+|[a-z]+|[0-9]+")
_SHORTEST = 20
_BITS = 3.0


def hushed(error: ClawError, argv: Sequence[str]) -> tuple[str, str]:
    """Message and hint of an error of `clawsecrets ARGV`, as they may be shown."""
    if argv[:1] and argv[0] in COMMANDS:
        return quiet(error.message, argv[1:]), quiet(error.hint, argv[1:])
    return error.message, error.hint


def quiet(text: str, typed: Sequence[str]) -> str:
    """The text as it may be shown, where these words were typed."""
    if not (pieces := list(_pieces((*typed, text)))):
        return text
    from clawsecrets.scan.mask import mask
    from clawsecrets.scan.scrub import Scrubber

    values = {piece.encode(): mask(piece.encode()) for piece in _pieces(typed) if looks_random(piece)}
    try:
        values |= _by_rules((*typed, text))
    except (ClawError, OSError):  # the rules cannot be had: nothing is shown that could be a value
        values |= {piece.encode(): mask(piece.encode()) for piece in pieces}
    return Scrubber(values.items()).text(text)


def _pieces(texts: Sequence[str]) -> Iterator[str]:
    """What of them is long enough for a credential, and not of letters alone."""
    for text in texts:
        yield from (piece for piece in _PIECE.findall(text.encode("utf-8", "replace").decode())
                    if not piece.replace("-", "").replace("_", "").isalpha())


def looks_random(piece: str) -> bool:
    """Whether no person wrote it: upper case, lower case and digits change at every turn."""
    runs = len(_CLASSES.findall(piece))
    counts = Counter(piece).values()
    bits = -sum(n / len(piece) * math.log2(n / len(piece)) for n in counts)
    return len(piece) >= _SHORTEST and runs >= len(piece) / 4 and bits >= _BITS


def _by_rules(texts: Sequence[str]) -> dict[bytes, str]:
    """The values in them that the rules know, whatever their confidence, each with its mask. ClawError, OSError."""
    from clawsecrets.config.paths import find_paths
    from clawsecrets.scan.shown import hidden, masks
    from clawsecrets.wiring.rules import load_ruleset
    from clawsecrets.wiring.scanning import Scan

    inspector = Scan.plain(load_ruleset(find_paths("")))
    return masks(hidden(inspector, texts))
