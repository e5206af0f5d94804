"""Regular expressions that are compiled when they are first used: a hook that finds nothing needs hardly any of them,
and to compile all would take a good part of its tenth of a second."""

from __future__ import annotations

import re
from typing import Any, AnyStr, cast

_ASKED = ("search", "match", "fullmatch", "finditer", "findall", "sub", "split", "pattern", "groups")


class _Late:
    """Looks like the compiled expression, and is no slower once it was used."""

    def __init__(self, pattern: Any, flags: int) -> None:
        self._given = (pattern, flags)

    def __getattr__(self, name: str) -> Any:
        made = re.compile(*self._given)
        self.__dict__.update({one: getattr(made, one) for one in _ASKED})
        return getattr(made, name)


def late(pattern: AnyStr, flags: int = 0) -> re.Pattern[AnyStr]:
    """As `re.compile`, later; so a mistake in `pattern` shows later, too."""
    return cast("re.Pattern[AnyStr]", _Late(pattern, flags))
