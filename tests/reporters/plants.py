"""Reports for the tests: values planted in every text that a scan can carry, made into findings by the real triage."""

from __future__ import annotations

import base64
import datetime
from collections.abc import Sequence
from urllib.parse import quote

from clawsecrets.model.finding import (
    Coverage,
    Dropped,
    Kind,
    Known,
    Match,
    Place,
    Provenance,
    Report,
    Rule,
    Skipped,
)
from clawsecrets.model.secret import SecretValue
from clawsecrets.scan.baseline import Baseline, Entry
from clawsecrets.scan.fingerprint import fingerprint
from clawsecrets.scan.triage import Judged, Seen, conclude, group

TODAY = datetime.date(2026, 11, 21)
ACME = Rule("acme.key", "acme", "Acme API key", r"\b(acme_[A-Za-z0-9]{36})\b", "high")
PROSE = Rule("generic.assignment", "generic", "value beside a telling name", r"([^\s]{8,})", "medium",
             near=("password",))
PAGES = {"acme": "https://acme.example/settings/keys"}
HOSTILE = "a\x1b[31m\r\n::error::x##[error]<script>alert(1)</script>&\"'\u202eevil\u200b\udcff%0A,b:c](http://x)"
"""A name that every format could be broken by."""


def match(value: bytes, place: Place, *, rule: Rule = ACME, line: int = 3, encoding: str = "plain",
          known: Known | None = None) -> Match:
    return Match(rule, place, SecretValue(value), line, line, 7, encoding, "acme_", known)


def every_text(value: bytes) -> list[str]:
    """The value as it may stand in names and messages."""
    text = value.decode()
    return [text, quote(text, safe=""), value.hex(), value.hex().upper(),
            *(base64.b64encode(b"u:!"[:pad] + value).decode() for pad in range(4)),
            base64.urlsafe_b64encode(b"ab" + value + b"c").decode()]


def planted(value: bytes) -> list[Seen]:
    """One match for each form of the value, which also stands in each text of its provenance."""
    seen = []
    for number, text in enumerate(every_text(value)):
        path = f"dir/x-{text}-y/{number}.env"
        place = Place(Kind.GIT_BLOB, f"{number:040x}", path)
        seen.append(Seen(match(value, place, line=number + 1), Provenance(
            Kind.GIT_BLOB, path, "c0ffee" * 6 + "beef", f"Eve {text} <{text}@example.org>", "2026-01-02T03:04:05Z",
            f"add {text}", "branch", (f"refs/heads/{text}", f"refs/tags/v-{text}"))))
        image = Place(Kind.IMAGE_CONFIG, f"sha256:{number}", f"Labels.{text}")
        seen.append(Seen(match(value, image, encoding="base64"), Provenance(
            Kind.IMAGE_CONFIG, f"Labels.{text}", image=f"app:{text}", platform="linux/amd64",
            layer="sha256:" + "ab" * 32, instruction=f"ARG TOKEN={text} RUN curl -H 'x: {text}'",
            container=f"c-{text}")))
    return seen


def judged(seen: Sequence[Seen], baseline: Baseline | None = None) -> Judged:
    return conclude(group(seen), baseline, PAGES, TODAY)


def report(seen: Sequence[Seen] = (), coverage: Coverage | None = None, *, dropped: Sequence[Dropped] = (),
           baseline: Baseline | None = None, interrupted: bool = False) -> Report:
    found = judged(seen, baseline)
    return Report(found.findings, found.coverage(coverage or Coverage(("git .",), 1234, 5_300_000, 0, 12, 345)),
                  found.baselined, tuple(map(found.scrubber.dropped, dropped)), found.rules, {"seconds": 1.25},
                  interrupted)


def troubled(value: bytes) -> Coverage:
    """Coverage with the value in what could not be read."""
    texts = every_text(value)
    return Coverage(tuple(f"git /srv/{text}" for text in texts), 10, 1000, 3, 2, 5, 1, True,
                    tuple(Skipped(f"{text}/deep", f"cannot read {text}", number % 2 == 1)
                          for number, text in enumerate(texts)))


def canary_report(value: bytes, other: bytes) -> Report:
    """Everything at once: findings, one of them in the baseline, dropped candidates, faults, all with values in it."""
    entry = Entry(fingerprint(other), "acme.key", datetime.date(2027, 1, 1), "eve", f"known, see {other.decode()}")
    seen = [*planted(value), *planted(other)]
    dropped = [Dropped("acme.key", Place(Kind.FILE, text, text), 1, f"placeholder {text}", "acme_…")
               for text in every_text(value)]
    return report(seen, troubled(value), dropped=dropped, baseline=Baseline().plus([entry]))


def hostile_report() -> Report:
    """Names that want to be obeyed, everywhere."""
    place = Place(Kind.FILE, HOSTILE, HOSTILE)
    where = Provenance(Kind.FILE, HOSTILE, "f" * 40, HOSTILE, "2026-01-02T03:04:05Z", HOSTILE, "branch", (HOSTILE,),
                       HOSTILE, HOSTILE, HOSTILE, HOSTILE, HOSTILE)
    seen = [Seen(match(b"acme_Qm3xT8vLw0ZrYk5uPd2sHn7bJc4gFe6aVi9B", place), where)]
    coverage = Coverage((HOSTILE,), 1, 1, skipped=(Skipped(HOSTILE, HOSTILE), Skipped(HOSTILE, HOSTILE, True)))
    return report(seen, coverage, dropped=[Dropped("acme.key", place, 1, HOSTILE, "…")])
