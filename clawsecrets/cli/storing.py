"""init, new-key, rekey, backup, restore."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from clawsecrets.cli.output import Column, emit, new_file, say, table
from clawsecrets.cli.refreshing import after_restore
from clawsecrets.cli.session import JsonOption, Session, ask_passphrase, command, confirm, read_value
from clawsecrets.errors import ConfigError, UsageError
from clawsecrets.model.record import Record
from clawsecrets.model.rotation import Outcome
from clawsecrets.model.secret import SecretValue
from clawsecrets.ports import Change, Consumer, Handover, Reply
from clawsecrets.wiring import stores

if TYPE_CHECKING:
    from clawsecrets.rotate.gear import Outfit
    from clawsecrets.stores.keys import KeySource

KeyFileOption = Annotated[str, typer.Option("--key-file", metavar="PATH", help="Keep the master key in this file "
                                            "(0600); not beside the store.")]
PassphraseOption = Annotated[bool, typer.Option("--passphrase-stdin", help="A passphrase, read from standard input.")]
KeyringOption = Annotated[bool, typer.Option("--keyring", help="Keep the master key in the OS keyring.")]
CredentialOption = Annotated[str, typer.Option("--credential", metavar="NAME", help="A systemd credential "
                                               "(LoadCredentialEncrypted=NAME; made from a `new-key` file).")]
CodeFileOption = Annotated[str, typer.Option("--recovery-file", metavar="PATH", help="A file that holds the recovery "
                                             "code.")]


REFUSED = "REFUSED"
_WORDS = {Outcome.OK: "accepted", Outcome.REFUSED: REFUSED}
_WORSE = (Outcome.OK, Outcome.LATER, Outcome.UNKNOWN, Outcome.REFUSED)


def register(app: typer.Typer) -> None:
    """Add this file's commands."""
    command(app, "init")(init)
    command(app, "new-key")(new_key)
    command(app, "rekey")(rekey)
    command(app, "backup")(backup)
    command(app, "restore")(restore)


def init(
    session: Session,
    key_file: KeyFileOption = "",
    passphrase_stdin: PassphraseOption = False,
    keyring: KeyringOption = False,
    credential: CredentialOption = "",
    unattended: Annotated[bool, typer.Option("--unattended", help="The host runs without anybody logged in: never a "
                                             "keyring or a passphrase.")] = False,
    recovery_file: Annotated[str, typer.Option("--recovery-file", metavar="PATH", help="Write the recovery code into "
                                               "this new file instead of showing it.")] = "",
    no_recovery: Annotated[bool, typer.Option("--no-recovery", help="Make no recovery code: a lost key loses the "
                                              "store, and no backup can be made.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Make the encrypted store, choose where its key lives, and write down the recovery code.

    On a terminal it asks; without one the options answer. The default on an unattended host is a key file in the
    configuration folder.
    """
    session.may_make_config()
    path = session.config.store.file
    if path is None:
        if key_file or passphrase_stdin or keyring or credential or recovery_file:
            raise UsageError(f"{session.config.store.url} needs no key and no recovery code of ours: the cluster has "
                             "its own", "clawsecrets init --store URL, and nothing else")
        _create_in_cluster(session)
    else:
        create_store(session, sources_for(session, key_file, passphrase_stdin, keyring, credential, unattended),
                     recovery_file, no_recovery)
    if as_json:
        emit({"store": str(session.config.store.url), "config": str(session.paths.config)})
        return
    say(f"the store is at {path or session.config.store.url}, its configuration at {session.paths.config}")
    say("next: clawsecrets import FILE… brings your tokens in")


def create_store(session: Session, sources: Sequence[KeySource], recovery_file: str, no_recovery: bool) -> None:
    """Make store and configuration file; show or write the recovery code. Nothing is made when the code could not be
    kept."""
    if not no_recovery and not recovery_file and not sys.stderr.isatty():
        raise UsageError("the recovery code has to go somewhere, and there is no terminal",
                         "--recovery-file PATH writes it into a file, --no-recovery does without")
    if recovery_file and new_file(recovery_file).exists():
        raise UsageError(f"{recovery_file} is there already", "the recovery code goes into a new file")
    stores.require_findable(session.config, sources)

    def make() -> SecretValue:
        event = session.event("store.init")
        return stores.create_store(session.config, sources, recovery=not no_recovery, event=event) or SecretValue(b"")

    if no_recovery:
        make()
    elif recovery_file:
        with stores.place_for(Path(recovery_file)) as keep:
            keep(make().reveal() + b"\n")
        say(f"the recovery code is in {recovery_file}: print it, keep it off this machine, delete the file")
    else:
        _show_code(make)
    _name_store(session)


def _create_in_cluster(session: Session) -> None:
    """Make the store in Vault or OpenBao, and a configuration file that names it."""
    stores.create_in_cluster(session.config, session.paths, session.event("store.init"))
    _name_store(session)
    say(f"it has no key and no recovery code of ours: {stores.SNAPSHOT}")
    say("the daemon and people who rotate need the policy of: clawsecrets vault policy")


def _show_code(make: Callable[[], SecretValue]) -> None:
    """Straight to the terminal, which is open before there is a code: not through a stream that may be logged."""
    with open("/dev/tty", "w") as terminal:
        code = make()
        terminal.write("\nThe recovery code opens the store and its backups when the key is lost.\n"
                       f"It is shown once. Write it down and keep it off this machine:\n\n    {code.reveal_text()}\n\n")


def _name_store(session: Session) -> None:
    """Make the annotated configuration file where there is none yet; it names the store that `--store` named. One that
    is there stays as it is; where it names another store, that is said."""
    from clawsecrets.config.load import read_config
    from clawsecrets.data import data_path

    path, url = session.paths.config, session.config.store.url
    line = f"url = {json.dumps(str(url), ensure_ascii=False)}"  # TOML's basic strings are JSON's
    named = read_config(session.paths, "").store.url == url
    if not path.exists():
        text = (data_path("config") / "clawsecrets.toml").read_text()
        stores.write_new(path, (text if named else text.replace("#[store]\n", f"[store]\n\n{line}\n", 1)).encode())
    elif not named:
        say(f"{path} stays as it is, and names another store: put {line} under [store] there, or give --store each "
            "time")


def sources_for(session: Session, key_file: str, passphrase_stdin: bool, keyring: bool, credential: str,
                unattended: bool) -> list[KeySource]:
    """The key source that the options or the person at the terminal choose."""
    if (bool(key_file) + passphrase_stdin + keyring + bool(credential)) > 1:
        raise UsageError("choose one of --key-file, --passphrase-stdin, --keyring, --credential")
    if unattended and (keyring or passphrase_stdin):
        raise UsageError("an unattended host cannot open a keyring or a passphrase by itself",
                         "use --key-file PATH or --credential NAME there")
    if passphrase_stdin:
        return [stores.passphrase(read_value("passphrase"))]
    if keyring:
        return [stores.os_keyring()]
    if credential:
        return [stores.systemd_credential(credential)]
    if key_file or unattended or not sys.stdin.isatty():
        return [stores.key_file(Path(os.path.abspath(new_file(key_file))) if key_file else session.paths.key_file)]
    return _asked(session)


def _asked(session: Session) -> list[KeySource]:
    """Ask the person. Unattended: a key file, whatever else there is."""
    if typer.confirm("Does this host run unattended (a server, nobody logged in)?", default=True, err=True):
        return [stores.key_file(session.paths.key_file)]
    if stores.keyring_is_fit():
        return [stores.os_keyring()]
    say("there is no keyring fit for it here: choose a passphrase")
    first = ask_passphrase()
    if first != ask_passphrase():
        raise UsageError("the two passphrases differ")
    return [stores.passphrase(first)]


def new_key(
    session: Session,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A new file; it is made 0600.")],
) -> None:
    """Write a fresh key line into a new file, to be handed to `systemd-creds encrypt` for --credential."""
    stores.write_new(new_file(file), stores.fresh_key_line())
    say(f"a key line is in {file}: systemd-creds encrypt --name=NAME {file} OUT, then delete it")


def rekey(
    session: Session,
    key_file: KeyFileOption = "",
    passphrase_stdin: PassphraseOption = False,
    keyring: KeyringOption = False,
    credential: CredentialOption = "",
) -> None:
    """Give the store a new master key, and seal everything anew. The recovery code stays the same.

    Without options the key stays where it is kept. Safe to kill at any instant: the store opens with the old key or
    the new one.
    """
    stores.embedded(session.config, "rekey", stores.KEYS_OF_A_CLUSTER)
    chosen = bool(key_file or passphrase_stdin or keyring or credential)
    sources = sources_for(session, key_file, passphrase_stdin, keyring, credential, False) if chosen else []
    left = stores.rekey(session.config, session.paths, ask_passphrase, session.event("store.rekey"), sources,
                        accept_older=session.accept_older)
    say("the store has a new master key")
    for line in left:
        say(line)


def backup(
    session: Session,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A new file; it is made 0600.")],
    as_json: JsonOption = False,
) -> None:
    """Write a verified copy of the store, which `restore` opens with the recovery code, on any machine.

    It is sealed as the store is: who has the store's key (key file, passphrase, keyring, credential) can open it, too.
    """
    generation = stores.backup(session.config, session.paths, ask_passphrase, new_file(file),
                               accept_older=session.accept_older)
    if as_json:
        emit({"file": str(file), "generation": generation})
    else:
        say(f"{file} holds the store as of generation {generation}; keep it apart from the recovery code and the key")


def restore(
    session: Session,
    file: Annotated[Path | None, typer.Argument(metavar="FILE", help="A backup.")] = None,
    recovery_file: CodeFileOption = "",
    key_file: KeyFileOption = "",
    passphrase_stdin: PassphraseOption = False,
    keyring: KeyringOption = False,
    credential: CredentialOption = "",
    confirm_restored: Annotated[bool, typer.Option("--confirm", help="After you have looked: let rotation and delivery "
                                                   "go on.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="With --confirm: do not ask.")] = False,
    as_json: JsonOption = False,
) -> int:
    """Make a new store from a backup, with the recovery code (a hidden prompt, or --recovery-file).

    Afterwards nothing is delivered or rotated until `clawsecrets restore --confirm`, which first tries every current
    credential at its provider (a self-issued one at its consumers) and tells what it found; exit code 1 where one was
    refused.
    """
    if confirm_restored:
        return _confirm(session, yes, as_json)
    session.may_make_config()
    if file is None:
        raise UsageError("name the backup", "clawsecrets restore FILE --recovery-file CODE")
    stores.embedded(session.config, "restore", stores.RESTORING)
    code = SecretValue(stores.read_private(Path(recovery_file), "the recovery file").strip()) if recovery_file \
        else read_value("recovery code")
    sources = sources_for(session, key_file, passphrase_stdin, keyring, credential, False)
    count = stores.restore(session.config, file, code, sources, session.event("store.restored"))
    _name_store(session)
    if as_json:
        emit({"store": str(session.config.store.url), "secrets": count, "reconcile": True})
    say(f"restored {count} secret(s); nothing is delivered or rotated until: clawsecrets restore --confirm")
    return 0


def _confirm(session: Session, yes: bool, as_json: bool) -> int:
    waiting = [record for record in session.store.records() if record.reconcile]
    if not waiting:
        raise UsageError("nothing waits for a confirmation")
    other = next((record.elsewhere for record in waiting if record.elsewhere), "")
    if other:
        say(f"some are kept in {other}: confirm only if that store is gone, or two stores will rotate the same secrets")
    seen = [(record, *_try_current(session, record)) for record in waiting]
    if as_json:
        emit({"secrets": [{"name": r.secret.name, "current": outcome, "detail": detail, "unfinished": r.rotating}
                          for r, outcome, detail in seen]})
    else:
        table([Column("SECRET"), Column("CURRENT VALUE"), Column("ROTATION"), Column("WHY", 10)],
              [[r.secret.name, outcome, "unfinished" if r.rotating else "-", detail] for r, outcome, detail in seen])
    confirm(f"Let rotation and delivery of {len(waiting)} secret(s) go on?", yes)
    session.store.commit([Change(replace(after_restore(session, record), reconcile=False, elsewhere=""),
                                 session.event("secret.reconciled", record.secret.name, current=outcome))
                          for record, outcome, _ in seen])
    say("confirmed; `clawsecrets inject` writes the targets, `clawsecrets rotations` shows what is unfinished")
    refused = [record.secret.name for record, outcome, _ in seen if outcome == REFUSED]
    for name in refused:
        say(f"{name}: its current value is REFUSED: clawsecrets set {name} --replace stores the live one, "
            f"clawsecrets rotate {name} makes a new one")
    return 1 if refused else 0


def _try_current(session: Session, record: Record) -> tuple[str, str]:
    current = record.current
    if current is None:
        return "none", ""
    try:
        outfit, missing = session.shop.outfit(record.secret), ""
    except ConfigError as error:  # of this secret alone: the others go on
        outfit, missing = session.shop.outfit(record.secret, targets=False), error.message
    outcome, detail = _tried(session, record, outfit)
    return outcome, "; ".join(filter(None, (missing, detail)))


def _tried(session: Session, record: Record, outfit: Outfit) -> tuple[str, str]:
    value = session.store.value(record.secret.name, record.current.number if record.current else 0)
    if outfit.tests_elsewhere:
        return _try_at_consumers(record, outfit, value)
    reply = outfit.issuer.test(value, outfit.request(record.secret.name, ""))
    if reply.untestable:
        return "cannot be tried", reply.detail
    return _WORDS.get(reply.outcome, "unknown"), reply.detail


def _try_at_consumers(record: Record, outfit: Outfit, value: SecretValue) -> tuple[str, str]:
    """A self-issued value is tried where it is accepted or refused: at the consumers that validate it."""
    current, secret = record.current, record.secret
    number = current.number if current else 0
    handover = Handover(secret.name, secret.provider, secret.kind.value, value, number)
    replies = {target: _asked_of(consumer, handover) for target, consumer in outfit.consumers.items()
               if consumer.validates}
    if not replies:
        return "cannot be tried", "no consumer of this host validates it"
    worst = max(replies, key=lambda target: _WORSE.index(replies[target].outcome))
    detail = f"{worst}: {replies[worst].detail}" if replies[worst].detail else worst
    return _WORDS.get(replies[worst].outcome, "unknown"), detail


def _asked_of(consumer: Consumer, handover: Handover) -> Reply:
    """Does it use that value? `prove` has nothing to compare with, so what it leaves open is asked of `preflight`."""
    reply = consumer.prove(handover)
    if reply.outcome is Outcome.OK:
        return reply
    looked = consumer.preflight(handover)
    return looked if looked.outcome is Outcome.REFUSED else reply
