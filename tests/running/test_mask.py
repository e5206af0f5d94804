"""The mask on streams that are cut anywhere: what it hides, and that it changes nothing else."""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
from collections.abc import Callable
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clawsecrets.running.mask import MASK, Mask
from clawsecrets.running.needles import ANCHOR, Needles
from clawsecrets.scan.literals import Literals
from tests import canary

TOKEN = b'tok-1234567890+/ab="z'
LONG = b"long-" + bytes(range(97, 123)) * 4
PEM = b"-----BEGIN PRIVATE KEY-----\n" + b"\n".join(
    base64.b64encode(bytes([n]) * 48) for n in range(1, 5)) + b"\n-----END PRIVATE KEY-----\n"


def mask(*values: bytes) -> Mask:
    return Mask(Needles(values, Literals))


def whole(data: bytes, *values: bytes) -> bytes:
    """All of it at once."""
    one = mask(*values)
    return one.feed(data) + one.pause()


def cut(data: bytes, sizes: list[int], *values: bytes) -> bytes:
    """In pieces of these sizes, over and over, without a pause between."""
    one, out, at, turn = mask(*values), b"", 0, 0
    while at < len(data):
        size = sizes[turn % len(sizes)]
        out += one.feed(data[at:at + size])
        at, turn = at + size, turn + 1
    return out + one.pause()


# --- what is hidden -------------------------------------------------------------------------------------------------

FORMS: dict[str, Callable[[bytes], bytes]] = {
    "plain": lambda v: v,
    "base64": base64.b64encode,
    "base64 behind one byte": lambda v: base64.b64encode(b"x" + v),
    "base64 behind two bytes": lambda v: base64.b64encode(b"xy" + v + b"z"),
    "base64url": lambda v: base64.urlsafe_b64encode(b"xy" + v + b"zz"),
    "hex": lambda v: v.hex().encode(),
    "HEX": lambda v: v.hex().upper().encode(),
    "percent": lambda v: quote(v, safe="").encode(),
    "percent, lower": lambda v: quote(v, safe="").lower().encode(),
    "form": lambda v: quote_plus(v).encode(),
    "json": lambda v: json.dumps(v.decode()).encode(),
    "json in json": lambda v: json.dumps(json.dumps({"k": v.decode()})).encode(),
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("value", [TOKEN, LONG, b"eight-by"], ids=["token", "long", "shortest"])
@pytest.mark.parametrize("sizes", [[1], [3], [7, 2], [10_000]], ids=str)
def test_every_form_in_any_pieces(form: str, value: bytes, sizes: list[int]) -> None:
    said = b"before " + FORMS[form](value) + b" behind\n"
    shown = cut(said, sizes, value)
    assert MASK in shown and shown.startswith(b"before ") and shown.endswith(b" behind\n")
    assert canary.search(shown, value) == []
    assert shown == whole(said, value)


@pytest.mark.parametrize("form", ["plain", "json", "crlf", "line by line", "json in json", "base64 in lines", "cat -A"])
def test_values_of_several_lines(form: str) -> None:
    said = {
        "plain": PEM, "crlf": PEM.replace(b"\n", b"\r\n"), "json": json.dumps(PEM.decode()).encode(),
        "json in json": json.dumps(json.dumps(PEM.decode())).encode(),
        "line by line": b"".join(b"  | " + line + b"\n" for line in PEM.split(b"\n")),
        "base64 in lines": base64.encodebytes(PEM), "cat -A": PEM.replace(b"\n", b"$\n"),
    }[form]
    for sizes in ([1], [64], [100_000]):
        shown = cut(said, sizes, PEM)
        pieces = [line for line in PEM.split(b"\n") if b"-----" not in line and line]
        if form == "base64 in lines":
            pieces = [line for line in said.split(b"\n") if len(line) > 8]
        assert pieces and [piece for piece in pieces if piece in shown] == []


def lines_of(text: bytes, width: int, end: bytes = b"\n") -> bytes:
    return b"".join(text[at:at + width] + end for at in range(0, len(text), width))


@pytest.mark.parametrize("width", [64, 76])
def test_every_line_of_its_base64_is_hidden_also_by_itself(width: int) -> None:
    for value, said in ((PEM, PEM), (KEY, KEY), (KEY, KEY + b"\n")):  # the last: as `echo` gives it to `base64`
        lines = lines_of(base64.b64encode(said), width).splitlines()
        shown = whole(b"".join(b"| " + line + b" |\n" for line in lines), value)
        assert len(lines) > 1 and [line for line in lines if line in shown] == []


def dump(data: bytes, before: bytes = b" ", between: str = " ", behind: bytes = b"") -> bytes:
    return b"".join(before + data[at:at + 16].hex(between).encode() + behind + b"\n" for at in range(0, len(data), 16))


BROKEN: dict[str, Callable[[bytes], bytes]] = {
    "base64": lambda v: lines_of(base64.b64encode(v), 76),
    "base64 of openssl, crlf": lambda v: lines_of(base64.b64encode(v), 64, b"\r\n"),
    "base64 in JSON": lambda v: json.dumps(lines_of(base64.b64encode(v), 76).decode()).encode(),
    "xxd -p": lambda v: lines_of(v.hex().encode(), 60),
    "xxd -p -u": lambda v: lines_of(v.hex().upper().encode(), 60),
    "od -An -tx1": dump,
    "hexdump, 16 a line": lambda v: dump(v, b"", behind=b" "),
    "hex(':')": lambda v: v.hex(":").encode(),
    "openssl -text": lambda v: dump(v, b"    ", ":", b":"),
}
KEY = b"sk-test-" + base64.b64encode(bytes(range(3, 75)))


@pytest.mark.parametrize("form", BROKEN)
@pytest.mark.parametrize("value", [KEY, TOKEN, b"eight-by", b"twelve-bytes"], ids=["key", "token", "shortest", "short"])
def test_in_lines_wherever_it_begins_in_one(form: str, value: bytes) -> None:
    needles = Needles([value], Literals)
    for before in range(58):
        said = BROKEN[form](b"u" * before + value + b"!!!end")
        for size in (1, 61, 10_000) if before % 9 == 0 else (61, 10_000):
            one = Mask(needles)
            shown = b"".join(one.feed(said[at:at + size]) for at in range(0, len(said), size)) + one.pause()
            assert shown.count(MASK) == 1, (before, size, shown)
            there, left = BROKEN[form](b"u" * before + b"!!!end"), shown.replace(MASK, b"")
            assert len(left) < len(there) + 24, (before, size, shown)  # of the value, what one byte of it shares


def test_real_tools_break_lines_where_the_test_does() -> None:
    said = f"user:{KEY.decode()}"
    for words in ("base64", "od -An -tx1 -v", "xxd -p"):
        if shutil.which(words.split()[0]):
            out = subprocess.run(words.split(), input=said.encode(), stdout=subprocess.PIPE, check=True).stdout
            assert out.count(b"\n") > 1 and MASK in whole(out, KEY)
            assert len(whole(out, KEY)) < 50


def test_the_end_of_a_line_is_not_held_back_for_what_might_follow_in_the_next() -> None:
    """Any line may end in a character with which an encoded value begins: a program that writes lines is not slowed."""
    one, text = mask(KEY), base64.b64encode(KEY)
    for count in range(1, 4):
        said = b"a line: " + text[:count] + b"\n"
        assert one.feed(said) == said
    assert one.feed(text[3:]) == MASK  # and then it does follow
    assert one.feed(b"\na line: " + text[:20] + b"\n") == b"\na line: "
    assert one.feed(b"else\n") == text[:20] + b"\nelse\n"


def test_what_every_key_shares_stays() -> None:
    other = b"-----BEGIN PRIVATE KEY-----\nMII\n-----END PRIVATE KEY-----\n"
    assert whole(other, PEM) == other


def test_a_json_key_file_hides_its_key_also_when_that_is_printed_alone() -> None:
    value = json.dumps({"type": "service_account", "private_key": PEM.decode()}, indent=2).encode()
    shown = whole(PEM, value)
    assert [line for line in PEM.split(b"\n") if b"-----" not in line and line and line in shown] == []


def test_short_values_are_not_masked() -> None:
    assert whole(b"abcdefg in base64: YWJjZGVmZw==", b"abcdefg") == b"abcdefg in base64: YWJjZGVmZw=="
    assert whole(b"the line end does not count: abcdefg\n", b"abcdefg\n") == b"the line end does not count: abcdefg\n"


def test_values_that_overlap_and_that_begin_alike() -> None:
    assert whole(b"abcdefghijkl.", b"abcdefgh", b"efghijkl") == MASK + b"."
    assert whole(b"abcdefghX abcdefghij", b"abcdefgh", b"abcdefghij") == MASK + b"X " + MASK
    for sizes in ([1], [9], [100]):
        assert cut(b"ababababab-abababababab.", sizes, b"abababab-abab") == b"ab" + MASK + b"abababab."


def test_a_value_that_is_cut_off_at_the_end_is_hidden_from_its_eighth_byte_on() -> None:
    assert whole(b"x" + TOKEN[:8], TOKEN) == b"x" + MASK and whole(b"x" + TOKEN[:7], TOKEN) == b"x" + TOKEN[:7]


def test_two_beside_each_other() -> None:
    assert whole(TOKEN + TOKEN + LONG, TOKEN, LONG) == MASK * 3


# --- what is not changed --------------------------------------------------------------------------------------------

alphabet = st.sampled_from([b"a", b"b", b"ab", b"abababab", TOKEN[:9], TOKEN, TOKEN[1:], LONG[:40], LONG, b"\0\xff\n"])


@settings(max_examples=300, deadline=None)
@given(st.lists(alphabet, max_size=12).map(b"".join), st.lists(st.integers(1, 50), min_size=1, max_size=5))
def test_pieces_make_no_difference(data: bytes, sizes: list[int]) -> None:
    values = (TOKEN, LONG, b"abababab", b"ababababb")
    assert cut(data, sizes, *values) == whole(data, *values)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(alphabet, st.booleans()), max_size=12))
def test_pauses_show_no_value(parts: list[tuple[bytes, bool]]) -> None:
    """With pauses anywhere, at most 7 bytes of a value are seen, and everything else stays in order."""
    values = (TOKEN, LONG)
    one, shown = mask(*values), b""
    for data, paused in parts:
        shown += one.feed(data)
        if paused:
            shown += one.pause()
            assert not one.waiting
    shown += one.pause()
    assert [v for v in values if v in shown] == []
    rest = b"".join(data for data, _ in parts)
    for piece in shown.split(MASK):  # what is shown stands in what was said, in this order
        at = rest.find(piece)
        assert at >= 0
        rest = rest[at + len(piece):]


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=300), st.integers(1, 20))
def test_what_holds_no_value_stays_as_it_is(data: bytes, size: int) -> None:
    assert cut(data, [size], b"never-there-0123456789", LONG) == data


def test_a_pause_shows_a_beginning_and_hides_the_rest() -> None:
    one = mask(TOKEN)
    assert one.feed(b"$ " + TOKEN[:5]) == b"$ " and one.waiting
    assert one.pause() == TOKEN[:5] and not one.waiting
    assert one.feed(TOKEN[5:] + b"!") == MASK + b"!"
    assert one.feed(b"$ " + TOKEN[:5]) + one.pause() + one.feed(b"-other") == b"$ " + TOKEN[:5] + b"-other"


def test_a_pause_hides_a_long_beginning_at_once() -> None:
    one = mask(TOKEN)
    assert one.feed(b"$ " + TOKEN[:12]) + one.pause() == b"$ " + MASK
    assert one.feed(TOKEN[12:15]) + one.pause() == b""
    assert one.feed(TOKEN[15:] + b"!") == b"!"
    assert one.feed(TOKEN[:12]) + one.pause() + one.feed(b"else") == MASK + b"else"


def test_byte_by_byte_with_a_pause_behind_each() -> None:
    one, shown = mask(LONG), b""
    for byte in b"x" + LONG + b"y":
        shown += one.feed(bytes([byte])) + one.pause()
    assert shown == b"x" + LONG[:7] + MASK + b"y"


def test_only_what_could_be_a_beginning_is_kept_back() -> None:
    one = mask(TOKEN, LONG)
    assert one.feed(b"nothing of it\n") == b"nothing of it\n"
    assert one.feed(b"at its end: t") == b"at its end: "
    assert one.feed(b"able") == b"table"
    assert one.feed(LONG[:ANCHOR + 20]) == b""
    assert one.feed(b"?") == LONG[:ANCHOR + 20] + b"?"


def test_a_huge_line_is_not_gathered() -> None:
    one, line = mask(TOKEN), b"y" * (1 << 20)
    assert all(one.feed(line) == line for _ in range(8)) and not one.waiting


def test_no_values_no_change() -> None:
    assert whole(b"anything", b"") == b"anything" and whole(b"anything") == b"anything"
