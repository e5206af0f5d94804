"""The command line on a real OpenBao server: everything that it does on the embedded store, under the least policy."""

from __future__ import annotations

import itertools
import json
import re
import shlex
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from clawsecrets.model.secret import SecretValue
from clawsecrets.stores.vault.store import open_store
from clawsecrets.stores.vault.transport import Connection
from tests.canary import search
from tests.cli.desk import ROOT, Desk, Ran
from tests.daemon.running import Running, free_port
from tests.fake_provider import ADMIN
from tests.real.openbao import Cluster, Dev, binary
from tests.waiting import LONG, until

pytestmark = pytest.mark.real("openbao")
_count = itertools.count(1)


@pytest.fixture(scope="module")
def bao() -> Iterator[Dev]:
    with Dev() as made:
        yield made


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    with Desk(tmp_path / "s") as made:
        yield made


def url_of(bao: Dev) -> str:
    return f"vault+{bao.url}/secret/team/claw{next(_count)}"


def policy(desk: Desk, bao: Dev, role: str, url: str = "") -> str:
    """Write the policy that is printed; a token that has it, and no other."""
    name = f"{role}-{next(_count)}"
    bao.policy(name, desk.ok("vault", "policy", "--role", role, *(["--store", url] if url else [])).out)
    return bao.make_token(name)


def configured(desk: Desk, bao: Dev, url: str, more: str = "") -> None:
    """A provider, and that store, made by an admin; the desk goes on as a rotator."""
    desk.provider(f'[store]\nurl = "{url}"\n{more}')
    assert desk.run("init", env={"VAULT_TOKEN": policy(desk, bao, "admin")}).code == 0
    desk.env["VAULT_TOKEN"] = policy(desk, bao, "rotator")


def complains(ran: Ran, about: str, code: int = 3) -> None:
    """One line of error, one of hint, that exit code."""
    lines = [line for line in ran.err.splitlines() if line]
    assert ran.code == code, ran
    assert [line.split(":")[0] for line in lines] == ["clawsecrets", "hint"], ran
    assert about in lines[0], ran


def plain(bao: Dev, url: str, name: str) -> dict[str, str]:
    """What every other reader of the path reads."""
    mount, _, prefix = url.split("/", 3)[3].partition("/")
    found: dict[str, str] = bao.api("GET", f"{mount}/data/{prefix}/{name}")["data"]["data"]
    return found


def test_from_nothing_to_a_rotation(desk: Desk, bao: Dev, canary: bytes) -> None:
    url = url_of(bao)
    configured(desk, bao, url)
    value = desk.seeded()
    assert plain(bao, url, "acme-api-key") == {"value": value, "version": "1"}
    env_file = desk.write(".env", f"OPENAI_API_KEY={canary.decode()}\n")
    assert desk.run("import", str(env_file)).code in (0, 1)
    assert desk.quick("get", "openai-api-key", "--raw").out == canary.decode()
    assert {one["name"] for one in json.loads(desk.ok("list", "--json").out)["secrets"]} == {
        "acme-admin", "acme-api-key", "openai-api-key"}
    desk.ok("plan")
    assert desk.run("status").code in (0, 1)
    ran = desk.run("rotate", "acme-api-key")
    fresh = desk.quick("get", "acme-api-key", "--raw").out
    assert fresh != value, ran
    assert plain(bao, url, "acme-api-key")["value"] == fresh
    assert json.loads(desk.ok("history", "acme-api-key", "--json").out)["versions"][-1]["version"] == 2
    assert desk.ok("audit-log", "verify").out.startswith("whole:")
    doctor = desk.run("doctor")
    assert f"store: {url}, every row and the audit log are sound" in doctor.out.replace("\n        ", " ")
    assert "[fail]" not in doctor.out
    assert "login at the store: the token of VAULT_TOKEN" in doctor.out and "policy root" not in doctor.out
    assert "(policy root)" in desk.run("doctor", env={"VAULT_TOKEN": bao.token}).out.replace("\n        ", " ")
    assert not desk.database.exists()
    for ran in (doctor, desk.run("show", "openai-api-key"), desk.run("audit-log", "show", "--json")):
        assert canary.decode() not in ran.everything
        assert desk.env["VAULT_TOKEN"] not in ran.everything


def test_init_writes_a_configuration_that_names_the_store(desk: Desk, bao: Dev) -> None:
    url = url_of(bao)
    desk.env["VAULT_TOKEN"] = policy(desk, bao, "admin", url)
    first = desk.ok("init", "--store", url)
    assert "bao operator raft snapshot save" in first.err
    desk.quick("set", "one-key", stdin=b"v-1")
    assert desk.quick("get", "one-key", "--raw").out == "v-1"
    assert not desk.database.exists()
    complains(desk.run("init"), "there is a store at secret/team/")
    complains(desk.run("init", "--key-file", "k"), "needs no key", 2)


@pytest.mark.parametrize(("words", "about"), [
    (("rekey",), "rekey is of the embedded store"),
    (("backup", "file"), "backup is of the embedded store"),
    (("restore", "file", "--recovery-file", "code"), "restore is of the embedded store"),
])
def test_what_only_the_embedded_store_does(desk: Desk, bao: Dev, words: tuple[str, ...], about: str) -> None:
    desk.config(f'[store]\nurl = "{url_of(bao)}"\n')
    ran = desk.run(*words, env={"VAULT_TOKEN": bao.token})
    complains(ran, about, 2)
    assert "bao operator" in ran.err


def test_no_store_there_yet(desk: Desk, bao: Dev) -> None:
    complains(desk.run("list", "--store", url_of(bao), env={"VAULT_TOKEN": bao.token}), "there is no store at secret/")


def test_quickstart_makes_the_store_where_it_is_told(desk: Desk, bao: Dev) -> None:
    url = url_of(bao)
    desk.write(".env", "OPENAI_API_KEY=sk-proj-0123456789abcdefghijklmnopqrstuvwxyz0123456789AB\n")
    desk.env["VAULT_TOKEN"] = policy(desk, bao, "admin", url)
    ran = desk.run("quickstart", "--yes", "--store", url)
    assert ran.code == 0, ran
    assert "openai-api-key" in desk.ok("list", "--store", url).out
    assert not desk.database.exists()


# --- what goes wrong --------------------------------------------------------------------------------------------------


def test_a_token_that_ended_and_one_that_may_not(desk: Desk, bao: Dev) -> None:
    url = url_of(bao)
    configured(desk, bao, url)
    desk.quick("set", "one-key", stdin=b"v-1")
    complains(desk.run("list", env={"VAULT_TOKEN": "s.ended"}), "the token for the store")
    reader = policy(desk, bao, "reader")
    assert desk.run("get", "one-key", "--raw", env={"VAULT_TOKEN": reader}).out == "v-1"
    assert "one-key" in desk.run("list", env={"VAULT_TOKEN": reader}).out
    ran = desk.run("set", "two-key", stdin=b"v-2", env={"VAULT_TOKEN": reader})
    complains(ran, "permission denied")
    assert "clawsecrets vault policy" in ran.err
    consumer = policy(desk, bao, "consumer")
    complains(desk.run("list", env={"VAULT_TOKEN": consumer}), "permission denied")
    prefix = url.split("/secret/")[1]
    assert bao.request("GET", f"secret/data/{prefix}/one-key", token=consumer).ok
    for ours in ("store", "records/one-key"):
        assert bao.request("GET", f"secret/data/{prefix}/.clawsecrets/{ours}", token=consumer).status_code == 403


def test_a_sealed_server(desk: Desk) -> None:
    with Dev() as bao:
        url = url_of(bao)
        configured(desk, bao, url, '[store.vault]\npatience = "1s"\n')
        bao.seal()
        for words in (("list",), ("set", "a", "--replace")):
            ran = desk.run(*words, stdin=b"v")
            complains(ran, "it is sealed")
            assert "operator unseal" in ran.err


def test_the_certificate_of_a_strange_server(desk: Desk, tmp_path: Path) -> None:
    with Cluster() as cluster:
        desk.config(f'[store]\nurl = "vault+{cluster.url}/secret/claw"\n')
        token = {"VAULT_TOKEN": cluster.token}
        complains(desk.run("init", env=token), "certificate")
        assert desk.run("init", env={**token, "VAULT_CACERT": str(cluster.ca_file)}).code == 0
        desk.config(f'[store]\nurl = "vault+{cluster.url}/secret/claw"\n[store.vault]\nca_cert = "{cluster.ca_file}"\n')
        assert desk.run("set", "one-key", stdin=b"v-1", env=token).code == 0
        complains(desk.run("list", env={**token, "VAULT_TOKEN": ""}), "there is no token for the store")


def test_one_damaged_record_does_not_hide_other_faults_from_store_check(desk: Desk, bao: Dev) -> None:
    url = url_of(bao)
    configured(desk, bao, url)
    for name in ("one-key", "two-key"):
        desk.quick("set", name, stdin=b"v-1")
    prefix = url.split("/secret/")[1]
    bao.api("POST", f"secret/data/{prefix}/.clawsecrets/records/one-key", {"data": {}})
    [value] = bao.api("LIST", f"secret/metadata/{prefix}/.clawsecrets/values/two-key")["data"]["keys"]
    bao.api("DELETE", f"secret/metadata/{prefix}/.clawsecrets/values/two-key/{value}")
    ran = desk.run("store", "check")
    assert ran.code == 3 and "record document of one-key was altered" in ran.out, ran
    assert "the value of two-key version 1 is gone" in ran.out, ran
    complains(desk.run("list"), "record document of one-key was altered")
    assert "kv rollback" in desk.run("list").err


HOOKED = """
[injectors.out]
kind = "directory"
path = "{root}/out"

[consumers.app]
kind = "command"
probe = ["{root}/probe"]

[store.vault]
patience = "1s"
"""


def hooked(desk: Desk, bao: Dev, command: str) -> tuple[str, str]:
    """A rotation in the middle of which that happens, once; the name of the rotator's policy, and its text."""
    url, path = url_of(bao), desk.root / "hook"
    desk.provider(f'[store]\nurl = "{url}"\n{HOOKED.format(root=desk.root)}')
    assert desk.run("init", env={"VAULT_TOKEN": policy(desk, bao, "admin")}).code == 0
    name, text = f"hooked-{next(_count)}", desk.ok("vault", "policy").out
    bao.policy(name, text)
    desk.env["VAULT_TOKEN"] = bao.make_token(name)
    desk.seeded()
    desk.quick("configure", "acme-api-key", "--inject", "out", "--consume", "app")
    curl = f'curl -s -H "X-Vault-Token: {bao.token}" {command.format(url=bao.url, root=desk.root, policy=name)}'
    path.write_text(f"#!/bin/sh\nrm {path}\n{curl}\n")
    path.chmod(0o700)
    desk.write("probe", f"#!/bin/sh\nif [ -x {path} ]; then {path}; fi >/dev/null 2>&1\nexit 0\n", 0o700)
    return name, text


def test_a_path_that_the_policy_lost_is_told_with_what_mends_it_and_no_snapshot(desk: Desk, bao: Dev) -> None:
    """Restoring a snapshot would bring revoked values back."""
    name, text = hooked(desk, bao, "-X POST -d @{root}/less.json {url}/v1/sys/policies/acl/{policy}")
    blocks = re.findall(r'path "[^"]+" \{.*?\}\n?', text, re.DOTALL)
    less = [block for block in blocks if not ("/destroy/" in block and "/*" in block)
            and not ("/metadata/" in block and "/*" in block)]
    assert len(less) == len(blocks) - 2
    listing = next(block for block in blocks if "/metadata/" in block and "/*" in block).replace('"delete", ', "")
    desk.write("less.json", json.dumps({"policy": "".join([*less, listing])}))
    ran = desk.run("rotate", "acme-api-key")
    assert ran.code == 3 and "permission denied by the token's policy" in ran.everything, ran
    for ran in (desk.run("doctor"), desk.run("store", "check")):
        told = " ".join(ran.out.split())
        assert "not all that follows from its last change is done: cannot" in told, ran
        assert "permission denied by the token's policy" in told and "`clawsecrets vault policy` prints" in told, ran
        assert "snapshot" not in told, ran
    bao.policy(name, text)
    assert desk.run("rotate", "acme-api-key").code == 0 and "[fail]" not in desk.run("doctor").out


def test_a_server_that_is_sealed_in_the_middle_of_a_rotation(desk: Desk) -> None:
    with Dev() as own:
        hooked(desk, own, "-X PUT {url}/v1/sys/seal")
        ran = desk.run("rotate", "acme-api-key")
        said = " ".join(ran.everything.split())
        assert ran.code == 3 and "it is sealed" in said, ran
        assert "the rotation of acme-api-key is unfinished" in said and "nothing was changed" not in said, ran
        assert "clawsecrets rotate acme-api-key, or the daemon, then goes on with the rotation" in said, ran
        said = " ".join(desk.run("get", "acme-api-key", "--raw").err.split())
        assert "it is sealed" in said and "unfinished" not in said and "nothing was changed" not in said
        own.unseal()
        assert desk.run("rotate", "acme-api-key").code == 0


def test_a_broken_record_stops_no_other(desk: Desk, bao: Dev) -> None:
    url = url_of(bao)
    configured(desk, bao, url)
    value = desk.seeded()
    desk.quick("set", "broken-key", stdin=b"canary-3f1c9a")
    desk.quick("set", "last-key", stdin=b"canary-3f1c9a-2")
    path = f"secret/data/{url.split('/secret/')[1]}/.clawsecrets/records/broken-key"
    bao.api("POST", path, {"data": {"what": "canary-3f1c9a"}})
    for words in (("list",), ("status",), ("list", "--deleted"), ("plan",), ("rotations",), ("revocations",)):
        ran = desk.run(*words)
        assert ran.code == 3 and ran.err.count("record document of broken-key was altered") == 1, ran
        assert "hint: bao kv rollback -mount=secret -version=" in ran.err, ran
        if words[-1] in ("list", "status"):
            assert "acme-api-key" in ran.out and "last-key" in ran.out and "broken-key" not in ran.out, ran
    for words in (("list", "--json"), ("status", "--json")):
        answer = json.loads(desk.run(*words).out)
        assert [one["secret"] for one in answer["unreadable"]] == ["broken-key"]
        assert {one["name"] for one in answer["secrets"]} == {"acme-admin", "acme-api-key", "last-key"}
    before = bao.api("GET", path)["data"]
    ran = desk.run("rotate", "acme-api-key")
    assert ran.code == 1 and ran.out.startswith("acme-api-key: delivered"), ran  # nobody could show that it uses it
    assert plain(bao, url, "acme-api-key")["value"] != value
    due = desk.run("rotate", "--due")
    assert due.code == 3 and "broken-key" in due.err, due
    every = desk.run("rotate", "--all", "--yes")
    assert "acme-api-key: " in every.out and "broken-key" not in every.out and every.code >= 3, every
    both = desk.run("rotate", "broken-key", "acme-api-key", "--yes")
    assert both.code >= 3 and "acme-api-key: " in both.out and "record document of broken-key" in both.err, both
    complains(desk.run("rotate", "broken-key"), "record document of broken-key was altered")
    assert bao.api("GET", path)["data"] == before, "nothing touched it"
    for ran in (due, every, both, desk.run("list"), desk.run("status", "--json")):
        assert "canary-3f1c9a" not in ran.everything
    complains(desk.run("show", "brokn-key"), "there is no secret of that name", 2)


def test_set_replace_heals_a_secret_whose_value_is_lost(desk: Desk, bao: Dev) -> None:
    url = url_of(bao)
    configured(desk, bao, url)
    desk.quick("set", "one-key", stdin=b"v-1")
    folder = f"{url.split('/secret/')[1]}/.clawsecrets/values/one-key"
    [value] = bao.api("LIST", f"secret/metadata/{folder}")["data"]["keys"]
    bao.api("DELETE", f"secret/metadata/{folder}/{value}")
    complains(desk.run("get", "one-key", "--raw"), "the value of one-key version 1 is gone")
    complains(desk.run("set", "one-key", stdin=b"v-2"), "has a value already", 2)
    ran = desk.ok("set", "one-key", "--replace", stdin=b"v-2")
    assert "the value of version 1 was lost" in ran.err
    assert desk.quick("get", "one-key", "--raw").out == "v-2" and plain(bao, url, "one-key")["value"] == "v-2"
    desk.ok("store", "check")
    versions = json.loads(desk.ok("history", "one-key", "--json").out)["versions"]
    assert [bool(version["erased_at"]) for version in versions] == [True, False]


def test_rotate_says_whom_it_waits_for(desk: Desk, bao: Dev) -> None:
    url = url_of(bao)
    configured(desk, bao, url)
    desk.seeded()
    prefix = url.split("/secret/")[1]
    with closing(open_store(Connection([bao.url], lambda: SecretValue(bao.token)), "secret", prefix)) as store:
        store.acquire("acme-api-key", "daemon@other-host/7", 4.0)
        ran = desk.run("rotate", "acme-api-key")
    waits = [line for line in ran.err.splitlines() if "waiting:" in line]
    assert len(waits) == 1 and "acme-api-key is being worked on by daemon@other-host/7" in waits[0], ran
    assert re.search(r"its lease ends at about \d\d:\d\d:\d\dZ", waits[0]), ran
    assert ran.out.startswith("acme-api-key: "), ran


def test_a_store_is_not_copied_onto_itself_by_another_name(desk: Desk, bao: Dev) -> None:
    url = url_of(bao)
    configured(desk, bao, url)
    desk.quick("set", "one-key", stdin=b"v-1")
    folder = f"secret/metadata/{url.split('/secret/')[1]}/.clawsecrets"
    watched = [f"{folder}/records/one-key", f"{folder}/audit/00000001"]
    before = [bao.api("GET", path)["data"]["current_version"] for path in watched]
    for other in (url.replace("127.0.0.1", "localhost"), url.replace("127.0.0.1", "LocalHost"), url):
        for words in (("store", "copy", "--to", other), ("store", "copy", "--from", other, "--retire-source"),
                      ("store", "check", url, "--against", other)):
            complains(desk.run(*words), "one and the same store", 2)
    assert [bao.api("GET", path)["data"]["current_version"] for path in watched] == before


def test_the_hint_for_a_store_that_is_not_there_makes_it(desk: Desk, bao: Dev) -> None:
    url, other = url_of(bao), url_of(bao)
    configured(desk, bao, url)
    desk.quick("set", "one-key", stdin=b"v-1")
    desk.env["VAULT_TOKEN"] = bao.token
    for target in (other, f"sqlite://{desk.root}/more/data/store.db"):
        ran = desk.run("store", "copy", "--to", target)
        complains(ran, "there is no store at")
        command = shlex.split(ran.err.partition("hint: make it first: ")[2].strip())
        assert command[:4] == ["clawsecrets", "init", "--store", target], ran
        desk.ok(*command[1:])
        assert "1 copied" in desk.ok("store", "copy", "--to", target).out


def test_what_is_run_gets_nothing_of_the_login(desk: Desk, bao: Dev) -> None:
    out = desk.root / "environment"
    script = desk.write("bin/reload", f"#!/bin/sh\nenv > {out}; tr '\\0' ' ' < /proc/$PPID/cmdline >> {out}\n", 0o700)
    configured(desk, bao, url_of(bao), f'[injectors.e]\nkind = "env-file"\npath = "{desk.root}/e/.env"\n'
               f'dialect = "compose"\n[consumers.c]\nkind = "command"\nreload = ["{script}"]\n')
    desk.write("e/.env", "")
    desk.seeded()
    desk.quick("configure", "acme-api-key", "--inject", "e", "--consume", "c")
    ran = desk.run("rotate", "acme-api-key", "--verbose")
    seen = out.read_bytes()
    assert b"CLAWSECRETS_SECRET=acme-api-key" in seen
    assert b"VAULT" not in seen
    assert not search(seen + ran.everything.encode(), desk.env["VAULT_TOKEN"].encode())


# --- a login that ends ------------------------------------------------------------------------------------------------


def approle(desk: Desk, bao: Dev, url: str, **role: str) -> str:
    """A role with the rotator policy, as [store.vault] names it."""
    if not bao.request("GET", "sys/auth/approle").ok:
        bao.api("POST", "sys/auth/approle", {"type": "approle"})
    name = f"rotator-{next(_count)}"
    bao.policy(name, desk.ok("vault", "policy", "--store", url).out)
    bao.api("POST", f"auth/approle/role/{name}", {"token_policies": name, **role})
    file = desk.write("secret-id", bao.api("POST", f"auth/approle/role/{name}/secret-id")["data"]["secret_id"])
    role_id = bao.api("GET", f"auth/approle/role/{name}/role-id")["data"]["role_id"]
    return f'[store.vault]\nauth = "approle"\nrole_id = "{role_id}"\nsecret_id_file = "{file}"\n'


def tokens(bao: Dev, role: str) -> set[str]:
    """Accessors of the tokens that are alive and came from a role's login."""
    found = set()
    for accessor in bao.api("LIST", "auth/token/accessors")["data"]["keys"]:
        said = bao.request("POST", "auth/token/lookup-accessor", {"accessor": accessor})
        if said.ok and (said.json()["data"].get("meta") or {}).get("role_name", "") == role:
            found.add(accessor)
    return found


def test_a_daemon_outlives_its_token_and_leaves_none_behind(desk: Desk, bao: Dev) -> None:
    url, port = url_of(bao), free_port()
    configured(desk, bao, url, f'[schedule.secrets.acme-api-key]\nevery = "2s"\njitter = "0"\n'
               f'[daemon]\nlog = "json"\ntick = "1s"\ntakeover = "4s"\nlisten = "127.0.0.1:{port}"\n')
    value = desk.seeded()
    login = approle(desk, bao, url, token_ttl="3s", token_max_ttl="6s")
    role = str(bao.api("LIST", "auth/approle/role")["data"]["keys"][-1])
    file = desk.home / "clawsecrets.toml"
    file.write_text(file.read_text() + login)
    del desk.env["VAULT_TOKEN"]
    seen: set[str] = set()

    def more() -> bool:
        seen.update(tokens(bao, role))
        return len(seen) >= 3

    with Running(desk, "daemon", port) as daemon:
        daemon.until_said("daemon.leads")
        daemon.until(more, "three logins, for no token lives longer than 6 s")
        now = time.time()
        daemon.until(lambda: daemon.metrics()["clawsecrets_last_tick_timestamp_seconds", ""] > now, "a look after that")
        assert daemon.end() == 0
    until(lambda: not tokens(bao, role), "the last token to be ended")
    assert not daemon.said("tick.error") and not daemon.said("daemon.login-ends")
    assert not search(daemon.file.read_bytes(), value.encode())
    secret_id = (desk.root / "secret-id").read_bytes()
    assert not search(daemon.file.read_bytes(), secret_id)


# --- secrets that are in Vault already --------------------------------------------------------------------------------


def test_a_secret_of_the_team_is_rotated_where_it_is(desk: Desk, bao: Dev) -> None:
    url, place = url_of(bao), f"apps/gateway{next(_count)}"
    configured(desk, bao, url, f'[store.paths]\nacme-api-key = "secret/data/{place}#ACME_API_KEY"\n'
               f'none-such = "secret/data/{place}#NONE"\n')
    assert desk.fake is not None
    old = desk.fake.seed("acme").value
    bao.api("POST", f"secret/data/{place}", {"data": {"ACME_API_KEY": old, "PORT": 8080}})
    assert "would be taken" in desk.run("vault", "adopt", "--dry-run").err
    ran = desk.run("vault", "adopt")
    assert ran.code == 1, ran
    assert f"acme-api-key: taken from secret/data/{place}#ACME_API_KEY (acme)" in ran.err
    assert "none-such: there is no text" in ran.err
    assert "known already" in desk.run("vault", "adopt").err
    assert desk.quick("get", "acme-api-key", "--raw").out == old
    assert bao.api("GET", f"secret/data/{place}")["data"]["metadata"]["version"] == 1  # nothing was written
    desk.quick("set", "acme-admin", stdin=ADMIN.encode())
    desk.run("rotate", "acme-api-key")
    now = bao.api("GET", f"secret/data/{place}")["data"]["data"]
    assert now == {"ACME_API_KEY": desk.quick("get", "acme-api-key", "--raw").out, "PORT": 8080}
    assert now["ACME_API_KEY"] != old


def test_the_embedded_store_has_no_policy_and_adopts_nothing(desk: Desk) -> None:
    desk.init()
    complains(desk.run("vault", "policy"), "which knows no policies", 2)
    complains(desk.run("vault", "adopt"), "[store.paths] is for one in Vault", 2)
    complains(desk.run("vault", "policy", "--role", "root"), "no such role", 2)


def test_the_policy_as_json(desk: Desk) -> None:
    url = "vault+https://vault.example:8200/team%2Fkv/claw"
    golden = ROOT / "tests" / "cli" / "golden" / "vault-policy.json"
    assert desk.ok("vault", "policy", "--role", "consumer", "--json", "--store", url).out == golden.read_text()
    found = json.loads(desk.ok("vault", "policy", "--role", "consumer", "--json", "--store", url).out)
    assert found["paths"] == {"team/kv/data/claw/*": ["read"], "team/kv/data/claw/.clawsecrets/*": ["deny"]}
    assert found["role"] == "consumer"
    assert desk.ok("vault", "policy", "--role", "consumer", "--store", url).out == found["policy"]


# --- the copy for reading ---------------------------------------------------------------------------------------------


@pytest.fixture
def copied(desk: Desk) -> Iterator[tuple[Desk, Cluster]]:
    """A desk that may keep a copy for an hour, on a cluster that can go away and come back."""
    with Cluster() as cluster:
        desk.config(f'[store]\nurl = "vault+{cluster.url}/secret/claw"\n[store.vault]\nca_cert = "{cluster.ca_file}"\n'
                    'patience = "1s"\ncache = { max_age = "1h" }\n')
        desk.env["VAULT_TOKEN"] = cluster.token
        desk.ok("init")
        yield desk, cluster


def test_reading_goes_on_from_the_copy_and_says_so_and_nothing_else_does(copied: tuple[Desk, Cluster],
                                                                         canary: bytes) -> None:
    desk, cluster = copied
    desk.quick("set", "one-key", stdin=canary)
    desk.quick("set", "two-key", stdin=b"never read here")
    assert desk.quick("get", "one-key", "--raw").out == canary.decode()
    listed, history = desk.ok("list", "--json").out, desk.ok("history", "one-key", "--json").out
    cluster.nodes[0].kill()
    for words, said in ((("get", "one-key", "--raw"), canary.decode()), (("list", "--json"), listed),
                        (("history", "one-key", "--json"), history)):
        ran = desk.ok(*words)
        assert ran.out == said
        assert "this is from the copy on this host" in ran.err and canary.decode() not in ran.err
    complains(desk.run("get", "two-key", "--raw"), "no copy of what was asked for")
    for refused in (("set", "one-key", "--replace"), ("rotate", "one-key"), ("inject", "one-key"), ("status",),
                    ("daemon",), ("delete", "one-key")):
        ran = desk.run(*refused, stdin=b"v")
        complains(ran, "could not be used")
        assert "copy" not in ran.err
    files = [file for file in desk.home.rglob("*") if file.is_file()]
    assert {file.suffix for file in files} >= {".sealed", ".key"}
    assert all(not search(file.read_bytes(), canary) for file in files)
    assert all(file.stat().st_mode & 0o077 == 0 for file in files if file.suffix in (".sealed", ".key"))
    cluster.nodes[0].start()
    cluster.wait_writable()
    assert desk.ok("get", "one-key", "--raw").err == ""
    events = json.loads(desk.ok("audit-log", "show", "--json").out)["events"]
    reads = [event["detail"].get("from", "") for event in events if event["action"] == "value.read"]
    assert reads == ["", "read copy", ""]  # what was read meanwhile is in the log, before the next
    assert desk.ok("audit-log", "verify").code == 0


def test_a_copy_that_is_too_old_and_a_cluster_that_was_sealed(copied: tuple[Desk, Cluster]) -> None:
    desk, cluster = copied
    desk.quick("set", "one-key", stdin=b"v-1")
    desk.ok("get", "one-key", "--raw")
    cluster.seal()
    complains(desk.run("get", "one-key", "--raw"), "it is sealed")  # somebody closed it: no copy opens it
    cluster.nodes[0].kill()
    assert desk.quick("get", "one-key", "--raw").out == "v-1"
    next(desk.home.rglob("*.key")).chmod(0o644)
    complains(desk.run("get", "one-key", "--raw"), "is open to other users")
    next(desk.home.rglob("*.key")).chmod(0o600)
    desk.later(3700)
    complains(desk.run("get", "one-key", "--raw"), "no copy of what was asked for")


# --- the README -------------------------------------------------------------------------------------------------------


def test_the_section_of_the_readme_is_true_when_typed(desk: Desk) -> None:
    section = (ROOT / "README.md").read_text().split("## With Vault or OpenBao")[1].split("\n## ")[0]
    lines = re.findall(r"```console\n(.*?)```", section, re.S)[0].splitlines()
    tables = re.findall(r"```toml\n(.*?)```", section, re.S)
    assert len(lines) < 10
    del desk.env["CLAWSECRETS_HOME"]
    with Dev() as bao:
        desk.env |= {"VAULT_ADDR": bao.url, "XDG_CONFIG_HOME": str(desk.root / ".config"), "PATH":
                     f"{binary().parent}:{desk.env['PATH']}", "XDG_DATA_HOME": str(desk.root / "data"),
                     "XDG_STATE_HOME": str(desk.root / "state")}
        said = {}
        for line in lines:
            if line.startswith("clawsecrets doctor"):
                config = desk.root / ".config" / "clawsecrets" / "clawsecrets.toml"
                role_id = next(text for words, text in said.items() if "role_id" in words).strip()
                table = tables[0].replace("what the line before the last printed", role_id)
                config.write_text(config.read_text() + table.replace("~/", f"{desk.root}/"))
                (desk.root / ".vault-token").unlink()  # from here on it is the role
            typed = line.replace("vault+https://vault.example:8200", f"vault+{bao.url}")
            typed = typed.replace("bao login ", "bao login - ")  # without a terminal it is asked to read the pipe
            done = subprocess.run(["bash", "-c", typed], env=desk.env, cwd=desk.root, capture_output=True, timeout=LONG,
                                  input=f"{bao.token}\n".encode(), check=False)
            said[line] = done.stdout.decode()
            assert done.returncode == 0, (line, done)
        assert f"vault+{bao.url}/secret/clawsecrets, every row and the audit log are sound" in said[lines[-1]].replace(
            "\n        ", " ")
        desk.quick("set", "one-key", stdin=b"v-1")
        assert bao.api("GET", "secret/data/clawsecrets/one-key")["data"]["data"]["value"] == "v-1"
