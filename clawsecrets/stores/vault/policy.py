"""The policies that the store needs, and nothing more: what `clawsecrets vault policy` prints.

Where two paths match a request, the server takes the more specific one: that is how the store's own document stays
unwritable below a path that may be written.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from clawsecrets.stores.vault.layout import OURS

ROLES: Mapping[str, str] = {
    "consumer": "programs that read current values by themselves, and never run clawsecrets",
    "reader": "people who look: list, show, status, history, get (which is written to the audit log)",
    "rotator": "the daemon and people who work: set, rotate, configure, delete, purge",
    "admin": "whoever makes the store: init, and moving one here",
}
"""For whom each is."""

Rule = tuple[str, tuple[str, ...]]
_READ, _WRITE, _ALL = ("read",), ("create", "read", "update"), ("create", "read", "update", "delete")
_OWN_TOKEN: tuple[Rule, ...] = (("auth/token/lookup-self", _READ), ("auth/token/renew-self", ("update",)),
                                ("auth/token/revoke-self", ("update",)))


@dataclass(frozen=True, slots=True)
class Place:
    """Where the store is. `paths`: MOUNT/data/PATH#FIELD of the secrets that stay at the team's own paths."""

    mount: str
    prefix: str
    paths: Mapping[str, str] = field(default_factory=dict)


def rules(role: str, place: Place) -> Mapping[str, tuple[str, ...]]:
    """Path -> capabilities, for one of ROLES."""
    made = {"consumer": _consumer, "reader": _reader, "rotator": _rotator, "admin": _admin}[role]
    own = () if role == "consumer" else _OWN_TOKEN
    return dict([*made(place), *own])


def text(role: str, place: Place, namespace: str = "") -> str:
    """The same in the server's language (HCL)."""
    where = f", in the namespace {namespace}" if namespace else ""
    lines = [f"# clawsecrets {role}: {ROLES[role]}",
             f"# write it with: bao policy write clawsecrets-{role} FILE (or: vault policy write){where}"]
    for path, capabilities in rules(role, place).items():
        listed = ", ".join(f'"{one}"' for one in capabilities)
        lines += ["", f'path "{path}" {{', f"  capabilities = [{listed}]", "}"]
    return "\n".join(lines) + "\n"


def _consumer(place: Place) -> Iterator[Rule]:
    yield _at(place, "data", "*"), _READ
    yield _at(place, "data", OURS, "*"), ("deny",)
    yield from _beside(place, _READ)


def _reader(place: Place) -> Iterator[Rule]:
    yield _at(place, "data", "*"), _READ
    yield _at(place, "data", OURS, "audit", "*"), _WRITE
    yield _at(place, "data", OURS, "clock"), _WRITE  # holds nothing: what is read after a write is not from behind
    yield _at(place, "metadata", OURS, "*"), ("read", "list")
    yield _at(place, "metadata", OURS, "audit", "*"), (*_WRITE, "list")
    yield from _beside(place, _READ)


def _rotator(place: Place) -> Iterator[Rule]:
    yield _at(place, "data", "*"), _ALL
    yield _at(place, "metadata", "*"), (*_ALL, "list")
    yield _at(place, "destroy", "*"), ("update",)
    for kind in ("data", "metadata"):
        yield _at(place, kind, OURS, "store"), _READ
    yield _at(place, "destroy", OURS, "store"), ("deny",)
    yield from _beside(place, _WRITE)


def _admin(place: Place) -> Iterator[Rule]:
    """Makes the store's document: its metadata first, so that writing it counts as `update`."""
    made = {_at(place, kind, OURS, "store") for kind in ("data", "metadata")}
    for path, capabilities in _rotator(place):
        yield path, _WRITE if path in made else capabilities
    yield f"{place.mount}/config", ("read", "update")


def _beside(place: Place, capabilities: tuple[str, ...]) -> Iterator[Rule]:
    for where in sorted({text.partition("#")[0] for text in place.paths.values()}):
        yield where, capabilities


def _at(place: Place, kind: str, *parts: str) -> str:
    return "/".join((place.mount, kind, place.prefix, *parts))
