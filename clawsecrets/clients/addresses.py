"""Which addresses belong to the public internet, and what a host name resolves to."""

from __future__ import annotations

import ipaddress
import socket


def is_public(address: str) -> bool:
    """Whether an address (`::ffff:` forms and zones included) is one of the public internet: no loopback, private,
    link-local, shared, reserved or multicast one."""
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    if isinstance(found, ipaddress.IPv6Address):
        inner = found.ipv4_mapped or found.sixtofour or (found.teredo[1] if found.teredo else None)
        if inner is not None:
            found = inner
        elif found in _TRANSLATED:
            found = ipaddress.IPv4Address(int(found) & 0xFFFFFFFF)
    return found.is_global and not found.is_multicast


_TRANSLATED = ipaddress.IPv6Network("64:ff9b::/96")
"""IPv4 addresses behind a translator (RFC 6052)."""


def resolved(host: str, port: int) -> list[str]:
    """Every address of a host name; none when it has none."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return []
    return sorted({str(item[4][0]) for item in found})
