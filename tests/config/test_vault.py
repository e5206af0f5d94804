"""[store.vault] and [store.paths]."""

from __future__ import annotations

from pathlib import Path

import pytest

from clawsecrets.config import VaultConfig, find_paths, parse, read_config
from clawsecrets.errors import ConfigError

PATHS = find_paths(environ={"HOME": "/home/ann"}, uid=1000)
APPROLE = 'auth = "approle"\nrole_id = "r"\nsecret_id_file = "/s"\n'


def vault(text: str) -> VaultConfig:
    return parse(f'[store]\nurl = "vault+https://v.example:8200/secret/claw"\n{text}', "c.toml", PATHS).store.vault


def test_left_out_it_is_a_token_of_the_environment() -> None:
    assert vault("") == VaultConfig()
    assert VaultConfig().auth == "token"
    assert VaultConfig().max_age == 0


def test_all_of_it() -> None:
    found = vault('[store.vault]\n' + APPROLE + 'secret_id_wrapped = true\nauth_mount = "team/approle/"\n'
                  'namespace = "/a/b/"\nnodes = ["https://v2.example:8200/"]\nca_cert = "~/ca.pem"\npatience = "5s"\n'
                  'cache = { max_age = "1h" }\n[store.paths]\nopenai = "secret/data/open/claw#OPENAI_API_KEY"\n')
    assert (found.auth_mount, found.namespace, found.nodes) == ("team/approle", "a/b", ("https://v2.example:8200",))
    assert (found.ca_cert, found.patience, found.max_age) == (Path("/home/ann/ca.pem"), (5.0, 10.0), 3600.0)
    assert found.paths == {"openai": "secret/data/open/claw#OPENAI_API_KEY"}
    assert found.secret_id_wrapped


@pytest.mark.parametrize(("text", "fault"), [
    ('[store.vault]\nauth = "ldap"', "not known"),
    ('[store.vault]\nauth = "approle"\nrole_id = "r"', "needs secret_id_file"),
    ('[store.vault]\nauth = "kubernetes"', "needs role"),
    ('[store.vault]\nauth = "jwt"\nrole = "ci"', "needs jwt_file or jwt_env"),
    ('[store.vault]\nrole_id = "r"', 'no meaning with auth = "token"'),
    ('[store.vault]\nclient_cert = "/c"', "belong together"),
    ('[store.vault]\nauth_mount = "../sys"\nauth = "cert"', "not the path of an auth method"),
    ('[store.vault]\nnodes = ["http://v2.example:8200"]', "nodes: an address"),
    ('[store.vault]\nnodes = ["https://v2.example:8200/ui"]', "holds no path"),
    ('[store.vault]\nauth = "jwt"\njwt_env = "eyJ.x"', "not the name of an environment variable"),
    ('[store.vault]\npatience = "0"', "too short"),
    ('[store.vault]\ntoken = "hvs.x"', "'token' is not known"),
    ('[store.paths]\nopenai = "secret/openclaw"', "not a place in Vault"),
    ('[store.paths]\nopenai = "secret/data/../sys#x"', "not a place in Vault"),
    ('[store.paths]\n"Open AI" = "secret/data/a#x"', "not a secret's name"),
    ('[store.paths]\na = "secret/data/a#x"\nb = "secret/data/a#x"', "same field"),
    ('[store.paths]\na = 1', "must be text"),
])
def test_what_cannot_be_is_refused(text: str, fault: str) -> None:
    with pytest.raises(ConfigError, match=fault) as caught:
        vault(text)
    assert "hvs.x" not in caught.value.message + caught.value.hint
    assert "eyJ" not in caught.value.message + caught.value.hint


def test_each_store_has_files_of_its_own_on_a_host(tmp_path: Path) -> None:
    paths = find_paths(environ={"CLAWSECRETS_HOME": str(tmp_path)})
    first = read_config(paths, "vault+https://v.example:8200/secret/claw").store
    second = read_config(paths, "vault+https://v.example:8200/secret/other").store
    assert first.file is None
    assert first.anchor.parent == second.anchor.parent == paths.state
    assert len({first.anchor, second.anchor, read_config(paths).store.anchor}) == 3
