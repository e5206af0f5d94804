"""Random values from short templates, and the formats that need more than a template: checksums, JWT, PEM."""

from __future__ import annotations

import base64
import json
import random
import re
import string
import zlib
from collections.abc import Callable, Mapping

ALNUM = string.ascii_letters + string.digits
CLASSES: Mapping[str, str] = {
    "h": "0123456789abcdef",
    "H": "0123456789ABCDEF",
    "d": string.digits,
    "a": ALNUM,
    "l": string.ascii_lowercase + string.digits,
    "L": string.ascii_lowercase,
    "u": string.ascii_uppercase + string.digits,
    "U": string.ascii_uppercase,
    "A": string.ascii_letters,
    "w": ALNUM + "-_",
    "s": ALNUM + "+/",
    "n": string.digits[1:],
    "2": string.ascii_uppercase + "234567",
    "z": "qpzry9x8gf2tvdw0s3jn54khce6mua7l",
    "Z": "QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L",
    "k": "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz",
    "q": ALNUM + "-_.~",
}
"""Letters of a template: `{w:43}` is 43 characters of the URL-safe alphabet, `{d:8-10}` eight to ten digits."""
FIELD = re.compile(r"\{([a-zA-Z0-9]+)(?::(\d+)(?:-(\d+))?)?\}")
BASE62 = string.digits + string.ascii_uppercase + string.ascii_lowercase


def some(rng: random.Random, letters: str, count: int) -> str:
    return "".join(rng.choice(letters) for _ in range(count))


def base62(number: int, width: int) -> str:
    digits = ""
    while number:
        number, rest = divmod(number, 62)
        digits = BASE62[rest] + digits
    return digits.rjust(width, "0")


def unpadded(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def checked(prefix: str) -> Callable[[random.Random], str]:
    """A token of GitHub's design: 30 random characters and the CRC-32 of them in base 62."""

    def make(rng: random.Random) -> str:
        body = some(rng, ALNUM, 30)
        return f"{prefix}{body}{base62(zlib.crc32(body.encode()), 6)}"

    return make


def jwt(rng: random.Random) -> str:
    header = {"alg": rng.choice(["HS256", "RS256"]), "typ": "JWT"}
    claims = {"sub": some(rng, ALNUM, 12), "iat": rng.randrange(1700000000, 1790000000), "group": some(rng, "01289", 9)}
    parts = [unpadded(json.dumps(each, separators=(",", ":")).encode()) for each in (header, claims)]
    return ".".join([*parts, unpadded(rng.randbytes(32))])


def discord(rng: random.Random) -> str:
    number = str(rng.randrange(10**17, 13 * 10**17))
    return f"{unpadded(number.encode())}.G{some(rng, CLASSES['w'], 5)}.{some(rng, CLASSES['w'], 38)}"


def pem(kind: str, start: str, size: int) -> Callable[[random.Random], str]:
    def make(rng: random.Random) -> str:
        body = start + base64.b64encode(rng.randbytes(size)).decode()
        lines = "\n".join(body[at : at + 64] for at in range(0, len(body), 64))
        return f"-----BEGIN {kind}-----\n{lines}\n-----END {kind}-----"

    return make


def password(rng: random.Random) -> str:
    """What a password manager makes: 16 to 24 characters, a few of them signs that need no quotes."""
    made = [rng.choice(string.ascii_lowercase), rng.choice(string.ascii_uppercase), rng.choice(string.digits)]
    made += [rng.choice(ALNUM + "-_.+!") for _ in range(rng.randrange(13, 21))]
    return "".join(made)


def b64(size: int) -> Callable[[random.Random], str]:
    return lambda rng: base64.b64encode(rng.randbytes(size)).decode()


def uuid(rng: random.Random) -> str:
    made = some(rng, CLASSES["h"], 32)
    return f"{made[:8]}-{made[8:12]}-4{made[13:16]}-a{made[17:20]}-{made[20:]}"


def bedrock(rng: random.Random) -> str:
    plain = f"BedrockAPIKey-{some(rng, CLASSES['l'], 4)}-at-{some(rng, CLASSES['d'], 12)}:".encode()
    return "ABSK" + base64.b64encode(plain + base64.b64encode(rng.randbytes(32))).decode()


def grafana(rng: random.Random) -> str:
    body = f"glsa_{some(rng, ALNUM, 32)}"
    return f"{body}_{zlib.crc32(body.encode()):08x}"


def groups(rng: random.Random) -> str:
    """Matrix shows a recovery key as groups of four."""
    key = "Es" + some(rng, CLASSES["k"], 46)
    return " ".join(key[at : at + 4] for at in range(0, 48, 4))


MAKERS: Mapping[str, Callable[[random.Random], str]] = {
    "jwt": jwt,
    "discord": discord,
    "password": password,
    "uuid": uuid,
    "bedrock": bedrock,
    "grafana": grafana,
    "recovery": groups,
    "ghp": checked("ghp_"),
    "gho": checked("gho_"),
    "ghs": checked("ghs_"),
    "npm": checked("npm_"),
    "b6418": b64(18),
    "b6432": b64(32),
    "b6464": b64(64),
    "b64128": b64(128),
    "rsa": pem("PRIVATE KEY", "MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC", 900),
    "rsaold": pem("RSA PRIVATE KEY", "MIIEpAIBAAKCAQEA", 880),
    "ec": pem("EC PRIVATE KEY", "MHcCAQEEI", 84),
    "p8": pem("PRIVATE KEY", "MIGTAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBHkwdwIBAQQg", 75),
    "ssh": pem("OPENSSH PRIVATE KEY", "b3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAEbm9uZQAAAAAAAAABAAAAMwAAAAtzc2gtZW", 180),
}


def made(template: str, rng: random.Random) -> str:
    """The template with each field filled."""

    def fill(found: re.Match[str]) -> str:
        name, low, high = found.groups()
        if low is None:
            return MAKERS[name](rng)
        count = rng.randint(int(low), int(high or low))
        return some(rng, CLASSES[name], count)

    return FIELD.sub(fill, template)
