"""`clawsecrets resolve --bundle FILE`: OpenClaw's exec SecretRef resolver (protocol version 1).

OpenClaw starts it with an empty environment in an arbitrary folder and gives it 5 s. It reads one JSON request from
stdin, `{"protocolVersion":1,"provider":…,"ids":[…]}`, and writes one answer to stdout,
`{"protocolVersion":1,"values":{id:text},"errors":{id:{"code":…,"message":…}}}`. An id is a secret's name, or
`name#field` where the value is a JSON object. One bad id costs that id only. The resolver opens the bundle and its key
and nothing else: not the store, no configuration, no network.

Exit codes: 0 answered (ids may still have errors); 2 the request or the command line is wrong; 3 the bundle cannot be
used; 1 stdout was closed. One line on stderr, never with a value.

Imports are few on purpose (no dataclasses, typer, sqlite3…): this is on the path of every reload.
"""

from __future__ import annotations

import json
import os
import sys
import time
from contextlib import suppress

from clawsecrets.errors import ClawError, StoreDamaged, StoreLocked, UsageError
from clawsecrets.injectors import bundle_format
from clawsecrets.injectors.bundle_format import Sealed

LARGEST_REQUEST = 262_144
"""Bytes; OpenClaw sends no more."""
LARGEST_ANSWER = 1_048_576
"""Bytes of stdout and stderr together that OpenClaw reads."""
LARGEST_VALUE = LARGEST_ANSWER - 1024
"""Bytes of a value as JSON: with the longest id it still fits into an answer."""
MOST_IDS = 512
READS = 20
"""Attempts at reading key and bundle while a change of the key is under way."""
_FRAME = 64
"""Bytes of an answer around its members."""
_RESERVED = 128
"""Bytes set aside for each id beyond the id itself: every one of our errors fits."""


def main(argv: list[str]) -> int:
    """Answer one request. The exit code; never raises for what the outside does."""
    try:
        answer = _answer(_bundle_path(argv))
    except ClawError as error:
        _complain(error.message, error.hint)
        return error.exit_code
    try:
        _write(answer)
    except OSError:
        return 1  # nobody reads
    return 0


def _answer(path: str) -> bytes:
    ids = parse_request(_read_request())
    return answer(read_bundle(path), ids)


def _bundle_path(argv: list[str]) -> str:
    words = argv[0].split("=", 1) if len(argv) == 1 else argv
    if len(words) != 2 or words[0] != "--bundle" or not words[1]:
        raise UsageError("resolve takes exactly --bundle FILE", "it is started by OpenClaw, see docs/bundle-format.md")
    return words[1]


def _read_request() -> bytes:
    if os.isatty(0):
        raise UsageError("resolve reads a JSON request on standard input", "it is started by OpenClaw, not by hand")
    request = b""
    while len(request) <= LARGEST_REQUEST:
        part = _read_part()
        if not part:
            return request
        request += part
    raise UsageError(f"the request is longer than {LARGEST_REQUEST} bytes", "resolve fewer ids at once")


def _read_part() -> bytes:
    with suppress(OSError):
        return os.read(0, 65536)
    raise UsageError("standard input cannot be read", "it is started by OpenClaw, with a request there")


def parse_request(content: bytes) -> list[str]:
    """The distinct ids of a request, in order. UsageError."""
    request: object = None
    with suppress(ValueError, RecursionError):  # raised below: the library's error quotes the text
        request = json.loads(content)
    if not isinstance(request, dict):
        raise UsageError("the request is not a JSON object", "")
    if request.get("protocolVersion") != 1 or request.get("protocolVersion") is True:
        raise UsageError("the request is not of protocol version 1", "this clawsecrets knows no other")
    ids = request.get("ids")
    if not isinstance(ids, list) or not all(isinstance(item, str) for item in ids):
        raise UsageError("the request has no list of ids", "")
    distinct = list(dict.fromkeys(ids))
    if len(distinct) > MOST_IDS:
        raise UsageError(f"the request has more than {MOST_IDS} ids", "resolve fewer ids at once")
    return distinct


def read_bundle(path: str) -> Sealed:
    """Open a bundle by its own key file. StoreDamaged, StoreLocked.

    Both files are only ever replaced whole, but a change of the key can fall between the two reads: read again then.
    """
    last, fault = b"", "the bundle changes all the time"
    for _ in range(READS):
        keys = _read_private(f"{path}.key", 2 * bundle_format.KEY_BYTES, "bundle key")
        content = _read_private(path, bundle_format.LARGEST, "bundle")
        try:
            return bundle_format.opened(content, keys)
        except StoreDamaged as error:
            if last == keys + content:  # nobody is changing it: it is damaged
                fault = error.message
                break
        last = keys + content
        time.sleep(0.01)
    raise StoreDamaged(f"{path}: {fault}", bundle_format.HINT)


def _read_private(path: str, limit: int, what: str) -> bytes:
    reason = ""
    try:
        number = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(number, "rb") as file:
            found = os.fstat(number)
            content = file.read(limit + 1)
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else "the system refused"
    if reason:
        raise StoreLocked(f"cannot read the {what} {path}: {reason}", bundle_format.HINT)
    if found.st_mode & 0o077:
        raise StoreLocked(f"the {what} {path} can be read by others (mode {found.st_mode & 0o777:04o})", "chmod 600 it")
    if found.st_uid not in (os.geteuid(), 0):
        raise StoreLocked(f"the {what} {path} belongs to uid {found.st_uid}, not to this user", "chown it")
    if len(content) > limit:
        raise StoreDamaged(f"the {what} {path} is too large", bundle_format.HINT)
    return content


def answer(bundle: Sealed, ids: list[str]) -> bytes:
    """The answer for these ids, at most LARGEST_ANSWER bytes: an id whose value no longer fits gets an error."""
    values: list[bytes] = []
    errors: list[bytes] = []
    room = LARGEST_ANSWER - _FRAME - sum(len(encoded(item)) + _RESERVED for item in ids)
    for item in ids:
        name, mark, field = item.partition("#")
        text, code, message = select(bundle.open(name), field if mark else None)
        member = encoded(item) + b":" + encoded(text or "")
        beyond = max(0, len(member) + 1 - len(encoded(item)) - _RESERVED)
        if text and beyond > room:
            text, code, message = None, "ANSWER_TOO_LARGE", "the answer is full; resolve fewer ids at once"
        if text:
            values.append(member)
            room -= beyond
        else:
            errors.append(_failure(item, code, message))
    inside = b'"values":{' + b",".join(values) + b'},"errors":{' + b",".join(errors) + b"}"
    return b'{"protocolVersion":1,' + inside + b"}\n"


def select(value: bytes | None, field: str | None) -> tuple[str | None, str, str]:
    """The text to give, or None with an error's code and message. Never an empty text: OpenClaw fails all for one."""
    if value is None:
        return None, "NOT_FOUND", "the bundle has no such secret"
    try:
        text = value.decode()
    except UnicodeDecodeError:
        return None, "NOT_TEXT", "the value is not UTF-8 text"
    if field is None:
        return (text, "", "") if text else (None, "EMPTY", "the value is empty")
    return _field(text, field)


def _field(text: str, field: str) -> tuple[str | None, str, str]:
    pairs: object = None
    with suppress(ValueError, RecursionError):
        pairs = json.loads(text, object_pairs_hook=_Pairs)
    if not isinstance(pairs, _Pairs):
        return None, "NOT_AN_OBJECT", "the value is not a JSON object"
    found = [item for key, item in pairs.items if key == field]
    if not found:
        return None, "NOT_FOUND", "the secret has no such field"
    if len(found) > 1:
        return None, "AMBIGUOUS_DUPLICATE_KEY", "the field stands in the value more than once"
    if not isinstance(found[0], str) or not found[0]:
        return None, "NOT_TEXT", "the field is not a text, or is empty"
    return found[0], "", ""


class _Pairs:
    """A JSON object that keeps repeated keys."""

    def __init__(self, items: list[tuple[str, object]]) -> None:
        self.items = items


def encoded(text: str) -> bytes:
    """As a JSON string in UTF-8; lone surrogates, which UTF-8 has not, become escapes."""
    return json.dumps(text, ensure_ascii=False).encode("utf-8", "backslashreplace")


def _failure(item: str, code: str, message: str) -> bytes:
    return encoded(item) + b":" + json.dumps({"code": code, "message": message}).encode()


def _write(content: bytes) -> None:
    left = memoryview(content)
    while left:
        left = left[os.write(1, left) :]


def _complain(message: str, hint: str) -> None:
    line = f"clawsecrets: error: {message}" + (f" ({hint})" if hint else "")
    if sys.stderr is not None:
        print(line.replace("\n", " "), file=sys.stderr)
