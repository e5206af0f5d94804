"""Which records are clawsecrets' own: how far an adoption has come, what undoes it, and the addresses of notices. No
provider made what they hold, so that nothing rotates them: a new value would undo nothing, and arrive nowhere."""

from __future__ import annotations

from clawsecrets.model.secret import Secret

PLAN, UNDO = "openclaw-adoption", "openclaw-adoption-undo"
"""The two of an adoption."""
ADDRESS = ("holds", "an address of notices")
"""The option by which an address is known where no configuration names it (yet)."""


def of_adoption(name: str) -> bool:
    """Whether an adoption is written down in it: nobody else gives it a value."""
    return name in (PLAN, UNDO)


def is_own(secret: Secret, *, named: bool) -> bool:
    """Whether nothing rotates it. `named`: a channel of the configuration names it as its address."""
    return named or of_adoption(secret.name) or (secret.provider == "generic" and ADDRESS in secret.options)


def instead(name: str, *, rotating: bool = False) -> str:
    """What a person does instead of rotating it. `rotating`: one was begun all the same, by an earlier version."""
    if rotating:
        return f"clawsecrets rotations abort {name} ends the rotation that was begun"
    if of_adoption(name):
        return "clawsecrets adopt STATE_FOLDER --undo puts back what was adopted; it is erased by itself after 7 days"
    return f"clawsecrets notify add {name} --replace stores another address"
