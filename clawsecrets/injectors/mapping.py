"""The name of a secret in targets that allow fewer characters. Both mappings are reversible, so they never collide.

Environment variables ([A-Z0-9_], no leading digit), from `[a-z0-9][a-z0-9._/-]*`:

    letters, digits            upper case          anthropic-api-key   ANTHROPIC_API_KEY
    - before a letter, digit   _                   a.b                 A__DB
    - elsewhere                __H                 acme/admin          ACME__SADMIN
    _  .  /                    __U  __D  __S       a--b                A__H_B
    a leading digit            _ before it         1password           _1PASSWORD

A single `_` is therefore always a hyphen (or guards a digit, at the start), and `__` always begins an escape.

Files: the name itself, with `+` for `/` (`acme/admin` is `acme+admin`). Names never begin with a dot.

Podman's secrets ([A-Za-z0-9._-], a letter or digit at both ends): the name itself, with `-S-` for `/`, and `-E` behind
a name that ends otherwise (`acme/admin` is `acme-S-admin`). A capital letter is in no name.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from clawsecrets.errors import Refused
from clawsecrets.model.secret import valid_name
from clawsecrets.ports import Entry

VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
"""What POSIX, systemd, Docker and Compose all take as a variable's name."""
_ESCAPES: Mapping[str, str] = {"-": "__H", "_": "__U", ".": "__D", "/": "__S"}
_PLAIN_HYPHEN = re.compile(r"-(?=[a-z0-9])")
_TOKEN = re.compile(r"__[HUDS]|_(?!_)|[A-Z0-9]")


def env_name(name: str) -> str:
    """The environment variable for a secret's name."""
    marked = _PLAIN_HYPHEN.sub("=", name)  # `=` is in no name
    mapped = "".join("_" if c == "=" else _ESCAPES.get(c, c.upper()) for c in marked)
    return f"_{mapped}" if mapped[:1].isdigit() else mapped


def name_of_env(variable: str) -> str | None:
    """The secret's name that `env_name` maps to this variable; None when there is none."""
    body = variable[1:] if re.match(r"_[0-9]", variable) else variable
    back = {escape: char for char, escape in _ESCAPES.items()} | {"_": "-"}
    name = "".join(back.get(token, token.lower()) for token in _TOKEN.findall(body))
    return name if valid_name(name) and env_name(name) == variable else None


def file_name(name: str) -> str:
    """The file for a secret's name."""
    return name.replace("/", "+")


def name_of_file(file: str) -> str | None:
    """The secret's name that `file_name` maps to this file; None when there is none."""
    name = file.replace("+", "/")
    return name if valid_name(name) and "/" not in file else None


def engine_name(name: str) -> str:
    """The name of Podman's secret for a secret's name."""
    mapped = name.replace("/", "-S-")
    return mapped if mapped[-1:].isalnum() else f"{mapped}-E"


def name_of_engine(mapped: str) -> str | None:
    """The secret's name that `engine_name` maps to this one; None when there is none."""
    name = mapped.removesuffix("-E").replace("-S-", "/")
    return name if valid_name(name) and engine_name(name) == mapped else None


def variable(entry: Entry) -> str:
    """The variable that an entry goes by: its own `env`, else the mapping. Refused when that is no variable's name."""
    name = entry.env or env_name(entry.name)
    if not VARIABLE.match(name):
        raise Refused(f"{entry.name}: {name!r} cannot be the name of an environment variable")
    return name


def collisions(pairs: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    """Target names that more than one secret claims, from pairs of (secret, target name): who claims each."""
    claims: dict[str, list[str]] = {}
    for secret, target in pairs:
        claims.setdefault(target, []).append(secret)
    return {target: sorted(secrets) for target, secrets in claims.items() if len(secrets) > 1}


def refuse_collisions(pairs: Iterable[tuple[str, str]]) -> None:
    """Refused, naming the first target that two secrets claim."""
    for target, secrets in collisions(pairs).items():
        raise Refused(f"{' and '.join(secrets)} would both be written as {target}", "give one of them another name")
