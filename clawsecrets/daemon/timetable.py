"""The rule of each secret: what its record, [schedule], [rotation] and its provider file say, put together.

Refused where it cannot be kept, with the line in the configuration: a ConfigError at the start of the daemon, of
`rotate --due` and of `plan`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, NoReturn

from clawsecrets.config.tables import nearest, shown
from clawsecrets.config.timing import ScheduleConfig, SecretSchedule
from clawsecrets.errors import ClawError, ConfigError
from clawsecrets.model.need import Need, circle, needs
from clawsecrets.model.policy import RotationPolicy, format_duration
from clawsecrets.model.record import Record
from clawsecrets.model.schedule import NextAfter, Pace, Rule
from clawsecrets.model.secret import Kind, Secret
from clawsecrets.model.window import Openings

if TYPE_CHECKING:
    from clawsecrets.config import Config
    from clawsecrets.wiring import Workshop

HARD = 1.5
"""The hard age where none is said: so many intervals."""
JITTER = 0.05
"""Jitter that is everybody's is at most this share of a secret's interval."""
_NOTHING = SecretSchedule()


class Timetable:
    """The rules of one configuration. Kept from round to round for records that did not change."""

    def __init__(self, config: Config, shop: Workshop) -> None:
        self._file = str(config.file or "")
        self._schedule: ScheduleConfig = config.schedule
        self._shop = shop
        self._crons = {name: self._cron(name, own) for name, own in self._schedule.secrets.items() if own.cron}
        self._known: dict[str, tuple[Secret, frozenset[str], Rule]] = {}
        schedule = self._schedule
        limits = {code: own.limit for code, own in schedule.providers.items() if own.limit is not None}
        self.pace = Pace(schedule.stagger, schedule.group_apart, schedule.attempts,
                         (schedule.backoff, max(schedule.backoff, schedule.backoff_most)), limits)

    def rules(self, records: Iterable[Record]) -> Mapping[str, Rule]:
        """The rule of each record, by name. What a provider file would say and cannot be read counts as not said."""
        every = list(records)
        # the strategy depends on which admin credentials have a value
        admins = frozenset(r.secret.name for r in every if r.current is not None and self._shop.is_admin(r.secret))
        self._known = {record.secret.name: self._remembered(record.secret, admins) for record in every}
        return {name: rule for name, (_, _, rule) in self._known.items()}

    def needs(self, records: Iterable[Record], now: float) -> tuple[list[Need], Mapping[str, Rule]]:
        """What is to be done now, and by which rules."""
        every = list(records)
        rules = self.rules(every)
        return needs(every, rules, self.pace, now), rules

    def check(self, records: Iterable[Record]) -> None:
        """Refuse what cannot be kept. ConfigError names file, line, table and key."""
        rules = self.rules(records)
        for name, rule in rules.items():
            self._check_interval(name, rule)
        found = circle({name: rule.after for name, rule in rules.items()})
        if found:
            self._refuse(found[0], f"after: a circle: {' after '.join(found)}",
                         "an admin credential comes before what it mints by itself: take an `after` away")

    def strays(self, records: Iterable[Record]) -> Sequence[str]:
        """What [schedule] says of names that are nowhere, one line each: it may be of a secret that is still to come,
        or a slip of the pen, and then its windows are not kept."""
        known, schedule = {record.secret.name for record in records}, self._schedule
        named = [(name, f"[schedule.secrets.{name}]") for name in schedule.secrets]
        named += [(other, f"[schedule.secrets.{name}] after") for name, own in schedule.secrets.items()
                  for other in own.after]
        found = [f"{where}: there is no secret {name}{nearest(name, known)}" for name, where in named
                 if name not in known]
        codes = self._shop.providers
        return [*found, *(f"[schedule.providers.{shown(code)}]: there is no such provider{nearest(code, list(codes))}"
                          for code in schedule.providers if code not in codes)]

    # --- one rule ---------------------------------------------------------------------------------------------------

    def _remembered(self, secret: Secret, admins: frozenset[str]) -> tuple[Secret, frozenset[str], Rule]:
        known = self._known.get(secret.name)
        if known is not None and known[0] == secret and known[1] == admins:
            return known
        return secret, admins, self._rule(secret)

    def _rule(self, secret: Secret) -> Rule:
        own, schedule = self._schedule.secrets.get(secret.name, _NOTHING), self._schedule
        policy = self._policy(secret, own)
        windows = schedule.windows if own.windows is None else own.windows
        admin = self._shop.admin_of(secret)
        hard, jitter = own.hard_age, own.jitter
        if hard is None and policy.interval is not None and policy.enabled:
            hard = policy.interval * HARD
        if jitter is None:
            jitter = min(schedule.jitter, JITTER * policy.interval) if policy.interval is not None else schedule.jitter
        return Rule(
            policy=policy,
            openings=Openings(windows, (*schedule.blackouts, *own.blackouts)),
            cron=self._crons.get(secret.name),
            jitter=jitter,
            hard_age=hard,
            outside=own.outside_window,
            after=tuple(dict.fromkeys([*own.after, *([admin] if admin else [])])),
            last=secret.kind is Kind.GATEWAY_TOKEN,
            assisted=self._assisted(secret),
            provider=secret.provider,
        )

    def _policy(self, secret: Secret, own: SecretSchedule) -> RotationPolicy:
        policy = self._shop.policy(secret)
        return policy if own.interval is None else replace(policy, interval=own.interval)

    def _assisted(self, secret: Secret) -> bool:
        try:
            return self._shop.strategy(secret) == "assisted"
        except ClawError:
            return False  # its rotation will say what is wrong

    def _cron(self, name: str, own: SecretSchedule) -> NextAfter:
        from clawsecrets.daemon.cron import next_after

        try:
            return next_after(own.cron, self._schedule.zone.name)
        except ValueError as error:
            fault = str(error)
        self._refuse(name, f"every: {fault}", "five fields: minute, hour, day, month, weekday")

    def _check_interval(self, name: str, rule: Rule) -> None:
        own = self._schedule.providers.get(rule.provider)
        least, interval = (own.shortest if own is not None else 0.0), rule.policy.interval
        if not least and rule.provider in self._shop.providers:
            least = self._shop.providers[rule.provider].shortest
        if rule.cron is not None:
            first = rule.cron(0.0) or 0.0
            interval = (rule.cron(first) or first) - first
        if interval is not None and rule.policy.enabled and interval < least:
            said = f"[schedule.providers.{rule.provider}] shortest" if own is not None and own.shortest else \
                "its provider file"
            self._refuse(name, f"every {format_duration(interval)} is more often than {rule.provider} bears: at least "
                         f"{format_duration(least)} ({said})",
                         f"make it longer here, or with clawsecrets configure {name} --interval")

    def _refuse(self, name: str, fault: str, hint: str) -> NoReturn:
        own = self._schedule.secrets.get(name)
        line = f": line {own.line}" if own is not None and own.line else ""
        where = f"{self._file}{line}: [schedule.secrets.{name}]" if own is not None else f"{self._file}: {name}"
        raise ConfigError(f"{where}: {fault}", hint)
