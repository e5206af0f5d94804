"""The words of `clawsecrets scan`: one table, read by typer (help, errors, completion) and by a parser of a few lines.

A pre-commit hook must answer in a tenth of a second, and typer alone takes longer: what can be understood here goes
straight to the scan; what cannot is given to typer, which knows how to say why.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

KINDS: Mapping[str, str] = {
    "git": "The history of a repository: every object in it, reachable or not. By default the folder here.",
    "image": "Container images: names in the engine, archives (`docker save`, OCI), OCI folders, docker://, podman://, "
             "or registry references.",
    "path": "Files and folders as they stand, ignored by git or not.",
    "host": "This host: env files, shell histories, credentials of tools, OpenClaw's state, containers' environments "
            "and logs.",
    "stdin": "Standard input.",
}
HERE = "What stands here: the repository with its history, the working tree, and the images of compose files."
FORMATS = ("text", "json", "sarif", "junit", "github", "gitlab", "codequality", "html")
CONFIDENCES = ("high", "medium", "low")
TAKES = {"git": (0, 1), "image": (1, 64), "path": (0, 64), "host": (0, 0), "stdin": (0, 0), "": (0, 0)}
"""How many things each kind may name."""


class Option(NamedTuple):
    """One option. `metavar` empty: a flag. `many`: may be given again. `only`: the kinds that have it (empty: all)."""

    name: str
    help: str
    metavar: str = ""
    short: str = ""
    many: bool = False
    only: tuple[str, ...] = ()
    among: tuple[str, ...] = ()


OPTIONS: tuple[Option, ...] = (
    Option("format", f"How to report: {', '.join(FORMATS)}.", "FORMAT", "-f", among=FORMATS),
    Option("json", "The same as --format json."),
    Option("output", "Write the report to a file instead of standard output (-).", "FILE", "-o"),
    Option("confidence", "Report findings of at least this confidence: high, medium (the default), low.", "LEVEL",
           among=CONFIDENCES),
    Option("baseline", "File of findings that were judged before; by default .clawsecrets-baseline where the scan "
           "looks.", "FILE"),
    Option("no-baseline", "Read no baseline."),
    Option("rules", "More rules of your own: a file of `detect` tables.", "FILE", many=True),
    Option("known", "Look for the store's own values as well, whatever they look like."),
    Option("fingerprints", "Look for the values of an index that `fingerprints export` wrote.", "FILE"),
    Option("verify", "Ask the providers whether what was found is live: sends each value to its own provider only."),
    Option("force-verify", "With --verify, in the CI job of a pull request too."),
    Option("explain", "Tell what was seen and not reported, and why."),
    Option("allow-incomplete", "Do not fail because something could not be looked at."),
    Option("trust-inline-allow", "Honour `clawsecrets:allow` and `gitleaks:allow` comments in what is scanned."),
    Option("no-cache", "Look at everything again, also what was clean under these rules before."),
    Option("workers", "Processes to use; by default one for each core.", "N"),
    Option("since", "Only what came after a revision, or a date (2026-01-31).", "REV", only=("git",)),
    Option("commits", "Only what the commits of a range brought.", "A..B", only=("git",)),
    Option("branch", "Only the history of one branch.", "NAME", only=("git",)),
    Option("staged", "Only what is staged for the next commit.", only=("git",)),
    Option("no-history", "Only the newest commit and the index.", only=("git",)),
    Option("trust-alternates", "Read object folders outside of the repository that it names as alternates.",
           only=("git",)),
    Option("trust-owner", "Read a repository that belongs to somebody else.", only=("git", "")),
    Option("no-ignored", "Leave out what git ignores.", only=("path", "")),
    Option("store", "Another store than the configuration's, for --known.", "URL"),
    Option("config", "Another configuration file.", "FILE"),
    Option("accept-older", "Open a store that is older than one seen here before: you put it back on purpose."),
    Option("verbose", "Say more on the way.", short="-v"),
)


class Words(NamedTuple):
    """What was asked for."""

    kind: str
    what: tuple[str, ...]
    options: Mapping[str, str | bool | tuple[str, ...]]

    def flag(self, name: str) -> bool:
        """Whether a flag was given."""
        return bool(self.options.get(name))

    def text(self, name: str) -> str:
        """An option's value; empty when it was not given."""
        value = self.options.get(name, "")
        return value if isinstance(value, str) else ""

    def texts(self, name: str) -> tuple[str, ...]:
        """The values of an option that may be given again."""
        value = self.options.get(name, ())
        return value if isinstance(value, tuple) else ()


def options_of(kind: str) -> list[Option]:
    """The options that a kind has."""
    return [option for option in OPTIONS if not option.only or kind in option.only]


def belongs(command: str, typed: str) -> tuple[str, str] | None:
    """What to say of an option that the command (`clawsecrets scan path`) does not have and another kind has: message
    and hint. None: no kind has it."""
    words = command.split()[1:]
    option = next((one for one in OPTIONS if one.only and typed == f"--{one.name}"), None)
    if words[:1] != ["scan"] or option is None or (words[1] if len(words) > 1 else "") in option.only:
        return None
    having = [f"clawsecrets scan {kind}".rstrip() for kind in option.only]
    shown = f"{having[0]} --{option.name} {option.metavar}".rstrip()
    return f"--{option.name} belongs to {' and '.join(f'`{name}`' for name in having)}", f"write it there: {shown}"


def understood(argv: Sequence[str]) -> Words | None:
    """The words after `scan`, or None: typer shall say what is wrong, or help."""
    kind, rest = (argv[0], argv[1:]) if argv and argv[0] in KINDS else ("", argv)
    known = {f"--{option.name}": option for option in options_of(kind)}
    known |= {option.short: option for option in known.values() if option.short}
    what: list[str] = []
    given: dict[str, str | bool | tuple[str, ...]] = {}
    words = list(reversed(rest))
    while words:
        word = words.pop()
        if not word.startswith("-") or word == "-":
            what.append(word)
            continue
        name, equals, value = word.partition("=") if word.startswith("--") else (word, "", "")
        option = known.get(name)
        if option is None or (equals and not option.metavar) or (option.metavar and not equals and not words):
            return None
        if option.metavar and not equals:
            value = words.pop()
        if not _put(given, option, value):
            return None
    least, most = TAKES[kind]
    return Words(kind, tuple(what), given) if least <= len(what) <= most else None


def _put(given: dict[str, str | bool | tuple[str, ...]], option: Option, value: str) -> bool:
    """Remember an option's value; False when it cannot be."""
    if not option.metavar:
        given[option.name] = True
    elif option.many:
        before = given.get(option.name, ())
        given[option.name] = (*(before if isinstance(before, tuple) else ()), value)
    else:
        given[option.name] = value
    return bool(value or not option.metavar) and (not option.among or value in option.among)
