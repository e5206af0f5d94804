"""The .env dialect, its errors (line, never content), and round trips."""

from __future__ import annotations

import traceback

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clawsecrets.errors import ConfigError
from clawsecrets.importers import Reading, dotenv
from tests.canary import search


def read(text: str | bytes) -> Reading:
    return dotenv.parse(text if isinstance(text, bytes) else text.encode(), ".env")


def values(text: str | bytes) -> dict[str, str]:
    return {item.env: item.value.reveal().decode() for item in read(text).items}


@pytest.mark.parametrize(("text", "expected"), [
    ("", {}),
    ("\n\n # only a comment\n\t\n", {}),
    ("A=b", {"A": "b"}),
    ("A=b\n", {"A": "b"}),
    ("  export A = b  \n", {"A": "b"}),
    ("export\tA=b", {"A": "b"}),
    ("A=", {"A": ""}),
    ("A= # nothing", {"A": ""}),
    ("A=''", {"A": ""}),
    ("A=b#c", {"A": "b#c"}),
    ("A=b #c", {"A": "b"}),
    ("A=b\t# c", {"A": "b"}),
    ("A=b=c==", {"A": "b=c=="}),
    ("A=b c  d ", {"A": "b c  d"}),
    ("A=\\n\\", {"A": "\\n\\"}),
    ("A=it's", {"A": "it's"}),
    ("A='b # c' # d", {"A": "b # c"}),
    ("A='b\\n\"$x'", {"A": 'b\\n"$x'}),
    ("A='one\ntwo'\nB=c", {"A": "one\ntwo", "B": "c"}),
    ('A="b # c" # d', {"A": "b # c"}),
    ('A="b\\n\\t\\"\\\\\\$x\\q"', {"A": 'b\n\t"\\$x\\q'}),
    ('A="one\ntwo"\nB=c', {"A": "one\ntwo", "B": "c"}),
    ("A=b\r\nB='c'\r\nC=\"d\r\ne\"\r\n", {"A": "b", "B": "c", "C": "d\ne"}),
    (b"\xef\xbb\xbfA=b", {"A": "b"}),
    ("A_1.x-y=b", {"A_1.x-y": "b"}),
    ("A=\u00e9\u4e2d", {"A": "\u00e9\u4e2d"}),
    ("A=b\nA=c", {"A": "c"}),
])
def test_the_dialect(text: str | bytes, expected: dict[str, str]) -> None:
    assert values(text) == expected


def test_places_are_file_and_first_line() -> None:
    found = read('# c\nA=b\n\nB="one\ntwo"\nC=d')
    assert [(item.key, item.where) for item in found.items] == [("A", ".env:2"), ("B", ".env:4"), ("C", ".env:6")]


def test_the_last_assignment_counts_and_the_others_are_named() -> None:
    found = read("A=1\nB=2\nA=3\nA=4")
    assert [(item.env, item.where) for item in found.items] == [("B", ".env:2"), ("A", ".env:4")]
    assert found.notes == (".env: A stands on lines 1, 3 and 4; the last one counts",)


@pytest.mark.parametrize("text", ["A=${B}", "A=$B", 'A="x${B}y"', "A=${B:-c}", 'A="$B"'])
def test_references_are_reported_not_imported(text: str) -> None:
    found = read(text)
    assert found.items == ()
    assert [(one.where, one.what) for one in found.references] == [(".env:1", "A")]


@pytest.mark.parametrize("text", ["A='${B}'", 'A="\\${B}"', "A=pa$$word", "A=a$1", "A=x$yz!"])
def test_a_dollar_alone_is_no_reference(text: str) -> None:
    found = read(text)
    assert found.references == ()
    assert len(found.items) == 1


def test_a_name_without_a_value_is_reported() -> None:
    assert [one.where for one in read("A=b\nHOME_KEY\nexport OTHER # c").references] == [".env:2", ".env:3"]


@pytest.mark.parametrize(("text", "line"), [
    ("A=b\n{value}", 2),
    ("{value}=x y\n=b", 1),
    ("A='{value}\nB=c\n", 1),
    ("\nA=\"{value}\n", 2),
    ("A='{value}'x", 1),
    ('A="b" "{value}"', 1),
    ('\n\nA="b" {value}', 3),
    ("A='one\ntwo'\n: {value}", 3),
    ("1A={value}", 1),
])
def test_errors_name_the_line_and_show_nothing(text: str, line: int) -> None:
    value = "s3cr-et/VALUE+0123456789"
    with pytest.raises(ConfigError) as caught:
        read(text.replace("{value}", value))
    assert caught.value.message.startswith(f".env: line {line}: ")
    whole = "".join(traceback.format_exception(caught.value)) + caught.value.hint
    assert search(whole.encode(), value.encode()) == []


@pytest.mark.parametrize(("raw", "fault"), [
    (b"A=b\nC=\xffs3cretVALUE\n", "line 2: is not UTF-8"),
    (b"A=b\n\nC=s3cretVALUE\0\n", "line 3: is not UTF-8"),
    ("A=s3cretVALUE".encode("utf-16"), "is UTF-16"),
])
def test_what_is_no_text_is_refused_without_its_bytes(raw: bytes, fault: str) -> None:
    with pytest.raises(ConfigError, match=fault) as caught:
        read(raw)
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None
    assert "s3cret" not in "".join(traceback.format_exception(caught.value))


ANY = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=30)
NAMES = st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,10}", fullmatch=True)


def double_quoted(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("$", "\\$").replace("\r", "\\r")
    return f'"{escaped}"'


@given(st.dictionaries(NAMES, ANY), st.sampled_from(["\n", "\r\n"]), st.booleans())
def test_double_quoted_values_round_trip(entries: dict[str, str], newline: str, mark: bool) -> None:
    text = newline.join(f"{name}={double_quoted(value)}" for name, value in entries.items())
    assert values(("\ufeff" if mark else "") + text) == entries


@given(st.dictionaries(NAMES, ANY.filter(lambda value: "'" not in value and "\r" not in value)))
def test_single_quoted_values_round_trip(entries: dict[str, str]) -> None:
    assert values("\n".join(f"export {name}='{value}' # x" for name, value in entries.items())) == entries


@given(st.dictionaries(NAMES, st.from_regex(r"[!%&()*+,./0-9:;<=>?@A-Z\[\]^_`a-z{|}~#-]+", fullmatch=True)
                       .filter(lambda value: value[0] != "#")))
def test_plain_values_round_trip(entries: dict[str, str]) -> None:
    assert values("\n".join(f"{name}={value}" for name, value in entries.items())) == entries


@given(st.binary(max_size=80) | st.text(alphabet="A=\"'\\ \n#$b{}\r", max_size=40).map(str.encode))
def test_anything_is_read_or_refused_with_a_place(raw: bytes) -> None:
    try:
        found = read(raw)
    except ConfigError as error:
        assert error.message.startswith(".env: ")
        assert error.hint
        return
    for item in found.items:
        assert raw.splitlines()[int(item.where.rpartition(":")[2]) - 1 :]
