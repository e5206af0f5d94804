"""What one configuration puts together for the daemon: made at the start and at every reload, refused as a whole."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from clawsecrets import wiring
from clawsecrets.daemon.keeper import Keeper, Tally
from clawsecrets.daemon.logs import Log, LogProgress
from clawsecrets.daemon.nightly import Watch
from clawsecrets.daemon.timetable import Timetable
from clawsecrets.daemon.told import Told
from clawsecrets.errors import ClawError, NotFound
from clawsecrets.model.record import Record
from clawsecrets.ports import Clock, Lease, Store
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


def build(config: Config, around: Surroundings) -> World:
    """Put it together, and look whether every secret's rule can be kept. ConfigError."""
    store, clock = around.store, around.clock
    shop = wiring.Workshop(config, around.paths, lambda: store, clock)
    timetable = Timetable(config, shop)
    timetable.check(store.records())
    progress = LogProgress(around.log, lambda name: _rotation_id(store, name))
    engine = wiring.engine(config, store, shop, clock, progress, around.actor, lambda: not around.may_act(),
                           around.lease)
    ledger = wiring.ledger(config, store, shop, clock, around.actor)
    to = notifier(config, store, around.log.notice, clock)
    keeper = Keeper(store, engine, ledger, timetable, clock, around.told, to, around.log,
                    lambda record: explained(shop, record), around.tally)
    watch = Watch(store, shop, clock, around.actor, holder(), lease_for(config), lambda: private(config, around.paths),
                  around.may_act)
    return World(config, keeper, watch, to.describe())


def explained(shop: wiring.Workshop, record: Record) -> Sequence[str]:
    """The steps of a person who makes the new value. ConfigError, NotFound."""
    outfit = shop.outfit(record.secret, "assisted", targets=False)
    label = record.rotation.label if record.rotation is not None and record.rotating else record.secret.name
    return outfit.issuer.explain(outfit.request(record.secret.name, label))


def private(config: Config, paths: Paths) -> list[str]:
    """Files of the store, its key and the configuration that others may read or write, one line for each."""
    database = config.store.url.path
    places = [database, database.with_name(f"{database.name}-wal"), config.store.anchor, database.parent,
              config.store.key.path or paths.key_file]
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
