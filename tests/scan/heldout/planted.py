"""The cases of a set: each a small file with one planted value, and the lines on which a finding counts."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from .contexts import Writer
from .special import files
from .types import ADDRESSES, TOKENS
from .values import made


@dataclass(frozen=True)
class Case:
    """One file of the set."""

    name: str
    type: str
    context: str
    text: str
    value: str


def cases(contexts: Mapping[str, Writer], seed: int) -> Iterator[Case]:
    """Every type in every context, each with a fresh value."""
    rng = random.Random(seed)
    for kind in TOKENS + ADDRESSES:
        for context, write in contexts.items():
            value = made(kind.template, rng)
            yield Case(f"{kind.slug}/{context}.txt", kind.slug, context, write(kind, value, rng), value)
    for kind_name, context, suffix, text, value in files(rng):
        name = f".{suffix}" if suffix in {"netrc", "pgpass", "npmrc"} else f"x.{suffix}"
        yield Case(f"{kind_name}/{context}/{name}", kind_name, context, text, value)
