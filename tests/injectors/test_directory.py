"""The directory injector: one private file per secret, atomically, and nothing else touched."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from clawsecrets.injectors.atomic import Access
from clawsecrets.injectors.directory import Directory
from clawsecrets.model.rotation import Outcome
from clawsecrets.model.secret import SecretValue
from clawsecrets.ports import Entry
from tests import canary as canaries


def entry(name: str, value: bytes = b"v", version: int = 1) -> Entry:
    return Entry(name, version, SecretValue(value))


def test_one_private_file_each_with_exactly_the_bytes(tmp_path: Path) -> None:
    folder = tmp_path / "secrets"
    injector = Directory("t", folder)
    old = os.umask(0)
    try:
        reply = injector.deliver([entry("acme/admin", b"\x00\xff\n"), entry("b", b"two\n")])
    finally:
        os.umask(old)
    assert reply.outcome is Outcome.OK and reply.proof == "read back acme+admin, b"
    assert (folder / "acme+admin").read_bytes() == b"\x00\xff\n" and (folder / "b").read_bytes() == b"two\n"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o600}


def test_holds_and_remove(tmp_path: Path) -> None:
    injector = Directory("t", tmp_path)
    (tmp_path / "other").write_text("stays")
    assert injector.holds(entry("a/b")) is False
    injector.deliver([entry("a/b"), entry("c")])
    assert injector.holds(entry("a/b")) is True and injector.holds(entry("a/b", b"v\n")) is False
    assert injector.remove({"a/b": "", "never-there": ""}).outcome is Outcome.OK
    assert sorted(path.name for path in tmp_path.iterdir()) == ["c", "other"]
    (tmp_path / "d").symlink_to("c")
    assert injector.holds(entry("d")) is None
    assert Directory("t", tmp_path / "none").remove({"a": ""}).outcome is Outcome.OK


@pytest.mark.parametrize("mode", [0o400, 0o600, 0o440])
def test_mode_is_settable_and_a_reader_sees_old_or_new(tmp_path: Path, mode: int) -> None:
    injector = Directory("t", tmp_path, Access(mode=mode))
    injector.deliver([entry("a", b"old")])
    with (tmp_path / "a").open("rb") as reader:
        assert injector.deliver([entry("a", b"new")]).outcome is Outcome.OK
        assert reader.read() == b"old"  # replaced, not written into
    assert (tmp_path / "a").read_bytes() == b"new" and stat.S_IMODE((tmp_path / "a").stat().st_mode) == mode


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to give files away")
def test_owner_is_settable(tmp_path: Path) -> None:
    Directory("t", tmp_path / "s", Access(1234, 1235)).deliver([entry("a")])
    for path in (tmp_path / "s", tmp_path / "s" / "a"):
        assert (path.stat().st_uid, path.stat().st_gid) == (1234, 1235)


def test_all_is_checked_before_the_first_file_is_written(tmp_path: Path) -> None:
    (tmp_path / "z").symlink_to("elsewhere")
    injector = Directory("t", tmp_path)
    for bad in ([entry("a"), entry("z")], [entry("a"), entry("b", b"")], [entry("a"), entry("../b")], [entry("a")] * 2):
        reply = injector.deliver(bad)
        assert reply.outcome is Outcome.REFUSED and reply.detail
        assert sorted(path.name for path in tmp_path.iterdir()) == ["z"]


def test_a_linked_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    injector = Directory("t", tmp_path / "link")
    assert injector.deliver([entry("a")]).outcome is Outcome.REFUSED
    assert injector.preflight().outcome is Outcome.REFUSED
    assert list((tmp_path / "real").iterdir()) == []


def test_preflight_leaves_nothing(tmp_path: Path) -> None:
    assert Directory("t", tmp_path / "new").preflight().outcome is Outcome.OK
    assert Directory("t", tmp_path).preflight().outcome is Outcome.OK and list(tmp_path.iterdir()) == []
    assert Directory("t", tmp_path / "no" / "new").preflight().outcome is Outcome.REFUSED


def test_stale_drafts_go(tmp_path: Path) -> None:
    (tmp_path / ".clawsecrets-0123456789abcdef.new").write_text("left by a kill")
    Directory("t", tmp_path).deliver([entry("a")])
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_nothing_said_holds_a_value(tmp_path: Path, canary: bytes) -> None:
    injector = Directory("t", tmp_path)
    said = [injector.deliver([entry("a", canary)]), injector.preflight(), injector.describe(), injector.target]
    assert injector.holds(entry("a", canary)) is True and canaries.search(repr(said).encode(), canary) == []
