"""The env-file injector under kills, full disks, rivals and mounts: the old file or the new one, nothing else left."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from clawsecrets.injectors.atomic import LARGEST
from clawsecrets.injectors.bundle import ResolverBundle
from clawsecrets.injectors.dialects import DIALECTS
from clawsecrets.injectors.envfile import EnvFile
from clawsecrets.injectors.template import write_rendered
from clawsecrets.model.rotation import Outcome
from clawsecrets.model.secret import SecretValue
from clawsecrets.ports import Entry
from tests import canary as canaries
from tests.waiting import LONG

ROOT = Path(__file__).resolve().parents[2]
CANARY = "canary-5f3a9c"
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root to give files away and to mount")


def entry(name: str, value: str | bytes, env: str = "", version: int = 1) -> Entry:
    return Entry(name, version, SecretValue(value), env)


def drafts(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir() if path.name.startswith(".clawsecrets")]


def test_preflight_leaves_nothing(tmp_path: Path) -> None:
    path = tmp_path / "f"
    injector = EnvFile("t", path, "docker")
    assert injector.preflight().outcome is Outcome.OK and list(tmp_path.iterdir()) == []
    path.write_text("A=1\n")
    before = path.stat()
    assert injector.preflight().outcome is Outcome.OK and path.stat().st_ino == before.st_ino
    path.write_text("A B=1\n")
    assert injector.preflight().outcome is Outcome.REFUSED and "line 1" in injector.preflight().detail


def test_stale_drafts_go_and_other_files_stay(tmp_path: Path) -> None:
    (tmp_path / ".clawsecrets-0123456789abcdef.new").write_text(CANARY)
    others = [".clawsecrets-x.new", ".f.swp", "clawsecrets-0123456789abcdef.new"]
    for other in others:
        (tmp_path / other).write_text("theirs")
    EnvFile("t", tmp_path / "f", "docker").deliver([entry("a", "1")])
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([*others, "f"])


@pytest.mark.parametrize("kind", ["env-file", "bundle"])
def test_what_is_no_file_or_too_large_is_named_by_its_path(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "f"
    injector = EnvFile("t", path, "docker") if kind == "env-file" else ResolverBundle("t", path)
    path.mkdir()
    reply = injector.deliver([entry("a", "1")])
    assert reply.outcome is Outcome.REFUSED and reply.detail == f"{path} is a folder; give the path of a file"
    assert injector.holds(entry("a", "1")) is None and os.listdir(tmp_path) == ["f"]
    path.rmdir()
    os.mkfifo(path)
    assert f"{path} is not a regular file" in injector.deliver([entry("a", "1")]).detail
    path.unlink()
    path.touch()
    os.truncate(path, LARGEST + 1)
    assert f"{path} is larger than {LARGEST} bytes" in injector.deliver([entry("a", "1")]).detail


@as_root
def test_a_read_only_target_is_named_not_its_draft(tmp_path: Path) -> None:
    folder = tmp_path / "ro"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "ro", "tmpfs", str(folder)], check=True)
    try:
        for reply in (EnvFile("t", folder / "f", "docker").deliver([entry("a", "1")]),
                      EnvFile("t", folder / "f", "docker").preflight()):
            assert reply.detail == f"{folder / 'f'}: Read-only file system"
        with pytest.raises(OSError, match="Read-only") as caught:
            write_rendered(folder / "made", "text")
        assert caught.value.filename == str(folder / "made")
    finally:
        subprocess.run(["umount", str(folder)], check=True)


SCRIPT = """
import os, signal, sys
sys.path.insert(0, sys.argv[1])
from pathlib import Path
from clawsecrets.injectors.envfile import EnvFile
from clawsecrets.model.secret import SecretValue
from clawsecrets.ports import Entry
path, call, after = Path(sys.argv[2]), sys.argv[3], sys.argv[4] == "after"
real = getattr(os, call)
def killed(*args, **kwargs):
    if after:
        real(*args, **kwargs)
    os.kill(os.getpid(), signal.SIGKILL)
setattr(os, call, killed)
EnvFile("t", path, "docker").deliver([Entry("a", 2, SecretValue(sys.stdin.read()))])
"""


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("call", ["fchmod", "fsync", "rename"])
def test_a_kill_leaves_the_old_file_or_the_new_one(tmp_path: Path, call: str, when: str) -> None:
    path = tmp_path / "f"
    path.write_text("A=old\n")
    path.chmod(0o600)
    words = [sys.executable, "-c", SCRIPT, str(ROOT), str(path), call, when]
    done = subprocess.run(words, input=b"new", timeout=LONG)
    assert done.returncode == -signal.SIGKILL
    assert path.read_text() in ("A=old\n", "A=new\n")
    for draft in drafts(tmp_path):
        assert stat.S_IMODE((tmp_path / draft).stat().st_mode) == 0o600
    assert EnvFile("t", path, "docker").deliver([entry("a", "next")]).outcome is Outcome.OK
    assert path.read_text() == "A=next\n" and drafts(tmp_path) == []


@pytest.mark.parametrize("call", ["fsync", "rename", "fchmod"])
def test_an_io_error_is_unknown_and_leaves_no_draft(tmp_path: Path, call: str, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "f"
    path.write_text("A=old\n")

    def fail(*args: object, **kwargs: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, call, fail)
        reply = EnvFile("t", path, "docker").deliver([entry("a", CANARY)])
    assert reply.outcome is Outcome.UNKNOWN and "No space left" in reply.detail and CANARY not in repr(reply)
    assert path.read_text() == "A=old\n" and drafts(tmp_path) == []


RIVAL = """
import sys
sys.path.insert(0, sys.argv[1])
from pathlib import Path
from clawsecrets.injectors.envfile import EnvFile
from clawsecrets.model.secret import SecretValue
from clawsecrets.ports import Entry
for number in range(25):
    asked = [Entry(f"{sys.argv[3]}-{number}", 1, SecretValue("x" * 50))]
    while (reply := EnvFile("t", Path(sys.argv[2]), "docker").deliver(asked)).outcome == "later":
        pass  # the others had the folder all the time, which a busy machine may bring about
    assert reply.outcome == "ok", reply
"""


def test_rivals_lose_no_line_of_each_other(tmp_path: Path) -> None:
    path = tmp_path / "f"
    rivals = [subprocess.Popen([sys.executable, "-c", RIVAL, str(ROOT), str(path), name]) for name in "abcd"]
    assert [rival.wait(timeout=LONG) for rival in rivals] == [0, 0, 0, 0]
    names = [line.partition("=")[0] for line in path.read_text().splitlines()]
    assert sorted(names) == sorted(f"{name}_{number}" for name in "ABCD" for number in range(25))


def test_a_busy_folder_is_later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import fcntl

    from clawsecrets.injectors import atomic

    monkeypatch.setattr(atomic.locked.__wrapped__, "__defaults__", (0.05,))  # type: ignore[attr-defined]
    holder = os.open(tmp_path, os.O_RDONLY)
    fcntl.flock(holder, fcntl.LOCK_EX)
    try:
        assert EnvFile("t", tmp_path / "f", "docker").deliver([entry("a", "1")]).outcome is Outcome.LATER
    finally:
        os.close(holder)
    assert EnvFile("t", tmp_path / "f", "docker").deliver([entry("a", "1")]).outcome is Outcome.OK


MOUNTED = """
import sys
sys.path.insert(0, sys.argv[1])
from pathlib import Path
from clawsecrets.injectors.envfile import EnvFile
from clawsecrets.model.secret import SecretValue
from clawsecrets.ports import Entry
injector = EnvFile("t", Path(sys.argv[2]), "docker")
for reply in (injector.preflight(), injector.deliver([Entry("a", 2, SecretValue("x" * int(sys.argv[3])))])):
    print(reply.outcome, reply.detail)
"""


def in_mount_namespace(setup: str, path: Path, length: int) -> list[str]:
    words = [sys.executable, "-c", MOUNTED, str(ROOT), str(path), str(length)]
    done = subprocess.run(
        ["unshare", "-m", "sh", "-c", f'{setup}; shift; exec "$@"', "sh", str(path.parent), *words],
        capture_output=True,
        text=True,
        timeout=LONG,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


@as_root
@pytest.mark.parametrize("name", ["plain", "with blank"])
def test_a_mounted_file_is_refused_with_the_way_out(tmp_path: Path, name: str) -> None:
    """A bind mount from the same filesystem: its device is its parent's, so only the mount table shows it."""
    path = tmp_path / name
    path.write_text("A=1\n")
    (tmp_path / "source").write_text("A=1\n")
    lines = in_mount_namespace(f'mount --bind "$1/source" "$1/{name}"', path, 3)
    assert len(lines) == 2
    assert all(line.startswith("refused") and "mount the folder instead" in line for line in lines)


@as_root
def test_a_full_disk_loses_nothing(tmp_path: Path) -> None:
    setup = (
        'mount -t tmpfs -o size=16k none "$1" && echo A=old > "$1/f" && (cat /dev/zero > "$1/fill" || true) 2>/dev/null'
    )
    script = 'cat "$1/f"; ls -A "$1"'
    words = [sys.executable, "-c", MOUNTED, str(ROOT), str(tmp_path / "f"), "9000"]
    line = f'{setup}; d="$1"; shift; "$@"; set -- "$d"; {script}'
    done = subprocess.run(
        ["unshare", "-m", "sh", "-c", line, "sh", str(tmp_path), *words], capture_output=True, text=True, timeout=LONG
    )
    lines = done.stdout.splitlines()
    assert lines[0].startswith("refused") and "No space left" in lines[0]
    assert lines[1].startswith("unknown") and "No space left" in lines[1]
    assert lines[2:] == ["A=old", "f", "fill"]


def test_no_reply_and_no_description_holds_a_value(tmp_path: Path, canary: bytes) -> None:
    path = tmp_path / "f"
    for name in DIALECTS:
        injector = EnvFile("t", path, name)
        asked = entry("a", canary)
        said = [
            injector.deliver([asked]),
            injector.holds(asked),
            injector.preflight(),
            injector.describe(),
            injector.target,
        ]
        assert said[1] is True and canaries.search(repr(said).encode(), canary) == []
