"""What one configuration puts together for the daemon: made at the start and at every reload, refused as a whole."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from clawsecrets import wiring
from clawsecrets.daemon.keeper import Keeper, Tally
from clawsecrets.daemon.logs import INFO, WARNING, Log, LogProgress
from clawsecrets.daemon.nightly import Watch
from clawsecrets.daemon.timetable import Timetable
from clawsecrets.daemon.told import Told
from clawsecrets.errors import ClawError, NotFound, StoreError
from clawsecrets.model.record import Record
from clawsecrets.model.rotation import Outcome
from clawsecrets.ports import Clock, Lease, Store
from clawsecrets.rotate.sync import Sync
from clawsecrets.wiring.notifying import notifier
from clawsecrets.wiring.shop import holder, lease_for

if TYPE_CHECKING:
    from clawsecrets.config import Config, Paths


@dataclass(frozen=True)
class World:
    """One configuration at work."""

    config: Config
    keeper: Keeper
    watch: Watch
    told_to: str
    """Where notices go, in words."""
    serve: Callable[[], None]
    """Bring this host's targets to what the records say, and say so there."""


@dataclass(frozen=True)
class Surroundings:
    """What stays the same over a reload."""

    paths: Paths
    store: Store
    clock: Clock
    log: Log
    told: Told
    tally: Tally
    actor: str
    may_act: Callable[[], bool]
    lease: Callable[[], Lease | None]
    """The lead's."""
    may_serve: Callable[[], bool]
    """Whether this host's own targets may be worked on now; the lead is not needed for that."""


def build(config: Config, around: Surroundings) -> World:
    """Put it together, and look whether every secret's rule can be kept. ConfigError."""
    store, clock = around.store, around.clock
    shop = wiring.Workshop(config, around.paths, lambda: store, clock)
    timetable = Timetable(config, shop)
    records = list(store.records(broken=_told_by_the_keeper))
    timetable.check(records)
    for stray in timetable.strays(records):
        around.log.write(WARNING, "schedule.stray", detail=stray)
    progress = LogProgress(around.log, lambda name: _rotation_id(store, name))
    engine = wiring.engine(config, store, shop, clock, progress, around.actor, lambda: not around.may_act(),
                           around.lease)
    ledger = wiring.ledger(config, store, shop, clock, around.actor)
    to = notifier(config, store, around.log.notice, clock)
    keeper = Keeper(store, engine, ledger, timetable, clock, around.told, to, around.log,
                    lambda record: explained(shop, record), around.tally)
    watch = Watch(store, shop, clock, around.actor, holder(), lease_for(config), lambda: private(config, around.paths),
                  around.may_act)
    own = wiring.engine(config, store, shop, clock, progress, around.actor, lambda: not around.may_serve(),
                        lambda: None)
    sync = wiring.sync(config, store, shop, clock, own, around.actor)
    return World(config, keeper, watch, to.describe(), lambda: served(sync, around))


def served(sync: Sync, around: Surroundings) -> None:
    """One look for this host. StoreBusy while another process of it is at work."""
    for done in sync.run(around.may_serve, _told_by_the_keeper):
        if done.acks or done.reply.outcome is not Outcome.OK:
            level = INFO if done.reply.outcome is Outcome.OK else WARNING
            around.log.write(level, "sync.served", secret=done.secret, version=done.version,
                             outcome=done.reply.outcome.value, detail=done.reply.detail)


def _told_by_the_keeper(name: str, fault: StoreError) -> None:
    """A record that cannot be read stops nothing here."""


def explained(shop: wiring.Workshop, record: Record) -> Sequence[str]:
    """The steps of a person who makes the new value. ConfigError, NotFound."""
    outfit = shop.outfit(record.secret, "assisted", targets=False)
    label = record.rotation.label if record.rotation is not None and record.rotating else record.secret.name
    return outfit.issuer.explain(outfit.request(record.secret.name, label))


def private(config: Config, paths: Paths) -> list[str]:
    """Files of the store, its key and the configuration that others may read or write, one line for each."""
    database, vault = config.store.file, config.store.vault
    if database is not None:
        places = [database, database.with_name(f"{database.name}-wal"), config.store.anchor, database.parent,
                  config.store.key.path or paths.key_file]
    else:
        places = [place for place in (vault.secret_id_file, vault.client_key) if place is not None]
    found = []
    for place in places:
        try:
            mode = os.lstat(place).st_mode & 0o777
        except OSError:
            continue
        if mode & 0o077:
            found.append(f"{place} can be read or written by others (mode {mode:04o}): chmod go-rwx {place}")
    return found


def _rotation_id(store: Store, name: str) -> str:
    try:
        rotation = store.load(name).rotation
    except (NotFound, ClawError):
        return ""
    return rotation.id if rotation is not None else ""
