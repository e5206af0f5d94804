"""Decides what each value is: by the name of its variable or field, else by its look, else as a generic secret.

    1. the variable is one of a provider's (`env`), an older guide's name for it (`env_older`), or follows a pattern:
       <PROVIDER>_API_KEYS (a list), <PROVIDER>_API_KEY_2, OPENCLAW_LIVE_<PROVIDER>_KEY
    2. the field is one that a provider file is made for, or that OpenClaw knows to hold a credential
    3. the value fits a provider's detection rule
    4. its name tells of a secret and its entropy agrees
Where the name says one provider and the look says another for certain, the look wins. The rest is `unplaced`, with
the reason. Nothing here shows a value, but candidates hold it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from clawsecrets.importers import looks
from clawsecrets.importers.candidates import GENERIC, Candidate, Draft, Placement, place, secret_name
from clawsecrets.importers.fields import SETTING, Fields, load_fields
from clawsecrets.importers.item import Item, Skipped
from clawsecrets.model.provider import Provider
from clawsecrets.model.secret import Kind, SecretValue

__all__ = ["Candidate", "Placement", "recognise"]

_LIST = re.compile(r"[\s,;]+")
_LIVE = re.compile(r"OPENCLAW_LIVE_([A-Z0-9_]+?)_KEY(S?)\Z")
_NOT_ANOTHER = re.compile(r"(?:FILE|PATH|DIR|URL|URI|ID|NAME|ENABLED|EXPIRES?|TTL|BASE|HOST|HELPER)\Z")
"""`OPENAI_API_KEY_FILE` is no second key."""


@dataclass(frozen=True, slots=True)
class Named:
    """What the name of a variable or field says."""

    provider: Provider | None
    kind: Kind
    base: str
    """What the secret is to be called."""
    how: str
    many: bool = False
    """It holds a list."""


def recognise(items: Sequence[Item], providers: Iterable[Provider], fields: Fields | None = None) -> Placement:
    """Candidates to import, in order; what could not be placed; and names that stand for different values."""
    judge = Judge(list(providers), fields or load_fields())
    drafts: list[Draft] = []
    unplaced: list[Skipped] = []
    for item in items:
        for found in judge.of(item):
            (drafts if isinstance(found, Draft) else unplaced).append(found)  # type: ignore[arg-type]
    return place(drafts, unplaced)


class Judge:
    """The providers and OpenClaw's fields, indexed by variable."""

    def __init__(self, providers: Sequence[Provider], fields: Fields) -> None:
        self.providers, self.fields = providers, fields
        self.by_code = {provider.code: provider for provider in providers}
        self.by_env: dict[str, Provider] = {}
        self.by_older: dict[str, Provider] = {}
        for provider in providers:
            for name in provider.env:
                self.by_env.setdefault(name, provider)
            for name in provider.env_older:
                self.by_older.setdefault(name, provider)
        secret = {name for name, kind in fields.variables.items() if kind != SETTING}
        self.known = frozenset(secret | set(self.by_env))

    def of(self, item: Item) -> Iterator[Draft | Skipped]:
        """Drafts for the values in it, or why there is none. Nothing for a text that nobody calls a secret."""
        text = _text(item.value)
        loud = bool(item.env or item.known_as or item.kind or "\0" in text)
        reason = _no_value(item, text)
        if reason:
            if loud:
                yield Skipped(item.where, item.key, reason)
            return
        named = self.by_name(item)
        if named is not None and named.many:
            yield from self._each(item, named, [part for part in _LIST.split(text) if part])
            return
        draft = self._one(item, named, text)
        if draft is not None:
            yield draft
        elif loud:
            yield Skipped(item.where, item.key, self._why_not(item))

    def _one(self, item: Item, named: Named | None, text: str) -> Draft | None:
        looked = self.by_look(text)
        if named is not None and not (looked and _contradicts(named.provider, looked, text)):
            return self._draft(item, named.provider, named.kind, named.base, named.how)
        if looked is None:
            looked = self._in_context(item.key, text)
        if looked is not None:
            how = f"it looks like {looked.name}"
            how += f", though it is called {item.key}" if named is not None and named.provider else ""
            return self._draft(item, looked, looked.kind, self._base(item), how)
        if item.kind and item.kind != SETTING:
            return self._draft(item, None, Kind(item.kind), self._base(item), "OpenClaw keeps a credential there")
        if looks.secretive(item.key, text):
            return self._draft(item, None, _kind_by_name(item.key), self._base(item), "its name and look", guess=True)
        return None

    def _draft(
        self, item: Item, provider: Provider | None, kind: Kind, base: str, how: str, *, guess: bool = False
    ) -> Draft:
        name = secret_name(base if not item.suffix or base == item.name else f"{base}-{item.suffix}")
        code = provider.code if provider is not None else GENERIC
        env = item.env or ("" if item.suffix else self._variable(item))
        return Draft(name, code, kind, env, item.where, item.value, how, guess)

    def _each(self, item: Item, named: Named, parts: Sequence[str]) -> Iterator[Draft]:
        """One draft per entry of a list. They have no variable of their own to be written back to."""
        code = named.provider.code if named.provider is not None else GENERIC
        for number, part in enumerate(parts, 1):
            name = secret_name(f"{named.base}S-{number}" if len(parts) > 1 else named.base)
            where = f"{item.where} (entry {number})" if len(parts) > 1 else item.where
            yield Draft(name, code, named.kind, "", where, SecretValue(part), named.how)

    # --- by name ----------------------------------------------------------------------------------------------------

    def by_name(self, item: Item) -> Named | None:
        """What its variable says (the best of those that can stand in a field's place), else what its field says."""
        names = (item.env,) if item.env else self._ranked(item.known_as)
        for name in names:
            if (provider := self.by_env.get(name)) is not None:
                return Named(provider, provider.kind, name, f"the variable {name}")
        for name in names:
            if found := self._older(name) or self._pattern(name):
                return found
        if (provider := self.by_code.get(item.provider)) is not None:
            base = provider.env[0] if provider.env else item.name
            return Named(provider, provider.kind, base, "OpenClaw keeps it there")
        variable = self._variable(item)
        kind = self.fields.variables.get(variable, SETTING)
        return None if kind == SETTING else Named(None, Kind(kind), variable, f"OpenClaw reads {variable}")

    def _ranked(self, names: Sequence[str]) -> list[str]:
        """As the provider files rank them: OpenClaw's order says what it tries first, not what the key is called."""
        def rank(name: str) -> int:
            provider = self.by_env.get(name)
            return provider.env.index(name) if provider is not None else 0

        return sorted(names, key=rank)

    def _older(self, name: str) -> Named | None:
        provider = self.by_older.get(name)
        if provider is None:
            return None
        base = provider.env[0] if provider.env else name
        return Named(provider, provider.kind, base, f"{name} is an older name of {base}")

    def _pattern(self, name: str) -> Named | None:
        for base in (name[: name.rfind("_", 0, end)] for end in _underscores(name)):
            if base in self.known and not _NOT_ANOTHER.search(name):
                return self._like(base, name, f"{name} is another {base}")
        if name.endswith("_API_KEYS") and name[:-1] in self.known:
            return self._like(name[:-1], name[:-1], f"{name} is a list of {name[:-1]}", many=True)
        if (live := _LIVE.match(name)) and f"{live.group(1)}_API_KEY" in self.known:
            base = name.removesuffix("S") if live.group(2) else name
            return self._like(f"{live.group(1)}_API_KEY", base, f"{name} is for live tests", many=bool(live.group(2)))
        return None

    def _like(self, known: str, base: str, how: str, *, many: bool = False) -> Named:
        provider = self.by_env.get(known)
        kind = provider.kind if provider is not None else Kind(self.fields.variables[known])
        return Named(provider, kind, base, how, many)

    def _variable(self, item: Item) -> str:
        """The variable it goes by: the one it was read from, one that a provider knows, else OpenClaw's first."""
        if item.env:
            return item.env
        ours = [name for name in self._ranked(item.known_as) if name in self.by_env]
        theirs = [name for name in item.known_as if self.fields.variables.get(name, SETTING) != SETTING]
        keys = [name for name in theirs if name.endswith("_API_KEY")]
        return next(iter([*ours, *keys, *theirs]), "")

    def _base(self, item: Item) -> str:
        return self._variable(item) or item.name or item.key

    # --- by look ----------------------------------------------------------------------------------------------------

    def by_look(self, text: str) -> Provider | None:
        """The one provider whose high-confidence rule the whole value fits; None when none or several do."""
        fitting = [provider for provider in self.providers if _fits(provider, text)]
        return fitting[0] if len(fitting) == 1 else None

    def _in_context(self, key: str, text: str) -> Provider | None:
        """The one provider that finds the value in `KEY=value`, or fits it with less confidence."""
        context = f"{key}={text}"
        found = [
            provider for provider in self.providers
            if any(text in rule.find(context) and looks.entropy(text) >= rule.entropy for rule in provider.detect)
        ]
        return found[0] if len(found) == 1 else None

    def _why_not(self, item: Item) -> str:
        if item.env and self.fields.variables.get(item.env) == SETTING:
            return "a setting, not a secret"
        if looks.telling(item.key):
            return "named like a secret, but too plain to be sure; `clawsecrets set` imports it by hand"
        return "not recognised, and neither its name nor its look tells of a secret"


def _text(value: SecretValue) -> str:
    return value.reveal().decode("utf-8", "surrogateescape")


def _no_value(item: Item, text: str) -> str:
    """Why there is nothing to import; empty when there may be."""
    if item.kind == "public":
        return "a certificate or host key, no credential"
    if "\0" in text:
        return "holds a NUL, which no variable can carry"
    if not text.strip():
        return "is empty"
    return "looks like a placeholder" if looks.placeholder(text) else ""


def _fits(provider: Provider, text: str) -> bool:
    return any(
        rule.confidence == "high" and rule.fits(text) and looks.entropy(text) >= rule.entropy
        for rule in provider.detect
    )


def _contradicts(named: Provider | None, looked: Provider, text: str) -> bool:
    """Whether the look is certain and the named provider's credentials, whose look is known, look otherwise."""
    if named is None:
        return True
    if named.code == looked.code or _fits(named, text):
        return False
    examples = [(rule, example) for rule in named.detect if rule.confidence == "high" for example in rule.examples]
    return any(rule.fits(found) for rule, example in examples for found in rule.find(example))


def _underscores(name: str) -> list[int]:
    """End positions for `rfind`, so that longer bases come first: OPENAI_API_KEY_2 -> OPENAI_API_KEY, OPENAI_API."""
    return [at + 1 for at in range(len(name) - 1, 0, -1) if name[at] == "_"]


def _kind_by_name(key: str) -> Kind:
    upper = key.upper()
    if "WEBHOOK" in upper or "SIGNING" in upper:
        return Kind.WEBHOOK_SECRET
    return Kind.API_KEY if re.search(r"API_?KEY", upper) else Kind.OTHER
