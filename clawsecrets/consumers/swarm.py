"""A Swarm service. Delivering a Swarm secret already replaces its tasks; here it is shown what they hold.

The tasks on this node are looked into. A Swarm secret cannot be changed, and all tasks of a converged service refer to
the same ones: so what a task on this node holds, those on other nodes hold, too. One that was replaced and has not
ended yet (with `--update-order start-first` it may serve for its whole grace period, and on a node that is away nobody
knows) still has the old value: until it has ended, nothing is proven.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from clawsecrets.clients.docker_control import Control
from clawsecrets.clients.docker_services import Failed, converge, ending, references
from clawsecrets.consumers import inside
from clawsecrets.consumers.containers import look_into
from clawsecrets.errors import ClawError, NotFound
from clawsecrets.model.rotation import Outcome
from clawsecrets.ports import Consumer, Handover, Reply

FILES = ("/run/secrets",)
"""Where Swarm shows secrets in a task."""


PROVES = ("converged, and what was replaced has ended; a task on this node has the new value and not the old one, and "
          "all tasks refer to the same secrets")
CANNOT = "anything where no task runs on this node"


@dataclass(frozen=True)
class SwarmConsumer:
    """One service. `timeout`: seconds that it may take to converge; `files`: files or folders in its tasks."""

    target: str
    control: Control
    service: str
    files: Sequence[str] = FILES
    reads: Collection[str] = ()
    timeout: float = 120.0
    sleep: Callable[[float], None] = time.sleep
    validates: bool = False

    def reload(self, handover: Handover) -> Reply:
        """Wait until Swarm has replaced the tasks."""
        return self._looked(self._converged)

    def probe(self, handover: Handover) -> Reply:
        """Which value do its tasks hold?"""
        return inside.forwards(self._looked(lambda: self._inside(handover)))

    def prove(self, handover: Handover) -> Reply:
        """Has it converged, and do its tasks hold the new value, and the old one nowhere?"""
        def proof() -> Reply:
            converged = self._converged()
            return self._inside(handover) if converged.outcome is Outcome.OK else converged

        return self._looked(proof)

    def preflight(self, handover: Handover) -> Reply:
        """Is it there, healthy, and has a task here that holds the current value?"""
        def look() -> Reply:
            converged = self._converged()
            well = converged.outcome is Outcome.OK
            return inside.before(self._inside(handover), "it is healthy") if well else converged

        return self._looked(look)

    def describe(self) -> str:
        """One line for `--dry-run` and docs."""
        return f"Swarm service {self.service}: its tasks are looked into"

    def _converged(self) -> Reply:
        try:
            refs = references(self.control.service(self.service))
            converge(self.control, self.service, refs, self.timeout, self.sleep)
        except Failed as error:
            return Reply(Outcome.REFUSED, str(error))
        return Reply(Outcome.OK)

    def _inside(self, handover: Handover) -> Reply:
        here, found = self.control.node(), self.control.tasks(self.service)
        tasks = [task for task in found if task.get("DesiredState") == "running"]
        if left := sum(ending(task) for task in found):
            return Reply(Outcome.LATER, f"{left} task(s) of it that were replaced have not ended yet")
        mine = [task for task in tasks if task.get("NodeID") == here]

        def each() -> Iterator[Reply]:
            for task in mine:
                seen = look_into(self.control, _container(task), self.files, restarted=True)
                yield inside.judge(seen, handover)

        reply = inside.worst(each(), lambda: Reply(Outcome.LATER, f"none of its {len(tasks)} task(s) runs on this node",
                                                   person=True))
        if reply.outcome is Outcome.OK and len(mine) < len(tasks):
            others = f"{len(tasks) - len(mine)} task(s) on other nodes refer to the same Swarm secrets"
            return Reply(Outcome.OK, proof=f"{reply.proof}; {others}")
        return reply

    def _looked(self, act: Callable[[], Reply]) -> Reply:
        """The reply of a look: whatever goes wrong means that it cannot be told now."""
        try:
            return act()
        except NotFound:
            return Reply(Outcome.REFUSED, f"there is no service {self.service}, or its task has just ended")
        except ClawError as error:
            return Reply(Outcome.LATER, f"{error.message}; {error.hint}", after=5.0)


def _container(task: Mapping[str, Any]) -> str:
    status = task.get("Status") or {}
    return str((status.get("ContainerStatus") or {}).get("ContainerID", ""))


def _conforms(consumer: SwarmConsumer) -> Consumer:
    return consumer
