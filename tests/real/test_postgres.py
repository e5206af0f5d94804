"""Two roles of a real PostgreSQL: what the issuer does there, and whole rotations by the command line."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from clawsecrets.clients.postgres import Trouble, session, verifier
from clawsecrets.issuers.loader import load_providers
from clawsecrets.issuers.postgres import PostgresIssuer
from clawsecrets.model.database import database_at, login_of
from clawsecrets.model.rotation import Outcome
from clawsecrets.model.secret import SecretValue
from clawsecrets.ports import Request
from tests.canary import search
from tests.cli.desk import Desk
from tests.real.postgres import ADMIN, ADMIN_PASSWORD, Server, server

pytestmark = pytest.mark.real("postgresql")
FIRST = "first-canary-Xw72Lq09"
ODD = 'odd "role"; \'x\\'
"""A role's name that must be quoted."""


@pytest.fixture(scope="module")
def running() -> Iterator[Server]:
    with server() as made:
        yield made


@pytest.fixture
def fresh(running: Server) -> Server:
    """Role app_a is in use with FIRST, app_b is there and cannot log in."""
    with admin(running) as at:
        for role in ("app_a", "app_b"):
            at.rows("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = :role", role=role)
            at.rows(f"DROP ROLE IF EXISTS {role}")
            at.rows(f"CREATE ROLE {role} NOLOGIN")
        at.rows(f"ALTER ROLE app_a LOGIN PASSWORD '{verifier(FIRST)}'")
    return running


def admin(at: Server):  # type: ignore[no-untyped-def]
    return session(database_at(at.url), ADMIN, ADMIN_PASSWORD)


def url(role: str, password: str, at: Server) -> SecretValue:
    return SecretValue(database_at(at.url).url_for(role, password))


def issuer() -> PostgresIssuer:
    return PostgresIssuer(load_providers()["postgresql"])


def request(at: Server, **options: str) -> Request:
    return Request("db", "rot-1", old=url("app_a", FIRST, at), old_handle="app_a", admin=SecretValue(ADMIN_PASSWORD),
                   options={"base_url": at.url, "role_a": "app_a", "role_b": "app_b", **options})


def test_the_verifier_is_what_the_server_would_have_made() -> None:
    kind, numbers, keys = verifier("secret").split("$")
    iterations, salt = numbers.split(":")
    salted = hashlib.pbkdf2_hmac("sha256", b"secret", base64.b64decode(salt), int(iterations))
    stored = hashlib.sha256(hmac.digest(salted, b"Client Key", "sha256")).digest()
    assert (kind, keys.split(":")[0]) == ("SCRAM-SHA-256", base64.b64encode(stored).decode())
    assert verifier("secret") != verifier("secret"), "a salt of its own each time"


def test_the_idle_role_gets_a_password_and_the_other_is_ended(fresh: Server) -> None:
    made, asked = issuer(), request(fresh)
    assert made.locate(replace(asked, old_handle="")).handle == "app_a"
    assert made.idle(asked).handle == "app_b"
    new = made.create(asked)
    assert new.outcome is Outcome.OK and new.handle == "app_b" and new.value is not None
    role, password = login_of(new.value.reveal_text())
    assert role == "app_b" and len(password) >= 43
    assert made.test(new.value, asked).identity == "app_b"
    assert made.test(url("app_b", "wrong", fresh), asked).outcome is Outcome.REFUSED
    assert made.test(url("app_a", FIRST, fresh), asked).outcome is Outcome.OK, "the one in use was not touched"
    with session(database_at(fresh.url), "app_a", FIRST) as left_open:
        assert made.revoke("app_a", asked.old, asked).outcome is Outcome.OK
        with pytest.raises(Trouble):
            left_open.rows("SELECT 1")
    assert made.test(url("app_a", FIRST, fresh), asked).outcome is Outcome.REFUSED
    assert made.revoke("app_a", asked.old, asked).outcome is Outcome.OK, "already gone is gone"
    for secret in (password, FIRST, ADMIN_PASSWORD):
        assert not search(fresh.log.encode(), secret.encode()), "a password stands in the server's log"
    assert "ALTER ROLE" in fresh.log, "else the search above would prove nothing"
    assert password not in repr(new) and password not in repr(asked)


def test_a_second_creation_replaces_the_first(fresh: Server) -> None:
    made, asked = issuer(), request(fresh)
    lost, kept = made.create(asked), made.create(asked)
    assert lost.value is not None and kept.value is not None
    assert made.test(lost.value, asked).outcome is Outcome.REFUSED
    assert made.test(kept.value, asked).outcome is Outcome.OK


def test_a_role_with_another_password_by_now_is_left_alone(fresh: Server) -> None:
    """A late revocation, or the ledger's: the value that it is about is dead, the role is in use again."""
    made, asked = issuer(), request(fresh)
    again = made.create(replace(asked, old=url("app_b", "never", fresh), old_handle="app_b"))
    assert again.handle == "app_a" and again.value is not None
    assert made.revoke("app_a", asked.old, asked).detail == "the server refuses it already"
    assert made.test(again.value, asked).outcome is Outcome.OK


def test_who_is_logged_in_is_not_idle(fresh: Server) -> None:
    made, asked = issuer(), request(fresh)
    with admin(fresh) as at:
        at.rows(f"ALTER ROLE app_b LOGIN PASSWORD '{verifier('b')}'")
    with session(database_at(fresh.url), "app_b", "b") as used:
        refused = made.create(asked)
        assert refused.outcome is Outcome.REFUSED and "1 session(s) are logged in as app_b" in refused.detail
        assert used.rows("SELECT 1") == [[1]]
    assert made.test(url("app_b", "b", fresh), asked).outcome is Outcome.OK


@pytest.mark.parametrize(("options", "words"), [
    ({"role_b": ADMIN}, "no plain login"),
    ({"role_b": "app_boss"}, "no plain login"),
    ({"role_b": "nobody_here"}, "there is no role"),
    ({"role_b": "app_a"}, "must name two roles"),
    ({"role_b": ""}, "must name two roles"),
    ({"base_url": "postgresql://u:p@127.0.0.1/x"}, "must not hold a user"),
    ({"base_url": "https://127.0.0.1/x"}, "must be postgresql://"),
    ({"address": "nonsense"}, "must be postgresql://"),
    ({"admin_role": "app_weak"}, "pg_signal_backend"),
])
def test_what_must_not_be_touched_is_refused(fresh: Server, options: dict[str, str], words: str) -> None:
    with admin(fresh) as at:
        for name, what in (("app_boss", "CREATEROLE"), ("app_weak", f"LOGIN PASSWORD '{verifier(ADMIN_PASSWORD)}'")):
            at.rows(f"DROP ROLE IF EXISTS {name}")
            at.rows(f"CREATE ROLE {name} {what}")
    refused = issuer().create(request(fresh, **options))
    assert refused.outcome is Outcome.REFUSED and words in refused.detail, refused


def test_an_admin_that_manages_only_these_roles_will_do(fresh: Server) -> None:
    with admin(fresh) as at:
        at.rows("DROP ROLE IF EXISTS keeper")
        at.rows(f"CREATE ROLE keeper LOGIN CREATEROLE PASSWORD '{verifier('keeper-pw')}'")
        at.rows("GRANT app_a, app_b TO keeper WITH ADMIN OPTION")
        at.rows("GRANT pg_signal_backend TO keeper")
    asked = replace(request(fresh, admin_role="keeper"), admin=SecretValue("keeper-pw"))
    new = issuer().create(asked)
    assert new.outcome is Outcome.OK and new.value is not None, new
    assert issuer().test(new.value, asked).outcome is Outcome.OK
    assert issuer().revoke("app_a", asked.old, asked).outcome is Outcome.OK


def test_names_are_quoted(fresh: Server) -> None:
    with admin(fresh) as at:
        at.rows("DO $$ BEGIN EXECUTE format('DROP ROLE IF EXISTS %I', '" + ODD.replace("'", "''") + "'); END $$")
        at.rows("DO $$ BEGIN EXECUTE format('CREATE ROLE %I', '" + ODD.replace("'", "''") + "'); END $$")
    asked = request(fresh, role_b=ODD)
    new = issuer().create(asked)
    assert new.handle == ODD and new.value is not None, new
    assert login_of(new.value.reveal_text())[0] == ODD
    assert issuer().test(new.value, asked).identity == ODD
    assert issuer().revoke(ODD, new.value, asked).outcome is Outcome.OK
    assert issuer().test(new.value, asked).outcome is Outcome.REFUSED


def test_nothing_is_concluded_from_silence(fresh: Server) -> None:
    made, asked = issuer(), request(fresh)
    away = replace(asked, options={**asked.options, "base_url": "postgresql://127.0.0.1:1/postgres"})
    assert asked.old is not None
    assert made.create(away).outcome is Outcome.LATER
    assert made.test(asked.old, away).outcome is Outcome.LATER
    assert made.revoke("app_a", asked.old, away).outcome is Outcome.UNKNOWN
    wrong = replace(asked, admin=SecretValue("wrong"))
    assert made.create(wrong).outcome is Outcome.REFUSED
    assert made.revoke("app_a", asked.old, wrong).outcome is Outcome.REFUSED
    assert made.create(replace(asked, admin=None)).outcome is Outcome.REFUSED
    assert made.test(asked.old, asked).outcome is Outcome.OK
    assert made.revoke(ADMIN, None, asked).outcome is Outcome.REFUSED, "none of the two roles"


def test_another_machine_is_never_spoken_to_without_tls(fresh: Server) -> None:
    """127.0.0.1 under a name that is not loopback's: this server has no TLS."""
    at = replace(database_at(fresh.url), host="127.0.0.1")
    beyond = type("Beyond", (type(at),), {"local": False})(at.host, at.port, at.name)
    with pytest.raises(Trouble, match="Server refuses SSL"), session(beyond, ADMIN, ADMIN_PASSWORD):
        pass


def test_a_server_that_asks_for_no_password_proves_nothing() -> None:
    with server(hba="trust") as open_to_all:
        with admin(open_to_all) as at:
            at.rows("CREATE ROLE app_a LOGIN")
        seen = issuer().test(url("app_a", "whatever", open_to_all), request(open_to_all))
        assert seen.untestable and "without a password" in seen.detail


def test_a_server_that_wants_the_password_itself_is_not_told_it() -> None:
    with server(hba="password") as curious:
        seen = issuer().test(url(ADMIN, ADMIN_PASSWORD, curious), request(curious))
        assert seen.outcome is Outcome.LATER and "another method than scram-sha-256" in seen.detail


# --- whole rotations ---


@pytest.fixture
def desk(fresh: Server, tmp_path: Path) -> Iterator[Desk]:
    with Desk(tmp_path / "s") as made:
        made.config(f'[rotation]\npatience = "1s"\n[providers.postgresql]\nbase_url = "{fresh.url}"\n'
                    f'[injectors.out]\nkind = "directory"\npath = "{made.root}/out"\n'
                    '[consumers.app]\nkind = "command"\nprobe = ["true"]\n')
        made.init()
        made.quick("set", "postgresql-admin", "--provider", "postgresql-admin", stdin=ADMIN_PASSWORD.encode())
        made.quick("set", "db", "--provider", "postgresql", stdin=url("app_a", FIRST, fresh).reveal())
        made.quick("configure", "db", "--option", "role_a=app_a", "--option", "role_b=app_b", "--inject", "out",
                "--consume", "app")
        yield made


def roles(at: Server) -> dict[str, bool]:
    """Which of the two may log in."""
    with admin(at) as session_:
        found = session_.rows("SELECT rolname, rolcanlogin FROM pg_roles WHERE rolname IN ('app_a', 'app_b')")
    return {name: login for name, login in found}


def test_there_and_back_again(desk: Desk, fresh: Server) -> None:
    said = ""
    for expected in ("app_b", "app_a", "app_b"):
        ran = desk.ok("rotate", "db", "--json")
        said += ran.everything
        (answer,) = json.loads(ran.out)["rotations"]
        assert (answer["outcome"], answer["exit_code"]) == ("rotated", 0), answer
        value = desk.quick("get", "db", "--raw").out
        assert (desk.root / "out" / "db").read_text().rstrip("\n") == value
        role, password = login_of(value)
        assert role == expected and [name for name, login in roles(fresh).items() if login] == [expected]
        with session(database_at(fresh.url), role, password) as used:
            assert used.rows("SELECT current_user") == [[expected]]
        said += desk.ok("history", "db").everything + desk.ok("audit-log").everything + desk.ok("status").everything
        assert not search(fresh.log.encode(), password.encode())
        assert not search(said.encode(), password.encode())
    assert not search(said.encode(), ADMIN_PASSWORD.encode()) and not search(said.encode(), FIRST.encode())


def test_an_emergency(desk: Desk, fresh: Server) -> None:
    desk.ok("rotate", "db", "--compromised", "--yes")
    assert roles(fresh) == {"app_a": False, "app_b": True}


def test_a_refused_admin_leaves_everything_as_it_is(desk: Desk, fresh: Server) -> None:
    desk.quick("set", "postgresql-admin", "--replace", stdin=b"wrong")
    ran = desk.run("rotate", "db")
    assert ran.code == 4 and "not rotated" in ran.out, ran
    assert roles(fresh) == {"app_a": True, "app_b": False}
