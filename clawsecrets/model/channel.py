"""One way to a person: which notices go that way, and when. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from clawsecrets.model.notice import Notice, Severity, Topic
from clawsecrets.model.window import Openings, Window


@dataclass(frozen=True, slots=True)
class Channel:
    """A channel of the configuration. Its address is a secret: only the name of it stands here."""

    name: str
    secret: str
    """The secret in the store whose current value is the address."""
    least: Severity = Severity.INFO
    """What is quieter does not go here."""
    topics: frozenset[Topic] = frozenset(Topic)
    digest: float = 0.0
    """Seconds for which notices are gathered into one message; 0 = those of one round."""
    urgent: Severity = Severity.ERROR
    """From here on up a notice goes at once: no digest, no quiet hours."""
    quiet: tuple[Window, ...] = ()

    def takes(self, notice: Notice) -> bool:
        """Whether the notice goes here at all."""
        return notice.topic is Topic.TEST or (notice.severity >= self.least and notice.topic in self.topics)

    def goes_at(self, waiting: Sequence[tuple[Notice, float]], now: float) -> float:
        """When those that wait, each since a Unix time, are to go as one message; at or before `now`: now."""
        if any(notice.severity >= self.urgent or notice.topic is Topic.TEST for notice, _ in waiting):
            return now
        since = min(since for _, since in waiting)
        at = now if since > now else max(now, since + self.digest)  # the former: the clock was put back
        span = Openings(self.quiet).first(at) if self.quiet else None
        return span.closes if span is not None and span.holds(at) else at
