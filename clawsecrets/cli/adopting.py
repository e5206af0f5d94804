"""adopt: a whole OpenClaw deployment onto clawsecrets. The dry run is what happens unless --apply is given."""

from __future__ import annotations

import contextlib
import os
import shlex
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from clawsecrets.cli.adopted import (
    as_document,
    begun,
    needed,
    places,
    tell_end,
    tell_moves,
    tell_places,
    tell_rest,
    unrotatable,
)
from clawsecrets.cli.importing import DIFFERS, NEW, change_of, state_of
from clawsecrets.cli.output import clean, emit, say
from clawsecrets.cli.quickstart import config_file, state_folder
from clawsecrets.cli.session import JsonOption, Session, command
from clawsecrets.errors import ConfigError, NotFound, Refused, StoreDamaged, StoreMissing, UsageError, WorkLeft
from clawsecrets.model.rotation import Outcome
from clawsecrets.model.secret import Kind, SecretValue
from clawsecrets.ports import Change
from clawsecrets.wiring.reading import REFS, add_target, gateway_url, refs_bundle

if TYPE_CHECKING:
    from clawsecrets.adopting.journal import Journal
    from clawsecrets.adopting.plan import Plan
    from clawsecrets.adopting.run import Tools
    from clawsecrets.importers import Candidate
    from clawsecrets.wiring.adopting import Survey
    from clawsecrets.wiring.around import Found

ENV, GATEWAY = "openclaw-env", "gateway"
"""Names of the targets that are made, beside REFS."""
PATIENCE = 120.0
"""Seconds that the gateway may take to leave, or to answer."""


def register(app: typer.Typer) -> None:
    """Add this file's command."""
    command(app, "adopt")(adopt)


def adopt(
    session: Session,
    folder: Annotated[Path | None, typer.Argument(metavar="STATE_FOLDER", help="OpenClaw's state folder; else "
                                                  "OPENCLAW_STATE_DIR, else ~/.openclaw.")] = None,
    apply: Annotated[bool, typer.Option("--apply", help="Do it. Without: say what would be done.")] = False,
    undo: Annotated[bool, typer.Option("--undo", help="Put back what stood there before (for 7 days), "
                                             "with the values that are current now.")] = False,
    stop_command: Annotated[str, typer.Option(metavar="CMD", help="Stops the gateway.")] = "",
    start_command: Annotated[str, typer.Option(metavar="CMD", help="Starts it.")] = "",
    openclaw: Annotated[str, typer.Option(metavar="CMD", help="OpenClaw's own command line.")] = "openclaw",
    env_file: Annotated[str, typer.Option(metavar="FILE", help="Keep the variables that the gateway needs in this "
                                          "file, in memory (tmpfs), outside the state folder.")] = "",
    also: Annotated[list[Path] | None, typer.Option(metavar="FILE", help="Adopt this as well: a Compose file, a .env "
                                                    "file, a systemd unit. Repeatable.")] = None,
    as_json: JsonOption = False,
) -> int:
    """Take a whole OpenClaw deployment onto clawsecrets: its credentials into the store, references in their places,
    and the plaintext out of its folder, backups included.

    What a field takes decides: a SecretRef by `openclaw secrets apply`, one by `openclaw config set`, or `${VARIABLE}`.
    Files that it includes ($include) are changed where the value stands. Of a Compose file that --also names, a value
    becomes ${VARIABLE}; of a systemd unit it is told what is to be changed, and the command that does it.
    Safe to kill and to run again; what stood there is kept sealed in the store for 7 days (--undo). Exit code 1 when
    some is left, in OpenClaw's folder or elsewhere on this host.
    """
    place = (folder or state_folder()).absolute()
    config = config_file() if folder is None or "OPENCLAW_CONFIG_PATH" in os.environ else place / "openclaw.json"
    if not place.is_dir():
        raise UsageError(f"{place} is no folder", "name OpenClaw's state folder")
    work = _Work(session, place, config.absolute(), shlex.split(openclaw), stop_command, start_command, env_file)
    work.also = [path.absolute() for path in also or []]
    if undo:
        return work.undo(as_json)
    return work.apply(as_json) if apply else work.plan(as_json)


class _Work:
    def __init__(self, session: Session, folder: Path, config: Path, openclaw: Sequence[str], stop: str, start: str,
                 env_file: str) -> None:
        from clawsecrets.wiring import adopting

        self.session, self.folder, self.config, self.wired = session, folder, config, adopting
        self.cli = adopting.openclaw(openclaw, folder, config)
        self.stop, self.start, self.env_file = shlex.split(stop), shlex.split(start), env_file
        self.also: list[Path] = []
        self.words = ["clawsecrets", "adopt", str(folder)]

    # --- what is asked for --------------------------------------------------------------------------------------------

    def plan(self, as_json: bool) -> int:
        self._bundle()
        survey = self._survey()
        states = self._states(survey)
        hand = self._by_hand(survey.plan, survey.values)
        found, _ = self._elsewhere(survey.plan, survey.values)
        unfit = unrotatable(self.session, survey.plan, survey.candidates)
        open_step = begun(self._journal)
        if as_json:
            emit({"applied": False, "undone": False, **as_document(survey.plan, states),
                  "notes": [*survey.notes, *unfit, *open_step], "elsewhere": places([*hand, *found]), "proof": None})
        else:
            tell_moves(survey, states, done=False)
            tell_rest(survey)
            tell_places([*hand, *found])
            for line in (*unfit, *open_step):
                say(clean(line))
            if not open_step:
                say(f"dry run: {len(survey.plan.names)} secret(s) at {len(survey.plan.moves)} place(s) would be moved; "
                    "nothing was changed. --apply does it")
        return WorkLeft.exit_code if open_step else 0

    def apply(self, as_json: bool) -> int:
        from clawsecrets.adopting.journal import Step
        from clawsecrets.adopting.run import Adoption

        self._require_memory()
        self._bundle()  # what is wrong there is refused before anything changes
        journal = self._journal()
        journal.expire()
        self._stopped()
        values: list[tuple[str, SecretValue]] = []
        tell: Callable[..., None] | None = None
        if journal.step in (Step.DONE, Step.CAPTURE):
            survey = self._survey()
            states = self._states(survey)
            if not as_json:
                tell_rest(survey)
                tell = partial(tell_moves, survey, states)
            if not survey.plan.moves:
                return self._nothing(survey.plan, as_json)
            self._import(survey, states)
            values = list(survey.values)
            journal.begin(survey.plan)
        elif journal.plan().folder != str(self.folder):
            raise UsageError(f"the adoption of {journal.plan().folder} is not finished", "finish that one first")
        plan = journal.plan()
        self._targets(plan)
        proof = Adoption(self._journal(), self._tools(plan)).go_on(values)
        if tell is not None:
            tell(done=proof.clean)
        stood = self._journal().undo().values
        hand = self._by_hand(plan, stood)
        found, noted = self._elsewhere(plan, stood)
        started = proof.clean and self._started()
        told = [*needed(self.session, plan, self._env_path()), *unrotatable(self.session, plan), *noted]
        return tell_end(plan, proof, told, [*hand, *found], started=started, as_json=as_json)

    def _nothing(self, plan: Plan, as_json: bool) -> int:
        """Nothing is to be moved in the folder; what was adopted before may stand elsewhere still."""
        found, noted = self._elsewhere(plan, self._adopted())
        if as_json:
            emit({"applied": False, "undone": False, **as_document(plan, {}), "notes": noted,
                  "elsewhere": places(found), "proof": None})
        tell_places(found)
        say("nothing to move" + (" in OpenClaw's folder" if found else ""))
        return WorkLeft.exit_code if found else 0

    def _adopted(self) -> list[tuple[str, SecretValue]]:
        """What the last adoption moved, as it stands in the store now."""
        found = []
        with contextlib.suppress(NotFound, StoreMissing):
            for name in self._journal().plan().names:
                with contextlib.suppress(NotFound):
                    if (current := self.session.store.load(name).current) is not None:
                        found.append((name, self.session.store.value(name, current.number)))
        return found

    def _elsewhere(self, plan: Plan, values: Sequence[tuple[str, SecretValue]]) -> tuple[list[Found], list[str]]:
        """Other places of this host that hold one of the values; and lines about processes that do."""
        from clawsecrets.wiring import around

        config = self.session.config
        files = [*map(str, config.shadows.files),
                 *around.files_around([Path.cwd(), self.folder, self.folder.parent, self.config.parent])]
        known = {*plan.outside, *around.injected(config.injectors)}
        files = [file for file in files if not file.startswith(f"{self.folder}/")]
        return around.look(values, files, known, self.words, self._env_path())

    def _by_hand(self, plan: Plan, values: Sequence[tuple[str, SecretValue]]) -> list[Found]:
        """What stands in units still, with what a person is to do."""
        from clawsecrets.adopting.plan import Way
        from clawsecrets.wiring.around import by_hand

        return by_hand(plan.of(Way.HAND), values, self._env_path())

    def _env_path(self) -> str:
        """Where the gateway's variables are kept; empty: nowhere."""
        if ENV in self.session.config.injectors:
            return str(getattr(self.session.config.injectors[ENV], "path", ""))
        return str(Path(self.env_file).absolute()) if self.env_file else ""

    def undo(self, as_json: bool) -> int:
        from clawsecrets.adopting.renewing import Readers
        from clawsecrets.adopting.undo import Undoing
        from clawsecrets.cli.unadopting import unbind

        journal = self._journal()
        journal.expire()
        plan = journal.plan()
        if plan.folder != str(self.folder):
            raise UsageError(f"the last adoption was that of {plan.folder}", f"clawsecrets adopt {plan.folder} --undo")
        readers = Readers(self.wired.plain, self.wired.variables,
                          lambda values: self.wired.state_folder(self.folder, values, plan))
        Undoing(journal, readers).planned()  # what cannot be put back is told before anything is stopped or changed
        self._stopped()
        undoing = Undoing(journal, readers)
        told = undoing.put_back()
        unbound = unbind(self.session, undoing, refs=(REFS, GATEWAY), env=self._env_to_leave(plan))
        undoing.finish()
        if self.start:
            self._run(self.start, "--start-command")
        if as_json:
            rest = {"notes": told, "elsewhere": [], "proof": None}
            emit({"applied": False, "undone": True, **as_document(plan, {}), **rest})
        for line in told:
            say(clean(line))
        say("undone: the files hold their plaintext again; the store keeps the secrets")
        say("what is rotated from now on does not reach them: clawsecrets adopt --apply first")
        return 0 if unbound else WorkLeft.exit_code

    def _env_to_leave(self, plan: Plan) -> str:
        """The target of the gateway's variables, if nothing reads it after an undo; else nothing. One that writes into
        the state folder (its `.env`) is read there, and a unit may name it."""
        from clawsecrets.adopting.documents import content_of
        from clawsecrets.adopting.plan import Way

        path = self._env_path() if ENV in self.session.config.injectors else ""
        units = {move.file for move in plan.of(Way.HAND) if os.path.exists(move.file)}
        read = Path(path).is_relative_to(self.folder) or any(path.encode() in content_of(unit) for unit in units)
        return ENV if path and not read else ""

    # --- parts --------------------------------------------------------------------------------------------------------

    def _journal(self) -> Journal:
        from clawsecrets.adopting.journal import Journal

        return Journal(self.session.store, self.session.clock.now, self.session.event)

    def _survey(self) -> Survey:
        def is_admin(candidate: Candidate) -> bool:
            return candidate.kind is Kind.ADMIN or self.session.shop.providers.has_admin(candidate.name)

        from clawsecrets.wiring.around import own_units

        also = list(dict.fromkeys((*self.also, *own_units())))
        return self.wired.survey(self.folder, self.config, self.cli, self.session.shop.providers.values(), is_admin,
                                 also)

    def _states(self, survey: Survey) -> dict[str, str]:
        """Secret -> whether it is new. UsageError where the store has another value that was never this one's."""
        try:
            store = self.session.store
        except StoreMissing:
            return dict.fromkeys((one.name for one in survey.candidates), NEW)
        states = {one.name: state_of(store, one) for one in survey.candidates}
        for one in survey.candidates:
            if states[one.name] == DIFFERS:
                mark = store.fingerprint(one.value)
                if not any(version.fingerprint == mark for version in store.history(one.name)):
                    raise UsageError(f"{one.name}: the store has another value than {self.folder}",
                                     "clawsecrets import FILE --replace takes the file's; or mend the file")
                states[one.name] = "older value"
        return states

    def _import(self, survey: Survey, states: Mapping[str, str]) -> None:
        """Into the store, and read back."""
        store = self.session.store
        wanted = [one for one in survey.candidates if states[one.name] == NEW]
        store.commit([change_of(self.session, store, one, [], []) for one in wanted])
        for one in survey.candidates:
            current = store.load(one.name).current
            if states[one.name] != "older value" and (current is None
                                                      or store.value(one.name, current.number) != one.value):
                raise StoreDamaged(f"{one.name}: the store gave back something else than was put into it",
                                   "clawsecrets doctor; nothing on disk was changed")

    def _targets(self, plan: Plan) -> None:
        """The bundle, the environment file and the gateway in the configuration; the session begins anew with them."""
        paths, config = self.session.paths, self.session.config
        if REFS not in config.injectors:
            add_target(paths, "injectors", REFS, {"kind": "resolver-bundle", "path": str(self._bundle())})
        if self.env_file and plan.gateway_variables and ENV not in config.injectors:
            add_target(paths, "injectors", ENV, {"kind": "env-file", "path": str(Path(self.env_file).absolute()),
                                                 "dialect": "systemd"})
        if GATEWAY not in config.consumers:
            add_target(paths, "consumers", GATEWAY, {"kind": "openclaw", "url": gateway_url(self.config),
                                                     "reads": [REFS]})
        store, named = self.session.named_store, str(paths.config)
        self.session.close()
        self.session = Session(store, named, self.session.verbose)

    def _require_memory(self) -> None:
        """UsageError where the file of --env-file would be kept on a disk, or in what is being cleared."""
        if not self.env_file:
            return
        file, hint = Path(self.env_file).absolute(), "name one on tmpfs, under /run for example"
        if file.is_relative_to(self.folder):
            raise UsageError("--env-file is inside the state folder", hint)
        if not self.wired.in_memory(file.parent):
            raise UsageError(f"--env-file: {file.parent} is no folder in memory (tmpfs)", hint)

    def _bundle(self) -> Path:
        return refs_bundle(self.session.config.injectors, self.session.paths)

    def _tools(self, plan: Plan) -> Tools:
        from clawsecrets.adopting.run import Tools

        return Tools(self.cli, self.wired.resolver(self._bundle()),
                     lambda: self.wired.given(self.session.store, plan.variables),
                     lambda values, plan: self.wired.state_folder(self.folder, values, plan),
                     self._bind, self.wired.plain, lambda step: say(f"adopt: {step} …"))

    def _bind(self, plan: Plan) -> None:
        """Every secret to its targets; then each is delivered."""
        store, shop = self.session.store, self.session.shop
        env = ENV in self.session.config.injectors
        for name in plan.names:
            record = store.load(name)
            secret = record.secret
            if shop.is_admin(secret):
                continue
            wanted = [REFS] if name in plan.referred else []
            variable = plan.gateway_variables.get(name, "")
            wanted += [ENV] if variable and env else []
            kept = secret.env if secret.env and secret.injectors else variable or secret.env
            if variable and env and kept != variable:
                raise Refused(f"{name} goes by {kept} in its other targets, and the gateway needs it as {variable}",
                              f"leave --env-file out: clawsecrets run --secret {name}={variable} gives it that way")
            bound = replace(secret, env=kept,
                            injectors=tuple(dict.fromkeys((*secret.injectors, *map(shop.bound, wanted)))),
                            consumers=tuple(dict.fromkeys((*secret.consumers, *(
                                [shop.bound(GATEWAY)] if name in plan.referred else [])))))
            shop.check(bound)
            if bound != secret:
                store.commit([Change(replace(record, secret=bound), self.session.event("secret.configure", name))])
        for name in plan.names:
            if store.load(name).secret.injectors:
                reply = self.session.engine().deliver(name).reply
                if reply.outcome is not Outcome.OK:
                    raise Refused(f"{name} could not be delivered: {reply.detail}",
                                  "mend it, then run clawsecrets adopt --apply again")

    def _stopped(self) -> None:
        """See that the gateway is stopped, or stop it. UsageError."""
        if not self.config.exists() or not self.wired.answers(self.config):
            return
        if not self.stop:
            raise UsageError("the gateway is running", "stop it first, or name what stops it: --stop-command CMD")
        self._run(self.stop, "--stop-command")
        self._until(lambda: not self.wired.answers(self.config), "the gateway did not stop")

    def _started(self) -> bool:
        if not self.start:
            return False
        self._run(self.start, "--start-command")
        self._until(lambda: self.wired.answers(self.config), "the gateway does not answer")
        return True

    @staticmethod
    def _until(true: Callable[[], bool], fault: str) -> None:
        end = time.monotonic() + PATIENCE
        while not true():
            if time.monotonic() > end:
                raise Refused(f"{fault} within {PATIENCE:g} s", "look at its log")
            time.sleep(0.2)

    @staticmethod
    def _run(words: Sequence[str], option: str) -> None:
        try:
            done = subprocess.run(words, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                  stderr=subprocess.DEVNULL, timeout=PATIENCE, check=False)
        except (OSError, subprocess.TimeoutExpired):
            raise ConfigError(f"{option} cannot be run", "name a command that ends by itself") from None
        if done.returncode:
            raise Refused(f"{option} ended with {done.returncode}", "run it by hand to see why")
