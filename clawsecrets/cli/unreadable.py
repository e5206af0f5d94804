"""Records that cannot be read: each is told once with what mends it, and the others carry on."""

from __future__ import annotations

from clawsecrets.cli.output import heard, say
from clawsecrets.errors import StoreDamaged, StoreError


class Unreadable:
    """ports.Broken: says it on stderr, and remembers that there were such."""

    def __init__(self) -> None:
        self.found: dict[str, StoreError] = {}

    def __call__(self, name: str, fault: StoreError) -> None:
        if name not in self.found:
            self.found[name] = fault
            heard(lambda: _tell(name, fault))

    @property
    def code(self) -> int:
        """The exit code that they are worth."""
        return StoreDamaged.exit_code if self.found else 0

    def plain(self) -> list[dict[str, object]]:
        """The documented objects `failure`."""
        return [{"secret": name, "exit_code": fault.exit_code, "outcome": "error", "error": fault.message,
                 "hint": fault.hint} for name, fault in self.found.items()]


def _tell(name: str, fault: StoreError) -> None:
    where = "" if name in fault.message else f"{name}: "
    say(f"clawsecrets: error: {where}{fault.message}")
    if fault.hint:
        say(f"hint: {fault.hint}")
