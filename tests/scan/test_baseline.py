"""The baseline's file: what is written is read; what is not exactly so is refused, with its line."""

from __future__ import annotations

import datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clawsecrets.errors import ConfigError
from clawsecrets.scan.baseline import Baseline, Entry
from clawsecrets.scan.fingerprint import STANDARD_SALT

DAY = datetime.date(2027, 2, 19)
HEAD = f"# clawsecrets baseline 2 salt={'ab' * 16}\n"
LINE = f'{"0" * 32}\tacme.key\t2027-02-19\teve\t"a key of the docs"\n'
OTHER = LINE.replace("0" * 32, "f" * 32)


def entry(number: int, reason: str = "docs") -> Entry:
    return Entry(f"{number:032x}", "acme.key", DAY, "eve", reason)


def test_it_is_sorted_and_one_line_each() -> None:
    made = Baseline(b"\xab" * 16).plus([entry(15), entry(0, "a key of the docs")])
    lines = made.render().decode().splitlines(keepends=True)
    assert lines[:2] == [HEAD, LINE] and lines[2].startswith(f"{15:032x}\t") and len(lines) == 3


@given(st.text(min_size=1).filter(str.strip), st.dates())
def test_what_is_written_is_read(reason: str, day: datetime.date) -> None:
    made = Baseline.new().plus([Entry("0" * 32, "acme.key", day, "eve@host", reason.strip())])
    assert Baseline.parse(made.render(), "b") == made
    assert made.render().count(b"\n") == 2


def test_two_branches_merge_without_conflict_markers() -> None:
    read = Baseline.parse((HEAD + OTHER + LINE).encode(), "b")  # git's union order
    assert set(read.entries) == {"0" * 32, "f" * 32} and read.salt == b"\xab" * 16
    assert Baseline.parse((HEAD + LINE).replace("\n", "\r\n").encode(), "b").entries.keys() == {"0" * 32}


def test_plus_replaces_and_without_takes_away() -> None:
    made = Baseline().plus([entry(1), entry(2)]).plus([entry(1, "new")])
    assert made.entries[entry(1).fingerprint].reason == "new" and len(made.entries) == 2
    assert made.without({entry(1).fingerprint}).entries.keys() == {entry(2).fingerprint}
    assert made.salt == STANDARD_SALT and Baseline.new().salt != Baseline.new().salt


def test_the_date_is_the_last_day() -> None:
    assert not entry(1).expired(DAY) and entry(1).expired(DAY + datetime.timedelta(1))


@pytest.mark.parametrize(("text", "line", "word"), [
    ("", 1, "header"),
    (HEAD.replace("baseline 2", "baseline 3"), 1, "format 3"),
    (HEAD.replace("baseline 2", "baseline 1"), 1, "format 1"),
    (HEAD.replace("salt=ab", "salt=zz"), 1, "header"),
    (HEAD + LINE + LINE, 3, "twice"),
    (HEAD + "<<<<<<< HEAD\n" + LINE + "=======\n" + OTHER + ">>>>>>> topic\n", 2, "merge conflict"),
    ("<<<<<<< HEAD\n" + HEAD + "=======\n" + HEAD + ">>>>>>> topic\n", 1, "merge conflict"),
    (HEAD + "\n", 2, "5 fields"),
    (HEAD + LINE.replace("\t", " "), 2, "5 fields"),
    (HEAD + LINE + "# a comment\n", 3, "5 fields"),
    (HEAD + LINE.replace("000", "00G", 1), 2, "fingerprint"),
    (HEAD + LINE.replace("acme.key", "../key"), 2, "rule"),
    (HEAD + LINE.replace("2027-02-19", "2027-02-30"), 2, "date"),
    (HEAD + LINE.replace("2027-02-19", "20270219"), 2, "date"),
    (HEAD + LINE.replace("eve", ""), 2, "who"),
    (HEAD + LINE.replace("eve", "e\x1bve"), 2, "who"),
    (HEAD + LINE.replace('"a key of the docs"', "a key of the docs"), 2, "reason"),
    (HEAD + LINE.replace('"a key of the docs"', '"  "'), 2, "reason"),
    (HEAD + LINE.replace('"a key of the docs"', "5"), 2, "reason"),
    (HEAD + LINE.replace('"a key of the docs"', "[" * 100_000), 2, "reason"),
])
def test_what_is_wrong_is_refused_with_its_line(text: str, line: int, word: str) -> None:
    with pytest.raises(ConfigError) as caught:
        Baseline.parse(text.encode(), "the-file")
    assert caught.value.message.startswith(f"the-file, line {line}: ") and word in caught.value.message
    assert caught.value.hint


def test_bytes_that_are_no_text_and_a_file_that_is_too_large() -> None:
    with pytest.raises(ConfigError, match="line 2: it is not UTF-8"):
        Baseline.parse(HEAD.encode() + b"\xff\n", "f")
    with pytest.raises(ConfigError, match="larger than 16 MiB"):
        Baseline.parse(b"x" * (16 << 20) + b"y", "f")


def test_the_example_of_the_document_is_one() -> None:
    text = (Path(__file__).resolve().parents[2] / "docs" / "baseline-format.md").read_text()
    example = text.split("```\n")[1].encode()
    read = Baseline.parse(example, "the document")
    assert len(read.entries) == 2 and read.render() == example
