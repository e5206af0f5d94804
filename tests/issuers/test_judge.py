"""What answers mean, without a network."""

from __future__ import annotations

import pytest

from clawsecrets.issuers.judge import MISSING, judge, moment, point
from clawsecrets.model.provider import Answer, Condition, Operation, Shape
from clawsecrets.model.rotation import Outcome

DOCUMENT = {"a": {"b/c": [1, {"d": "x"}]}, "~": None, "": 5}


@pytest.mark.parametrize(("pointer", "found"), [
    ("", DOCUMENT), ("/a/b~1c/0", 1), ("/a/b~1c/1/d", "x"), ("/~0", None), ("/", 5), ("/a/b~1c/2", MISSING),
    ("/a/b~1c/01", MISSING), ("/a/b~1c/-", MISSING), ("/a/x", MISSING), ("/a/b~1c/0/y", MISSING),
])
def test_json_pointer(pointer: str, found: object) -> None:
    assert point(DOCUMENT, pointer) == found


def slack() -> Operation:
    """Slack answers 200 for dead tokens: the body decides."""
    dead = Condition("/error", one_of=("invalid_auth", "token_revoked"))
    return Operation(Shape("POST", "/api/auth.test"), ok=(Answer((200,), (Condition("/ok", equals=True),)),),
                     refused=(Answer((200,), (Condition("/ok", equals=False), dead)),))


@pytest.mark.parametrize(("status", "body", "outcome"), [
    (200, b'{"ok":true}', Outcome.OK),
    (200, b'{"ok":false,"error":"invalid_auth"}', Outcome.REFUSED),
    (200, b'{"ok":false,"error":"ratelimited"}', Outcome.UNKNOWN),
    (200, b'{"ok":1}', Outcome.UNKNOWN),
    (200, b'{"ok":"true"}', Outcome.UNKNOWN),
    (200, b"[" * 100000, Outcome.UNKNOWN),
    (200, b"", Outcome.UNKNOWN),
    (201, b'{"ok":true}', Outcome.UNKNOWN),
    (429, b"<html>slow down</html>", Outcome.LATER),
    (401, b'{"ok":false,"error":"invalid_auth"}', Outcome.UNKNOWN),
])
def test_the_body_decides(status: int, body: bytes, outcome: Outcome) -> None:
    assert judge(slack(), status, {}, body, reads=True).outcome is outcome


@pytest.mark.parametrize(("reads", "outcome"), [(True, Outcome.LATER), (False, Outcome.UNKNOWN)])
def test_5xx_is_later_only_where_nothing_can_have_happened(reads: bool, outcome: Outcome) -> None:
    assert judge(slack(), 503, {}, b"{}", reads=reads).outcome is outcome


@pytest.mark.parametrize(("condition", "holds"), [
    (Condition("/n", equals=1), True), (Condition("/n", equals=True), False), (Condition("/n", present=True), True),
    (Condition("/no", present=False), True), (Condition("/no", present=True), False),
    (Condition("/null", present=True), False), (Condition("/t", matches="^ab+$"), True),
    (Condition("/n", matches="1"), False), (Condition(contains="abb"), True), (Condition(contains="zzz"), False),
])
def test_conditions(condition: Condition, holds: bool) -> None:
    operation = Operation(Shape("GET", "/"), ok=(Answer((200,), (condition,)),))
    verdict = judge(operation, 200, {}, b'{"n":1,"t":"abb","null":null}', reads=True)
    assert (verdict.outcome is Outcome.OK) == holds


@pytest.mark.parametrize(("headers", "after"), [
    ({"retry-after": "17"}, 17.0), ({"retry-after": "99999999"}, 86400.0), ({"retry-after": "soon"}, 0.0), ({}, 0.0),
    ({"retry-after": "Wed, 21 Oct 2026 07:28:30 GMT", "date": "Wed, 21 Oct 2026 07:28:00 GMT"}, 30.0),
    ({"retry-after": "Wed, 21 Oct 2026 07:27:00 GMT", "date": "Wed, 21 Oct 2026 07:28:00 GMT"}, 0.0),
    ({"retry-after": "Wed, 21 Oct 2026 07:28:30 GMT"}, 0.0),
])
def test_retry_after(headers: dict[str, str], after: float) -> None:
    assert judge(slack(), 429, headers, b"", reads=True).after == after


@pytest.mark.parametrize(("found", "seconds"), [
    (1700000000, 1700000000.0), ("2026-01-01", 1767225600.0), ("2026-01-01T00:00:00Z", 1767225600.0),
    ("2026-01-01T01:00:00+01:00", 1767225600.0), (None, 0.0), (True, 0.0), ("never", 0.0),
])
def test_expiry(found: object, seconds: float) -> None:
    assert moment(found) == seconds
