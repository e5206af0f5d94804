"""[injectors.NAME] and [consumers.NAME]: where values are written, and who reads them."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from clawsecrets.config import running
from clawsecrets.config.shape import (
    DIALECTS,
    CommandTarget,
    ConsumerConfig,
    DirectoryTarget,
    EnvFileTarget,
    InjectorConfig,
    NoneTarget,
    OpenClawTarget,
    ResolverBundleTarget,
    RunTarget,
    TemplateTarget,
)
from clawsecrets.config.tables import Table, nearest
from clawsecrets.model.provider import gateway_fault

GATEWAY_URL = "ws://127.0.0.1:18789"
"""Where OpenClaw's gateway listens by default."""
_TARGET = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}\Z")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")


def read_injectors(root: Table) -> Mapping[str, InjectorConfig]:
    """All of [injectors.*]."""
    return {name: INJECTORS[table.choice("kind", INJECTORS)](name, table)
            for name, table in _named(root, "injectors")}


def read_consumers(root: Table, injectors: Mapping[str, InjectorConfig]) -> Mapping[str, ConsumerConfig]:
    """All of [consumers.*]. `reads` may name configured injectors only.

    A name stands for one target in acknowledgements, so injectors and consumers may not share one.
    """
    found: dict[str, ConsumerConfig] = {}
    for name, table in _named(root, "consumers"):
        if name in injectors:
            table.fail(f"[injectors.{name}] has the same name", "give one of them another name")
        consumer = found[name] = CONSUMERS[table.choice("kind", CONSUMERS)](name, table)
        for injector in consumer.reads:
            if injector not in injectors:
                table.fail(f"reads: there is no [injectors.{injector}]{nearest(injector, injectors)}")
    return found


def _named(root: Table, section: str) -> list[tuple[str, Table]]:
    tables = root.tables(section)
    for name, table in tables.items():
        if not _TARGET.match(name):
            table.fail(f"the name {name!r} is not allowed", "use a-z, 0-9, dot, dash, underscore; at most 64")
    return list(tables.items())


def _env_file(name: str, table: Table) -> EnvFileTarget:
    target = EnvFileTarget(
        name,
        table.needed_path("path"),
        table.choice("dialect", DIALECTS),
        table.text("host"),
        table.text("owner"),
        table.text("group"),
        table.mode("mode", 0o600),
        running.other_names(table, _VARIABLE, "is not a variable name"),
    )
    table.done()
    return target


def _directory(name: str, table: Table) -> DirectoryTarget:
    target = DirectoryTarget(
        name,
        table.needed_path("path"),
        table.text("host"),
        table.text("owner"),
        table.text("group"),
        table.mode("mode", 0o600),
    )
    table.done()
    return target


def _resolver_bundle(name: str, table: Table) -> ResolverBundleTarget:
    target = ResolverBundleTarget(
        name, table.needed_path("path"), table.text("host"), table.text("owner"), table.text("group")
    )
    table.done()
    return target


def _template(name: str, table: Table) -> TemplateTarget:
    target = TemplateTarget(
        name,
        table.needed_path("template"),
        table.needed_path("path"),
        table.text("host"),
        table.text("owner"),
        table.text("group"),
        table.mode("mode", 0o600),
    )
    table.done()
    if target.template == target.path:
        table.fail("template and path are one file", "the template must stay")
    return target


def _openclaw(name: str, table: Table) -> OpenClawTarget:
    url = table.text("url", GATEWAY_URL)
    fault = gateway_fault(url)
    if fault:
        table.fail(f"url {fault}", "write ws://127.0.0.1:18789, or wss:// for another host")
    target = OpenClawTarget(
        name,
        url,
        table.text("host"),
        table.texts("reads"),
        table.seconds("timeout", 30.0, least=1.0),
        table.texts("restart"),
    )
    table.done()
    return target


def _command(name: str, table: Table) -> CommandTarget:
    target = CommandTarget(
        name,
        table.texts("reload"),
        table.texts("probe"),
        table.text("host"),
        table.texts("reads"),
        table.flag("validates"),
        table.seconds("timeout", 60.0, least=1.0),
        table.text("user"),
    )
    table.done()
    if not target.reload and not target.probe:
        table.fail("needs reload, probe or both", 'for a consumer with neither, write kind = "none"')
    if target.validates and not target.probe:
        table.fail("validates = true needs a probe", "the probe shows which of two values it accepts")
    return target


def _run(name: str, table: Table) -> RunTarget:
    target = RunTarget(name, table.text("host"), table.texts("reads"), table.seconds("timeout", 30.0, least=1.0))
    table.done()
    return target


def _none(name: str, table: Table) -> NoneTarget:
    target = NoneTarget(name, table.text("host"), table.texts("reads"))
    table.done()
    return target


INJECTORS: Mapping[str, Callable[[str, Table], InjectorConfig]] = {
    "env-file": _env_file,
    "directory": _directory,
    "resolver-bundle": _resolver_bundle,
    "template": _template,
    "tmpfs-directory": running.tmpfs_directory,
    "swarm-secret": running.swarm_secret,
    "podman-secret": running.podman_secret,
}
CONSUMERS: Mapping[str, Callable[[str, Table], ConsumerConfig]] = {
    "openclaw": _openclaw,
    "command": _command,
    "run": _run,
    "none": _none,
    "docker": running.docker,
    "swarm": running.swarm,
    "systemd": running.systemd,
    "process": running.process,
    "http": running.http,
}
