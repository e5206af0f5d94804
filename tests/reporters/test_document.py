"""docs/json.md against reports that the JSON reporter writes: every field is documented, and nothing else is."""

from __future__ import annotations

import json

import pytest

from clawsecrets.model.finding import Known, Report
from clawsecrets.reporters import reporter
from tests.cli.test_json import members
from tests.reporters.plants import canary_report, hostile_report, match, planted, report
from tests.scan.test_triage import seen

VALUE, OTHER = b"acme_Qm3xT8vLw0ZrYk5uPd2sHn7bJc4gFe6aVi9B", b"acme_Zb81kQpW3mXs7VdLr2TfYh5NcGj9AeUoI4tR"


def known() -> Report:
    first = planted(VALUE)[0]
    place = first.match.place
    return report([first._replace(match=match(VALUE, place, known=Known("acme-api-key", 2, "current", True)))])


REPORTS = {"canaries": lambda: canary_report(VALUE, OTHER), "known": known, "hostile": hostile_report,
           "clean": report, "file": lambda: report([seen()])}


@pytest.mark.parametrize("name", REPORTS)
def test_the_report_is_as_documented(name: str) -> None:
    answer = json.loads(reporter("json").write(REPORTS[name]()))
    assert answer.pop("schema") == 1
    assert members(answer, "scan", name) == []


def test_a_field_that_is_missing_or_new_would_be_found() -> None:
    answer = json.loads(reporter("json").write(known()))
    del answer["schema"], answer["findings"][0]["masked"]
    answer["findings"][0]["value"] = "x"
    assert len(members(answer, "scan", "it")) == 2
