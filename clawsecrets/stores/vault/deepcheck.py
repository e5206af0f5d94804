"""The deep check of a vault store: every document opened, and none that nothing vouches for. One line per fault."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from clawsecrets.errors import StoreDamaged, StoreError
from clawsecrets.model.secret import SecretValue, Version
from clawsecrets.store_ports import Fault
from clawsecrets.stores.vault.bindings import Bindings
from clawsecrets.stores.vault.body import Body
from clawsecrets.stores.vault.chain import Chain
from clawsecrets.stores.vault.documents import Documents
from clawsecrets.stores.vault.followups import Followups
from clawsecrets.stores.vault.layout import KEPT, Layout, flat, unflat
from clawsecrets.stores.vault.public import Public

DAY = 86400.0
"""Seconds after which a value that no record names was certainly left by a crash."""
_MEND = "clawsecrets store check --mend"


class Inspection:
    """One look at a whole store."""

    def __init__(self, documents: Documents, layout: Layout, chain: Chain, public: Public, followups: Followups,
                 bindings: Bindings, body: Callable[[str], Body], value: Callable[[Body, int], SecretValue],
                 history: Callable[[str], Sequence[Version]]) -> None:
        self._documents, self._layout, self._chain = documents, layout, chain
        self._public, self._followups, self._body, self._value = public, followups, body, value
        self._bindings, self._history = bindings, history

    def faults(self, now: Callable[[], float]) -> list[str]:
        """One line per fault; empty when sound. `now`: by the cluster's clock, which takes a write. StoreError when the
        cluster does not answer."""
        names = self._names()
        found = [line for lines in self._documents.each(self._of, names) for line in lines]
        found += [Fault(f"{path} belongs to no version: a crash left it (`{_MEND}` removes it)", _MEND)
                  if known else f"{path} belongs to no record: a crash left it, or somebody removed the record"
                  for path, known in self._left(now)]
        found += [f"{path} is the history of no secret" for path in self._strays()]
        lasting = [(self._layout.store, "the store's document"),
                   *((f"{self._layout.audit}/{number:08}", "the audit log") for number in self._chain.numbers()),
                   *((self._layout.ours("bound", name), "the list of what is bound to a target")
                     for name in self._documents.names(self._layout.ours("bound")))]
        found += [line for lines in self._documents.each(lambda one: list(self._kept(*one)), lasting) for line in lines]
        log = self._chain.fault()
        return [*found, f"audit log: {log}"] if log else found

    def mend(self, now: float) -> list[str]:
        """Destroy orphaned values that are older than a day, and bring public paths in order; one line each. `now`: by
        the cluster's clock."""
        lines = []
        for name in self._names():
            body = self._readable(name)
            if body is None:
                continue
            for target in body.record.secret.injectors if body.record is not None else ():
                if name not in (self._bindings.names(target) or ()):
                    self._bindings.add(name, [target])
                    lines.append(f"{name} was added to the list of what is bound to {target}")
            if self._strange(body):
                self._public.bring(name, lambda name=name: self._body(name), self._value)  # type: ignore[misc]
                lines.append(f"the public path of {name} was brought in order")
        for path, known in self._orphans():
            age = self._age(path, now)
            if known and age > DAY:
                self._documents.forget(path)
                lines.append(f"{path} was removed: a crash left it {age / DAY:.0f} days ago")
        return lines

    def _names(self) -> list[str]:
        return [unflat(segment) for segment in self._documents.names(self._layout.records)]

    # --- one name ------------------------------------------------------------------------------------------------

    def _of(self, name: str) -> list[str]:
        try:
            body = self._body(name)
            return [*self._record(body), *self._kept(self._layout.record(name), f"the record document of {name}"),
                    *self._values(body), *self._shown(body), *self._past(body), *self._listed(body)]
        except StoreError as error:
            return [_told(error)]

    def _record(self, body: Body) -> Iterator[str]:
        record, name = body.record, body.name
        if body.open and not self._followups.known(body):
            try:
                self._followups.settled(body)
            except StoreError as error:
                yield Fault(f"{name}: not all that follows from its last change is done: {error.message}", error.hint)
        if record is None:
            return
        if record.secret.name != name:
            yield f"the record of {name} names {record.secret.name}"
        live = {version.number for version in record.versions if not version.erased_at}
        yield from (f"{name}: version {number} stands there without its value"
                    for number in sorted(live - set(body.values)))
        yield from (f"{name}: a value is kept of version {number}, which is gone"
                    for number in sorted(set(body.values) - live))

    def _values(self, body: Body) -> Iterator[str]:
        for number in sorted(body.values):
            try:
                self._value(body, number)
            except StoreError as error:
                yield _told(error)
            yield from self._stays(self._layout.value(body.name, body.values[number].document),
                                   f"the value of {body.name} version {number}")

    def _past(self, body: Body) -> Iterator[str]:
        if body.record is not None:
            try:
                self._history(body.name)
            except StoreError as error:
                yield _told(error)

    def _shown(self, body: Body) -> Iterator[str]:
        if self._strange(body):
            there = f"does not hold version {body.wanted}, which is current" if body.wanted else \
                "holds something, and nothing is current"
            yield Fault(f"the public path of {body.name} {there} (`{_MEND}` brings it in order)", _MEND)

    def _listed(self, body: Body) -> Iterator[str]:
        """Deliveries go by the lists: a name that is not in one would be left out."""
        for target in body.record.secret.injectors if body.record is not None else ():
            names = self._bindings.names(target)
            if names is not None and body.name not in names:
                yield Fault(f"{body.name} is bound to {target}, whose list does not have it (`{_MEND}` adds it)", _MEND)

    def _strange(self, body: Body) -> bool:
        """Whether the public path holds something else than it should, and nobody is about to change that."""
        if body.wanted and body.wanted not in body.values:
            return False  # that is another fault
        value = self._value(body, body.wanted) if body.wanted else None
        shows = self._public.shows(body.name, body.wanted, value)
        return not shows and self._body(body.name).writes == body.writes

    def _kept(self, path: str, what: str) -> Iterator[str]:
        about = self._documents.metadata(path) or {}
        if about.get("max_versions") != KEPT:
            yield Fault(f"{what} is to keep {KEPT} versions, and keeps {about.get('max_versions') or 'the default'}: "
                        f"{path}", self._setting(f"-max-versions={KEPT}", path))
        if str(about.get("delete_version_after") or "0s") != "0s":
            yield Fault(f"{what} would be deleted by the server (delete_version_after): {path}",
                        self._setting("-delete-version-after=0s", path))
        yield from self._going(about, path, what)

    def _stays(self, path: str, what: str) -> Iterator[str]:
        yield from self._going(self._documents.metadata(path) or {}, path, what)

    def _going(self, about: Mapping[str, Any], path: str, what: str) -> Iterator[str]:
        newest = (about.get("versions") or {}).get(str(about.get("current_version"))) or {}
        if newest.get("deletion_time") and not newest.get("destroyed"):
            yield Fault(
                f"{what} will be deleted by the server at {newest['deletion_time']} (delete_version_after): {path}",
                f"bao write {self._documents.mount}/config delete_version_after=0s (vault: the same); then write it "
                "anew, a value with `clawsecrets rotate NAME`")

    def _setting(self, option: str, path: str) -> str:
        return f"bao kv metadata patch -mount={self._documents.mount} {option} {path} (vault: the same)"

    # --- what nothing vouches for --------------------------------------------------------------------------------

    def _orphans(self) -> list[tuple[str, bool]]:
        """Paths of values that no version is named for, and whether there is a record that says so."""
        folder = self._layout.ours("values")
        names = [unflat(segment.rstrip("/")) for segment in self._documents.names(folder)]
        return [path for paths in self._documents.each(self._orphans_of, names) for path in paths]

    def _left(self, now: Callable[[], float]) -> list[tuple[str, bool]]:
        """The orphans without those that may be of a commit under way."""
        found = self._orphans()
        try:
            at = now() if any(known for _, known in found) else 0.0
        except StoreError:
            return found  # nothing can be written here: there is no commit under way
        return [(path, known) for path, known in found if not known or self._age(path, at) > DAY]

    def _age(self, path: str, now: float) -> float:
        """Seconds; of one that went away meanwhile it does not matter."""
        return now - self._documents.read(path).created

    def _orphans_of(self, name: str) -> list[tuple[str, bool]]:
        there = self._documents.names(self._layout.ours("values", flat(name)))
        body = self._readable(name)  # read after them: what was committed meanwhile is named
        if body is None:
            return []
        named = {held.document for held in body.values.values()} | set(body.todo.erase)
        return [(self._layout.value(name, document), body.version > 0) for document in there if document not in named]

    def _readable(self, name: str) -> Body | None:
        """None: it is damaged, which is told already, and says nothing of what belongs to it."""
        try:
            return self._body(name)
        except StoreDamaged:
            return None

    def _strays(self) -> list[str]:
        folder = self._layout.ours("history")
        names = [unflat(segment.rstrip("/")) for segment in self._documents.names(folder)]
        return [path for paths in self._documents.each(self._strays_of, names) for path in paths]

    def _strays_of(self, name: str) -> list[str]:
        there = self._documents.names(self._layout.ours("history", flat(name)))
        body = self._readable(name)
        if body is None:
            return []
        known = set(body.todo.forget)
        paths = [self._layout.ours("history", flat(name), document) for document in there]
        return [path for path, document in zip(paths, there, strict=True)
                if path not in known and document.rpartition("-")[0] != body.life]


def _told(error: StoreError) -> Fault:
    return Fault(error.message, error.hint)
