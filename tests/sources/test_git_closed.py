"""What cannot be looked at is never clean: each kind of damage to a repository is told."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from clawsecrets.errors import Incomplete, UsageError
from clawsecrets.sources.files import FileSource
from clawsecrets.sources.git.source import GitSource
from clawsecrets.sources.git.staged import StagedSource
from tests.plants.git_plants import Garden, filler
from tests.sources.git_eye import scan


@pytest.fixture
def garden(tmp_path: Path) -> Garden:
    made = Garden(tmp_path / "repo")
    made.root.mkdir()
    made.git("init", "-q", ".")
    for i in range(6):
        made.write("dir/a.txt", filler("a", 40 + i))
        made.commit(f"Change {i}")
    return made


def packs(garden: Garden, suffix: str) -> Path:
    garden.git("repack", "-q", "-a", "-d", "-f")
    [path] = (garden.root / ".git/objects/pack").glob("*." + suffix)
    path.chmod(0o600)
    return path


def loose(garden: Garden, what: str) -> Path:
    name = garden.git("rev-parse", what)
    path = garden.root / ".git/objects" / name[:2] / name[2:]
    path.chmod(0o600)
    return path


def spoil(path: Path, at: int) -> None:
    raw = bytearray(path.read_bytes())
    raw[at] ^= 0xFF
    path.write_bytes(raw)


def flipped_in_pack(garden: Garden) -> None:
    spoil(packs(garden, "pack"), -60)


def cut_pack(garden: Garden) -> None:
    path = packs(garden, "pack")
    path.write_bytes(path.read_bytes()[:-100])


def damaged_index(garden: Garden) -> None:
    spoil(packs(garden, "idx"), 1100)


def pack_without_index(garden: Garden) -> None:
    packs(garden, "idx").unlink()


def index_without_pack(garden: Garden) -> None:
    packs(garden, "pack").unlink()


def index_of_another_pack(garden: Garden) -> None:
    path = packs(garden, "idx")
    other = path.read_bytes()
    garden.write("more", "more")
    garden.commit("More")
    new = packs(garden, "idx")
    new.write_bytes(other)


def missing_blob(garden: Garden) -> None:
    loose(garden, "HEAD:dir/a.txt").unlink()


def missing_old_blob(garden: Garden) -> None:
    loose(garden, "HEAD~3:dir/a.txt").unlink()


def missing_tree(garden: Garden) -> None:
    loose(garden, "HEAD~2:dir").unlink()


def missing_commit(garden: Garden) -> None:
    loose(garden, "HEAD~2").unlink()


def missing_among_packed(garden: Garden) -> None:
    blob = loose(garden, "HEAD~3:dir/a.txt").relative_to(garden.root / ".git/objects").as_posix().replace("/", "")
    out = garden.git("rev-list", "--objects", "--all")
    names = [line.split()[0] for line in out.splitlines() if line.split()[0] != blob]
    garden.git("pack-objects", "-q", ".git/objects/pack/pack", given="\n".join(names).encode())
    garden.git("prune-packed", "-q")
    loose(garden, blob).unlink()


def flipped_loose(garden: Garden) -> None:
    spoil(loose(garden, "HEAD:dir/a.txt"), 20)


def exchanged_loose(garden: Garden) -> None:
    shutil.copy(loose(garden, "HEAD:dir/a.txt"), loose(garden, "HEAD~1:dir/a.txt"))


def empty_loose(garden: Garden) -> None:
    loose(garden, "HEAD:dir/a.txt").write_bytes(b"")


def broken_ref(garden: Garden) -> None:
    (garden.root / ".git/refs/heads/broken").write_text("nonsense\n")


def ref_to_nothing(garden: Garden) -> None:
    (garden.root / ".git/refs/heads/broken").write_text("ab" * 20 + "\n")


def lost_alternate(garden: Garden) -> None:
    (garden.root / ".git/objects/info/alternates").write_text("../lost\n")


def unknown_extension(garden: Garden) -> None:
    garden.git("config", "extensions.future", "1")


def pipe_in_gitdir(garden: Garden) -> None:
    os.mkfifo(garden.root / ".git/pipe")


def no_permission(garden: Garden) -> None:
    loose(garden, "HEAD:dir/a.txt").unlink()
    loose_dir = garden.root / ".git/objects" / garden.git("rev-parse", "HEAD~1")[:2]
    loose_dir.chmod(0)


DAMAGES = [flipped_in_pack, cut_pack, damaged_index, pack_without_index, index_without_pack, index_of_another_pack,
           missing_blob, missing_old_blob, missing_tree, missing_commit, missing_among_packed, flipped_loose,
           exchanged_loose, empty_loose, broken_ref, ref_to_nothing, lost_alternate, unknown_extension, pipe_in_gitdir]


def test_an_undamaged_one_is_complete(garden: Garden) -> None:
    source = GitSource(garden.root)
    _, skipped, heard = scan(source)
    assert skipped == [] and source.coverage().complete
    assert heard.objects > 12 and source.coverage().commits == 0
    garden.git("repack", "-q", "-a", "-d")
    source = GitSource(garden.root)
    assert scan(source)[1] == []
    assert source.coverage().commits == 6 and source.coverage().refs == 1


@pytest.mark.parametrize("damage", DAMAGES)
def test_damage_is_told(garden: Garden, damage: Callable[[Garden], None]) -> None:
    damage(garden)
    _, skipped, _ = scan(GitSource(garden.root))
    assert [skip for skip in skipped if not skip.by_choice] != []


@pytest.mark.parametrize("at", range(12, 400, 13))
def test_a_flipped_byte_anywhere_in_a_pack_is_told(garden: Garden, at: int) -> None:
    path = packs(garden, "pack")
    spoil(path, at)
    _, skipped, _ = scan(GitSource(garden.root))
    assert skipped != []


def test_a_shallow_clone_is_not_complete(garden: Garden, tmp_path: Path) -> None:
    garden.git("clone", "-q", "--depth=2", f"file://{garden.root}", str(tmp_path / "shallow"))
    source = GitSource(tmp_path / "shallow")
    scan(source)
    assert source.coverage().shallow and not source.coverage().complete


def test_a_partial_clone_is_not_complete(garden: Garden, tmp_path: Path) -> None:
    garden.git("config", "uploadpack.allowFilter", "true")
    garden.git("clone", "-q", "--filter=blob:none", "--bare", f"file://{garden.root}", str(tmp_path / "partial"))
    _, skipped, _ = scan(GitSource(tmp_path / "partial"))
    assert len(skipped) == 6 and all("promised" in skip.reason for skip in skipped)


def test_submodules_are_not_missing(garden: Garden) -> None:
    garden.git("update-index", "--add", "--cacheinfo", "160000," + "cd" * 20 + ",sub")
    garden.git("commit", "-q", "-m", "A submodule")
    assert scan(GitSource(garden.root))[1] == []
    garden.git("repack", "-q", "-a", "-d", "-f")
    assert scan(GitSource(garden.root))[1] == []


def test_an_empty_repository_is_clean(tmp_path: Path) -> None:
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    source = GitSource(tmp_path)
    assert scan(source)[1] == [] and source.coverage().complete


def a_folder(folder: Path) -> None:
    pass


def half_a_repository(folder: Path) -> None:
    (folder / ".git").mkdir()
    (folder / ".git/HEAD").write_text("ref: refs/heads/main\n")


def points_nowhere(folder: Path) -> None:
    (folder / ".git").write_text("gitdir: /nowhere/at/all\n")


def points_to_a_stranger(folder: Path) -> None:
    other = folder.parent / "stranger"
    subprocess.run(["git", "init", "-q", "--bare", str(other)], check=True)
    (folder / ".git").write_text(f"gitdir: {other}\n")


@pytest.mark.parametrize("make", [a_folder, half_a_repository, points_nowhere, points_to_a_stranger])
def test_what_is_no_repository_is_incomplete(tmp_path: Path, make: Callable[[Path], None]) -> None:
    folder = tmp_path / "there"
    folder.mkdir()
    make(folder)
    with pytest.raises(Incomplete) as told:
        GitSource(folder)
    assert told.value.exit_code == 6 and told.value.hint


@pytest.mark.parametrize("name", ["nowhere", "file/inside"])
def test_a_path_to_nothing_is_a_word_too_many_as_for_files(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").touch()
    openings: list[Callable[[Path], object]] = [GitSource, StagedSource, lambda path: FileSource([str(path)]).parts(1)]
    for opening in openings:
        with pytest.raises(UsageError, match="there is no such file or folder") as told:
            opening(tmp_path / name)
        assert told.value.exit_code == 2 and told.value.hint == "check the path"


def test_a_link_that_leads_nowhere_is_incomplete(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    with pytest.raises(Incomplete):
        GitSource(tmp_path / "link")


def test_another_owner_is_told(garden: Garden, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: os.stat(garden.root).st_uid + 1)
    monkeypatch.delenv("SUDO_UID", raising=False)
    _, skipped, heard = scan(GitSource(garden.root))
    assert any("dubious ownership" in skip.reason for skip in skipped) and heard.objects
    assert scan(GitSource(garden.root, trust_owner=True))[1] == []


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_what_may_not_be_read_is_told(garden: Garden) -> None:
    no_permission(garden)
    assert scan(GitSource(garden.root))[1] != []
