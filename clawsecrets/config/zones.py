"""Time zones by their name in the IANA database: the system's, else the `tzdata` package's."""

from __future__ import annotations

import datetime
import zoneinfo
from functools import lru_cache

from clawsecrets.model.civil import UTC, Zone

_FIRST, _LAST = -62_000_000_000.0, 250_000_000_000.0
"""Unix times (years 5 to 9892) beyond which no clock is asked."""


@lru_cache(maxsize=64)
def zone(name: str) -> Zone:
    """The zone. ValueError with the nearest name when it is not known."""
    if name in ("UTC", "Z"):
        return UTC
    try:
        info = zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        info = None
    if info is None:
        import difflib

        near = difflib.get_close_matches(name, sorted(zoneinfo.available_timezones()), 1)
        raise ValueError(f"there is no time zone {name!r}" + (f"; did you mean {near[0]!r}?" if near else ""))
    return Zone(name, lambda at: _offset(info, at))


@lru_cache(maxsize=4096)
def _offset(info: zoneinfo.ZoneInfo, at: float) -> float:
    moment = datetime.datetime.fromtimestamp(min(max(at, _FIRST), _LAST), info)
    offset = moment.utcoffset()
    return offset.total_seconds() if offset is not None else 0.0
