"""What an error repeats of what was typed, or a scan's of a file of rules: nothing that is, or looks like, a secret.

A token that was typed in the place of a path or a revision would stand in a CI server's log for ever.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterator, Sequence

from clawsecrets.errors import ClawError

COMMANDS = ("scan", "rules", "baseline", "fingerprints")
"""Whose errors are looked at as a whole, not only for what was typed: they tell of where credentials are looked for."""
_PIECE = re.compile(r"[A-Za-z0-9_+-]{12,}")
_CLASSES = re.compile(r"[A-Z]+|[a-z]+|[0-9]+")
_PLAIN = re.compile(r"(?:[A-Za-z]{0,20}[0-9]{0,8}[_+-]+)*[A-Za-z]{0,20}[0-9]{0,8}")
"""Words, numbers and dates, as people name files: no reason to wait for the rules, which takes seconds once."""
_WORD = re.compile(r"(?<![A-Za-z0-9])(?:[A-Z]?[a-z]{5,}|[A-Z]{6,})(?:[_+-]|$)")
_SHORTEST = 20
_BITS = 3.0


def hushed(error: ClawError, argv: Sequence[str]) -> tuple[str, str]:
    """Message and hint of an error of `clawsecrets ARGV`, as they may be shown."""
    whole = bool(argv) and argv[0] in COMMANDS
    return quiet(error.message, argv, whole=whole), quiet(error.hint, argv, whole=whole)


def quiet(text: str, typed: Sequence[str], *, whole: bool = True) -> str:
    """The text as it may be shown, where these words were typed. Not `whole`: it is looked at for these words only."""
    looked = (*typed, text) if whole else [word for word in typed if _doubtful(word, text)]
    if not (pieces := list(_pieces(looked))):
        return text
    from clawsecrets.scan.mask import mask
    from clawsecrets.scan.scrub import Scrubber

    values = {piece.encode(): mask(piece.encode()) for piece in _pieces(typed) if looks_random(piece)}
    try:
        values |= _by_rules(looked)
    except (ClawError, OSError):  # the rules cannot be had: nothing is shown that could be a value
        values |= {piece.encode(): mask(piece.encode()) for piece in pieces}
    return Scrubber(values.items()).text(text)


def _pieces(texts: Sequence[str]) -> Iterator[str]:
    """What of them is long enough for a credential, and not of letters alone."""
    for text in texts:
        yield from (piece for piece in _PIECE.findall(text.encode("utf-8", "replace").decode())
                    if not piece.replace("-", "").replace("_", "").isalpha())


def _doubtful(word: str, text: str) -> bool:
    """Whether the text repeats what may be a credential of this word."""
    return any(piece in text and not _PLAIN.fullmatch(piece) for piece in _pieces((word,)))


def looks_random(piece: str) -> bool:
    """Whether no person wrote it: upper case, lower case and digits change at every turn. Words in it do not count: a
    folder of a program has its name, and a few characters by chance."""
    piece = _WORD.sub("", piece)
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
