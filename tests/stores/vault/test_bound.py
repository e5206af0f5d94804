"""A delivery reads what is bound to its target and nothing else; a record that cannot be read stops no other."""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from clawsecrets.errors import StoreDamaged, StoreError
from clawsecrets.injectors.bundle import ResolverBundle
from clawsecrets.model.record import Record
from clawsecrets.model.rotation import Outcome
from clawsecrets.model.secret import Secret, SecretValue, Stage, Version
from clawsecrets.ports import Entry
from clawsecrets.rotate.delivery import deliver_one, entries_for
from clawsecrets.stores.vault.reply import Reply, Said
from clawsecrets.stores.vault.store import VaultStore
from clawsecrets.stores.vault.transport import Wire
from tests.contract.store import NOW, change, fresh
from tests.real.openbao import binary
from tests.stores.vault.conftest import Dev
from tests.stores.vault.wires import Dying, Killed

pytestmark = pytest.mark.real("openbao")
CANARY = "canary-51c0d9"
MANY = 40


class Told(Wire):
    """Remembers what is sent."""

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self.sent: list[str] = []

    def send(self, method: str, path: str, *given: Any, **named: Any) -> Any:
        self.sent.append(f"{method} {path}")
        return super().send(method, path, *given, **named)


def bind(store: VaultStore, name: str, *targets: str) -> Record:
    record = fresh(name)
    record = replace(record, secret=replace(record.secret, injectors=targets))
    return store.commit([change(record, {1: f"{CANARY}-{name}"})])[0]


def names(store: VaultStore, target: str) -> list[str]:
    return [record.secret.name for record in store.bound(target)]


def list_of(prefix: str, target: str) -> str:
    return f"team/{prefix}/.clawsecrets/bound/{target}"


def record_of(prefix: str, name: str) -> str:
    return f"team/{prefix}/.clawsecrets/records/{name}"


def garble(dev: Dev, path: str, content: Mapping[str, Any] | None = None) -> None:
    raw = dev.documents()
    raw.write(path, content or {"what": "is this"}, raw.read(path).version, lambda found: False)


def test_a_bundle_takes_two_requests_and_two_for_each_secret_in_it(dev: Dev, prefix: str) -> None:
    store = dev.create(prefix)
    for number in range(MANY):
        bind(store, f"key-{number}", *(("one",) if number == 7 else ()), *(("few",) if number < 5 else ()))
    for target, wanted in (("one", ["key-7"]), ("few", [f"key-{number}" for number in range(5)])):
        wire = Told(dev.connection())
        handle = dev.open(prefix, wire)
        wire.sent.clear()
        entries = entries_for(handle, None, target)
        assert [entry.name for entry in entries] == wanted
        assert [entry.value for entry in entries] == [SecretValue(f"{CANARY}-{name}") for name in wanted]
        assert len(wire.sent) == 1 + 2 * len(wanted), wire.sent


def test_what_is_bound_follows_the_records(dev: Dev, prefix: str) -> None:
    store, other = dev.create(prefix), dev.open(prefix)
    assert names(other, "t@host") == []
    record = bind(store, "a/b", "t@host", "u")
    bind(store, "c", "t@host")
    assert names(other, "t@host") == ["a/b", "c"] and names(other, "u") == ["a/b"] and names(other, "t") == []
    record = store.commit([change(replace(record, secret=replace(record.secret, injectors=("u",))))])[0]
    assert names(other, "t@host") == ["c"]
    record = store.commit([change(replace(record, secret=replace(record.secret, deleted_at=NOW)))])[0]
    assert names(other, "u") == []
    store.purge("a/b", change(record).event)
    assert names(other, "u") == [] and store.check() == []
    bind(store, "a/b", "u")
    assert names(other, "u") == ["a/b"] and dev.open(prefix).check() == []


def test_targets_with_odd_names_stay_in_their_folder(dev: Dev, prefix: str) -> None:
    store = dev.create(prefix)
    for number, target in enumerate(("..", ".", "../../x", "%..", "a/b", "ü")):
        bind(store, f"k{number}", target)
        assert names(store, target) == [f"k{number}"]
    assert dev.documents().names(f"team/{prefix}/.clawsecrets") == sorted(
        ["audit/", "bound/", "clock", "records/", "store", "values/"])
    assert len(dev.documents().names(f"team/{prefix}/.clawsecrets/bound")) == 6


def test_without_a_list_every_record_is_read_and_the_next_binding_makes_it_whole(dev: Dev, prefix: str) -> None:
    store, raw = dev.create(prefix), dev.documents()
    for name in ("a", "b"):
        bind(store, name, "t")
    spoil: list[Callable[[], object]] = [
        lambda: raw.forget(list_of(prefix, "t")), lambda: raw.hide(list_of(prefix, "t")),
        lambda: garble(dev, list_of(prefix, "t")), lambda: garble(dev, list_of(prefix, "t"), {"names": ["a", 5]})]
    known = ["a", "b"]
    for number, spoiled in enumerate(spoil):
        spoiled()
        assert names(dev.open(prefix), "t") == known
        bind(dev.open(prefix), f"c{number}", "t")
        known = sorted([*known, f"c{number}"])
        assert (raw.read(list_of(prefix, "t")).content or {})["names"] == known
        assert names(dev.open(prefix), "t") == known


def test_a_name_that_is_missing_in_a_list_is_found_and_mended(dev: Dev, prefix: str) -> None:
    store = dev.create(prefix)
    bind(store, "a", "t")
    bind(store, "b", "t")
    garble(dev, list_of(prefix, "t"), {"names": ["b"]})
    faults = list(dev.open(prefix).check())
    assert len(faults) == 1 and "a is bound to t, whose list does not have it" in faults[0], faults
    assert dev.open(prefix).mend() == ["a was added to the list of what is bound to t"]
    assert dev.open(prefix).check() == [] and names(dev.open(prefix), "t") == ["a", "b"]


def test_killed_at_any_write_of_a_first_binding_nothing_that_is_bound_is_left_out(dev: Dev, prefix: str) -> None:
    dev.create(prefix)
    number = 0
    while True:
        number += 1
        wire = Dying(dev.connection())
        dying = dev.open(prefix, wire)
        wire.arm(number)
        name = f"k{number}"
        try:
            bind(dying, name, "t")
            break
        except Killed:
            pass
        store = dev.open(prefix)
        committed = name in store.names()
        assert (name in names(store, "t")) is committed
    assert number > 5
    assert name in names(dev.open(prefix), "t") and dev.open(prefix).check() == []


def test_many_who_bind_at_once_lose_none(dev: Dev, prefix: str) -> None:
    dev.create(prefix)
    handles, failed = [dev.open(prefix) for _ in range(4)], []

    def work(place: int) -> None:
        try:
            for number in range(6):
                bind(handles[place], f"k{place}-{number}", "t", f"own{place}")
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=work, args=(place,)) for place in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed
    assert names(dev.open(prefix), "t") == sorted(f"k{place}-{number}" for place in range(4) for number in range(6))
    assert len(names(dev.open(prefix), "own2")) == 6 and dev.open(prefix).check() == []


# --- a record that cannot be read -----------------------------------------------------------------------------------


def test_the_others_are_given_and_the_broken_one_is_named(dev: Dev, prefix: str) -> None:
    store, raw = dev.create(prefix), dev.documents()
    for name in ("a", "b", "c"):
        bind(store, name, "t")
    for spoil in (lambda: garble(dev, record_of(prefix, "b")), lambda: raw.hide(record_of(prefix, "b"))):
        spoil()
        store, broken = dev.open(prefix), dict[str, StoreError]()
        assert list(store.names(broken=broken.__setitem__)) == ["a", "c"]
        assert [one.secret.name for one in store.records(broken=broken.__setitem__)] == ["a", "c"]
        assert [one.secret.name for one in store.bound("t", broken=broken.__setitem__)] == ["a", "c"]
        assert list(broken) == ["b"] and isinstance(broken["b"], StoreDamaged)
        for strict in (store.names, store.records, lambda store=store: store.bound("t")):
            with pytest.raises(StoreDamaged, match="record document of b"):
                list(strict())


@pytest.mark.parametrize("deleted", [False, True])
def test_the_command_that_the_hint_names_brings_it_back(dev: Dev, prefix: str, deleted: bool) -> None:
    store, path = dev.create(prefix), record_of(prefix, "a")
    saved = bind(store, "a", "t")
    dev.documents().hide(path) if deleted else garble(dev, path)
    with pytest.raises(StoreDamaged) as caught:
        dev.open(prefix).load("a")
    command = caught.value.hint.partition(" (")[0].split()
    assert command[0] == "bao" and path in command
    subprocess.run([binary(), *command[1:]], check=True, capture_output=True,
                   env={"BAO_ADDR": dev.url, "BAO_TOKEN": dev.token, "HOME": "/nowhere"})
    mended = dev.open(prefix)
    assert mended.load("a") == saved and mended.value("a", 1) == SecretValue(f"{CANARY}-a")
    assert mended.check() == []


def test_a_policy_that_gives_no_record_is_one_error(dev: Dev, prefix: str) -> None:
    """Not one for each of a thousand."""
    store = dev.create(prefix)
    bind(store, "a", "t")
    bind(store, "b", "t")

    class Refuses(Wire):
        deny = "/records/"

        def send(self, method: str, path: str, *given: Any, **named: Any) -> Any:
            if method == "GET" and self.deny in path:
                return Reply(Said.DENIED, "permission denied")
            return super().send(method, path, *given, **named)

    wire = Refuses(dev.connection())
    broken: dict[str, StoreError] = {}
    with pytest.raises(StoreError, match="permission denied"):
        list(dev.open(prefix, wire).records(broken=broken.__setitem__))
    assert not broken
    wire.deny = "/records/a"
    assert [one.secret.name for one in dev.open(prefix, wire).records(broken=broken.__setitem__)] == ["b"]
    assert list(broken) == ["a"]


def test_a_bundle_keeps_what_it_holds_of_a_secret_whose_record_is_broken(
        dev: Dev, prefix: str, tmp_path: Path) -> None:
    store, bundle = dev.create(prefix), ResolverBundle("t", tmp_path / "b" / "bundle")
    for name in ("a", "b"):
        bind(store, name, "t")
    assert bundle.deliver(entries_for(store, None, "t", None, bundle)).outcome.value == "ok"
    garble(dev, record_of(prefix, "b"))
    before = dev.documents().read(record_of(prefix, "b")).version
    store = dev.open(prefix)
    record = store.load("a").put_current(Version(2, Stage.CURRENT, NOW))
    store.commit([change(record, {2: f"{CANARY}-new"})])
    assert bundle.deliver(entries_for(store, None, "t", None, bundle)).outcome.value == "ok"
    for name, version, value in (("a", 2, f"{CANARY}-new"), ("b", 1, f"{CANARY}-b")):
        assert bundle.holds(Entry(name, version, SecretValue(value)))
    assert dev.documents().read(record_of(prefix, "b")).version == before
    (tmp_path / "b" / "bundle.key").write_bytes(b"x" * 32)
    with pytest.raises(StoreDamaged, match="record document of b"):
        entries_for(store, None, "t", None, bundle)


# --- a value that is lost -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("erased", [False, True])
@pytest.mark.parametrize("hidden", [False, True])
def test_a_lost_value_is_replaced(dev: Dev, prefix: str, hidden: bool, erased: bool) -> None:
    store, raw = dev.create(prefix), dev.documents()
    record = bind(store, "a", "t")
    if erased:  # its public path still shows what that commit erases, if the process dies now
        wire = Dying(dev.connection())
        dying = dev.open(prefix, wire)
        wire.arm(1, f"data/{record_of(prefix, 'a')}")
        changed = record.put_current(Version(2, Stage.CURRENT, NOW)).change(1, lambda v: replace(v, erased_at=NOW))
        with pytest.raises(Killed):
            dying.commit([change(changed, {2: f"{CANARY}-second"})])
    store = dev.open(prefix)
    record = store.load("a")
    folder = f"team/{prefix}/.clawsecrets/values/a"
    [path] = [f"{folder}/{one}" for one in raw.names(folder) if one.startswith(f"{record.last_number}-")]
    (raw.hide if hidden else raw.forget)(path)
    number = record.last_number + 1
    healed = record.put_current(Version(number, Stage.CURRENT, NOW))
    healed = healed.change(record.last_number, lambda v: replace(v, erased_at=NOW))
    with pytest.raises(StoreDamaged):  # what does not replace it cannot be done
        store.commit([change(replace(record, reconcile=True))])
    store.commit([change(healed, {number: f"{CANARY}-healed"})])
    mended = dev.open(prefix)
    assert mended.value("a", number) == SecretValue(f"{CANARY}-healed") and mended.check() == []
    assert dev.public(prefix, "a") == {"value": f"{CANARY}-healed", "version": str(number)}
    if erased:
        way, public = dev.transport(), f"team/{prefix}/a"
        versions = (raw.metadata(public) or {})["versions"]
        shown = [str(way.read(f"secret/data/{public}?version={version}").data) for version in versions]
        assert not any(f"{CANARY}-a" in text for text in shown)


# --- how many requests a delivery takes -----------------------------------------------------------------------------


def test_a_delivery_looks_again_after_its_write_without_reading_the_values_again(
        dev: Dev, prefix: str, tmp_path: Path) -> None:
    store, bundle = dev.create(prefix), ResolverBundle("t", tmp_path / "b" / "bundle")
    for number in range(MANY):
        bind(store, f"key-{number}", *(("t",) if number < 8 else ()))
    wire = Told(dev.connection())
    handle = dev.open(prefix, wire)
    wire.sent.clear()
    assert deliver_one(handle, Everyone(), None, "t", bundle).outcome is Outcome.OK
    assert sum("/values/" in sent for sent in wire.sent) == 8
    assert sum("/records/" in sent for sent in wire.sent) == 16 and len(wire.sent) == 26, wire.sent


class Everyone:
    """Gear for secrets that are no admin's and in no rotation."""

    def is_admin(self, secret: Secret) -> bool:
        return False

    def outfit(self, secret: Secret, strategy: str = "") -> Any:
        raise AssertionError("nobody rotates")
