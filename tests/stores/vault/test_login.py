"""Every way to log in, against a real server; what is said where it fails; tokens that end, and are renewed in time."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from clawsecrets.errors import StoreError, StoreLocked
from clawsecrets.model.secret import SecretValue
from clawsecrets.stores.vault import methods
from clawsecrets.stores.vault.documents import Documents
from clawsecrets.stores.vault.login import Login, Way
from clawsecrets.stores.vault.methods import Given, Method, Wrapped
from clawsecrets.stores.vault.transport import Connection, Patience, Transport
from tests.certificates import Authority
from tests.real.openbao import Api, Cluster, Dev
from tests.stores.vault.identity import Kubernetes, Signer
from tests.waiting import LONG

pytestmark = pytest.mark.real("openbao")
POLICY = 'path "secret/data/mine/*" { capabilities = ["create", "update", "read"] }'


@pytest.fixture(scope="module")
def bao() -> Iterator[Dev]:
    with Dev() as made:
        made.policy("mine", POLICY)
        made.api("POST", "sys/auth/approle", {"type": "approle"})
        made.api("POST", "auth/approle/role/claw", {"token_policies": "mine", "token_ttl": "1h"})
        yield made


class Slow:
    """A clock that goes when told; pauses take no time."""

    def __init__(self) -> None:
        self.now = 1000.0

    def sleep(self, seconds: float) -> None:
        self.now += seconds

    @property
    def patience(self) -> Patience:
        return Patience(5.0, 5.0, self.sleep, lambda: self.now)


def login(server: Api, method: Method, clock: Slow | None = None, **way: Any) -> Login:
    return Login(method, Way([server.url], **way), (clock or Slow()).patience)


def works(made: Login) -> bool:
    transport = Transport(made.connection, Patience(5.0, 5.0))
    transport.repeat("POST", "secret/data/mine/x", {"data": {"a": "1"}})
    return dict(transport.read("secret/data/mine/x").data["data"]["data"]) == {"a": "1"}


def private(path: Path, text: str) -> Path:
    path.touch(mode=0o600)
    path.write_text(text)
    return path


def alive(server: Api, token: SecretValue) -> bool:
    return server.request("GET", "auth/token/lookup-self", token=token.reveal_text()).ok


def role_id(server: Api) -> str:
    return str(server.api("GET", "auth/approle/role/claw/role-id")["data"]["role_id"])


def secret_id(server: Api) -> str:
    return str(server.api("POST", "auth/approle/role/claw/secret-id")["data"]["secret_id"])


# --- tokens that are given ------------------------------------------------------------------------------------------


def test_a_token_of_the_environment_goes_before_the_file_and_is_not_ended(bao: Dev, tmp_path: Path) -> None:
    token = bao.make_token("mine")
    helper = private(tmp_path / ".vault-token", "nonsense")
    made = login(bao, Given(helper=helper, environ={"BAO_TOKEN": token + "\n"}))
    assert works(made)
    made.close()
    assert alive(bao, SecretValue(token))


def test_the_file_that_logging_in_by_hand_leaves(bao: Dev, tmp_path: Path) -> None:
    assert works(login(bao, Given(helper=private(tmp_path / ".vault-token", bao.make_token("mine")), environ={})))


def test_no_token_anywhere_says_where_it_was_looked_for(bao: Dev, tmp_path: Path) -> None:
    with pytest.raises(StoreLocked, match=r"VAULT_TOKEN, BAO_TOKEN, .*\.vault-token") as caught:
        login(bao, Given(helper=tmp_path / ".vault-token", environ={})).token()
    assert "vault login" in caught.value.hint


@pytest.mark.parametrize(("mode", "fits"), [(0o600, True), (0o640, True), (0o644, False), (0o620, False)])
def test_a_sink_may_be_read_by_its_group_and_by_nobody_else(bao: Dev, tmp_path: Path, mode: int, fits: bool) -> None:
    sink = private(tmp_path / "sink", bao.make_token("mine"))
    sink.chmod(mode)
    made = login(bao, Given(sink, environ={"VAULT_TOKEN": "not this one"}))
    if fits:
        assert works(made)
    else:
        with pytest.raises(StoreLocked, match="open to others"):
            made.token()


def test_a_token_that_ended_is_read_again_from_the_sink(bao: Dev, tmp_path: Path) -> None:
    first, second = bao.make_token("mine"), bao.make_token("mine")
    sink = private(tmp_path / "sink", first)
    made = login(bao, Given(sink))
    assert works(made)
    bao.api("POST", "auth/token/revoke", {"token": first})
    with pytest.raises(StoreLocked, match="not accepted"):
        works(made)
    sink.write_text(second)
    assert works(made)


@pytest.mark.parametrize("content", ["two\nlines", "é", "s.abc\r\nX-More: 1", "\udcff", "x" * 70_000])
def test_a_variable_that_holds_no_token(bao: Dev, tmp_path: Path, content: str) -> None:
    with pytest.raises(StoreLocked, match="the variable VAULT_TOKEN does not hold one token") as caught:
        login(bao, Given(environ={"VAULT_TOKEN": content})).token()
    assert content not in str(caught.value)


@pytest.mark.parametrize("content", ["", "two\nlines", "é", "x" * 70_000])
def test_a_file_that_holds_no_token(bao: Dev, tmp_path: Path, content: str) -> None:
    with pytest.raises(StoreLocked, match=r"sink does not hold one token"):
        login(bao, Given(private(tmp_path / "sink", content))).token()


# --- logins -----------------------------------------------------------------------------------------------------------


def test_approle_and_its_token_ends_with_the_process(bao: Dev, tmp_path: Path) -> None:
    made = login(bao, methods.approle("", role_id(bao), methods.plain_file(private(tmp_path / "s", secret_id(bao)))))
    assert works(made)
    token = made.token()
    assert alive(bao, token)
    made.close()
    assert not alive(bao, token)


def test_another_login_when_the_token_has_ended(bao: Dev, tmp_path: Path) -> None:
    made = login(bao, methods.approle("", role_id(bao), methods.plain_file(private(tmp_path / "s", secret_id(bao)))))
    first = made.token()
    bao.api("POST", "auth/token/revoke", {"token": first.reveal_text()})
    assert works(made)
    assert made.token() != first
    assert made.relogin(first)  # a thread that comes late takes the one that is there


def test_many_threads_that_see_it_end_log_in_once(bao: Dev, tmp_path: Path) -> None:
    made = login(bao, methods.approle("", role_id(bao), methods.plain_file(private(tmp_path / "s", secret_id(bao)))))
    ended = made.token()
    seen: list[bytes] = []

    def work() -> None:
        assert made.relogin(ended)
        seen.append(made.token().reveal())

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(seen) == 8
    assert len(set(seen)) == 1


def test_a_wrong_secret_id_is_refused_in_one_line_without_it(bao: Dev, tmp_path: Path) -> None:
    wrong = "5d0a7b7e-0000-4000-8000-canary00canary"
    made = login(bao, methods.approle("", role_id(bao), methods.plain_file(private(tmp_path / "s", wrong))))
    with pytest.raises(StoreLocked, match="refused the approle login at auth/approle") as caught:
        made.token()
    assert "canary" not in caught.value.message + caught.value.hint
    assert "secret-id" in caught.value.hint


def test_an_auth_method_that_is_not_there(bao: Dev, tmp_path: Path) -> None:
    made = login(bao, methods.approle("elsewhere", "r", methods.plain_file(private(tmp_path / "s", "x"))))
    with pytest.raises(StoreLocked, match="auth/elsewhere"):
        made.token()


def wrapped(server: Api, path: str = "auth/approle/role/claw/secret-id", method: str = "POST") -> str:
    import requests

    answer = requests.request(method, f"{server.url}/v1/{path}", timeout=LONG,
                              headers={"X-Vault-Token": server.token, "X-Vault-Wrap-TTL": "5m"})
    return str(answer.json()["wrap_info"]["token"])


def test_a_wrapped_secret_id_is_opened_once_and_kept(bao: Dev, tmp_path: Path) -> None:
    file = private(tmp_path / "w", wrapped(bao))
    kept = tmp_path / "state" / "secret-id.json"
    way = methods.approle("", role_id(bao), Wrapped(file, kept, "approle"))
    assert works(login(bao, way))
    assert works(login(bao, way))  # another process: the token is spent
    assert kept.stat().st_mode & 0o777 == 0o600
    file.write_text(wrapped(bao))  # the operator gives another one
    before = kept.read_bytes()
    assert works(login(bao, way))
    assert kept.read_bytes() != before


def test_a_wrapped_secret_id_that_somebody_else_opened_is_an_alarm(bao: Dev, tmp_path: Path) -> None:
    token = wrapped(bao)
    bao.api("POST", "sys/wrapping/unwrap", token=token)
    made = login(bao, methods.approle("", role_id(bao), Wrapped(private(tmp_path / "w", token), tmp_path / "k",
                                                                "approle")))
    with pytest.raises(StoreLocked, match="opened already") as caught:
        made.token()
    assert "somebody else" in caught.value.hint
    assert token not in caught.value.message + caught.value.hint


def test_a_token_that_wraps_something_else_is_not_opened(bao: Dev, tmp_path: Path) -> None:
    bao.api("POST", "secret/data/other", {"data": {"secret_id": "planted"}})
    token = wrapped(bao, "secret/data/other", "GET")
    made = login(bao, methods.approle("", role_id(bao), Wrapped(private(tmp_path / "w", token), tmp_path / "k",
                                                                "approle")))
    with pytest.raises(StoreLocked, match="it wraps what secret/data/other made"):
        made.token()
    assert bao.api("POST", "sys/wrapping/unwrap", token=token)  # still whole


def test_kubernetes(bao: Dev, tmp_path: Path) -> None:
    signer = Signer()
    good, strange = signer.pod("claw", "rotator"), signer.pod("claw", "other")
    with Kubernetes() as kubernetes:
        kubernetes.accepts = {good: ("claw", "rotator"), strange: ("claw", "other")}
        bao.api("POST", "sys/auth/kubernetes", {"type": "kubernetes"})
        bao.api("POST", "auth/kubernetes/config", {"kubernetes_host": kubernetes.url, "token_reviewer_jwt": good,
                                                   "disable_local_ca_jwt": True,
                                                   "kubernetes_ca_cert": Authority(tmp_path).file.read_text()})
        bao.api("POST", "auth/kubernetes/role/claw", {
            "bound_service_account_names": "rotator", "bound_service_account_namespaces": "claw",
            "token_policies": "mine", "audience": "vault"})
        file = private(tmp_path / "jwt", good)
        file.chmod(0o644)  # as the kubelet leaves it
        way = methods.with_jwt("kubernetes", "", "claw", methods.jwt_file(file))
        assert works(login(bao, way))
        file.write_text(strange)
        with pytest.raises(StoreLocked, match="refused the kubernetes login") as caught:
            login(bao, way).token()
        assert strange not in caught.value.message + caught.value.hint
        kubernetes.accepts = {}
        file.write_text(good)
        with pytest.raises(StoreLocked, match="refused the kubernetes login"):
            login(bao, way).token()


def test_jwt_of_a_ci(bao: Dev) -> None:
    signer = Signer()
    bao.api("POST", "sys/auth/ci", {"type": "jwt"})
    bao.api("POST", "auth/ci/config", {"jwt_validation_pubkeys": [signer.public_key]})
    bao.api("POST", "auth/ci/role/claw", {"role_type": "jwt", "user_claim": "sub", "bound_audiences": ["claw"],
                                          "bound_claims": {"project": "team/app"}, "token_policies": "mine"})
    environ = {"VAULT_ID_TOKEN": signer.sign(sub="job", aud="claw", project="team/app")}
    way = methods.with_jwt("jwt", "ci", "claw", methods.jwt_variable("VAULT_ID_TOKEN", environ))
    assert works(login(bao, way))
    for claims in ({"project": "other"}, {"project": "team/app", "lasts": -300}):
        environ["VAULT_ID_TOKEN"] = signer.sign(sub="job", aud="claw", **claims)
        with pytest.raises(StoreLocked, match="refused the jwt login at auth/ci") as caught:
            login(bao, way).token()
        assert environ["VAULT_ID_TOKEN"] not in caught.value.message + caught.value.hint
    environ.clear()
    with pytest.raises(StoreLocked, match="VAULT_ID_TOKEN holds no signed token"):
        login(bao, way).token()


def test_a_namespace(bao: Dev, tmp_path: Path) -> None:
    bao.api("POST", "sys/namespaces/team")
    bao.mount("secret", namespace="team")
    bao.policy("mine", POLICY, namespace="team")
    token = bao.api("POST", "auth/token/create", {"policies": ["mine"]}, namespace="team")["auth"]["client_token"]
    assert works(login(bao, Given(environ={"VAULT_TOKEN": token}), namespace="team"))
    with pytest.raises(StoreError):
        works(login(bao, Given(environ={"VAULT_TOKEN": token})))


# --- renewal ----------------------------------------------------------------------------------------------------------


def ttl(server: Api, token: SecretValue) -> int:
    return int(server.api("GET", "auth/token/lookup-self", token=token.reveal_text())["data"]["ttl"])


def test_it_is_renewed_when_half_of_its_life_is_over_and_not_before(bao: Dev) -> None:
    clock, token = Slow(), bao.make_token("mine", period="1h")
    made = login(bao, Given(environ={"VAULT_TOKEN": token}), clock)
    assert made.keep() == ""  # nothing was used yet
    made.token()
    bao.api("POST", "auth/token/renew", {"token": token, "increment": "1h"})
    assert made.keep() == ""
    before = bao.api("GET", "auth/token/lookup-self", token=token)["data"].get("last_renewal_time")
    clock.now += 1700
    assert made.keep() == ""
    assert bao.api("GET", "auth/token/lookup-self", token=token)["data"].get("last_renewal_time") == before
    clock.now += 200
    assert made.keep() == ""
    after = bao.api("GET", "auth/token/lookup-self", token=token)["data"]
    assert after["last_renewal_time"] >= before
    clock.now += 1000  # since the renewal: less than half
    assert made.keep() == ""


def test_one_that_cannot_be_renewed_is_told_of(bao: Dev, tmp_path: Path) -> None:
    clock, sink = Slow(), private(tmp_path / "sink", bao.make_token("mine", ttl="1h", renewable=False))
    made = login(bao, Given(sink), clock)
    made.token()
    assert made.keep() == ""
    clock.now += 3000
    said = made.keep()
    assert "ends in 10 min and cannot be renewed" in said
    assert sink.read_text() not in said
    sink.write_text(bao.make_token("mine", ttl="1h", renewable=False))
    assert made.keep() == ""
    assert works(made)


def test_a_login_at_the_end_of_its_longest_life_is_made_anew(bao: Dev, tmp_path: Path) -> None:
    bao.api("POST", "auth/approle/role/short", {"token_policies": "mine", "token_ttl": "1h", "token_max_ttl": "1h"})
    ids = (bao.api("GET", "auth/approle/role/short/role-id")["data"]["role_id"],
           bao.api("POST", "auth/approle/role/short/secret-id")["data"]["secret_id"])
    clock = Slow()
    made = login(bao, methods.approle("", ids[0], methods.plain_file(private(tmp_path / "s", ids[1]))), clock)
    first = made.token()
    clock.now += 3000
    assert made.keep() == ""
    assert works(made)
    clock.now += 3599
    assert made.keep() == ""
    assert ttl(bao, made.token()) > 3500
    bao.api("POST", "auth/token/revoke", {"token": first.reveal_text()})


def test_while_no_node_answers_nothing_is_said_and_another_node_will_do(bao: Dev) -> None:
    nowhere = "http://127.0.0.1:9"
    token = Given(environ={"VAULT_TOKEN": bao.make_token("mine", period="1h")})
    for urls, renewed in (([nowhere], False), ([nowhere, bao.url], True)):
        clock = Slow()
        made = Login(token, Way(urls), clock.patience)
        made.token()
        assert made.keep() == ""
        clock.now += 3000
        assert made.keep() == ""
        if renewed:
            assert ttl(bao, made.token()) > 3500


def test_what_weakens_a_token(bao: Dev) -> None:
    for token, words in ((bao.token, "policy root"), (bao.make_token("mine", renewable=False), "cannot be renewed"),
                         (bao.make_token("mine"), "")):
        found = login(bao, Given(environ={"VAULT_TOKEN": token})).weaknesses()
        assert words in " ".join(found) and len(found) == bool(words)
        assert token not in " ".join(found)


def test_a_root_token_is_left_alone(bao: Dev) -> None:
    clock = Slow()
    made = login(bao, Given(environ={"VAULT_TOKEN": bao.token}), clock)
    made.token()
    clock.now += 1e9
    assert made.keep() == ""


# --- TLS --------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with Cluster() as made:
        made.policy("mine", POLICY)
        yield made


def test_the_certificate_that_the_connection_shows(cluster: Cluster, tmp_path: Path) -> None:
    authority = Authority(tmp_path, "people")
    ours, other = authority.issue("rotator", tmp_path), Authority(tmp_path, "others").issue("rotator2", tmp_path)
    cluster.api("POST", "sys/auth/cert", {"type": "cert"})
    cluster.api("POST", "auth/cert/certs/claw", {"certificate": authority.file.read_text(), "token_policies": "mine",
                                                 "allowed_common_names": ["rotator"]})
    ca = str(cluster.ca_file)
    shown = (str(ours[0]), str(ours[1]))
    assert works(login(cluster, methods.certificate("", "claw"), ca_file=ca, client_cert=shown))
    with pytest.raises(StoreLocked, match="refused the cert login"):
        login(cluster, methods.certificate("", "claw"), ca_file=ca, client_cert=(str(other[0]), str(other[1]))).token()
    ours[1].chmod(0o644)
    with pytest.raises(StoreLocked, match="open to other users"):
        login(cluster, methods.certificate("", "claw"), ca_file=ca, client_cert=shown)


def test_another_authority_is_said_at_once(cluster: Cluster, tmp_path: Path) -> None:
    clock = Slow()
    other = str(Authority(tmp_path).file)
    made = login(cluster, methods.approle("", "r", methods.plain_file(private(tmp_path / "s", "x"))), clock,
                 ca_file=other)
    with pytest.raises(StoreError, match="certificate"):
        made.token()
    assert clock.now == 1000.0


def test_plain_http_to_a_server_that_wants_https(cluster: Cluster) -> None:
    connection = Connection([cluster.url.replace("https", "http")], lambda: SecretValue(cluster.token))
    with pytest.raises(StoreError, match="no Vault or OpenBao, or wants https"):
        Documents(Transport(connection), "secret").read("any")


@pytest.mark.parametrize("content", [None, "no PEM"])
def test_a_file_of_authorities_that_is_none(tmp_path: Path, content: str | None) -> None:
    file = tmp_path / "ca.pem"
    if content is not None:
        file.write_text(content)
    with pytest.raises(StoreError, match=r"ca\.pem cannot be used as authorities"):
        Login(Given(), Way(["https://localhost:1"], ca_file=str(file)))


def test_a_sealed_server_says_so_without_patience(tmp_path: Path) -> None:
    with Dev() as bao:
        bao.seal()
        clock = Slow()
        made = login(bao, methods.approle("", "r", methods.plain_file(private(tmp_path / "s", "x"))), clock)
        with pytest.raises(StoreError, match="sealed") as caught:
            made.token()
        assert "unseal" in caught.value.hint
        assert clock.now == 1000.0
