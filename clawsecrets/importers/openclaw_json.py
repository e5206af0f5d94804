"""Reads openclaw.json (JSON5) and auth-profiles.json: every text in it, with what OpenClaw says that field is.

A SecretRef object, a text with `${VAR}` in it and a field that names a file are references: the value stands
elsewhere and is not imported. Errors name file and line and never show what stands there.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

from clawsecrets.errors import ConfigError
from clawsecrets.importers.fields import Field, Fields, Path, load_fields
from clawsecrets.importers.item import Item, Reading, Skipped
from clawsecrets.model.secret import SecretValue

SOURCES = frozenset({"env", "file", "exec", "store"})
"""OpenClaw's SecretRef sources."""
_VARIABLE = re.compile(r"(?<!\$)\$\{[A-Z_][A-Z0-9_]*\}")
_SURROGATE = re.compile("[\ud800-\udfff]")
_FILLER = frozenset(
    {"entries", "config", "providers", "accounts", "channels", "models", "plugins", "request", "default", "defaults",
     "env", "vars"}
)
"""Path parts that say nothing in a name."""
_OURS = frozenset({"gateway", "hooks", "cron"})
"""Roots that are OpenClaw's own: their names begin with `openclaw-`."""


INCLUDE = "$include"
DEFAULT_PORT = 18789
"""OpenClaw's own default for gateway.port."""


def parse(raw: bytes, file: str, fields: Fields | None = None, at: Path = ()) -> Reading:
    """What the file holds. `at`: where in the configuration its content stands, if another file includes it there.
    ConfigError with the line where it is no JSON5, or is no object."""
    document = plain_document(raw, file)
    if not isinstance(document, dict):
        raise ConfigError(f"{file}: is not an object", "an OpenClaw configuration begins with {")
    known = fields or load_fields()
    items: list[Item] = []
    references: list[Skipped] = []
    notes: list[str] = []
    for path, leaf in _leaves(document, at):
        where = f"{file}: {dotted(path)}"
        if not all(_whole(part) for part in (*path, leaf)):
            references.append(Skipped(where, dotted(path), "holds half of a character (a lone surrogate), which no "
                                                           "text can"))
        elif INCLUDE in path[-2:]:
            notes.append(f"{where}: includes other files; import them as well")
        elif reason := _elsewhere(path, leaf, known):
            references.append(Skipped(where, dotted(path), reason))
        elif isinstance(leaf, str):
            items.append(_item(path, leaf, where, known, document))
    return Reading(file, tuple(items), tuple(references), tuple(notes))


def texts(raw: bytes, file: str, at: Path = ()) -> Iterator[tuple[Path, str, SecretValue]]:
    """Every text of the file, with its path and that path as OpenClaw writes it. ConfigError."""
    for path, leaf in _leaves(plain_document(raw, file), at):
        if isinstance(leaf, str) and all(_whole(part) for part in (*path, leaf)):
            yield path, dotted(path), SecretValue(leaf)


def _whole(part: object) -> bool:
    """Whether it can be written as UTF-8, if it is a text. JSON can hold what no UTF-8 file can."""
    return not isinstance(part, str) or not _SURROGATE.search(part)


def plain_document(raw: bytes, file: str) -> object:
    """The file as plain data. ConfigError with the line."""
    fault = ""
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        fault = f"line {raw.count(bytes([10]), 0, error.start) + 1}: is not UTF-8 text"
    if not fault:
        try:
            return json.loads(text)  # most files are plain JSON, and this is a hundred times faster
        except (ValueError, RecursionError):
            pass
        import json5

        try:
            return json5.loads(text)  # type: ignore[no-any-return, unused-ignore]
        except RecursionError:
            fault = "is nested too deeply"
        except ValueError as error:
            fault = _where(str(error), text)
    # raised here, outside of `except`: the library's errors hold the content
    raise ConfigError(f"{file}: {fault}", "mend it (`openclaw config validate` says more); its content is not shown")


def _where(said: str, text: str) -> str:
    """`line N: is not JSON5`, from `<string>:N Unexpected … at column C`. Only the numbers are taken."""
    found = re.match(r"<string>:(\d+)\b.* at column (\d+)\Z", said, re.S)
    if found:
        return f"line {found.group(1)}, column {found.group(2)}: is not JSON5"
    return f"line {text.count(chr(10)) + 1}: is not JSON5"


def _leaves(node: object, path: Path) -> Iterator[tuple[Path, object]]:
    """Every value that is no container, and every SecretRef, with its path. The depth is bounded by the parser."""
    if isinstance(node, dict) and not (path and _is_ref(node)):
        for key, value in node.items():
            yield from _leaves(value, (*path, str(key)))
    elif isinstance(node, list):
        for index, value in enumerate(node):
            yield from _leaves(value, (*path, index))
    elif path:
        yield path, node


def _is_ref(node: dict[object, object]) -> bool:
    named = isinstance(node.get("source"), str) and isinstance(node.get("id"), str)
    return named and node["source"] in SOURCES and set(node) <= {"source", "provider", "id"}


def _elsewhere(path: Path, leaf: object, known: Fields) -> str:
    """Why the value is not here; empty when it is."""
    if isinstance(leaf, dict):
        return f"already a SecretRef ({leaf['source']})"
    if not isinstance(leaf, str):
        return ""
    if _VARIABLE.search(leaf):
        return "refers to an environment variable"
    if known.points(path):
        return "names a file that holds the credential; import or bind that file's value"
    return ""


def _item(path: Path, leaf: str, where: str, known: Fields, document: dict[str, object]) -> Item:
    value, key = SecretValue(leaf), str(path[-1])
    field = known.at(path)
    if field is None or (field.store and "profiles" not in document):
        return Item(key, where, value, name=named(path))
    if field.public:
        return Item(key, where, value, kind="public", name=named(path))
    suffix, env = _suffix(field, path), _variables(field, path, known, document)
    if field.open:
        # a variable or header of the user's own: its key decides, as in a .env file
        env_name = key if path[:2] == ("env", "vars") else ""
        return Item(key, where, value, env=env_name, known_as=(key,), name=named(path))
    return Item(key, where, value, "", env, named(path), suffix, field.kind, field.provider)


def _suffix(field: Field, path: Path) -> str:
    """The account or agent; the account that is called `default` needs no word."""
    for before, wild, part in zip(("", *field.parts), field.parts, path, strict=False):
        if wild == "*" and (before == "accounts" or (before == "entries" and field.parts[0] == "agents")):
            return "" if part == "default" else _word(str(part))
    return ""


def _variables(field: Field, path: Path, known: Fields, document: dict[str, object]) -> tuple[str, ...]:
    """The variables that can stand in the field's place: its own, its account-less twin's, or its model provider's."""
    if field.env:
        return field.env
    if "accounts" in path:
        at = path.index("accounts")
        twin = known.at((*path[:at], *path[at + 2 :]))
        return twin.env if twin is not None else ()
    if field.store:
        profiles = document["profiles"]
        profile = profiles.get(path[1]) if isinstance(profiles, dict) else None
        provider = profile.get("provider") if isinstance(profile, dict) else None
        return known.models.get(str(provider), ())
    if "providers" in field.parts and path[-1] == "apiKey":
        return known.models.get(field.wild(path)[-1], ())
    return ()


def dotted(path: Path) -> str:
    """The path as OpenClaw writes it; keys with other characters are quoted in brackets."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        elif re.fullmatch(r"[A-Za-z0-9_$-]+", part):
            text += f".{part}" if text else part
        else:
            text += f"[{json.dumps(part, ensure_ascii=not _whole(part))}]"
    return text


def named(path: Path) -> str:
    """A name made from the path: `plugins.entries.typesafe.config.apiKey` -> `typesafe-api-key`."""
    words = [_word(str(part)) for part in path if part not in _FILLER]
    prefix = ["openclaw"] if path[0] in _OURS else []
    return "-".join(word for word in [*prefix, *words] if word)


def _word(part: str) -> str:
    kebab = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "-", part).lower()
    return re.sub(r"[^a-z0-9]+", "-", kebab).strip("-")
