# ruff: noqa: E501  (tables: one row a line)
"""Files of one shape: netrc, pgpass, npmrc, docker's config, private keys, the channels' own credential files."""

from __future__ import annotations

import base64
import json
import random
from collections.abc import Callable, Iterator, Mapping

from .types import BLOCKS
from .values import CLASSES, made, some

Shape = Callable[[str], str]


def _basic(value: str) -> str:
    return base64.b64encode(f"deploy:{value}".encode()).decode()


SHAPES: Mapping[str, tuple[str, str, Shape]] = {
    "netrc-line": ("netrc", "{password}", lambda v: f"machine git.acme.io login deploy password {v}\n"),
    "netrc-lines": ("netrc", "{a:24}", lambda v: f"machine api.acme.io\n  login bot\n  password {v}\n"),
    "pgpass": ("pgpass", "{password}", lambda v: f"db.acme.io:5432:app:claw:{v}\n"),
    "pgpass-star": ("pgpass", "{a:20}", lambda v: f"# replicas\n*:*:*:replica:{v}\n"),
    "npmrc": ("npmrc", "npm_{a:36}", lambda v: f"save-exact=true\n//npm.acme.io/:_authToken={v}\n"),
    "npmrc-old": ("npmrc", "{uuid}", lambda v: f"//npm.acme.io/:_authToken={v}\nalways-auth=true\n"),
    "npmrc-password": ("npmrc", "{a:20}", lambda v: f"//npm.acme.io/:_password={_plain(v)}\n"),
    "docker-auth": ("json", "{a:24}", lambda v: json.dumps({"auths": {"hub.acme.io": {"auth": _basic(v)}}})),
    "basic-header": ("txt", "{a:20}", lambda v: f"POST /jobs HTTP/1.1\nAuthorization: Basic {_basic(v)}\n"),
    "curl-user": ("sh", "{a:20}", lambda v: f"curl -u admin:{v} https://nas.acme.io/api\n"),
    "git-credentials": ("txt", "{a:24}", lambda v: f"https://deploy:{v}@git.acme.io\n"),
    "jdbc": ("properties", "{a:20}", lambda v: f"url=jdbc:postgresql://db:5432/app?user=claw&password={v}\n"),
    "ado": ("json", "{a:20}", lambda v: json.dumps({"Db": f"Server=db;Database=app;User Id=claw;Password={v};"})),
    "azure-connection": (
        "env",
        "{b6464}",
        lambda v: f"AZ=DefaultEndpointsProtocol=https;AccountName=claw;AccountKey={v};EndpointSuffix=core.windows.net\n",
    ),
    "azure-sas": (
        "txt",
        "{a:43}",
        lambda v: f"https://claw.blob.core.windows.net/b/x?sv=2024-11-04&se=2027-01-01&sr=c&sp=rl&sig={v}%3D\n",
    ),
    "wireguard": ("conf", "{b6432}", lambda v: f"[Interface]\nAddress = 10.8.0.2/24\nPrivateKey = {v}\n"),
    "whatsapp-creds": (
        "json",
        "{b6432}",
        lambda v: json.dumps({"noiseKey": {"private": {"type": "Buffer", "data": v}, "public": {"type": "Buffer"}}}),
    ),
    "whatsapp-adv": ("json", "{b6432}", lambda v: json.dumps({"registered": False, "advSecretKey": v})),
    "signal-identity": ("json", "{b6432}", lambda v: json.dumps({"aciAccountData": {"identityPrivateKey": v}})),
    "signal-password": ("json", "{b6418}", lambda v: json.dumps({"number": "+4366412345", "password": v}, indent=2)),
    "claude-file": (
        "json",
        "sk-ant-oat01-{w:93}AA",
        lambda v: json.dumps({"claudeAiOauth": {"accessToken": v, "expiresAt": 1768212000000}}),
    ),
    "codex-file": ("json", "{jwt}", lambda v: json.dumps({"tokens": {"access_token": v, "account_id": "x"}}, indent=2)),
    "oauth-refresh": ("json", "rt_{w:43}.{w:43}", lambda v: json.dumps({"tokens": {"refresh_token": v}}, indent=2)),
    "gh-hosts": ("yml", "gho_{a:36}", lambda v: f"github.com:\n    user: ann\n    oauth_token: {v}\n"),
    "aws-file": ("ini", "{s:40}", lambda v: f"[default]\naws_access_key_id = AKIA\naws_secret_access_key = {v}\n"),
    "kube-token": ("yml", "{jwt}", lambda v: f"users:\n- name: admin\n  user:\n    token: {v}\n"),
    "htpasswd-line": ("sh", "{password}", lambda v: f"htpasswd -b /etc/nginx/.htpasswd admin '{v}'\n"),
    "mysql-flag": ("sh", "{a:18}", lambda v: f"mysqldump -u root -p{v} shop > shop.sql\n"),
    "sshpass": ("sh", "{a:18}", lambda v: f"sshpass -p '{v}' ssh root@10.0.0.4\n"),
    "redis-cli": ("sh", "{h:32}", lambda v: f"redis-cli -h cache -a {v} ping\n"),
    "docker-login": ("sh", "dckr_pat_{w:27}", lambda v: f"echo {v} | docker login -u acme --password-stdin\n"),
    "tailscale-up": ("sh", "tskey-auth-k{a:11}CNTRL-{a:32}", lambda v: f"tailscale up --authkey {v} --ssh\n"),
    "gateway-url": ("txt", "{h:48}", lambda v: f"Dashboard URL: http://127.0.0.1:18789/?token={v}\n"),
    "gateway-hash": ("txt", "{h:48}", lambda v: f"Open http://127.0.0.1:18789/#token={v} in a browser\n"),
    "gateway-flag": ("sh", "{h:48}", lambda v: f"openclaw gateway --port 18789 --token {v}\n"),
    "hooks-header": ("sh", "{h:48}", lambda v: f"curl -X POST http://127.0.0.1:18789/hooks/wake -H 'x-openclaw-token: {v}'\n"),
    "telegram-curl": (
        "sh",
        "{n:1}{d:9}:AA{w:33}",
        lambda v: f"curl https://api.telegram.org/bot{v}/sendMessage -d chat_id=1 -d text=hi\n",
    ),
    "cookie": ("txt", "xoxd-{a:120}", lambda v: f"Cookie: b=.1; d={v}; lc=1768212000\n"),
    "htaccess-pre": ("txt", "{h:48}", lambda v: f"Authorization: Token {v}\n"),
    "mysql-cnf": ("ini", "{password}", lambda v: f"[client]\nuser=root\npassword={v}\n"),
    "terraform-block": ("tf", "{password}", lambda v: f'resource "db" "x" {{\n  master_password = "{v}"\n}}\n'),
}
"""name: suffix of the file, template of the value, and how the file stands around it."""


def _plain(value: str) -> str:
    return base64.b64encode(value.encode()).decode()


def account(key: str, rng: random.Random) -> str:
    entry = {"type": "service_account", "project_id": "claw-7", "private_key_id": some(rng, CLASSES["h"], 40)}
    return json.dumps({**entry, "private_key": key, "client_email": "claw@claw-7.iam.gserviceaccount.com"}, indent=2)


BLOCK_SHAPES: Mapping[str, Shape] = {
    "file": lambda v: v + "\n",
    "env": lambda v: "TZ=UTC\nTLS_KEY=\"" + v.replace("\n", "\\n") + '"\n',
    "json": lambda v: json.dumps({"tls": {"key": v}}, indent=2),
    "yaml": lambda v: "tls:\n  key: |\n" + "".join(f"    {line}\n" for line in v.splitlines()),
    "chat": lambda v: json.dumps({"role": "user", "content": f"this is my key\n{v}\nadd it"}) + "\n",
    "nested": lambda v: json.dumps({"text": json.dumps({"out": v})}) + "\n",
    "python": lambda v: f'KEY = """{v}"""\n',
    "crlf": lambda v: v.replace("\n", "\r\n"),
    "account": lambda v: account(v, random.Random(7)),
    "secret": lambda v: "kind: Secret\ndata:\n  tls.key: " + base64.b64encode(v.encode()).decode() + "\n",
}


def files(rng: random.Random) -> Iterator[tuple[str, str, str, str, str]]:
    """Type, context, suffix of the file, text, value."""
    for name, (suffix, template, shape) in SHAPES.items():
        for copy in range(3):
            value = made(template, rng)
            yield name, f"own-{copy}", suffix, shape(value), value
    for kind in BLOCKS:
        for context, shape in BLOCK_SHAPES.items():
            value = made(kind.template, rng)
            yield kind.slug, f"pem-{context}", "txt", shape(value), value


