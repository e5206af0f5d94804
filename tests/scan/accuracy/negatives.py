"""Hard negatives: text that looks as if it held a credential and holds none; the same in each run."""

from __future__ import annotations

import base64
import hashlib
import random
import uuid
from collections.abc import Iterator

NAMES = ("OPENAI_API_KEY", "DISCORD_BOT_TOKEN", "GATEWAY_TOKEN", "DB_PASSWORD", "apiKey", "client_secret", "SECRET_KEY",
         "slack.botToken", "authToken", "webhookSecret")
PLACEHOLDERS = ("YOUR_TOKEN", "your-api-key-here", "<your-token>", "xxxxxxxxxxxxxxxxxxxx", "changeme",
                "REPLACE_ME_WITH_KEY",
                "sk-your-key-here", "********", "insert-token-here", "TODO", "example-token-1234567890",
                "dummy_secret_value_1",
                "fake-key-for-tests-00001", "1234567890abcdef1234567890abcdef", "abcdefghijklmnopqrstuvwxyz123456",
                "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "00000000000000000000000000000000", "my-secret-key", "[REDACTED]",
                "sk-xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx", "test-token-123", "password123", "qwertyuiop123456",
                "placeholder")
REFERENCES = ("${TOKEN}", "$TOKEN", "{{ .Values.token }}", "{{ secrets.token }}", "<%= ENV['TOKEN'] %>", "%TOKEN%",
              "process.env.API_KEY_1", 'os.environ["KEY_2"]', "vault:secret/data/app#key1", "op://prod/openai/key1",
              "!secret openai_key_1", "$(cat /run/secrets/key1)", "config.get('token1')", "getToken(user1)",
              "arn:aws:secretsmanager:eu-west-1:111122223333:secret:app-1", "file:/run/secrets/token1",
              "self.settings.api_key1", "secrets.GITHUB_TOKEN", "${{ secrets.DEPLOY_KEY1 }}", "env:OPENAI_KEY_1")
CODE = (
    "const token = await auth.fetchAccessToken(account1);", "token: z.string().min(16).max(128),",
    "password: string;", "if (password.length < 8) throw new Error('password too short: need 8 characters');",
    "def set_password(self, password1: str) -> None:", "secret = secrets.token_hex(32)", "api_key = None",
    "tokenizer = AutoTokenizer.from_pretrained('gpt2-medium-v1')", "max_tokens: 4096", "token_count = 128000",
    "passwordResetTemplateId: reset_password_v2", "secretRef: { source: 'env', id: 'OPENAI_API_KEY' }",
    "'apiKey': { source: \"exec\", provider: \"clawsecrets\", id: \"openai-api-key-1\" },",
    "keyboardShortcut: ctrl+shift+p1",
    "tokenUrl: https://auth.acme.io/oauth2/v2.0/token",
    "authorization_endpoint: https://login.acme.io/oauth2/v1/authorize",
    "export PASSWORD_FILE=/run/secrets/db_password_1", "tokenPath: ~/.openclaw/credentials/token-1.json",
    "--password-file /etc/app/password.txt", "csrfToken: document.querySelector('#csrf1').value",
    "Authorization: Bearer <token>", "Authorization: Basic <credentials>", "curl -u user:password https://api.acme.io",
    "postgres://user:password@localhost:5432/db", "redis://localhost:6379/0", "mysql -u root -p app",
    "https://user:pass@example.com/path", "git@github.com:acme/app.git", "mongodb://mongo:27017/app",
    "the password must have at least 12 characters", "your token is stored in the keychain", "the key is under the mat",
    "-----BEGIN PUBLIC KEY-----\nMIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEA7nR3kV9xW2mTqL5\n-----END PUBLIC KEY-----",
    "-----BEGIN RSA PRIVATE KEY-----\n...\n-----END RSA PRIVATE KEY-----",
    'pem.startswith("-----BEGIN PRIVATE KEY-----")',
    "AWS_ACCESS_KEY_ID=AKIAIOSFODNN7EXAMPLE", "aws_secret_access_key = wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
    "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiIxMjM0NTY3ODkwIiwibmFtZSI6IkpvaG4gRG9lIiwiaWF0IjoxNTE2MjM5MDIyfQ."
    "SflKxwRJSMeKKF2QT4fwpMeJf36POk6yJV_adQssw5c", "sk_test_4eC39HqLyjWDarjtT1zdp7dc",
    "ghp_16C7e42F292c6912E7710c838347Ae178B4a",
    "$ANSIBLE_VAULT;1.1;AES256\n66386439653236336462626566653063336164663966303231363934",
    "password: !vault |\n  $ANSIBLE_VAULT;1.1;AES256\n  6638643965323633646262656665306333616466396630",
    "ENC[AES256_GCM,data:p673w==,iv:YY=,tag:UE=,type:str]", "machine learning models need a login and a password",
    "type: kubernetes.io/dockerconfigjson", "X-Request-Id: 7f1c9a52e8d04b3f", "pass: true, passed: 12 of 15 tests",
)


def negatives() -> list[str]:
    """At least 500 texts, none of which holds a secret."""
    return [*CODE, *_beside_names(), *_hashes(random.Random(3)), *_ids(random.Random(5)), *_blobs(random.Random(7))]


def _beside_names() -> Iterator[str]:
    for number, value in enumerate((*PLACEHOLDERS, *REFERENCES)):
        for shift in range(5):
            name = NAMES[(number + 2 * shift) % len(NAMES)]
            form = ("{}={}", '"{}": "{}",', "{}: {}", "export {}='{}'", "const {} = `{}`;")[shift]
            yield form.format(name, value)


def _hashes(rand: random.Random) -> Iterator[str]:
    for _ in range(12):
        data = rand.randbytes(32)
        sha = hashlib.sha256(data).hexdigest()
        yield f"sha256:{sha}  openclaw-gateway-token.tar.gz"
        yield f"commit {hashlib.sha1(data).hexdigest()}\nAuthor: gateway token fixes"
        yield f'"integrity": "sha512-{base64.b64encode(hashlib.sha512(data).digest()).decode()}",'
        yield f"ETag: \"{hashlib.md5(data).hexdigest()}\""
        yield f"tokenHash: {sha}"
        yield f"api_key_sha256 = '{sha}'"
        yield f"image: ghcr.io/openclaw/openclaw@sha256:{sha}"
        yield f"github.com/acme/secret v1.2.3 h1:{base64.b64encode(data).decode()}"
        yield f'    --hash=sha256:{sha} \\'
        yield f"password_digest={sha}"
        yield f"resolved \"https://registry.acme.io/token/-/token-1.0.0.tgz#{hashlib.sha1(data).hexdigest()}\""
        yield f"checksum = \"{sha}\"  # secrecy crate"


def _ids(rand: random.Random) -> Iterator[str]:
    for _ in range(10):
        flake = rand.randrange(10**17, 10**19)
        one = uuid.UUID(int=rand.getrandbits(128), version=4)
        yield f"discord guild {flake}, channel {flake + 7}: bot token is set"
        yield f'"allowFrom": ["{flake}"], "token": {{"source": "env", "id": "DISCORD_BOT_TOKEN"}}'
        yield f"telegram chat id -100{rand.randrange(10**9, 10**10)}"
        yield f"session_token_id: {one}"
        yield f"secretId={one}"
        yield f"Request-Id: {one}, api key accepted"
        yield f"token expires at 2026-0{rand.randrange(1, 9)}-12T10:11:12.{rand.randrange(999)}Z"
        yield f"client_id = {rand.randrange(10**11)}-{rand.randbytes(16).hex()}.apps.googleusercontent.com"
        yield f"+49 170 {rand.randrange(10**7)}: whatsapp login code sent"
        yield f"tokens: {rand.randrange(10**6)} in, {rand.randrange(10**6)} out, cost $0.{rand.randrange(9999)}"


def _blobs(rand: random.Random) -> Iterator[str]:
    for _ in range(10):
        image = base64.b64encode(b"\x89PNG\r\n\x1a\n" + rand.randbytes(240)).decode()
        minified = "".join(f"function {rand.choice('abcdef')}{n}(e,t){{return e.token+t[{n}]}}" for n in range(12))
        yield f"<img src=\"data:image/png;base64,{image}\">"
        yield minified
        yield f"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI{base64.b64encode(rand.randbytes(30)).decode()} ops@key"
        yield f'"mappings":"AAAA,{",".join(base64.b64encode(rand.randbytes(6)).decode()[:5] for _ in range(30))}"'
        yield f"public_key: {base64.b64encode(rand.randbytes(32)).decode()}"
        yield f"next_page_token={base64.urlsafe_b64encode(rand.randbytes(24)).decode()}"
        yield f"Sec-WebSocket-Key: {base64.b64encode(rand.randbytes(16)).decode()}"
