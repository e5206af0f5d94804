"""Formats of a scan's report. Each is one file with one class that implements `scan_ports.Reporter`.

Findings come without secrets; what a reporter must take care of is the rest: names of files, branches and people are
written by strangers, and each format has its own way of being broken by them. Formats are imported when they are used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from clawsecrets.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from clawsecrets.model.finding import Report
    from clawsecrets.scan_ports import Reporter

FORMATS = {
    "text": ("text", "Text"),
    "json": ("json", "Json"),
    "sarif": ("sarif", "Sarif"),
    "junit": ("junit", "Junit"),
    "github": ("github", "Github"),
    "gitlab": ("gitlab", "Gitlab"),
    "codequality": ("codequality", "CodeQuality"),
    "html": ("html", "Html"),
}
"""Name of the format -> module of this package and its class."""


def reporter(name: str, *, width: int | None = None, colour: bool = False) -> Reporter:
    """The reporter of a format. `width` (columns, None = do not wrap) and `colour` are for `text`. UsageError when
    there is no such format."""
    if name not in FORMATS:
        raise UsageError("there is no such format", f"--format is one of {', '.join(FORMATS)}")
    module, kind = FORMATS[name]
    made = getattr(import_module(f"clawsecrets.reporters.{module}"), kind)
    reporter: Reporter = made(width, colour) if name == "text" else made()
    return reporter


def written(report: Report, name: str, *, width: int | None = None, colour: bool = False) -> Sequence[bytes]:
    """The report in a format (as `reporter` has it), UTF-8, in parts. A large one is JSON, whose parts are not
    copied."""
    if name == "json":
        from clawsecrets.reporters.json import Json

        return Json().pieces(report)
    return (reporter(name, width=width, colour=colour).write(report).encode("utf-8", "backslashreplace"),)
