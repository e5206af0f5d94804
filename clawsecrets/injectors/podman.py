"""`podman-secret`: Podman's own secrets, by its command line, as the user who runs clawsecrets.

Podman copies a secret into a container when that is made, and old versions of it never give a value back. So a secret
keeps its name and is replaced, every container that uses it must be made anew, and what the secret holds is recognised
by a salted hash in its labels (check.py). Podman's default driver keeps values unencrypted in the user's storage.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from clawsecrets.clients import podman
from clawsecrets.errors import Incomplete, Refused
from clawsecrets.injectors import check, mapping
from clawsecrets.injectors.answers import attempt
from clawsecrets.model.rotation import Outcome
from clawsecrets.ports import Entry, Injector, Reply

LARGEST = 512_000 - 1
"""Bytes: Podman refuses secrets of 512 kB and more (containers/common, pkg/secrets)."""
_SECRET, _CHECK = "clawsecrets.secret", "clawsecrets.check"


HOLDS = "the secret, recognised by a salted hash in its labels"
NEEDS = "a recreation of the container: it has a copy from when it was made"


class PodmanSecret:
    """`names`: secret name -> Podman's name, where the mapping's is not wanted."""

    def __init__(self, target: str, names: Mapping[str, str] | None = None) -> None:
        self._target = target
        self._names = dict(names or {})

    @property
    def target(self) -> str:
        """Its configured name."""
        return self._target

    def deliver(self, entries: Sequence[Entry]) -> Reply:
        """Replace those that hold another value; all are checked before the first is written."""
        return _attempt(lambda: self._deliver(entries))

    def could(self, entries: Sequence[Entry]) -> Reply:
        """Whether Podman can carry them. Writes nothing."""
        return _attempt(lambda: self._could(entries), Outcome.REFUSED)

    def remove(self, bound: Mapping[str, str]) -> Reply:
        """Remove these secrets."""
        return _attempt(lambda: self._remove(bound))

    def holds(self, entry: Entry) -> bool | None:
        """Whether its secret was made of that value, by us. None: Podman does not answer."""
        try:
            labels = podman.secret_labels(self._name(entry.name))
        except Incomplete:
            return None
        return labels is not None and check.matches(labels.get(_CHECK, ""), entry.value)

    def preflight(self) -> Reply:
        """Whether Podman answers."""
        return _attempt(lambda: self._could([]), Outcome.REFUSED)

    def exposed(self, names: Sequence[str]) -> Sequence[str]:
        """Nothing: its storage belongs to the user, and who may read a secret in a container is the container's own
        setting."""
        return []

    def describe(self) -> str:
        """One line."""
        return "replaces Podman's secrets; containers that use them must be made anew"

    def _name(self, name: str) -> str:
        return self._names.get(name) or mapping.engine_name(name)

    def _could(self, entries: Sequence[Entry]) -> str:
        self._check(entries)
        podman.secret_labels("clawsecrets-preflight")
        return f"podman could hold {len(entries)} secret(s)"

    def _check(self, entries: Sequence[Entry]) -> None:
        if not podman.installed():
            raise Refused("podman is not installed", "install it, or use another kind of injector")
        mapping.refuse_collisions((entry.name, self._name(entry.name)) for entry in entries)
        for entry in entries:
            if not podman.SECRET.match(self._name(entry.name)):
                raise Refused(f"{entry.name}: {self._name(entry.name)!r} cannot be the name of a Podman secret")
            if not 0 < len(entry.value) <= LARGEST:
                raise Refused(f"{entry.name}: a Podman secret has 1 to {LARGEST} bytes, not {len(entry.value)}")

    def _deliver(self, entries: Sequence[Entry]) -> str:
        self._check(entries)
        for entry in entries:
            if self.holds(entry) is not True:
                labels = {_SECRET: entry.name, _CHECK: check.of(entry.value)}
                podman.put_secret(self._name(entry.name), entry.value, labels)
        return f"podman has {', '.join(sorted(self._name(entry.name) for entry in entries))}" if entries \
            else "nothing is bound to it"

    def _remove(self, bound: Mapping[str, str]) -> str:
        for name in bound:
            podman.remove_secret(self._name(name))
        return f"removed {', '.join(sorted(bound))}"


def _attempt(work: Callable[[], str], on_failure: Outcome = Outcome.UNKNOWN) -> Reply:
    try:
        return attempt(work, on_failure)
    except Incomplete as error:
        return Reply(on_failure, error.message)


def _conforms(injector: PodmanSecret) -> Injector:
    return injector
