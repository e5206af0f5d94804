"""Which files are read at all, and texts that no file could hold."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from clawsecrets.errors import ConfigError
from clawsecrets.importers import openclaw_json, read_file, recognise
from clawsecrets.wiring.reading import gateway_url
from tests.canary import search
from tests.waiting import LONG

VALUE = "sk-ant-api03-abcdefghij"


@pytest.mark.parametrize("read", [read_file, gateway_url])
def test_what_never_ends_is_refused(tmp_path: Path, read: object) -> None:
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "zero").symlink_to("/dev/zero")
    for name in ("fifo", "zero", "."):
        with pytest.raises(ConfigError, match="cannot be read: it is not a regular file"):
            read(tmp_path / name)  # type: ignore[operator]


def test_a_large_file_is_refused(tmp_path: Path) -> None:
    with open(tmp_path / "large", "wb") as file:
        file.truncate((16 << 20) + 1)
    with pytest.raises(ConfigError, match="larger than 16 MiB"):
        read_file(tmp_path / "large")


READ = """
import sys
from pathlib import Path
from clawsecrets.errors import ConfigError
from clawsecrets.importers import read_file
try:
    print([item.key for item in read_file(Path(sys.argv[1])).items])
except ConfigError as error:
    print(error.message)
"""


@pytest.mark.parametrize("name", ["-", "/dev/stdin", "/dev/fd/0", "/proc/self/fd/0"])
def test_what_the_caller_hands_over_is_read(name: str) -> None:
    done = subprocess.run([sys.executable, "-c", READ, name], input=f"A_KEY={VALUE}\n", capture_output=True, text=True,
                          check=True, timeout=LONG)
    assert done.stdout == "['A_KEY']\n"


@pytest.mark.parametrize("name", ["-", "/dev/fd/0", "/dev/fd/77"])
def test_a_device_or_nothing_that_is_handed_over_is_refused(name: str) -> None:
    with open("/dev/zero", "rb") as zero:
        done = subprocess.run([sys.executable, "-c", READ, name], stdin=zero, capture_output=True, text=True,
                              check=True, timeout=LONG)
    assert done.stdout.startswith(f"{name}: cannot be read: ")


@pytest.mark.parametrize("document", [
    {"gateway": {"auth": {"token": f"\ud800{VALUE}"}}},
    {"env": {"vars": {"ODD_\udfff_KEY": VALUE}}},
])
def test_half_a_character_is_left_out_and_named(document: object) -> None:
    reading = openclaw_json.parse(json.dumps(document).encode(), "openclaw.json")
    assert reading.items == ()
    (left,) = reading.references
    assert "lone surrogate" in left.reason
    assert f"{left.where} {left.what}".encode()
    assert not search(repr(reading).encode("utf-8", "surrogatepass"), VALUE.encode())


@pytest.mark.parametrize("path", [("gateway", "auth", "token"), ("unheard", "of")])
def test_a_nul_is_left_out_and_named(path: tuple[str, ...]) -> None:
    document: object = f"{VALUE}\0more"
    for part in reversed(path):
        document = {part: document}
    placement = recognise(openclaw_json.parse(json.dumps(document).encode(), "openclaw.json").items, [])
    assert placement.candidates == ()
    assert [left.reason for left in placement.unplaced] == ["holds a NUL, which no variable can carry"]
