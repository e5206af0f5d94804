"""openclaw.json together with the files that it includes.

    { agents: { $include: "./agents.json5" }, channels: { $include: ["a.json5", "b.json5"] } }

The content of an included file stands where the `$include` does; of several, a later one goes before an earlier one,
and what stands beside the `$include` before both. A name is relative to the file that it stands in. Source: OpenClaw
2026.9.6, docs/gateway/config-secrets-env.md.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import NamedTuple

from clawsecrets.errors import ConfigError
from clawsecrets.importers.fields import Path
from clawsecrets.importers.openclaw_json import DEFAULT_PORT, INCLUDE, plain_document

DEEPEST = 10
"""So many files may include one another in a row; OpenClaw takes no more."""


class Part(NamedTuple):
    """One file of a configuration."""

    file: str
    at: Path
    """Where in the configuration its content stands; empty: it is the whole, or is laid under the whole."""
    raw: bytes
    document: object


def parts(file: str, read: Callable[[str], bytes]) -> list[Part]:
    """The file and all that it includes, what goes before first; each file once. ConfigError when one cannot be read,
    or when they are nested too deeply."""
    found: dict[str, Part] = {}
    _gather(file, (), read, found, 0)
    return list(found.values())


def _gather(file: str, at: Path, read: Callable[[str], bytes], found: dict[str, Part], depth: int) -> None:
    if os.path.realpath(file) in found:
        return
    if depth > DEEPEST:
        raise ConfigError(f"{file}: more than {DEEPEST} files include one another", "OpenClaw reads no more either")
    raw = read(file)
    document = plain_document(raw, file)
    found[os.path.realpath(file)] = Part(file, at, raw, document)
    for path, name in _named(document, at):
        _gather(os.path.normpath(os.path.join(os.path.dirname(file), name)), path, read, found, depth + 1)


def _named(node: object, at: Path) -> Iterator[tuple[Path, str]]:
    """Every file that is included below, and where."""
    if isinstance(node, dict):
        for key, value in node.items():
            if key == INCLUDE:
                names = value if isinstance(value, list) else [value]
                yield from ((at, name) for name in reversed(names) if isinstance(name, str))
            else:
                yield from _named(value, (*at, str(key)))
    elif isinstance(node, list):
        for index, value in enumerate(node):
            yield from _named(value, (*at, index))


def gateway_port(found: list[Part]) -> int:
    """The port that the gateway listens on."""
    for part in found:
        node = part.document
        for name in ("gateway", "port")[len(part.at):] if part.at == ("gateway", "port")[:len(part.at)] else ("?",):
            node = node.get(name) if isinstance(node, dict) else None
        if isinstance(node, int) and not isinstance(node, bool) and 0 < node < 65536:
            return node
    return DEFAULT_PORT
