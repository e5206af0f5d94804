"""Introduces issuers, injectors and consumers to the engine.

Everything heavy is imported where it is first needed, so that a command pays only for what it uses.
"""

from __future__ import annotations

import os
import secrets
import socket
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING

from clawsecrets.config import Config, Paths, ResolverBundleTarget, require_provider_folder
from clawsecrets.config.place import StoreUrl
from clawsecrets.config.shape import ProviderConfig
from clawsecrets.errors import ConfigError, NotFound
from clawsecrets.model.hosts import own_name
from clawsecrets.model.own import is_own
from clawsecrets.model.policy import RotationPolicy
from clawsecrets.model.provider import RESERVED_OPTIONS, Provider
from clawsecrets.model.rotation import Outcome
from clawsecrets.model.secret import Kind, Secret, SecretValue
from clawsecrets.model.strategies import STRATEGIES
from clawsecrets.ports import Clock, Consumer, Injector, Issuer, Lease, Progress, Reply, Request, Store
from clawsecrets.wiring.shadows import Lazily
from clawsecrets.wiring.targets import make_consumer, make_injector

if TYPE_CHECKING:
    from clawsecrets.clients.http import Limits
    from clawsecrets.issuers.loader import ProviderFiles
    from clawsecrets.issuers.postgres import PostgresIssuer
    from clawsecrets.issuers.refresh import RefreshIssuer
    from clawsecrets.issuers.slots import SlotIssuer
    from clawsecrets.rotate.engine import Engine
    from clawsecrets.rotate.gear import Outfit
    from clawsecrets.rotate.ledger import Ledger
    from clawsecrets.rotate.sync import Sync

LONGEST_REQUEST = 30.0
"""Seconds that one request takes at most where no `timeout` is configured (clients.http.Limits.total)."""


class SystemClock:
    """The machine's clock."""

    def now(self) -> float:
        """Unix seconds."""
        return time.time()

    def sleep(self, seconds: float) -> None:
        """Wait."""
        time.sleep(seconds)


# --- the engine -----------------------------------------------------------------------------------------------------


def engine(config: Config, store: Store, shop: Workshop, clock: Clock, progress: Progress, actor: str,
           stopping: Callable[[], bool] | None = None, lead: Callable[[], Lease | None] | None = None) -> Engine:
    """The rotation engine of this process. With `stopping` and `lead` it is the daemon's: it leaves a rotation when
    told to, begins none when another has the lead, and never waits for another process that has the secret."""
    from clawsecrets.rotate.engine import Engine
    from clawsecrets.rotate.order import Settings

    lease = lease_for(config)
    settings = Settings(lease, config.rotation.patience, max(60.0, lease), actor, holder())
    if stopping is not None and lead is not None:
        settings = replace(settings, queue=0.0, stopping=stopping, lead=lead)
    return Engine(store, shop, clock, progress, new_rotation_id, settings)


def ledger(config: Config, store: Store, shop: Workshop, clock: Clock, actor: str) -> Ledger:
    """The revocation ledger of this store."""
    from clawsecrets.rotate.ledger import Ledger

    return Ledger(store, shop, clock, actor, holder(), lease_for(config), config.rotation.retention)


def sync(config: Config, store: Store, shop: Workshop, clock: Clock, engine: Engine, actor: str) -> Sync:
    """What delivers and acknowledges for this host; `engine` carries out what only this host can."""
    from clawsecrets.rotate.sync import Sync

    return Sync(store, shop, engine, clock, shop.host, shop.owner, actor, holder(), lease_for(config))


def lease_for(config: Config) -> float:
    """Seconds that a lease lasts: at least the longest step, which writes every target and calls every consumer once.
    It is renewed between steps only, and a step that outlives it could be taken over while it is still at work."""
    targets = [*config.injectors.values(), *config.consumers.values()]
    slowest = sum(getattr(target, "longest", getattr(target, "timeout", 0.0)) for target in targets)
    request = max([LONGEST_REQUEST, *(own.timeout for own in config.providers.values() if own.timeout)])
    return max(config.rotation.lease, slowest + 2 * request)


def new_rotation_id() -> str:
    """Unique, and good as a label at every provider: letters, digits and dashes, 24 characters."""
    return f"clawsecrets-{secrets.token_hex(6)}"


def holder() -> str:
    """This process's name on leases."""
    return f"{socket.gethostname()}/{os.getpid()}/{secrets.token_hex(4)}"


class Workshop:
    """Builds what acts for one secret on this host (rotate.gear.Gear). Opens the store only when it must."""

    def __init__(self, config: Config, paths: Paths, store: Callable[[], Store], clock: Clock) -> None:
        self._config = config
        self._paths = paths
        self._store = store
        self._clock = clock
        self.host = config.host or socket.gethostname()
        self.shared = bool(config.host) or not isinstance(config.store.url, StoreUrl)
        """Whether several hosts may use the store: then a target belongs to the host that its name says."""

    @cached_property
    def providers(self) -> ProviderFiles:
        """Every provider file, shipped and own. ConfigError when others may write to one."""
        from clawsecrets.issuers.loader import load_providers

        for folder in self._config.providers_dirs:
            require_provider_folder(folder)
        return load_providers(self._config.providers_dirs)

    def provider(self, code: str) -> Provider:
        """One provider. NotFound with the nearest code."""
        if code not in self.providers:
            import difflib

            near = difflib.get_close_matches(code, list(self.providers), 1)
            raise NotFound(f"there is no provider {code!r}" + (f"; did you mean {near[0]}?" if near else ""),
                           "clawsecrets providers lists them")
        return self.providers[code]

    def policy(self, secret: Secret) -> RotationPolicy:
        """The policy of a secret: its own, else the configuration's, else the provider's. Ours are never due."""
        interval = self.providers[secret.provider].interval if secret.provider in self.providers else None
        policy = secret.policy.over(self._config.rotation.policy(secret.kind, interval))
        return replace(policy, enabled=False) if self.own(secret) else policy

    def own(self, secret: Secret) -> bool:
        """Whether it is clawsecrets' own: nothing rotates it."""
        return is_own(secret, named=self._config.notify.names_address(secret.name))

    def strategy(self, secret: Secret) -> str:
        """The strategy that a rotation would take now."""
        if secret.strategy:
            if secret.strategy not in STRATEGIES:
                raise ConfigError(f"{secret.name}: there is no strategy {secret.strategy!r}",
                                  f"choose one of {', '.join(STRATEGIES)}")
            return secret.strategy
        provider = self.provider(secret.provider)
        has_admin = not provider.needs_admin or self._admin_value(secret) is not None
        return provider.strategy_for(has_admin=has_admin, options=self._options(secret))

    def outfit(self, secret: Secret, strategy: str = "", *, targets: bool = True) -> Outfit:
        """Everything that acts for a secret; an admin credential has no targets. Without `targets`, only what acts at
        its provider: for asking there, also on a host that has none of its targets. ConfigError for a target that
        the configuration does not have, and for an option that only the configuration may set."""
        from clawsecrets.rotate.gear import Outfit

        self._refuse_places(secret)
        chosen = strategy or self.strategy(secret)
        bound = secret if targets and not self.is_admin(secret) else replace(secret, injectors=(), consumers=())
        self._require_named(bound)
        return Outfit(
            strategy=chosen,
            issuer=self._issuer(secret, chosen),
            policy=self.policy(secret),
            injectors={target: self._injector(target) for target in bound.injectors if self._here(target)},
            consumers={target: self._consumer(target) for target in bound.consumers if self._here(target)},
            admin=lambda: self._admin_value(secret),
            admin_test=lambda: self._admin_test(secret, chosen),
            options=self._options(secret),
            lacking=self._lacking(secret, chosen),
            refresher=self._refresher(secret) if chosen == "refresh" else None,
            slots=self._slots(secret) if chosen == "alternate" else None,
            tests_elsewhere=chosen == "self-issued",
            shadows=Lazily(self._config, self.answers) if self._config.shadows.look else None,
            hosts={target: host for target in (*bound.injectors, *bound.consumers) if (host := self.owner(target))},
        )

    def check(self, secret: Secret) -> None:
        """Refuse a secret whose targets or strategy this host could not serve. ConfigError, NotFound."""
        if (secret.injectors or secret.consumers) and self.is_admin(secret):
            raise ConfigError(f"{secret.name} is an admin credential: it cannot be bound to a target",
                              "deliver only what a process uses; the admin credential stays in the store")
        self.outfit(secret)

    def is_admin(self, secret: Secret) -> bool:
        """Whether it may create or revoke others: by its kind, or because a provider file or the configuration names
        it as the admin credential of a provider."""
        return (secret.kind is Kind.ADMIN or any(own.admin == secret.name for own in self._config.providers.values())
                or self.providers.has_admin(secret.name))

    def answers(self, name: str) -> bool:
        """Whether `clawsecrets resolve` answers a SecretRef to this secret: it is delivered to a bundle. NotFound."""
        targets = map(own_name, self._store().load(name).secret.injectors)
        return any(isinstance(self._config.injectors.get(target), ResolverBundleTarget) for target in targets)

    def unwritable(self) -> str:
        """Why the store could not be written now, as far as that shows before; empty: it could."""
        path = self._config.store.file
        if path is None:
            return ""
        from clawsecrets.stores.trying import unwritable

        error = unwritable(path, self._config.store.anchor)
        return error.message if error is not None else ""

    # --- issuers ----------------------------------------------------------------------------------------------------

    def _issuer(self, secret: Secret, strategy: str) -> Issuer:
        provider = self.provider(secret.provider)
        if strategy == "self-issued":
            from clawsecrets.issuers.local import LocalIssuer

            return LocalIssuer(provider)
        if strategy == "refresh":
            return self._refresher(secret)
        if strategy == "alternate":
            return self._slots(secret)
        from clawsecrets.issuers.assisted import AssistedIssuer
        from clawsecrets.issuers.http import HttpIssuer

        if strategy == "assisted" and (provider.protocol or provider.slots):
            return AssistedIssuer(provider, self._slots(secret))
        http = HttpIssuer(provider, self._limits(secret.provider), self._clock.now)
        return AssistedIssuer(provider, http) if strategy == "assisted" else http

    def _slots(self, secret: Secret) -> SlotIssuer | PostgresIssuer:
        provider = self.provider(secret.provider)
        if provider.protocol:
            from clawsecrets.issuers.postgres import PostgresIssuer

            return PostgresIssuer(provider, self._override(secret.provider).timeout)
        from clawsecrets.issuers.slots import SlotIssuer

        return SlotIssuer(provider, self._limits(secret.provider), self._clock.now)

    def _refresher(self, secret: Secret) -> RefreshIssuer:
        from clawsecrets.issuers.refresh import RefreshIssuer

        return RefreshIssuer(self.provider(secret.provider), self._limits(secret.provider), self._clock.now)

    def _limits(self, code: str) -> Limits:
        from clawsecrets.clients.http import Limits

        usual, total = Limits(), self._override(code).timeout
        if total is None:
            return usual
        return replace(usual, connect=min(usual.connect, total), read=total, total=total)

    def _override(self, code: str) -> ProviderConfig:
        return self._config.providers.get(code, ProviderConfig())

    def _options(self, secret: Secret) -> Mapping[str, str]:
        """Parameters of the provider file. Where requests go, and whom they trust there, only this host's
        configuration says: whoever may write a record of a shared store must not be sent the admin credential."""
        override = self._override(secret.provider)
        own = {name: text for name, text in secret.options if name not in RESERVED_OPTIONS}
        options = {**override.options, **own}
        if override.base_url:
            options["base_url"] = override.base_url
        if override.ca_bundle is not None:
            options["ca_bundle"] = str(override.ca_bundle)
        return options

    def _refuse_places(self, secret: Secret) -> None:
        for name, _ in secret.options:
            if name in RESERVED_OPTIONS:
                raise ConfigError(f"{secret.name}: {name} cannot be an option of a secret",
                                  f"put {name} under [providers.{secret.provider}] in "
                                  f"{self._config.file or self._paths.config}, and take it away here: "
                                  f"clawsecrets configure {secret.name} --option {name}=")

    def admin_of(self, secret: Secret) -> str:
        """The name of the admin credential that its provider would be asked with; empty where none is needed, or the
        provider is not known."""
        if secret.provider not in self.providers or not self.providers[secret.provider].needs_admin:
            return ""
        name = self._admin_name(secret)
        return "" if name == secret.name else name

    def _admin_name(self, secret: Secret) -> str:
        return self._override(secret.provider).admin or self.provider(secret.provider).admin

    def _admin_value(self, secret: Secret) -> SecretValue | None:
        name = self._admin_name(secret)
        return self._current(name) if name and name != secret.name else None

    def _current(self, name: str) -> SecretValue | None:
        with suppress(NotFound):
            record = self._store().load(name)
            if record.current is not None and not record.secret.deleted_at:
                return self._store().value(name, record.current.number)
        return None

    def _lacking(self, secret: Secret, strategy: str) -> str:
        """Why its provider could not be asked at all, and what mends it; a person's value is tested there, too."""
        from clawsecrets.issuers.fill import no_base

        provider = self.provider(secret.provider)
        missing = provider.missing_options(self._options(secret))
        if "base_url" in missing and strategy != "self-issued":
            return f"{no_base(provider)}, {self._config.file or self._paths.config}"
        if missing and (provider.protocol or strategy in ("alternate", "refresh")):
            return f"option {missing[0]} is not set: clawsecrets configure {secret.name} --option {missing[0]}=TEXT"
        return ""

    def _admin_test(self, secret: Secret, strategy: str) -> Reply:
        provider, name = self.provider(secret.provider), self._admin_name(secret)
        if strategy in ("assisted", "self-issued") or not provider.needs_admin:
            return Reply(Outcome.OK, "none is needed")
        value = self._admin_value(secret)
        if value is None:
            set_it = f"clawsecrets set {name}{self._kept_as(provider)}"
            return Reply(Outcome.REFUSED, f"{name} is not in the store: {set_it}")
        admin = self._store().load(name).secret
        self._refuse_places(admin)
        reply = self._issuer(admin, "overlap").test(value, Request(name, "", options=self._options(admin)))
        if reply.untestable:
            return Reply(Outcome.OK, f"{name} is there (it cannot be tried by itself)")
        words = {Outcome.OK: "accepted", Outcome.REFUSED: "the provider refuses it"}
        return replace(reply, detail=f"{name}: {words.get(reply.outcome, reply.detail)}")

    def _kept_as(self, provider: Provider) -> str:
        """The option of `set` for the provider's admin credential, where a provider file is about it: the one with a
        variable that the usual name of that credential maps to."""
        variable = provider.admin.upper().replace("-", "_")
        found = (other for other in self.providers.values() if other.kind is Kind.ADMIN and variable in other.env)
        return next((f" --provider {other.code}" for other in found), "")

    # --- targets ----------------------------------------------------------------------------------------------------

    def owner(self, target: str) -> str:
        """The host that a target is named to be on, by its own name or by `host` of the configuration's target; empty:
        none is named, and it is this one's where the store is nobody else's."""
        name, _, host = target.partition("@")
        config = self._config.injectors.get(name) or self._config.consumers.get(name)
        return host or (config.host if config is not None else "")

    def bound(self, target: str) -> str:
        """How a target that a person names here is written in the record: with its host, where the store may have
        several."""
        name, _, host = target.partition("@")
        if self.shared:
            return target if self.owner(target) else f"{name}@{self.host}"
        return name if host == self.host else target

    def knows(self, target: str) -> bool:
        """Whether the configuration has a target of that name."""
        return own_name(target) in (*self._config.injectors, *self._config.consumers)

    def _here(self, target: str) -> bool:
        """Whether this host serves the target. Another host's targets are acknowledged by it."""
        return self.owner(target) in ("", self.host)

    def _require_named(self, secret: Secret) -> None:
        """ConfigError for a target without a host in a store that several hosts may use: each would take it for its
        own, and none would wait for the other."""
        nameless = next((t for t in (*secret.injectors, *secret.consumers) if not self.owner(t)), "")
        if self.shared and nameless:
            raise ConfigError(f"{secret.name}: its target {nameless} names no host, and this store may have several",
                              "on the host that has it: clawsecrets hosts adopt")

    def _injector(self, target: str) -> Injector:
        config = self._config.injectors.get(own_name(target))
        if config is None:
            raise ConfigError(f"there is no [injectors.{target}] in the configuration", self._where())
        return make_injector(config)

    def _consumer(self, target: str) -> Consumer:
        config = self._config.consumers.get(own_name(target))
        if config is None:
            raise ConfigError(f"there is no [consumers.{target}] in the configuration", self._where())
        return make_consumer(config, self._opens_gateway, lambda: self._gateway_tokens(config.name), self._paths.state)

    def _where(self) -> str:
        return f"add it to {self._config.file or self._paths.config}"

    def _opens_gateway(self, code: str) -> bool:
        return code in self.providers and self.providers[code].opens == "openclaw"

    def _gateway_tokens(self, consumer: str) -> Sequence[SecretValue]:
        """Values that may open this gateway now, likeliest first: of its own token and password that are bound to
        it, the current ones before all others. Another gateway's are never tried on it."""
        store, found = self._store(), []
        for record in store.records():
            bound = any(own_name(t) == consumer and self._here(t) for t in record.secret.consumers)
            if bound and self._opens_gateway(record.secret.provider):
                found += [(v is not record.current, -v.number, record.secret.name)
                          for v in record.versions if not v.erased_at]
        return [store.value(name, -number) for _, number, name in sorted(found)]
