"""Fuzzes one target, guided by coverage, until libFuzzer's options end it.

    python -m tests.fuzz TARGET [libFuzzer's options]
"""

from __future__ import annotations

import sys

import atheris

with atheris.instrument_imports(include=["clawsecrets.formats", "clawsecrets.scan", "clawsecrets.sources", "py7zr"]):
    import py7zr  # noqa: F401 (the reader imports it late)

    from tests.fuzz import harness

atheris.Setup([sys.argv[0], *sys.argv[2:]], harness.calm(harness.TARGETS[sys.argv[1]]))
atheris.Fuzz()
