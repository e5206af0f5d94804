"""Placeholders: what goes where, how it is encoded, and what can never be made of it."""

from __future__ import annotations

import base64
import json

import pytest

from clawsecrets.issuers.fill import Unfit, fill, sketch
from clawsecrets.model.provider import Credential, Shape

BASE = "https://api.example/"


def shape(auth: str = "none", **rest: object) -> Shape:
    return Shape("POST", "/p", auth=auth, credential=Credential.ADMIN, **rest)  # type: ignore[arg-type]


@pytest.mark.parametrize(("auth", "url", "headers", "body"), [
    ("bearer", "", {"Authorization": "Bearer a&b"}, None),
    ("scheme:Bot", "", {"Authorization": "Bot a&b"}, None),
    ("header:X-Key", "", {"X-Key": "a&b"}, None),
    ("basic:me", "", {"Authorization": "Basic " + base64.b64encode(b"me:a&b").decode()}, None),
    ("query:key", "?key=a%26b", {}, None),
    ("form:token", "", {"Content-Type": "application/x-www-form-urlencoded"}, b"token=a%26b"),
])
def test_ways_to_authenticate(auth: str, url: str, headers: dict[str, str], body: bytes | None) -> None:
    assert fill(shape(auth), BASE, {"admin": "a&b"}) == ("https://api.example/p" + url, headers, body)


def test_what_a_value_holds_is_never_expanded() -> None:
    words = {"label": "${admin}", "admin": "secret"}
    url, headers, body = fill(shape(json={"n": "x-${label}"}, headers={"L": "${label}"}), BASE, words)
    assert json.loads(body or b"") == {"n": "x-${admin}"}
    assert headers["L"] == "${admin}"
    assert "secret" not in url


def test_json_types_and_what_is_left_out() -> None:
    document = {"scopes": "${scopes}", "limit": "${limit}", "gone": "${unset}", "in": ["${unset}", "${label}", 1, None]}
    _, _, body = fill(shape(json=document), BASE, {"scopes": ["a", "b"], "limit": 5, "label": 'q"\\ü'})
    assert json.loads(body or b"") == {"scopes": ["a", "b"], "limit": 5, "in": ['q"\\ü', 1, None]}


@pytest.mark.parametrize(("handle", "path"), [
    ("a/b", "/k/a%2Fb"), ("a?b#c", "/k/a%3Fb%23c"), ("123:AA", "/k/123:AA"), ("ü", "/k/%C3%BC"), ("%2e", "/k/%252e"),
    ("a b", "/k/a%20b"), ("\r\nX: y", "/k/%0D%0AX:%20y"),
])
def test_paths_are_encoded(handle: str, path: str) -> None:
    assert fill(Shape("GET", "/k/${handle}"), BASE, {"handle": handle})[0] == "https://api.example" + path


@pytest.mark.parametrize("handle", [".", ".."])
def test_dot_segments_are_refused(handle: str) -> None:
    with pytest.raises(Unfit):
        fill(Shape("GET", "/k/${handle}/x"), BASE, {"handle": handle})


@pytest.mark.parametrize("secret", ["tok\nX-Evil: 1", "tok\r", "töken", "\x00"])
def test_headers_carry_printable_ascii_only(secret: str) -> None:
    with pytest.raises(Unfit) as caught:
        fill(shape("bearer"), BASE, {"admin": secret})
    assert secret not in str(caught.value)


def test_sketch_hides_secrets_and_keeps_what_is_not_known() -> None:
    words = {"label": "rot", "admin": "secret", "value": "secret"}
    assert sketch("/bot${admin}/${label}/${handle}/${value}", words) == "/bot${admin}/rot/${handle}/${value}"
