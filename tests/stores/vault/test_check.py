"""The deep check finds what is missing, altered, left over or not done, each in one line that names it."""

from __future__ import annotations

import ast
import base64
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest

from clawsecrets.errors import StoreDamaged, StoreError, StoreMissing
from clawsecrets.model.secret import SecretValue, Stage, Version
from clawsecrets.ports import Change
from clawsecrets.stores.vault import deepcheck
from clawsecrets.stores.vault.store import VaultStore
from tests.contract.store import NOW, change, event, put
from tests.stores.vault.conftest import Dev
from tests.stores.vault.wires import Dying, Killed

pytestmark = pytest.mark.real("openbao")
CANARY = "canary-2f70e1"


class World:
    """A store with a secret of two versions, one of them buried, and hands that can damage it."""

    def __init__(self, dev: Dev, prefix: str) -> None:
        self.dev, self.prefix = dev, prefix
        self.store = dev.create(prefix)
        self.base = f"team/{prefix}"
        self.raw = dev.documents()
        record = put(self.store, "a/b", f"{CANARY}-1")
        changed = record.put_current(Version(2, Stage.CURRENT, NOW))
        record = self.store.commit([change(changed, {2: f"{CANARY}-2"})])[0]
        dead = record.change(1, lambda v: replace(v, stage=Stage.REVOKED, erased_at=NOW))
        self.store.commit([change(dead)])

    def ours(self, *parts: str) -> str:
        return "/".join((self.base, ".clawsecrets", *parts))

    def folder(self, *parts: str) -> list[str]:
        return [self.ours(*parts, name) for name in self.raw.names(self.ours(*parts))]

    def alter(self, path: str, edit: Callable[[dict[str, Any]], Mapping[str, Any]]) -> None:
        found = self.raw.read(path)
        self.raw.write(path, edit(dict(found.content or {})), found.version, lambda content: False)

    def fresh(self) -> VaultStore:
        return self.dev.open(self.prefix)

    def one_fault(self) -> str:
        """The only line of the check; it shows no value."""
        lines = list(self.fresh().check())
        assert len(lines) == 1, lines
        assert CANARY not in lines[0]
        return lines[0]


@pytest.fixture
def world(dev: Dev, prefix: str) -> World:
    made = World(dev, prefix)
    assert made.fresh().check() == [] and made.fresh().verify_log() == ""
    return made


# --- values and records -------------------------------------------------------------------------------------------


def test_a_value_that_is_gone(world: World) -> None:
    [path] = world.folder("values", "a~b")
    world.raw.forget(path)
    lines = list(world.fresh().check())
    assert lines and all("the value of a/b version 2 is gone" in line for line in lines)
    with pytest.raises(StoreDamaged, match="version 2 is gone"):
        world.fresh().value("a/b", 2)


@pytest.mark.parametrize("content", [{"value_base64": "b3RoZXI="}, {"value_base64": "!"}, {"value_base64": 5}, {}])
def test_a_value_that_was_altered(world: World, content: dict[str, Any]) -> None:
    [path] = world.folder("values", "a~b")
    world.alter(path, lambda old: content)
    assert "the value of a/b version 2" in world.fresh().check()[0]
    with pytest.raises(StoreDamaged, match="version 2"):
        world.fresh().value("a/b", 2)


def test_a_value_that_was_exchanged_with_anothers(world: World) -> None:
    put(world.store, "c", "other")
    [path], [other] = world.folder("values", "a~b"), world.folder("values", "c")
    content = dict(world.raw.read(other).content or {})
    world.alter(path, lambda old: content)
    assert "altered or exchanged" in world.fresh().check()[0]


@pytest.mark.parametrize("edit", [
    lambda old: {}, lambda old: {**old, "format": 2}, lambda old: {**old, "name": "c"},
    lambda old: {**old, "record": "{}"}, lambda old: {**old, "record": 5}, lambda old: {**old, "values": []},
    lambda old: {**old, "lease": {}}, lambda old: {**old, "todo": {"events": [["x"]]}},
    lambda old: {**old, "record": "[" * 100000},
])
def test_a_record_that_was_altered_is_no_traceback(world: World, edit: Callable[[dict[str, Any]], Any]) -> None:
    world.alter(world.ours("records", "a~b"), edit)
    with pytest.raises(StoreDamaged, match="record document of a/b was altered"):
        world.fresh().load("a/b")
    with pytest.raises(StoreDamaged):
        world.fresh().acquire("a/b", "me", 60.0)


def test_a_record_that_was_deleted(world: World) -> None:
    world.raw.hide(world.ours("records", "a~b"))
    with pytest.raises(StoreDamaged, match="record document of a/b was deleted"):
        world.fresh().load("a/b")


def test_a_damaged_record_does_not_hide_the_others(world: World) -> None:
    put(world.store, "c", "other")
    world.alter(world.ours("records", "a~b"), lambda old: {})
    lines = list(world.fresh().check())
    assert any("record document of a/b" in line for line in lines)
    assert not any("public path of c" in line or "of c version" in line for line in lines)


# --- what is left over ----------------------------------------------------------------------------------------------


def orphaned(world: World) -> str:
    """A value whose commit never came: a process died right after writing it."""
    wire = Dying(world.dev.connection())
    store = world.dev.open(world.prefix, wire)
    changed = store.load("a/b").put_current(Version(3, Stage.CURRENT, NOW))
    wire.arm(1, "values/a~b/3-")
    with pytest.raises(Killed):
        store.commit([Change(changed, event(), {3: SecretValue(f"{CANARY}-3")})])
    [path] = [path for path in world.folder("values", "a~b") if "/3-" in path]
    return path


def test_an_orphaned_value_is_named_and_removed_when_it_is_old(
        world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    path = orphaned(world)
    assert world.fresh().check() == world.fresh().mend() == [], "it may be of a commit that is under way"
    monkeypatch.setattr(deepcheck, "DAY", -1.0)
    assert path in world.one_fault() and "--mend" in world.one_fault()
    [line] = world.fresh().mend()
    assert path in line
    assert world.fresh().check() == [] and world.fresh().mend() == []
    assert world.fresh().value("a/b", 2) == SecretValue(f"{CANARY}-2")


@pytest.mark.parametrize("damage", ["altered", "forgotten"])
def test_values_of_a_record_that_is_damaged_or_gone_are_never_removed(
        world: World, monkeypatch: pytest.MonkeyPatch, damage: str) -> None:
    path = world.ours("records", "a~b")
    if damage == "altered":
        world.alter(path, lambda old: {})
    else:
        world.raw.forget(path)
    assert world.fresh().check()
    monkeypatch.setattr(deepcheck, "DAY", -1.0)
    world.fresh().mend()
    assert len(world.folder("values", "a~b")) == 1


def test_an_orphan_does_not_keep_the_number_from_being_used(world: World) -> None:
    orphaned(world)
    changed = world.store.load("a/b").put_current(Version(3, Stage.CURRENT, NOW))
    world.store.commit([change(changed, {3: "third"})])
    assert world.fresh().value("a/b", 3) == SecretValue("third")


def test_history_of_no_secret(world: World) -> None:
    world.raw.write(world.ours("history", "a~b", "00000000-0000"), {}, 0, lambda content: False)
    assert "is the history of no secret" in world.one_fault()


# --- the public path ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("content", [{"value": "other", "version": "2"}, {"value": f"{CANARY}-1", "version": "1"}])
def test_a_public_path_that_holds_another_version(world: World, content: dict[str, str]) -> None:
    world.alter(f"{world.base}/a/b", lambda old: content)
    assert "public path of a/b does not hold version 2" in world.one_fault()
    assert world.fresh().mend() == ["the public path of a/b was brought in order"]
    assert world.dev.public(world.prefix, "a/b") == {"value": f"{CANARY}-2", "version": "2"}
    assert world.fresh().check() == []


def test_a_public_path_that_is_gone_or_should_be(world: World) -> None:
    world.raw.hide(f"{world.base}/a/b")
    assert "public path of a/b does not hold version 2" in world.one_fault()
    assert world.fresh().mend()
    record = world.store.load("a/b")
    world.store.commit([change(replace(record, secret=replace(record.secret, deleted_at=NOW)))])
    world.store.acquire("a/b", "me", 60.0)  # with that write the document says that it was taken away
    world.alter(f"{world.base}/a/b", lambda old: {"value": "back"})
    assert "holds something, and nothing is current" in world.one_fault()
    world.fresh().mend()
    assert world.dev.public(world.prefix, "a/b") is None and world.fresh().check() == []


# --- what the server does by itself ---------------------------------------------------------------------------------


@pytest.mark.parametrize(("settings", "words"), [
    ({"max_versions": 1}, "is to keep 2 versions, and keeps 1"), ({"max_versions": 0}, "keeps the default"),
    ({"delete_version_after": "1h"}, "would be deleted by the server"),
])
@pytest.mark.parametrize("path", ["records/a~b", "audit/00000001"])
def test_settings_of_our_documents(world: World, path: str, settings: dict[str, Any], words: str) -> None:
    world.dev.transport().repeat("POST", f"secret/metadata/{world.ours(path)}", {"max_versions": 2, **settings})
    assert words in world.one_fault()


# --- the log --------------------------------------------------------------------------------------------------------


def swapped(old: dict[str, Any]) -> dict[str, Any]:
    first, second, *rest = old["events"]
    return {**old, "events": [second, first, *rest]}


def without(number: int) -> Callable[[dict[str, Any]], dict[str, Any]]:
    return lambda old: {**old, "events": [entry for n, entry in enumerate(old["events"], 1) if n != number]}


def changed_text(old: dict[str, Any]) -> dict[str, Any]:
    (id_, text, mac), *rest = old["events"]
    return {**old, "events": [[id_, text.replace("secret.set", "secret.get"), mac], *rest]}


@pytest.mark.parametrize("edit", [
    swapped, without(1), without(2), changed_text, lambda old: {**old, "first": 2}, lambda old: {},
    lambda old: {**old, "previous": "00" * 32}, lambda old: {**old, "events": [["x", "{", "00"]]},
    lambda old: {**old, "events": 5},
])
def test_a_log_that_was_altered(world: World, edit: Callable[[dict[str, Any]], Any]) -> None:
    world.alter(world.ours("audit", "00000001"), edit)
    told = world.fresh().verify_log()
    assert "event" in told or "segment" in told
    assert f"audit log: {told}" in world.fresh().check()
    with pytest.raises(StoreDamaged):
        list(world.fresh().events())


def test_a_segment_in_the_middle_that_is_gone(world: World) -> None:
    for number in range(140):
        world.store.log(event(number=f"{number}"))
    assert len(world.folder("audit")) == 3
    events = list(world.fresh().events())
    assert [item.seq for item in events] == list(range(1, 144))
    for since in (0, 1, 63, 64, 65, 127, 128, 129, 142, 143, 144, 1000):
        assert [item.seq for item in world.fresh().events(since=since)] == list(range(since + 1, 144))
    world.raw.forget(world.ours("audit", "00000002"))
    assert world.fresh().verify_log() .startswith("segment 2 of the log was altered, or one")
    with pytest.raises(StoreDamaged, match="breaks off"):
        list(world.fresh().events(since=70))


def test_long_events_begin_another_segment(world: World) -> None:
    for _ in range(5):
        world.store.log(event(text="x" * 100_000))
    assert len(world.folder("audit")) == 2
    assert world.fresh().verify_log() == "" and len(list(world.fresh().events())) == 8
    assert len(list(world.fresh().events(since=7))) == 1


# --- the store itself -----------------------------------------------------------------------------------------------


def test_the_stores_document(world: World, dev: Dev, prefix: str) -> None:
    with pytest.raises(StoreMissing, match="no store at secret/team/nothing"):
        dev.open("nothing")
    assert world.raw.names("team/nothing") == [], "to look for one leaves nothing there"
    with pytest.raises(StoreError, match="there is a store at") as caught:
        dev.create(prefix)
    assert "another mount or prefix" in caught.value.hint
    world.alter(world.ours("store"), lambda old: {**old, "audit": "short"})
    with pytest.raises(StoreDamaged, match="store's document"):
        dev.open(prefix)


def test_no_document_of_ours_that_is_kept_in_versions_holds_a_value(world: World) -> None:
    """Values stand in their own documents and in the public path, nowhere else."""
    found = [world.ours("store"), *world.folder("records"), *world.folder("audit"), *world.folder("history", "a~b")]
    assert len(found) == 4
    for path in found:
        about = world.raw.metadata(path)
        for version in (about or {"versions": {}})["versions"]:
            reply = world.dev.transport().read(f"secret/data/{path}?version={version}")
            assert CANARY not in str(reply.data)


def test_an_erased_value_is_nowhere_any_more(world: World) -> None:
    """Every version of every document below the prefix, as far as the server still gives it."""
    seen = []

    def walk(folder: str) -> None:
        for name in world.raw.names(folder):
            path = f"{folder}/{name.rstrip('/')}"
            if name.endswith("/"):
                walk(path)
                continue
            for version in (world.raw.metadata(path) or {})["versions"]:
                seen.append(str(way.read(f"secret/data/{path}?version={version}").data))

    way = world.dev.transport()
    walk(world.base)
    for number, times in ((2, 1), (1, 0)):
        value = f"{CANARY}-{number}"
        for form in (value, base64.b64encode(value.encode()).decode()):
            assert sum(form in text for text in seen) == times, f"{form} stands somewhere"


@pytest.mark.parametrize("content", [{"1": "{"}, {"1": 5}, {"x": "[]"}])
def test_a_history_that_was_altered(world: World, content: dict[str, Any]) -> None:
    [path] = world.folder("history", "a~b")
    world.alter(path, lambda old: content)
    assert f"the history {path} has another form" in world.one_fault()


@pytest.mark.parametrize("path", ["store", "audit/00000001"])
def test_settings_of_documents_that_are_full_or_made_once(world: World, path: str) -> None:
    for number in range(64):
        world.store.log(event(number=f"{number}"))
    world.dev.transport().repeat("POST", f"secret/metadata/{world.ours(path)}", {"max_versions": 1})
    assert "is to keep 2 versions, and keeps 1" in world.one_fault()


# --- hands in it ----------------------------------------------------------------------------------------------------


@pytest.fixture
def deleting(dev: Dev) -> Iterator[Callable[[str], object]]:
    """Sets delete_version_after of the mount; taken back after the test."""
    def let(after: str) -> object:
        return dev.transport().repeat("POST", "secret/config", {"delete_version_after": after})

    yield let
    let("0s")


def test_a_mount_that_deletes_by_itself_is_not_written_to_and_is_told(
        world: World, deleting: Callable[[str], object]) -> None:
    deleting("1h")
    store = world.fresh()
    kept = world.ours("records", "a~b"), world.ours("audit", "00000001")
    before = [world.raw.read(path).version for path in kept]
    changed = store.load("a/b").put_current(Version(3, Stage.CURRENT, NOW))
    for work in (lambda: store.commit([change(changed, {3: f"{CANARY}-3"})]), lambda: store.log(event()),
                 lambda: store.acquire("a/b", "me", 60.0), lambda: world.dev.create(f"{world.prefix}-more")):
        with pytest.raises(StoreError, match="deletes what is written there by itself") as caught:
            work()
        assert "delete_version_after=0s" in caught.value.hint
    assert store.value("a/b", 2) == SecretValue(f"{CANARY}-2"), "what is there can be read"
    assert store.check() == []
    assert before == [world.raw.read(path).version for path in kept]
    assert len(world.folder("values", "a~b")) == 1
    deleting("0s")
    store.commit([change(changed, {3: f"{CANARY}-3"})])  # the same handle, as in a daemon
    assert world.fresh().check() == []


def test_what_was_written_while_the_mount_came_to_delete_is_told(
        world: World, deleting: Callable[[str], object]) -> None:
    deleting("1h")
    world.store.acquire("a/b", "me", 60.0)  # opened before: it learns it by this write
    with pytest.raises(StoreError, match="deletes what is written there by itself"):
        world.store.acquire("c", "me", 60.0)
    assert "the record document of a/b will be deleted by the server at" in world.one_fault()
    [value] = world.folder("values", "a~b")
    content = dict(world.raw.read(value).content or {})
    world.raw.forget(value)
    with pytest.raises(StoreError, match="deletes what is written there by itself"):
        world.raw.write(value, content, 0, lambda found: False)
        world.raw.write(value, content, 1, lambda found: False)
    assert any("the value of a/b version 2 will be deleted" in line for line in world.fresh().check())
    deleting("0s")
    world.raw.forget(value)
    world.raw.catch_up(world.ours("clock"))
    world.raw.write(value, content, 0, lambda found: False)
    world.store.acquire("c", "me", 60.0)
    assert "the record document of a/b will be deleted by the server at" in world.one_fault()
    world.store.commit([change(world.store.load("a/b"))])
    assert world.fresh().check() == []


def test_records_without_the_stores_document_are_not_taken_for_no_store(world: World, dev: Dev) -> None:
    """New keys would make every value that is there count as altered."""
    world.raw.forget(world.ours("store"))
    for work in (world.fresh, lambda: dev.create(world.prefix)):
        with pytest.raises(StoreDamaged, match="is gone, and records of it are there"):
            work()
    assert world.raw.read(world.ours("store")).version == 0


def test_damage_names_what_brings_it_back_on_a_cluster(world: World) -> None:
    world.raw.hide(world.ours("records", "a~b"))
    with pytest.raises(StoreDamaged) as caught:
        world.fresh().load("a/b")
    assert "kv undelete" in caught.value.hint and "clawsecrets restore" not in caught.value.hint


OTHER = "1-00/../../../../apps/theirs"
BESIDE = "team/x/.clawsecrets/history/a~b/../../../../../apps/theirs"


@pytest.mark.parametrize("edit", [
    lambda old: {**old, "values": {"2": [OTHER, "00"]}},
    lambda old: {**old, "todo": {**old["todo"], "erase": [OTHER]}},
    lambda old: {**old, "todo": {**old["todo"], "forget": ["apps/theirs"]}},
    lambda old: {**old, "todo": {**old["todo"], "forget": [BESIDE]}},
])
def test_a_record_written_by_hand_reaches_nothing_but_its_own(
        world: World, edit: Callable[[dict[str, Any]], Any]) -> None:
    """Whoever may write records could otherwise have destroyed what only we may destroy."""
    world.raw.write("apps/theirs", {"key": "v"}, world.raw.read("apps/theirs").version, lambda content: False)

    def own(old: dict[str, Any]) -> dict[str, Any]:
        text = str(edit(old)).replace("team/x/", f"{world.base}/")
        return dict(ast.literal_eval(text))

    world.alter(world.ours("records", "a~b"), own)
    assert world.fresh().check()
    for work in (lambda: world.fresh().acquire("a/b", "me", 60.0), lambda: world.fresh().mend()):
        with suppress(StoreError):
            work()
    assert world.raw.read("apps/theirs").content == {"key": "v"}


def test_a_value_whose_first_commit_never_came_is_mended(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    wire = Dying(world.dev.connection())
    store = world.dev.open(world.prefix, wire)
    wire.arm(1, "values/new/1-")
    with pytest.raises(Killed):
        put(store, "new", "v")
    monkeypatch.setattr(deepcheck, "DAY", -1.0)
    assert "--mend" in world.one_fault()
    assert world.fresh().mend() and world.fresh().check() == []
    assert "new" not in world.fresh().names()
