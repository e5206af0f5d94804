"""The typed configuration. Durations in seconds, paths absolute, empty text = not said."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from clawsecrets.config.notify import NotifyConfig
from clawsecrets.config.place import AnyStoreUrl, StoreUrl
from clawsecrets.config.running import RunningConsumer, RunningInjector
from clawsecrets.config.shadows import ShadowsConfig
from clawsecrets.config.timing import DaemonConfig, ScheduleConfig
from clawsecrets.config.vault import VaultConfig
from clawsecrets.model.policy import RotationPolicy
from clawsecrets.model.secret import Kind

KEY_SOURCES = ("key-file", "passphrase", "keyring", "systemd-credential")
DIALECTS = ("docker", "compose", "systemd", "shell")


@dataclass(frozen=True, slots=True)
class KeyPlace:
    """Where to look for the master key. The source chosen at `init` is recorded in the store itself."""

    source: str = ""
    """One of KEY_SOURCES; empty: what the store says."""
    path: Path | None = None
    """key-file: the file; None: the default place, or what the store says."""
    credential: str = ""
    """systemd-credential: its name under $CREDENTIALS_DIRECTORY."""


@dataclass(frozen=True, slots=True)
class StoreConfig:
    """For `stores`."""

    url: AnyStoreUrl
    key: KeyPlace
    anchor: Path
    """Of the embedded store. Files of this host that belong to any store are named after it."""
    vault: VaultConfig = field(default_factory=VaultConfig)
    """How a Vault or OpenBao store is reached."""

    @property
    def file(self) -> Path | None:
        """The embedded store's database; None for another kind of store."""
        return self.url.path if isinstance(self.url, StoreUrl) else None


@dataclass(frozen=True, slots=True)
class RotationConfig:
    """For `rotate`."""

    lease: float
    patience: float
    """How long a foreground `rotate` waits for a LATER."""
    retention: float
    """How long the value of a revoked credential is kept that is not proven dead."""
    interval: Mapping[Kind, float]
    """What the file says, by kind."""
    grace: Mapping[Kind, float]
    table: Mapping[Kind, float]
    """The rotation table that ships with clawsecrets: every kind."""

    def policy(self, kind: Kind, provider_interval: float | None = None) -> RotationPolicy:
        """The default policy of a kind, complete: the file's interval, else the provider's, else the table's."""
        interval = self.interval.get(kind, provider_interval)
        return RotationPolicy(self.table[kind] if interval is None else interval, self.grace.get(kind, 0.0))


@dataclass(frozen=True, slots=True)
class ProviderConfig:
    """For `issuers`: what this deployment changes of one provider file."""

    base_url: str = ""
    ca_bundle: Path | None = None
    timeout: float | None = None
    admin: str = ""
    """Name of the admin secret in the store."""
    options: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class EnvFileTarget:
    """[injectors.NAME] kind = "env-file"."""

    name: str
    path: Path
    dialect: str
    host: str = ""
    owner: str = ""
    group: str = ""
    mode: int = 0o600
    names: Mapping[str, str] = field(default_factory=dict)
    """Secret name -> variable, where the secret's own variable name is not wanted."""


@dataclass(frozen=True, slots=True)
class DirectoryTarget:
    """[injectors.NAME] kind = "directory": one file per secret."""

    name: str
    path: Path
    host: str = ""
    owner: str = ""
    group: str = ""
    mode: int = 0o600


@dataclass(frozen=True, slots=True)
class TemplateTarget:
    """[injectors.NAME] kind = "template": a file rendered from a template."""

    name: str
    template: Path
    path: Path
    host: str = ""
    owner: str = ""
    group: str = ""
    mode: int = 0o600


@dataclass(frozen=True, slots=True)
class ResolverBundleTarget:
    """[injectors.NAME] kind = "resolver-bundle": the sealed file that `clawsecrets resolve` reads."""

    name: str
    path: Path
    host: str = ""
    owner: str = ""
    group: str = ""


@dataclass(frozen=True, slots=True)
class OpenClawTarget:
    """[consumers.NAME] kind = "openclaw"."""

    name: str
    url: str
    host: str = ""
    reads: tuple[str, ...] = ()
    """Injectors it reads from; empty: all of the secret's."""
    timeout: float = 30.0
    restart: tuple[str, ...] = ()
    """argv that starts the gateway's process anew, where a reload is not enough."""

    @property
    def longest(self) -> float:
        """Seconds that one call may take: two reloads, the restart, and waiting for the gateway."""
        return 4 * self.timeout if self.restart else self.timeout


@dataclass(frozen=True, slots=True)
class CommandTarget:
    """[consumers.NAME] kind = "command". argv only, no shell; values come by stdin, never by argv."""

    name: str
    reload: tuple[str, ...] = ()
    probe: tuple[str, ...] = ()
    host: str = ""
    reads: tuple[str, ...] = ()
    validates: bool = False
    timeout: float = 60.0
    user: str = ""


@dataclass(frozen=True, slots=True)
class RunTarget:
    """[consumers.NAME] kind = "run": a command under `clawsecrets run --watch --as NAME`."""

    name: str
    host: str = ""
    reads: tuple[str, ...] = ()
    timeout: float = 30.0


@dataclass(frozen=True, slots=True)
class NoneTarget:
    """[consumers.NAME] kind = "none": delivered, never proven."""

    name: str
    host: str = ""
    reads: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ScanConfig:
    """[scan]: what the operator leaves out. Nothing that is scanned can say so itself."""

    exclude: tuple[str, ...] = ()
    """Patterns of paths (fnmatch; `*` crosses slashes), relative to what is scanned."""
    disable: tuple[str, ...] = ()
    """Ids of rules, or a provider's code followed by `.*`."""
    confidence: str = "medium"
    rules: tuple[Path, ...] = ()
    """Files with more rules."""


InjectorConfig = EnvFileTarget | DirectoryTarget | ResolverBundleTarget | TemplateTarget | RunningInjector
ConsumerConfig = OpenClawTarget | CommandTarget | RunTarget | NoneTarget | RunningConsumer


@dataclass(frozen=True, slots=True)
class Config:
    """All of it. Only the wiring sees it whole."""

    file: Path | None
    """None: there is no file, everything is a default."""
    store: StoreConfig
    rotation: RotationConfig
    providers: Mapping[str, ProviderConfig]
    providers_dirs: tuple[Path, ...]
    injectors: Mapping[str, InjectorConfig]
    consumers: Mapping[str, ConsumerConfig]
    scan: ScanConfig = ScanConfig()
    schedule: ScheduleConfig = field(default_factory=ScheduleConfig)
    daemon: DaemonConfig = field(default_factory=DaemonConfig)
    notify: NotifyConfig = field(default_factory=NotifyConfig)
    shadows: ShadowsConfig = field(default_factory=ShadowsConfig)
    host: str = ""
    """This host's name among those that share the store; empty: what the system calls it."""
    empty: bool = field(default=False, compare=False)
    """There is a file, and not a word in it: cut off rather than meant, where it said something before."""
