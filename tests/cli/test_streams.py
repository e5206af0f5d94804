"""Streams that are closed, or whose reader has left: no traceback, no batch that stops in silence."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.desk import LIMIT, SCRIPT, Desk


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    with Desk(tmp_path / "s") as made:
        made.provider()
        made.init()
        made.seeded(name="one")
        made.seeded(name="two")
        yield made


def shell(desk: Desk, line: str) -> subprocess.CompletedProcess[str]:
    """One line of bash; its exit code is that of the first command of a pipe."""
    return subprocess.run(["bash", "-c", f"{line}; exit ${{PIPESTATUS[0]}}"], env=desk.env, cwd=desk.root, text=True,
                          capture_output=True, timeout=LIMIT, stdin=subprocess.DEVNULL, check=False)


@pytest.mark.parametrize(("line", "code"), [
    ("clawsecrets list >&-", 0), ("clawsecrets list 2>&-", 0), ("clawsecrets list <&- >&- 2>&-", 0),
    ("clawsecrets get one --raw >&-", 2), ("clawsecrets get one >&-", 0), ("clawsecrets set fresh <&-", 2),
    ("clawsecrets status --json <&-", 0),
    ("clawsecrets rotate one --new-value-stdin <&-", 2), ("clawsecrets nonsense 2>&-", 2),
])
def test_a_closed_stream_is_no_bug(desk: Desk, line: str, code: int) -> None:
    ran = shell(desk, line)
    assert ran.returncode == code and "Traceback" not in ran.stderr and "bug" not in ran.stderr
    if code == 2 and "2>&-" not in line:
        assert ("standard output is closed" if ">&-" in line else "nothing was given") in ran.stderr


def test_a_value_that_nobody_gets_was_not_given(desk: Desk) -> None:
    desk.write("one.j2", '{{ secret("one") }}')
    for words in ("get one --raw", "render one.j2"):
        ran = shell(desk, f"clawsecrets {words} >&-")
        assert ran.returncode == 2 and "standard output is closed: nobody would get it" in ran.stderr
        assert shell(desk, f"clawsecrets {words} > /dev/null").returncode == 0


@pytest.mark.parametrize(("line", "code"), [
    ("clawsecrets list > /dev/full", 6), ("clawsecrets list > /dev/full 2>&1", 6),
    ("clawsecrets nonsense 2> /dev/full", 2), ("clawsecrets set fresh 2> /dev/full", 2),
    ("clawsecrets list 2> /dev/full", 0),
])
def test_what_cannot_be_written_leaves_the_documented_code(desk: Desk, line: str, code: int) -> None:
    ran = shell(desk, line)
    assert ran.returncode == code and "Traceback" not in ran.stderr and "bug" not in ran.stderr


@pytest.mark.parametrize("pipe", ["| true", "2>&1 | true", "--verbose 2>&1 | true", "--json | true"])
def test_a_reader_that_leaves_does_not_stop_the_batch(desk: Desk, pipe: str) -> None:
    assert desk.fake is not None
    ran = shell(desk, f"clawsecrets rotate one two --yes {pipe}")
    assert ran.returncode == 1, ran  # no consumer shows that it is in use
    versions = [line.split()[3] for line in desk.ok("list").out.splitlines() if line.split()[0] in ("one", "two")]
    assert versions == ["2", "2"]


@pytest.mark.parametrize("words", ["rules list", "--help", "rotate --help", "providers --json", "list", "--version"])
def test_a_reader_that_has_left_is_no_failure(desk: Desk, words: str) -> None:
    out, into = os.pipe()
    os.close(out)
    try:
        ran = subprocess.run([str(SCRIPT), *words.split()], env=desk.env, cwd=desk.root, stdout=into,
                             stderr=subprocess.PIPE, timeout=LIMIT, check=False)
    finally:
        os.close(into)
    assert (ran.returncode, ran.stderr) == (0, b"")


def test_a_reader_that_leaves_does_not_hide_the_exit_code(desk: Desk) -> None:
    assert desk.fake is not None
    desk.fake.fault("test", "status", status=401, times=-1)
    assert shell(desk, "clawsecrets rotate one two --yes | true").returncode == desk.run("rotate", "one").code != 0


@pytest.mark.parametrize("words", ["render t.j2 --output -", "fingerprints export -o -", "scan path t.j2 --output=-"])
def test_a_dash_is_standard_output(desk: Desk, words: str) -> None:
    desk.write("t.j2", '{{ secret("one") }}')
    assert desk.ok(*words.split()).out and not (desk.root / "-").exists()
    if not words.startswith("scan"):
        assert desk.run(*words.split(), pty=True).code == 2, "the values would be on the terminal"


@pytest.mark.parametrize("words", ["new-key -", "backup -", "rekey --key-file -",
                                   "init --unattended --recovery-file - --store sqlite://$S/new/s.db",
                                   "init --key-file - --no-recovery --store sqlite://$S/new/s.db"])
def test_a_dash_is_no_file_for_what_only_a_file_may_hold(desk: Desk, words: str) -> None:
    ran = desk.run(*words.replace("$S", str(desk.root)).split())
    assert (ran.code, ran.out) == (2, "") and "- is no file" in ran.err, ran
    assert not (desk.root / "-").exists() and not (desk.root / "new").exists()
