"""Store URLs: `sqlite:///abs/path`; `vault+https://host:port/mount/prefix` is understood, and comes later."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import SplitResult, quote, unquote, urlsplit

from clawsecrets.errors import ConfigError
from clawsecrets.model.provider import is_loopback

_FORMS = "write sqlite:///absolute/path"


@dataclass(frozen=True, slots=True)
class StoreUrl:
    """The embedded store's database file."""

    path: Path

    def __str__(self) -> str:
        return "sqlite://" + quote(str(self.path))


def parse_store_url(text: str) -> StoreUrl:
    """The store that `text` names. ConfigError for any other form, and (politely) for Vault. Never shows a password."""
    try:
        parts = urlsplit(text)
        parts.port  # noqa: B018 - the property is what raises on a wrong port
    except ValueError:
        parts = None
    if parts is None:
        raise ConfigError("the store URL is not a URL", _FORMS)
    if parts.scheme == "sqlite":
        return _sqlite(parts)
    if parts.scheme in ("vault+https", "vault+http"):
        _refuse_vault(parts)
    if not parts.scheme and text.startswith("/"):
        raise ConfigError(f"the store is named by a URL, not by the path {text!r}", f"write sqlite://{text}")
    raise ConfigError(f"store URL scheme {parts.scheme!r} is not known", _FORMS)


def _sqlite(parts: SplitResult) -> StoreUrl:
    if parts.netloc or parts.query or parts.fragment:
        raise ConfigError("a sqlite store URL holds an absolute path and nothing else", _FORMS + ", with three slashes")
    path = unquote(parts.path)
    if not os.path.isabs(path) or path.endswith("/") or "\0" in path:
        raise ConfigError("a sqlite store URL must name a file by its absolute path", _FORMS)
    return StoreUrl(Path(os.path.normpath("/" + path.lstrip("/"))))  # two slashes in front would stay


def _refuse_vault(parts: SplitResult) -> None:
    form = "write vault+https://host:8200/mount/prefix"
    if parts.username is not None or parts.query or parts.fragment:
        raise ConfigError("a vault store URL holds host, mount and prefix only, never a credential", form)
    if not parts.hostname or not parts.path.strip("/"):
        raise ConfigError("a vault store URL needs a host and a mount", form)
    if parts.scheme == "vault+http" and not is_loopback(parts.hostname):
        raise ConfigError("vault+http:// is for loopback only: it would send everything unencrypted", form)
    raise ConfigError("vault stores come with a later version", "use the embedded store: " + _FORMS)
