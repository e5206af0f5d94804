"""The objects of `--json` that several commands share (docs/json.md documents each field)."""

from __future__ import annotations

from clawsecrets.model.record import Record
from clawsecrets.model.secret import Version


def secret_json(record: Record) -> dict[str, object]:
    """The documented object of one secret (`list --json`)."""
    secret, current = record.secret, record.current
    return {
        "name": secret.name, "provider": secret.provider, "kind": secret.kind.value, "env": secret.env,
        "version": current.number if current else 0, "created_at": current.created_at if current else 0,
        "fingerprint": current.fingerprint if current else "", "group": secret.group,
        "deleted_at": secret.deleted_at,
        "paused": None if not secret.paused_at else {
            "since": secret.paused_at, "until": secret.paused_until, "reason": secret.pause_reason},
    }


def version_json(version: Version) -> dict[str, object]:
    """The documented object of one version."""
    return {
        "version": version.number, "stage": version.stage.value, "created_at": version.created_at,
        "fingerprint": version.fingerprint, "handle": version.handle, "identity": version.identity,
        "origin": version.origin, "tested_at": version.tested_at, "proven_at": version.proven_at,
        "dead_at": version.dead_at, "erased_at": version.erased_at, "expires_at": version.expires_at,
    }


def rotation_json(record: Record) -> dict[str, object] | None:
    """The documented object of a record's unfinished or last rotation."""
    rotation = record.rotation
    if rotation is None:
        return None
    return {
        "id": rotation.id, "secret": rotation.secret, "strategy": rotation.strategy, "state": rotation.state.value,
        "final": rotation.final, "old_version": rotation.old_version, "new_version": rotation.new_version,
        "started_at": rotation.started_at, "entered_at": rotation.entered_at, "finished_at": rotation.finished_at,
        "waits_for": rotation.waits_for.value, "until": rotation.until, "note": rotation.note,
        "stuck_in": rotation.stuck_in.value if rotation.stuck_in else None,
        "compromised": rotation.compromised, "caveats": list(rotation.caveats),
    }
