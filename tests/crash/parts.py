"""The real parts of one deployment in a folder: store, issuer, injectors; and a consumer that outlives every kill.

Folder: store/db, store/anchor, key, out/app.env, out/dir/acme, out/bundle(.key), app.json (the consumer's memory).
The store is embedded, or stands on a Vault or OpenBao server.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest import mock

from clawsecrets.injectors.bundle import ResolverBundle
from clawsecrets.injectors.directory import Directory
from clawsecrets.injectors.envfile import EnvFile
from clawsecrets.injectors.resolve import read_bundle
from clawsecrets.issuers.assisted import AssistedIssuer
from clawsecrets.issuers.http import HttpIssuer
from clawsecrets.issuers.loader import load_file
from clawsecrets.issuers.local import LocalIssuer
from clawsecrets.issuers.refresh import RefreshIssuer
from clawsecrets.issuers.slots import SlotIssuer
from clawsecrets.model.audit import AuditEvent
from clawsecrets.model.policy import RotationPolicy
from clawsecrets.model.provider import Provider
from clawsecrets.model.record import Record
from clawsecrets.model.rotation import Outcome
from clawsecrets.model.secret import Kind, Secret, SecretValue, Stage, Version
from clawsecrets.ports import Change, Clock, Consumer, Handover, Injector, Reply, Store
from clawsecrets.rotate.engine import Engine
from clawsecrets.rotate.gear import Outfit
from clawsecrets.rotate.ledger import Ledger
from clawsecrets.rotate.order import Settings
from clawsecrets.store_ports import Mending
from clawsecrets.stores.keys import KeyFile
from clawsecrets.stores.sqlite import create, open_store
from clawsecrets.stores.vault import deepcheck
from clawsecrets.stores.vault import store as vault
from clawsecrets.stores.vault.documents import Documents
from clawsecrets.stores.vault.transport import Connection, Transport
from tests.crash import targets
from tests.fakes import Quiet

NAME = "acme"
TARGETS = ("env", "dir", "bundle")
MOUNT = "secret"
FILES = Path(__file__).resolve().parent.parent / "data" / "providers"
PROVIDERS = {"overlap": "acme", "assisted": "acme", "cut-over": "rollco", "cut-over-self": "selfroll",
             "refresh": "refresher", "refresh-once": "refresher-once", "self-issued": "acme",
             "alternate": "pairco"}
"""The provider file of each way."""


@dataclass(frozen=True)
class Place:
    """A deployment: its folder, which way it rotates, where the provider is."""

    folder: Path
    way: str
    """A strategy, or `cut-over-self`: the old token authenticates the new one, and nothing can be read back; or
    `refresh-once`: a second use of a refresh token ends everything."""
    url: str
    admin: str
    lease: float = 90.0
    queue: float = 2000.0
    server: str = ""
    """Where the Vault or OpenBao server is, http on loopback; empty: the store is embedded."""
    token: str = ""
    prefix: str = ""
    """Of the store on that server, below the mount `secret`."""
    kind: str = ""
    """Which targets it has (targets.KINDS); empty: an env file, a folder, a bundle, and App."""
    world: Mapping[str, str] = field(default_factory=dict)
    """Where those are that outlive a kill, for that kind."""

    @property
    def strategy(self) -> str:
        """The strategy of the rotation table."""
        return {"cut-over-self": "cut-over", "refresh-once": "refresh"}.get(self.way, self.way)

    @property
    def targets(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """The names of its injectors, and of its consumers."""
        return targets.NAMES.get(self.kind, (("out",), ("app",))) if self.kind else (TARGETS, ("app",))

    def open(self) -> Store:
        """The store, as each command opens it."""
        if self.server:
            return vault.open_store(self._connection(), MOUNT, self.prefix)
        return open_store(self.folder / "store" / "db", self.folder / "anchor", [KeyFile(self.folder / "key")])

    def create(self) -> Store:
        """A new one."""
        if self.server:
            return vault.create(self._connection(), MOUNT, self.prefix)
        where = (self.folder / "store" / "db", self.folder / "anchor")
        return create(*where, [KeyFile(self.folder / "key")], recovery=False)[0]

    def public(self) -> str:
        """What any other reader of the server reads."""
        documents = Documents(Transport(self._connection()), MOUNT)
        try:
            content = documents.read(f"{self.prefix}/{NAME}").content
            assert content is not None
            return str(content["value"])
        finally:
            documents.close()

    def _connection(self) -> Connection:
        return Connection([self.server], lambda: SecretValue(self.token))

    def plain(self) -> dict[str, object]:
        """As JSON, for the child's command line protocol."""
        return {**asdict(self), "folder": str(self.folder)}


def lay_out(place: Place, value: str, handle: str, refresh: str = "") -> None:
    """A deployment with a first version in store, files and consumer; and a refresh token, if there is one."""
    for folder in (place.folder / "store", place.folder / "out"):
        folder.mkdir(mode=0o700, parents=True)
    store = place.create()
    secret = Secret(NAME, PROVIDERS[place.way], Kind.API_KEY, time.time(), env="ACME", injectors=place.targets[0],
                    consumers=place.targets[1], strategy=place.strategy)
    first = SecretValue(value)
    version = Version(1, Stage.CURRENT, time.time(), store.fingerprint(first), handle, origin="import")
    record, values = Record(secret).put_current(version), {1: first}
    if refresh:
        values[2] = SecretValue(refresh)
        record = record.put_refresh_token(Version(2, Stage.REFRESH, time.time(), store.fingerprint(values[2])), 0.0)
    store.commit([Change(record, AuditEvent(time.time(), "t", "secret.set", NAME), values)])
    gear = CrashGear(place)
    from clawsecrets.rotate.delivery import deliver

    record = store.load(NAME)
    assert deliver(store, gear, record, gear.outfit(record.secret), 0.0).reply.outcome is Outcome.OK
    if not place.kind:
        App(place).remember(value)
    store.close()


class App:
    """The consumer: reads the bundle when it is told to, and uses (self-issued: accepts) that from then on."""

    target = "app"
    reads: tuple[str, ...] = ("bundle",)

    def __init__(self, place: Place) -> None:
        self._file = place.folder / "app.json"
        self._bundle = place.folder / "out" / "bundle"
        self.validates = place.way == "self-issued"

    @property
    def uses(self) -> str:
        """The value that it holds in memory."""
        return str(json.loads(self._file.read_text())["value"])

    def remember(self, value: str) -> None:
        """Take that value."""
        draft = self._file.with_suffix(f".{os.getpid()}")
        draft.write_text(json.dumps({"value": value}))
        draft.replace(self._file)

    def reload(self, handover: Handover) -> Reply:
        known = [value.reveal().decode() for value in (handover.old, handover.new) if value is not None]
        if self.validates and self.uses not in known:
            return Reply(Outcome.REFUSED, "it does not let us in")
        self.remember(read_bundle(str(self._bundle)).open(NAME).decode())
        return Reply(Outcome.OK)

    def probe(self, handover: Handover) -> Reply:
        if self.uses == handover.new.reveal().decode():
            return Reply(Outcome.OK)
        old = handover.old is not None and self.uses == handover.old.reveal().decode()
        return Reply(Outcome.REFUSED if old else Outcome.LATER, "old" if old else "neither")

    def prove(self, handover: Handover) -> Reply:
        used = self.uses == handover.new.reveal().decode()
        return Reply(Outcome.OK if used else Outcome.REFUSED, "used" if used else "another", proof="it shows it")

    def preflight(self, handover: Handover) -> Reply:
        return Reply(Outcome.OK)

    def describe(self) -> str:
        return "app"


@cache
def loaded(code: str) -> Provider:
    """The provider file, read once: a process that forks reads all of them before."""
    return load_file(FILES / f"{code}.toml")


class CrashGear:
    """Real issuers and injectors. `wrap` may put something around each port (kill points)."""

    def __init__(self, place: Place, wrap: Callable[[object, str], object] = lambda port, name: port) -> None:
        self._place = place
        self._wrap = wrap

    def is_admin(self, secret: Secret) -> bool:
        return False

    def outfit(self, secret: Secret, strategy: str = "") -> Outfit:
        place, out = self._place, self._place.folder / "out"
        injectors: dict[str, Injector] = {
            "env": EnvFile("env", out / "app.env", "docker"),
            "dir": Directory("dir", out / "dir"),
            "bundle": ResolverBundle("bundle", out / "bundle"),
        }
        consumers: dict[str, Consumer] = {"app": App(place)}
        if place.kind:
            injectors, consumers = map(dict, targets.made(place.kind, place.folder, place.world))
        admin = SecretValue(place.admin)
        return Outfit(
            place.strategy, self._wrapped(self._issuer(), "issuer"), RotationPolicy(interval=1.0, grace=0.0),
            {name: self._wrapped(injector, name) for name, injector in injectors.items()},
            {name: self._wrapped(consumer, name) for name, consumer in consumers.items()},
            admin=lambda: admin, options={"base_url": place.url},
            refresher=self._wrapped(self._refresher(), "refresher") if place.strategy == "refresh" else None,
            slots=self._wrapped(self._issuer(), "slots") if place.way == "alternate" else None,
            tests_elsewhere=place.way == "self-issued",
        )

    def _wrapped(self, port: Any, name: str) -> Any:
        return self._wrap(port, name)

    def _issuer(self) -> Any:
        provider = loaded(PROVIDERS[self._place.way])
        if self._place.way == "self-issued":
            return LocalIssuer(provider)
        if self._place.strategy == "refresh":
            return self._refresher()
        if self._place.way == "alternate":
            return SlotIssuer(provider)
        http = HttpIssuer(provider)
        return AssistedIssuer(provider, http) if self._place.way == "assisted" else http


    def _refresher(self) -> RefreshIssuer:
        return RefreshIssuer(loaded(PROVIDERS[self._place.way]))


class HastyClock:
    """The real time, but waits are short: what is waited for here comes at once or never."""

    def __init__(self, longest: float = 0.02) -> None:
        self._ahead = 0.0
        self._longest = longest

    def now(self) -> float:
        return time.time() + self._ahead

    def sleep(self, seconds: float) -> None:
        real = min(seconds, self._longest)
        time.sleep(real)
        self._ahead += seconds - real


def engine(place: Place, store: object, gear: CrashGear, clock: Clock) -> Engine:
    """The engine of this process."""
    settings = Settings(lease=place.lease, queue=place.queue, patience=1000.0, actor="crash",
                        holder=f"h{os.getpid()}-{time.monotonic_ns()}")
    return Engine(store, gear, clock, Quiet(), lambda: f"rot-{os.getpid()}-{time.monotonic_ns()}", settings)  # type: ignore[arg-type]


def ledger(place: Place, store: object, gear: CrashGear, clock: Clock) -> Ledger:
    """The revocation ledger."""
    return Ledger(store, gear, clock, "crash", f"l{os.getpid()}-{time.monotonic_ns()}")  # type: ignore[arg-type]


def values_out(place: Place) -> Mapping[str, str]:
    """What every reader outside of the store would get now."""
    out = place.folder / "out"
    line = next(text for text in (out / "app.env").read_text().splitlines() if text.startswith("ACME="))
    public = {"public": place.public()} if place.server else {}
    return {**public, "env": line.removeprefix("ACME="), "dir": (out / "dir" / NAME).read_text().rstrip("\n"),
            "bundle": read_bundle(str(out / "bundle")).open(NAME).decode(), "app": App(place).uses}


def faults(store: Store) -> list[str]:
    """All that is wrong with it."""
    return [line for line in (store.verify_log(), *store.check()) if line]


def faults_after_a_day(store: Store) -> list[str]:
    """What `store check --mend` leaves when a value that was written and not committed is of no commit under way."""
    with mock.patch.object(deepcheck, "DAY", -1.0):
        if isinstance(store, Mending):
            store.mend()
        return faults(store)


if TYPE_CHECKING:

    def _conforms(app: App, gear: CrashGear, clock: HastyClock) -> tuple[Consumer, object, Clock]:
        return app, gear, clock
