"""What to do about a finding, one step a line: make the value worthless first, then take it away, then keep it out.

No name that comes from what was scanned stands in a command here: what is copied into a shell is ours.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from clawsecrets.model.finding import Kind, Known, Location
from clawsecrets.scan.severity import OUT_OF_SIGHT

BASELINE_DAYS = "90d"

_HISTORY = ("take it out of the history of every branch and tag: `git filter-repo --replace-text FILE`, with the value "
            "in a private FILE outside of the repository; then force-push, and clone anew everywhere. Deleting it in a "
            "new commit, a revert or a squash is no cure: the old commit stays")
_UNREACHED = ("no branch leads there any more, but the object is still in the repository: `git reflog expire "
              "--expire=now --all`, then `git gc --prune=now`, in every clone and on the server")
_BY_KIND = {
    Kind.GIT_MESSAGE: "rewrite the messages: `git filter-repo --replace-message FILE`, with the value in a private "
                      "FILE outside of the repository; then force-push, and clone anew everywhere",
    Kind.GIT_NAME: "it stands in a name: rename the branch or tag, or the file in the whole history "
                   "(`git filter-repo --path-rename OLD:NEW`), then force-push",
    Kind.GIT_CONFIG: "take it out of the repository's own configuration (`git remote set-url` without the credential) "
                     "and let a credential helper keep it",
    Kind.IMAGE_LAYER: "build the image again without it, and delete the old tags and digests wherever they were "
                      "pushed: a file that a later layer deletes is still in the earlier one; use "
                      "`RUN --mount=type=secret`",
    Kind.IMAGE_CONFIG: "build the image again without it (no ARG or ENV for secrets: both stay in the image; use "
                       "`RUN --mount=type=secret`), and delete the old tags and digests wherever they were pushed",
    Kind.IMAGE_ANNOTATION: "build the image again with `--provenance=mode=min` and without it in labels and "
                           "annotations, and delete the old one wherever it was pushed",
    Kind.CONTAINER: "make the container again with the value in a mounted file instead of its environment: whoever "
                    "may inspect it reads it",
    Kind.LOG: "remove it from the log, its rotated copies and wherever logs are collected, and stop what prints it",
    Kind.STDIN: "find where the text that was piped in is kept",
    Kind.FILE: "take it out of the file: deliver it with `clawsecrets inject`, or read it from a variable",
}
_BY_REACH = {
    "index": "it is staged and in no commit yet: take it out of the file, then `git add` it again",
    "stash": "drop the stash: `git stash list`, then `git stash drop`; then `git gc --prune=now`",
}


def advice(fingerprint: str, known: Known | None, live: str, page: str, locations: Sequence[Location],
           importable: str = "", note: str = "") -> tuple[str, ...]:
    """The lines of a finding. `page` is the provider's page for its credentials; `importable` its code where a
    provider file knows it; `note` something about the baseline."""
    return tuple(filter(None, (
        note,
        *_worthless(known, live, page, importable),
        *dict.fromkeys(_away(location) for location in locations),
        "" if known else f"if it is no secret: `clawsecrets baseline add {fingerprint} --reason TEXT "
                         f"--expires {BASELINE_DAYS}`",
    )))


def _worthless(known: Known | None, live: str, page: str, importable: str) -> Iterator[str]:
    """First of all it must not open anything any more."""
    if known is not None:
        yield from _known(known, live)
        return
    if live == "dead":
        yield "the provider refuses it: nothing to rotate"
        return
    at = f" at {page}" if page else ""
    yield f"make a new one and revoke this one{at or ' where it was made'}"
    if importable:
        yield f"or let clawsecrets do it: `clawsecrets set NAME --provider {importable}` (the value on standard " \
              "input), then `clawsecrets rotate NAME --compromised`"


def _known(known: Known, live: str) -> Iterator[str]:
    if not known.live and live != "live":
        yield f"version {known.version} of {known.name} is dead ({known.stage}): nothing to rotate"
    elif known.stage in ("current", "previous", "pending", "refresh"):
        yield f"`clawsecrets rotate {known.name} --compromised`"
    else:
        yield f"its death is owed: `clawsecrets revocations retry {known.name}`"


def _away(location: Location) -> str:
    where = location.provenance
    if where.reachable in OUT_OF_SIGHT:
        return _UNREACHED
    return _BY_REACH.get(where.reachable) or _BY_KIND.get(where.kind, _HISTORY)


def kinds(locations: Iterable[Location]) -> list[Location]:
    """One location of each kind and reach: enough to say what must be done."""
    return list({(item.provenance.kind, item.provenance.reachable): item for item in locations}.values())
