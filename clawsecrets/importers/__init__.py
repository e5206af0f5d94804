"""Reads what a deployment holds today (`.env`, openclaw.json) and says which secrets these are. Changes nothing.

    read_file(path)                    -> Reading: values with places, references, notes
    recognise(items, providers)        -> Placement: candidates, unplaced, conflicts, notes
"""

from __future__ import annotations

from pathlib import Path

from clawsecrets.errors import ConfigError
from clawsecrets.importers import dotenv, openclaw_json
from clawsecrets.importers.candidates import Candidate, Conflict, Place, Placement
from clawsecrets.importers.item import Item, Reading, Skipped
from clawsecrets.importers.recognise import recognise

__all__ = ["Candidate", "Conflict", "Item", "Place", "Placement", "Reading", "Skipped", "read_file", "recognise"]

MOST = 16 << 20
"""Bytes. A larger file is no configuration."""


def read_file(path: Path) -> Reading:
    """Read one file: JSON5 when its name ends in .json or .json5, or when it begins with `{`; else `.env`.

    ConfigError, naming file and line and never the content, when it cannot be read or is malformed.
    """
    try:
        with path.open("rb") as file:
            raw = file.read(MOST + 1)
    except OSError as error:
        fault = error.strerror or "unknown"
    else:
        fault = "it is larger than 16 MiB" if len(raw) > MOST else ""
    if fault:
        raise ConfigError(f"{path}: cannot be read: {fault}", "give a .env file or an openclaw.json that you may read")
    is_json = path.suffix in (".json", ".json5") or raw.removeprefix(b"\xef\xbb\xbf").lstrip()[:1] == b"{"
    return openclaw_json.parse(raw, str(path)) if is_json else dotenv.parse(raw, str(path))
