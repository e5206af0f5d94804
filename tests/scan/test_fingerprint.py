"""Fingerprints: stable for ever, different under another salt, dear only where a value can be guessed."""

from __future__ import annotations

import hashlib
import random
import re
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clawsecrets.scan import fingerprint as module
from clawsecrets.scan.fingerprint import COSTS, LEAST, STANDARD_SALT, STRONG, bits, fingerprint, fingerprints

STANDS = {
    b"hunter2": "56b9ba3ed9f73d78",
    b"acme_Qm3xT8vLw0ZrYk5uPd2sHn7bJc4gFe6aVi9B": "78f76f177d960d2a",
}
"""Value -> the beginning of its fingerprint under the standard salt. A change of these breaks every baseline."""
WEAK = ["hunter2", "correct horse battery staple", "Summer2024!", "password123password123password", "a" * 400,
        "1234567890abcdefghijklmnopqrstuvwxyz", "P@ssw0rd!2023", "MyCompanySuperSecretPassword", "postgres", "",
        "abc" * 30, "the quick brown fox jumps over the lazy dog again", "0000000000000000000000000000000000000001",
        "openclaw-gateway-token-production-2025"]
WEAK_URLS = ["postgresql://postgres:1234@127.0.0.1:5432/postgres", "https://ntfy.example.internal:8443/alerts-4711",
             "postgresql://app:hunter2@db.example.internal:5432/app", "mailtos://me:hunter2@mail.example.com",
             "DATABASE_URL='postgresql+asyncpg://app_production_7:hunter2@ep-cool-dawn-a1b2c3d4.eu-1.example.tech/a'",
             "jdbc:postgresql://app:hunter2@db-cj5k2l3m4n5o.eu-1.example.com/prod?sslmode=require&channel_binding=x",
             "redis://:%68%75%6e%74%65%72%32@cache.example.com:6379/0", "postgresql://app@db.example.internal:5432/app",
             "mongodb://app:hunter2@one.example.com:27017,two.example.com:27017/data?replicaSet=rs0&w=majority",
             "postgresql://app:hun/ter#2@db-cj5k2l3m4n5o.example.internal:5432/app_production",
             "https://very.long.name%40company.example:hunter2@registry.example.com:5000/v2/team-7/image-12"]
CHANCE = "Qm3xT8vLw0ZrYk5uPd2sHn7bJc4gFe6aVi9B"
STRONG_URLS = [f"postgresql://app:{CHANCE}@db.example.internal:5432/app", f"https://{CHANCE}@git.example.com/a.git",
               f"https://{CHANCE}:x-oauth-basic@git.example.com/a.git", f"tgram://123456789:{CHANCE}/@channel",
               f"https://hooks.example.com/services/T01ABCDEF/B01ABCDEF/{CHANCE}", f"pover://{CHANCE}@{CHANCE[::-1]}",
               f"discord://bot@123456789/{CHANCE}", f"https://chat.example.com/v1/messages?key=a&token={CHANCE}%3D",
               f"postgresql://app:{CHANCE[:18]}/{CHANCE[18:]}@db.example.internal/app", f"json://h/{CHANCE}#{'x' * 99}"]
ALPHABETS = {
    "hex": (string.digits + "abcdef", 40), "letters and digits": (string.ascii_letters + string.digits, 32),
    "base64": (string.ascii_letters + string.digits + "+/", 40), "lower case": (string.ascii_lowercase + "234567", 48),
}


@pytest.mark.parametrize("value", STANDS)
def test_a_fingerprint_never_changes(value: bytes) -> None:
    assert fingerprint(value).startswith(STANDS[value])


def test_it_is_scrypt_as_the_document_says() -> None:
    for value, n in ((b"hunter2", 4096), (b"MyCompanySuperSecretPassword", 512),
                     (b"openclaw-gateway-token-production-2025", 64),
                     (b"acme_Qm3xT8vLw0ZrYk5uPd2sHn7bJc4gFe6aVi9B", 2)):
        wanted = hashlib.scrypt(value, salt=STANDARD_SALT, n=n, r=8, p=1, dklen=16).hex()
        assert fingerprint(value) == wanted and re.fullmatch(r"[0-9a-f]{32}", wanted)


def test_another_salt_gives_another() -> None:
    assert fingerprint(b"hunter2", b"s" * 16) != fingerprint(b"hunter2")


@pytest.mark.parametrize("text", WEAK)
def test_what_can_be_guessed_is_dear(text: str) -> None:
    assert bits(text.encode()) < STRONG


@pytest.mark.parametrize("text", WEAK_URLS)
def test_of_a_url_only_what_is_secret_in_it_counts(text: str) -> None:
    value = text.encode()
    assert bits(value) < STRONG
    cost = next(n for least, n in COSTS if bits(value) < least)
    assert fingerprint(value) == hashlib.scrypt(value, salt=STANDARD_SALT, n=cost, r=8, p=1, dklen=16).hex()
    if "hunter2" in text:
        assert bits(value) == bits(b"hunter2")


@pytest.mark.parametrize("text", STRONG_URLS)
def test_the_fingerprint_of_a_url_with_a_strong_secret_is_what_it_was(text: str) -> None:
    value = text.encode()
    assert bits(value) >= STRONG
    assert fingerprint(value) == hashlib.scrypt(value, salt=STANDARD_SALT, n=LEAST, r=8, p=1, dklen=16).hex()


@pytest.mark.parametrize("name", ALPHABETS)
def test_what_was_made_by_chance_is_not(name: str) -> None:
    alphabet, size = ALPHABETS[name]
    chance = random.Random(name)
    values = ["".join(chance.choices(alphabet, k=size)).encode() for _ in range(500)]
    assert all(bits(value) >= STRONG for value in values)
    assert all(bits(value) <= size * 6.0001 for value in values)


def test_more_of_the_same_is_no_better() -> None:
    word = bits(b"hunter2")
    assert bits(b"hunter2" * 20) < word + 20


def test_a_large_value_is_no_effort() -> None:
    assert bits(b"x" * 10_000_000) < STRONG


def test_the_cost_goes_by_the_bits(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    real = hashlib.scrypt

    def scrypt(value: bytes, **how: int) -> bytes:
        asked.append(how["n"])
        return real(value, **how)  # type: ignore[arg-type]

    monkeypatch.setattr(module.hashlib, "scrypt", scrypt)
    fingerprint(b"hunter2")
    fingerprint(b"acme_Qm3xT8vLw0ZrYk5uPd2sHn7bJc4gFe6aVi9B")
    assert asked == [COSTS[0][1], LEAST]
    assert [n for _, n in COSTS] == sorted((n for _, n in COSTS), reverse=True) and COSTS[-1][0] == STRONG


@given(st.one_of(st.binary(max_size=60), st.text("abcdpasword123A", max_size=90).map(str.encode)))
def test_enough_is_enough(value: bytes) -> None:
    assert (bits(value, STRONG) >= STRONG) == (bits(value) >= STRONG)


def test_many_at_once_are_as_one_by_one() -> None:
    values = [f"value number {n}".encode() for n in range(20)] * 2
    values += [hashlib.sha256(value).digest() for value in values]
    assert fingerprints(values) == {value: fingerprint(value) for value in values}
    assert fingerprints([]) == {} and fingerprints([b"x"], b"s" * 16) == {b"x": fingerprint(b"x", b"s" * 16)}
