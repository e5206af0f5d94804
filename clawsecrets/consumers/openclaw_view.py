"""What a running OpenClaw gateway holds and how it fares, read by RPC. Changes nothing.

Source: `openclaw@2026.9.6`. `config.get` shows where SecretRefs stand (their ids are redacted); `secrets.resolve`
reads the value of one field back from the active runtime snapshot, for fields of its target registry, whose ids are
the field's path with `*` for chosen names; `status` lists degraded secret owners; `channels.status` probes channels;
`doctor.memory.status` names the provider that memory search uses.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise

from clawsecrets.clients.gateway import GatewayClient, GatewayRpcError
from clawsecrets.model.secret import SecretValue
from clawsecrets.ports import Handover

Path = tuple[str, ...]

_MAX_WILDCARDS = 3
_REJECTED = frozenset({401, 403, 404})
"""HTTP statuses of a channel's probe that mean: the platform refuses this token (Telegram says 404 to a malformed
one)."""

DEFAULT_SEARCH = "openai"
"""The provider of memory search where none is named, or `auto`."""
KEY_OF = {"gemini": "google", "bedrock": "amazon-bedrock"}
"""A provider of memory search -> the model provider whose key it uses, where the two are not called alike."""


@dataclass(frozen=True, slots=True)
class Holdings:
    """Where the gateway's active snapshot stands with one handover. Paths are configuration fields."""

    new_at: Sequence[Path]
    old_at: Sequence[Path]
    frozen_at: Sequence[Path]
    """Fields with the old value that come from the gateway's environment (`.env`): a reload does not change them."""
    unread: Sequence[Path]
    """Fields with a SecretRef that the gateway does not read back; the value may stand there."""
    refs: int
    """Fields with an exec SecretRef in all."""


@dataclass(frozen=True, slots=True)
class Health:
    """How a channel account answers: `ok`, `rejected` (the platform refuses its token), or neither: cannot tell."""

    ok: bool
    rejected: bool
    untestable: bool
    detail: str


def dotted(path: Path) -> str:
    """The field as OpenClaw writes it."""
    return ".".join(path)


def source_config(client: GatewayClient) -> dict[str, object]:
    """The configuration as written, secrets redacted, SecretRefs in place."""
    answer = client.call("config.get")
    for key in ("sourceConfig", "parsed"):
        config = answer.get(key)
        if isinstance(config, dict) and config:
            return config
    return {}


def ref_paths(config: Mapping[str, object], at: Path = (), source: str = "exec") -> Iterator[Path]:
    """Every field whose value is a SecretRef of this source."""
    for key, value in config.items():
        if not isinstance(value, dict) or (not at and key == "secrets"):
            continue
        if value.get("source") == source and {"provider", "id"} <= value.keys():
            yield (*at, key)
        else:
            yield from ref_paths(value, (*at, key), source)


def holdings(client: GatewayClient, config: Mapping[str, object], handover: Handover) -> Holdings:
    """Where the new and the old value stand in the active snapshot."""
    new = _forms(handover.new)
    old = [form for form in _forms(handover.old) if form not in new] if handover.old is not None else []
    paths, frozen = list(ref_paths(config)), set(ref_paths(config, source="env"))
    held = {path: _read(client, path) for path in (*paths, *frozen)}
    return Holdings(
        new_at=[path for path, value in held.items() if value is not None and value in new],
        old_at=[path for path, value in held.items() if value is not None and value in old and path not in frozen],
        frozen_at=[path for path, value in held.items() if value is not None and value in old and path in frozen],
        unread=[path for path, value in held.items() if value is None and path not in frozen],
        refs=len(paths),
    )


def _forms(value: SecretValue) -> list[SecretValue]:
    """What a field may hold of it: the whole, or one text field of a JSON object (ids of the form `name#field`)."""
    forms = [SecretValue(value.reveal().strip())]
    try:
        parsed = json.loads(value.reveal())
    except ValueError:
        return forms
    if isinstance(parsed, dict):
        forms.extend(SecretValue(text.strip()) for text in parsed.values() if isinstance(text, str) and text.strip())
    return forms


def _read(client: GatewayClient, path: Path) -> SecretValue | None:
    for target in _targets(path):
        try:
            params = {"commandName": "clawsecrets", "targetIds": [target], "allowedPaths": [dotted(path)]}
            answer = client.call("secrets.resolve", params)
        except GatewayRpcError as error:
            if error.code != "INVALID_REQUEST":
                raise
            continue  # not a target id of this gateway
        for row in _rows(answer.get("assignments")):
            value = row.get("value")
            if row.get("pathSegments") == list(path) and isinstance(value, str):
                return SecretValue(value.strip())
        return None
    return None


def _targets(path: Path) -> Iterator[str]:
    """Ids that the field may go by: its path, with up to three names replaced by `*`."""
    for stars in range(min(_MAX_WILDCARDS, len(path)) + 1):
        for chosen in combinations(range(len(path)), stars):
            yield ".".join("*" if place in chosen else name for place, name in enumerate(path))


def degraded(client: GatewayClient, paths: Sequence[Path]) -> str:
    """One line about a degraded secret owner that one of these fields belongs to; empty when there is none."""
    wanted = {dotted(path) for path in paths}
    for owner in _rows(client.call("status").get("degradedSecretOwners")):
        named = owner.get("paths")
        if isinstance(named, list) and wanted & {str(path) for path in named}:
            kind, who, reason = owner.get("ownerKind"), owner.get("ownerId"), owner.get("reason")
            return f"{kind} {who} is {owner.get('degradationState')}: {reason}"
    return ""


def channel_health(client: GatewayClient, paths: Sequence[Path], timeout: float) -> list[Health]:
    """One answer per channel account that a field of these belongs to, probed live within `timeout` seconds."""
    if not any(path[0] == "channels" and len(path) > 2 for path in paths):
        return []
    params = {"probe": True, "timeoutMs": int(timeout * 1000)}
    status = client.call("channels.status", params, timeout=timeout * 3)
    found = {}
    for path in paths:
        if path[0] == "channels" and len(path) > 2:
            channel, account = path[1], path[3] if path[2] == "accounts" else ""
            found[channel, account] = _account_health(status, channel, account)
    return list(found.values())


def _account_health(status: Mapping[str, object], channel: str, account: str) -> Health:
    defaults, accounts = status.get("channelDefaultAccountId"), status.get("channelAccounts")
    account = account or str((defaults if isinstance(defaults, dict) else {}).get(channel, "default"))
    label = f"channel {channel}:{account}"
    for row in _rows((accounts if isinstance(accounts, dict) else {}).get(channel)):
        if row.get("accountId") == account:
            return _judge(label, row)
    return Health(False, False, True, f"{label} is not among the gateway's channels")


def _judge(label: str, row: Mapping[str, object]) -> Health:
    """The probe tests the new token by itself; only `connected` shows that the channel took it. A channel that did
    not stop in time (`lastError`) may go on with the old one."""
    probe = row.get("probe")
    if not isinstance(probe, dict):
        return Health(False, False, True, f"{label} has no probe")
    rejected = probe.get("status") in _REJECTED or row.get("terminalDisconnect") is True
    started = row.get("running") is True and row.get("connected") is not False
    settled = row.get("lifecycle") in (None, "ready") and "timed out" not in str(row.get("lastError"))
    ok = probe.get("ok") is True and started and settled and not rejected
    state = "answers" if ok else "is refused by its platform" if rejected else "does not answer"
    return Health(ok, rejected, False, f"{label} {state}")


def kept_by_memory(client: GatewayClient, config: Mapping[str, object], paths: Sequence[Path]) -> list[Path]:
    """Those of these fields whose value memory search caches: a reload does not reach its embeddings."""
    models = [path for path in paths if path[:2] == ("models", "providers") and len(path) > 3]
    own = [path for path in paths if ("memory", "search") in pairwise(path)]
    if not models:
        return own
    status = client.call("doctor.memory.status")
    provider = status.get("provider")
    if not isinstance(provider, str) and status.get("searchRuntimeRegistered") is not True:
        return own  # no plugin that searches. (True without a provider: the agent that it tells of does not search.)
    used = {*_search_providers(config), *([provider] if isinstance(provider, str) else [])}
    if _takes_default(config):
        used.add(DEFAULT_SEARCH)
    used = {KEY_OF.get(name, name) for name in used}
    return own + [path for path in models if path[2] in used]


def _takes_default(config: Mapping[str, object]) -> bool:
    """Whether agents that say nothing of their own search with the default provider."""
    memory = config.get("memory")
    search = memory.get("search") if isinstance(memory, dict) else None
    given = search if isinstance(search, dict) else {}
    return given.get("enabled") is not False and given.get("provider") in (None, "", "auto")


def _search_providers(node: Mapping[str, object]) -> Iterator[str]:
    """Every provider that is named for searching, or for when that one fails."""
    for key, value in node.items():
        if not isinstance(value, dict):
            continue
        search = value.get("search") if key == "memory" else None
        if isinstance(search, dict):
            named = (search.get("provider"), search.get("fallback"))
            yield from (DEFAULT_SEARCH if one == "auto" else one.strip() for one in named if isinstance(one, str))
        yield from _search_providers(value)


def _rows(value: object) -> list[dict[str, object]]:
    return [row for row in value if isinstance(row, dict)] if isinstance(value, list) else []
