"""All rules of a scan, and the Hyperscan database of their expressions."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from functools import cached_property
from itertools import pairwise

import hyperscan

from clawsecrets.errors import ConfigError
from clawsecrets.model.expression import expression
from clawsecrets.model.finding import Rule
from clawsecrets.scan import gates
from clawsecrets.scan.exact import Exact
from clawsecrets.scan.shape import candidate, prefix_pattern, reach

GENERIC = "generic"
"""The provider of rules that belong to none: what they find has no public prefix, and gives way to other rules."""


class Ruleset:
    """Rules, compiled. Their order is that of their ids, and an index in it is what Hyperscan reports.

    `made`, `compiled`, `hashed` and `shapes` are what an earlier `facts()`, `serialized` and `hash`, and the gate, gave
    (see scan/compiled.py); without them they are made, which takes seconds. ConfigError names a rule that Hyperscan
    cannot run.
    """

    def __init__(self, rules: Sequence[Rule], code: str = "", *, made: Sequence[tuple[str, int, str]] = (),
                 compiled: bytes = b"", hashed: str = "", shapes: Sequence[bytes] = ()) -> None:
        self.rules = tuple(sorted(rules, key=lambda rule: rule.id))
        self._made = tuple(made) or tuple(_facts(rule) for rule in self.rules)
        self._serialized, self._hashed = compiled, hashed
        self.code = code
        gates.use(shapes)
        self._exact: dict[int, Exact] = {}
        self._prefixes: dict[int, re.Pattern[bytes]] = {}
        if not made:
            _refuse_doubles(self.rules)

    @cached_property
    def hash(self) -> str:
        """Of every rule and of the code that judges what they find: content found clean under it need not be looked
        at again. 32 hex digits."""
        if self._hashed:
            return self._hashed
        text = repr([(r.id, r.provider, r.name, r.pattern, r.confidence, r.entropy, r.near, r.checksum)
                     for r in self.rules])
        return hashlib.blake2b(f"{self.code}\0{text}".encode(), digest_size=16).hexdigest()

    @cached_property
    def by_id(self) -> dict[str, Rule]:
        """Rules by their id."""
        return {rule.id: rule for rule in self.rules}

    def facts(self) -> tuple[tuple[str, int, str], ...]:
        """Of each rule: its whole expression, the length of its longest match, the expression of its prefix."""
        return self._made

    @cached_property
    def serialized(self) -> bytes:
        """The database, as Hyperscan writes it."""
        return self._serialized or bytes(hyperscan.dumpb(self.database))

    @cached_property
    def database(self) -> hyperscan.Database:
        """The block-mode database. An index in `rules` is what it reports. ValueError for serialized bytes that are
        none of this Hyperscan's; ConfigError for a rule that it cannot run."""
        if not self._serialized:
            return _compile(self.rules, [candidate(expression) for expression, _, _ in self._made])
        try:
            return hyperscan.loadb(self._serialized, hyperscan.HS_MODE_BLOCK)
        except hyperscan.HyperscanError as error:
            fault = f"no database of this Hyperscan: {error}"
        raise ValueError(fault)

    def exact(self, index: int) -> Exact:
        """The exact expression of a rule, on bytes; compiled when it is first needed."""
        found = self._exact.get(index)
        if found is None:
            text, reach, _ = self._made[index]
            found = self._exact[index] = Exact(text, reach)
        return found

    def prefix(self, index: int, value: bytes) -> str:
        """The public prefix that a value of the rule begins with."""
        text = self._made[index][2]
        if not text:
            return ""
        pattern = self._prefixes.get(index)
        if pattern is None:
            pattern = self._prefixes[index] = re.compile(text.encode())
        found = pattern.match(value)
        return found.group()[:16].decode("latin-1") if found else ""


def _facts(rule: Rule) -> tuple[str, int, str]:
    whole = expression(rule.pattern, rule.near)
    return whole, reach(whole), "" if rule.provider == GENERIC else prefix_pattern(rule.pattern)


def _refuse_doubles(rules: Sequence[Rule]) -> None:
    for one, other in pairwise(rules):
        if one.id == other.id:
            raise ConfigError(f"two detection rules are called {one.id!r}", "give one of them another id")


def _compile(rules: Sequence[Rule], expressions: Sequence[str]) -> hyperscan.Database:
    database = hyperscan.Database()
    try:
        _into(database, expressions)
    except hyperscan.HyperscanError:
        pass
    else:
        return database
    for rule, text in zip(rules, expressions, strict=True):
        if fault := hyperscan_fault(text):
            raise ConfigError(f"rule {rule.id!r} of {rule.provider}: Hyperscan cannot run its pattern: {fault}",
                              "write it with fewer or smaller repeats")
    raise ConfigError("Hyperscan cannot run all detection rules together", "give fewer rules of your own")


def hyperscan_fault(text: str) -> str:
    """Why Hyperscan cannot run an expression; empty when it can."""
    try:
        _into(hyperscan.Database(), [text])
    except hyperscan.HyperscanError as error:
        return str(error)
    return ""


def _into(database: hyperscan.Database, expressions: Sequence[str]) -> None:
    database.compile(expressions=[text.encode() for text in expressions], ids=list(range(len(expressions))),
                     elements=len(expressions), flags=0)
