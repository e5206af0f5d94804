"""What other readers get: the public path in every form, and secrets that are managed where they already are."""

from __future__ import annotations

from dataclasses import replace

import pytest

from clawsecrets.errors import UsageError
from clawsecrets.model.secret import SecretValue, Stage, Version
from clawsecrets.ports import Change
from clawsecrets.stores.vault.layout import MAX_VALUE, Shared, flat, shared, unflat
from tests.contract.store import NOW, change, event, fresh, put
from tests.stores.vault.conftest import Dev

pytestmark = pytest.mark.real("openbao")
OTHERS = {"DISCORD": "kept", "number": 5, "nested": {"a": [1, None]}}


def rotate(store, name: str, value: str | bytes) -> None:  # type: ignore[no-untyped-def]
    record = store.load(name)
    number = record.last_number + 1
    changed = record.put_current(Version(number, Stage.CURRENT, NOW))
    store.commit([Change(changed, event(), {number: SecretValue(value)})])


# --- the store's own paths ------------------------------------------------------------------------------------------


def test_a_pending_value_is_not_shown_and_a_promoted_one_is(dev: Dev, prefix: str) -> None:
    store = dev.create(prefix)
    record = put(store, "a", "one")
    staged = record.add_version(Version(2, Stage.PENDING, NOW))
    record = store.commit([change(staged, {2: "two"})])[0]
    assert dev.public(prefix, "a") == {"value": "one", "version": "1"}
    moved = record.change(1, lambda v: replace(v, stage=Stage.PREVIOUS)).change(
        2, lambda v: replace(v, stage=Stage.CURRENT))
    record = store.commit([change(moved)])[0]
    assert dev.public(prefix, "a") == {"value": "two", "version": "2"}
    back = record.change(2, lambda v: replace(v, stage=Stage.PENDING)).change(
        1, lambda v: replace(v, stage=Stage.CURRENT))
    store.commit([change(back)])
    found = dev.documents().read(f"team/{prefix}/a")
    assert (found.version, found.content) == (3, {"value": "one", "version": "1"}), "back-out is a new version"


@pytest.mark.parametrize("value", [
    b"", b"\xff\x00", "x" * MAX_VALUE, b"\xff" * MAX_VALUE, b"\x00" * MAX_VALUE, "<&>" * (MAX_VALUE // 3),
    '"\\\n' * (MAX_VALUE // 3), "\u2028é" * 1000,
], ids=["empty", "bytes", "long", "long bytes", "long nul", "long markup", "long quotes", "odd"])
def test_any_value_is_shown_as_text_or_base64(dev: Dev, prefix: str, value: str | bytes) -> None:
    store = dev.create(prefix)
    raw = value.encode() if isinstance(value, str) else value
    store.commit([Change(fresh("a"), event(), {1: SecretValue(raw)})])
    shown = dev.public(prefix, "a")
    assert shown is not None and shown["version"] == "1"
    import base64

    got = shown["value"].encode() if "value" in shown else base64.b64decode(shown["value_base64"])
    assert got == raw
    assert ("value" in shown) == (raw in (b"", b"x" * MAX_VALUE, ("\u2028é" * 1000).encode()))
    assert store.value("a", 1).reveal() == raw and store.check() == []


def test_a_value_that_no_cluster_takes_is_refused(dev: Dev, prefix: str) -> None:
    store = dev.create(prefix)
    with pytest.raises(UsageError, match=f"{MAX_VALUE} bytes"):
        put(store, "a", "x" * (MAX_VALUE + 1))
    assert store.names() == [] and store.check() == []


@pytest.mark.parametrize("name", ["a..b", "a.", "a/.b", "a-/b_", "0" * 128, "a/b/c/d", "x.clawsecrets/store"])
def test_names_of_every_form(dev: Dev, prefix: str, name: str) -> None:
    store = dev.create(prefix)
    put(store, name, "one")
    assert unflat(flat(name)) == name and store.names() == [name]
    rotate(store, name, "two")
    record = store.load(name).change(1, lambda v: replace(v, stage=Stage.REVOKED, erased_at=NOW))
    store.commit([change(record)])
    assert dev.public(prefix, name) == {"value": "two", "version": "2"}
    assert [v.number for v in store.history(name)] == [1, 2] and store.check() == []


def test_a_name_below_another_does_not_disturb_it(dev: Dev, prefix: str) -> None:
    store = dev.create(prefix)
    for name in ("a", "a/b", "a/b/c"):
        put(store, name, name)
    record = store.load("a/b")
    store.commit([change(replace(record, secret=replace(record.secret, deleted_at=NOW)))])
    store.purge("a/b", event())
    assert dev.public(prefix, "a/b") is None
    assert [dev.public(prefix, name) for name in ("a", "a/b/c")] == [
        {"value": name, "version": "1"} for name in ("a", "a/b/c")]
    assert store.check() == []


# --- where they already are -----------------------------------------------------------------------------------------


def test_a_teams_own_path_keeps_its_other_fields_and_readers(dev: Dev, prefix: str) -> None:
    raw, path = dev.documents(), f"theirs/{prefix}"
    raw.write(path, {**OTHERS, "OPENAI": "old"}, 0, lambda content: False)
    store = dev.create(prefix, paths={"openai": f"secret/data/{path}#OPENAI"})
    assert store.outside("openai") == SecretValue("old") and store.outside("other") is None
    put(store, "openai", "old")
    assert raw.read(path).version == 1, "it held that already"
    rotate(store, "openai", "new")
    assert raw.read(path).content == {**OTHERS, "OPENAI": "new"}
    assert dev.public(prefix, "openai") is None, "there is no second place"
    assert store.check() == []


def test_nothing_of_a_teams_own_path_is_ever_deleted_or_destroyed(dev: Dev, prefix: str) -> None:
    raw, path = dev.documents(), f"theirs/{prefix}"
    raw.write(path, {**OTHERS, "KEY": "old"}, 0, lambda content: False)
    store = dev.create(prefix, paths={"a": f"secret/data/{path}#KEY"})
    put(store, "a", "old")
    rotate(store, "a", "new")
    record = store.load("a").change(1, lambda v: replace(v, stage=Stage.REVOKED, erased_at=NOW))
    record = store.commit([change(record)])[0]
    store.commit([change(replace(record, secret=replace(record.secret, deleted_at=NOW)))])
    store.purge("a", event())
    about = raw.metadata(path)
    assert about is not None
    assert not any(entry["destroyed"] or entry["deletion_time"] for entry in about["versions"].values())
    assert raw.read(path).content == {**OTHERS, "KEY": "new"} and about["max_versions"] == 0
    assert store.check() == []


def test_what_the_team_writes_meanwhile_is_kept(dev: Dev, prefix: str) -> None:
    """Their write comes between our reading and our writing."""
    raw, path = dev.documents(), f"theirs/{prefix}"
    raw.write(path, {"KEY": "old"}, 0, lambda content: False)
    store = dev.create(prefix, paths={"a": f"secret/data/{path}#KEY"})
    put(store, "a", "old")
    way, left = store._documents._way, [1]
    honest = way.write

    def write(method: str, asked: str, *rest: object) -> object:
        if asked == f"secret/data/{path}" and left:
            left.pop()
            raw.write(path, {"KEY": "old", "NEW": "theirs"}, 1, lambda content: False)
        return honest(method, asked, *rest)  # type: ignore[arg-type]

    way.write = write  # type: ignore[method-assign, assignment]
    rotate(store, "a", "new")
    assert not left and raw.read(path).content == {"KEY": "new", "NEW": "theirs"}


def test_a_teams_own_path_that_is_not_there_yet_is_made(dev: Dev, prefix: str) -> None:
    store = dev.create(prefix, paths={"a": f"secret/data/theirs/{prefix}#KEY"})
    put(store, "a", "one")
    assert dev.documents().read(f"theirs/{prefix}").content == {"KEY": "one"}


def test_another_mount(dev: Dev, prefix: str) -> None:
    dev.transport().repeat("POST", f"sys/mounts/team-{prefix}/kv", {"type": "kv", "options": {"version": "2"}})
    store = dev.create(prefix, paths={"a": f"team-{prefix}/kv/data/x#KEY"})
    put(store, "a", "one")
    assert dev.documents().beside(f"team-{prefix}/kv").read("x").content == {"KEY": "one"}


def test_what_is_no_text_is_refused_before_anything_is_written(dev: Dev, prefix: str) -> None:
    store = dev.create(prefix, paths={"a": f"secret/data/theirs/{prefix}#KEY"})
    with pytest.raises(UsageError, match="no text") as caught:
        store.commit([Change(fresh("a"), event(), {1: SecretValue(b"\xff\xfe")})])
    assert "#KEY" in caught.value.message and store.names() == [] and store.check() == []


@pytest.mark.parametrize(("text", "place"), [
    ("secret/data/openclaw#OPENAI_API_KEY", Shared("secret", "openclaw", "OPENAI_API_KEY")),
    ("team/kv/data/a/b#x y", Shared("team/kv", "a/b", "x y")),
    ("secret/data/a/data/b#k#1", Shared("secret", "a/data/b", "k#1")),
])
def test_how_a_place_is_written(text: str, place: Shared) -> None:
    assert shared(text) == place and str(place) == text


@pytest.mark.parametrize("text", ["", "secret/openclaw#X", "secret/data/openclaw", "secret/data/#X", "secret/data/a#",
                                  "/data/a#X", "secret/data/../sys#X", "secret//data/a#X", "secret/data/a//b#X"])
def test_what_is_no_place(text: str) -> None:
    with pytest.raises(UsageError, match="not a place"):
        shared(text)
