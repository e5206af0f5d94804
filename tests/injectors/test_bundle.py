"""The sealed bundle: its format (vectors, every bit flipped), what the injector writes, and kills between its steps."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clawsecrets.errors import ClawError, ConfigError, StoreDamaged, StoreLocked
from clawsecrets.injectors import bundle_format
from clawsecrets.injectors.atomic import Access, Folder
from clawsecrets.injectors.bundle import ResolverBundle
from clawsecrets.injectors.resolve import LARGEST_VALUE, read_bundle
from clawsecrets.model.rotation import Outcome
from clawsecrets.model.secret import SecretValue
from clawsecrets.ports import Entry
from tests import canary as canaries
from tests.waiting import LONG

ROOT = Path(__file__).resolve().parents[2]
VECTORS = json.loads((Path(__file__).parent / "vectors" / "bundle.json").read_text())
KEY = bytes(range(32))


def entry(name: str, value: bytes = b"v", version: int = 1) -> Entry:
    return Entry(name, version, SecretValue(value))


def content(path: Path) -> dict[str, bytes]:
    sealed = read_bundle(str(path))
    return {name: sealed.open(name) or b"" for name in sealed.versions()}


# --- the format -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("vector", VECTORS["open"], ids=lambda v: v["about"])
def test_vectors_that_must_open_for_ever(vector: dict[str, object]) -> None:
    sealed = bundle_format.opened(str(vector["bundle"]).encode(), bytes.fromhex(str(vector["keys"])))
    found = {name: {"version": v, "value": (sealed.open(name) or b"").hex()} for name, v in sealed.versions().items()}
    assert found == vector["entries"] and sealed.generation == vector["generation"]


@pytest.mark.parametrize("vector", VECTORS["fail"], ids=lambda v: v["about"])
def test_vectors_that_must_fail(vector: dict[str, str]) -> None:
    expected: type[ClawError] = {"damaged": StoreDamaged, "locked": StoreLocked}[vector["error"]]
    with pytest.raises(expected) as caught:
        bundle_format.opened(vector["bundle"].encode(), bytes.fromhex(vector["keys"]))
    assert vector["says"] in caught.value.message and type(caught.value) is expected


def test_the_writer_still_makes_the_first_vector() -> None:
    vector = VECTORS["open"][0]
    counter = iter(range(1, 100))

    def nonce(length: int) -> bytes:
        return next(counter).to_bytes(length, "big")

    entries = [(name, e["version"], bytes.fromhex(e["value"])) for name, e in vector["entries"].items()]
    made = bundle_format.sealed(bytes.fromhex(vector["keys"]), vector["generation"], entries, nonce)
    assert made.decode() == vector["bundle"]


@given(
    st.dictionaries(st.from_regex(r"[a-z][a-z0-9/-]{0,9}\Z"), st.tuples(st.integers(0, 2**40), st.binary(max_size=40)))
)
def test_what_is_sealed_opens(entries: dict[str, tuple[int, bytes]]) -> None:
    made = bundle_format.sealed(KEY, 7, [(name, version, value) for name, (version, value) in entries.items()])
    sealed = bundle_format.opened(made, KEY)
    assert {name: (version, sealed.open(name)) for name, version in sealed.versions().items()} == entries
    assert sealed.generation == bundle_format.generation_of(made) == 7 and sealed.open("absent") is None


def test_every_bit_matters() -> None:
    """Every bit of a small bundle flipped: it never opens with another content, and never fails in another way."""
    made = bundle_format.sealed(KEY, 3, [("a", 1, b"secret-one"), ("b", 2, b"secret-two")])
    opened_same = 0
    for place in range(len(made)):
        for bit in range(8):
            changed = bytearray(made)
            changed[place] ^= 1 << bit
            try:
                sealed = bundle_format.opened(bytes(changed), KEY)
            except StoreDamaged as error:
                assert "-one" not in str(error) and "-two" not in str(error) and error.__context__ is None
                continue
            assert (sealed.open("a"), sealed.open("b"), sealed.generation) == (b"secret-one", b"secret-two", 3)
            opened_same += 1
    assert opened_same == 0


def test_every_truncation_is_damage() -> None:
    made = bundle_format.sealed(KEY, 3, [("a", 1, b"one")])
    for length in range(len(made) - 1):
        with pytest.raises(StoreDamaged):
            bundle_format.opened(made[:length], KEY)


def test_a_random_key_opens_nothing() -> None:
    made = bundle_format.sealed(KEY, 1, [("a", 1, b"one")])
    for place in range(32):
        wrong = bytes(b ^ (i == place) for i, b in enumerate(KEY))
        with pytest.raises(StoreDamaged):
            bundle_format.opened(made, wrong)


# --- the injector ---------------------------------------------------------------------------------------------------


def test_only_the_names_given_are_in_it(tmp_path: Path) -> None:
    path = tmp_path / "gw" / "bundle"
    injector = ResolverBundle("t", path)
    assert injector.deliver([entry("a", b"1"), entry("b", b"2")]).outcome is Outcome.OK
    assert content(path) == {"a": b"1", "b": b"2"}
    key = path.with_name("bundle.key").read_bytes()
    assert injector.deliver([entry("b", b"3", 2)]).outcome is Outcome.OK
    assert content(path) == {"b": b"3"} and path.with_name("bundle.key").read_bytes() == key
    assert read_bundle(str(path)).generation == 2 and read_bundle(str(path)).versions() == {"b": 2}
    assert injector.remove({"b": "", "x": ""}).outcome is Outcome.OK and content(path) == {}
    assert ResolverBundle("t", tmp_path / "none").remove({"b": ""}).outcome is Outcome.OK


def test_it_is_private_from_the_start(tmp_path: Path) -> None:
    path = tmp_path / "gw" / "bundle"
    old = os.umask(0)
    try:
        ResolverBundle("t", path).deliver([entry("a")])
    finally:
        os.umask(old)
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert {p.name: stat.S_IMODE(p.stat().st_mode) for p in path.parent.iterdir()} == {
        "bundle": 0o600,
        "bundle.key": 0o600,
    }
    path.chmod(0o640)
    ResolverBundle("t", path).deliver([entry("a")])
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with pytest.raises(ConfigError, match="one user"):
        ResolverBundle("t", path, Access(mode=0o640))


def test_folders_that_are_missing_are_made_private_and_what_is_there_is_left(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir(0o755)
    path = tmp_path / "there" / "deep" / "er" / "bundle"
    injector = ResolverBundle("t", path)
    assert injector.preflight().outcome is Outcome.OK and list((tmp_path / "there").iterdir()) == []
    assert injector.deliver([entry("a", b"1")]).outcome is Outcome.OK and content(path) == {"a": b"1"}
    assert [stat.S_IMODE(folder.stat().st_mode) for folder in list(path.parents)[:3]] == [0o700, 0o700, 0o755]


def test_folders_that_cannot_be_made_are_not_made_in_part(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def chown(path: Path, uid: int, gid: int, *, follow_symlinks: bool) -> None:
        if path.name == "er":
            raise PermissionError

    monkeypatch.setattr(os, "chown", chown)
    reply = ResolverBundle("t", tmp_path / "deep" / "er" / "bundle", Access(1234, 1235)).deliver([entry("a")])
    assert reply.outcome is Outcome.REFUSED and "must belong to uid 1234" in reply.detail
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to give files away")
def test_it_belongs_to_the_gateways_user(tmp_path: Path) -> None:
    path = tmp_path / "of" / "gw" / "bundle"
    ResolverBundle("t", path, Access(1234, 1235)).deliver([entry("a")])
    for made in (path.parent.parent, path.parent, path, path.with_name("bundle.key")):
        assert (made.stat().st_uid, made.stat().st_gid) == (1234, 1235)


def test_the_files_hold_no_value(tmp_path: Path, canary: bytes) -> None:
    path = tmp_path / "bundle"
    injector = ResolverBundle("t", path)
    said = [injector.deliver([entry("a", canary)]), injector.preflight(), injector.describe(), injector.new_key()]
    for data in (path.read_bytes(), path.with_name("bundle.key").read_bytes(), repr(said).encode()):
        assert canaries.search(data, canary) == []


def test_holds(tmp_path: Path) -> None:
    path = tmp_path / "bundle"
    injector = ResolverBundle("t", path)
    assert injector.holds(entry("a")) is False
    injector.deliver([entry("a", b"x", 3)])
    assert injector.holds(entry("a", b"x", 3)) is True
    assert [injector.holds(e) for e in (entry("a", b"x", 2), entry("a", b"y", 3), entry("b", b"x", 3))] == [False] * 3
    whole = path.read_bytes()
    path.write_bytes(whole[:-9])
    assert injector.holds(entry("a", b"x", 3)) is False
    path.unlink()
    path.symlink_to("elsewhere")
    assert injector.holds(entry("a", b"x", 3)) is None


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (b"", "empty"),
        (b"\xff", "UTF-8"),
        (b"x" * (LARGEST_VALUE + 1), "too long"),
        (b"\n" * (LARGEST_VALUE // 2 + 1), "too long"),
    ],
    ids=["empty", "binary", "long", "long as JSON"],
)
def test_what_could_never_be_answered_is_refused(tmp_path: Path, value: bytes, reason: str) -> None:
    path = tmp_path / "gw" / "bundle"
    reply = ResolverBundle("t", path).deliver([entry("fine"), entry("a", value)])
    assert reply.outcome is Outcome.REFUSED and reply.detail.startswith("a: ") and reason in reply.detail
    assert not path.parent.exists()


def test_bad_names_are_refused(tmp_path: Path) -> None:
    injector = ResolverBundle("t", tmp_path / "bundle")
    assert injector.deliver([entry("a#b")]).outcome is Outcome.REFUSED
    assert injector.deliver([entry("a"), entry("a", b"2")]).outcome is Outcome.REFUSED
    assert list(tmp_path.iterdir()) == []


def test_preflight_leaves_nothing(tmp_path: Path) -> None:
    injector = ResolverBundle("t", tmp_path / "gw" / "bundle")
    assert injector.preflight().outcome is Outcome.OK and list(tmp_path.iterdir()) == []
    injector.deliver([entry("a")])
    before = {p.name: p.stat().st_mtime_ns for p in (tmp_path / "gw").iterdir()}
    assert injector.preflight().outcome is Outcome.OK
    assert {p.name: p.stat().st_mtime_ns for p in (tmp_path / "gw").iterdir()} == before
    assert ResolverBundle("t", tmp_path / "gw" / "bundle" / "no" / "bundle").preflight().outcome is Outcome.REFUSED


def test_a_damaged_bundle_is_delivered_anew_but_not_edited(tmp_path: Path) -> None:
    path = tmp_path / "bundle"
    injector = ResolverBundle("t", path)
    injector.deliver([entry("a")])
    path.write_bytes(path.read_bytes().replace(b'"generation":1', b'"generation":9'))
    assert injector.remove({"a": ""}).outcome is Outcome.REFUSED and injector.new_key().outcome is Outcome.REFUSED
    assert injector.deliver([entry("a")]).outcome is Outcome.OK
    assert content(path) == {"a": b"v"} and read_bundle(str(path)).generation == 10


@pytest.mark.parametrize("keys", [b"", b"x" * 5, b"k" * 32, b"k" * 64])
def test_a_lost_or_foreign_key_is_no_dead_end(tmp_path: Path, keys: bytes) -> None:
    path = tmp_path / "bundle"
    injector = ResolverBundle("t", path)
    injector.deliver([entry("a")])
    path.with_name("bundle.key").write_bytes(keys)
    assert injector.holds(entry("a")) is False
    assert injector.deliver([entry("a", b"n", 2)]).outcome is Outcome.OK and content(path) == {"a": b"n"}


def test_a_new_key(tmp_path: Path) -> None:
    path = tmp_path / "bundle"
    injector = ResolverBundle("t", path)
    injector.deliver([entry("a")])
    key, old = path.with_name("bundle.key").read_bytes(), path.read_bytes()
    assert injector.new_key().outcome is Outcome.OK
    after = path.with_name("bundle.key").read_bytes()
    assert content(path) == {"a": b"v"} and len(after) == 32 and after != key
    with pytest.raises(StoreDamaged):
        bundle_format.opened(old, after)


class Killed(BaseException):
    """Stands for kill -9: nothing of ours may catch it and go on."""


def deliver(injector: ResolverBundle) -> None:
    injector.deliver([entry("a", b"new", 2)])


def rekey(injector: ResolverBundle) -> None:
    injector.new_key()


@contextmanager
def killed_at(point: int) -> Iterator[list[int]]:
    """Kill before (even) or after (odd) a write; gives how many points were passed. Point 99: none is killed."""
    real, seen = Folder.replace, [0]

    def replace(self: Folder, name: str, data: bytes, rights: Access) -> None:
        for act in (lambda: None, lambda: real(self, name, data, rights)):
            act()
            if seen[0] == point:
                raise Killed
            seen[0] += 1

    with pytest.MonkeyPatch.context() as patch, suppress(Killed):
        patch.setattr(Folder, "replace", replace)
        yield seen


def points(injector: ResolverBundle, work: Callable[[ResolverBundle], None]) -> range:
    with killed_at(99) as seen:
        work(injector)
    return range(seen[0])


@pytest.mark.parametrize("work", [deliver, rekey])
@pytest.mark.parametrize("again", [deliver, rekey])
def test_killed_twice_between_any_two_writes_the_pair_opens(
    tmp_path: Path, work: Callable[[ResolverBundle], None], again: Callable[[ResolverBundle], None]
) -> None:
    """Each write is atomic (test_envfile kills inside one); here, around each, then once more while mending."""
    tried = 0
    for first in range(6):
        for second in range(10):
            path = tmp_path / f"{first}-{second}" / "bundle"
            injector = ResolverBundle("t", path)
            injector.deliver([entry("a", b"old")])
            with killed_at(first):
                work(injector)
            assert content(path) in ({"a": b"old"}, {"a": b"new"})
            with killed_at(second):
                again(injector)
            assert content(path) in ({"a": b"old"}, {"a": b"new"})
            assert injector.deliver([entry("a", b"next", 3)]).outcome is Outcome.OK
            assert content(path) == {"a": b"next"} and len(path.with_name("bundle.key").read_bytes()) == 32
            tried += 1
    assert tried == 60 and len(points(injector, work)) == (2 if work is deliver else 6)


def test_killed_in_the_first_delivery_the_next_one_works(tmp_path: Path) -> None:
    for point in range(4):
        path = tmp_path / f"{point}" / "bundle"
        injector = ResolverBundle("t", path)
        with killed_at(point):
            deliver(injector)
        assert path.exists() is (point == 3)
        assert injector.deliver([entry("a", b"next", 3)]).outcome is Outcome.OK and content(path) == {"a": b"next"}


WRITER = """
import sys
sys.path.insert(0, sys.argv[1])
from pathlib import Path
from clawsecrets.injectors.bundle import ResolverBundle
from clawsecrets.model.secret import SecretValue
from clawsecrets.ports import Entry
injector = ResolverBundle("t", Path(sys.argv[2]))
for number in range(20):
    while (reply := injector.deliver([Entry("a", number, SecretValue(sys.argv[3]))])).outcome == "later":
        pass  # the other one had the folder all the time, which a busy machine may bring about
    assert reply.outcome == "ok", reply
"""


def test_two_writers_end_with_one_of_them_whole(tmp_path: Path) -> None:
    """Also the first write, where both may make the key."""
    path = tmp_path / "gw" / "bundle"
    writers = [subprocess.Popen([sys.executable, "-c", WRITER, str(ROOT), str(path), name]) for name in "xy"]
    assert [writer.wait(timeout=LONG) for writer in writers] == [0, 0]
    assert content(path) in ({"a": b"x"}, {"a": b"y"})
    sealed = read_bundle(str(path))
    assert sealed.generation == 40 and sealed.versions() == {"a": 19}
