"""Vault's provider files against a real OpenBao: secret-ids, tokens, certificates, and a static role of a real
PostgreSQL."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from clawsecrets.clients.postgres import Trouble, session
from clawsecrets.issuers.http import HttpIssuer
from clawsecrets.issuers.loader import load_providers
from clawsecrets.model.database import database_at
from clawsecrets.model.rotation import Outcome
from clawsecrets.model.secret import SecretValue
from clawsecrets.ports import Request
from tests.canary import search
from tests.cli.desk import Desk
from tests.real import postgres
from tests.real.openbao import Dev

pytestmark = pytest.mark.real("openbao")
FILES = load_providers()
POLICY = """
path "auth/approle/role/app/secret-id" { capabilities = ["create", "update", "list"] }
path "auth/approle/role/app/secret-id/lookup" { capabilities = ["update"] }
path "auth/approle/role/app/secret-id-accessor/*" { capabilities = ["update"] }
path "auth/token/create-orphan" { capabilities = ["update", "sudo"] }
path "auth/token/accessors" { capabilities = ["list", "sudo"] }
path "auth/token/lookup-accessor" { capabilities = ["update"] }
path "auth/token/revoke-accessor" { capabilities = ["update"] }
path "auth/token/lookup-self" { capabilities = ["read"] }
path "database/rotate-role/app" { capabilities = ["update"] }
path "database/static-creds/app" { capabilities = ["read"] }
path "pki/issue/app" { capabilities = ["update"] }
path "pki/revoke" { capabilities = ["update"] }
"""
"""What the admin token may do here: all that the four files need, and no more."""


@dataclass
class Bench:
    """A server, and the token that the files work with."""

    bao: Dev
    token: str

    def request(self, label: str = "rot-1", **options: str) -> Request:
        return Request("s", label, admin=SecretValue(self.token), options={"base_url": self.bao.url, **options})


@pytest.fixture(scope="module")
def bench() -> Iterator[Bench]:
    with Dev() as bao:
        bao.api("POST", "sys/auth/approle", {"type": "approle"})
        bao.api("POST", "auth/approle/role/app", {"token_policies": ["default"]})
        bao.policy("clawsecrets", POLICY)
        yield Bench(bao, bao.make_token("clawsecrets"))


CASES = [("vault-approle", {"role": "app"}), ("vault-app-token", {"policies": "default"})]


@pytest.mark.parametrize(("code", "options"), CASES)
def test_made_tested_found_and_revoked(bench: Bench, code: str, options: dict[str, str]) -> None:
    issuer, asked = HttpIssuer(FILES[code]), bench.request(f"rot-{code}", **options)
    assert issuer.find(asked)[0].outcome is Outcome.OK and not issuer.find(asked)[1]
    made = issuer.create(asked)
    assert made.outcome is Outcome.OK and made.value is not None and made.handle, made
    reply, listed = issuer.find(asked)
    assert reply.outcome is Outcome.OK and [item.handle for item in listed] == [made.handle], "a crash would find it"
    assert issuer.find(bench.request("rot-other", **options))[1] == ()
    seen = issuer.test(made.value, asked)
    assert seen.outcome is Outcome.OK and seen.handle == made.handle
    assert issuer.revoke(made.handle, made.value, asked).outcome is Outcome.OK
    assert issuer.test(made.value, asked).outcome is Outcome.REFUSED
    assert issuer.revoke(made.handle, made.value, asked).outcome is Outcome.OK, "already gone is gone"
    assert not issuer.find(asked)[1]


@pytest.mark.parametrize(("code", "options"), CASES)
def test_a_token_that_may_not_is_told_so(bench: Bench, code: str, options: dict[str, str]) -> None:
    issuer = HttpIssuer(FILES[code])
    weak = replace(bench.request(**options), admin=SecretValue(bench.bao.make_token("default")))
    assert issuer.create(weak).outcome is Outcome.REFUSED
    assert issuer.find(weak)[0].outcome is Outcome.REFUSED
    assert issuer.revoke("some-accessor", None, weak).outcome is Outcome.REFUSED


def test_a_new_token_outlives_the_one_that_made_it(bench: Bench) -> None:
    """Made by plain `create` it would be that one's child, and die with it."""
    maker = bench.bao.make_token("clawsecrets")
    issuer = HttpIssuer(FILES["vault-app-token"])
    asked = replace(bench.request(policies="default", ttl="2h"), admin=SecretValue(maker))
    made = issuer.create(asked)
    assert made.value is not None and made.expires_at
    bench.bao.api("POST", "auth/token/revoke", {"token": maker})
    assert issuer.test(made.value, asked).outcome is Outcome.OK


def test_a_sealed_server_concludes_nothing() -> None:
    with Dev() as bao:
        bao.seal()
        bench = Bench(bao, bao.token)
        for code, options in CASES:
            issuer, asked = HttpIssuer(FILES[code]), bench.request(**options)
            assert issuer.test(SecretValue("s.whatever"), asked).outcome in (Outcome.LATER, Outcome.UNKNOWN)
            assert issuer.create(asked).outcome is Outcome.UNKNOWN


# --- whole rotations ---


def desk_for(bench: Bench, folder: Path, code: str, options: dict[str, str], first: str, handle: str = "") -> Desk:
    made = Desk(folder / "s")
    made.config(f'[rotation]\npatience = "1s"\n[providers.{code}]\nbase_url = "{bench.bao.url}"\n'
                f'[providers.vault-token]\nbase_url = "{bench.bao.url}"\n'
                f'[injectors.out]\nkind = "directory"\npath = "{made.root}/out"\n'
                '[consumers.app]\nkind = "command"\nprobe = ["true"]\n')
    made.init()
    made.quick("set", "vault-token", "--provider", "vault-token", stdin=bench.token.encode())
    made.quick("set", "it", "--provider", code, stdin=first.encode())
    words = [word for name, text in options.items() for word in ("--option", f"{name}={text}")]
    made.quick("configure", "it", *words, *(["--handle", handle] if handle else []), "--inject", "out",
               "--consume", "app")
    return made


@pytest.mark.parametrize(("code", "options"), CASES)
def test_rotated_twice(bench: Bench, tmp_path: Path, code: str, options: dict[str, str]) -> None:
    issuer, asked = HttpIssuer(FILES[code]), bench.request("by-hand", **options)
    first = issuer.create(asked)
    assert first.value is not None
    desk, values = desk_for(bench, tmp_path, code, options, first.value.reveal_text(), first.handle), [first.value]
    for _ in range(2):
        ran = desk.ok("rotate", "it", "--json")
        (answer,) = json.loads(ran.out)["rotations"]
        assert answer["outcome"] == "rotated", answer
        values.append(SecretValue(desk.quick("get", "it", "--raw").out))
        assert [issuer.test(value, asked).outcome for value in values] == [Outcome.REFUSED] * (len(values) - 1) + [
            Outcome.OK]
        said = ran.everything + desk.ok("audit-log").everything + desk.ok("history", "it").everything
        assert not any(search(said.encode(), value.reveal()) for value in values)
        assert not search(said.encode(), bench.token.encode())


def test_a_certificate_is_issued_delivered_and_revoked(bench: Bench, tmp_path: Path) -> None:
    bench.bao.mount("pki", "pki")
    bench.bao.api("POST", "pki/root/generate/internal", {"common_name": "ca", "ttl": "8760h"})
    bench.bao.api("POST", "pki/roles/app", {"allow_any_name": True, "max_ttl": "720h"})
    options = {"role": "app", "common_name": "gw.example"}
    first = HttpIssuer(FILES["vault-pki"]).create(bench.request(**options))
    assert first.value is not None and first.handle and first.expires_at
    text = first.value.reveal_text()
    assert "PRIVATE KEY-----" in text and "BEGIN CERTIFICATE-----" in text
    desk = desk_for(bench, tmp_path, "vault-pki", options, text, first.handle)
    ran = desk.ok("rotate", "it", "--json")
    (answer,) = json.loads(ran.out)["rotations"]
    assert answer["outcome"] == "replaced, with caveats", answer
    new = (desk.root / "out" / "it").read_text()
    assert "PRIVATE KEY-----" in new and new != text
    assert bench.bao.api("GET", f"pki/cert/{first.handle}")["data"]["revocation_time"] > 0
    assert not search(ran.everything.encode(), new.splitlines()[2].encode())


@pytest.fixture(scope="module")
def role(bench: Bench) -> Iterator[postgres.Server]:
    """A real PostgreSQL with a role `app`, which the real OpenBao manages as a static role."""
    if reason := postgres.missing():
        pytest.skip(f"real component missing: {reason}")
    with postgres.server() as at:
        with session(database_at(at.url), postgres.ADMIN, postgres.ADMIN_PASSWORD) as admin:
            admin.rows("CREATE ROLE app LOGIN")
        bench.bao.mount("database", "database")
        bench.bao.api("POST", "database/config/pg", {
            "plugin_name": "postgresql-database-plugin", "allowed_roles": "*", "username": postgres.ADMIN,
            "password": postgres.ADMIN_PASSWORD, "password_authentication": "scram-sha-256",
            "connection_url": f"postgresql://{{{{username}}}}:{{{{password}}}}@127.0.0.1:{at.port}/postgres"})
        bench.bao.api("POST", "database/static-roles/app",
                      {"db_name": "pg", "username": "app", "rotation_period": "2400h"})
        yield at


def test_a_static_role_is_rotated_and_read_back(bench: Bench, role: postgres.Server, tmp_path: Path) -> None:
    first = bench.bao.api("GET", "database/static-creds/app")["data"]["password"]
    desk, at = desk_for(bench, tmp_path, "vault-database", {"role": "app"}, first), database_at(role.url)
    with session(at, "app", first):
        pass
    ran = desk.ok("rotate", "it", "--json")
    (answer,) = json.loads(ran.out)["rotations"]
    assert answer["outcome"] == "rotated", answer
    value = desk.quick("get", "it", "--raw").out
    with session(at, "app", value) as used:
        assert used.rows("SELECT current_user") == [["app"]]
    with pytest.raises(Trouble) as refused, session(at, "app", first):
        pass
    assert refused.value.wrong_password
    assert not search(ran.everything.encode(), value.encode())


def test_a_role_that_is_not_there_changes_nothing(bench: Bench, role: postgres.Server) -> None:
    issuer, asked = HttpIssuer(FILES["vault-database"]), bench.request(role="nobody")
    assert replace(asked, admin=None) and issuer.create(asked).outcome is Outcome.REFUSED
    assert issuer.create(replace(asked, admin=None)).outcome is Outcome.REFUSED
