"""The contract suite of ports.Store. An adapter's test subclasses StoreContract and says how to open its store.

    class TestMine(StoreContract):
        @pytest.fixture
        def reopen(self, tmp_path):
            return lambda: open_mine(tmp_path)      # each call: one more handle on the same store

Nothing here needs several records in one commit to be atomic: not every store can do that.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from clawsecrets.errors import Fenced, NotFound, StaleRecord, StoreBusy, StoreError, UsageError
from clawsecrets.model.audit import AuditEvent
from clawsecrets.model.policy import RotationPolicy
from clawsecrets.model.record import Ack, Record, Revocation
from clawsecrets.model.rotation import Rotation, State, Wait
from clawsecrets.model.secret import Kind, Secret, SecretValue, Stage, Version
from clawsecrets.ports import Change, Lease, Store

NOW = 1_790_000_000.5
CALM = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.differing_executors]


def event(action: str = "secret.set", secret: str = "", **detail: str) -> AuditEvent:
    return AuditEvent(NOW, "tester@host/1", action, secret, detail=detail)


def fresh(name: str) -> Record:
    """A secret with one CURRENT version, number 1, not stored yet."""
    secret = Secret(name, "generic", Kind.API_KEY, NOW)
    return Record(secret).add_version(Version(1, Stage.CURRENT, NOW))


def put(store: Store, name: str, value: str = "first") -> Record:
    return store.commit([Change(fresh(name), event(secret=name), {1: SecretValue(value)})])[0]


def change(record: Record, values: dict[int, str] | None = None) -> Change:
    given_values = {number: SecretValue(value) for number, value in (values or {}).items()}
    return Change(record, event(secret=record.secret.name), given_values)


def everything(name: str) -> Record:
    """A record in which no field has its default."""
    secret = Secret(name, "openai", Kind.ADMIN, NOW, "OPENAI_API_KEY", ("env", "dir@other"), ("gw",), "llm",
                    RotationPolicy(90.0, 0.5, False), 0.0, "assisted", (("account_id", "7"), ("project", "é")),
                    4.0, 8.0, "moving")
    versions = (
        Version(1, Stage.PREVIOUS, 1.0, "0123456789abcdef", "h1", "me", "import", "l1", 2.0, 3.0, 4.0, 0.0, 6.0),
        Version(2, Stage.CURRENT, 2.5, "fedcba9876543210", "h2"),
    )
    rotation = Rotation("rot-1", name, "overlap", State.STUCK, 1.0, 2.0, 1, 2, 3, 2, 9, False, 4.0, Wait.PERSON,
                        "why", State.CREATING, True, True, ("no test",), 5.0)
    owed = (Revocation(1, "h1", 1.0, "replaced", 2, 3.0, "busy"), Revocation(0, "orphan", 2.0, "orphan"))
    acks = (Ack("env", 2, 3.0, "sha"), Ack("dir@other", 1, 3.0, ""))
    return Record(secret, versions, rotation, owed, acks, 2, 0, True)


class StoreContract:
    """What every store must hold."""

    @pytest.fixture
    def reopen(self) -> Callable[[], Store]:
        raise NotImplementedError("an adapter's test says how its store is opened")

    @pytest.fixture
    def store(self, reopen: Callable[[], Store]) -> Store:
        return reopen()

    # --- records and values --------------------------------------------------------------------------------------

    def test_an_empty_store_is_sound(self, store: Store) -> None:
        assert list(store.names()) == list(store.records()) == list(store.events()) == []
        assert store.verify_log() == ""
        assert list(store.check()) == []

    def test_what_was_committed_is_read_back(self, store: Store, reopen: Callable[[], Store]) -> None:
        saved = put(store, "a/one", "välue\n\x00")
        assert saved == replace(fresh("a/one"), revision=1)
        for handle in (store, reopen()):
            assert handle.load("a/one") == saved
            assert handle.value("a/one", 1) == SecretValue("välue\n\x00")
            assert list(handle.names()) == ["a/one"]

    def test_every_field_survives(self, store: Store, reopen: Callable[[], Store]) -> None:
        record = everything("full")
        saved = store.commit([change(record, {1: "one", 2: "two"})])[0]
        assert saved == replace(record, revision=1)
        assert reopen().load("full") == saved

    def test_several_values_come_in_the_order_asked_for(self, store: Store) -> None:
        for name in ("a", "b", "c"):
            put(store, name, f"value of {name}")
        assert list(store.values([("c", 1), ("a", 1), ("c", 1)])) == [
            SecretValue("value of c"), SecretValue("value of a"), SecretValue("value of c")]
        assert list(store.values([])) == []
        for missing in (("b", 2), ("d", 1)):
            with pytest.raises(NotFound):
                store.values([("a", 1), missing])

    def test_values_are_bytes_of_any_kind(self, store: Store) -> None:
        raw = bytes(range(256)) * 40
        store.commit([Change(fresh("raw"), event(), {1: SecretValue(raw)})])
        assert store.value("raw", 1).reveal() == raw

    def test_names_are_in_order_and_records_too(self, store: Store) -> None:
        for name in ("b", "a.z", "a-b", "a/b", "a0"):
            put(store, name)
        assert list(store.names()) == sorted(["b", "a.z", "a-b", "a/b", "a0"])
        assert [record.secret.name for record in store.records()] == list(store.names())

    def test_bound_records_are_those_of_that_target(self, store: Store, reopen: Callable[[], Store]) -> None:
        targets = {"a": ("t", "u@host"), "b/c": ("t",), "d": (), "e": ("t2",), "f": ("t",)}
        for name, bound in targets.items():
            record = replace(fresh(name), secret=replace(fresh(name).secret, injectors=bound))
            store.commit([change(record, {1: name})])
        other = reopen()

        def names(target: str) -> list[str]:
            return [record.secret.name for record in other.bound(target)]

        assert names("t") == ["a", "b/c", "f"] and names("u@host") == ["a"] and names("u") == []
        assert [other.load(name) for name in names("t")] == list(other.bound("t"))
        gone, moved = store.load("f"), store.load("d")
        store.commit([change(replace(gone, secret=replace(gone.secret, deleted_at=NOW)))])
        store.commit([change(replace(moved, secret=replace(moved.secret, injectors=("t", "u"))))])
        assert names("t") == ["a", "b/c", "d"] and names("u") == ["d"]
        back = store.load("f")
        store.commit([change(replace(back, secret=replace(back.secret, deleted_at=0.0)))])
        assert names("t") == ["a", "b/c", "d", "f"]

    def test_who_asks_to_be_told_of_broken_records_is_told_of_none_here(self, store: Store) -> None:
        put(store, "a")
        broken: dict[str, StoreError] = {}
        assert list(store.names(broken=broken.__setitem__)) == ["a"]
        assert list(store.records(broken=broken.__setitem__)) == [store.load("a")]
        assert list(store.bound("t", broken=broken.__setitem__)) == [] and not broken

    def test_records_may_be_committed_while_they_are_iterated(self, store: Store) -> None:
        for name in ("a", "b", "c"):
            put(store, name)
        for record in store.records():
            store.commit([change(replace(record, reconcile=True))])
        assert all(record.reconcile and record.revision == 2 for record in store.records())

    def test_unknown_things_are_not_found(self, store: Store) -> None:
        put(store, "a")
        with pytest.raises(NotFound, match="nothing-here"):
            store.load("nothing-here")
        with pytest.raises(NotFound):
            store.value("a", 2)
        with pytest.raises(NotFound):
            store.history("nothing-here")
        with pytest.raises(NotFound):
            store.purge("nothing-here", event())

    @pytest.mark.parametrize("name", ["", "Upper", "a b", "../a", "a//b", "a" * 129, "é"])
    def test_bad_names_are_refused(self, store: Store, name: str) -> None:
        with pytest.raises(UsageError):
            put(store, name)
        assert list(store.names()) == []

    # --- commits -------------------------------------------------------------------------------------------------

    def test_a_commit_must_build_on_the_newest_revision(self, store: Store, reopen: Callable[[], Store]) -> None:
        old = put(store, "a")
        new = reopen().commit([change(old.put_current(Version(2, Stage.CURRENT, NOW)), {2: "second"})])[0]
        with pytest.raises(StaleRecord, match="a "):
            store.commit([change(old.put_current(Version(2, Stage.CURRENT, NOW)), {2: "other"})])
        assert store.load("a") == new
        assert store.value("a", 2) == SecretValue("second")

    def test_a_new_record_cannot_overwrite_one(self, store: Store) -> None:
        put(store, "a", "kept")
        with pytest.raises(StaleRecord):
            put(store, "a", "lost")
        assert store.value("a", 1) == SecretValue("kept")

    def test_a_record_that_is_gone_is_stale(self, store: Store) -> None:
        with pytest.raises(StaleRecord):
            store.commit([change(replace(fresh("a"), revision=3), {1: "x"})])

    def test_what_raises_commits_nothing(self, store: Store) -> None:
        saved = put(store, "a")
        count = len(list(store.events()))
        for bad in (
            change(saved.put_current(Version(2, Stage.CURRENT, NOW))),  # a version without its value
            change(saved, {1: "again"}),  # a value that is there already
            change(saved, {7: "seventh"}),  # a value without its version
            change(replace(saved, versions=()), {}),  # a live version that would be lost
            change(replace(saved, last_number=0), {}),  # numbers going back
            change(replace(saved, versions=saved.versions * 2), {}),  # a number twice
        ):
            with pytest.raises(StoreError):
                store.commit([bad])
        assert store.load("a") == saved
        assert len(list(store.events())) == count

    def test_an_oversized_value_is_refused(self, store: Store) -> None:
        with pytest.raises(UsageError):
            put(store, "a", "x" * ((1 << 20) + 1))

    def test_no_changes_no_commit(self, store: Store) -> None:
        assert list(store.commit([])) == []
        assert list(store.events()) == []

    # --- erasing and history -------------------------------------------------------------------------------------

    def _erased(self, store: Store, name: str = "a") -> Record:
        record = put(store, name)
        record = store.commit([change(record.put_current(Version(2, Stage.CURRENT, NOW)), {2: "second"})])[0]
        dead = record.change(1, lambda v: replace(v, stage=Stage.REVOKED, dead_at=NOW, erased_at=NOW))
        return store.commit([change(dead)])[0]

    def test_an_erased_version_moves_to_the_history(self, store: Store, reopen: Callable[[], Store]) -> None:
        saved = self._erased(store)
        assert [version.number for version in saved.versions] == [2]
        for handle in (store, reopen()):
            assert handle.load("a") == saved
            assert [version.number for version in handle.history("a")] == [1, 2]
            assert handle.history("a")[0].erased_at == NOW
            with pytest.raises(NotFound):
                handle.value("a", 1)
        assert list(store.check()) == []

    def test_an_erased_version_that_is_owed_stays(self, store: Store) -> None:
        record = put(store, "a")
        record = store.commit([change(record.put_current(Version(2, Stage.CURRENT, NOW)), {2: "second"})])[0]
        owed = record.owe(Revocation(1, "h", NOW, "replaced")).change(1, lambda v: replace(v, erased_at=NOW))
        saved = store.commit([change(owed)])[0]
        assert [version.number for version in saved.versions] == [1, 2]
        with pytest.raises(NotFound):
            store.value("a", 1)
        settled = store.commit([change(saved.settle_debt(saved.revocations[0], NOW))])[0]
        assert [version.number for version in settled.versions] == [2]

    def test_a_refresh_token_comes_with_its_value_and_ends_the_former(
            self, store: Store, reopen: Callable[[], Store]) -> None:
        first = fresh("a").put_refresh_token(Version(2, Stage.REFRESH, NOW), NOW)
        held = store.commit([change(first, {1: "value-1", 2: "refresh-1"})])[0]
        both = held.add_version(Version(3, Stage.PENDING, NOW)).put_refresh_token(Version(4, Stage.REFRESH, NOW), NOW)
        store.commit([change(both, {3: "value-2", 4: "refresh-2"})])
        again = reopen()
        record = again.load("a")
        assert record.refresh_token is not None and record.refresh_token.number == 4
        assert [again.value("a", number) for number in (1, 3, 4)] == \
            [SecretValue("value-1"), SecretValue("value-2"), SecretValue("refresh-2")]
        with pytest.raises(NotFound):
            again.value("a", 2)
        assert [v.number for v in record.versions] == [1, 3, 4] and len(again.history("a")) == 4
        assert not again.check()

    def test_a_version_number_is_never_used_again(self, store: Store) -> None:
        saved = self._erased(store)
        again = replace(saved, versions=(Version(1, Stage.RETIRED, NOW), *saved.versions))
        with pytest.raises(StoreError):
            store.commit([change(again, {1: "back"})])

    def test_history_keeps_every_version(self, store: Store) -> None:
        record = put(store, "a")
        for number in range(2, 12):
            record = record.put_current(Version(number, Stage.CURRENT, NOW))
            record = record.change(number - 1, lambda v: replace(v, stage=Stage.REVOKED, erased_at=NOW))
            record = store.commit([change(record, {number: f"value {number}"})])[0]
        assert [version.number for version in store.history("a")] == list(range(1, 12))
        assert [version.number for version in record.versions] == [11]
        assert list(store.check()) == []

    # --- deleting ------------------------------------------------------------------------------------------------

    def test_soft_delete_undelete_and_purge(self, store: Store, reopen: Callable[[], Store]) -> None:
        record = put(store, "a")
        put(store, "b")
        with pytest.raises(UsageError):
            store.purge("a", event())
        gone = store.commit([change(replace(record, secret=replace(record.secret, deleted_at=NOW)))])[0]
        assert (list(store.names()), list(store.names(deleted=True))) == (["b"], ["a"])
        assert [r.secret.name for r in store.records()] == ["b"]
        back = store.commit([change(replace(gone, secret=replace(gone.secret, deleted_at=0.0)))])[0]
        assert list(store.names()) == ["a", "b"]
        assert store.value("a", 1) == SecretValue("first")
        store.commit([change(replace(back, secret=replace(back.secret, deleted_at=NOW)))])
        store.purge("a", event("secret.purged", "a"))
        for handle in (store, reopen()):
            assert (list(handle.names()), list(handle.names(deleted=True))) == (["b"], [])
            with pytest.raises(NotFound):
                handle.load("a")
            with pytest.raises(NotFound):
                handle.value("a", 1)
        assert [e.event.action for e in store.events()][-1] == "secret.purged"
        assert list(store.check()) == []

    def test_a_purged_name_can_be_used_again(self, store: Store) -> None:
        record = put(store, "a")
        store.commit([change(replace(record, secret=replace(record.secret, deleted_at=NOW)))])
        store.purge("a", event())
        put(store, "a", "new life")
        assert store.value("a", 1) == SecretValue("new life")
        assert [version.number for version in store.history("a")] == [1]

    # --- leases --------------------------------------------------------------------------------------------------

    def test_one_holder_at_a_time(self, store: Store, reopen: Callable[[], Store]) -> None:
        lease = store.acquire("a", "me@host/1", 60.0)
        with pytest.raises(StoreBusy, match="me@host/1"):
            reopen().acquire("a", "you@host/2", 60.0)
        other = reopen().acquire("b", "you@host/2", 60.0)
        assert (lease.name, other.name) == ("a", "b")
        store.release(lease)
        assert reopen().acquire("a", "you@host/2", 60.0).epoch > lease.epoch

    def test_an_expired_lease_is_taken_over_and_fences_the_old_holder(
        self, store: Store, reopen: Callable[[], Store]
    ) -> None:
        record = put(store, "a")
        old = store.acquire("a", "sleeper", 0.2)
        time.sleep(0.3)
        new = reopen().acquire("a", "waker", 60.0)
        assert new.epoch > old.epoch
        with pytest.raises(Fenced):
            store.commit([change(replace(record, reconcile=True))], old)
        with pytest.raises(Fenced):
            store.renew(old)
        store.release(old)  # does nothing: the lease is another's
        with pytest.raises(StoreBusy, match="waker"):
            store.acquire("a", "third", 60.0)
        assert store.load("a") == record
        assert reopen().commit([change(replace(record, reconcile=True))], new)[0].reconcile

    def test_renewing_keeps_it(self, store: Store, reopen: Callable[[], Store]) -> None:
        for number in range(6):  # where the machine was too slow to look within its time to live: a longer one
            ttl = 0.6 * 3**number
            lease = store.acquire(f"a{number}", "me", ttl)
            for _ in range(3):
                time.sleep(ttl / 2)
                renewed = time.monotonic()
                store.renew(lease)
            try:
                reopen().acquire(f"a{number}", "you", 1.0)
            except StoreBusy:
                return
            assert time.monotonic() - renewed >= ttl, "a lease that was just renewed was taken over"
        pytest.fail("no time to live was long enough to look")

    def test_a_given_up_lease_fences(self, store: Store) -> None:
        record = put(store, "a")
        lease = store.acquire("a", "me", 60.0)
        store.release(lease)
        with pytest.raises(Fenced):
            store.commit([change(record)], lease)

    def test_a_lost_lead_fences_although_the_lease_is_held(self, store: Store) -> None:
        record = put(store, "a")
        lease, lead = store.acquire("a", "me", 60.0), store.acquire("lead/here", "me", 60.0)
        [record] = store.commit([change(record)], lease, lead)
        store.release(lead)
        with pytest.raises(Fenced):
            store.commit([change(record)], lease, lead)
        assert store.load("a").revision == record.revision
        store.commit([change(record)], lease)

    def test_the_epoch_survives_release_and_purge(self, store: Store, reopen: Callable[[], Store]) -> None:
        record = put(store, "a")
        first = store.acquire("a", "me", 60.0)
        store.release(first)
        store.commit([change(replace(record, secret=replace(record.secret, deleted_at=NOW)))])
        store.purge("a", event())
        assert reopen().acquire("a", "me", 60.0).epoch > first.epoch

    def test_an_invented_lease_is_fenced(self, store: Store) -> None:
        record = put(store, "a")
        with pytest.raises(Fenced):
            store.commit([change(record)], Lease("a", "me", 1, 60.0))

    # --- fingerprints and audit ----------------------------------------------------------------------------------

    def test_fingerprints_are_keyed_and_stable(self, store: Store, reopen: Callable[[], Store]) -> None:
        one = store.fingerprint(SecretValue("x"))
        assert one == reopen().fingerprint(SecretValue("x"))
        assert one != store.fingerprint(SecretValue("y"))
        assert len(one) == 16
        assert int(one, 16) >= 0

    def test_each_change_has_its_event_in_order(self, store: Store, reopen: Callable[[], Store]) -> None:
        put(store, "a")
        store.log(event("value.read", "a", why="ask"))
        put(store, "b")
        seen = list(reopen().events())
        assert [item.seq for item in seen] == [1, 2, 3]
        assert [item.event.action for item in seen] == ["secret.set", "value.read", "secret.set"]
        assert seen[1].event == event("value.read", "a", why="ask")
        assert [item.seq for item in store.events(since=2)] == [3]
        assert list(store.events(since=3)) == []
        assert store.verify_log() == ""

    def test_an_event_with_whole_numbers_is_kept_so(self, store: Store, reopen: Callable[[], Store]) -> None:
        store.log(AuditEvent(5, "a", "b", "c", 3, "r", {"k": "é"}))
        assert next(iter(reopen().events())).event == AuditEvent(5, "a", "b", "c", 3, "r", {"k": "é"})
        assert reopen().verify_log() == ""

    @settings(max_examples=25, deadline=None, suppress_health_check=CALM)
    @given(value=st.binary(max_size=300), at=st.floats(-1e18, 1e18), text=st.text(max_size=40))
    def test_any_value_and_text_survive(self, store: Store, value: bytes, at: float, text: str) -> None:
        name = f"h{len(list(store.names()))}"
        text = text.encode("utf-8", "replace").decode()
        record = Record(Secret(name, text, Kind.OTHER, at, options=((text, text),)))
        record = record.add_version(Version(1, Stage.CURRENT, at, handle=text))
        saved = store.commit([Change(record, event(note=text), {1: SecretValue(value)})])[0]
        assert store.load(name) == saved
        assert store.value(name, 1).reveal() == value
        assert store.verify_log() == ""
