"""The exit code of a scan. "Could not look" is never clean."""

from __future__ import annotations

from clawsecrets.model.finding import Report

CLEAN, FOUND, INCOMPLETE = 0, 1, 6


def exit_code(report: Report, allow_incomplete: bool = False) -> int:
    """1 findings, also when incomplete; 6 incomplete and nothing found; 0 clean and complete.

    `allow_incomplete` is the operator's word that what could not be looked at is no fault; the report says it all the
    same. A scan that was interrupted is never clean.
    """
    if report.findings:
        return FOUND
    if report.interrupted or not (report.complete or allow_incomplete):
        return INCOMPLETE
    return CLEAN
