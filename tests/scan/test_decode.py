"""Every encoding of scanner.md, with a token in it: found, at the place where the encoded text begins."""

from __future__ import annotations

import base64
import bz2
import gzip
import json
import lzma
import textwrap
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clawsecrets.model.finding import Content, Kind, Place
from clawsecrets.scan import decode
from clawsecrets.scan.inspect import Inspector
from tests.scan.planted import GATEWAY, PEM_BODY, TOKEN, Told, detector, found, looked, tar, zipped

T = TOKEN.encode()
PROSE = b"some text that stands before it, long enough to fill a line or two of the file; "
MIDDLE = PROSE + T + b" " + PROSE


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def wrapped(data: bytes, width: int, indent: str = "", between: str = "\n") -> str:
    return textwrap.indent(between.join(textwrap.wrap(b64(data), width)), indent)


CASES: dict[str, tuple[str | bytes, int, int, str]] = {
    "plain": (f"a\nx={TOKEN}", 2, 3, "plain"),
    "base64": (f"a\nx: {b64(T)}", 2, 4, "base64"),
    "base64 in the middle of text": (f"a\nx: {b64(MIDDLE)}", 2, 4, "base64"),
    "base64 without padding": ("a\nx: " + b64(b"x=" + T).rstrip("="), 2, 4, "base64"),
    "base64 for URLs": ("u=" + base64.urlsafe_b64encode(b"??>>~~" + T).decode().rstrip("="), 1, 3, "base64"),
    "base64 after a slash": ("https://host/path/" + b64(b"t=" + T), 1, 19, "base64"),
    "base64 wrapped at 64": ("k: |\n" + wrapped(PROSE + T, 64, "    "), 2, 5, "base64"),
    "base64 wrapped at 76, CRLF": ("k:\r\n" + wrapped(PROSE + T, 76, between="\r\n"), 2, 1, "base64"),
    "base64 wrapped in a JSON string": (json.dumps({"k": wrapped(PROSE + T, 60)}), 1, 8, "base64"),
    "base64 wrapped in comments": ("\n".join("# " + line for line in wrapped(PROSE + T, 60).split("\n")), 1, 3,
                                   "base64"),
    "base64 in string parts": ('k = "' + '" +\n    "'.join(textwrap.wrap(b64(PROSE + T), 40)) + '"', 1, 6, "base64"),
    "base64 twice": (f"x={b64(b64(T).encode())}", 1, 3, "base64+base64"),
    "base64 three times": (f"x={b64(b64(b64(T).encode()).encode())}", 1, 3, "base64+base64+base64"),
    "base64 of UTF-16": (f"run -enc {b64(('echo ' + TOKEN).encode('utf-16le'))}", 1, 10, "base64+utf-16le"),
    "base64 of UTF-16, big end first": (f"x {b64(('echo ' + TOKEN).encode('utf-16be'))}", 1, 3, "base64+utf-16be"),
    "base64 of gzip": (f"x={b64(gzip.compress(PROSE + T, mtime=0))}", 1, 3, "base64+gzip"),
    "base64 of zlib": (f"x={b64(zlib.compress(PROSE + T))}", 1, 3, "base64+zlib"),
    "base64 of bzip2": (f"x={b64(bz2.compress(PROSE + T))}", 1, 3, "base64+bz2"),
    "base64 of xz": (f"x={b64(lzma.compress(PROSE + T))}", 1, 3, "base64+xz"),
    "base64 of gzip of tar": (f"x={b64(gzip.compress(tar({'a': T}), mtime=0))}", 1, 3, "base64+gzip+tar"),
    "base64 of zip": (f"x={b64(zipped({'a.txt': b'k=' + T}))}", 1, 3, "base64+zip"),
    "base64 in zip in base64": (f"x={b64(zipped({'a': b64(PROSE + T).encode()}))}", 1, 3, "base64+zip+base64"),
    "base64 of text in binary": (f"x={b64(bytes(range(128, 200)) + b'text: ' + T + bytes(range(128, 200)))}", 1, 3,
                                 "base64"),
    "hex": (f"a\nx={T.hex()}", 2, 3, "hex"),
    "hex, upper case": (f"a\nx=0x{T.hex().upper()}", 2, 5, "hex"),
    "hex with spaces": (f"a\n{T.hex(' ')}", 2, 1, "hex"),
    "hex with colons": (f"a\n{T.hex(':')}", 2, 1, "hex"),
    "hex as an array": ("b = { " + ", ".join(f"0x{byte:02x}" for byte in T) + " }", 1, 7, "hex"),
    "hex of UTF-16": ("x=" + TOKEN.encode("utf-16le").hex(), 1, 3, "hex+utf-16le"),
    "percent": ("u=" + "".join(f"%{byte:02X}" for byte in T), 1, 3, "percent"),
    "percent twice": ("u=" + "".join(f"%25{byte:02x}" for byte in T), 1, 3, "percent"),
    "percent here and there": (f"u={TOKEN[:8]}%{T[8]:02x}{TOKEN[9:]}", 1, 3, "percent"),
    "backslash u": ("'" + "".join(f"\\u{byte:04x}" for byte in T) + "'", 1, 2, "escaped"),
    "backslash u in JSON in JSON": ("'" + "".join(f"\\\\u{byte:04x}" for byte in T) + "'", 1, 2, "escaped"),
    "backslash u, braces": ("'" + "".join(f"\\u{{{byte:x}}}" for byte in T) + "'", 1, 2, "escaped"),
    "one escape only": (f"'{TOKEN[:9]}\\u{T[9]:04x}{TOKEN[10:]}'", 1, 2, "escaped"),
    "backslash x": ("'" + "".join(f"\\x{byte:02x}" for byte in T) + "'", 1, 2, "escaped"),
    "octal": ("'" + "".join(f"\\{byte:03o}" for byte in T) + "'", 1, 2, "escaped"),
    "HTML, decimal": ("<p>" + "".join(f"&#{byte};" for byte in T), 1, 4, "html"),
    "HTML, hex": ("<p>" + "".join(f"&#x{byte:x};" for byte in T), 1, 4, "html"),
    "HTML, by name": (f"<p>made&lowbar;{TOKEN[5:]}", 1, 4, "html"),
    "UTF-16 with a mark": (f"a\nx={TOKEN}".encode("utf-16"), 2, 6, "utf-16le"),
    "UTF-16LE": (f"a\nx={TOKEN}".encode("utf-16le"), 2, 6, "utf-16le"),
    "UTF-16BE": (f"a\nx={TOKEN}".encode("utf-16be"), 2, 5, "utf-16be"),
    "UTF-16 with other scripts": (f"\u4e2d\u6587\U0001f600 {TOKEN} \u4e2d".encode("utf-16"), 1, 13, "utf-16le"),
    "UTF-16 in binary": (b"\x01\x02\xff" * 40 + f"x={TOKEN}".encode("utf-16le") + b"\xff\x01" * 9, 1, 125,
                         "utf-16le"),
    "UTF-32": (f"a {TOKEN}".encode("utf-32"), 1, 13, "utf-32le"),
    "UTF-32BE": (f"a {TOKEN}".encode("utf-32be"), 1, 9, "utf-32be"),
    "parts with plus": (f'a\nx = "{TOKEN[:5]}" + "{TOKEN[5:20]}" +\n  "{TOKEN[20:]}"', 2, 6, "concatenated"),
    "parts with a dot": (f"x = '{TOKEN[:12]}' . '{TOKEN[12:]}'", 1, 6, "concatenated"),
    "parts with bars": (f"x = '{TOKEN[:12]}' || '{TOKEN[12:]}'", 1, 6, "concatenated"),
    "parts side by side": (f'x = "{TOKEN[:12]}" "{TOKEN[12:]}"', 1, 6, "concatenated"),
    "parts on two lines": (f'x = ("{TOKEN[:12]}"\n     "{TOKEN[12:]}")', 1, 7, "concatenated"),
    "parts in shell": (f"x=\"{TOKEN[:12]}\"'{TOKEN[12:]}'", 1, 4, "concatenated"),
    "a list that is joined": (f'x = ["{TOKEN[:12]}", "{TOKEN[12:]}"].join("")', 1, 7, "concatenated"),
    "a list that Python joins": (f'x = "".join(["{TOKEN[:12]}", "{TOKEN[12:]}"])', 1, 15, "concatenated"),
    "a template": (f'x = `{TOKEN[:12]}${{"{TOKEN[12:]}"}}`', 1, 6, "concatenated"),
    "a line that goes on": (f"x={TOKEN[:12]}\\\n{TOKEN[12:]}", 1, 3, "continued"),
    "a line that goes on, indented": (f'x: "{TOKEN[:12]}\\\r\n    {TOKEN[12:]}"', 1, 5, "continued"),
    "behind an escaped newline": (json.dumps({"m": f"export\n{TOKEN}\nbar"}), 1, 16, "plain"),
    "parts of base64": (f'x = "{b64(T)[:30]}" + "{b64(T)[30:]}"', 1, 6, "concatenated+base64"),
    "base64 in percent": ("u=" + b64(PROSE + T).replace("=", "%3D").replace("/", "%2F"), 1, 3, "base64"),
}


@pytest.mark.parametrize("name", CASES)
def test_an_encoding_is_undone(name: str) -> None:
    data, line, column, encoding = CASES[name]
    assert ("f", line, column, encoding, TOKEN) in looked(data)


@pytest.mark.parametrize("name", CASES)
def test_it_is_told_once(name: str) -> None:
    places = [(line, column) for _, line, column, _, _ in looked(CASES[name][0])]
    assert len(places) == len(set(places)), places


@pytest.mark.parametrize("name", [name for name in CASES if name != "plain"])
def test_it_really_is_encoded(name: str) -> None:
    """Else the case above says nothing."""
    data = CASES[name][0]
    raw = data.encode() if isinstance(data, str) else data
    assert detector().look(Content(raw, Place(Kind.FILE, "f", "f"))) == []


def test_what_names_an_encoded_value_counts() -> None:
    """Kubernetes' secrets: the rule asks for the name beside the value."""
    assert looked(f"data:\n  GATEWAY_TOKEN: {b64(GATEWAY.encode())}\n") == [("f", 2, 18, "base64", GATEWAY)]
    assert looked(f"data:\n  CHECKSUM_OF: {b64(GATEWAY.encode())}\n") == []


def test_a_url_in_percent_escapes() -> None:
    assert looked("x=postgres%3A%2F%2Fbob%3Apa55w0rdXq%40db.host") == [
        ("f", 1, 3, "percent", "postgres://bob:pa55w0rdXq@db.host")]


def test_a_private_key_in_one_json_string() -> None:
    key = f"-----BEGIN PRIVATE KEY-----\n{PEM_BODY}\n{PEM_BODY}\n-----END PRIVATE KEY-----\n"
    [(_, line, column, encoding, value)] = looked("{}\n" + json.dumps({"key": key}))
    assert (line, column, encoding, value) == (2, 10, "escaped", key.strip())


def test_doubtful_rules_do_not_fire_on_decoded_text() -> None:
    assert [value for *_, value in looked("x = guess83650274")] == ["guess83650274"]
    assert looked(f"f(1, {b64(PROSE + b'guess83650274')})") == []


def test_what_stands_there_plainly_is_not_told_again() -> None:
    near = f'a = "foo" + "bar"; token = "{TOKEN}"; b = "foobar" + "bazbar"\n' + "u=%41%42%43%44\n"
    assert looked(near) == [("f", 1, 29, "plain", TOKEN)]


def test_lines_of_base64_may_stand_for_themselves() -> None:
    one = b64(b"a " + T + b"  ")
    assert len(one) % 4 == 0 and "=" not in one
    assert ("f", 1, 1, "base64", TOKEN) in looked(f"{one}\n{one}\n")
    assert ("f", 1, 6, "base64", TOKEN) in looked(f"KEY: {b64(b'xx' + b' ' + T + b'')}\nOTHER: value\n")


def test_depth_is_bounded() -> None:
    data = T
    for _ in range(decode.DEPTH + 1):
        data = base64.b64encode(data)
    assert looked(data) == []


def test_only_what_touches_fresh_ranges_is_decoded() -> None:
    old, new = b"old: " + base64.b64encode(PROSE + T) + b"\n", b"new: " + base64.b64encode(T + b" " + PROSE) + b"\n"
    place = Place(Kind.GIT_BLOB, "f", "f")
    fresh = [(len(old), len(old) + len(new))]
    inspector = Inspector(detector(), notes=Told())
    assert [line for _, line, *_ in found(inspector, Content(old + new, place, id=2, base=9, fresh=fresh))] == [2]


def test_all_is_decoded_when_the_base_had_matches() -> None:
    old, new = b"old: " + base64.b64encode(PROSE + T) + b"\n", b"new line\n"
    place = Place(Kind.GIT_BLOB, "f", "f")
    inspector = Inspector(detector(), notes=Told())
    assert len(found(inspector, Content(old, place, id=1))) == 1
    after = Content(old + new, place, id=2, base=1, fresh=[(len(old), len(old) + len(new))])
    assert [line for _, line, *_ in found(inspector, after)] == [1]


def test_a_run_in_the_overlap_is_told_by_one_piece_only() -> None:
    run = b"x: " + base64.b64encode(T) + b"\n"
    data = b"a" * 1000 + b"\n" + run
    place = Place(Kind.FILE, "f", "f")
    inspector = Inspector(detector(), notes=Told())
    assert len(found(inspector, Content(data, place))) == 1
    rest = Content(run + b"b" * 500, place, offset=1001, line=1, overlap=len(run))
    assert found(inspector, rest) == []


@given(st.binary(max_size=400) | st.text(alphabet="ab\\\"'+%&#x;u0014=\n[],. joinMAD{}$", max_size=400))
def test_anything_can_be_decoded(data: bytes | str) -> None:
    raw = data.encode() if isinstance(data, str) else data
    for text in decode.derived(raw + b"made_k" + raw):
        for at in range(len(text.data)):
            assert 0 <= text.origin(at) <= 2 * len(raw) + 6 + 2  # the blank lines behind a window stand for its end


@given(st.binary(min_size=0, max_size=40), st.integers(0, 5), st.sampled_from(["b64", "url", "hex"]))
def test_a_token_in_base64_at_any_phase_of_any_text(noise: bytes, shift: int, how: str) -> None:
    text = PROSE[:shift] + b" " + T + b" " + bytes(32 + byte % 95 for byte in noise)
    encoded = {"b64": base64.b64encode(text), "url": base64.urlsafe_b64encode(text).rstrip(b"="),
               "hex": text.hex().encode()}[how]
    assert ("f", 1, 7, "hex" if how == "hex" else "base64", TOKEN) in looked(b"data: " + encoded + b"\n")
