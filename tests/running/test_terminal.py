"""`run` on a terminal: the command has one of its own, and everything a terminal does still works."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import pytest

from clawsecrets.running.mask import MASK
from tests import canary as canaries
from tests.cli.desk import SCRIPT, Desk
from tests.running.conftest import VALUE
from tests.running.terminal import Terminal
from tests.waiting import until

RUN = (str(SCRIPT), "run", "--secret", "my-key")


def on(desk: Desk, *words: str, redirect: dict[int, str] | None = None) -> Terminal:
    return Terminal([*RUN, *words], desk.env, desk.root, redirect)


def test_it_is_a_terminal_with_our_size_and_modes(desk: Desk) -> None:
    script = "test -t 0 && test -t 1 && test -t 2 && echo three; stty size; stty -a | grep -o ' icanon'; tty"
    with on(desk, "--", "sh", "-c", script) as term:
        assert term.end() == 0
        assert term.said.startswith(b"three\r\n24 80\r\n icanon\r\n/dev/pts/")


def test_colour_stays_and_values_do_not(desk: Desk) -> None:
    script = r'printf "\033[31m%s\033[0m %s\n" "$MY_KEY" "$(printf %s "$MY_KEY" | base64 -w0)"; echo "$MY_KEY" >&2'
    with on(desk, "--", "sh", "-c", script) as term:
        assert term.end() == 0
        assert term.said.startswith(b"\033[31m" + MASK + b"\033[0m " + MASK)
        assert canaries.search(term.said, VALUE) == [] and term.said.endswith(MASK + b"\r\n")


def test_split_over_writes_with_line_ends_in_between(desk: Desk) -> None:
    code = "import os\nfor b in b'<' + os.environb[b'MY_KEY'] + b'>\\n': os.write(1, bytes([b]))"
    with on(desk, "--", sys.executable, "-c", code) as term:
        assert term.end() == 0 and canaries.search(term.said, VALUE) == []
        assert MASK in term.said and term.said.endswith(b">\r\n")


def test_a_changed_size_is_passed_on(desk: Desk) -> None:
    script = "trap 'stty size; exit 4' WINCH; echo ready; while :; do sleep 0.01; done"
    with on(desk, "--", "sh", "-c", script) as term:
        term.until(b"ready\r\n")
        term.resize(50, 132)
        term.until(b"50 132\r\n")
        assert term.end() == 4


def test_keys_are_the_commands_and_echo_is_masked(desk: Desk) -> None:
    with on(desk, "--", "sh", "-c", 'echo ready; read line; echo "got $line"; cat > /dev/null; echo end') as term:
        term.until(b"ready\r\n")
        until(term.raw, "raw keys")
        term.type(VALUE + b"\n")
        shown = term.until(b"got " + MASK + b"\r\n")
        assert canaries.search(shown, VALUE) == []
        term.type(b"\x04")  # the end of the input
        term.until(b"end\r\n")
        assert term.end() == 0


def test_a_key_is_echoed_before_the_next_one(desk: Desk) -> None:
    """Also where it could be the beginning of the value."""
    with on(desk, "--", "sh", "-c", "printf '$ '; read line") as term:
        term.until(b"$ ")
        until(term.raw, "raw keys")
        for key in (VALUE[:1], VALUE[1:2], VALUE[2:3]):
            term.type(key)
            term.until(key)
        term.type(b"\n")
        assert term.end() == 0


def test_ctrl_c(desk: Desk) -> None:
    with on(desk, "--", "sh", "-c", "trap 'echo caught; exit 6' INT; echo ready; while :; do sleep 0.01; done") as term:
        term.until(b"ready\r\n")
        until(term.raw, "raw keys")
        term.type(b"\x03")
        term.until(b"caught\r\n")
        assert term.end() == 6
    with on(desk, "--", "sleep", "600") as term:
        until(term.raw, "raw keys")
        term.type(b"\x03")
        assert term.end() == 128 + signal.SIGINT and not term.said.endswith(b"Traceback")


def test_ctrl_c_comes_once_where_the_command_shares_the_terminal(desk: Desk) -> None:
    """Output to a file: the command is in our own group, and the terminal tells both."""
    code = ("import signal, time\nn = 0\ndef hit(*a):\n    global n\n    n += 1\n"
            "signal.signal(2, hit)\nprint('ready', file=open('/dev/tty', 'w'), flush=True)\n"
            "while not n: time.sleep(0.01)\ntime.sleep(0.3)\nprint(n, file=open('/dev/tty', 'w'), flush=True)")
    with on(desk, "--", sys.executable, "-c", code, redirect={1: "out.txt"}) as term:
        term.until(b"ready\r\n")
        term.type(b"\x03")
        term.until(b"1\r\n")
        assert term.end() == 0


def test_the_terminal_is_as_it_was_afterwards(desk: Desk) -> None:
    line = f"stty -a | cksum; {' '.join(RUN)} -- sh -c 'stty raw -echo; exit 9'; echo $?; stty -a | cksum"
    with Terminal(["/bin/sh", "-c", line], desk.env, desk.root) as term:
        assert term.end() == 0
        before, code, after = term.said.split(b"\r\n")[:3]
        assert before == after and code == b"9"


# --- job control: needs a shell that does it -----------------------------------------------------------------


def shell(desk: Desk) -> Terminal:
    return Terminal(["/bin/bash", "--norc", "--noprofile", "--noediting", "-i"], {**desk.env, "PS1": "% "}, desk.root)


@pytest.mark.parametrize("more", ["", " | cat"], ids=["on a terminal", "into a pipe"])
def test_ctrl_z_and_fg(desk: Desk, more: str) -> None:
    with shell(desk) as term:
        term.until(b"% ")
        code = "import time\nn=0\nwhile True: print('tick', n, flush=True); n += 1; time.sleep(0.01)"
        Path(desk.root / "tick.py").write_text(code)
        term.type(f"{' '.join(RUN)} -- {sys.executable} tick.py{more}\n".encode())
        term.until(b"tick 3")
        term.type(b"\x1a")
        term.until(b"Stopped")
        term.until(b"% ")
        term.type(b"echo shell $((40+2))\n")
        term.until(b"shell 42\r\n")
        assert b"tick" not in term.said
        term.type(b"fg\n")
        term.until(b"tick")
        term.until(b"tick")
        term.type(b"\x03")
        term.until(b"% ")
        term.type(b"echo co''de $?\n")
        term.until(b"code 130\r\n")
        term.type(b"exit\n")
        term.end()


def test_ctrl_z_without_job_control_does_nothing(desk: Desk) -> None:
    """Nobody could continue it: as for any program there."""
    with on(desk, "--", "sh", "-c", "echo ready; read line; echo done") as term:
        term.until(b"ready\r\n")
        until(term.raw, "raw keys")
        term.type(b"\x1a\n")
        term.until(b"done\r\n")
        assert term.end() == 0


def test_in_the_background_it_leaves_the_keys_alone(desk: Desk) -> None:
    with shell(desk) as term:
        term.until(b"% ")
        term.type(f"{' '.join(RUN)} -- sh -c 'echo in background; sleep 600' &\n".encode())
        term.until(b"in background")
        term.type(b"echo shell $((40+2))\n")
        term.until(b"shell 42\r\n")
        term.type(b"kill %1; wait %1; echo co''de $?\n")
        term.until(b"code 143")
        term.type(b"exit\n")
        term.end()


# --- mixed streams, and the end of the terminal --------------------------------------------------------------


def test_only_errors_on_the_terminal(desk: Desk) -> None:
    script = 'test -t 2 && echo "a terminal $MY_KEY" >&2; test -t 1 || echo "a pipe $MY_KEY"; stty size <&2'
    with on(desk, "--", "sh", "-c", script, redirect={1: "only.txt"}) as term:
        assert term.end() == 0 and term.said == b"a terminal " + MASK + b"\r\n"
    assert (desk.root / "only.txt").read_bytes() == b"a pipe " + MASK + b"\n24 80\n"


def test_only_output_on_the_terminal(desk: Desk) -> None:
    (desk.root / "in.txt").write_text("from a file\n")
    script = 'test -t 1 && read line && echo "$line"; test -t 2 || echo "err $MY_KEY" >&2'
    with on(desk, "--", "sh", "-c", script, redirect={0: "in.txt", 2: "err.txt"}) as term:
        assert term.end() == 0 and term.said == b"from a file\r\n"
    assert (desk.root / "err.txt").read_bytes() == b"err " + MASK + b"\n"


def test_ctrl_c_reaches_it_where_its_input_is_a_file(desk: Desk) -> None:
    with on(desk, "--", "sh", "-c", "echo ready; exec sleep 600", redirect={0: os.devnull}) as term:
        term.until(b"ready\r\n")
        term.type(b"\x03")
        assert term.end() == 128 + signal.SIGINT


@pytest.mark.parametrize("kill", [False, True], ids=["window closed", "we are killed"])
def test_the_end_of_the_terminal_ends_the_command(desk: Desk, kill: bool) -> None:
    with on(desk, "--", "sh", "-c", "echo pid $$; exec sleep 600") as term:
        term.until(b"pid ")
        pid = int(term.until(b"\r\n"))
        if kill:
            os.kill(term.pid, signal.SIGKILL)
        else:
            term.hang_up()
        until(lambda: not Path(f"/proc/{pid}").exists(), "its end")


def test_everything_said_before_the_end_is_shown(desk: Desk) -> None:
    with on(desk, "--", "sh", "-c", "seq 1 20000; (sleep 600 & echo orphan $!)") as term:
        assert term.end() == 0
        lines = term.said.split(b"\r\n")
        assert lines[:20000] == [str(n).encode() for n in range(1, 20001)]
        orphan = int(lines[20000].split()[1])
    until(lambda: not Path(f"/proc/{orphan}").exists(), "the hang-up of what it left on its terminal")


def test_signals_to_us_reach_it(desk: Desk) -> None:
    with on(desk, "--", "sh", "-c", "trap 'echo got; exit 5' TERM; echo ready; while :; do sleep 0.01; done") as term:
        term.until(b"ready\r\n")
        os.kill(term.pid, signal.SIGTERM)
        term.until(b"got\r\n")
        assert term.end() == 5


def test_no_such_command_on_a_terminal(desk: Desk) -> None:
    with on(desk, "--", "nonesuch") as term:
        assert term.end() == 127 and b"there is no such command" in term.said
