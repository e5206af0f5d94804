"""Store URLs: `sqlite:///abs/path`, and `vault+https://host:port/mount/prefix` (`vault+http://` on loopback only)."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import SplitResult, quote, unquote, urlsplit

from clawsecrets.errors import ConfigError
from clawsecrets.model.provider import is_loopback

_FORMS = "write sqlite:///absolute/path or vault+https://host:8200/mount/prefix"
_VAULT_FORM = "write vault+https://host:8200/mount/prefix"
_SEGMENT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*\Z")


@dataclass(frozen=True, slots=True)
class StoreUrl:
    """The embedded store's database file."""

    path: Path

    def __str__(self) -> str:
        return "sqlite://" + quote(str(self.path))


@dataclass(frozen=True, slots=True)
class VaultUrl:
    """A KV version 2 mount of a Vault or OpenBao cluster, below a prefix."""

    address: str
    """`https://host:8200`: where requests are sent."""
    mount: str
    """May hold slashes; in the URL they are written %2F."""
    prefix: str

    def __str__(self) -> str:
        return f"vault+{self.address}/{quote(self.mount, safe='')}/{self.prefix}"


AnyStoreUrl = StoreUrl | VaultUrl


def parse_store_url(text: str) -> AnyStoreUrl:
    """The store that `text` names. ConfigError for any other form. Never shows a password."""
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
        return _vault(parts)
    if not parts.scheme and text.startswith("/"):
        raise ConfigError(f"the store is named by a URL, not by the path {text!r}", f"write sqlite://{text}")
    raise ConfigError(f"store URL scheme {parts.scheme!r} is not known", _FORMS)


def _sqlite(parts: SplitResult) -> StoreUrl:
    form = "write sqlite:///absolute/path"
    if parts.netloc or parts.query or parts.fragment:
        raise ConfigError("a sqlite store URL holds an absolute path and nothing else", form + ", with three slashes")
    path = unquote(parts.path)
    if not os.path.isabs(path) or path.endswith("/") or "\0" in path:
        raise ConfigError("a sqlite store URL must name a file by its absolute path", form)
    return StoreUrl(Path(os.path.normpath("/" + path.lstrip("/"))))  # two slashes in front would stay


def _vault(parts: SplitResult) -> VaultUrl:
    if "@" in parts.netloc or parts.query or parts.fragment:
        raise ConfigError("a vault store URL holds host, mount and prefix only, never a credential", _VAULT_FORM)
    first, _, rest = parts.path.strip("/").partition("/")
    mount, prefix = unquote(first), rest.strip("/").split("/") if rest.strip("/") else []
    if not parts.hostname or not mount:
        raise ConfigError("a vault store URL needs a host and a mount", _VAULT_FORM)
    if not prefix:
        raise ConfigError("a vault store URL needs a prefix below its mount: the store never takes a whole mount",
                          _VAULT_FORM)
    for segment in (*mount.split("/"), *prefix):
        if not _SEGMENT.match(segment):
            raise ConfigError("mount and prefix of a vault store URL are letters, digits, dots, dashes and "
                              "underscores", _VAULT_FORM + "; a slash within the mount's own path is written %2F")
    if parts.scheme == "vault+http" and not is_loopback(parts.hostname):
        raise ConfigError("vault+http:// is for loopback only: it would send everything unencrypted", _VAULT_FORM)
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    port = f":{parts.port}" if parts.port is not None else ""
    return VaultUrl(f"{parts.scheme.removeprefix('vault+')}://{host}{port}", mount, "/".join(prefix))
