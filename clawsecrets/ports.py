"""The ports: what the engine may ask of the outside. A scan's are in scan_ports.py; what only
some stores can, in store_ports.py.

Adapters state conformance next to their class.
All times are Unix seconds. No method logs or raises a secret value. `Reply` is all that an effect answers; an
adapter turns every library error into a Reply (effects) or an errors.ClawError (stores) at its own edge.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

from clawsecrets.errors import StoreError
from clawsecrets.model.audit import AuditEvent, ChainedEvent
from clawsecrets.model.notice import Notice
from clawsecrets.model.record import Record
from clawsecrets.model.rotation import Outcome
from clawsecrets.model.secret import SecretValue, Version
from clawsecrets.model.shadow import Looked, Sought


@dataclass(frozen=True, slots=True)
class Reply:
    """The answer of an effect. `detail` is one line for people, without any value."""

    outcome: Outcome
    detail: str = ""
    value: SecretValue | None = None
    """create, recover, refresh: the new value."""
    handle: str = ""
    """create, recover, test: the provider's id of the credential."""
    identity: str = ""
    """test: who the provider says it is."""
    expires_at: float = 0.0
    proof: str = ""
    """deliver, confirm: what shows it. Empty with OK: done, but not proven (see `Consumer.prove`)."""
    after: float = 0.0
    """LATER: seconds to wait before the next try (0: the engine's own backoff)."""
    person: bool = False
    """LATER: only a person can bring it on; `detail` says how."""
    untestable: bool = False
    """test: the provider has no way to ask; OK or REFUSED mean nothing here."""
    refresh: SecretValue | None = None
    """refresh: the refresh token that came with it, whatever the outcome. It may be the only one that works now."""


# --- the store ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to rotate one secret. `epoch` is the fence: a commit with an old one raises Fenced."""

    name: str
    holder: str
    epoch: int
    ttl: float


@dataclass(frozen=True, slots=True)
class Change:
    """One record's next state. Values of new versions come with it; all of a Change is committed, or none.

    Versions with `erased_at` set lose their value for ever in this commit (the data key is destroyed); erased ones
    that are REVOKED or RETIRED without a ledger entry move to the history. Build on the record that the store gave:
    a commit that would lose a live version, leave one without its value, use a number twice or take `last_number`
    back is a UsageError.
    """

    record: Record
    event: AuditEvent
    values: Mapping[int, SecretValue] = field(default_factory=dict)


Broken = Callable[[str, StoreError], None]
"""Told of a record that cannot be read, with the reason; the others are given all the same."""


class Store(Protocol):
    """Where secrets are kept. The contract suite (tests/contract/store.py) says what each method must hold."""

    def names(self, *, deleted: bool = False, broken: Broken | None = None) -> Sequence[str]:
        """Names in order; with `deleted`, only the soft-deleted ones. StoreDamaged for one whose record cannot be read,
        unless `broken` is told of it."""

    def load(self, name: str) -> Record:
        """The newest record. NotFound, or StoreDamaged."""

    def records(self, *, broken: Broken | None = None) -> Iterable[Record]:
        """Every record that is not deleted, by name; `broken` as for `names`: only who can do without one gives it."""

    def bound(self, target: str, *, broken: Broken | None = None) -> Iterable[Record]:
        """Those of them that are bound to that injector, by name; a distant store reads no others. `broken`: of one
        that cannot be read it is not always known whether it is one of them."""

    def history(self, name: str) -> Sequence[Version]:
        """All versions ever, oldest first, erased ones too."""

    def value(self, name: str, number: int) -> SecretValue:
        """The value of one version. NotFound when it was erased."""

    def values(self, wanted: Sequence[tuple[str, int]]) -> Sequence[SecretValue]:
        """Of several versions (name, number), in that order; a distant store reads them at once. NotFound."""

    def commit(self, changes: Sequence[Change], lease: Lease | None = None,
               lead: Lease | None = None) -> Sequence[Record]:
        """Make changes durable, each with its audit event, and give the records with their new revision.

        One Change is atomic in every store; the embedded one commits them all in one transaction. StaleRecord when
        a record's revision is not the newest (a new record has revision 0); Fenced when the lease, or the one under
        which the work is done at all (`lead`), was taken over.
        Nothing is committed when it raises.
        """

    def purge(self, name: str, event: AuditEvent) -> None:
        """Destroy a soft-deleted secret: record, values and history. The audit log keeps its events, and the lease its
        epoch. UsageError when it is not deleted."""

    def acquire(self, name: str, holder: str, ttl: float) -> Lease:
        """Take the lease, raising the epoch. StoreBusy when a live holder has it (the message names it)."""

    def renew(self, lease: Lease) -> None:
        """Extend it by its ttl. Fenced when it was taken over."""

    def release(self, lease: Lease) -> None:
        """Give it up; does nothing when it was taken over."""

    def fingerprint(self, value: SecretValue) -> str:
        """A keyed hash (16 hex digits) under this store's own key: equal values, equal fingerprints."""

    def log(self, event: AuditEvent) -> None:
        """Append an audit event that belongs to no change (a read with `--reveal`, for example)."""

    def events(self, *, since: int = 0) -> Iterable[ChainedEvent]:
        """Audit events with a number above `since`, in order."""

    def verify_log(self) -> str:
        """Empty when the audit chain is whole, else one line that names the fault."""

    def check(self) -> Sequence[str]:
        """Deep check (every row opened): one line per fault, empty when sound."""

    def close(self) -> None:
        """Release files. The store is not used afterwards."""


# --- the provider's side -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Request:
    """What an issuer is told. `old` is what is being replaced; `admin` the value of the admin credential."""

    secret: str
    label: str
    """The label of this round (the rotation's id and a number): the credential at the provider carries it."""
    old: SecretValue | None = None
    old_handle: str = ""
    admin: SecretValue | None = None
    options: Mapping[str, str] = field(default_factory=dict)
    supplied: SecretValue | None = None
    """The value a person gave (assisted)."""
    refresh: SecretValue | None = None
    """The refresh token (strategy refresh)."""


@dataclass(frozen=True, slots=True)
class Listed:
    """A credential that the provider lists."""

    handle: str
    label: str


class Issuer(Protocol):
    """Makes, tests, finds and kills credentials of one provider."""

    def can(self, operation: str) -> bool:
        """Whether `create`, `test`, `revoke`, `list` or `recover` can be done without a person."""

    def create(self, request: Request) -> Reply:
        """A new credential that carries `request.label`. OK holds its value (and handle). Not idempotent."""

    def recover(self, request: Request) -> Reply:
        """Cut-over: read back the value that a lost CREATE made. REFUSED: it can't be, but create is safe to
        repeat."""

    def recreate(self, request: Request) -> Reply:
        """Cut-over: create again although the old one is dead; REFUSED where the old one would authenticate it."""

    def test(self, value: SecretValue, request: Request) -> Reply:
        """Is `value` accepted? OK yes, REFUSED no; LATER and UNKNOWN: cannot tell now."""

    def revoke(self, handle: str, value: SecretValue | None, request: Request) -> Reply:
        """Kill one credential. Idempotent: already gone is OK."""

    def find(self, request: Request) -> tuple[Reply, Sequence[Listed]]:
        """Those that carry `request.label`. OK with an empty list = there are none for certain."""

    def explain(self, request: Request) -> Sequence[str]:
        """The steps a person must take, in order, with the URL (assisted)."""

    def describe(self, operation: str, request: Request) -> str:
        """One line for `--dry-run`: METHOD and URL, without any value."""


class Refresher(Protocol):
    """Exchanges a refresh token (strategy refresh). `request.refresh` is the one to use."""

    def refresh(self, request: Request) -> Reply:
        """Exchange it for the next value and the next refresh token; one request, never repeated here. Not idempotent.

        REFUSED: the provider does not accept this refresh token, a person must authorize anew (`detail` says how).
        LATER: nothing happened to it. UNKNOWN: it may be spent.
        """

    def ask_again(self, request: Request) -> Reply:
        """May the refresh token be used once more after a lost answer? OK: yes. REFUSED: it may be spent, and a second
        use could end everything that was made with it; `detail` says what a person does. Does not use it."""

    def reauthorize(self, request: Request) -> Reply:
        """The new refresh token of a person: OK holds it as `refresh`; LATER asks for it. Sends nothing."""


class Slots(Protocol):
    """Knows the two fixed slots of a credential (strategy alternate). A handle is the name of a slot."""

    def locate(self, request: Request) -> Reply:
        """Which slot holds `request.old`? OK with it as `handle`; REFUSED: none does. Changes nothing."""

    def idle(self, request: Request) -> Reply:
        """The slot that `request.old_handle` is not: OK with it as `handle`. REFUSED: somebody is seen using it, or
        there is no such slot. Changes nothing. What stands in it may live; only who uses it is asked."""


# --- the consumer's side -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Entry:
    """What one target is to hold for one secret."""

    name: str
    version: int
    value: SecretValue
    env: str = ""
    """The variable name it goes by."""


class Injector(Protocol):
    """Writes values where a process will read them."""

    @property
    def target(self) -> str:
        """Its configured name."""

    def deliver(self, entries: Sequence[Entry]) -> Reply:
        """Make the target hold exactly these for the names given (all bound names), atomically. Idempotent.

        OK: it is there, durable. REFUSED: it cannot carry a value (nothing was written). UNKNOWN: I/O failed.
        """

    def could(self, entries: Sequence[Entry]) -> Reply:
        """Could `deliver` carry these, into the target as it is now? Writes nothing. REFUSED: it could not."""

    def remove(self, bound: Mapping[str, str]) -> Reply:
        """Take secrets out of the target: name -> the variable it goes by (empty: the mapping's). Idempotent."""

    def holds(self, entry: Entry) -> bool | None:
        """Whether the target holds that value now; None = cannot look."""

    def preflight(self) -> Reply:
        """Could `deliver` work? Writes nothing that stays."""

    def exposed(self, names: Sequence[str]) -> Sequence[str]:
        """One line for each of its files (those of these secrets, where each has its own) that others may read or
        write, or that belongs to somebody else than it should. Empty: none, or there is nothing yet."""

    def describe(self) -> str:
        """One line for `--dry-run` and docs."""


@runtime_checkable
class WrittenWhole(Protocol):
    """An injector whose target is written as a whole: what is not given to `deliver` is gone from it."""

    def kept(self, names: Sequence[str]) -> Sequence[Entry]:
        """What it holds of these, to be given again as it is. Refused when that cannot be known."""


@dataclass(frozen=True, slots=True)
class Handover:
    """A change of value, seen from a consumer: from `old` to `new`. On the way back, `new` is the older one."""

    name: str
    provider: str
    kind: str
    new: SecretValue
    new_version: int
    old: SecretValue | None = None
    since: float = 0.0
    """When the new value was written to what the consumer reads; 0 = not known. A process that began later has it."""


class Consumer(Protocol):
    """A process that reads a value: reload it, and prove what it uses."""

    @property
    def target(self) -> str:
        """Its configured name."""

    @property
    def validates(self) -> bool:
        """Whether it is the one that accepts or refuses a self-issued value."""

    @property
    def reads(self) -> Collection[str]:
        """Names of the injectors it reads from; empty = all of the secret's."""

    def reload(self, handover: Handover) -> Reply:
        """Make it read again. Authenticates with `old` where it must. OK only after its reply."""

    def probe(self, handover: Handover) -> Reply:
        """Which value is in effect? OK `new` and not `old`; REFUSED `old` and not `new`; LATER: cannot tell yet."""

    def prove(self, handover: Handover) -> Reply:
        """Does it use `new`? OK with `proof`; REFUSED it uses another or is broken; LATER with `person`: it has no
        means to show it."""

    def preflight(self, handover: Handover) -> Reply:
        """Is it reachable with the value it holds now? Changes nothing."""

    def describe(self) -> str:
        """One line for `--dry-run` and docs."""


class Clock(Protocol):
    """Time and patience, so that tests need neither."""

    def now(self) -> float:
        """Unix seconds."""

    def sleep(self, seconds: float) -> None:
        """Wait."""


class Progress(Protocol):
    """Told of each step as it happens; shown on a terminal, silent otherwise."""

    def step(self, secret: str, state: str, step: str) -> None:
        """A step begins."""

    def result(self, secret: str, step: str, outcome: str, detail: str) -> None:
        """It ended."""

    def waits(self, secret: str, why: str, until: float) -> None:
        """It waits for another process (`why` names it), whose lease lasts until about then if it is not renewed; 0.0 =
        not known. Told once for each wait, also where steps are not shown."""


# --- shadows ------------------------------------------------------------------------------------------------------


class Shadows(Protocol):
    """Looks where OpenClaw and this host read, for values that were replaced. Changes nothing."""

    def look(self, sought: Sequence[Sought]) -> Looked:
        """All places that hold one of them, live ones first."""

    def known(self, name_of: Callable[[SecretValue], str]) -> Looked:
        """The same for values that only their fingerprint is kept of: `name_of` tells whose a value was, or nothing."""


# --- people ------------------------------------------------------------------------------------------------------


class Notifier(Protocol):
    """Tells people what the daemon notices. What is told already, and when again, is the caller's to know."""

    def tell(self, notices: Sequence[Notice]) -> Reply:
        """Tell these, which came up together, in this order. OK: they are told (or kept, durably, to be told in a
        digest). LATER or UNKNOWN: they were not all told; they are offered again. REFUSED: they cannot be told at
        all, and are not offered again."""

    def describe(self) -> str:
        """One line that says where they go, without any address that is a secret."""
