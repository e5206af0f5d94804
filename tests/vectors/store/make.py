"""Make the store vectors: small store files with fixed keys, and files that must fail with a named error.

Run `python -m tests.vectors.store.make` once per format version, into a folder of that version; what is committed
must open for ever and is never made again (the files hold random nonces, so another run gives other files).
"""

from __future__ import annotations

import json
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from unittest import mock

from clawsecrets.model.record import Record
from clawsecrets.model.secret import SecretValue, Stage, Version
from clawsecrets.ports import Change
from clawsecrets.stores import recovery, sqlite
from clawsecrets.stores.keys import KeyFile, KeySource, Passphrase
from clawsecrets.stores.seal import FORMAT
from tests.contract.store import NOW, change, event, everything, fresh

HERE = Path(__file__).parent / f"format-{FORMAT}"
CODE_BYTES = bytes(range(20))
PASSPHRASE = "the passphrase of a test vector"
FLIPS = {
    "slot-removed": ("DELETE FROM slots WHERE kind = 'recovery'", "StoreDamaged", "key slots"),
    "slot-recipient-exchanged": (
        "UPDATE slots SET params = (SELECT CAST(replace(params, 'recipient', 'recipienT') AS BLOB)) "
        "WHERE kind = 'recovery'", "StoreDamaged", "key slots"),
    "head-deleted": ("UPDATE heads SET deleted = 1 WHERE name = 'plain'", "StoreDamaged", "records do not fit"),
    "body-exchanged": ("UPDATE bodies SET sealed = (SELECT sealed FROM bodies WHERE name = 'full') WHERE "
                       "name = 'plain'", "StoreDamaged", "record of plain"),
    "value-exchanged": ("UPDATE vals SET (wrapped, sealed) = (SELECT wrapped, sealed FROM vals WHERE name = 'full' "
                        "AND number = 2) WHERE name = 'plain'", "StoreDamaged", "value of plain version 2"),
    "value-removed": ("DELETE FROM vals WHERE name = 'plain'", "StoreDamaged", "value of plain version 2"),
    "history-removed": ("DELETE FROM history", "StoreDamaged", "history of plain"),
    "audit-altered": ("UPDATE audit SET event = CAST(replace(event, 'tester', 'nobody') AS BLOB) WHERE seq = 1",
                      "StoreDamaged", "event 1"),
    "audit-truncated": ("DELETE FROM audit WHERE seq = (SELECT max(seq) FROM audit)", "StoreDamaged", "audit log"),
    "lease-altered": ("UPDATE leases SET epoch = 1000", "StoreDamaged", "lease on plain"),
    "meta-lasting-replaced": ("UPDATE meta SET value = x'00' WHERE key = 'lasting'", "StoreDamaged", "lasting"),
    "format-newer": ("UPDATE meta SET value = CAST('999' AS BLOB) WHERE key = 'format'", "StoreError", "format 999"),
    "trigger-added": ("CREATE TRIGGER t AFTER INSERT ON vals BEGIN DELETE FROM vals; END", "StoreDamaged", "tables"),
    "manifest-removed": ("DELETE FROM manifest", "StoreDamaged", "manifest"),
}
"""Name: what is done to good.db, the error's class, and words in its message."""


def plain_records(store: sqlite.SqliteStore) -> None:
    """One secret with a history, one with every field set, one deleted; a lease and a read."""
    record = store.commit([Change(fresh("plain"), event(secret="plain"), {1: SecretValue("first")})])[0]
    record = store.commit([change(record.put_current(Version(2, Stage.CURRENT, NOW)), {2: "second"})])[0]
    store.commit([change(record.change(1, lambda v: replace(v, stage=Stage.REVOKED, erased_at=NOW)))])
    store.commit([change(everything("full"), {1: "one", 2: "two ünï"})])
    gone: Record = replace(fresh("gone"), secret=replace(fresh("gone").secret, deleted_at=NOW))
    store.commit([Change(gone, event(secret="gone"), {1: SecretValue(b"\x00\xff")})])
    store.release(store.acquire("plain", "maker", 1.0))
    store.log(event("value.read", "plain"))


@contextmanager
def fixed_code() -> Iterator[SecretValue]:
    code = SecretValue(recovery.written(CODE_BYTES))
    with mock.patch.object(sqlite, "new_code", lambda: code):
        yield code


def flat(path: Path) -> None:
    """One file, no write-ahead log, small pages."""
    db = sqlite3.connect(path, isolation_level=None)
    db.execute("PRAGMA journal_mode = DELETE")
    db.execute("PRAGMA page_size = 512")
    db.execute("VACUUM")
    db.close()


def main() -> None:
    HERE.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        key = KeyFile(root / "key")
        sources: list[KeySource] = [key, Passphrase(SecretValue(PASSPHRASE), {"iterations": 1, "lanes": 1,
                                                                              "memory": 64})]
        with fixed_code() as code:
            store, _ = sqlite.create(root / "d" / "store.db", root / "a" / "anchor", sources)
        plain_records(store)
        mark = store.fingerprint(SecretValue("second"))
        generation = store.view.manifest.generation
        store.close()
        flat(root / "d" / "store.db")
        shutil.copyfile(root / "d" / "store.db", HERE / "good.db")
        shutil.copyfile(root / "a" / "anchor", HERE / "good.anchor")
        shutil.copyfile(key.path, HERE / "good.key")
        failing = []
        for name, (statement, error, words) in FLIPS.items():
            shutil.copyfile(HERE / "good.db", HERE / f"bad-{name}.db")
            db = sqlite3.connect(HERE / f"bad-{name}.db")
            db.execute(statement)
            db.commit()
            db.close()
            failing.append({"file": f"bad-{name}.db", "error": error, "words": words})
        content = (HERE / "good.db").read_bytes()
        (HERE / "bad-truncated.db").write_bytes(content[: len(content) // 2])
        failing.append({"file": "bad-truncated.db", "error": "StoreDamaged", "words": "damaged"})
        listed = {
            "format": FORMAT,
            "good": {
                "file": "good.db", "anchor": "good.anchor", "key_file": "good.key", "passphrase": PASSPHRASE,
                "recovery_code": code.reveal_text(), "generation": generation, "fingerprint_of_second": mark,
                "values": {"plain": {"2": b"second".hex()}, "full": {"1": b"one".hex(), "2": "two ünï".encode().hex()},
                           "gone": {"1": "00ff"}},
                "history_of_plain": [1, 2], "events": 6,
            },
            "failing": failing,
        }
        (HERE / "vectors.json").write_text(json.dumps(listed, indent=2, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
