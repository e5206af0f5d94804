"""The store's own values are found in every form, named, and told once."""

from __future__ import annotations

import base64
import gzip
import html
import json
import random
import re
import shlex
import urllib.parse
from collections.abc import Sequence
from dataclasses import replace

import pytest

from clawsecrets.model.finding import Content, Kind, Known, Match, Place, Rule, Skipped
from clawsecrets.model.secret import SecretValue, Stage, Version
from clawsecrets.scan.detector import Detector
from clawsecrets.scan.inspect import Inspector
from clawsecrets.scan.known import KnownValues, Value, live
from clawsecrets.scan.ruleset import Ruleset
from clawsecrets.scan.sought import Naming, Seeking
from clawsecrets.scan.triage import group, located

RULES = Ruleset([Rule("zebra.key", "zebra", "Zebra key", r"\bzbr_[A-Za-z0-9]{24}\b")], "code")
PLAIN = "f7Qk2xLm9vRt4wYz8pNb3sHd6jGc1aEu5iXo0"
ODD = "p\"ä $w'rd%&<x>/\\q8Zt"
RULED = "zbr_Qk2xLm9vRt4wYz8pNb3sHd6j"
PEM = "-----BEGIN OPENSSH PRIVATE KEY-----\n" + "\n".join(
    base64.b64encode(random.Random(n).randbytes(48)).decode() for n in range(40)
) + "\n-----END OPENSSH PRIVATE KEY-----\n"
HERE = Place(Kind.FILE, "a", "a")


def value(name: str, text: str | bytes, *, version: int = 1, stage: str = "current", alive: bool = True) -> Value:
    return Value(Known(name, version, stage, alive), "zebra", SecretValue(text))


class Notes:
    def skipped(self, skipped: Skipped) -> None:
        raise AssertionError(skipped)


def looked(data: bytes | str, values: Sequence[Value], **more: object) -> list[Match]:
    finders = [KnownValues(values, print)]
    inspector = Naming(Inspector(Seeking(Detector(RULES), finders), notes=Notes()), finders)
    raw = data.encode() if isinstance(data, str) else data
    return list(inspector.look(replace_content(Content(raw, HERE), more)))


def replace_content(content: Content, more: dict[str, object]) -> Content:
    return content._replace(**more)


FORMS = {
    "as it is": lambda v: f"key={v};",
    "json": lambda v: json.dumps({"key": v}),
    "json, plain letters": lambda v: json.dumps({"key": v}, ensure_ascii=False),
    "json in json": lambda v: json.dumps({"body": json.dumps({"key": v})}),
    "json, slashes": lambda v: json.dumps(v).replace("/", "\\/"),
    "url": lambda v: "https://u:" + urllib.parse.quote(v, safe="") + "@h/",
    "form": lambda v: urllib.parse.urlencode({"key": v, "b": "1"}),
    "url, lower": lambda v: "?k=" + re.sub("%..", lambda found: found[0].lower(), urllib.parse.quote(v)),
    "html": lambda v: f"<b>{html.escape(v)}</b>",
    "shell": lambda v: f"export K={shlex.quote(v)}",
    "compose": lambda v: "K: " + v.replace("$", "$$"),
    "base64": lambda v: "x: " + base64.b64encode(v.encode()).decode(),
    "base64 in the middle": lambda v: base64.b64encode(f"admin:{v}:more\n".encode()).decode(),
    "base64, one before": lambda v: base64.b64encode(f"a{v}".encode()).decode(),
    "base64, two before": lambda v: base64.b64encode(f"ab{v} and so on".encode()).decode(),
    "base64, url": lambda v: base64.urlsafe_b64encode(f"ab{v}?>?>".encode()).decode(),
    "hex": lambda v: v.encode().hex(),
    "HEX": lambda v: v.encode().hex().upper(),
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("text", [PLAIN, ODD, RULED])
def test_it_is_found_in_every_form(form: str, text: str) -> None:
    found = looked("first line\n" + FORMS[form](text) + "\nlast", [value("gateway", text)])
    assert found
    assert {match.known.name for match in found if match.known} == {"gateway"}
    assert all(match.known for match in found)
    assert all(text.encode() in match.secret.reveal() for match in found)
    assert {match.start_line for match in found} == {2}
    assert len(group(located(found, {}))) == 1


@pytest.mark.parametrize("codec", ["utf-16-le", "utf-16-be"])
def test_it_is_found_in_wide_text(codec: str) -> None:
    for text in (PLAIN, ODD):
        [one, *_] = looked(f"key={text}\r\n".encode(codec), [value("gateway", text)])
        assert one.known is not None and one.secret.reveal() == text.encode()


def test_it_is_found_in_what_is_packed() -> None:
    [one] = looked(gzip.compress(b"x\n" + PLAIN.encode()), [value("gateway", PLAIN)])
    assert one.known is not None


def test_a_rule_s_match_is_told_once_with_the_name() -> None:
    [one] = looked(f"KEY={RULED}\n", [value("zebra-key", RULED, version=3, stage="retired", alive=False)])
    assert one.rule.id == "zebra.key"
    assert one.known == Known("zebra-key", 3, "retired", False)


def test_a_value_in_the_match_of_a_rule_is_told_once() -> None:
    [one] = looked(f"KEY={RULED}\n", [value("part", RULED[4:])])
    assert (one.rule.id, one.known and one.known.name) == ("zebra.key", "part")


@pytest.mark.parametrize("form", [
    lambda v: v, lambda v: v.rstrip("\n"), lambda v: v.replace("\n", "\r\n"), lambda v: json.dumps({"k": v}),
    lambda v: "k: |\n" + "".join(f"    {line}\n" for line in v.splitlines()), lambda v: v.replace("\n", "\\n"),
    lambda v: base64.b64encode(v.encode()).decode(), lambda v: base64.encodebytes(v.encode()).decode(),
], ids=["plain", "no end", "crlf", "json", "yaml", "escaped", "base64", "wrapped"])
def test_a_value_of_many_lines(form: object) -> None:
    found = looked(b"before\n" + form(PEM).encode(), [value("host-key", PEM)])  # type: ignore[operator]
    assert {match.known.name for match in found if match.known} == {"host-key"}
    assert len([match for match in found if match.encoding == "plain"]) <= 1


def test_the_ends_of_lines_do_not_belong_to_it() -> None:
    [one] = looked(f"k={PLAIN} x", [value("gateway", PLAIN + "\r\n")])
    assert one.secret.reveal() == PLAIN.encode()


def test_short_values_are_told_and_not_looked_for() -> None:
    said: list[str] = []
    finder = KnownValues([value("pin", "1234567", version=2)], said.append)
    assert len(finder) == 0 and finder.find(b"1234567") == []
    assert said == ["pin version 2 is shorter than 8 bytes: it cannot be looked for"]


def test_of_equal_values_the_live_one_is_named() -> None:
    [one] = looked(PLAIN, [value("old", PLAIN, stage="retired", alive=False), value("new", PLAIN)])
    assert one.known is not None and one.known.name == "new"


def test_one_that_only_reaches_into_what_is_fresh_is_found() -> None:
    """A delta changed one character of a long value: most of it stands outside of the window."""
    data = b"k=" + PEM.encode() + b"tail"
    place = data.index(b"\n", 1500)
    fresh = ((place - 20, place + 20),)
    found = looked(data, [value("host-key", PEM)], id=2, base=1, fresh=fresh)
    assert [match.known.name for match in found if match.known] == ["host-key"]
    assert looked(data + b"x" * 9000, [value("host-key", PEM)], id=2, base=1, fresh=((len(data) + 8000,) * 2,)) == []


def test_pieces_tell_it_once() -> None:
    data = b"a" * 100 + PLAIN.encode() + b"b"
    assert looked(data, [value("gateway", PLAIN)], offset=100, overlap=len(data) - 1) == []
    assert len(looked(data, [value("gateway", PLAIN)], offset=100, overlap=len(data) - 2)) == 1


def test_what_may_still_be_accepted() -> None:
    made = Version(1, Stage.CURRENT, 0.0)
    for stage, dead, expected in ((Stage.PENDING, 0.0, True), (Stage.PREVIOUS, 0.0, True), (Stage.RETIRED, 0.0, True),
                                  (Stage.RETIRED, 5.0, False), (Stage.REVOKED, 0.0, False)):
        assert live(replace(made, stage=stage, dead_at=dead)) is expected


def test_no_values_no_work() -> None:
    assert KnownValues([], print).find(b"anything") == []
