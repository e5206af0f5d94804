"""Prometheus metrics: what the last look saw, and what was counted since the start. Names of secrets, never values."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from clawsecrets.daemon.keeper import Looked
from clawsecrets.model.need import NEVER, Act
from clawsecrets.model.rotation import FINAL
from clawsecrets.model.secret import paused

if TYPE_CHECKING:
    from prometheus_client import Metric

    from clawsecrets.daemon.keeper import Tally

BUCKETS = (0.5, 1, 2, 5, 10, 30, 60, 300, 900, 3600, 86400)
"""Seconds that a rotation takes, from its beginning to its end."""
FORMAT = "text/plain; version=0.0.4; charset=utf-8"


class Metrics:
    """The registry of one daemon; not the library's global one."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry(auto_describe=True)
        self._ended = Counter("clawsecrets_rotations", "Rotations that ended, by their final state.", ["outcome"],
                              registry=self.registry)
        for state in sorted(FINAL):
            self._ended.labels(state.value)
        self._took = Histogram("clawsecrets_rotation_duration_seconds", "From the beginning of a rotation to its end.",
                               buckets=BUCKETS, registry=self.registry)
        self._leading = Gauge("clawsecrets_leading", "1: this daemon keeps the schedule. 0: it stands by.",
                              registry=self.registry)
        self._ticked = Gauge("clawsecrets_last_tick_timestamp_seconds", "When it last looked at the store.",
                             registry=self.registry)
        self._nightly = Gauge("clawsecrets_drift", "What the last nightly look found not to be as it was left.",
                              registry=self.registry)
        self._reloads = Counter("clawsecrets_config_reloads", "Reloads of the configuration.", ["outcome"],
                                registry=self.registry)
        for outcome in ("ok", "refused"):
            self._reloads.labels(outcome)
        self._seen = _Seen()
        self.registry.register(self._seen)

    def ended(self, outcome: str, seconds: float) -> None:
        """A rotation ended."""
        self._ended.labels(outcome).inc()
        self._took.observe(seconds)

    def leads(self, leading: bool) -> None:
        """Whether this daemon leads."""
        self._leading.set(1 if leading else 0)

    def looked(self, looked: Looked) -> None:
        """A round ended so."""
        self._ticked.set(looked.at)
        self._seen.looked = looked

    def drift(self, found: int) -> None:
        """The nightly look ended."""
        self._nightly.set(found)

    def reloaded(self, outcome: str) -> None:
        """The configuration was read again."""
        self._reloads.labels(outcome).inc()

    def page(self) -> bytes:
        """The whole page, in Prometheus's text format."""
        return generate_latest(self.registry)


class _Seen(Collector):
    """Gauges of every secret, made from the last look, so that one that is gone has none."""

    def __init__(self) -> None:
        self.looked = Looked(0.0)

    def collect(self) -> Iterator[Metric]:
        looked = self.looked
        needs = {need.secret: need for need in looked.needs}
        age = GaugeMetricFamily("clawsecrets_secret_age_seconds", "Age of the current version.",
                                labels=["secret", "kind", "provider"])
        due = GaugeMetricFamily("clawsecrets_secret_due_timestamp_seconds", "When the secret is due.",
                                labels=["secret"])
        ahead = GaugeMetricFamily("clawsecrets_secret_next_timestamp_seconds", "When its next rotation begins.",
                                  labels=["secret"])
        held = GaugeMetricFamily("clawsecrets_secret_held", "1: it goes on only with a person (stuck, paused, waiting "
                                 "for a value).", labels=["secret"])
        for record in looked.records:
            secret, need = record.secret, needs.get(record.secret.name)
            if record.current is not None:
                age.add_metric([secret.name, secret.kind.value, secret.provider],
                               max(0.0, looked.at - record.current.created_at))
            if need is not None and need.due is not None:
                due.add_metric([secret.name], need.due)
            if need is not None and need.act in (Act.WAIT, Act.BEGIN) and need.at < NEVER:
                ahead.add_metric([secret.name], need.at)
            held.add_metric([secret.name], 1.0 if need is not None and need.act is Act.HELD else 0.0)
        yield from (age, due, ahead, held)
        yield from self._totals(looked)

    def _totals(self, looked: Looked) -> Iterator[Metric]:
        records, needs = looked.records, looked.needs
        totals = {
            "clawsecrets_secrets": ("Secrets in the store.", len(records)),
            "clawsecrets_secrets_paused": ("Secrets that are paused.",
                                           sum(paused(record.secret, looked.at) for record in records)),
            "clawsecrets_secrets_overdue": ("Secrets that are due and not rotated yet.",
                                            sum(need.due is not None and need.due <= looked.at for need in needs)),
            "clawsecrets_rotations_unfinished": ("Rotations under way or waiting.",
                                                 sum(record.rotating for record in records)),
            "clawsecrets_revocations_pending": ("Credentials that must die and are not proven dead.",
                                                sum(len(record.debts) for record in records)),
        }
        for name, (about, value) in totals.items():
            yield GaugeMetricFamily(name, about, value=float(value))


if TYPE_CHECKING:

    def _conforms(metrics: Metrics) -> Tally:
        return metrics
