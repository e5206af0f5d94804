"""What every command shares: `--store`, `--config`, `--verbose`, and a session that opens things when first used."""

from __future__ import annotations

import functools
import getpass
import inspect
import os
import socket
import sys
from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from clawsecrets import wiring
from clawsecrets.cli import helping
from clawsecrets.cli.output import Steps, say
from clawsecrets.errors import NotFound, StoreDamaged, UsageError
from clawsecrets.model.audit import AuditEvent
from clawsecrets.model.secret import SecretValue

if TYPE_CHECKING:
    from clawsecrets.cli.unreadable import Unreadable
    from clawsecrets.config import Config, Paths
    from clawsecrets.daemon.timetable import Timetable
    from clawsecrets.model.provider import Provider
    from clawsecrets.model.record import Record
    from clawsecrets.ports import Store
    from clawsecrets.rotate.engine import Engine
    from clawsecrets.rotate.ledger import Ledger

MAX_INPUT_BYTES = 1 << 20
"""A value read from standard input; no credential is larger."""

StoreOption = Annotated[str, typer.Option("--store", metavar="URL", help="Another store than the configuration's.")]
ConfigOption = Annotated[str, typer.Option("--config", metavar="FILE", help="Another configuration file.")]
VerboseOption = Annotated[bool, typer.Option("--verbose", "-v", help="Say each step, also when piped.")]
OlderOption = Annotated[bool, typer.Option("--accept-older", help="Open a store that is older than one seen here "
                                           "before: you put it back on purpose.")]
JsonOption = Annotated[bool, typer.Option("--json", help="One JSON object on standard output.")]
NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="Name of a secret.")]


class Session:
    """One command's world. Nothing is opened before it is used; `close` releases what was."""

    def __init__(self, store: str = "", config: str = "", verbose: bool = False, accept_older: bool = False) -> None:
        self.accept_older = accept_older
        self._store_url = store
        self._config_path = config
        self.verbose = verbose
        self._only_reads = False
        self.ask: Callable[[], SecretValue] = ask_passphrase

    @cached_property
    def paths(self) -> Paths:
        """Where configuration, data and state stand."""
        return wiring.find_paths(self._config_path)

    @property
    def named_store(self) -> str:
        """What `--store` says; empty: the configuration's."""
        return self._store_url

    def only_reads(self) -> None:
        """This command changes nothing: where a cluster does not answer, a copy on this host may."""
        self._only_reads = True

    def may_make_config(self) -> None:
        """The configuration file that was named need not exist yet: this command makes it."""
        if not self.paths.config.exists():
            self.paths = self.paths._replace(config_given=False)

    @cached_property
    def config(self) -> Config:
        """The configuration, with `--store` over it."""
        return self.read_config()

    def read_config(self) -> Config:
        """The configuration as it is in its file now."""
        return wiring.read_config(self.paths, self._store_url)

    @cached_property
    def clock(self) -> wiring.SystemClock:
        """The real time."""
        return wiring.SystemClock()

    @cached_property
    def store(self) -> Store:
        """The opened store."""
        if self._only_reads:
            from clawsecrets.wiring.stores import open_for_reading

            return open_for_reading(self.config, self.paths, self.ask, self.clock.now, say,
                                    accept_older=self.accept_older)
        return wiring.open_store(self.config, self.paths, self.ask, accept_older=self.accept_older)

    @cached_property
    def shop(self) -> wiring.Workshop:
        """Builds issuers and targets."""
        return wiring.Workshop(self.config, self.paths, lambda: self.store, self.clock)

    @cached_property
    def timetable(self) -> Timetable:
        """When which secret is rotated by itself. ConfigError where that cannot be kept."""
        from clawsecrets.daemon.timetable import Timetable

        return Timetable(self.config, self.shop)

    @cached_property
    def actor(self) -> str:
        """Who acts, for the audit log: user@host/pid."""
        return f"{_user()}@{socket.gethostname()}/{os.getpid()}"

    def engine(self) -> Engine:
        """The rotation engine, telling its steps on stderr."""
        return wiring.engine(self.config, self.store, self.shop, self.clock, self.steps, self.actor)

    @cached_property
    def unreadable(self) -> Unreadable:
        """Told of records that cannot be read, where the others carry on."""
        from clawsecrets.cli.unreadable import Unreadable

        return Unreadable()

    @cached_property
    def steps(self) -> Steps:
        """Tells the steps, and remembers what was refused."""
        return Steps(self.verbose)

    def ledger(self) -> Ledger:
        """The revocation ledger."""
        return wiring.ledger(self.config, self.store, self.shop, self.clock, self.actor)

    def event(self, action: str, secret: str = "", version: int = 0, **detail: str) -> AuditEvent:
        """An audit event of now."""
        return AuditEvent(self.clock.now(), self.actor, action, secret, version, "", detail)

    def load(self, name: str) -> Record:
        """One record. NotFound does not repeat what was typed, which could be a value; it tells the nearest name."""
        try:
            return self.store.load(name)
        except NotFound:
            pass
        import difflib

        near = difflib.get_close_matches(name, self.store.names(broken=lambda name, fault: None), 1)
        raise NotFound("there is no secret of that name" + (f"; did you mean {near[0]}?" if near else ""),
                       "clawsecrets list shows the names")

    def known(self, names: Sequence[str]) -> Sequence[str]:
        """Every name, or NotFound before anything is done. What is no name is not repeated: it could be a value."""
        for place, name in enumerate(names, 1):
            if not self._is_there(name):
                if len(names) == 1:
                    self.load(name)
                raise NotFound(f"argument {place} is not the name of a secret; nothing was done",
                               "clawsecrets list shows the names; a new value goes on standard input")
        return names

    def _is_there(self, name: str) -> bool:
        """Whether there is such a secret, and it was not deleted. One that cannot be read is there."""
        try:
            return not self.store.load(name).secret.deleted_at
        except NotFound:
            return False
        except StoreDamaged:
            return True

    def provider(self, code: str) -> Provider:
        """One provider. NotFound tells the nearest code, not what was typed."""
        if code in self.shop.providers:
            return self.shop.provider(code)
        import difflib

        near = difflib.get_close_matches(code, list(self.shop.providers), 1)
        raise NotFound("there is no provider of that code" + (f"; did you mean {near[0]}?" if near else ""),
                       "clawsecrets providers lists them")

    def close(self) -> None:
        """Release the store if it was opened. It is opened anew when it is used again."""
        if "store" in self.__dict__:
            self.__dict__.pop("store").close()


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"uid{os.getuid()}"


Command = Callable[..., int | None]


def command(app: typer.Typer, name: str, **settings: Any) -> Callable[[Command], None]:
    """Register `function(session, …)` as a command with the shared options added to its own."""

    def register(function: Command) -> None:
        app.command(name, cls=helping.Command, help=helping.text_of(function), **settings)(_with_shared(function))

    return register


def group(app: typer.Typer, name: str, about: str, bare: Command) -> typer.Typer:
    """A group of commands. Named alone, with or without options, it does what `bare` does."""
    made = typer.Typer(help=about, cls=helping.Group)
    inner = _with_shared(bare)
    signature = inspect.signature(inner)
    context = inspect.Parameter("context", inspect.Parameter.KEYWORD_ONLY, annotation=typer.Context)

    def run(*, context: typer.Context, **given: Any) -> int | None:
        if context.invoked_subcommand is None:
            return inner(**given)
        if any(given[key] != parameter.default for key, parameter in signature.parameters.items()):
            raise UsageError(f"options of {name} {context.invoked_subcommand} stand after its name",
                             f"clawsecrets {name} {context.invoked_subcommand} --help lists them")
        return None

    _sign(run, [context, *signature.parameters.values()])
    made.callback(invoke_without_command=True)(run)
    app.add_typer(made, name=name)
    return made


def _with_shared(function: Command) -> Command:
    own = list(inspect.signature(function, eval_str=True).parameters.values())[1:]
    shared = [
        inspect.Parameter("store", inspect.Parameter.KEYWORD_ONLY, default="", annotation=StoreOption),
        inspect.Parameter("config", inspect.Parameter.KEYWORD_ONLY, default="", annotation=ConfigOption),
        inspect.Parameter("verbose", inspect.Parameter.KEYWORD_ONLY, default=False, annotation=VerboseOption),
        inspect.Parameter("accept_older", inspect.Parameter.KEYWORD_ONLY, default=False, annotation=OlderOption),
    ]

    @functools.wraps(function)
    def run(*, store: str = "", config: str = "", verbose: bool = False, accept_older: bool = False,
            **given: Any) -> int | None:
        session = Session(store, config, verbose, accept_older)
        try:
            return function(session, **given)
        finally:
            session.close()

    _sign(run, [*(p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in own), *shared])
    return run


def _sign(function: Command, params: list[inspect.Parameter]) -> None:
    """What typer reads: the parameters that the function takes by keyword."""
    function.__signature__ = inspect.Signature(params)  # type: ignore[attr-defined]
    function.__annotations__ = {parameter.name: parameter.annotation for parameter in params}


def read_value(what: str) -> SecretValue:
    """A value from standard input, or from a hidden prompt on a terminal. One trailing newline is not part of it.

    UsageError when it is empty or larger than 1 MiB.
    """
    if sys.stdin.isatty():
        value = getpass.getpass(f"{what} (hidden): ").encode()
    else:
        value = sys.stdin.buffer.read(MAX_INPUT_BYTES + 1)
        value = value.removesuffix(b"\n").removesuffix(b"\r")
    if not value:
        raise UsageError(f"{what}: nothing was given", "pipe it in, or type it at the prompt on a terminal")
    if len(value) > MAX_INPUT_BYTES:
        raise UsageError(f"{what}: larger than 1 MiB", "this is no credential")
    return SecretValue(value)


def ask_passphrase() -> SecretValue:
    """The store's passphrase: from the terminal, or the first line of the file named by CLAWSECRETS_PASSPHRASE_FILE."""
    path = os.environ.get("CLAWSECRETS_PASSPHRASE_FILE", "")
    if path:
        from clawsecrets.wiring.stores import read_private

        return SecretValue(read_private(Path(path), "the passphrase file").split(b"\n", 1)[0])
    try:
        with open("/dev/tty", "rb"):
            return SecretValue(getpass.getpass("store passphrase (hidden): "))
    except OSError:
        pass
    raise UsageError("the store needs its passphrase and there is no terminal",
                     "name a file with it in CLAWSECRETS_PASSPHRASE_FILE, or use a key file on unattended hosts")


def confirm(question: str, yes: bool) -> None:
    """Ask on the terminal; `--yes` answers it. UsageError without either."""
    if yes:
        return
    if not sys.stdin.isatty():
        raise UsageError(f"{question} Not asked: there is no terminal", "add --yes if you mean it")
    typer.confirm(question, abort=True, err=True)
