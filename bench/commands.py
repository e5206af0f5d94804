"""What is measured: whole commands, from the start of the process until it is gone."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.worlds import World, env_file

BUNDLE = "refs"
IDS = 512
"""As many ids as OpenClaw asks for at once."""
ONE = "team-00/service-00000-api-key"


@dataclass(frozen=True)
class Measure:
    """One row of the table. `once` does it one time and gives seconds; `target`: milliseconds, 0 = none was set."""

    name: str
    what: str
    once: Callable[[], float]
    target: float = 0.0


@contextmanager
def scratch() -> Iterator[Path]:
    """A folder that goes with everything in it."""
    with tempfile.TemporaryDirectory(prefix="clawsecrets-bench-") as folder:
        yield Path(folder)


def resolver() -> Iterator[Measure]:
    """The resolver on a bundle of 512 secrets."""
    with scratch() as folder:
        world = World(folder / "home")
        bundle = folder / "bundle"
        with (world.home / "clawsecrets.toml").open("a") as file:
            file.write(f'\n[injectors.{BUNDLE}]\nkind = "resolver-bundle"\npath = "{bundle}"\n')
        world.run("import", str(env_file(folder / "all.env", IDS)), "--inject", BUNDLE)
        world.run("inject", "service-00000-api-key")
        for count, target in ((1, 150.0), (IDS, 300.0)):
            ask = _asking(world, bundle, count)
            yield Measure(f"resolve_{count}", f"`resolve` of {count} id(s) out of a bundle of {IDS}", ask, target)


def _asking(world: World, bundle: Path, count: int) -> Callable[[], float]:
    ids = [f"service-{number:05d}-api-key" for number in range(count)]
    request = json.dumps({"protocolVersion": 1, "provider": "clawsecrets", "ids": ids}).encode()
    words = ("resolve", "--bundle", str(bundle))
    answer = json.loads(world.run(*words, stdin=request))
    assert len(answer["values"]) == count, "the resolver did not answer all"
    return lambda: world.timed(*words, stdin=request)


def thousand() -> Iterator[Measure]:
    """A store of 1,000 secrets, and the import that makes one."""
    with scratch() as folder:
        world = World(folder / "home")
        world.fill(1000)
        yield Measure("version", "`version`: what every command pays before it begins", lambda: world.timed("version"))
        yield Measure("get_1000", "`get` (masked), 1,000 secrets", lambda: world.timed("get", ONE))
        yield Measure("get_raw_1000", "`get --raw` (writes an audit event), 1,000 secrets",
                      lambda: world.timed("get", ONE, "--raw"))
        yield Measure("status_1000", "`status`, 1,000 secrets", lambda: world.timed("status"), 400.0)
        file = env_file(folder / "all.env", 1000)
        yield Measure("import_1000", "`import` of a .env file of 1,000 keys", lambda: _import(folder, file))


def _import(folder: Path, file: Path) -> float:
    with tempfile.TemporaryDirectory(dir=folder) as place:
        return World(Path(place) / "home").timed("import", str(file))


def ten_thousand() -> Iterator[Measure]:
    """A store of 10,000 secrets with 20 versions each, 18 of them erased."""
    with scratch() as folder:
        world = World(folder / "home")
        world.fill(10_000, versions=20, alive=2)
        size = "10,000 secrets of 20 versions"
        yield Measure("get_10000", f"`get` (masked), {size}", lambda: world.timed("get", ONE))
        yield Measure("get_raw_10000", f"`get --raw`, {size}", lambda: world.timed("get", ONE, "--raw"))
        yield Measure("history_10000", f"`history` of one, {size}", lambda: world.timed("history", ONE))
        yield Measure("status_10000", f"`status`, {size}", lambda: world.timed("status"))
        yield Measure("list_10000", f"`list --json`, {size}", lambda: world.timed("list", "--json"))


GROUPS: dict[str, Callable[[], Iterator[Measure]]] = {
    "resolve": resolver, "thousand": thousand, "ten-thousand": ten_thousand,
}
