"""An adoption, put together: what is read from OpenClaw's folder, whose it is, and what the steps act with."""

from __future__ import annotations

import os
import sys
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from clawsecrets.adopting import compose_text, documents, units
from clawsecrets.adopting.clearing import Folder, Treatment
from clawsecrets.adopting.compose_text import Entry, is_compose
from clawsecrets.adopting.plan import Left, Plan, Way
from clawsecrets.adopting.surface import Place, Stands, moves
from clawsecrets.adopting.units import Assigned, is_unit
from clawsecrets.clients.openclaw_cli import OpenClaw
from clawsecrets.errors import ConfigError
from clawsecrets.importers import includes, read_file, recognise
from clawsecrets.importers.candidates import Candidate, secret_name
from clawsecrets.importers.fields import Field, load_fields
from clawsecrets.importers.includes import Part
from clawsecrets.importers.item import Item, Reading
from clawsecrets.importers.openclaw_json import dotted, parse, plain_document, texts
from clawsecrets.model.provider import Provider
from clawsecrets.model.secret import Kind, SecretValue
from clawsecrets.ports import Store
from clawsecrets.wiring.reading import gateway_port

if TYPE_CHECKING:
    from clawsecrets.shadows.search import Seeking

DATABASES = ("state/openclaw.sqlite", "agents/*/agent/openclaw-agent.sqlite")
TREATED: Mapping[str, Treatment] = {
    "configuration": Treatment.MOVED, "environment file": Treatment.MOVED, "database": Treatment.DATABASE,
    "a database's write-ahead log": Treatment.DATABASE, "backup": Treatment.REMOVED, "retired file": Treatment.REMOVED,
    "model catalogue": Treatment.REMOVED, "credentials": Treatment.MOVED, "kept file": Treatment.MASKED,
}
"""shadows.places.Role -> what becomes of a file that holds a value which was moved."""


@dataclass(frozen=True)
class Survey:
    """What stands there, and what is to become of it."""

    plan: Plan
    candidates: Sequence[Candidate]
    values: Sequence[tuple[str, SecretValue]]
    """Secret and value, as they stand on disk."""
    notes: Sequence[str]


@dataclass(frozen=True)
class _Found:
    """An item with what the plan needs to know of its place."""

    item: Item
    stands: Stands
    file: str
    path: tuple[str | int, ...] = ()
    """In the whole configuration."""
    field: Field | None = None
    local: tuple[str | int, ...] = ()
    """In the file."""
    line: int = 0


def survey(folder: Path, config: Path, cli: OpenClaw, providers: Iterable[Provider],
           is_admin: Callable[[Candidate], bool], also: Sequence[Path] = ()) -> Survey:
    """Read everything, and plan. `also`: Compose files, `.env` files and systemd units that are adopted as well.
    Changes nothing. ConfigError names what cannot be listed or read."""
    from clawsecrets.shadows import places as kept

    deque(kept.files(str(folder), bulk=True, unlisted=_unlisted), 0)  # before anything is stored or changed
    parts = includes.parts(str(config), documents.content_of) if config.exists() else []
    rooted = any(not part.at for part in parts[1:])
    found, readings = _items(folder, config, parts, rooted, also)
    placement = recognise([one.item for one in found], providers)
    places, candidates = _placed(found, placement.candidates, is_admin)
    live = _live(cli, str(config)) if any(place.stands is Stands.CONFIG for place in places) else set()
    from clawsecrets.injectors.mapping import env_name

    planned, left = moves(places, live, {one.name: env_name(one.name) for one in candidates})
    left += [Left(one.where, f"{one.what}: {one.reason}") for one in placement.unplaced]
    left += [Left(one.where, one.reason) for reading in readings for one in reading.references
             if "names a file" in one.reason]
    names = {move.name for move in planned}
    by_where = {place.where: place for place in places}
    values = [(by_where[one.item.where].name, one.item.value) for one in found
              if one.item.where in by_where and by_where[one.item.where].name in names]
    notes = [*(str(one) for one in placement.conflicts), *placement.notes,
             *(note for reading in readings for note in reading.notes if "includes other files" not in note)]
    plan = Plan(str(folder), str(config), tuple(planned), tuple(left), tuple(_pointed(parts)),
                tuple(part.file for part in parts[1:]), rooted)
    return Survey(plan, [one for one in candidates if one.name in names], values, notes)


def _items(folder: Path, config: Path, parts: Sequence[Part], rooted: bool,
           also: Sequence[Path]) -> tuple[list[_Found], list[Reading]]:
    found: list[_Found] = []
    readings: list[Reading] = []
    for part in parts:
        readings.append(parse(part.raw, part.file, at=part.at))
        found += _of_part(part, readings[-1], written=rooted or part is not parts[0])
    env_files = [file for file in also if not is_compose(str(file)) and not is_unit(str(file))]
    for file in dict.fromkeys((folder / ".env", config.parent / ".env", *env_files)):
        if file.exists() or file in also:
            readings.append(read_file(file))
            found += [_Found(item, Stands.ENV_FILE, str(file)) for item in readings[-1].items]
    for file in also:
        found += _of_host(str(file))
    for database in (path for pattern in DATABASES for path in sorted(folder.glob(pattern))):
        for cell in documents.profile_cells(str(database)):
            reading = parse(cell.text.encode(), f"{database}: {cell.table}")
            readings.append(reading)
            known = {f"{database}: {cell.table}: {dotted(path)}": path
                     for path, _, _ in texts(cell.text.encode(), str(database))}
            for item in reading.items:
                path = known[item.where]
                if len(path) == 3 and path[2] in documents.REFS:
                    found.append(_Found(item, Stands.PROFILE, str(database), path[1:], local=path[1:]))
    return found, readings


def _of_part(part: Part, reading: Reading, *, written: bool) -> Iterator[_Found]:
    """What stands in one file of the configuration. `written`: OpenClaw does not write it."""
    fields = load_fields()
    paths = {f"{part.file}: {dots}": path for path, dots, _ in texts(part.raw, part.file, part.at)}
    for item in reading.items:
        path = paths[item.where]
        table = path[:2] == ("env", "vars") or (path[0] == "env" and len(path) == 2)
        stands = Stands.INCLUDED if written else Stands.ENV_TABLE if table else Stands.CONFIG
        yield _Found(item, stands, part.file, path, fields.at(path), path[len(part.at):])


def _of_host(file: str) -> Iterator[_Found]:
    """What stands in a Compose file or a unit."""
    entries: Sequence[Entry | Assigned] = ()
    if is_compose(file):
        entries = compose_text.entries(documents.content_of(file))
    elif is_unit(file):
        entries = units.assigned(documents.content_of(file))
    for entry in entries:
        item = Item(entry.name, f"{file}:{entry.line} ({entry.name})", entry.value, env=entry.name)
        yield _Found(item, Stands.COMPOSE if is_compose(file) else Stands.UNIT, file, line=entry.line)


def _placed(found: Sequence[_Found], candidates: Sequence[Candidate],
            is_admin: Callable[[Candidate], bool]) -> tuple[list[Place], list[Candidate]]:
    """Each place with its secret. A list of keys stays one text, and a second variable with one value becomes a secret
    of its own: a process is given it by that name."""
    beside = {one.path[1] for one in found if one.path[:1] == ("channels",) and "accounts" in one.path}
    owner = {place.where: candidate for candidate in candidates for place in candidate.places}
    listed = {where.partition(" (entry ")[0] for where in owner if " (entry " in where}
    kept: dict[str, Candidate] = {}
    variables: dict[str, str] = {}
    places = []
    for one in found:
        item = one.item
        variable = item.env or (str(one.path[-1]) if one.stands is Stands.ENV_TABLE else "")
        candidate = owner.get(item.where)
        if item.where in listed:
            name = secret_name(variable or item.name)
            candidate = Candidate(name, "generic", Kind.API_KEY, variable, item.value, "a list of keys", ())
        if candidate is None:
            continue
        if variable and variables.setdefault(candidate.name, variable) != variable:
            candidate = replace(candidate, name=_free(secret_name(variable), kept, item.value), env=variable)
            variables[candidate.name] = variable
        kept.setdefault(candidate.name, candidate)
        field = one.field
        places.append(Place(candidate.name, one.stands, one.file, item.where, one.local,
                            dotted(one.path) if one.path else variable, variable,
                            field.parts if field is not None else (),
                            field is None or field.text or _beside(one.path, beside), is_admin(candidate), one.line))
    return places, list(kept.values())


def _beside(path: Sequence[str | int], channels: Collection[str | int]) -> bool:
    """Whether it is a channel's own field beside accounts of that channel. OpenClaw 2026.9.6 takes such a one for
    unused and resolves no SecretRef there, and then the channel's default account, which uses it, does not start."""
    return len(path) > 2 and path[0] == "channels" and path[1] in channels and path[2] != "accounts"


def _free(name: str, kept: Mapping[str, Candidate], value: SecretValue) -> str:
    number, chosen = 1, name
    while chosen in kept and kept[chosen].value != value:
        number += 1
        chosen = f"{name}-{number}"
    return chosen


def _live(cli: OpenClaw, config: str) -> set[str]:
    """The plaintext fields of the configuration that OpenClaw's registry knows now: it depends on the plugins."""
    answer = cli.answer("secrets", "audit", "--json")
    return {str(one.get("jsonPath")) for one in answer.get("findings", ())
            if one.get("code") == "PLAINTEXT_FOUND"
            and os.path.realpath(str(one.get("file"))) == os.path.realpath(config)}


def _pointed(parts: Sequence[Part]) -> Iterator[str]:
    """Files that the configuration names to read a credential from."""
    known = load_fields()
    for part in parts:
        for path, _, value in texts(part.raw, part.file, part.at):
            if known.points(path):
                yield os.path.join(os.path.dirname(parts[0].file), os.path.expanduser(value.reveal_text()))


# --- what the steps act with ------------------------------------------------------------------------------------------


def openclaw(command: Sequence[str], folder: Path, config: Path) -> OpenClaw:
    """OpenClaw's command line for this deployment."""
    return OpenClaw(command, {**os.environ, "OPENCLAW_STATE_DIR": str(folder), "OPENCLAW_CONFIG_PATH": str(config)})


def resolver(bundle: Path) -> list[str]:
    """The command that resolves references. OpenClaw refuses one that others may write to, and a link."""
    program = Path(sys.argv[0]).resolve() if os.path.basename(sys.argv[0]) == "clawsecrets" else \
        Path(sys.executable).with_name("clawsecrets")
    if program.exists() and program.stat().st_mode & 0o022:
        raise ConfigError(f"{program} may be written to by others, and OpenClaw refuses such a resolver",
                          f"chmod go-w {program}")
    return [str(program), "resolve", "--bundle", str(bundle)]


def given(store: Store, variables: Mapping[str, str]) -> dict[str, str]:
    """Variable -> value, of what the gateway is to be started with."""
    found = {}
    for name, variable in variables.items():
        current = store.load(name).current
        if current is not None:
            found[variable] = store.value(name, current.number).reveal_text()
    return found


def plain(raw: bytes, file: str) -> Any:
    """A configuration as plain data. ConfigError."""
    return plain_document(raw, file)


def variables(raw: bytes) -> dict[str, str]:
    """What a text of a `.env` assigns. ConfigError."""
    from clawsecrets.importers import dotenv

    return {item.env: item.value.reveal_text() for item in dotenv.parse(raw, ".env").items}


def state_folder(folder: Path, values: Sequence[SecretValue], plan: Plan) -> Folder:
    """Looks in the whole folder, and in the other files of the plan, for these values in all their forms. ConfigError
    where a part of it cannot be listed: nothing could be said of it."""
    from clawsecrets.scan.literals import Literals
    from clawsecrets.shadows import places
    from clawsecrets.shadows.search import Seeking

    seeking = Seeking([value.reveal() for value in values], Literals)
    moved = {*plan.included, *(move.file for move in plan.moves if move.way is not Way.PROFILE)}

    def files() -> Iterator[tuple[str, Treatment]]:
        for path, relative in places.files(str(folder), bulk=True, unlisted=_unlisted):
            treatment = Treatment.MOVED if path in moved else TREATED[places.role(relative).value]
            yield path, _of_link(path, treatment)
        for path in plan.outside:
            if os.path.exists(path):
                yield path, Treatment.MOVED

    return Folder(files, lambda raw: _spans(seeking, raw), plan.kept)


def _of_link(path: str, treatment: Treatment) -> Treatment:
    """A link may lead to what is used elsewhere, too: nothing is removed or masked there, what is left is told."""
    return treatment if treatment is Treatment.DATABASE or not os.path.islink(path) else Treatment.MOVED


def _unlisted(error: OSError) -> NoReturn:
    owned = isinstance(error, PermissionError)
    raise ConfigError(f"{error.filename}: cannot be looked at: {error.strerror}",
                      "adopt it as the user that owns it" if owned else "take it out of the folder") from None


def _spans(seeking: Seeking, raw: bytes) -> Iterator[tuple[int, int]]:
    return ((hit.start, hit.start + hit.length) for hit in seeking.within(raw))


def in_memory(folder: Path) -> bool:
    """Whether it is a folder on a file system in memory."""
    from clawsecrets.injectors.mounts import kind_of

    return folder.is_dir() and kind_of(folder) in ("tmpfs", "ramfs")


def answers(config: Path) -> bool:
    """Whether a gateway listens where this configuration says."""
    import socket

    with socket.socket() as probe:
        probe.settimeout(2.0)
        return probe.connect_ex(("127.0.0.1", gateway_port(config))) == 0
