"""Every string of a document as content of its own, so that a finding says where it stands: `config.Env`,
`history[3].created_by`, `manifest.annotations.maintainer`.

A member of an object is looked at together with its name (`name=value`), as the words of a command are together.
Environment and build triggers: one a line. Documents that are no JSON, or large, are given as they are.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from clawsecrets.formats.pieces import PIECE
from clawsecrets.model.finding import Content, Kind, Place
from clawsecrets.sources.image import documents
from clawsecrets.sources.image.catalog import Text
from clawsecrets.sources.image.documents import NotUnderstood, Pairs

STRUCTURED = 512 << 10
"""Bytes. Larger documents (lists of packages) are read as files: their strings are too many to stand alone."""
_LINES = frozenset({"Env", "OnBuild", "diff_ids", "Layers", "RepoTags", "urls"})
_DEPTH = 64
_TELLING = 12
"""Characters of a name that may be a secret itself."""


def contents(document: Text) -> Iterator[Content]:
    """The content of one document."""
    prefix = "" if document.kind is Kind.IMAGE_CONFIG else document.name + "!/"
    value = _parsed(document.data)
    if value is None or len(document.data) > STRUCTURED:
        yield from raw(document)
        return
    for path, string in _strings(value, "", 0):
        place = Place(document.kind, document.name, (prefix + path) or document.name)
        yield Content(string.encode("utf-8", "surrogatepass"), place)


def raw(document: Text) -> Iterator[Content]:
    """The content of one document as it is."""
    place = Place(document.kind, document.name, document.name)
    line = column = 0
    for start in range(0, len(document.data), PIECE):
        before = min(start, 64 << 10)
        lead = document.data[:start - before]
        line, column = lead.count(b"\n"), len(lead) - lead.rfind(b"\n") - 1
        yield Content(document.data[start - before: start + PIECE], place, offset=start - before, line=line,
                      column=column, overlap=before)


def _parsed(data: bytes) -> Any:
    try:
        value = documents.parse(data)
    except NotUnderstood:
        return None
    return value if isinstance(value, list) and _depth(value) <= _DEPTH else None


def _depth(value: Any) -> int:
    """How deep lists and objects are nested."""
    level, deep = [value], 0
    while level:
        deep += 1
        level = [child for item in level if isinstance(item, list)
                 for child in (item if not isinstance(item, Pairs) else [member for _, member in item])
                 if isinstance(child, list)]
    return deep


def _strings(value: Any, path: str, depth: int) -> Iterator[tuple[str, str]]:
    """(path, string) of everything in it."""
    if isinstance(value, Pairs):
        for name, member in value:
            inner = f"{path}.{name}" if path else name
            if isinstance(member, list):
                if not member or len(name) >= _TELLING:
                    yield inner, name
                yield from _strings(member, inner, depth + 1)
            elif (shown := _shown(member)) or len(name) >= _TELLING:
                yield inner, f"{name}={shown}"
    elif isinstance(value, list):
        yield from _list(value, path, depth)
    else:
        yield path, _shown(value)


def _list(value: list[Any], path: str, depth: int) -> Iterator[tuple[str, str]]:
    strings = [_shown(item) for item in value if not isinstance(item, list)]
    if strings:
        joint = "\n" if path.rpartition(".")[2] in _LINES else " "
        yield path, joint.join(strings)
    for number, item in enumerate(value):
        if isinstance(item, list):
            yield from _strings(item, f"{path}[{number}]", depth + 1)


def _shown(value: Any) -> str:
    if value is None or isinstance(value, bool):
        return ""
    return str(value)
