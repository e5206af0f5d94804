"""quickstart: the main job in one command, by running the same commands that a person would type.

With an OpenClaw deployment in sight: store, import, targets, table, and the commands that hand the gateway's token
over. Without one, or with --demo: all of it, a real rotation included, on a sample deployment in a scratch folder.
"""

from __future__ import annotations

import os
import secrets
import shlex
import shutil
import string
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from clawsecrets.cli.demo_gateway import VARIABLE
from clawsecrets.cli.output import say
from clawsecrets.cli.session import Session, command, confirm
from clawsecrets.errors import ClawError, WorkLeft
from clawsecrets.wiring import stores
from clawsecrets.wiring.reading import REFS, add_target, gateway_url, refs_bundle

TOKEN = "openclaw-gateway-token"
START_SECONDS = 10.0
WORK_LEFT = WorkLeft.exit_code


def register(app: typer.Typer) -> None:
    """Add this file's commands."""
    command(app, "quickstart")(quickstart)


def quickstart(
    session: Session,
    demo: Annotated[bool, typer.Option("--demo", help="A sample deployment in a scratch folder, whatever is here.")]
    = False,
    keep: Annotated[bool, typer.Option("--keep", help="Keep the sample's folder to look around in.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask before importing.")] = False,
) -> int:
    """Do the main job: make the store, import the tokens, show the rotation table, rotate the gateway token."""
    files = [] if demo else deployment_files()
    if files:
        return _real(session, files, yes)
    if not demo:
        say("No OpenClaw deployment in sight (looked for .env here, and openclaw.json and .env in OpenClaw's state\n"
            "folder), so here is the same on a sample deployment, with made-up tokens.")
    _demo(keep)
    return 0


def state_folder() -> Path:
    """Where OpenClaw keeps its state: OPENCLAW_STATE_DIR, else ~/.openclaw."""
    return Path(os.environ.get("OPENCLAW_STATE_DIR") or Path.home() / ".openclaw")


def config_file() -> Path:
    """OpenClaw's configuration: OPENCLAW_CONFIG_PATH, else openclaw.json in the state folder."""
    return Path(os.environ.get("OPENCLAW_CONFIG_PATH") or state_folder() / "openclaw.json")


def deployment_files() -> list[Path]:
    """The files of an OpenClaw deployment that are here."""
    places = (Path(".env").absolute(), state_folder() / ".env", config_file())
    return [path for path in dict.fromkeys(places) if path.is_file()]


# --- a real deployment ----------------------------------------------------------------------------------------------


def _real(session: Session, files: Sequence[Path], yes: bool) -> int:
    names = [str(path) for path in files]
    elsewhere = ["--store", session.named_store] if session.named_store else []
    say(f"Found {', '.join(names)}. They are read, never changed.")
    _command("import", *names, "--dry-run", *elsewhere)
    if not yes and not sys.stdin.isatty():
        say("\nNothing was changed: there is no terminal to ask on. Next, one of:")
        say("  clawsecrets quickstart --yes      # import these into the encrypted store, and go on")
        say("  clawsecrets quickstart --demo     # all of it, a rotation included, on a sample")
        return WORK_LEFT
    confirm("Import these into the encrypted store?", yes)
    if not stores.is_there(session.config, session.paths):
        options = [] if sys.stdin.isatty() or session.config.store.file is None else ["--unattended",
                                                                                      *_recovery(session)]
        _command("init", *options, *elsewhere)
    _command("import", *names, *elsewhere, fine=(0, WORK_LEFT))  # what differs stays as the store has it
    _targets(session, elsewhere)
    _command("status", *elsewhere)
    _handover(session)
    return 0


def _recovery(session: Session) -> list[str]:
    return ["--recovery-file", str(session.paths.config_dir / "recovery-code.txt")]


def _targets(session: Session, elsewhere: Sequence[str]) -> None:
    """A bundle that OpenClaw's SecretRefs are answered from, and the gateway that reads it."""
    fresh = Session(config=str(session.paths.config))
    bundle = refs_bundle(fresh.config.injectors, fresh.paths)
    if REFS not in fresh.config.injectors:
        add_target(fresh.paths, "injectors", REFS, {"kind": "resolver-bundle", "path": str(bundle)})
    if "gateway" not in fresh.config.consumers and config_file().is_file():
        add_target(fresh.paths, "consumers", "gateway",
                   {"kind": "openclaw", "url": gateway_url(config_file()), "reads": [REFS]})
    later = Session(session.named_store, str(session.paths.config))
    try:
        if TOKEN in later.store.names() and config_file().is_file():
            _command("configure", TOKEN, "--inject", REFS, "--consume", "gateway", *elsewhere)
            _command("inject", TOKEN, *elsewhere)
    finally:
        later.close()


def _handover(session: Session) -> None:
    program = Path(sys.argv[0]).resolve() if sys.argv[0].endswith("clawsecrets") else Path(sys.executable).with_name(
        "clawsecrets")
    if shutil.which("clawsecrets") is None:
        say("\n`clawsecrets` is not on your PATH yet (and in ~/.profile, to stay there):")
        say(f"  export PATH={shlex.quote(str(program.parent))}:$PATH")
    if not config_file().is_file():
        say("\nNext: say in the configuration where the tokens are read (README, \"Your own service\"), then\n"
            "  clawsecrets rotate NAME --dry-run")
        return
    bundle = refs_bundle(session.config.injectors, session.paths)
    say("\nNext, let OpenClaw read its gateway token from clawsecrets, then rotate it:")
    for words in handover_commands(program, bundle):
        say("  " + shlex.join(words))
    say("`openclaw config set` keeps the old file, with the old token, as openclaw.json.bak: the rotation makes it "
        "worthless.")


def handover_commands(program: Path, bundle: Path) -> list[list[str]]:
    """The commands that make OpenClaw's gateway token a SecretRef to `clawsecrets resolve`, and rotate it.

    OpenClaw refuses a resolver that others may write to, which is what pip makes of its scripts under umask 002.
    """
    loose = program.exists() and program.stat().st_mode & 0o022
    return [
        *([["chmod", "go-w", str(program)]] if loose else []),
        ["openclaw", "config", "set", "secrets.providers.clawsecrets", "--provider-source", "exec",
         "--provider-command", str(program), "--provider-arg", "resolve", "--provider-arg=--bundle",
         "--provider-arg", str(bundle), "--provider-json-only"],
        ["openclaw", "config", "set", "gateway.auth.token", "--ref-source", "exec", "--ref-provider", "clawsecrets",
         "--ref-id", TOKEN],
        ["clawsecrets", "rotate", TOKEN, "--dry-run"],
        ["clawsecrets", "rotate", TOKEN],
    ]


# --- the sample -----------------------------------------------------------------------------------------------------


def _demo(keep: bool) -> None:
    folder = Path(tempfile.mkdtemp(prefix="clawsecrets-demo-"))
    os.environ["CLAWSECRETS_HOME"] = str(folder / "clawsecrets")
    for name in ("CLAWSECRETS_CONFIG", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME"):
        os.environ.pop(name, None)
    try:
        _write_sample(folder)
        with _gateway(folder):
            _run_sample(folder)
    finally:
        if not keep:
            shutil.rmtree(folder, ignore_errors=True)
    if keep:
        say(f"the sample stays in {folder}: CLAWSECRETS_HOME={folder}/clawsecrets clawsecrets status")
    say("\nYour own deployment: clawsecrets init, then clawsecrets import FILE… (README)")


def _run_sample(folder: Path) -> None:
    helper = [sys.executable, "-m", "clawsecrets.cli.demo_gateway"]
    _command("init", "--unattended", "--recovery-file", str(folder / "recovery-code"))
    _command("import", str(folder / ".env"))
    session = Session()
    add_target(session.paths, "injectors", "sample-env",
               {"kind": "env-file", "path": str(folder / ".env"), "dialect": "compose"})
    add_target(session.paths, "consumers", "sample-gateway",
               {"kind": "command", "reload": [*helper, "reload", str(folder)],
                "probe": [*helper, "probe", str(folder)], "validates": True})
    _command("configure", TOKEN, "--inject", "sample-env", "--consume", "sample-gateway")
    _command("status")
    _command("rotate", TOKEN, "--dry-run")
    before = _digest(folder)
    _command("rotate", TOKEN, "--verbose")
    _command("history", TOKEN)
    _command("status")
    if _digest(folder) == before:
        raise WorkLeft("the sample's token did not change", "please report this")


def _digest(folder: Path) -> str:
    import hashlib

    return hashlib.sha256((folder / ".env").read_bytes()).hexdigest()


def _write_sample(folder: Path) -> None:
    def some(count: int, alphabet: str = string.ascii_letters + string.digits) -> str:
        return "".join(secrets.choice(alphabet) for _ in range(count))

    digits = string.digits
    lines = [
        "# a sample deployment: every value is made up",
        f"{VARIABLE}={secrets.token_hex(24)}",
        f"ANTHROPIC_API_KEY=sk-ant-api03-{some(93)}AA",
        f"OPENROUTER_API_KEY=sk-or-v1-{secrets.token_hex(32)}",
        f"TELEGRAM_BOT_TOKEN={some(10, digits)}:AA{some(33)}",
        f"GROQ_API_KEY=gsk_{some(52)}",
        f"BRAVE_API_KEY=BSA{some(28)}",
    ]
    path = folder / ".env"
    path.touch(0o600)
    path.write_text("\n".join(lines) + "\n")


@contextmanager
def _gateway(folder: Path) -> Iterator[None]:
    """The stand-in gateway, as a process of its own, as long as the sample runs."""
    process = subprocess.Popen([sys.executable, "-m", "clawsecrets.cli.demo_gateway", "serve", str(folder)],
                               stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    try:
        end = time.monotonic() + START_SECONDS
        while not (folder / "gateway.pid").exists():
            if process.poll() is not None or time.monotonic() > end:
                raise ClawError("the sample's gateway did not start", "please report this")
            time.sleep(0.02)
        yield
    finally:
        process.terminate()
        process.wait()


def _command(*words: str, fine: Sequence[int] = (0,)) -> None:
    """Run one command as if it had been typed, showing it first. WorkLeft when its exit code is not fine."""
    from clawsecrets.cli.entry import run

    sys.stdout.flush()
    say("")
    say("$ " + shlex.join(["clawsecrets", *words]), bold=True)
    code = run(list(words))
    if code not in fine:
        raise WorkLeft(f"`clawsecrets {words[0]}` ended with exit code {code}", "its own words stand above")
