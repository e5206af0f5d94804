"""The local issuer: random, of the declared form, and never asking anybody."""

from __future__ import annotations

import base64
from dataclasses import replace
from pathlib import Path

from clawsecrets.issuers.loader import load_file
from clawsecrets.issuers.local import LocalIssuer
from clawsecrets.model.provider import Local
from clawsecrets.model.rotation import Outcome
from clawsecrets.ports import Request

GATEWAY = Path(__file__).parent.parent.parent / "providers" / "openclaw-gateway.toml"


def test_values_are_random_and_of_the_declared_form() -> None:
    provider = load_file(GATEWAY)
    for local in (Local(32, "hex", ""), Local(48, "base64url", "pre_")):
        issuer = LocalIssuer(replace(provider, local=local))
        values = [issuer.create(Request("s", "r")).value for _ in range(50)]
        texts = [value.reveal_text() for value in values if value is not None]
        assert len(set(texts)) == 50
        for text in texts:
            body = text.removeprefix(local.prefix)
            padded = body + "=" * (-len(body) % 4)
            raw = bytes.fromhex(body) if local.encoding == "hex" else base64.urlsafe_b64decode(padded)
            assert len(raw) == local.bytes


def test_nobody_is_asked() -> None:
    issuer, request = LocalIssuer(load_file(GATEWAY)), Request("s", "r")
    value = issuer.create(request).value
    assert value is not None
    assert issuer.test(value, request).untestable
    assert issuer.revoke("", value, request).untestable
    assert issuer.find(request)[1] == ()
    assert issuer.recover(request).outcome is Outcome.REFUSED
    assert issuer.can("create")
    assert not issuer.can("test")
    assert "random bytes" in issuer.describe("create", request)
