"""The new value that a person brings: asked for at a hidden prompt, and looked at before anything is committed."""

from __future__ import annotations

import getpass
import re
import sys
from collections.abc import Iterator, Sequence

from clawsecrets.cli.output import say
from clawsecrets.cli.session import MAX_INPUT_BYTES, Session
from clawsecrets.errors import UsageError
from clawsecrets.model.provider import Detect
from clawsecrets.model.record import Record
from clawsecrets.model.secret import SecretValue

_PASTE = re.compile(r"(?:,?\s*\b(?:and|then)\s+)?\bpaste (?:it|its value|the [\w ]+?) here(?: at once)?\b", re.I)
_HERE = re.compile(r"\bpaste (it|its value|the [\w ]+?) here((?: at once)?)\b", re.I)


def can_ask() -> bool:
    """Whether a person sits there: standard input and standard error are a terminal."""
    return sys.stdin.isatty() and sys.stderr.isatty()


def without_paste(steps: Sequence[str]) -> list[str]:
    """The steps of a provider without "paste it here", for where no prompt follows."""
    return [left for step in steps if (left := _PASTE.sub("", step).strip())]


def to_read(text: str) -> str:
    """A provider's step where it is only described: it says where the value goes instead of "paste it here"."""
    return _HERE.sub(lambda found: f"{'Give' if found[0][0] == 'P' else 'give'} {found[1]} to `clawsecrets rotate`"
                     f"{found[2]}", text)


def how_to_give(name: str) -> str:
    """What to run where no prompt follows."""
    return f"run this, it asks for the value: clawsecrets rotate {name} --new-value-stdin"


def ask_new(session: Session, name: str, *, as_it_is: bool) -> SecretValue | None:
    """The new value from a hidden prompt; None when the person gives none now. One that does not look right is asked
    for again."""
    while True:
        try:
            typed = getpass.getpass(f"new value of {name} (hidden; empty: later): ").strip().encode()
        except (KeyboardInterrupt, EOFError):
            say("")
            typed = b""
        if not typed or len(typed) > MAX_INPUT_BYTES:
            say(f"{name}: it waits for the value; {how_to_give(name)}")
            return None
        value = SecretValue(typed)
        fault = "" if as_it_is else look_fault(session, session.load(name), value)
        if not fault:
            return value
        say(f"{name}: {fault}; nothing was done with it")


def require_look(session: Session, name: str, value: SecretValue) -> None:
    """UsageError when the value cannot be the provider's credential by its look; nothing is committed then."""
    fault = look_fault(session, session.load(name), value)
    if fault:
        raise UsageError(f"{name}: {fault}; nothing was done with it", "if it is right all the same: --as-it-is")


def look_fault(session: Session, record: Record, value: SecretValue) -> str:
    """Why the value does not look like a credential of the secret's provider; empty when it does, or nobody knows."""
    if record.secret.provider not in session.shop.providers:
        return ""
    provider = session.shop.provider(record.secret.provider)
    rules = [rule for rule in provider.detect if rule.confidence == "high"]
    if not rules or not all(map(_stands_alone, rules)) or provider.looks(value.reveal().decode(errors="replace")):
        return ""
    return f"that does not look like a credential of {provider.code}" + _expected(rules)


def remarks(session: Session, record: Record, value: SecretValue) -> Iterator[str]:
    """What the person who stored this value may not have meant: its look, or that nobody was named as its provider."""
    if doubt := look_fault(session, record, value):
        yield f"warning: {doubt}; it is stored as it is"
    name = record.secret.name
    if record.secret.provider == "generic" and (code := _namesake(session, name)):
        yield f"no provider was named; if it is {code}: clawsecrets configure {name} --provider {code}"


def _namesake(session: Session, name: str) -> str:
    """The code of the provider whose variable, written as a secret's name, is this one; empty when there is none."""
    variable = name.upper().replace("-", "_")
    return next((code for code, known in session.shop.providers.items() if variable in known.env), "")


def _stands_alone(rule: Detect) -> bool:
    """Whether the rule knows a value by itself, without the name of a variable in front of it."""
    return all(rule.fits(secret) for example in rule.examples for secret in rule.find(example))


def _expected(rules: Sequence[Detect]) -> str:
    beginnings = list(dict.fromkeys(filter(None, map(_beginning, rules))))
    return f" ({' or '.join(f'{text}…' for text in beginnings)})" if beginnings else ""


def _beginning(rule: Detect) -> str:
    """The letters that such a credential begins with, as far as the rule fixes them."""
    fixed = re.match(r"^[^(]*\(?(?:\?:)?((?:\\[-._]|[A-Za-z0-9_\-:])*)(.?)", rule.pattern.replace(r"\b", ""))
    text = re.sub(r"\\(.)", r"\1", fixed[1]) if fixed else ""
    if fixed and fixed[2] and fixed[2] in "?*{|":
        text = text[:-1]
    found = [secret for example in rule.examples for secret in rule.find(example)]
    return text if text and found and all(secret.startswith(text) for secret in found) else ""
