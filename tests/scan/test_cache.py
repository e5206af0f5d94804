"""The cache of clean content: the same report with it and without, and nobody can make it lie."""

from __future__ import annotations

import base64
import fcntl
import hashlib
import json
import os
import shutil
import stat
import zipfile
from pathlib import Path

import pytest

from clawsecrets.errors import ConfigError
from clawsecrets.model.finding import Rule
from clawsecrets.scan import cache as caching
from clawsecrets.scan.cache import FORMAT, LAYERS, Cache, PackSeen, RepositorySeen, bitmap, rules_name, unclean
from clawsecrets.scan.cachekey import MAC, PUBLIC, SECRET, SIGNATURE, CacheKey, cache_key
from clawsecrets.scan.ruleset import Ruleset
from clawsecrets.sources.git import quick
from tests.scan.scanned import RULES, commit, git, repository, scan, token

KEY = base64.b64encode(bytes(range(32))).decode()
OTHER = base64.b64encode(bytes(range(1, 33))).decode()


def cache_file(home: Path) -> Path:
    [found] = (home / "cache").glob("scan-*.cache")
    return found


def test_a_second_scan_reads_only_what_had_matches_and_reports_the_same(tmp_path: Path) -> None:
    repo, home = repository(tmp_path / "repo"), tmp_path / "home"
    plain = scan(repo, home, cache=False)
    assert len(plain.matches) == 2 and plain.skipped == []
    first, second = scan(repo, home), scan(repo, home)
    assert first.facts == plain.facts == second.facts
    assert (first.source, first.cached) == ("GitSource", 0)
    assert second.source == "QuickSource"
    assert second.cached > 30
    assert second.objects < first.objects / 3


def test_what_is_new_is_found_loose_and_packed(tmp_path: Path) -> None:
    repo, home = repository(tmp_path / "repo"), tmp_path / "home"
    scan(repo, home)
    (repo / "new.env").write_text(f"X={token(50)}\n")
    (repo / "harmless.txt").write_text("hello\n")
    commit(repo, f"message with {token(51)}")
    loose = scan(repo, home)
    assert loose.source == "QuickSource"
    assert loose.facts == scan(repo, home, cache=False).facts
    assert len(loose.matches) >= 4
    git(repo, "repack", "-dq")  # a second, small pack
    assert len(list((repo / ".git/objects/pack").glob("*.pack"))) == 2
    again = scan(repo, home)
    assert again.source == "QuickSource"
    assert again.facts == scan(repo, home, cache=False).facts
    (repo / (token(52) + ".txt")).write_text("a name\n")
    commit(repo, "a name")
    assert scan(repo, home).facts == scan(repo, home, cache=False).facts


@pytest.mark.parametrize("kind", ["sha256", "old index", "two packs", "loose only", "bare", "worktree"])
def test_other_kinds_of_repositories(tmp_path: Path, kind: str) -> None:
    repo, home = tmp_path / "repo", tmp_path / "home"
    repo.mkdir()
    git(repo, "init", "-q", "-b", "main", *(["--object-format=sha256"] if kind == "sha256" else []))
    for number in range(12):
        (repo / f"{number}.txt").write_text(f"K={token(number)}\n" if number % 5 == 0 else f"nothing {number}\n")
        commit(repo, f"number {number}")
        if kind == "two packs" and number == 6:
            git(repo, "repack", "-dq")
    if kind == "old index":
        git(repo, "-c", "pack.indexVersion=1", "repack", "-adfq")
    elif kind != "loose only":
        git(repo, "repack", "-dq")
    if kind == "bare":
        git(tmp_path, "clone", "-q", "--bare", "repo", "bare.git")
        repo = tmp_path / "bare.git"
    elif kind == "worktree":
        git(repo, "worktree", "add", "-q", "../tree", "-b", "side")
        repo = tmp_path / "tree"
    plain = scan(repo, home, cache=False)
    assert len(plain.matches) == 3
    first, second = scan(repo, home), scan(repo, home)
    assert (first.source, second.source) == ("GitSource", "QuickSource")
    assert first.facts == second.facts == plain.facts
    if kind != "bare":
        (repo / "more.env").write_text(f"K={token(77)}\n")
        commit(repo, "more")
        third = scan(repo, home)
        assert third.source == "QuickSource" and len(third.matches) == 4
        assert third.facts == scan(repo, home, cache=False).facts


def test_many_new_objects_go_to_several_workers(tmp_path: Path) -> None:
    repo, home = repository(tmp_path / "repo"), tmp_path / "home"
    scan(repo, home)
    for number in range(150):
        (repo / f"new{number}.env").write_text(f"K={token(100 + number)}\n")
    commit(repo, "many")
    found = scan(repo, home, workers=3)
    assert found.source == "QuickSource" and len(found.matches) == 152
    assert found.facts == scan(repo, home, cache=False).facts


def test_the_whole_reader_uses_it_as_well(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    repo, home = repository(tmp_path / "repo"), tmp_path / "home"
    scan(repo, home)
    (repo / "new.env").write_text(f"X={token(60)}\n")
    commit(repo, "new")
    monkeypatch.setattr(quick, "MOST", 0)
    found = scan(repo, home, workers=2)
    assert (found.source, found.cached > 30) == ("GitSource", True)
    assert found.facts == scan(repo, home, cache=False).facts


def test_after_a_repack_everything_is_looked_at_again(tmp_path: Path) -> None:
    repo, home = repository(tmp_path / "repo"), tmp_path / "home"
    scan(repo, home)
    (repo / "more.txt").write_text("more\n")
    commit(repo, "more")
    git(repo, "repack", "-adq")
    found = scan(repo, home)
    assert (found.source, found.cached) == ("GitSource", 0)
    assert scan(repo, home).source == "QuickSource"


def test_a_missing_object_is_told_every_time(tmp_path: Path) -> None:
    repo, home = repository(tmp_path / "repo"), tmp_path / "home"
    (repo / "gone.txt").write_text("soon gone\n")
    commit(repo, "gone")
    name = git(repo, "rev-parse", "HEAD:gone.txt").strip()
    (repo / ".git/objects" / name[:2] / name[2:]).unlink()
    told = [scan(repo, home) for _ in range(3)]
    plain = scan(repo, home, cache=False)
    assert any(name in skipped.what for skipped in plain.skipped)
    assert [one.facts for one in told] == [plain.facts] * 3
    assert told[2].source == "QuickSource"


def test_an_object_that_goes_away_later_is_told(tmp_path: Path) -> None:
    repo, home = repository(tmp_path / "repo"), tmp_path / "home"
    (repo / "gone.txt").write_text("soon gone\n")
    commit(repo, "gone")
    scan(repo, home)
    assert scan(repo, home).source == "QuickSource"
    name = git(repo, "rev-parse", "HEAD:gone.txt").strip()
    (repo / ".git/objects" / name[:2] / name[2:]).unlink()
    assert any(name in skipped.what for skipped in scan(repo, home).skipped)


def test_what_could_not_be_opened_is_told_again(tmp_path: Path) -> None:
    repo, home = repository(tmp_path / "repo"), tmp_path / "home"
    with zipfile.ZipFile(repo / "box.zip", "w") as box:
        box.writestr("a.txt", "content " * 100)
    data = bytearray((repo / "box.zip").read_bytes())
    data[data.rfind(b"PK\x01\x02") + 16] ^= 0xFF  # the checksum of the member
    (repo / "box.zip").write_bytes(data)
    commit(repo, "a damaged archive")
    plain = scan(repo, home, cache=False)
    assert plain.skipped
    assert [scan(repo, home).facts for _ in range(2)] == [plain.facts] * 2
    assert scan(repo, home).source == "QuickSource"


def test_nothing_of_an_interrupted_or_changing_scan_is_kept(tmp_path: Path) -> None:
    repo, home = repository(tmp_path / "repo"), tmp_path / "home"
    scan(repo, home, interrupted=True)
    assert not (home / "cache").exists()

    def change() -> None:
        (repo / "late.env").write_text(f"X={token(70)}\n")
        commit(repo, "late")

    scan(repo, home, during=change)
    assert not list((home / "cache").glob("scan-*.cache")) if (home / "cache").exists() else True
    assert len(scan(repo, home).matches) == 3


def test_other_rules_and_options_have_another_cache(tmp_path: Path) -> None:
    repo, home = repository(tmp_path / "repo"), tmp_path / "home"
    (repo / "yak.env").write_text("K=yak_q8n2vx7w4kzt9m3r\n")
    commit(repo, "yak")
    scan(repo, home)
    yak = Ruleset([*RULES.rules, Rule("yak.key", "yak", "Yak key", r"\byak_[a-z0-9]{16}\b")], "code")
    assert yak.hash != RULES.hash
    assert len(scan(repo, home, rules=yak).matches) == 3
    assert scan(repo, home, options=("trust-inline-allow",)).cached == 0
    shutil.copy(cache_file_of(home, RULES), home / "cache" / f"scan-{rules_name(yak.hash)}.cache")
    found = scan(repo, home, rules=yak)
    assert (len(found.matches), found.cached) == (3, 0)
    assert any("other rules" in line for line in found.said)


def cache_file_of(home: Path, rules: Ruleset) -> Path:
    return home / "cache" / f"scan-{rules_name(rules.hash)}.cache"


# --- who may write it -----------------------------------------------------------------------------------------------


def all_clean(path: Path) -> bytes:
    """The cache with every object declared clean."""
    body = json.loads(path.read_bytes()[len(FORMAT) + MAC + SIGNATURE:])
    for one in body["repositories"]:
        for pack in one["packs"]:
            pack[4] = base64.b64encode(b"\xff" * (pack[2] // 8 + 1)).decode()
    return json.dumps(body, separators=(",", ":")).encode()


@pytest.mark.parametrize("seal", ["kept", "zeros", "other key", "none"])
def test_a_forged_cache_is_not_believed(tmp_path: Path, seal: str) -> None:
    repo, home = repository(tmp_path / "repo"), tmp_path / "home"
    scan(repo, home, env={SECRET: KEY})
    path = cache_file(home)
    body, before = all_clean(path), path.read_bytes()[len(FORMAT):len(FORMAT) + MAC + SIGNATURE]
    other = CacheKey(base64.b64decode(OTHER), signs=True)
    forged = FORMAT + {"kept": before, "zeros": bytes(MAC + SIGNATURE), "none": b"",
                       "other key": other.seal(FORMAT + body)}[seal] + body
    public = CacheKey(base64.b64decode(KEY), signs=True).public_key()
    for env in ({SECRET: KEY}, {PUBLIC: public}, {}):
        path.write_bytes(forged)
        found = scan(repo, home, env=env)
        assert (len(found.matches), found.cached) == (2, 0)
    # and the same body under the right key would have hidden both
    path.write_bytes(FORMAT + CacheKey(base64.b64decode(KEY), signs=True).seal(FORMAT + body) + body)
    assert scan(repo, home, env={SECRET: KEY}).matches == []


@pytest.mark.parametrize("damage", ["cut", "flipped", "older", "empty", "folder"])
def test_a_damaged_cache_is_as_good_as_none(tmp_path: Path, damage: str) -> None:
    repo, home = repository(tmp_path / "repo"), tmp_path / "home"
    scan(repo, home)
    path = cache_file(home)
    data = path.read_bytes()
    path.unlink()
    if damage == "folder":
        path.mkdir()
    else:
        path.write_bytes({"cut": data[:-20], "flipped": data[:200] + bytes((data[200] ^ 1,)) + data[201:],
                          "older": data.replace(b"cache 6", b"cache 5"), "empty": b""}[damage])
    found = scan(repo, home)
    assert (len(found.matches), found.cached) == (2, 0)


def test_a_fork_reads_and_never_writes(tmp_path: Path) -> None:
    repo, home = repository(tmp_path / "repo"), tmp_path / "home"
    scan(repo, home, env={SECRET: KEY})
    data = cache_file(home).read_bytes()
    public = CacheKey(base64.b64decode(KEY), signs=True).public_key()
    fork = {SECRET: "", PUBLIC: public}
    found = scan(repo, home, env=fork)
    assert (found.source, len(found.matches)) == ("QuickSource", 2)
    (repo / "pull.env").write_text(f"X={token(80)}\n")
    commit(repo, "pull")
    assert len(scan(repo, home, env=fork).matches) == 3
    assert cache_file(home).read_bytes() == data
    assert scan(repo, home, env={PUBLIC: OTHER}).cached == 0


def test_a_cache_of_another_host_is_not_used_without_its_key(tmp_path: Path) -> None:
    repo, home = repository(tmp_path / "repo"), tmp_path / "home"
    scan(repo, home)
    there = tmp_path / "there"
    shutil.copytree(home / "cache", there / "cache")
    found = scan(repo, there)
    assert found.cached == 0
    assert any("not written under this key" in line for line in found.said)


def test_the_key_file_is_private_and_a_loose_one_is_not_used(tmp_path: Path) -> None:
    key = cache_key(tmp_path / "state", {})
    path = tmp_path / "state" / "cache.key"
    assert key.writes and stat.S_IMODE(path.stat().st_mode) == 0o600
    assert cache_key(tmp_path / "state", {}).secret == key.secret
    path.chmod(0o644)
    assert not cache_key(tmp_path / "state", {}).writes
    assert key.secret.hex() not in repr(key) and repr(key.secret) not in repr(key)


@pytest.mark.parametrize("name", [SECRET, PUBLIC])
@pytest.mark.parametrize("text", ["short", "%%%%", base64.b64encode(bytes(31)).decode()])
def test_a_key_that_is_none_is_a_fault_that_does_not_repeat_it(tmp_path: Path, name: str, text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        cache_key(tmp_path, {name: text})
    assert text not in caught.value.message


def test_folders_that_others_may_write_are_not_used(tmp_path: Path) -> None:
    repo, home = repository(tmp_path / "repo"), tmp_path / "home"
    scan(repo, home)
    (home / "cache").chmod(0o777)
    assert scan(repo, home).cached == 0


# --- a repository that lies about its packs -------------------------------------------------------------------------


def test_a_pack_that_only_says_that_it_is_the_clean_one_is_read(tmp_path: Path) -> None:
    """The very checksum of a clean pack at the end of another one, and of its index."""
    clean, home = repository(tmp_path / "clean", leaks=0), tmp_path / "home"
    scan(clean, home)
    assert scan(clean, home).cached > 30
    evil = repository(tmp_path / "evil", leaks=1)
    [index] = (clean / ".git/objects/pack").glob("*.idx")
    checksum = index.read_bytes()[-40:-20]
    [bad] = (evil / ".git/objects/pack").glob("*.idx")
    for path in (bad, bad.with_suffix(".pack")):
        path.chmod(0o644)
    data = bad.read_bytes()[:-40] + checksum
    bad.write_bytes(data + hashlib.sha1(data, usedforsecurity=False).digest())
    pack = bad.with_suffix(".pack").read_bytes()
    bad.with_suffix(".pack").write_bytes(pack[:-20] + checksum)
    assert len(scan(evil, home).matches) == 1


def test_a_copy_is_the_same_pack(tmp_path: Path) -> None:
    repo, home = repository(tmp_path / "repo"), tmp_path / "home"
    scan(repo, home)
    shutil.copytree(repo, tmp_path / "copy")
    found = scan(tmp_path / "copy", home)
    assert (found.source, len(found.matches)) == ("QuickSource", 2)
    [pack] = (tmp_path / "copy/.git/objects/pack").glob("*.pack")
    pack.chmod(0o644)
    data = bytearray(pack.read_bytes())
    data[len(data) // 2] ^= 1
    pack.write_bytes(data)
    assert scan(tmp_path / "copy", home).cached == 0


# --- bounds, and what is in it --------------------------------------------------------------------------------------


def test_no_value_is_in_it(tmp_path: Path) -> None:
    repo, home = repository(tmp_path / "repo"), tmp_path / "home"
    scan(repo, home, env={SECRET: KEY})
    everything = b"".join(path.read_bytes() for path in home.rglob("*") if path.is_file())
    for secret in (token(0), token(1), KEY):
        assert secret.encode() not in everything
        assert base64.b64encode(secret.encode())[:-4] not in everything


def test_bits() -> None:
    for count in (0, 1, 7, 8, 9, 1000):
        for dark in ([], [0], [count - 1], list(range(0, count, 3))):
            dark = [place for place in dark if 0 <= place < count]
            assert unclean(bitmap(count, dark), count) == dark
    assert unclean(b"", 3) == [0, 1, 2]


def test_it_is_bounded_and_others_entries_stay(tmp_path: Path) -> None:
    key = CacheKey(bytes(32))
    one = Cache(tmp_path, "x", key, print)
    repositories = [RepositorySeen(20, (PackSeen(bytes((n,)) * 20, b"i" * 20, 8, b"s", b"\xff"),), b"", b"")
                    for n in range(100)]
    for repository_seen in repositories:
        one.keep([repository_seen], [], 1000.0 + repository_seen.packs[0].checksum[0])
    one.keep([], [f"sha256:{n}" for n in range(LAYERS + 5)], 5000.0)
    seen = Cache(tmp_path, "x", key, print).seen
    assert len(seen.repositories) == 64 and len(seen.layers) == LAYERS
    assert {r.packs[0].checksum[0] for r in seen.repositories} == set(range(36, 100))
    for number in range(12):
        Cache(tmp_path, f"other{number}", key, print).keep([], ["sha256:a"], 1.0)
    assert len(list(tmp_path.glob("scan-*.cache"))) == 6
    assert all(stat.S_IMODE(os.stat(path).st_mode) == 0o600 for path in tmp_path.iterdir())


def test_two_at_once_lose_nothing(tmp_path: Path) -> None:
    key = CacheKey(bytes(32))
    children = []
    for number in range(6):
        pid = os.fork()
        if pid == 0:
            for turn in range(10):
                Cache(tmp_path, "x", key, print).keep([], [f"sha256:{number}-{turn}"], 1.0)
            os._exit(0)
        children.append(pid)
    assert [os.waitpid(pid, 0)[1] for pid in children] == [0] * 6
    assert len(Cache(tmp_path, "x", key, print).seen.layers) == 60


def test_a_writer_that_does_not_end_is_not_waited_for_for_ever(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(caching, "PATIENCE", 0.05)
    said: list[str] = []
    one = Cache(tmp_path, "x", CacheKey(bytes(32)), said.append)
    one.keep([], ["sha256:a"], 1.0)
    with open(tmp_path / "scan.lock") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        one.keep([], ["sha256:b"], 1.0)
    assert len(said) == 1 and "not written" in said[0]
    assert list(Cache(tmp_path, "x", CacheKey(bytes(32)), print).seen.layers) == ["sha256:a"]


def test_what_a_killed_process_left_is_taken_away(tmp_path: Path) -> None:
    old, new = tmp_path / ".scan-old", tmp_path / ".scan-new"
    for path in (old, new):
        path.write_bytes(b"half")
    os.utime(old, (1.0, 1.0))
    Cache(tmp_path, "x", CacheKey(bytes(32)), print).keep([], ["sha256:a"], 1.0)
    assert new.exists() and not old.exists()


def test_a_folder_that_cannot_be_written_is_no_fault(tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file")
    said: list[str] = []
    Cache(tmp_path / "cache", "x", CacheKey(bytes(32)), said.append).keep([], ["sha256:a"], 1.0)
    assert len(said) == 1
