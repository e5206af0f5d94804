"""How damage in a cluster is told. What brings a document back there is the cluster's own, not a backup of ours."""

from __future__ import annotations

from clawsecrets.errors import StoreDamaged, StoreError

UNDO = ("bring that document back: `bao kv undelete` if it was deleted, `bao kv rollback` if it was altered, else a "
        "snapshot of the cluster: `bao operator raft snapshot restore FILE`")


class NotForUs(StoreError):
    """The server answers, and does not give this one path to this token."""


def damaged(message: str, undo: str = "") -> StoreDamaged:
    """What stands in the cluster is not what was written. `undo`: what brings it back, where that is known."""
    return StoreDamaged(message, undo or UNDO)


def undelete(mount: str, path: str, version: int) -> str:
    """How a document is brought back whose newest version was deleted."""
    return f"bao kv undelete -mount={mount} -versions={version} {path} (vault: the same)"


def rollback(mount: str, path: str, version: int) -> str:
    """How a document is brought back that somebody wrote over."""
    if version < 2:
        return f"nothing stood there before: bao kv metadata delete -mount={mount} {path} (vault: the same)"
    return (f"bao kv rollback -mount={mount} -version={version - 1} {path} (vault: the same); if that was written over "
            "as well, a snapshot of the cluster: bao operator raft snapshot restore FILE")
