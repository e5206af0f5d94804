"""Records as JSON and back. What equals its default is left out; unknown fields and wrong types are refused.

The model's own type hints say the form, so that a field added there (with a default) is kept here by itself.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import MISSING, Field, fields, is_dataclass
from enum import Enum
from functools import cache
from types import UnionType
from typing import Any, get_args, get_origin, get_type_hints

from clawsecrets.model.audit import AuditEvent
from clawsecrets.model.record import Record
from clawsecrets.model.secret import Version

Build = Callable[[Any], Any]


def canonical(plain: object) -> bytes:
    """The one byte form: JSON, sorted keys, no spaces, UTF-8; NaN and infinities refused (ValueError)."""
    text = json.dumps(plain, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return text.encode()


def record_to_plain(record: Record) -> dict[str, Any]:
    """A record without its revision, which stands beside it in the store."""
    plain: dict[str, Any] = _plain(record)
    plain.pop("revision", None)
    return plain


def record_from_plain(plain: object, revision: int) -> Record:
    """The record back; ValueError names the field that is wrong."""
    record = _builder(Record)({**_mapping(plain, "record"), "revision": revision})
    assert isinstance(record, Record)
    return record


def version_to_plain(version: Version) -> dict[str, Any]:
    """One version (history)."""
    plain: dict[str, Any] = _plain(version)
    return plain


def version_from_plain(plain: object) -> Version:
    """The version back; ValueError names the field that is wrong."""
    version = _builder(Version)(plain)
    assert isinstance(version, Version)
    return version


def event_from_plain(plain: object) -> AuditEvent:
    """An audit event from its canonical form, numbers kept as they are; ValueError."""
    mapping = dict(_mapping(plain, "event"))
    mapping.pop("seq", None)
    detail = mapping.pop("detail", {})
    if not isinstance(detail, dict) or not all(isinstance(v, str) for v in detail.values()):
        raise ValueError("event: detail is not text by name")
    event = _builder(AuditEvent)(mapping)
    assert isinstance(event, AuditEvent)
    return AuditEvent(event.at, event.actor, event.action, event.secret, event.version, event.rotation, detail)


def as_text(thing: Record | Version | AuditEvent) -> str:
    """A record (without its revision), version or event as canonical JSON, for a store whose own JSON rewrites
    numbers."""
    if isinstance(thing, AuditEvent):
        return canonical({**_plain(thing), "detail": dict(thing.detail)}).decode()
    return canonical(record_to_plain(thing) if isinstance(thing, Record) else version_to_plain(thing)).decode()


def _plain(thing: Any) -> Any:
    if isinstance(thing, Enum):
        return thing.value
    if isinstance(thing, tuple):
        return [_plain(item) for item in thing]
    if is_dataclass(thing):
        return {f.name: _plain(value) for f in fields(thing) if (value := getattr(thing, f.name)) != _default(f)}
    return thing


def _default(field: Field[Any]) -> object:
    return field.default_factory() if field.default_factory is not MISSING else field.default


def _mapping(plain: object, what: str) -> Mapping[str, Any]:
    if not isinstance(plain, dict):
        raise ValueError(f"{what} is not an object")
    return plain


@cache
def _builder(kind: Any) -> Build:
    """A function that builds `kind` from plain JSON. Kinds: str, int, float, bool, enums, tuples, X | None, data
    classes."""
    if kind in (str, int, bool, float):
        return _scalar(kind)
    if get_origin(kind) is tuple:
        return _sequence(get_args(kind))
    if get_origin(kind) is UnionType or type(None) in get_args(kind):
        return _optional(get_args(kind))
    if isinstance(kind, type) and issubclass(kind, Enum):
        return kind
    if get_origin(kind) is not None:
        return lambda plain: plain  # only AuditEvent.detail, which event_from_plain checks itself
    return _object(kind)


def _scalar(kind: type) -> Build:
    wanted: tuple[type, ...] = (float, int) if kind is float else (kind,)

    def build(plain: Any) -> Any:
        if type(plain) not in wanted:
            raise ValueError(f"{kind.__name__} expected")
        return plain

    return build


def _sequence(args: tuple[Any, ...]) -> Build:
    if len(args) == 2 and args[1] is Ellipsis:
        item = _builder(args[0])
        return lambda plain: tuple(item(entry) for entry in _list(plain))
    items = tuple(_builder(arg) for arg in args)
    return lambda plain: tuple(item(entry) for item, entry in zip(items, _list(plain), strict=True))


def _list(plain: Any) -> list[Any]:
    if not isinstance(plain, list):
        raise ValueError("a list is expected")
    return plain


def _optional(args: tuple[Any, ...]) -> Build:
    inner = _builder(next(arg for arg in args if arg is not type(None)))
    return lambda plain: None if plain is None else inner(plain)


def _object(kind: Any) -> Build:
    builders = {name: _builder(hint) for name, hint in get_type_hints(kind).items()}

    def build(plain: Any) -> Any:
        mapping = _mapping(plain, kind.__name__)
        unknown = mapping.keys() - builders.keys()
        if unknown:
            raise ValueError(f"{kind.__name__} has an unknown field {min(unknown)!r}")
        try:
            return kind(**{name: builders[name](value) for name, value in mapping.items()})
        except TypeError:
            pass
        raise ValueError(f"{kind.__name__} lacks a field")

    return build
