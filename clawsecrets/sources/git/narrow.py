"""Less than everything: which objects stand in the commits that were asked for. Git itself lists them."""

from __future__ import annotations

import re
from dataclasses import dataclass

from clawsecrets.clients.git import Git, GitFailed, GitWaits
from clawsecrets.errors import UsageError
from clawsecrets.sources.git.layout import Layout

_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}([T ][0-9]{2}:[0-9]{2}(:[0-9]{2})?(Z|[+-][0-9]{2}:?[0-9]{2})?)?")
_AGO = re.compile(r"([0-9]{1,5}) ?(?:(d|w|h)|(day|week|month|year|hour)s?(?: ago)?)")
_UNITS = {"d": "days", "w": "weeks", "h": "hours"}
_OBJECTS = ("rev-list", "--objects", "--missing=print", "--stdin")


@dataclass(frozen=True)
class Narrow:
    """What was asked for; empty = everything. They exclude each other."""

    since: str = ""
    """A revision (what is reachable now and was not from it) or a date (`2026-01-31`, `30d`, `2 weeks ago`)."""
    commits: str = ""
    """A range, `A..B`; with zeros as A, what B has and no ref has (a pre-receive hook is told so)."""
    branch: str = ""
    no_history: bool = False
    """Only the tree of HEAD and what is staged."""

    def __bool__(self) -> bool:
        return bool(self.since or self.commits or self.branch or self.no_history)

    def __post_init__(self) -> None:
        if sum(map(bool, (self.since, self.commits, self.branch, self.no_history))) > 1:
            raise UsageError("--since, --commits, --branch and --no-history exclude each other")

    def words(self) -> str:
        """For the coverage."""
        said = (("since ", self.since), ("commits ", self.commits), ("branch ", self.branch))
        return next((word + value for word, value in said if value), "HEAD and index" if self.no_history else "")


def wanted(narrow: Narrow, layout: Layout) -> set[bytes]:
    """The ids of all objects asked for, also of those that are missing. UsageError for a revision that is not there,
    Incomplete when git fails."""
    git = Git(layout.gitdir, layout.top)
    if narrow.no_history:
        return _present(git)
    if narrow.branch:
        tip = _resolved(git, f"refs/heads/{narrow.branch}") or _resolved(git, f"refs/remotes/{narrow.branch}")
        if not tip:
            raise UsageError(f"there is no branch {narrow.branch!r}", "`git branch --all` lists them")
        return _listed(git, [tip])
    if narrow.commits:
        first, dots, last = narrow.commits.partition("..")
        if not dots or last.startswith("."):
            raise UsageError("--commits takes a range: A..B")
        if first and not first.strip("0"):  # a hook's word for "there was nothing": all that no ref has yet
            return _listed(git, [_must(git, last)], "--not", "--all")
        return _listed(git, ["^" + _must(git, first or "HEAD"), _must(git, last or "HEAD")])
    tip = _resolved(git, narrow.since)
    every = ["--all", "--reflog"]
    if tip:
        return _listed(git, ["^" + tip], *every)
    ago = _AGO.fullmatch(narrow.since)
    if ago:
        return _listed(git, [], f"--since={ago[1]}.{_UNITS.get(ago[2], f'{ago[3]}s')}.ago", *every)
    if _DATE.fullmatch(narrow.since):
        return _listed(git, [], f"--since={narrow.since}", *every)
    raise UsageError(f"{narrow.since!r} is neither a revision that is here nor a date",
                     "dates look like 2026-01-31, 30d or '2 weeks ago'")


def _must(git: Git, name: str) -> str:
    found = _resolved(git, name)
    if not found:
        raise UsageError(f"there is no revision {name!r} here", "a shallow clone has only the newest ones")
    return found


def _resolved(git: Git, name: str) -> str:
    """The commit of a revision; empty when there is none. GitWaits."""
    try:
        return git.run("rev-parse", "--verify", "--quiet", "--end-of-options", name + "^{commit}").decode().strip()
    except GitWaits:
        raise
    except GitFailed:
        return ""


def _listed(git: Git, tips: list[str], *options: str) -> set[bytes]:
    out = git.run(*_OBJECTS, *options, given="".join(tip + "\n" for tip in tips).encode())
    lines = (line.removeprefix(b"?") for line in out.split(b"\n") if line)  # "?": it is missing
    return {bytes.fromhex(line.partition(b" ")[0].decode()) for line in lines}


def _present(git: Git) -> set[bytes]:
    tip = _resolved(git, "HEAD")
    found = _listed(git, [tip], "--no-walk") if tip else set()
    for entry in git.run("ls-files", "--stage", "-z").split(b"\0"):
        mode, _, rest = entry.partition(b" ")
        if rest and mode != b"160000":
            found.add(bytes.fromhex(rest.partition(b" ")[0].decode()))
    return found
