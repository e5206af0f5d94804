"""What a leak scan looks for, where it looked, and what it found. Pure.

The nouns: a source yields `Content`, each at a `Place`; the detector gives a `Match` for each hit (it holds the
secret); filters drop or keep it; what is reported is a `Finding`, which holds **no secret**: a mask, a fingerprint and
where it was seen (`Provenance`). What could not be looked at is a `Skipped`, and `Coverage` says what was looked at.

All of them are tuples: a data class costs a hook a millisecond each to define.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from types import MappingProxyType
from typing import BinaryIO, NamedTuple

from clawsecrets.model.spot import Spot
from clawsecrets.model.value import SecretValue

CONFIDENCES = ("high", "medium", "low")


class Kind(StrEnum):
    """What kind of thing a finding stands in."""

    FILE = "file"
    GIT_BLOB = "git-blob"
    GIT_MESSAGE = "git-message"
    """The text of a commit, tag or note, identities included."""
    GIT_NAME = "git-name"
    """A file name in a tree, or the name of a ref."""
    GIT_CONFIG = "git-config"
    """.git/config, hooks, and other files of the repository's own folder."""
    IMAGE_LAYER = "image-layer"
    IMAGE_CONFIG = "image-config"
    """The image's configuration: Env, Labels, Cmd … and `history`."""
    IMAGE_ANNOTATION = "image-annotation"
    """Annotations, attestations, and other blobs of an image that are no layer."""
    CONTAINER = "container"
    """`docker inspect` of a container: environment, arguments, labels."""
    LOG = "log"
    STDIN = "stdin"


class Rule(NamedTuple):
    """One detection rule, as the detector uses it (made from a `[[detect]]` table; see `Detect`)."""

    id: str
    provider: str
    """Code of the provider it belongs to: a file of providers/, or a word of config/detect/."""
    name: str
    """What it finds, for people: "GitHub personal access token"."""
    pattern: str
    """Linear-time expression; group 1 is the secret, or the whole match without a group."""
    confidence: str = "high"
    entropy: float = 0.0
    """Least Shannon entropy, bits a character; 0 = not asked."""
    near: tuple[str, ...] = ()
    """Words one of which must name the value: then `pattern` is the value alone, and the detector builds the whole
    expression (name, separator, value)."""
    checksum: str = ""
    """The checksum that the format carries, by the name of its algorithm (scan/checksums.py)."""
    examples: tuple[str, ...] = ()
    negative: tuple[str, ...] = ()
    page: str | None = None
    """Where the provider's credentials are kept, as its file says (empty: it does not); None: it has no file."""


class Place(NamedTuple):
    """Where content stands, in the words of its source: cheap to make, resolved to `Provenance` for findings only."""

    kind: Kind
    key: str
    """What the source knows it by: a path, an object id, a layer's digest."""
    path: str = ""
    """Path inside of it, relative to what was scanned; members of archives are appended with `!/`."""


class Content(NamedTuple):
    """Bytes to look at.

    `fresh`: only these ranges (ascending, disjoint; context included) can hold what was not in content `base`, which
    the same worker was given before; None = all of it. The detector looks at all of it when `base` had findings.
    `offset`, `line`: where `data` begins in the whole (pieces of something large): bytes before it, and newlines
    before it. `column`: bytes between the last newline before `data` and `data`. `overlap`: so many bytes at the
    beginning of `data` stood in the piece before as well: a match that ends inside of them was reported already.
    `whole`: on the first piece, opens all of it for reading (it may be an archive); `seekable()` says if it can seek.
    """

    data: bytes
    place: Place
    id: int = 0
    """Unlike 0: known to later content as `base`."""
    base: int = 0
    fresh: Sequence[tuple[int, int]] | None = None
    offset: int = 0
    line: int = 0
    column: int = 0
    overlap: int = 0
    whole: Callable[[], BinaryIO] | None = None
    spots: Sequence[Spot] = ()
    """Where all its secrets stand, when an earlier scan under the same rules has told that."""


class Match(NamedTuple):
    """One hit, with the secret in it: never leaves the scan."""

    rule: Rule
    place: Place
    secret: SecretValue
    start_line: int
    end_line: int
    start_column: int
    """Columns and lines count from 1; a column is a byte of its line."""
    encoding: str = "plain"
    """`plain`, or how it was wrapped, outermost first: `base64`, `base64+gzip`, `utf-16le`, …"""
    prefix: str = ""
    """The public prefix of the format (`ghp_`): the only part of the value that a mask may show from its front."""
    known: Known | None = None


class Known(NamedTuple):
    """The value is one of the store's."""

    name: str
    version: int
    stage: str
    live: bool
    """Whether it may still be accepted: pending, current, previous, or retired and not proven dead."""


class Dropped(NamedTuple):
    """Why a candidate was not reported (`--explain`). Holds no secret."""

    rule: str
    place: Place
    line: int
    reason: str
    masked: str


class Skipped(NamedTuple):
    """Something that was asked for and could not be looked at: the scan is incomplete, unless `by_choice`."""

    what: str
    """The place in words: a path, an object id, a ref, a layer."""
    reason: str
    by_choice: bool = False
    """Left out because the operator said so (a filter, a limit that was set): told, but no fault."""


class Provenance(NamedTuple):
    """Where and how one match can be reached. Fields that do not apply are empty."""

    kind: Kind
    path: str = ""
    commit: str = ""
    """The first commit that has it."""
    author: str = ""
    date: str = ""
    """RFC 3339."""
    message: str = ""
    """First line of the commit's message, cut at 120 characters and without the values that were found."""
    reachable: str = ""
    """branch, tag, stash, notes, remote, pull, index, reflog (only), dangling."""
    refs: tuple[str, ...] = ()
    """Names of refs that reach it, the most telling first, at most 10."""
    image: str = ""
    platform: str = ""
    layer: str = ""
    """diffID of the layer."""
    instruction: str = ""
    """What made the layer, without the values that were found."""
    container: str = ""


class Location(NamedTuple):
    """One place of a finding: line and column, and how it can be reached."""

    provenance: Provenance
    start_line: int
    end_line: int
    start_column: int
    encoding: str = "plain"


class Finding(NamedTuple):
    """One leaked value under one rule, with every place it stands in. Holds no secret."""

    rule: str
    rule_name: str
    provider: str
    confidence: str
    masked: str
    length: int
    fingerprint: str
    severity: str
    """critical, high, medium, low."""
    locations: tuple[Location, ...]
    """At least one; the most telling first (plain before encoded, reachable before dangling)."""
    known: Known | None = None
    live: str = ""
    """What `--verify` found: live, dead, unknown; empty when it was not asked."""
    live_detail: str = ""
    baseline: str = ""
    """The reason that the baseline gives; empty when it is not in it."""
    next: tuple[str, ...] = ()
    """What to do, a command or a sentence a line."""


class Coverage(NamedTuple):
    """What was looked at. Counts add up over sources and workers."""

    sources: tuple[str, ...] = ()
    """What was scanned, in words: `git /srv/app`, `image app:latest`."""
    objects: int = 0
    """Contents looked at: blobs, messages, files, members."""
    bytes: int = 0
    """Their size, uncompressed."""
    cached: int = 0
    """Contents left out because an earlier scan has looked at them under the same rules: they were clean, or what it
    found is said again."""
    refs: int = 0
    commits: int = 0
    layers: int = 0
    shallow: bool = False
    skipped: tuple[Skipped, ...] = ()

    @property
    def complete(self) -> bool:
        """Whether all that was asked for was looked at."""
        return not self.shallow and all(item.by_choice for item in self.skipped)

    def plus(self, other: Coverage) -> Coverage:
        """Both together."""
        return Coverage(
            (*self.sources, *(s for s in other.sources if s not in self.sources)), self.objects + other.objects,
            self.bytes + other.bytes, self.cached + other.cached, self.refs + other.refs,
            self.commits + other.commits, self.layers + other.layers, self.shallow or other.shallow,
            (*self.skipped, *other.skipped),
        )


class Drawn(NamedTuple):
    """Findings as text."""

    by: str
    """A hash of the code that drew them."""
    findings: bytes
    baselined: bytes


class Report(NamedTuple):
    """Everything that a reporter writes."""

    findings: Sequence[Finding]
    """Those that count; the most urgent first."""
    coverage: Coverage
    baselined: Sequence[Finding] = ()
    dropped: tuple[Dropped, ...] = ()
    """With `--explain`."""
    rules: Mapping[str, Rule] = MappingProxyType({})
    """The rules of the findings, by id."""
    stats: Mapping[str, float] = MappingProxyType({})
    """`seconds`, `rules` …"""
    interrupted: bool = False
    drawn: Drawn | None = None
    """Both as the JSON report has them, where that is at hand."""

    @property
    def complete(self) -> bool:
        """Whether all that was asked for was looked at."""
        return self.coverage.complete and not self.interrupted
