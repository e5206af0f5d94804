"""A folder in memory: what is on a disk is refused."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from clawsecrets.injectors import mounts
from clawsecrets.injectors.tmpfs import TmpfsDirectory
from clawsecrets.model.rotation import Outcome
from clawsecrets.model.secret import SecretValue
from clawsecrets.ports import Entry

MEMORY = Path("/dev/shm")
ENTRY = Entry("acme/key", 1, SecretValue("value-1"))
needs_memory = pytest.mark.skipif(not MEMORY.is_dir() or mounts.kind_of(MEMORY) != "tmpfs",
                                  reason="there is no tmpfs at /dev/shm")


@pytest.fixture
def memory() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(dir=MEMORY))
    yield folder
    shutil.rmtree(folder)


@needs_memory
def test_in_memory(memory: Path) -> None:
    secrets = TmpfsDirectory("t", memory / "clawsecrets" / "gateway")
    assert secrets.could([ENTRY]).outcome is Outcome.OK
    assert not (memory / "clawsecrets").exists()
    for reply in (secrets.preflight(), secrets.deliver([ENTRY])):
        assert reply.outcome is Outcome.OK, reply.detail
    file = memory / "clawsecrets" / "gateway" / "acme+key"
    assert file.read_bytes() == b"value-1" and file.stat().st_mode & 0o777 == 0o600
    assert secrets.holds(ENTRY) is True and secrets.remove({"acme/key": ""}).outcome is Outcome.OK
    assert not file.exists()


@pytest.mark.parametrize("kind", ["ext4", "overlay", ""])
def test_on_a_disk_it_is_refused(tmp_path: Path, kind: str) -> None:
    secrets = TmpfsDirectory("t", tmp_path / "s", kind=lambda path: kind)
    for reply in (secrets.could([ENTRY]), secrets.preflight(), secrets.deliver([ENTRY])):
        assert reply.outcome is Outcome.REFUSED and "not in memory" in reply.detail
    assert not (tmp_path / "s").exists()


@needs_memory
def test_a_folder_that_came_to_stand_on_a_disk(memory: Path, tmp_path: Path) -> None:
    (memory / "link").symlink_to(tmp_path)
    assert mounts.kind_of(memory) == "tmpfs"
    if mounts.kind_of(tmp_path) == "tmpfs":
        pytest.skip("the temporary folder is in memory, too")
    assert TmpfsDirectory("t", memory / "link" / "s").deliver([ENTRY]).outcome is Outcome.REFUSED


def test_the_type_of_a_file_system() -> None:
    assert mounts.kind_of(Path("/proc")) == "proc"
