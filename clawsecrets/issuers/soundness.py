"""Whether a provider file makes sense as a whole: what its tables promise each other. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator

from clawsecrets.model.provider import (
    BUILT_IN,
    PLACEHOLDER,
    RESERVED_OPTIONS,
    Detect,
    Lost,
    Operation,
    Provider,
    Shape,
    pattern_fault,
    url_fault,
)

OPTION_LABEL = re.compile(r"^https://\$\{([a-z][a-z0-9_]*)\}\.(?=[a-z0-9-]+\.[a-z])")
"""A host whose first label is an option; at least two labels after it are pinned."""


def faults(provider: Provider) -> list[str]:
    """What is wrong with a provider as a whole, each line beginning with `[table] key`; empty = sound."""
    found = [*_strategy_faults(provider), *_refresh_faults(provider), *_slot_faults(provider), *_host_faults(provider),
             *_protocol_faults(provider)]
    for name, operation in provider.operations.items():
        found += [f"[{name}] {line}" for line in _operation_faults(provider, name, operation)]
        if operation.each is not None:
            found += [f"[{name}.each] {line}" for line in _operation_faults(provider, "each", operation.each)]
    for rule in provider.detect:
        found += [f"[[detect]] {rule.id}: {line}" for line in _detect_faults(rule)]
    if provider.handle_pattern and (pattern_fault(provider.handle_pattern) or
                                    re.compile(provider.handle_pattern).groups != 1):
        found.append("handle_pattern: must be a linear-time pattern with exactly one group")
    return found


def _strategy_faults(provider: Provider) -> Iterator[str]:
    create = provider.operation("create")
    if provider.strategy in ("overlap", "cut-over") and create is None:
        yield f"[create]: missing, and strategy {provider.strategy!r} needs it"
    if provider.strategy == "overlap" and provider.operation("revoke") is None:
        yield "[revoke]: missing, and strategy 'overlap' needs it"
    if provider.strategy == "self-issued" and provider.local is None:
        yield "[local]: missing, and strategy 'self-issued' needs it"
    if provider.strategy == "assisted" and create is not None:
        yield "[create]: strategy 'assisted' creates by hand, this table would never be used"
    if provider.fallback_strategy not in ("", "assisted"):
        yield "fallback_strategy: only 'assisted' can be a fallback"
    uses_admin = provider.protocol != "" and provider.strategy == "alternate"
    uses_admin |= any("admin" in op.request.names() for op in provider.operations.values())
    if uses_admin != bool(provider.admin):
        yield "[admin] secret: name it if and only if an operation uses the admin credential"


def _protocol_faults(provider: Provider) -> Iterator[str]:
    if provider.protocol:
        yield from (f"[{name}]: protocol {provider.protocol!r} makes no HTTP requests" for name in provider.operations)
        if provider.host:
            yield "host: where a server of your own is, the configuration's base_url says"


def _refresh_faults(provider: Provider) -> Iterator[str]:
    refresh = provider.operation("refresh")
    if provider.strategy != "refresh":
        if refresh is not None:
            yield f"[refresh]: strategy {provider.strategy!r} would never use this table"
        return
    yield from (f"[{name}]: missing, and strategy 'refresh' needs it" for name in ("refresh", "test", "revoke")
                if provider.operation(name) is None)
    if provider.operation("create") is not None:
        yield "[create]: strategy 'refresh' makes the new one with [refresh], this table would never be used"
    if provider.fallback_strategy:
        yield "fallback_strategy: strategy 'refresh' has none: without its refresh token a person must authorize anew"
    if not provider.manual.reauthorize:
        yield "[manual] reauthorize: missing: how does a person get a new refresh token when this one is spent?"
    if refresh is not None:
        yield from (f"[refresh] {line}" for line in _exchange_faults(refresh))


def _slot_faults(provider: Provider) -> Iterator[str]:
    if provider.strategy != "alternate" or provider.protocol:
        if provider.slots:
            yield f"[slots]: strategy {provider.strategy!r} would never use this table"
        return
    if len(provider.slots) != 2 or not all(at.startswith("/") for at in provider.slots.values()):
        yield "[slots]: strategy 'alternate' needs exactly two, each with the JSON pointer of its value"
    needed = ("create", "recover", "test", "revoke")
    yield from (f"[{name}]: missing, and strategy 'alternate' needs it" for name in needed
                if provider.operation(name) is None)
    for name in ("create", "revoke"):
        operation = provider.operation(name)
        if operation is not None and "handle" not in operation.request.names():
            yield f"[{name}] request: ${{handle}} does not stand in it: which slot?"


def _exchange_faults(refresh: Operation) -> Iterator[str]:
    if "refresh" not in refresh.request.names():
        yield "request: ${refresh} does not stand in it"
    if not refresh.refused:
        yield "refused: missing: by which answer does the provider say that the refresh token is dead?"
    for answer in refresh.ok:
        if not answer.refresh:
            yield "ok.refresh: missing, the next refresh token must stand somewhere"
        if not (answer.expires or answer.expires_in):
            yield "ok.expires_in: missing (or ok.expires): when it is due is counted from it"
    if refresh.lost is Lost.ASK_OLD and "old" in refresh.request.names():
        yield "lost: 'ask-old' cannot be, the old value is part of the request"


def _host_faults(provider: Provider) -> Iterator[str]:
    hosts = {"host": provider.host} | {f"[{n}] request.host": o.request.host for n, o in provider.operations.items()}
    for where, host in hosts.items():
        pinned = OPTION_LABEL.sub("https://option.", host) if where != "host" else host
        if host and (url_fault(pinned) or not host.startswith("https://") or "${" in pinned):
            yield f"{where}: {url_fault(pinned) or 'must be https, and at most its first label an option'}"
        match = OPTION_LABEL.match(host)
        if match and match[1] not in provider.options:
            yield f"{where}: ${{{match[1]}}} is none of [options]"
    for name in RESERVED_OPTIONS & set(provider.options):
        yield f"[options.{name}]: every provider has this option, it cannot be defined"
    for name in set(provider.options) & BUILT_IN:
        yield f"[options.{name}]: is a built-in placeholder"


def _operation_faults(provider: Provider, name: str, operation: Operation) -> Iterator[str]:
    shape = operation.request
    for text in shape.texts():
        if "${" in PLACEHOLDER.sub("", text):
            yield f"request: {text!r} holds a placeholder that is not closed or not lower case"
    known = BUILT_IN | set(provider.options)
    for word in sorted(shape.names() - known):
        yield f"request: ${{{word}}} is neither built in nor one of [options]"
    if "expiry_date" in shape.names() and not provider.lifetime:
        yield "request: ${expiry_date} needs the file's `lifetime`"
    yield from _request_faults(shape)
    if "refresh" in shape.names() and name != "refresh":
        yield "request: ${refresh} may stand in [refresh] only: anywhere else it could be spent unseen"
    if not operation.ok:
        yield "ok: missing"
    yield from _value_faults(provider, name, operation)
    if name == "list":
        yield from _list_faults(operation)


def _value_faults(provider: Provider, name: str, operation: Operation) -> Iterator[str]:
    in_slots = provider.slots and name in ("create", "recover")
    if in_slots and any(answer.value for answer in operation.ok):
        yield "ok.value: [slots] says where the values stand"
    if name == "login" and "admin" not in operation.request.names():
        yield "request: what is exchanged is the admin credential, and it does not stand in it"
    read_back = name == "create" and provider.operation("recover") is not None
    needed = name in ("login", "create", "recover", "refresh") and not in_slots and not read_back
    if needed and not all(answer.value for answer in operation.ok):
        yield "ok.value: missing, the new value must stand somewhere"


def _request_faults(shape: Shape) -> Iterator[str]:
    if not shape.path.startswith("/") or "?" in shape.path or "#" in shape.path:
        yield "request.path: must begin with / and hold no ? or # (use request.query)"
    if shape.auth == "path" and f"${{{shape.credential.placeholder}}}" not in shape.path:
        yield f"request.path: auth = 'path' needs ${{{shape.credential.placeholder}}} in it"
    if shape.json is not None and shape.form is not None:
        yield "request: has both json and form"


def _list_faults(operation: Operation) -> Iterator[str]:
    label = operation.each.ok[0].label if operation.each is not None and operation.each.ok else ""
    for answer in operation.ok:
        if answer.items is None or not (answer.handle or operation.each is not None):
            yield "ok: items and handle are needed to find a credential"
        if not (answer.label or label):
            yield "ok.label: missing (or in [list.each] ok)"


def _detect_faults(rule: Detect) -> Iterator[str]:
    fault = pattern_fault(rule.pattern)
    if fault:
        yield f"pattern {fault}"
        return
    if fault := pattern_fault(rule.expression):
        yield f"near makes an expression that {fault}"
        return
    if rule.confidence not in ("high", "medium", "low"):
        yield "confidence must be high, medium or low"
    if not rule.examples:
        yield "has no example"
    yield from (f"example {index + 1} does not match" for index, text in enumerate(rule.examples)
                if not rule.find(text))
    yield from (f"negative {index + 1} matches" for index, text in enumerate(rule.negative) if rule.find(text))
