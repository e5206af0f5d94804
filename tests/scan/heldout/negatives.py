# ruff: noqa: E501  (tables: one row a line)
"""Texts without a secret that look as if they had one: each is a file in which nothing may be found."""

from __future__ import annotations

import base64
import json
import random
from collections.abc import Callable, Iterator, Mapping
from itertools import pairwise

from .types import TOKENS, Type
from .values import ALNUM, CLASSES, made, some, unpadded, uuid

HEX = CLASSES["h"]

PLACEHOLDERS = (
    "your-api-key-here", "YOUR_API_KEY", "<your-token>", "<YOUR {label}>", "xxxxxxxxxxxxxxxxxxxxxxxx", "${V}", "$V", "{{ V }}",
    "%V%", "changeme", "change-me-please", "REPLACE_ME", "replace-with-your-key", "sk-...", "***", "****************",
    "[REDACTED]", "<redacted>", "…", "TODO", "null", "undefined", "not-set", "dummy-key-for-tests", "abc123",
    "insert_your_key_here", "fake-token", "my-secret-token", "sk-xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx", "sk-ant-api03-...",
    "1234567890abcdef", "0123456789abcdef0123456789abcdef", "deadbeefdeadbeefdeadbeefdeadbeef", "AAAAAAAAAAAAAAAAAAAAAAAA",
    "op://vault/claw/key", "vault:secret/data/claw#key", "file:///run/secrets/key", "/run/secrets/key", "!vault |",
    "arn:aws:secretsmanager:eu-west-1:123456789012:secret:claw-AbCdEf", "ENC[AES256_GCM,data:8fGQ2x==,iv:h2,tag:q8,type:str]",
    "@Microsoft.KeyVault(SecretUri=https://claw.vault.azure.net/secrets/key)", "secretref:claw-key", "process.env.V",
    "os.environ['V']", "$(cat /run/secrets/key)", "`pass show claw/key`", "#{ENV['V']}", "<%= ENV['V'] %>", "!Ref Key",
    "${{ secrets.V }}", "${var.key}", "{{ .Values.key }}", "$(V)", "${env:V}", "{env.V}", "@@V@@", "__V__", "{V}", ":V",
    "xoxb-your-bot-token", "123456:ABC-DEF1234ghIkl-zyx57W2v1u123ew11", "ghp_xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
    "AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "hunter2", "password", "letmein", "secret",
)  # fmt: skip

FRAMES: tuple[Callable[[Type, str], str], ...] = (
    lambda k, v: f"{k.variable}={v}\n",
    lambda k, v: f'{k.variable}="{v}"\n',
    lambda k, v: f"Set your {k.label} in `.env`:\n\n```\n{k.variable}={v}\n```\n",
    lambda k, v: f'curl -H "Authorization: Bearer {v}" https://api.acme.io/v1\n',
    lambda k, v: json.dumps({"channels": {k.slug: {"apiKey": v}}}),
    lambda k, v: f"environment:\n  {k.variable}: {v}\n",
    lambda k, v: f"const apiKey = '{v}';\n",
)


def placeholders(rng: random.Random) -> Iterator[str]:
    for at, holder in enumerate(PLACEHOLDERS):
        for frame in (FRAMES[at % len(FRAMES)], FRAMES[(at + 3) % len(FRAMES)]):
            kind = rng.choice(TOKENS)
            yield frame(kind, holder.replace("V", kind.variable).replace("{label}", kind.label))


DIGESTS = (
    "sha256:{h:64}", "{h:64}  claw-linux-amd64.tar.gz", "MD5 ({0}) = {h:32}", "checksum = \"{h:64}\"", "commit {h:40}",
    "FROM node@sha256:{h:64}", "\"integrity\": \"sha512-{b64}\"", "etag: \"{h:32}\"", "ETag: W/\"{h:8}-{w:27}\"",
    "\"gitHead\": \"{h:40}\"", "resolved = \"{h:40}\"", "- uses: actions/checkout@{h:40}", "--hash=sha256:{h:64}",
    "SHA1 Fingerprint={fp}", "tree {h:40}\nparent {h:40}", "version: 0.0.0-{d:14}-{h:12}", "h1:{b32}=", "rev = \"{h:40}\"",
    "digest: sha256:{h:64}\ngenerated: \"2026-02-01\"", "\"contentHash\": \"{h:64}\"", "cache-key: {h:64}",
    "traceparent: 00-{h:32}-{h:16}-01", "x-request-id: {h:32}", "\"sha512\": \"{h:128}\"", "blake2b {h:64} file",
    "build_id={h:40}", "\"shasum\": \"{h:40}\"", "nix: sha256-{b32}=", "cacheKey = '{h:40}'", "BuildID[sha1]={h:40}",
    "\"public_key\": \"{h:64}\"", "pubkey: {h:64}", "npub1{z:58}", "key_id: {h:16}", "\"keyId\": \"{h:40}\"",
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI{s:43} ann@host", "|1|{b20}=|{b20}= ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI{s:43}",
    "git.acme.io ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAABAQC{s:330}", "gpg: key {H:16}: public key imported",
    "Key fingerprint = {fpg}", "SHA256:{s:43} ann@host (ED25519)", "age1{z:58}", "PublicKey = {s:43}=",
    "\"token_type_hash\": \"{h:40}\"", "passwordHash: \"$2b$12${w:53}\"", "postgres:SCRAM-SHA-256$4096:x", "secretHash: {h:64}",
    "\"webhookId\": \"1{d:18}\"", "guild_id: \"1{d:17}\"", "\"tokenId\": \"{uuid}\"", "apiKeyId: {uuid}", "\"nonce\": \"{h:24}\"",
)  # fmt: skip


def filled(template: str, rng: random.Random) -> str:
    for mark, size in (("{b64}", 86), ("{b32}", 43), ("{b20}", 27)):
        while mark in template:
            template = template.replace(mark, some(rng, CLASSES["s"], size) + ("==" if size == 86 else ""), 1)
    pairs = [some(rng, CLASSES["H"], 2) for _ in range(20)]
    fours = [some(rng, CLASSES["H"], 4) for _ in range(10)]
    return made(template.replace("{fpg}", " ".join(fours)).replace("{fp}", ":".join(pairs)).replace("{0}", "a.iso"), rng)


def digests(rng: random.Random) -> Iterator[str]:
    for template in DIGESTS:
        for _ in range(2):
            yield filled(template, rng) + "\n"


PLAIN = (
    'password = "secret"', "password: password", "DB_PASSWORD=postgres", "MYSQL_ROOT_PASSWORD: root", "password=''",
    'assert login("ann", password="wrong-password")', "def test_token_is_refreshed_when_expired(): ...",
    "expect(token).toBe('expected-access-token')", '"passwordLabel": "Passwort eingeben"', '"password": "Mot de passe"',
    '"forgotPassword": "¿Olvidaste tu contraseña?"', '"apiKey": "API-Schlüssel"', '"token": "アクセストークン"',
    '"secret": "Секретный ключ"', '"password_hint": "Hasło musi mieć co najmniej 12 znaków"', '"apiKeyPlaceholder": "sk-..."',
    '"token.invalid": "Le jeton est invalide ou a expiré"', '"clientSecret": "客户端密钥"', '"password": "Wachtwoord"',
    'PASSWORD_RESET_URL = "/accounts/password/reset/confirm"', 'TOKEN_ENDPOINT = "https://auth.acme.io/oauth2/token"',
    'const SECRET_NAME = "openclaw-gateway-token";', 'secretName: claw-gateway-token-2026', "secretKeyRef:\n  name: claw\n  key: gatewayToken",
    'token: { source: "env", provider: "default", id: "OPENCLAW_GATEWAY_TOKEN" }', 'apiKey: "OPENAI_API_KEY"',
    'tokenFile: "/etc/openclaw/telegram.token"', 'passwordFile = "~/.config/claw/irc-password"', 'credentialsPath: "./creds.json"',
    'const tokenStorageKey = "openclaw.control.settings.v1";', 'localStorage.setItem("accessToken", token)',
    "const apiKey = getSecretFromKeychain('openclaw');", "token = request.headers.get('Authorization')",
    "api_key = config.get('providers', 'openai')", "password = getpass.getpass('Password: ')", "self.token = token or self._load_token()",
    "apiKey: string;", "token?: string | undefined;", "password VARCHAR(255) NOT NULL", "token TEXT PRIMARY KEY,", "secret: Optional[str] = None",
    "func NewClient(apiKey string, secretKey string) *Client {", "public string ClientSecret { get; set; }", "token: z.string().min(32),",
    'type: "string", format: "password", default: ""', '"description": "API key for the provider; see docs/providers"', "csrfCookieName: 'XSRF-TOKEN'",
    "SESSION_COOKIE_NAME=claw_session_id", 'csrfHeaderName = "X-CSRF-TOKEN"', "max_tokens: 200000", "tokens=128000 cache_read_tokens=91234",
    "token_count: 18446744073709551615", "promptTokens: 12345678", "tokenizer: cl100k_base", "tokenBudget=1000000000", "special_tokens_map: added_tokens.json",
    "keyboard: us-intl-altgr-deadkeys", "monkey: george-the-curious-one", "primaryKey: customer_account_identifier", "sortKey: createdAtTimestampDesc",
    "partition_key=organization_id_hash_bucket", "hotkey = 'ctrl+shift+alt+KeyP'", "keywords: authentication, oauth2, token, secret, password",
    "+43 664 1234567", "Call +1 (415) 555-0132 or write to support+keys@acme.io", "ann.smith-jones@subdomain.acme.io", "#1f2a3b; color: #deadbe; --accent: #a1b2c3d4",
    ".btn-primary-outline-secondary-hover:not(.is-disabled)::before { content: '\\f0c1'; }", "background: url(data:image/gif;base64,R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7)",
    "arn:aws:iam::123456789012:role/openclaw-gateway-runtime", "projects/claw-7/secrets/gateway-token/versions/3", "projects/claw-7/locations/eu/keyRings/main/cryptoKeys/state",
    "arn:aws:kms:eu-west-1:123456789012:key/8a1b2c3d-1111-4222-8333-444455556666", "/subscriptions/8a1b2c3d-1111-4222-8333-444455556666/resourceGroups/claw",
    "https://docs.acme.io/providers/openai#api-key-authentication-and-token-rotation", "https://console.acme.io/settings/api-keys?project=proj_default&tab=tokens",
    "postgres://localhost:5432/app", "postgres://user:password@localhost:5432/db", "postgresql://${DB_USER}:${DB_PASS}@db/app", "mysql://root:root@127.0.0.1/test",
    "redis://:password@localhost:6379", "mongodb://user:pass@host:27017/db", "https://user:pass@example.com/path", "amqp://guest:guest@localhost:5672/",
    "https://x-access-token:${GITHUB_TOKEN}@github.com/acme/claw.git", "git@github.com:openclaw/openclaw.git", "ssh://git@git.acme.io:7999/ops/claw.git",
    "https://discord.com/api/webhooks/<id>/<token>", "https://hooks.slack.com/services/T00000000/B00000000/XXXXXXXXXXXXXXXXXXXXXXXX", "https://api.telegram.org/bot<token>/getMe",
    "machine example.com login USER password PASSWORD", "hostname:port:database:username:password", "//registry.acme.io/:_authToken=${NPM_TOKEN}",
    "-----BEGIN PRIVATE KEY-----\n...\n-----END PRIVATE KEY-----", 'if "-----BEGIN RSA PRIVATE KEY-----" in text: raise ValueError', "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=\n-----END PUBLIC KEY-----",
    "pattern: '\\bghp_[A-Za-z0-9]{36}\\b'", "re.compile(r'xox[baprs]-[0-9]{10,13}-[0-9A-Za-z-]+')", "Keys start with `sk-ant-api03-` and end in AA.", "prefix: AKIA (long-lived) or ASIA (session)",
    "Bot tokens look like `123456789:AAExampleExampleExampleExampleExample`.", "Authorization: Bearer <access_token>", 'headers: { Authorization: `Bearer ${token}` }', "Authorization: Basic dXNlcjpwYXNzd29yZA==",
    "Authorization: Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==", "WWW-Authenticate: Bearer realm=\"claw\", error=\"invalid_token\"", "Set-Cookie: session=; Path=/; HttpOnly; Max-Age=0",
    "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiIxMjM0NTY3ODkwIiwibmFtZSI6IkpvaG4gRG9lIiwiaWF0IjoxNTE2MjM5MDIyfQ.SflKxwRJSMeKKF2QT4fwpMeJf36POk6yJV_adQssw5c",
    "The above copyright notice and this permission notice shall be included in all copies or substantial portions of the Software.", "openclaw secrets audit --check reported 0 findings in 14 files",
    "The gateway token is generated on first start and stored in openclaw.json.", "Your password must contain at least 12 characters, one digit, and one symbol.", "Token refreshed successfully for account default (expires in 3600s)",
    "[gateway] auth mode: token (source: env OPENCLAW_GATEWAY_TOKEN)", "error: invalid api key provided: sk-proj-****************************abcd", "telegram: bot token rejected (401 Unauthorized): getMe failed", "loaded credential profile anthropic:default from auth-profiles.json",
    "apiKey=REDACTED&sig=REDACTED", "token=sha256:redacted", "secret_key_base: <%= ENV['SECRET_KEY_BASE'] %>", "VAULT_ADDR=https://vault.acme.io:8200", "AWS_PROFILE=openclaw-production-admin", "OPENAI_BASE_URL=https://gateway.ai.acme.io/v1/openai-compatible",
    "OPENAI_ORG_ID=org-9f8KxQ2mLpTz41VbNcWsRdYe", "TWILIO_ACCOUNT_SID=AC8f14e45fceea167a5a36dedd4bea2543", "TWILIO_MESSAGING_SERVICE_SID=MG3c59dc048e8850243be8079a5c74d079", "MSTEAMS_APP_ID=5b0c1a7e-6f42-4c8d-9c1e-7a2f3b4d5e6f", "MSTEAMS_TENANT_ID=72f988bf-86f1-41af-91ab-2d7cd011db47",
    "FEISHU_APP_ID=cli_a7f3c91d2e8b500c", "DISCORD_APPLICATION_ID=1187654321098765432", "SLACK_TEAM_ID=T04QX8RLM2Z", "slack channel C05PM7K2QRS user U03NX9WTL4V", "telegram chat -1001987654321 message 48213", "LINE userId U8f14e45fceea167a5a36dedd4bea2543",
    "pk_live_51Nq8XkL2vRt9YpWbMc7HdFjZ5SgTaUe6Ni3oKxQzV4EwJrB1hC0yPuDmGsAlfIO", "STRIPE_PUBLISHABLE_KEY=pk_test_51Mx7QzKpL9vRt2YbWc4HdFj8SgTaUe6", "GOOGLE_CLIENT_ID=481516234200-q8s2xk7v3m9p1l5t0r6w4y2n8b3c7d1f.apps.googleusercontent.com", "oauth client_id: Iv1.8a61f9b3a7aba766", "SENTRY_DSN_HOST=o447951.ingest.sentry.io",
    "posthog feature flag: enable-new-onboarding-flow-v2-2026-rollout", "GrowthBook.isOn('gateway-token-rotation-experiment-holdout')", "AbstractSingletonProxyFactoryBeanTokenProviderImplementation", "com.acme.claw.authentication.token.JwtAccessTokenRefreshServiceTest",
    "convert_anthropic_oauth_token_to_provider_credential_profile", "OPENCLAW_LIVE_GATEWAY_TOKEN_ROTATION_TEST_TIMEOUT_MS=90000", "/usr/lib/node_modules/openclaw/dist/secrets-runtime-C8BVj5Qn.mjs", "~/.openclaw/agents/main/sessions/8a1b2c3d-1111-4222-8333-444455556666.jsonl", "C:\\Users\\ann\\AppData\\Roaming\\openclaw\\gateway.token.json",
    "v2026.9.6-beta.3+build.20260914.sha.5114f85", "openclaw@2026.9.6 engines: node >=24.1.0", "const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/';", 'BASE58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"', "lorem ipsum dolor sit amet consectetur adipiscing elit token sed do",
    "id: cmb8q2x7k0000v3m9p1l5t0r6", "ulid: 01J8ZQ4X7K2V9M3P1L5T0R6W4Y", "nanoid: V1StGXR8_Z5jdHi6B-myT", "session_id=8a1b2c3d-1111-4222-8333-444455556666", "conversationId: 68f0c1d2-7a64-8332-9b1e-5f3c7d2a9e10", "sessionKey: agent:main:telegram:dm:123456789", "sessionKey: \"hook:ingress:gmail-inbox\"",
    "toolu_01A09q90qw90lq917835lq9", "call_8fGQ2xKpL9vRt2YbWc4HdFj8", "chatcmpl-9qX7KzLpV2mRt8YbWc4HdFj8SgTaU", "msg_01XFDUDYJgAACzvnptvVoYEL", "req_011CQxk7v3m9p1l5t0r6w4y2n", "resp_68f0c1d27a6483329b1e5f3c7d2a9e10", "thread_abc9qX7KzLpV2mRt8YbWc4Hd", "asst_Xk7v3M9p1L5t0R6w4Y2n8B3c",
    "voiceId: 21m00Tcm4TlvDq8ikWAM", "voice_id=EXAVITQu4vr4xnSDxMaL", "model: claude-opus-4-5-20251101", "modelId = anthropic.claude-sonnet-4-5-20250929-v1:0", "deployment: gpt-5-codex-2026-03-11-eastus2", "figma file key: 8fGQ2xKpL9vRt2YbWc4HdF",
    "google doc: https://docs.google.com/document/d/1qX7KzLpV2mRt8YbWc4HdFj8SgTaUe6Ni3oKxQzV4EwJ/edit", "youtube: https://youtu.be/dQw4w9WgXcQ", "spotify:track:4uLU6hMCjMI75M1A2tKUQC", "calendar: c_8f14e45fceea167a5a36dedd4bea2543@group.calendar.google.com",
    "bitcoin: bc1qar0srrr7xfkvy5l643lydnw9re59gtzzwf5mdq", "0x742d35Cc6634C0532925a3b844Bc454e4438f44e", "ipfs QmYwAPJzv5CZsnA625s3Xf2nemtYgPpHdWEz79ojWKPRgy", "IBAN AT61 1904 3002 3457 3201", "magnet:?xt=urn:btih:8f14e45fceea167a5a36dedd4bea25438f14e45f", "2001:0db8:85a3:0000:0000:8a2e:0370:7334", "02:42:ac:11:00:02",
    "password_min_length: 16", "tokenTtl: 3600", "secretsProvider: vault", "api_key_header: X-API-Key", "token_url: /oauth/token", "auth: token", "authMode: 'token'", "password: true", "secret: false", "passwordless: enabled", "secretRotationIntervalDays: 90", "tokenType: Bearer",
    "input type=\"password\" name=\"password\" autocomplete=\"current-password\"", "<label for=\"api-key\">API key</label>", "placeholder=\"Enter your API token\"", "aria-label=\"Show password\" data-testid=\"toggle-password-visibility\"",
    "GITHUB_TOKEN: ${{ github.token }}", "run: echo \"token=$(gh auth token)\" >> $GITHUB_OUTPUT", "--token-file /run/secrets/gateway", "docker login -u ann --password-stdin", "openssl rand -hex 24", "read -rs OPENAI_API_KEY", "unset ANTHROPIC_API_KEY", "export OPENAI_API_KEY=$(pass show openai)",
    "if [ -z \"$OPENCLAW_GATEWAY_TOKEN\" ]; then exit 1; fi", "token := os.Getenv(\"TELEGRAM_BOT_TOKEN\")", "String apiKey = System.getenv(\"OPENAI_API_KEY\");", "ENV['STRIPE_SECRET_KEY'] || raise('missing')", "password = Rails.application.credentials.db_password", "const token = await readFile('token.txt', 'utf8');",
)  # fmt: skip


def identifiers(rng: random.Random) -> Iterator[str]:
    for _ in range(12):
        yield f"id: {uuid(rng)}\nparent: {uuid(rng)}\n"
        yield json.dumps({"guild": "1" + some(rng, "0123456789", 17), "user": "2" + some(rng, "0123456789", 17)}) + "\n"
        yield f'{{"sessionId":"{uuid(rng)}","messageId":"{some(rng, HEX, 8)}","runId":"{uuid(rng)}"}}\n'


def certificate(rng: random.Random) -> str:
    body = "MIID" + base64.b64encode(rng.randbytes(620)).decode()
    lines = "\n".join(body[at : at + 64] for at in range(0, len(body), 64))
    return f"-----BEGIN CERTIFICATE-----\n{lines}\n-----END CERTIFICATE-----\n"


def image(rng: random.Random) -> str:
    return f'<img src="data:image/png;base64,iVBORw0KGgo{base64.b64encode(rng.randbytes(2000)).decode()}">\n'


def minified(rng: random.Random) -> str:
    names = [some(rng, CLASSES["A"], rng.randint(1, 3)) for _ in range(300)]
    calls = [f"{a}.{b}=function({a}){{return {a}[{rng.randint(0, 999)}]||{b}('{some(rng, CLASSES['L'], 7)}')}}" for a, b in pairwise(names)]
    return "!function(e,t){var token=e.token,key=t.key;" + ";".join(calls) + "}(this,window);\n"


def lockfile(rng: random.Random) -> str:
    rows = {}
    for _ in range(20):
        name = f"node_modules/{some(rng, CLASSES['L'], 8)}-token"
        rows[name] = {"version": "1.2.3", "integrity": "sha512-" + base64.b64encode(rng.randbytes(64)).decode()}
    return json.dumps({"lockfileVersion": 3, "packages": rows}, indent=2)


def cargo(rng: random.Random) -> str:
    return "".join(f'[[package]]\nname = "secret-{n}"\nchecksum = "{some(rng, HEX, 64)}"\n\n' for n in range(20))


def sums(rng: random.Random) -> str:
    return "".join(f"{some(rng, HEX, 64)}  token-{n}.tar.gz\n" for n in range(20))


def source_map(rng: random.Random) -> str:
    words = ";".join(",".join(some(rng, "ACEGIKMQSUWY" + "gBCDE", 4) for _ in range(9)) for _ in range(60))
    return json.dumps({"version": 3, "sources": ["token.ts"], "mappings": words})


def notebook(rng: random.Random) -> str:
    picture = base64.b64encode(rng.randbytes(900)).decode()
    return json.dumps({"cells": [{"outputs": [{"data": {"image/png": picture}}], "source": ["plot(key)"]}]})


def embedding(rng: random.Random) -> str:
    return json.dumps({"key": "doc-1", "embedding": [round(rng.uniform(-1, 1), 8) for _ in range(90)]})


def font(rng: random.Random) -> str:
    return f"@font-face{{src:url(data:font/woff2;base64,d09GMgABAAAAA{base64.b64encode(rng.randbytes(1500)).decode()})}}\n"


def wasm(rng: random.Random) -> str:
    return f'const wasm = "AGFzbQEAAAAB{base64.b64encode(rng.randbytes(1200)).decode()}";\n'


def session(rng: random.Random) -> str:
    signature = base64.b64encode(rng.randbytes(300)).decode()
    block = {"type": "thinking", "thinking": "The user wants a token count.", "thinkingSignature": signature}
    return json.dumps({"type": "message", "message": {"role": "assistant", "content": [block]}}) + "\n"


def encrypted(rng: random.Random) -> str:
    return json.dumps({"type": "reasoning", "id": "rs_" + some(rng, HEX, 50), "encrypted_content": "gAAAAAB" + unpadded(rng.randbytes(400))})


def age(rng: random.Random) -> str:
    return f"-----BEGIN AGE ENCRYPTED FILE-----\nYWdlLWVuY3J5cHRpb24ub3JnL3Yx{some(rng, ALNUM, 36)}\n-----END AGE ENCRYPTED FILE-----\n"


def signature(rng: random.Random) -> str:
    return f"-----BEGIN PGP SIGNATURE-----\n\niQIzBAABCgAdFiEE{some(rng, ALNUM, 48)}\n{some(rng, ALNUM, 64)}\n=a8Qx\n-----END PGP SIGNATURE-----\n"


def request_log(rng: random.Random) -> str:
    return f'10.0.0.4 - - [12/Mar/2026] "GET /assets/index-{some(rng, CLASSES["w"], 8)}.js?v={some(rng, HEX, 20)} HTTP/2" 200 {uuid(rng)}\n'


def page(rng: random.Random) -> str:
    return f"https://api.acme.io/list?pageToken={some(rng, CLASSES['w'], 44)}&pageSize=50\n"


def sealed(rng: random.Random) -> str:
    return f"apiVersion: bitnami.com/v1alpha1\nkind: SealedSecret\nspec:\n  encryptedData:\n    token: AgB{some(rng, CLASSES['s'], 701)}\n"


def css_modules(rng: random.Random) -> str:
    return "".join(f".passwordField_{some(rng, CLASSES['w'], 5)}{{color:#{some(rng, HEX, 6)}}}\n" for _ in range(12))


def snapshot(rng: random.Random) -> str:
    return f'exports[`renders the token form 1`] = `<div id="key-{some(rng, HEX, 8)}"><input type="password" /></div>`;\n'


MACHINE: tuple[Callable[[random.Random], str], ...] = (
    certificate, image, minified, lockfile, cargo, sums, source_map, notebook, embedding, font, wasm, session, encrypted, age,
    signature, request_log, page, sealed, css_modules, snapshot,
)  # fmt: skip


def templates(rng: random.Random) -> Iterator[str]:
    """A variable of every second type, as docs, code, and configuration name it without a value."""
    for at, kind in enumerate(TOKENS):
        name = kind.variable
        yield (
            f"| `{name}` | {kind.label} | required |\n",
            f'{kind.place.rsplit(".", 1)[-1]}: {{ source: "env", provider: "default", id: "{name}" }},\n',
            f"{name}=\nNEXT_SETTING=1\n",
            f"const value = process.env.{name} ?? loadFromKeychain('{name.lower()}');\n",
            f'throw new Error("Missing {name}: run openclaw configure and paste the {kind.label}");\n',
        )[at % 5]


def negatives(seed: int) -> Mapping[str, str]:
    """Name of the file and its text."""
    rng = random.Random(seed)
    found = {f"plain/{at}.txt": text + "\n" for at, text in enumerate(PLAIN)}
    for group in (placeholders, digests, identifiers, templates):
        found |= {f"{group.__name__}/{at}.txt": text for at, text in enumerate(group(rng))}
    found |= {f"{make.__name__}/{copy}.txt": make(rng) for make in MACHINE for copy in range(4)}
    return found
