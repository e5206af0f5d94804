"""A consumer that the operator describes by two commands: one that reloads it, one that probes a value.

Contract (README, "Your own service"):
  reload   run without a shell and without the value; exit 0 = done, 75 = not now (EX_TEMPFAIL), else it may have
           happened.
  probe    gets one candidate value on standard input, exactly, without a newline; exit 0 = this value is in use
           (accepted), 1 = it is not, 75 = cannot tell yet, else an error.
Neither gets a value in argv or environment. Their output is thrown away: it could repeat the value. The environment
is PATH, HOME, LANG, XDG_RUNTIME_DIR, DBUS_SESSION_BUS_ADDRESS, CLAWSECRETS_SECRET and CLAWSECRETS_VERSION; the umask
is 077. A command of another `user` has that user's groups, HOME, USER and LOGNAME, and nothing of our session.
"""

from __future__ import annotations

import os
import pwd
import shlex
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

from clawsecrets.model.rotation import Outcome
from clawsecrets.model.secret import SecretValue
from clawsecrets.ports import Consumer, Handover, Reply

ACCEPTED, NOT_IT, NOT_NOW = 0, 1, 75
_PASSED_ON = ("PATH", "LANG")
_OF_OUR_SESSION = ("HOME", "XDG_RUNTIME_DIR", "DBUS_SESSION_BUS_ADDRESS")


PROVES = "the probe command accepts the new value (`validates`: and no longer the old one)"
CANNOT = "anything, without a probe command"


@dataclass(frozen=True)
class _Ran:
    """How a command ended: its exit code, or why there is none."""

    code: int = -1
    started: bool = True
    why: str = ""


@dataclass(frozen=True)
class CommandConsumer:
    """Reloads and probes by commands. `timeout` and `settle` in seconds; `user` needs root."""

    target: str
    reload_command: Sequence[str] = ()
    probe_command: Sequence[str] = ()
    reads: Collection[str] = ()
    validates: bool = False
    timeout: float = 60.0
    user: str = ""
    settle: float = 15.0
    """How long a reloaded service may take until the probe answers."""
    sleep: Callable[[float], None] = time.sleep

    def reload(self, handover: Handover) -> Reply:
        """Run the reload command; nothing to run is OK."""
        if not self.reload_command:
            return Reply(Outcome.OK, "nothing to reload")
        ran = self._run(self.reload_command, handover, None)
        if not ran.started:
            return Reply(Outcome.REFUSED, f"reload: {ran.why}")
        if ran.code == ACCEPTED:
            return Reply(Outcome.OK)
        if ran.code == NOT_NOW:
            return Reply(Outcome.LATER, "reload: not now (exit 75)")
        return Reply(Outcome.UNKNOWN, f"reload: {ran.why or f'exit code {ran.code}'}")

    def probe(self, handover: Handover) -> Reply:
        """Ask about the new value, then about the old one."""
        if not self.probe_command:
            return Reply(Outcome.UNKNOWN, "there is no probe command")
        new = self._run(self.probe_command, handover, handover.new)
        old = None if handover.old is None else self._run(self.probe_command, handover, handover.old)
        if new.code == ACCEPTED:
            if old is None or old.code == NOT_IT:
                return Reply(Outcome.OK, proof=f"the probe accepts version {handover.new_version} only")
            return Reply(Outcome.LATER, "the old value is still accepted" if old.code == ACCEPTED else "probe: "
                         + self._words(old))
        if new.code == NOT_IT and old is not None and old.code == ACCEPTED:
            return Reply(Outcome.REFUSED, "the old value is in use")
        return Reply(Outcome.LATER, "neither value is accepted" if new.code == NOT_IT else f"probe: {self._words(new)}")

    def prove(self, handover: Handover) -> Reply:
        """Probe until the service has settled. Without a probe command a person must look."""
        if not self.probe_command:
            return Reply(Outcome.LATER, "it has no probe command that could show it", person=True)
        end = time.monotonic() + self.settle
        while True:
            reply = self.probe(handover) if self.validates else self._in_use(handover)
            if reply.outcome is Outcome.OK or time.monotonic() >= end:
                return reply
            self.sleep(0.25)

    def preflight(self, handover: Handover) -> Reply:
        """Are the commands there, and is the current value in use now?"""
        for words in (self.reload_command, self.probe_command):
            if words and shutil.which(words[0]) is None:
                return Reply(Outcome.REFUSED, f"{words[0]} is not an executable command")
        if not self.probe_command:
            return Reply(Outcome.OK, "no probe command: it will be delivered, not proven")
        ran = self._run(self.probe_command, handover, handover.new)
        if ran.code == ACCEPTED:
            return Reply(Outcome.OK)
        if ran.code == NOT_IT:
            return Reply(Outcome.REFUSED, not_current(handover.name))
        return Reply(Outcome.LATER, f"probe: {self._words(ran)}")

    def describe(self) -> str:
        """The commands, for `--dry-run`."""
        parts = [("reloads by", self.reload_command), ("is probed by", self.probe_command)]
        return ", ".join(f"{w} `{shlex.join(c)}`" for w, c in parts if c) or "no command: delivered, not proven"

    def _in_use(self, handover: Handover) -> Reply:
        ran = self._run(self.probe_command, handover, handover.new)
        if ran.code == ACCEPTED:
            return Reply(Outcome.OK, proof=f"the probe accepts version {handover.new_version}")
        if ran.code == NOT_IT:
            return Reply(Outcome.REFUSED, "the probe says that it does not use the new value")
        return Reply(Outcome.LATER, f"probe: {self._words(ran)}")

    @staticmethod
    def _words(ran: _Ran) -> str:
        return ran.why or ("not now (exit 75)" if ran.code == NOT_NOW else f"exit code {ran.code}")

    def _run(self, words: Sequence[str], handover: Handover, value: SecretValue | None) -> _Ran:
        try:
            other = _other_user(self.user)
            process = subprocess.Popen(
                list(words), stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                env=_environment(handover, other), start_new_session=True, close_fds=True, umask=0o077,
                user=other.pw_uid if other else None, group=other.pw_gid if other else None,
                extra_groups=os.getgrouplist(other.pw_name, other.pw_gid) if other else None,
            )
        except (OSError, ValueError, LookupError) as error:
            reason = os.strerror(error.errno) if isinstance(error, OSError) and error.errno else "cannot be started"
            return _Ran(started=False, why=f"{words[0]}: {reason}")
        try:
            with suppress(BrokenPipeError):
                process.communicate(value.reveal() if value is not None else b"", timeout=self.timeout)
            return _Ran(process.wait(self.timeout))
        except subprocess.TimeoutExpired:
            return _Ran(why=f"no end within {self.timeout:g} s")
        finally:
            _end(process)


def not_current(name: str) -> str:
    """Of one that does not use what the store holds as current, and how it comes to."""
    return ("it does not use the version that the store holds as current: restart or reload it once, it then reads "
            f"what `clawsecrets inject {name}` has written")


def _other_user(name: str) -> pwd.struct_passwd | None:
    """The user to become; None when we are that user already, or none is named. LookupError when there is none."""
    user = pwd.getpwnam(name) if name else None
    return None if user is None or user.pw_uid == os.geteuid() else user


def _environment(handover: Handover, other: pwd.struct_passwd | None) -> Mapping[str, str]:
    names = _PASSED_ON if other else (*_PASSED_ON, *_OF_OUR_SESSION)
    own = {"HOME": other.pw_dir, "USER": other.pw_name, "LOGNAME": other.pw_name} if other else {}
    passed = {name: os.environ[name] for name in names if name in os.environ}
    return {**passed, **own, "CLAWSECRETS_SECRET": handover.name, "CLAWSECRETS_VERSION": str(handover.new_version)}


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a command that is still there, with its children; what a reload left running on purpose stays."""
    if process.poll() is None:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _conforms(consumer: CommandConsumer) -> Consumer:
    return consumer
