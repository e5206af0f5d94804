"""The configuration file -> Config. Every fault is a ConfigError with file, table and key; exit code 2."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import NoReturn

from clawsecrets.config.notify import read_notify
from clawsecrets.config.paths import Paths
from clawsecrets.config.place import AnyStoreUrl, StoreUrl, parse_store_url
from clawsecrets.config.shadows import read_shadows
from clawsecrets.config.shape import (
    KEY_SOURCES,
    Config,
    KeyPlace,
    ProviderConfig,
    RotationConfig,
    ScanConfig,
    StoreConfig,
)
from clawsecrets.config.tables import Source, Table, listed
from clawsecrets.config.targets import read_consumers, read_injectors
from clawsecrets.config.timing import read_daemon, read_schedule
from clawsecrets.config.trust import require_owner, require_unshared
from clawsecrets.config.vault import read_vault
from clawsecrets.data import data_path, read_regular
from clawsecrets.errors import ConfigError
from clawsecrets.model.database import SCHEME, database_fault
from clawsecrets.model.finding import CONFIDENCES
from clawsecrets.model.policy import DAY
from clawsecrets.model.provider import RESERVED_OPTIONS, url_fault
from clawsecrets.model.secret import Kind, valid_name

LEASE, PATIENCE, RETENTION = 90.0, 30.0, 7 * DAY
MOST = 1 << 20
"""Bytes. A larger file is no configuration."""
_HOST = re.compile(r"[A-Za-z0-9][A-Za-z0-9.-]{0,62}\Z")
_OPTION = re.compile(r"[a-z][a-z0-9_]*\Z")


def read_config(paths: Paths, store_url: str = "") -> Config:
    """What `paths` leads to, with `--store` laid over it. Without a file: the defaults, unless it was named."""
    absent = not paths.config_given and _absent(paths.config)
    config = parse("", "", paths) if absent else load(paths.config, paths)
    return config if not store_url else replace(config, store=_elsewhere(config.store, store_url, paths))


def _elsewhere(store: StoreConfig, store_url: str, paths: Paths) -> StoreConfig:
    """`--store`: another store has an anchor of its own."""
    url = parse_store_url(store_url)
    return store if url == store.url else replace(store, url=url, anchor=_anchor(url, paths))


def _anchor(url: AnyStoreUrl, paths: Paths) -> Path:
    return paths.anchor_of(url.path if isinstance(url, StoreUrl) else Path(str(url)))


def _absent(file: Path) -> bool:
    try:
        file.stat()
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError:
        return False  # it may be there: let `load` say why it cannot be read
    return False


def load(file: Path, paths: Paths) -> Config:
    """Read one file. ConfigError when it cannot be read, or when others may write to it: its commands are run. Nor
    does root read one of another user, or in another user's folder."""
    try:
        require_unshared(file)
        require_owner(file.parent)
        raw = read_regular(file, MOST)
    except OSError as error:
        raise ConfigError(f"{file}: cannot be read: {error.strerror}", _reading_hint(error, paths)) from None
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise ConfigError(f"{file}: line {line}: is not UTF-8 text", "save the file as UTF-8") from None
    return parse(text, str(file), paths)


def _reading_hint(error: OSError, paths: Paths) -> str:
    if isinstance(error, FileNotFoundError) and paths.config_given:
        return "check --config and CLAWSECRETS_CONFIG, or leave them out to take the default place"
    return "it must be a file that you may read"


def parse(text: str, file: str, paths: Paths) -> Config:
    """The configuration that `text` says; `file` is its name in messages."""
    root = Table(_toml(text, file), Source(file, paths.home, text))
    injectors = read_injectors(root)
    schedule = read_schedule(root.table("schedule"))
    config = Config(
        Path(file) if file else None,
        _store(root.table("store"), paths),
        _rotation(root.table("rotation")),
        {code: _provider(table) for code, table in root.tables("providers").items()},
        root.paths("providers_dirs"),
        injectors,
        read_consumers(root, injectors),
        _scan(root.table("scan")),
        schedule,
        read_daemon(root.table("daemon")),
        read_notify(root.table("notify"), schedule.zone),
        read_shadows(root.table("shadows")),
        _host(root),
        bool(file) and not text.strip(),
    )
    root.done()
    return config


def _host(root: Table) -> str:
    name = root.text("host")
    if name and not _HOST.match(name):
        root.fail_at("host", f"host = {name!r} is not a host's name", "use letters, digits, dot and dash; at most 63")
    return name


def _toml(text: str, file: str) -> Mapping[str, object]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        said = str(error)
    except RecursionError:
        raise ConfigError(f"{file}: is nested too deeply", "a configuration needs few brackets") from None
    except ValueError:  # of int(): more digits than Python reads
        raise ConfigError(f"{file}: holds a number that is too long", "write durations like 90s or 7d") from None
    _refuse_syntax(said, text, file)


def _refuse_syntax(said: str, text: str, file: str) -> NoReturn:
    """tomllib says `… (at line L, column C)` or `… (at end of document)`."""
    what, _, where = said.partition(" (at ")
    line = re.match(r"line (\d+)", where)
    number = line.group(1) if line else str(len(text.splitlines()) or 1)
    raise ConfigError(f"{file}: line {number}: is not TOML: {what}", "text needs quotes, and each key may stand once")


def _store(table: Table, paths: Paths) -> StoreConfig:
    url: AnyStoreUrl = StoreUrl(paths.database)
    if table.has("url"):
        text = table.text("url")
        try:
            url = parse_store_url(text)
        except ConfigError as error:
            table.fail(f"url: {error.message}", error.hint)
    vault = read_vault(table.table("vault"), table.table("paths"))
    config = StoreConfig(url, _key(table.table("key")), table.path("anchor") or _anchor(url, paths), vault)
    table.done()
    return config


def _scan(table: Table) -> ScanConfig:
    config = ScanConfig(table.texts("exclude"), table.texts("disable"),
                        table.choice("confidence", CONFIDENCES, "medium"), table.paths("rules"))
    table.done()
    return config


def _key(table: Table) -> KeyPlace:
    if not table.data:
        return KeyPlace()
    source = table.choice("source", KEY_SOURCES)
    place = KeyPlace(
        source,
        table.path("path") if source == "key-file" else None,
        table.needed("name") if source == "systemd-credential" else "",
    )
    table.done()
    return place


def _rotation(table: Table) -> RotationConfig:
    config = RotationConfig(
        table.seconds("lease", LEASE, least=10.0),
        table.seconds("patience", PATIENCE),
        table.seconds("retention", RETENTION),
        _by_kind(table.table("interval"), least=3600.0),
        _by_kind(table.table("grace")),
        rotation_table(),
    )
    table.done()
    return config


def _by_kind(table: Table, least: float = 0.0) -> Mapping[Kind, float]:
    found = {kind: table.seconds(kind.value, 0.0, least) for kind in Kind if table.has(kind.value)}
    table.done()
    return found


def rotation_table() -> Mapping[Kind, float]:
    """The intervals that ship with clawsecrets (config/rotation-table.toml), in seconds, for every kind."""
    file = data_path("config") / "rotation-table.toml"
    table = Table(_toml(file.read_text(), file.name), Source(file.name, Path("/")))
    found = _by_kind(table.table("interval"))
    table.done()
    missing = [kind.value for kind in Kind if kind not in found]
    if missing:
        table.fail(f"[interval] lacks {listed(missing)}")
    return found


def _provider(table: Table) -> ProviderConfig:
    base_url, admin, options = table.text("base_url").rstrip("/"), table.text("admin"), table.mapping("options")
    fault = database_fault(base_url) if base_url.startswith(f"{SCHEME}:") else url_fault(base_url)
    if base_url and fault:
        table.fail(f"base_url {fault}")
    if admin and not valid_name(admin):
        table.fail(f"admin = {admin!r} is not a secret's name", "it names a secret in the store, and is never a value")
    for name in options:
        if name in RESERVED_OPTIONS:
            table.fail(f"options: {name} is no option", f"write {name} = … beside options")
        if not _OPTION.match(name):
            table.fail(f"options: {name!r} is not an option's name", "use a-z, 0-9 and underscore")
    timeout = table.seconds("timeout", 0.0, least=1.0) if table.has("timeout") else None
    config = ProviderConfig(base_url, table.path("ca_bundle"), timeout, admin, options)
    table.done()
    return config
