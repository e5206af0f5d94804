"""Each reason not to report, with what it drops and what it must leave; and the checksums."""

from __future__ import annotations

import base64

import pytest

from clawsecrets.model.finding import Rule
from clawsecrets.scan import checksums, filters, placeholders
from clawsecrets.scan.filters import reason, sighting
from clawsecrets.scan.words import drawn, wordy
from tests.scan.rules_here import dropped, found

PLAIN = Rule("acme.key", "acme", "Acme", r"acme_(.*)", "high")
NEAR = Rule("acme.near", "acme", "Acme", r"[a-z0-9]+", "medium", near=("acme",))
GENERIC = Rule("generic.secret", "generic", "A key", "x", "medium")
PASSWORD = Rule("generic.password", "generic", "A password", "x", "medium")
URL = Rule("generic.database-url", "generic", "URL", "x", "medium")


def why(value: str, rule: Rule = GENERIC, before: str = "key = ", after: str = "\n", prefix: str = "") -> str:
    data = (before + value + after).encode()
    return reason(sighting(rule, data, len(before.encode()), len((before + value).encode()), prefix))


PLACEHOLDERS = ["YOUR_TOKEN", "your-api-key-here", "xxxxxxxxxxxxxxxx", "<your key>", "changeme", "change-me-please",
                "sk-aaaaaaaaaaaaaaaaaaaa", "abcdefghijklmnopqrst", "zyxwvutsrqponmlk", "0123456789abcdef",
                "a1b2c3d4e5f6g7h8",
                "qwertyuiop12", "my-secret-key", "insert_token_here", "[redacted]", "****************",
                "example-key-9f2k",
                "deadbeefdeadbeefdeadbeef", "fake-key-8f2kd9", "k-test-9f8e7d", "....", "abababababababab", "password1"]


@pytest.mark.parametrize("value", PLACEHOLDERS)
def test_placeholders_are_dropped(value: str) -> None:
    assert placeholders.placeholder(value.encode())


REAL = ["IQoJb3JpZ2luX2VjE//////////wEaCXVzLWVhc3QtMSJHMEUCIQDx9Kq2Lm",
        "q8Zt3LwV5nXr2KdM7yBf", "8f14e45fceea167a5a36dedd4bea2543", "wQ7!mXz2#Lr9", "Tr0ub4dor&3x",
        "k2v9x7q4m1t8r5w3z6n0",
        "aTestBk29fKq0XzYeR7w", "mYkEy9s8d7f6g5h4j3k2", "Contest99Rt5kq2bWz8x"]


@pytest.mark.parametrize("value", REAL)
def test_random_values_are_no_placeholders(value: str) -> None:
    assert placeholders.placeholder(value.encode()) == ""


def test_a_prefix_may_say_test() -> None:
    assert placeholders.placeholder(b"sk_test_9fKq0XzYeR7wLm3Vb8Nt", b"sk_test_") == ""
    assert placeholders.placeholder(b"sk_live_test_9fKq0XzYeR7wLm", b"sk_live_")


REFERENCES = ["${TOKEN}", "$TOKEN", "$(pass show x)", "{{ token }}", "<%= token %>", "process.env.TOKEN",
              "os.environ['T']",
              "op://vault/item/key", "vault:secret/x#y", "!secret token", "%TOKEN%", "config.api_key",
              "ENC[AES256,data:x]",
              "prefix-${TOKEN}-x", "env:TOKEN", "secretKeyRef", "arn:aws:secretsmanager:x", "{token}", "file:/run/x"]


@pytest.mark.parametrize("value", REFERENCES)
def test_references_are_dropped(value: str) -> None:
    assert placeholders.reference(value.encode())


@pytest.mark.parametrize("value", [*REAL, "$2y$10$abcdefghijklmnopqrstuv", "environmentKey9f8d7s6a5", "opK7://x"])
def test_values_are_no_references(value: str) -> None:
    assert placeholders.reference(value.encode()) == ""


def test_published_examples_are_dropped() -> None:
    example = "AKIAIOSFODNN7EXAMPLE"
    assert placeholders.published(example.encode()) and why(example, PLAIN)
    assert placeholders.published(b"AKIAQZ7WXK2M5VBNT3RJ") == ""
    header = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9"
    claims = "eyJzdWIiOiIxMjM0NTY3ODkwIiwibmFtZSI6IkpvaG4gRG9lIiwiaWF0IjoxNTE2MjM5MDIyfQ"
    assert placeholders.published(f"{header}.{claims}.anySignatureAtAll0123".encode())


CASES = [
    (GENERIC, "550e8400-e29b-41d4-a716-446655440f3a", "token = ", "UUID"),
    (GENERIC, "8f14e45fceea167a5a36dedd4bea2543", "md5 = ", "hash"),
    (GENERIC, "da39a3ee5e6b4b0d3255bfef95601890afd80709", "commit: token ", "hash"),
    (GENERIC, "sha512-q8Zt3LwV5nXr2KdM7yBfq8Zt3LwV5nXr2KdM7y==", "integrity: ", "digest"),
    (GENERIC, "q8Zt3LwV5nXr2KdM7yBf", "public_key = ", "public"),
    (GENERIC, "q8Zt3LwV5nXr2KdM7yBf", "next_page_token=", "public"),
    (GENERIC, "getAccessTokenForAccount2", "token = ", "words"),
    (GENERIC, "this.client.token1", "token = ", "where the secret is"),
    (GENERIC, "account1.secretValue", "token = ", "member"),
    (GENERIC, "2026-03-01T10:11:12Z", "token = ", "number"),
    (GENERIC, "./keys/token-1.json", "key: ", "path"),
    (GENERIC, "k9Zt3LwV5n", "key = ", "too short"),
    (GENERIC, "8888111188881111999", "key = ", ""),
    (PASSWORD, "passwordField", "password = ", "word"),
    (PASSWORD, "user?.password", "password = ", "expression"),
    (PASSWORD, "form.passwordValue", "password = ", "member"), (PASSWORD, "a1??b1", "password = ", "expression"),
    (PASSWORD, "first?second:third", "password = ", "expression"),
    (PASSWORD, "12", "password = ", ""),
    (URL, "hunter2x", "postgres://db:", ""),
    (URL, "ops", "postgres://ops:", "same word"),
    (NEAR, "internationalizationservice", "acme ", "words"), (PLAIN, "preview-dialog-reader", "acme_", "words"),
]


@pytest.mark.parametrize(("rule", "value", "before", "told"), CASES)
def test_each_reason(rule: Rule, value: str, before: str, told: str) -> None:
    found_reason = why(value, rule, before)
    assert told in found_reason if told else True
    assert bool(found_reason) or told == ""


KEPT = [
    (GENERIC, "q8Zt3LwV5nXr2KdM7yBf", "token = "), (GENERIC, "8f14e45fceea167a5a36dedd4bea2543", "api_key = "),
    (GENERIC, "3f9c1b7ad2e84605b19ce7f3052d6ab84f017be93d5c82a6", "gateway token "), (PASSWORD, "wQ7!mXz2#Lr9", "pw: "),
    (PASSWORD, "Summer-of-42!", "password: "), (URL, "s3cr3tPass", "postgres://ops:"), (NEAR, "k2v9x7q4m1t8r5w3z6n0",
    "acme "),
    (PLAIN, "internationalization4", "acme_"),
    (Rule("a.hash", "a", "a", "x", "medium", near=("api hash",)), "8f14e45fceea167a5a36dedd4bea2543", "api_hash="),
]


@pytest.mark.parametrize(("rule", "value", "before"), KEPT)
def test_what_may_be_real_is_kept(rule: Rule, value: str, before: str) -> None:
    assert why(value, rule, before) == ""


def test_documentation_hosts() -> None:
    assert why("s3cr3tPass", URL, "postgres://ops:", "@example.com/db\n")
    assert why("s3cr3tPass", URL, "postgres://ops:", "@db.acme.io/db\n") == ""


@pytest.mark.parametrize("line", [
    "PASS: ld-x86-64/tlspic2", "XPASS: gas/i386/iamcu-1", "PASS: binutils-all/x86-64/pr23494a-x32", "PASS: discard1",
    "PASS: libpr26580-1.so", "FAIL: gas/i386/pr19498",
])
def test_a_line_of_a_test_log(line: str) -> None:
    assert found(f"{line}\n") == [] == found(f"gas tests\nPASS: gas/elf/first1\r\n{line}\r\nPASS: last one\n")
    before, _, value = line.partition(" ")
    assert why(value, PASSWORD, f"x\n{before} ") == "a test's outcome"


@pytest.mark.parametrize("line", [
    "PASS=ld-x86-64/tlspic2", "pass: hunter-2-x!", "DB_PASS: hunter-2-x!", "PASS: wQ7!mXz2#Lr9", "PASS: q8Zt3LwV5nXr",
    "my PASS: hunter-2-x", "Pass: hunter-2-x", "  PASS: hunter-2-x", "PASS:hunter-2-x",
])
def test_a_password_that_is_named_pass(line: str) -> None:
    assert [rule for rule, _ in found(f"first\n{line}\n")] == ["generic.password"]


def test_a_call_is_no_value() -> None:
    assert why("q8Zt3LwV5nXr2KdM7yBf", GENERIC, "key = ", "(x)\n") == "a call or an index"
    assert why("settings", GENERIC, "key = ", " (x)\n") == "a call or an index"
    assert why("q8Zt3LwV5nXr2KdM7yBf", GENERIC, "key = ", " (from .env)\n") == ""


def test_parts_of_something_encoded() -> None:
    blob = "q8Zt3LwV5nXr2KdM7yBf" * 5
    assert why("k2v9x7q4m1t8r5w3z6n0", GENERIC, "key=", blob) and why("k2v9x7q4m1t8r5w3z6n0", GENERIC, blob, "\n")


def test_entropy_is_asked_for() -> None:
    rule = Rule("acme.key", "acme", "Acme", "x", "high", entropy=3.0)
    assert why("acfbdeacfbdeacfb", rule).startswith("entropy 2.6 is below 3.0")
    assert filters.entropy(b"") == 0 and filters.entropy(b"aaaa") == 0 and filters.entropy(b"abcd") == 2


# --- words ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["getAccessTokenForUser", "reset_password_template", "correct-horse-battery-staple",
                                  "internationalization", "SECRET_MANAGER_CLIENT", "keyboardShortcutHandler"])
def test_words_read_like_words(text: str) -> None:
    assert wordy(text.encode())


@pytest.mark.parametrize("text", ["q8Zt3LwV5nXr2KdM7yBf", "XvqLmZrTkWbNcJdGhPfS", "vpyjtqguhvxxicpo", "0123456789", "",
                                  "8f14e45fceea167a5a36dedd4bea2543"])
def test_random_text_does_not(text: str) -> None:
    assert not wordy(text.encode())


# --- checksums ------------------------------------------------------------------------------------------------------


def github(body: str) -> str:
    return body + checksums.crc32_digits(body.encode(), checksums._BASE62, 6)


def test_the_checksum_of_github_and_npm() -> None:
    right = "ghp_" + github("q8Zt3LwV5nXr2KdM7yBfJ4hS6gTc1u")
    assert len(right) == 40
    assert checksums.holds("github-crc32", right.encode()) and checksums.holds("npm-crc32", right.encode())
    wrong = right[:-1] + ("a" if right[-1] != "a" else "b")
    assert not checksums.holds("github-crc32", wrong.encode()) and not checksums.holds("github-crc32", b"ghp_")
    assert [rule for rule, _ in found(right)] == ["github.classic-token"]
    assert found(f"TOKEN={wrong}") == [("github.classic-token", wrong)], "how it is computed may change: it is told"
    placeholder = "ghp_" + "x" * 36
    assert found(f"TOKEN={placeholder}") == [] and "github.classic-token" in dropped(placeholder)


def test_the_checksum_that_github_documents() -> None:
    """A revoked token that was published to show the algorithm, in its parts: random characters, CRC-32."""
    assert checksums.crc32_digits(b"zQWBuTSOoRi4A9spHcVY5ncnsDkxkJ", checksums._BASE62, 6) == "0mLq17"


def test_a_value_that_is_not_built_as_its_format_asks() -> None:
    assert "checksum" in dropped("Authorization: Basic q8Zt3LwV5nXr2KdM7yBfJ4hS")["generic.basic-header"]
    part = base64.urlsafe_b64encode(b'{"sub":"q8Zt3LwV5nXr"}').decode().rstrip("=")
    assert "checksum" in dropped(f"x {part}.{part}.q8Zt3LwV5nXr2KdM7yBfJ4hS")["generic.jwt"]


def test_a_value_that_its_rule_does_not_mean() -> None:
    hashed = "$2b$12$" + "q8Zt3LwV5nXr2KdM7yBfJ4hS6gTc1uq8Zt3LwV5nXr2KdM7yBfJ4h"
    assert found(f'passwordHash: "{hashed}"') == []
    near = Rule("irc.password", "irc", "IRC", "x", "medium", near=("irc",))
    assert why("https://api.acme.io/v1", near) == "an address"
    beside = Rule("generic.secret-beside", "generic", "x", "x", "medium")
    assert "random enough" in why("authentication-flow-v2", beside)


def test_a_key_that_is_a_uuid() -> None:
    uuid = "8f3a0c1e-5b7d-4e2a-9c6f-1d0b2a3c4e5f"
    assert [value for _, value in found(f"x-api-key: {uuid}")] == [uuid]
    assert found(f"tokenId: {uuid}") == found(f"secretId={uuid}") == []


EVENT, UUID = "2026-11-29T21:20:04.512Z:config.write", "cafb41b3-9926-4a96-8054-ea293d15b5df"
HASH = "998048e9fda4401a70b1226740fdd5bc53640769c67dad00176a9872c6ab88f6"
BESIDE = Rule("generic.secret-beside", "generic", "x", "x", "medium")
FIELD = Rule("openclaw-config.mcp-env", "openclaw-config", "x", r"env: (.*)", "medium")


@pytest.mark.parametrize(("rule", "value", "before", "told"), [
    (BESIDE, f"{EVENT}:{UUID}", "event_key=", "names and a UUID"),
    (GENERIC, f"1795987204512:exec:{UUID}", '"entry_key":"', "names and a UUID"),
    (BESIDE, f"question:{UUID}", "token_key=", "names and a UUID"),
    (BESIDE, f"shared-auth-store:{HASH}", "source_key=", "name of a store"),
    (GENERIC, HASH, "source_key=shared-auth-store:", "name of a store"),
    (GENERIC, HASH[:24], "last_run_id=shared-auth-store:", "name of a store"),
    (GENERIC, HASH, "W\x04\x811\x01shared-auth-store:", "name of a store"),
    (GENERIC, f"{HASH}shared-auth-store-state-db/srv/claw/agents/main/agent.sqlite", "\x15shared-auth-store:",
     "name of a store"),
    (NEAR, HASH, "acme auth_cache:", "name of a store"),
    (FIELD, "fp:7f7887918114", 'env:{"ACME_TOKEN":"', "fingerprint"),
])
def test_ids_that_programs_put_together(rule: Rule, value: str, before: str, told: str) -> None:
    assert told in why(value, rule, before)


@pytest.mark.parametrize(("rule", "value", "before"), [
    (BESIDE, f"deploy-bot:{HASH}", "API_TOKEN="),
    (BESIDE, f"token-store:{HASH}", "source_key="),
    (GENERIC, HASH, "token:"), (GENERIC, HASH, "auth_token:"), (GENERIC, HASH, "webhook_secret: "),
    (GENERIC, HASH, "secret-store:"), (GENERIC, HASH, "x-auth-key:"), (GENERIC, HASH, "auth-store: "),
    (GENERIC, HASH, "auth-store="), (GENERIC, "q8Zt3LwV5nXr2KdM7yBf", "shared-auth-store:"),
    (GENERIC, f"{HASH[:24]}q8Zt3LwV5nXr2KdM7yBf", "shared-auth-store:"),
    (GENERIC, "q8Zt3LwV5nXr2KdM7yBf", f"shared-auth-store:{HASH}:token="),
    (FIELD, "fp:q8Zt3LwV5nXr2KdM7yBf", "env: "), (FIELD, "9f:7f7887918114", "env: "),
])
def test_secrets_where_such_ids_stand(rule: Rule, value: str, before: str) -> None:
    assert why(value, rule, before) == ""


def test_fingerprints_in_place_of_a_configuration() -> None:
    record = '{"gateway":{"auth":{"password":"fp:48c8005acaa2"}},"mcp":{"servers":{"x":{"env":{"X_API_KEY":"%s"}}}}}'
    assert found(record % "fp:99340aa238e1") == []
    assert [value for _, value in found(record % "q8Zt3LwV5nXr2KdM7yBf")] == ["q8Zt3LwV5nXr2KdM7yBf"]


def test_a_token_in_a_row_of_such_ids() -> None:
    row = (f"event_key={EVENT}:{UUID}\tsource_key=shared-auth-store:{HASH}\tlast_run_id=shared-auth-store:{HASH[:24]}"
           f'\tpayload_json={{"secret":"q8Zt3LwV5nXr2KdM7yBf"}}\n')
    assert [value for _, value in found(row)] == ["q8Zt3LwV5nXr2KdM7yBf"]


def test_a_long_random_value_may_hold_a_short_word() -> None:
    long = "q8Zt3LwV5nXr2KdM7yBfJ4hS6gTc1u" * 4
    assert not placeholders.placeholder(f"{long}+demo+{long}".encode())
    assert placeholders.placeholder(b"q8Zt3LwV5nXr-demo-2KdM7yBf")


@pytest.mark.parametrize("text", ["q8Zt3LwV5nXr2KdM7yBf", "3f9a1c7be2d84056a9b1c3d5e7f90214", "k2v9x7q4m1t8r5w3z6n0",
                                  "s.q8Zt3LwV5nXr2KdM7yBf"])
def test_what_is_drawn_by_lot(text: str) -> None:
    assert drawn(text.encode())


@pytest.mark.parametrize("text", ["getSecretFromKeychain2", "authentication_token_v2", "config.dbPassword2", "abc1", "",
                                  "claude-sonnet-4-5-20250929", "11111111111111111111111111111111", "deadbeef"])
def test_what_is_not(text: str) -> None:
    assert not drawn(text.encode())


def test_a_known_checksum_of_the_published_algorithm() -> None:
    assert checksums.crc32_digits(b"123456789", "0123456789abcdef", 8) == "cbf43926"  # the check value of CRC-32
    assert checksums.crc32_digits(b"", checksums._BASE62, 6) == "000000"


def test_basic_authentication() -> None:
    right = base64.b64encode(b"ops:wQ7!mXz2#Lr9")
    assert checksums.holds("basic-auth", right) and checksums.holds("basic-auth", right.rstrip(b"="))
    for wrong in (b"authentication", base64.b64encode(b"no colon"), base64.b64encode(b"\xff\xfe:x"), b"a", b"ab=cd"):
        assert not checksums.holds("basic-auth", wrong)


def test_json_web_tokens() -> None:
    def part(text: str) -> str:
        return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")

    assert checksums.holds("jwt", ".".join([part('{"alg":"HS256"}'), part('{"sub":"1"}'), "sig"]).encode())
    for wrong in (".".join([part('{"typ":"x"}'), part("{}"), "s"]),
                  f"{part('[]')}.{part('x')}.s", "ey.ey.x", "", "é.é.é",
                  f"{part('[' * 50_000)}.{part('x')}.s"):
        assert not checksums.holds("jwt", wrong.encode())


def test_other_checksums() -> None:
    body = "glpat-q8Zt3LwV5nXr2KdM7yBfJ4hS6.01.1k"
    right = body + checksums.crc32_digits(body.encode(), checksums._BASE36, 7)
    assert checksums.holds("gitlab-crc32", right.encode()) and not checksums.holds("gitlab-crc32", body.encode())
    assert checksums.holds("crc32-base62-whole", github("abc_q8Zt3").encode())
    with pytest.raises(KeyError):
        checksums.holds("none", b"x")
