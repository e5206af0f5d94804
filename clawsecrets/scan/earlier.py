"""An earlier report (`--format json`), read for the baseline: which values it found, and whether it was whole."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from clawsecrets.data import read_regular
from clawsecrets.errors import ConfigError
from clawsecrets.scan.baseline import valid_fingerprint, valid_rule

LIMIT = 1 << 30
"""Bytes of a report."""
_HINT = "make one: clawsecrets scan --format json --output FILE"


@dataclass(frozen=True, slots=True)
class Earlier:
    """What a report says."""

    findings: dict[str, str]
    """Fingerprint -> rule, of those that counted."""
    baselined: dict[str, str]
    """The same, of those that were in the baseline."""
    complete: bool


def read(path: Path) -> Earlier:
    """The report in a file. ConfigError when it is none; what is in it is not repeated."""
    try:
        document = json.loads(read_regular(path, LIMIT))
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}", _HINT) from None
    except (ValueError, RecursionError):
        document = None
    if not isinstance(document, dict) or document.get("schema") != 1:
        raise ConfigError(f"{path}: this is not a report in JSON", _HINT)
    coverage = document.get("coverage")
    complete = isinstance(coverage, dict) and coverage.get("complete") is True
    return Earlier(_values(document, "findings", path), _values(document, "baselined", path), complete)


def _values(document: dict[str, Any], name: str, path: Path) -> dict[str, str]:
    found: dict[str, str] = {}
    items = document.get(name)
    for item in items if isinstance(items, list) else [None]:
        fingerprint, rule = (item.get("fingerprint"), item.get("rule")) if isinstance(item, dict) else (None, None)
        if not (isinstance(fingerprint, str) and isinstance(rule, str)
                and valid_fingerprint(fingerprint) and valid_rule(rule)):
            raise ConfigError(f"{path}: {name} is not as a report has it", _HINT)
        found.setdefault(fingerprint, rule)
    return found
