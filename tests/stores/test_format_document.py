"""docs/store-format.md is complete: a reader written from it alone (no product code) reads the vector of format 1."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import sqlite3
import struct
from pathlib import Path

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

FOLDER = Path(__file__).parents[1] / "vectors" / "store" / "format-1"
GOOD = json.loads((FOLDER / "vectors.json").read_text())["good"]


def canonical(plain: object) -> bytes:
    return json.dumps(plain, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def derive(key: bytes, store: str, purpose: str) -> bytes:
    return HKDF(SHA256(), 32, salt=store.encode(), info=b"clawsecrets/1/" + purpose.encode()).derive(key)


def unseal(key: bytes, sealed: bytes, store: str, *parts: str | int) -> bytes:
    aad = json.dumps(["clawsecrets/1", store, *parts], separators=(",", ":")).encode()
    return AESGCM(key).decrypt(sealed[:12], sealed[12:], aad)


def test_a_reader_from_the_document_alone() -> None:
    db = sqlite3.connect(f"file:{FOLDER / 'good.db'}?mode=ro&immutable=1", uri=True)
    meta = dict(db.execute("SELECT key, value FROM meta"))
    store = meta["store"].decode()
    slots = list(db.execute("SELECT kind, params, wrapped FROM slots ORDER BY id"))
    kind, params, wrapped = next(slot for slot in slots if slot[0] == "key-file")
    _, label, text = (FOLDER / "good.key").read_text().strip().split(":")
    assert json.loads(params)["key"] == label
    kek = derive(base64.b64decode(text), store, "slot")
    master = unseal(kek, wrapped, store, "slot", kind, canonical(json.loads(params)).decode())

    sealed = db.execute("SELECT sealed FROM manifest").fetchone()[0]
    manifest = json.loads(unseal(derive(master, store, "manifest"), sealed, store, "manifest"))
    assert manifest["generation"] == GOOD["generation"]
    heads = list(db.execute("SELECT name, revision, deleted, digest FROM heads ORDER BY name"))
    root = b"".join(struct.pack(">H", len(n)) + n.encode() + struct.pack(">QB", r, d) + g for n, r, d, g in heads)
    assert hashlib.sha256(root).hexdigest() == manifest["root"]
    listed = canonical([[k, json.loads(p), w.hex()] for k, p, w in slots])
    assert hashlib.sha256(listed).hexdigest() == manifest["slots"]

    for name, revision, deleted, digest in heads:
        body_row = db.execute("SELECT sealed FROM bodies WHERE name = ?", (name,)).fetchone()[0]
        assert hashlib.sha256(body_row).digest() == digest
        body = json.loads(unseal(derive(master, store, "record"), body_row, store, "record", name, revision, deleted))
        assert body["record"]["secret"]["name"] == name
        for number, value in GOOD["values"][name].items():
            query = "SELECT wrapped, sealed FROM vals WHERE name = ? AND number = ?"
            row = db.execute(query, (name, number)).fetchone()
            assert hashlib.sha256(row[0] + row[1]).hexdigest()[:32] == body["values"][number]
            data_key = unseal(derive(master, store, "key"), row[0], store, "key", name, int(number))
            assert unseal(data_key, row[1], store, "value", name, int(number)).hex() == value
        chain = hashlib.sha256(b"clawsecrets-history-1").digest()
        buried = list(db.execute("SELECT position, sealed FROM history WHERE name = ? ORDER BY position", (name,)))
        for position, row in buried:
            chain = hashlib.sha256(chain + hashlib.sha256(row).digest()).digest()
            unseal(derive(master, store, "history"), row, store, "history", name, position)
        assert body["history"] == [len(buried), chain.hex()]

    seed = unseal(derive(master, store, "lasting"), meta["lasting"], store, "lasting")
    mark = hmac.new(derive(seed, store, "fingerprint"), b"second", "sha256").hexdigest()[:16]
    assert mark == GOOD["fingerprint_of_second"]
    audit = derive(master, store, "audit")
    mac = hmac.new(audit, b"clawsecrets-audit-v1", "sha256").digest()
    for event, kept in db.execute("SELECT event, mac FROM audit ORDER BY seq"):
        mac = hmac.new(audit, mac + event, "sha256").digest()
        assert mac == kept
    assert mac.hex() == manifest["audit_head"]
    lease_key = derive(master, store, "lease")
    for *columns, kept in db.execute("SELECT * FROM leases"):
        assert hmac.new(lease_key, canonical(columns), "sha256").digest() == kept
    anchor = json.loads((FOLDER / "good.anchor").read_text())
    kept = bytes.fromhex(anchor.pop("mac"))
    assert hmac.new(derive(seed, store, "anchor"), canonical(anchor), "sha256").digest() == kept
    assert (anchor["digest"], anchor["store"]) == (hashlib.sha256(sealed).hexdigest(), store)
    db.close()


def test_the_document_says_the_fingerprint_and_the_tables() -> None:
    text = (Path(__file__).parents[2] / "docs" / "store-format.md").read_text()
    from clawsecrets.stores.database import SCHEMA

    for statement in SCHEMA:
        assert f"| `{statement.split()[2]}` |" in text
    assert "first 16 hex digits of HMAC-SHA-256(fingerprint key, value)" in text
