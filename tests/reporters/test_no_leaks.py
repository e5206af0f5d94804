"""No format holds a planted value, in whatever form it stood in names and messages, on success or trouble."""

from __future__ import annotations

import secrets
import string

import pytest

from clawsecrets.model.finding import Report
from clawsecrets.reporters import FORMATS, reporter
from tests import canary
from tests.reporters.plants import canary_report, every_text

LETTERS = string.ascii_letters + string.digits


def token() -> bytes:
    return ("acme_" + "".join(secrets.choice(LETTERS) for _ in range(36))).encode()


def odd() -> bytes:
    """With what encoders treat specially."""
    return canary.fresh()


def held(report: Report, value: bytes) -> dict[str, list[str]]:
    """Format -> forms of the value that it holds."""
    outputs = {name: reporter(name, width=width).write(report) for name in FORMATS for width in (None, 60)}
    return {name: found for name, text in outputs.items() if (found := canary.search(text.encode(), value))}


@pytest.mark.parametrize("make", [token, odd])
def test_no_format_holds_a_value(make) -> None:  # type: ignore[no-untyped-def]
    value, other = make(), make()
    report = canary_report(value, other)
    assert len(report.findings) == 1 and len(report.baselined) == 1 and not report.complete
    assert held(report, value) == {} and held(report, other) == {}


def test_each_planted_text_would_be_found() -> None:
    value = token()
    assert all(canary.search(text.encode(), value) for text in every_text(value))


@pytest.mark.parametrize("name", FORMATS)
def test_the_findings_are_told_all_the_same(name: str) -> None:
    value, other = token(), token()
    text = reporter(name).write(canary_report(value, other))
    assert "acme_" in text and value[-3:].decode() in text
