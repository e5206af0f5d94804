"""Values are taken out of texts, whatever form they stand in."""

from __future__ import annotations

import base64
import json
import re
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clawsecrets.model.finding import Coverage, Dropped, Kind, Place, Provenance, Skipped
from clawsecrets.scan.mask import mask
from clawsecrets.scan.scrub import Scrubber
from tests import canary

VALUE = b'tok/en+with=odd&"chars%\\end 7gQ2'


def scrubber(*values: bytes) -> Scrubber:
    return Scrubber((value, mask(value)) for value in values)


@pytest.mark.parametrize("form", [
    VALUE.decode(), VALUE.hex(), VALUE.hex().upper(), quote(VALUE, safe=""), quote(VALUE), quote_plus(VALUE),
    re.sub(r"%..", lambda found: found[0].lower(), quote(VALUE, safe="")),
    json.dumps(VALUE.decode())[1:-1], repr(VALUE.decode())[1:-1],
    *(base64.b64encode(b"abc"[:pad] + VALUE + b"xyz"[:pad]).decode() for pad in range(4)),
    base64.urlsafe_b64encode(b"a" + VALUE).decode(),
])
def test_each_form(form: str) -> None:
    clean = scrubber(VALUE).text(f"fix: {form}!")
    assert canary.search(clean.encode(), VALUE) == [] and "…" in clean
    assert clean.startswith("fix: ") and clean.endswith("!")


@given(st.text(max_size=40), st.text("abcXYZ019/+=%-_ é", min_size=8, max_size=60), st.text(max_size=40))
def test_any_value_in_any_text(before: str, value: str, after: str) -> None:
    clean = scrubber(value.encode()).text(before + value + after)
    assert value not in clean or value in mask(value.encode())


def test_what_holds_none_stays_as_it_is() -> None:
    text = "src/a file.py é \n x"
    assert scrubber(VALUE, b"hunter2").text(text) == text and scrubber().text(text) is text


def test_the_beginning_of_one_where_the_text_was_cut() -> None:
    clean = scrubber(b"acme_Qm3xT8vLw0ZrYk5uPd2s").text("add the key acme_Qm3xT8vLw0Z…")
    assert clean == "add the key …d2s"
    assert scrubber(b"acme_Qm3xT8vLw0ZrYk5uPd2s").text("see acme_Qm3-other") == "see acme_Qm3-other"


def test_a_short_one_goes_only_where_it_stands_alone() -> None:
    words = scrubber(b"route").text
    assert words("/route/66") == "/…/66" and words("rerouted") == "rerouted"
    assert scrubber(b"abc").text("abc") == "abc"  # three characters are in everything


def test_values_that_overlap() -> None:
    clean = scrubber(b"abcdefghijKLMN", b"ghijKLMNopqrstuv").text("x abcdefghijKLMNopqrstuv y")
    assert clean == "x … y"


def test_the_longest_wins() -> None:
    assert scrubber(b"abcdefgh", b"abcdefgh12345678").text("<abcdefgh12345678>") == "<…>"


def test_a_line_of_a_key_of_many_lines() -> None:
    key = b"-----BEGIN KEY-----\nMIIEowIBAAKCAQEAx7Vq9\nQm3xT8vLw0ZrYk5uPd2s\n-----END KEY-----\n"
    assert "Qm3xT8vLw0Zr" not in scrubber(key).text("oops: Qm3xT8vLw0ZrYk5uPd2s")


def test_all_texts_of_the_model() -> None:
    text = VALUE.decode()
    one = scrubber(VALUE)
    where = one.provenance(Provenance(Kind.GIT_BLOB, text, "c", text, "d", text, "branch", (text,), text, text, "sha",
                                      text, text))
    skipped = one.coverage(Coverage((text,), skipped=(Skipped(text, text),)))
    dropped = one.dropped(Dropped("r", Place(Kind.FILE, text, text), 1, text, "m"))
    assert text not in repr((where, skipped, dropped)).replace("\\\\", "\\")
    assert where.path == mask(VALUE) and where.commit == "c"


def test_weak_values_leave_paths_alone() -> None:
    one = Scrubber([(VALUE, mask(VALUE))], [(b"route", "…")])
    assert one.path("src/route/a.py") == "src/route/a.py" and one.text("take the route") == "take the …"
    assert one.path(f"route/{VALUE.decode()}") == f"route/{mask(VALUE)}"
    where = one.provenance(Provenance(Kind.GIT_BLOB, "route/x", message="my route", refs=("refs/route",)))
    assert (where.path, where.message, where.refs) == ("route/x", "my …", ("refs/…",))
    dropped = one.dropped(Dropped("r", Place(Kind.FILE, "/route", "/route"), 1, "not route", "…"))
    assert (dropped.place.path, dropped.place.key, dropped.reason) == ("/route", "/route", "not …")
    coverage = one.coverage(Coverage(("/route",), skipped=(Skipped("/route", "no route"),)))
    assert (coverage.sources, *coverage.skipped) == (("/route",), Skipped("/route", "no …"))
