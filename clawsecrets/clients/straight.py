"""For a process of its own that runs a library which uses `requests` by itself: its requests go where they are sent.

No redirect is followed, whatever the library asks for: an answer from another host would be sent the token that stands
in the address. The answer is then the 3xx itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import requests


def never_redirect() -> None:
    """From now on, in this whole process."""
    requests.sessions.Session.resolve_redirects = _nowhere  # type: ignore[method-assign]


def _nowhere(*args: Any, **kwargs: Any) -> Iterator[Any]:
    return iter(())
