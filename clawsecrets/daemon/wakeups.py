"""When the daemon looks: APScheduler's background scheduler, used for nothing but waking up.

Which work there is, the round finds out by itself. A wake-up that comes late, twice or never changes only the time:
the process's own loop wakes it when none has come for too long (the wall clock was put back, for example).
"""

from __future__ import annotations

import datetime
import logging
from collections.abc import Callable

from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.jobstores.base import JobLookupError
from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.triggers.cron import CronTrigger
from apscheduler.triggers.interval import IntervalTrigger

TICK, NIGHTLY = "tick", "nightly"


class Wakeups:
    """Calls `tick` every so many seconds and when asked, and `nightly` once a night; never two at once."""

    def __init__(self, tick: Callable[[], None], nightly: Callable[[], None]) -> None:
        logging.getLogger("apscheduler").addHandler(logging.NullHandler())
        logging.getLogger("apscheduler").propagate = False
        self._scheduler = BackgroundScheduler(
            executors={"default": ThreadPoolExecutor(1)}, timezone=datetime.UTC,
            job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": None})
        self._tick = tick
        self._nightly = nightly

    def start(self, every: float, nightly: int | None, zone: str) -> None:
        """Begin, with a look at once. `every`: seconds; `nightly`: seconds after midnight in `zone`."""
        self._scheduler.add_job(self._tick, IntervalTrigger(seconds=every, timezone=datetime.UTC), id=TICK,
                                replace_existing=True, next_run_time=datetime.datetime.now(datetime.UTC))
        if nightly is not None:
            trigger = CronTrigger(hour=nightly // 3600, minute=nightly % 3600 // 60, timezone=zone)
            self._scheduler.add_job(self._nightly, trigger, id=NIGHTLY, replace_existing=True)
        elif self._scheduler.get_job(NIGHTLY) is not None:
            self._scheduler.remove_job(NIGHTLY)
        if not self._scheduler.running:
            self._scheduler.start()

    def look_at(self, at: float) -> None:
        """Look at that Unix time, if nothing comes before it."""
        wanted = datetime.datetime.fromtimestamp(at, datetime.UTC)
        job = self._scheduler.get_job(TICK)
        if job is not None and (job.next_run_time is None or wanted < job.next_run_time):
            self._move(TICK, wanted)

    def look_now(self) -> None:
        """Look as soon as possible."""
        self._move(TICK, datetime.datetime.now(datetime.UTC))

    def stop(self) -> None:
        """No more wake-ups. What is under way is not waited for."""
        if self._scheduler.running:
            self._scheduler.shutdown(wait=False)

    def _move(self, job: str, at: datetime.datetime) -> None:
        try:
            self._scheduler.modify_job(job, next_run_time=at)
        except JobLookupError:
            return
