"""Where a database is: `postgresql://host[:port]/database`, without anybody's credential in it. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import quote, unquote, urlsplit

from clawsecrets.model.provider import is_loopback

SCHEME = "postgresql"
PORT = 5432


@dataclass(frozen=True, slots=True)
class Database:
    """One database of one server."""

    host: str
    port: int
    name: str
    query: str = ""
    """What a consumer's URL says after `?`."""

    @property
    def local(self) -> bool:
        """Whether it is on this machine, so that it may be spoken to without TLS."""
        return is_loopback(self.host)

    def url_for(self, role: str, password: str) -> str:
        """The URL by which that role logs in. It is a secret."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        ends = f"?{self.query}" if self.query else ""
        return (f"{SCHEME}://{quote(role, safe='')}:{quote(password, safe='')}@{host}:{self.port}/"
                f"{quote(self.name, safe='')}{ends}")


def database_fault(url: str, *, query: bool = False) -> str:
    """Empty when `url` names a database and nothing else; `query`: it may say more after `?`."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        return "is not a URL"
    if parts.scheme != SCHEME or not host or not parts.path.strip("/") or "/" in parts.path.strip("/"):
        return f"must be {SCHEME}://HOST[:PORT]/DATABASE"
    if parts.username is not None or parts.fragment or (parts.query and not query) or re.search(r"\s|[^ -~]", url):
        return "must not hold a user, a password, a query, a fragment or spaces"
    return ""


def database_at(url: str) -> Database:
    """The database that a sound URL (`database_fault`) names."""
    parts = urlsplit(url)
    return Database(parts.hostname or "", parts.port or PORT, unquote(parts.path.strip("/")), parts.query)


def login_of(text: str) -> tuple[str, str]:
    """Role and password of a URL; two empty texts where it is none."""
    try:
        parts = urlsplit(text)
        found = parts.username or "", parts.password or ""
    except ValueError:
        return "", ""
    if parts.scheme not in (SCHEME, "postgres") or not all(found):
        return "", ""
    return unquote(found[0]), unquote(found[1])
