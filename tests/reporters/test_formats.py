"""What each format must be for its readers, and what no name may do to it."""

from __future__ import annotations

import base64
import datetime
import hashlib
import json
import re
import unicodedata
from html.parser import HTMLParser
from typing import Any
from urllib.parse import unquote
from xml.etree import ElementTree

import pytest

from clawsecrets.errors import UsageError
from clawsecrets.model.finding import Coverage, Finding, Kind, Known, Location, Place, Provenance, Report, Skipped
from clawsecrets.reporters import FORMATS, reporter
from clawsecrets.reporters.gitlab import Gitlab
from clawsecrets.reporters.sarif import RESULTS, Sarif, uri
from clawsecrets.reporters.visible import as_json, visible
from clawsecrets.reporters.words import size_words
from clawsecrets.scan.baseline import Baseline, Entry
from clawsecrets.scan.fingerprint import fingerprint
from clawsecrets.scan.triage import Seen
from tests.reporters.plants import HOSTILE, hostile_report, match, report

VALUE = b"acme_Qm3xT8vLw0ZrYk5uPd2sHn7bJc4gFe6aVi9B"
OTHER = b"acme_Zb81kQpW3mXs7VdLr2TfYh5NcGj9AeUoI4tR"
PLACE = Place(Kind.FILE, "app/.env", "app/.env")


def found(line: int = 3, **more: Any) -> Report:
    return report([Seen(match(VALUE, PLACE, line=line, **more), Provenance(Kind.FILE, "app/.env"))])


def clean() -> Report:
    return report()


def broken() -> Report:
    return report((), Coverage(("git .",), skipped=(Skipped("objects/ab/cd", "it is corrupt"),)))


def written(name: str, given: Report) -> Any:
    return json.loads(reporter(name).write(given))


# --- every format --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("width", [None, 40])
def test_nothing_hostile_gets_through(name: str, width: int | None) -> None:
    text = reporter(name, width=width).write(hostile_report())
    text.encode()  # no surrogates
    odd = {hex(ord(c)) for c in text if c != "\n" and unicodedata.category(c) in ("Cc", "Cf", "Cs", "Zl", "Zp")}
    assert odd == set()
    assert "##[" not in text or name == "json"  # JSON says exactly what it is called
    assert name == "json" or not re.search(r"^\s*::error::x", text, re.M)


@pytest.mark.parametrize("name", FORMATS)
def test_an_incomplete_scan_says_so(name: str) -> None:
    text = reporter(name).write(broken())
    assert "objects/ab/cd" in text and "it is corrupt" in text


@pytest.mark.parametrize("name", FORMATS)
def test_the_same_findings_give_the_same_report(name: str) -> None:
    one, two = found(), found()
    made = (Gitlab(0.0).write(one), Gitlab(0.0).write(two)) if name == "gitlab" else \
        (reporter(name).write(one), reporter(name).write(two))
    assert made[0] == made[1]


def test_an_unknown_format() -> None:
    with pytest.raises(UsageError):
        reporter("pdf")


# --- for people ----------------------------------------------------------------------------------------------------


def test_text_is_wrapped_and_a_command_is_not_broken() -> None:
    text = reporter("text", width=60).write(found())
    long = [line for line in text.splitlines() if len(line) > 60]
    assert all("`" in line or fingerprint(VALUE) in line for line in long)
    assert f"`clawsecrets baseline add {fingerprint(VALUE)} --reason TEXT --expires 90d`" in text


def test_text_tells_where_what_and_how_much() -> None:
    text = reporter("text").write(found())
    assert "HIGH  Acme API key  acme_…i9B  (41 bytes)" in text and "at app/.env:3:7" in text
    assert "1,234 objects, 5.3 MB, 345 commits, 12 refs" in text and "INCOMPLETE" not in text
    assert "\033[" not in text and "\033[1;31m" in reporter("text", colour=True).write(broken())


def test_text_is_never_silent_about_a_clean_scan() -> None:
    assert reporter("text").write(clean()).endswith("no findings\n")
    assert "INCOMPLETE: no findings in what was looked at" in reporter("text").write(broken())


def test_many_places_are_counted() -> None:
    seen = [Seen(match(VALUE, Place(Kind.FILE, str(n), f"{n}.env")), Provenance(Kind.FILE, f"{n}.env"))
            for n in range(300)]
    given = report(seen)
    assert "and 290 more places" in reporter("text").write(given)
    assert "and 100 more" in reporter("html").write(given)
    assert len(written("json", given)["findings"][0]["locations"]) == 300


@pytest.mark.parametrize(("size", "told"), [(0, "0 bytes"), (1, "1 byte"), (999, "999 bytes"), (1000, "1.0 kB"),
                                            (5_313_000_000, "5.3 GB"), (10 ** 16, "10000.0 TB")])
def test_sizes(size: int, told: str) -> None:
    assert size_words(size) == told


def test_visible_shows_every_character() -> None:
    assert visible("a\tb\x00\x85\u202e\u200d\ufeff\U000e0041\u3164\u00a0\udc80é✓") == \
        "a\\tb\\x00\\x85\\u202e\\u200d\\ufeff\\U000e0041\\u3164\\xa0\\x80é✓"
    assert visible("plain path/é.txt") == "plain path/é.txt"
    assert json.loads(as_json({"x": "\x1b\x7f\u202e\U000e0041é"})) == {"x": "\x1b\x7f\u202e\U000e0041é"}


# --- JSON ----------------------------------------------------------------------------------------------------------


def test_json_is_flat_with_every_place() -> None:
    seen = [Seen(match(VALUE, PLACE), Provenance(Kind.GIT_BLOB, "app/.env", "c" * 40, "Eve", "2026-01-02T00:00:00Z",
                                                 "x", "branch", ("main",))),
            Seen(match(VALUE, PLACE, line=9, encoding="base64"), Provenance(Kind.FILE, "app/.env"))]
    answer = written("json", report(seen))
    assert answer["schema"] == 1 and answer.keys() >= {"findings", "skipped", "coverage", "stats"}
    [one] = answer["findings"]
    asked = {"rule", "provider", "confidence", "masked", "length", "fingerprint", "path", "start_line", "end_line",
             "start_column", "encoding", "kind", "commit", "author", "date", "reachable", "refs", "image", "platform",
             "layer", "instruction", "known"}
    assert one.keys() >= asked  # scanner.md section 5
    assert (one["path"], one["start_line"], one["kind"], one["refs"]) == ("app/.env", 3, "git-blob", ["main"])
    assert [place["encoding"] for place in one["locations"]] == ["plain", "base64"]
    assert answer["coverage"]["complete"] is True


def test_json_of_a_baselined_and_a_known_value() -> None:
    entry = Entry(fingerprint(VALUE), "acme.key", datetime.date(2027, 1, 1), "eve", "an example of ours")
    known = Known("acme-api-key", 2, "current", True)
    seen = [Seen(match(VALUE, PLACE), Provenance(Kind.FILE, "a")),
            Seen(match(OTHER, PLACE, known=known), Provenance(Kind.FILE, "a"))]
    answer = written("json", report(seen, baseline=Baseline().plus([entry])))
    assert [item["baseline"] for item in answer["baselined"]] == ["an example of ours"]
    assert answer["findings"][0]["known"] == {"name": "acme-api-key", "version": 2, "stage": "current", "live": True}


def test_json_gives_a_name_as_it_is() -> None:
    [one] = written("json", hostile_report())["findings"]
    assert one["path"] == HOSTILE.replace("\udcff", "\\xff")


# --- SARIF ---------------------------------------------------------------------------------------------------------


def run(given: Report) -> Any:
    answer = json.loads(Sarif().write(given))
    assert answer["version"] == "2.1.0" and len(answer["runs"]) == 1
    return answer["runs"][0]


@pytest.mark.parametrize("given", [found, clean, broken, hostile_report])
def test_sarif_has_what_code_scanning_asks_for(given: Any) -> None:
    one = run(given())
    driver = one["tool"]["driver"]
    assert driver["name"] == "clawsecrets" and driver["semanticVersion"]
    ids = [rule["id"] for rule in driver["rules"]]
    for rule in driver["rules"]:
        assert all(rule[key]["text"] for key in ("shortDescription", "fullDescription", "help"))
        assert rule["help"]["markdown"] and 0 < float(rule["properties"]["security-severity"]) <= 10
        assert rule["defaultConfiguration"]["level"] in ("error", "warning", "note")
    for result in one["results"]:
        assert ids[result["ruleIndex"]] == result["ruleId"] and result["message"]["text"]
        assert result["level"] in ("error", "warning", "note") and result["partialFingerprints"]
        for place in (*result["locations"], *result["relatedLocations"]):
            artifact, region = place["physicalLocation"]["artifactLocation"], place["physicalLocation"]["region"]
            assert artifact["uriBaseId"] in one["originalUriBaseIds"]
            assert re.fullmatch(r"(?:[A-Za-z0-9\-._~!$&'()*+,;=@/]|%[0-9A-F]{2})+", artifact["uri"])
            assert region["startLine"] >= 1 and region["endLine"] >= region["startLine"]
    assert [call["executionSuccessful"] for call in one["invocations"]] == [given().complete]


def test_sarif_tells_what_was_not_looked_at() -> None:
    notes = run(broken())["invocations"][0]["toolExecutionNotifications"]
    assert any(note["level"] == "error" and "objects/ab/cd" in note["message"]["text"] for note in notes)


def test_an_alert_stays_the_same_when_its_line_moves() -> None:
    prints = [run(found(line))["results"][0]["partialFingerprints"] for line in (3, 99)]
    assert prints[0] == prints[1]
    elsewhere = run(report([Seen(match(VALUE, PLACE), Provenance(Kind.FILE, "other"))]))["results"][0]
    assert elsewhere["partialFingerprints"]["primaryLocationLineHash"] != prints[0]["primaryLocationLineHash"]


def test_sarif_holds_no_more_than_github_takes() -> None:
    place = (Location(Provenance(Kind.FILE, "a"), 1, 1, 1),)
    many = tuple(Finding("acme.key", "Acme", "acme", "high", "…", 9, f"{n:032x}", "low", place)
                 for n in range(RESULTS + 7))
    one = run(Report(many, Coverage(("git .",))))
    assert len(one["results"]) == RESULTS
    assert any("7 findings" in note["message"]["text"] for note in one["invocations"][0]["toolExecutionNotifications"])


@pytest.mark.parametrize(("path", "wanted"), [
    ("a b/ü#?.env", "a%20b/%C3%BC%23%3F.env"), ("c:/x", "c%3A/x"), ("../../etc/passwd", "etc/passwd"),
    ("/abs//x", "abs/x"), ("a\udcffb", "a%FFb"), ("x.zip!/in", "x.zip!/in"), ("", "file"),
])
def test_sarif_addresses_are_relative(path: str, wanted: str) -> None:
    assert uri(Location(Provenance(Kind.FILE, path), 1, 1, 1)) == wanted


def test_a_message_holds_no_link() -> None:
    one = run(hostile_report())
    told = [item["message"]["text"] for item in (*one["results"], *one["invocations"][0]["toolExecutionNotifications"])]
    assert any("]\\(http" in text for text in told) and not any("](" in text for text in told)


# --- CI ------------------------------------------------------------------------------------------------------------


def test_junit_counts() -> None:
    root = ElementTree.fromstring(reporter("junit").write(found()))
    suite = root[0]
    assert (suite.get("tests"), suite.get("failures"), suite.get("errors")) == ("2", "1", "0")
    assert "acme_…i9B" in (suite[0][0].get("message") or "")
    bad = ElementTree.fromstring(reporter("junit").write(broken()))[0]
    assert (bad.get("failures"), bad.get("errors")) == ("0", "1") and bad[0][0].tag == "error"
    ElementTree.fromstring(reporter("junit").write(hostile_report()))


def commands(text: str) -> list[tuple[str, dict[str, str], str]]:
    """As GitHub's runner reads them."""
    read = []
    for line in text.splitlines():
        if one := re.fullmatch(r"::(\w+) ([^:]*)::(.*)", line):
            properties = dict(pair.split("=", 1) for pair in one[2].split(","))
            read.append((one[1], {key: unquote(value) for key, value in properties.items()}, unquote(one[3])))
    return read


def test_github_annotates_the_line() -> None:
    [(level, where, message)] = commands(reporter("github").write(found()))
    assert level == "error" and (where["file"], where["line"], where["col"]) == ("app/.env", "3", "7")
    assert message.startswith("acme_…i9B") and "\n1" not in message and "baseline add" in message


def test_github_says_that_it_is_incomplete() -> None:
    [(level, _, message)] = commands(reporter("github").write(broken()))
    assert level == "error" and "objects/ab/cd" in message


def test_a_name_gives_github_no_command() -> None:
    text = reporter("github").write(hostile_report())
    assert all(line.startswith(("::error ", "clawsecrets: ")) for line in text.splitlines())
    read = commands(text)
    assert len(read) == 2 and read[0][1]["file"] == visible(HOSTILE)


def test_gitlab_has_what_its_schema_asks_for() -> None:
    answer = json.loads(Gitlab(1_700_000_000.0).write(found()))
    scan = answer["scan"]
    assert re.fullmatch(r"15\.\d+\.\d+", answer["version"]) and scan["type"] == "secret_detection"
    assert scan["status"] == "success" and scan["end_time"] == "2023-11-14T22:13:20"
    for tool in (scan["analyzer"], scan["scanner"]):
        assert tool["id"] and tool["name"] and tool["version"] and tool["vendor"]["name"]
    [one] = answer["vulnerabilities"]
    assert one["severity"] in ("Info", "Unknown", "Low", "Medium", "High", "Critical") and one["id"]
    assert all(item["type"] and item["name"] and item["value"] for item in one["identifiers"])
    assert one["location"] == {"file": "app/.env", "start_line": 3, "end_line": 3, "commit": {"sha": "0000000"}}
    assert json.loads(Gitlab(0.0).write(broken()))["scan"]["status"] == "failure"


def test_code_quality_has_an_issue_for_each_place() -> None:
    seen = [Seen(match(VALUE, PLACE, line=n), Provenance(Kind.FILE, "a")) for n in (1, 5)]
    answer = written("codequality", report(seen))
    assert [item["location"] for item in answer] == [{"path": "a", "lines": {"begin": n}} for n in (1, 5)]
    assert len({item["fingerprint"] for item in answer}) == 2
    assert all(item["severity"] in ("info", "minor", "major", "critical", "blocker") for item in answer)
    assert written("codequality", clean()) == []


# --- HTML ----------------------------------------------------------------------------------------------------------


class Page(HTMLParser):
    """What a browser would see."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))


def test_the_page_needs_nothing_else_and_lets_nothing_else_run() -> None:
    text = reporter("html").write(hostile_report())
    tags = Page(text).tags
    assert not any({"src", "style"} & attrs.keys() or tag in ("link", "img", "iframe") for tag, attrs in tags)
    assert [attrs["href"] for _, attrs in tags if "href" in attrs] == ["#faults"]
    assert not any(key.startswith("on") for _, attrs in tags for key in attrs)
    assert sum(tag == "script" for tag, _ in tags) == sum(tag == "style" for tag, _ in tags) == 1
    policy = next(attrs["content"] or "" for tag, attrs in tags if attrs.get("http-equiv") == "Content-Security-Policy")
    for kind in ("script", "style"):
        inner = re.findall(rf"<{kind}>(.*?)</{kind}>", text, re.S)
        digest = base64.b64encode(hashlib.sha256(inner[0].encode()).digest()).decode()
        assert f"{kind}-src 'sha256-{digest}'" in policy
    assert "default-src 'none'" in policy and "unsafe" not in policy


def test_the_page_says_what_there_is() -> None:
    assert "Nothing found" in reporter("html").write(clean()) and "Incomplete" in reporter("html").write(broken())
    text = reporter("html").write(found())
    assert "acme_…i9B" in text and "app/.env:3:7" in text and 'data-level="high"' in text
