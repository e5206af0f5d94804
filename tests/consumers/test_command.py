"""The command consumer with real processes, and the one that nothing can be asked of."""

from __future__ import annotations

import os
import pwd
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from clawsecrets.consumers.command import CommandConsumer
from clawsecrets.consumers.none import NoneConsumer
from clawsecrets.model.rotation import Outcome
from clawsecrets.model.secret import SecretValue
from clawsecrets.ports import Handover
from tests import canary as canaries
from tests.waiting import LONG, until

NEW, OLD = canaries.fresh(), canaries.fresh()


def handover(old: bytes | None = OLD) -> Handover:
    return Handover("svc/key", "generic", "other", SecretValue(NEW), 3, None if old is None else SecretValue(old))


def consumer(tmp_path: Path, held: bytes = NEW, **more: Any) -> CommandConsumer:
    """Its probe accepts what is in the file `held`."""
    (tmp_path / "held").write_bytes(held)
    script = tmp_path / "probe"
    script.write_text(f'#!/bin/sh\ncat > "{tmp_path}/given"\nexec cmp -s "{tmp_path}/given" "{tmp_path}/held"\n')
    script.chmod(0o700)
    settings: dict[str, Any] = {"probe_command": [str(script)], "settle": 0.0, **more}
    return CommandConsumer("svc", **settings)


def shell(words: str, **more: Any) -> CommandConsumer:
    return CommandConsumer("svc", reload_command=["sh", "-c", words], settle=0.0, **more)


# --- reload ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("code", "outcome"), [(0, Outcome.OK), (75, Outcome.LATER), (1, Outcome.UNKNOWN),
                                               (127, Outcome.UNKNOWN)])
def test_reload_by_exit_code(code: int, outcome: Outcome) -> None:
    assert shell(f"exit {code}").reload(handover()).outcome is outcome


def test_what_a_command_writes_is_private(tmp_path: Path) -> None:
    assert shell(f"touch {tmp_path}/made", user=pwd.getpwuid(os.geteuid()).pw_name).reload(handover()).outcome \
        is Outcome.OK
    assert (tmp_path / "made").stat().st_mode & 0o777 == 0o600


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_another_user_s_command_has_nothing_of_root(monkeypatch: pytest.MonkeyPatch) -> None:
    user = pwd.getpwnam("nobody")
    monkeypatch.setenv("XDG_RUNTIME_DIR", "/run/user/0")
    groups = " ".join(map(str, os.getgrouplist("nobody", user.pw_gid)))
    for words in (f'[ "$(id -u)" = {user.pw_uid} ]', f'[ "$(id -g)" = {user.pw_gid} ]', f'[ "$(id -G)" = "{groups}" ]',
                  f'[ "$HOME" = "{user.pw_dir}" ]', '[ "$USER$LOGNAME" = nobodynobody ]', '[ "$(umask)" = 0077 ]',
                  '[ -z "$XDG_RUNTIME_DIR" ]'):
        assert shell(f"cd / && {words}", user="nobody").reload(handover()).outcome is Outcome.OK, words


def test_nothing_to_reload_is_done() -> None:
    assert CommandConsumer("svc").reload(handover()).outcome is Outcome.OK


def test_what_cannot_start_was_not_done(tmp_path: Path) -> None:
    missing = CommandConsumer("svc", reload_command=["/no/such/command"]).reload(handover())
    assert missing.outcome is Outcome.REFUSED and "/no/such/command" in missing.detail
    (tmp_path / "text").write_text("not a program")
    assert CommandConsumer("svc", reload_command=[str(tmp_path / "text")]).reload(handover()).outcome is Outcome.REFUSED
    assert CommandConsumer("svc", reload_command=["true"], user="no-such-user").reload(handover()).outcome \
        is Outcome.REFUSED


def test_a_reload_that_does_not_end_may_have_happened() -> None:
    begun = time.monotonic()
    reply = shell(f"sleep {2 * LONG}", timeout=0.3).reload(handover())
    assert reply.outcome is Outcome.UNKNOWN and "0.3 s" in reply.detail
    assert time.monotonic() - begun < LONG


def test_children_of_a_hanging_reload_end_with_it(tmp_path: Path) -> None:
    told, timeout = tmp_path / "pid", 0.5
    words = f'sleep {2 * LONG} & echo $! > "{told}.new"; mv "{told}.new" "{told}"; wait'
    while not told.exists():  # on a slow machine it ended before it began: longer, then
        shell(words, timeout=timeout).reload(handover())
        timeout *= 3
    until(lambda: state(int(told.read_text())) in "ZX", "the end of the child")


def state(pid: int) -> str:
    """The letter of /proc; `X` when it is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return "X"


def test_what_a_reload_leaves_running_stays(tmp_path: Path) -> None:
    reply = shell(f'sleep {2 * LONG} </dev/null >/dev/null 2>&1 & echo $! > "{tmp_path}/pid"').reload(handover())
    pid = int((tmp_path / "pid").read_text())
    left = state(pid)
    os.kill(pid, signal.SIGKILL)
    assert reply.outcome is Outcome.OK and left not in "ZX"


def test_neither_value_is_in_argv_environment_or_input_of_a_reload(tmp_path: Path, monkeypatch: pytest.MonkeyPatch
                                                                  ) -> None:
    monkeypatch.setenv("STRAY_SECRET", "stray")
    reply = shell(f'cat /proc/$$/cmdline /proc/$$/environ - > "{tmp_path}/seen"').reload(handover())
    seen = (tmp_path / "seen").read_bytes()
    assert reply.outcome is Outcome.OK
    assert b"CLAWSECRETS_SECRET=svc/key" in seen and b"CLAWSECRETS_VERSION=3" in seen
    assert b"STRAY_SECRET" not in seen
    assert canaries.search(seen, NEW) == [] and canaries.search(seen, OLD) == []


# --- probe ----------------------------------------------------------------------------------------------------------


def test_probe_gets_exactly_the_value(tmp_path: Path) -> None:
    assert consumer(tmp_path).probe(handover(None)).outcome is Outcome.OK
    assert (tmp_path / "given").read_bytes() == NEW


@pytest.mark.parametrize(("held", "outcome"), [(NEW, Outcome.OK), (OLD, Outcome.REFUSED), (b"other", Outcome.LATER)],
                         ids=["new", "old", "other"])
def test_probe_tells_which_is_in_effect(tmp_path: Path, held: bytes, outcome: Outcome) -> None:
    assert consumer(tmp_path, held).probe(handover()).outcome is outcome


def test_both_accepted_proves_nothing() -> None:
    reply = CommandConsumer("svc", probe_command=["true"]).probe(handover())
    assert reply.outcome is Outcome.LATER and reply.proof == ""


@pytest.mark.parametrize("command", [["sh", "-c", "exit 75"], ["sh", "-c", "exit 3"], ["/no/such/command"]])
def test_a_probe_that_cannot_tell_is_no_refusal(command: list[str]) -> None:
    assert CommandConsumer("svc", probe_command=command).probe(handover()).outcome is Outcome.LATER


def test_no_probe_command() -> None:
    silent = CommandConsumer("svc", reload_command=["true"])
    assert silent.probe(handover()).outcome is Outcome.UNKNOWN
    proof = silent.prove(handover())
    assert proof.outcome is Outcome.LATER and proof.person


def test_a_probe_that_does_not_read_its_input() -> None:
    big = Handover("svc/key", "generic", "other", SecretValue(b"x" * 500_000), 3)
    assert CommandConsumer("svc", probe_command=["true"]).probe(big).outcome is Outcome.OK


def test_a_hanging_probe_cannot_tell() -> None:
    hanging = CommandConsumer("svc", probe_command=["sleep", str(2 * LONG)], timeout=0.2)
    assert hanging.probe(handover(None)).outcome is Outcome.LATER


# --- prove ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("held", "outcome"), [(NEW, Outcome.OK), (OLD, Outcome.REFUSED)], ids=["new", "old"])
@pytest.mark.parametrize("validates", [False, True])
def test_prove(tmp_path: Path, held: bytes, outcome: Outcome, validates: bool) -> None:
    reply = consumer(tmp_path, held, validates=validates).prove(handover())
    assert reply.outcome is outcome
    assert bool(reply.proof) == (outcome is Outcome.OK)


def test_prove_waits_until_the_service_has_settled(tmp_path: Path) -> None:
    naps: list[float] = []

    def nap(seconds: float) -> None:
        naps.append(seconds)
        if len(naps) == 3:
            (tmp_path / "held").write_bytes(NEW)

    slow = consumer(tmp_path, OLD, settle=LONG, sleep=nap)
    assert slow.prove(handover()).outcome is Outcome.OK and len(naps) == 3


# --- preflight and words --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("held", "outcome"), [(NEW, Outcome.OK), (OLD, Outcome.REFUSED)], ids=["new", "old"])
def test_preflight_asks_for_the_current_value(tmp_path: Path, held: bytes, outcome: Outcome) -> None:
    reply = consumer(tmp_path, held).preflight(handover())
    assert reply.outcome is outcome
    mend = ("restart or reload it once", f"clawsecrets inject {handover().name}")
    assert all(words in reply.detail for words in mend) is (outcome is Outcome.REFUSED)


def test_preflight_names_a_missing_command() -> None:
    reply = CommandConsumer("svc", reload_command=["no-such-command-x"]).preflight(handover())
    assert reply.outcome is Outcome.REFUSED and "no-such-command-x" in reply.detail
    assert CommandConsumer("svc", probe_command=["sh", "-c", "exit 75"]).preflight(handover()).outcome is Outcome.LATER
    assert "not proven" in CommandConsumer("svc").preflight(handover()).detail


def test_descriptions() -> None:
    both = CommandConsumer("svc", reload_command=["a", "b c"], probe_command=["d"])
    assert both.describe() == "reloads by `a 'b c'`, is probed by `d`"
    assert "not proven" in CommandConsumer("svc").describe()
    assert "not proven" in NoneConsumer("svc").describe()


def test_replies_hold_no_value(tmp_path: Path) -> None:
    loud = ["sh", "-c", "cat; cat >&2; exit 9"]
    noisy = CommandConsumer("svc", reload_command=loud, probe_command=loud, settle=0.0)
    replies = [noisy.reload(handover()), noisy.probe(handover()), noisy.prove(handover()), noisy.preflight(handover())]
    said = repr(replies).encode()
    assert canaries.search(said, NEW) == [] and canaries.search(said, OLD) == []


def test_none_never_claims_anything() -> None:
    nobody = NoneConsumer("svc")
    assert nobody.reload(handover()).outcome is Outcome.OK
    assert nobody.probe(handover()).outcome is Outcome.UNKNOWN
    proof = nobody.prove(handover())
    assert proof.outcome is Outcome.LATER and proof.person and not proof.proof
    assert nobody.preflight(handover()).outcome is Outcome.OK and not nobody.validates
