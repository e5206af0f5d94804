"""The leak search finds what it should in every form, and nothing where there is nothing."""

from __future__ import annotations

import base64
import json
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests import canary

VALUES = st.binary(min_size=8, max_size=64)
TEXTS = st.text(st.characters(codec="utf-8"), min_size=8, max_size=40).map(str.encode)
AROUND = st.binary(max_size=7)


@given(VALUES, AROUND, AROUND)
def test_base64_is_found_at_every_alignment(value: bytes, before: bytes, after: bytes) -> None:
    whole = before + value + after
    assert f"base64+{len(before) % 3}" in canary.search(b"x:" + base64.b64encode(whole), value)
    assert f"base64url+{len(before) % 3}" in canary.search(base64.urlsafe_b64encode(whole) + b"!", value)


@given(VALUES)
def test_byte_forms_are_found_in_either_case(value: bytes) -> None:
    assert "plain" in canary.search(b"<" + value + b">", value)
    assert "hex" in canary.search(value.hex().upper().encode(), value)
    assert "percent" in canary.search(quote(value, safe="").lower().encode(), value)
    assert "percent, all bytes" in canary.search("".join(f"%{b:02X}" for b in value).encode(), value)
    assert "repr" in canary.search(repr({"v": value}).encode(), value) or b"'" in value


@given(TEXTS)
def test_text_forms_are_found(value: bytes) -> None:
    text = value.decode()
    plain, wide = json.dumps({"v": text}), json.dumps({"v": text}, ensure_ascii=False)
    for dumped in (plain, wide, json.dumps(plain)):
        assert canary.search(dumped.encode(), value), dumped
    escaped = "".join(f"\\u{unit:04X}" for unit in memoryview(text.encode("utf-16-le")).cast("H"))
    assert "unicode escapes" in canary.search(escaped.encode(), value)


def test_a_fresh_canary_is_not_found_elsewhere() -> None:
    one, other = canary.fresh(), canary.fresh()
    assert one != other
    assert canary.search(b"".join([other, base64.b64encode(other), other.hex().encode()]), one) == []


def test_a_short_value_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 8 bytes"):
        canary.search(b"whatever", b"short")
