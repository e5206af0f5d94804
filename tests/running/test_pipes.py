"""`run` between pipes: what the command gets and what comes through, signals, codes, and what it leaves behind."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from clawsecrets.running.mask import MASK
from tests import canary as canaries
from tests.cli.desk import LIMIT, SCRIPT, Desk
from tests.running.conftest import VALUE
from tests.waiting import until

PIPE, NULL = subprocess.PIPE, subprocess.DEVNULL


@contextmanager
def running(desk: Desk, *words: str, stdin: int = NULL, stdout: int = PIPE, stderr: int = PIPE,
            **env: str) -> Iterator[subprocess.Popen[bytes]]:
    """`clawsecrets run …` in a session of its own."""
    with subprocess.Popen([str(SCRIPT), "run", *words], stdin=stdin, stdout=stdout, stderr=stderr, cwd=desk.root,
                          env={**desk.env, **env}, start_new_session=True) as process:
        try:
            yield process
        finally:
            with contextlib.suppress(OSError):
                os.killpg(process.pid, signal.SIGKILL)


def sh(desk: Desk, script: str, *words: str, stdin: bytes = b"", **env: str) -> tuple[bytes, bytes, int]:
    """`clawsecrets run --secret my-key … -- sh -c SCRIPT`: output, errors, code."""
    done = subprocess.run([str(SCRIPT), "run", "--secret", "my-key", *words, "--", "sh", "-c", script], input=stdin,
                          capture_output=True, cwd=desk.root, env={**desk.env, **env}, timeout=LIMIT, check=False)
    return done.stdout, done.stderr, done.returncode


def python(code: str) -> list[str]:
    begin = "import os, sys, time\nv = os.environb[b'MY_KEY']\n"
    return ["--secret", "my-key", "--", sys.executable, "-c", begin + code]


# --- what the command gets ------------------------------------------------------------------------------------------


def test_only_what_was_named(desk: Desk) -> None:
    out, err, code = sh(desk, "env; cat > /dev/null", "--no-mask", MY_OWN="stays", CLAWSECRETS_CACHE_KEY="k" * 40,
                        CLAWSECRETS_PASSPHRASE_FILE="/p", CREDENTIALS_DIRECTORY="/c", VAULT_TOKEN="t",
                        BAO_TOKEN="t", BAO_WRAP_TOKEN="t", CLAWSECRETS_CONFIG=str(desk.home / "clawsecrets.toml"))
    names = {line.split(b"=")[0] for line in out.splitlines()}
    assert b"MY_KEY=" + VALUE in out and b"MY_OWN=stays" in out and (err, code) == (b"", 0)
    ours = {name for name in names if name.startswith((b"CLAWSECRETS", b"VAULT", b"BAO", b"CRED"))}
    assert ours == {b"CLAWSECRETS_HOME", b"CLAWSECRETS_CONFIG"}, "a clawsecrets that it starts works on this store"
    assert b"pass-word-0123" not in out


def test_another_value_of_the_store_is_not_passed_on(desk: Desk) -> None:
    out, err, _ = sh(desk, "env", "--no-mask", STRAY="pass-word-0123", SAME=VALUE.decode())
    assert b"pass-word-0123" not in out + err and b"SAME=" in out
    assert b"STRAY is not passed on: it holds a value of db/password" in err


def test_other_variables_and_targets(desk: Desk) -> None:
    assert sh(desk, 'echo "[$OTHER][$MY_KEY]"', "--secret", "my-key=OTHER")[0] == b"[" + MASK + b"][]\n"
    out, _, _ = sh(desk, 'test "$PGPASSWORD" = pass-word-0123 && echo yes', "--target", "app")
    assert out == b"yes\n"


@pytest.mark.parametrize(("words", "said"), [
    (["--secret", "openai-admin-key"], "admin credential: no process is given it"),
    (["--secret", "nothing-like-it"], "there is no secret of that name"),
    (["--secret", "my-key=1X"], "not a name for a variable"),
    (["--secret", "my-key", "--secret", "pin=MY_KEY"], "would both be written as MY_KEY"),
    (["--secret", "binary"], "NUL byte"),
    (["--target", "nowhere"], "there is no such target"),
    (["--target", "empty"], "nothing is bound to empty"),
    (["--secret", "my-key", "--watch", "--grace", "soon"], "not a duration"),
    ([], "no secret is named"),
])
def test_refused_before_anything_runs(desk: Desk, words: list[str], said: str) -> None:
    ran = desk.run("run", *words, "--", "touch", "ran")
    assert said in ran.err and ran.code in (2, 4) and not (desk.root / "ran").exists()
    assert len(ran.err.splitlines()) <= 2


def test_two_secrets_under_one_variable_is_a_wrong_use(desk: Desk) -> None:
    for words in (["--secret", "my-key", "--secret", "pin=MY_KEY"], ["--secret", "my-key=K", "--secret", "pin=K"]):
        ran = desk.run("run", *words, "--", "touch", "ran")
        assert ran.code == 2 and "my-key and pin would both be written as" in ran.err and "=VARIABLE" in ran.err
        assert not (desk.root / "ran").exists()


def test_no_command(desk: Desk) -> None:
    assert desk.run("run", "--secret", "my-key").code == 2
    missing, folder = desk.run("run", "--secret", "my-key", "--", "nonesuch"), desk.run("run", "--secret", "my-key",
                                                                                       "--no-mask", "--", "/etc/passwd")
    assert (missing.code, folder.code) == (127, 126)
    assert "there is no such command" in missing.err and "Permission denied" in folder.err


def test_its_options_are_its_own(desk: Desk) -> None:
    assert desk.run("run", "--secret", "my-key", "echo", "--secret", "x", "--help").out == "--secret x --help\n"


def test_the_value_is_in_no_argv_and_in_no_other_environment(desk: Desk) -> None:
    with running(desk, "--secret", "my-key", "--", "sh", "-c", "echo ready; sleep 600") as process:
        assert process.stdout is not None
        process.stdout.readline()
        for pid in (process.pid, *_children(process.pid)):
            assert canaries.search(Path(f"/proc/{pid}/cmdline").read_bytes(), VALUE) == []
        assert canaries.search(Path(f"/proc/{process.pid}/environ").read_bytes(), VALUE) == []


def test_the_store_is_free_meanwhile(desk: Desk) -> None:
    with running(desk, "--secret", "my-key", "--watch", "--", "sh", "-c", "echo ready; sleep 600") as process:
        assert process.stdout is not None
        process.stdout.readline()
        held = [os.readlink(path) for path in Path(f"/proc/{process.pid}/fd").iterdir()]
        assert [path for path in held if "store.db" in path] == []
        assert desk.run("get", "my-key", "--raw").out.encode() == VALUE  # writes into the audit log


# --- what comes through ---------------------------------------------------------------------------------------------


def test_streams_stay_apart_and_both_are_masked(desk: Desk) -> None:
    out, err, code = sh(desk, 'echo "out $MY_KEY"; echo "err $MY_KEY" >&2; exit 7')
    assert (out, err, code) == (b"out " + MASK + b"\n", b"err " + MASK + b"\n", 7)


def test_one_pipe_for_both_keeps_the_order(desk: Desk) -> None:
    script = "; ".join(f"echo out{n}; echo err{n} >&2" for n in range(50))
    with running(desk, "--secret", "my-key", "--", "sh", "-c", script, stderr=subprocess.STDOUT) as process:
        out, _ = process.communicate(timeout=LIMIT)
    assert out.split() == [word.encode() for n in range(50) for word in (f"out{n}", f"err{n}")]


@pytest.mark.parametrize("form", ["v", "base64.b64encode(v)", "base64.b64encode(b'x'+v)", "base64.b64encode(b'xy'+v)",
                                  "v.hex().encode()", "urllib.parse.quote(v, safe='').encode()",
                                  "json.dumps(v.decode()).encode()"])
def test_split_over_writes(desk: Desk, form: str) -> None:
    code = (f"import base64, json, urllib.parse\nfor byte in b'<' + {form} + b'>':\n    os.write(1, bytes([byte]))")
    with running(desk, *python(code)) as process:
        out, _ = process.communicate(timeout=LIMIT)
    assert canaries.search(out, VALUE) == [] and out.startswith(b"<") and out.endswith(b">") and MASK in out


def test_binary_output_and_huge_lines_are_whole(desk: Desk) -> None:
    code = "for n in range(40):\n    sys.stdout.buffer.write(bytes(range(256)) * 2048)\nsys.stdout.buffer.write(v)"
    with running(desk, *python(code)) as process:
        out, _ = process.communicate(timeout=LIMIT)
    assert out == bytes(range(256)) * 2048 * 40 + MASK


def test_what_is_said_comes_at_once(desk: Desk) -> None:
    """A line is here before the command goes on, and so is what only looks like the beginning of a value."""
    code = ("print('line', flush=True)\nsys.stdin.readline()\nos.write(1, b'$ ' + v[:3])\nsys.stdin.readline()\n"
            "os.write(1, v[3:])")
    with running(desk, *python(code), stdin=PIPE) as process:
        assert process.stdout is not None and process.stdin is not None
        assert process.stdout.readline() == b"line\n"
        process.stdin.write(b"\n")
        process.stdin.flush()
        assert process.stdout.read(5) == b"$ " + VALUE[:3]
        process.stdin.write(b"\n")
        process.stdin.close()
        assert process.stdout.read() == MASK


def test_no_mask_says_it_all_and_short_ones_are_said(desk: Desk) -> None:
    assert sh(desk, 'printf %s "$MY_KEY"', "--no-mask")[0] == VALUE
    out, err, _ = sh(desk, 'echo "$PIN"', "--secret", "pin")
    assert out == b"1234\n" and err == b"pin: shorter than 8 characters, so it is not masked\n"


# --- streams that are closed, readers that leave --------------------------------------------------------------------


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_closed_streams(desk: Desk, closed: str) -> None:
    line = f"{SCRIPT} run --secret my-key -- sh -c 'echo x; cat; exit 5' {closed}"
    done = subprocess.run(["sh", "-c", line], stdin=NULL, capture_output=True, cwd=desk.root, env=desk.env,
                          timeout=LIMIT, check=False)
    assert done.returncode == 5


def test_a_reader_that_leaves_is_a_broken_pipe_for_the_command(desk: Desk) -> None:
    with running(desk, "--secret", "my-key", "--", "yes", stdout=PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"y\n"
        process.stdout.close()
        assert process.wait(LIMIT) == 128 + signal.SIGPIPE


@pytest.mark.parametrize(("script", "redirected", "code"), [
    ("echo hi", "> /dev/full", 6), ("echo hi; exit 3", "> /dev/full", 3), ("yes", "> /dev/full", 141),
    ("trap '' PIPE; yes 2> /dev/null; exit 5", "> /dev/full", 5), ("echo hi >&2", "2> /dev/full", 6),
    ("echo hi", "> /dev/full 2>&1", 6), ("exit 0", "> /dev/full 2>&1", 0),
])
def test_what_cannot_be_written_is_said_and_is_no_success(desk: Desk, script: str, redirected: str, code: int) -> None:
    line = f'{SCRIPT} run --secret my-key -- sh -c "$0" {redirected}'
    done = subprocess.run(["sh", "-c", line, script], stdin=NULL, capture_output=True, cwd=desk.root, env=desk.env,
                          timeout=LIMIT, check=False)
    said = b"clawsecrets: error: not all that the command printed could be written: No space left on device\n"
    assert (done.stdout, done.returncode) == (b"", code)
    assert done.stderr == (b"" if "2>" in redirected else said)


def test_a_file_that_may_not_grow_is_said(desk: Desk) -> None:
    """What fits is written; the command itself had ended well, since all of it fitted into our pipe."""
    grown, most = desk.root / "grown", 4 << 20  # more than the store's own files need
    with grown.open("wb") as file:
        file.truncate(most - 65536)
    line = f"ulimit -f {most >> 10}; {SCRIPT} run --secret my-key -- seq 1 20000 >> {grown}"
    done = subprocess.run(["bash", "-c", line], stdin=NULL, capture_output=True, cwd=desk.root, env=desk.env,
                          timeout=LIMIT, check=False)
    whole = "".join(f"{n}\n" for n in range(1, 20001)).encode()
    assert done.returncode == 6 and b"could be written: File too large" in done.stderr
    assert grown.read_bytes()[most - 65536:] == whole[:65536]


def test_a_slow_reader_loses_nothing_and_signals_still_pass(desk: Desk) -> None:
    code = "import signal\nsignal.signal(15, lambda *a: os._exit(9))\nwhile True: os.write(1, b'x' * 65536)"
    with running(desk, *python(code)) as process:
        assert process.stdout is not None
        process.stdout.read(10_000)  # and no more: everything is full now
        process.send_signal(signal.SIGTERM)
        until(lambda: not _children(process.pid), "its end")
        while process.stdout.read(1 << 20):
            pass
        assert process.wait(LIMIT) == 9


def _children(pid: int) -> list[int]:
    return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


# --- signals and codes ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [1, 2, 3, 9, 15, 10, 34])
def test_ended_by_a_signal(desk: Desk, number: int) -> None:
    assert sh(desk, f"kill -{number} $$")[2] == 128 + number


@pytest.mark.parametrize("number", [1, 2, 3, 10, 12, 15, 36])
@pytest.mark.parametrize("mask", [[], ["--no-mask"]], ids=["mask", "no mask"])
def test_signals_reach_the_command(desk: Desk, number: int, mask: list[str]) -> None:
    script = f"trap 'echo got; exit 42' {number}; echo ready; while :; do sleep 0.01; done"
    with running(desk, "--secret", "my-key", *mask, "--", "sh", "-c", script) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        process.send_signal(number)
        assert process.stdout.readline() == b"got\n" and process.wait(LIMIT) == 42


def test_a_command_that_ignores_it_goes_on(desk: Desk) -> None:
    script = "trap '' 15; echo ready; read line; echo $line"
    with running(desk, "--secret", "my-key", "--", "sh", "-c", script, stdin=PIPE) as process:
        assert process.stdout is not None and process.stdin is not None
        process.stdout.readline()
        process.send_signal(signal.SIGTERM)
        process.stdin.write(b"still here\n")
        process.stdin.close()
        assert process.stdout.readline() == b"still here\n" and process.wait(LIMIT) == 0


def test_blocked_and_ignored_signals_are_as_we_found_them(desk: Desk) -> None:
    script = "grep -E '^Sig(Blk|Ign)' /proc/self/status"
    direct = subprocess.run(["sh", "-c", script], capture_output=True, check=True).stdout
    assert sh(desk, script)[0] == direct == sh(desk, script, "--no-mask")[0]


def test_killed_itself_it_takes_the_command_along(desk: Desk) -> None:
    with running(desk, "--secret", "my-key", "--", "sh", "-c", "echo $$; exec sleep 600") as process:
        assert process.stdout is not None
        pid = int(process.stdout.readline())
        process.kill()
        process.wait(LIMIT)
        until(lambda: not Path(f"/proc/{pid}").exists(), "the command's end")


def test_a_process_that_the_command_leaves_does_not_hold_us_up(desk: Desk) -> None:
    with running(desk, "--secret", "my-key", "--", "sh", "-c", "sleep 600 & echo $!; exit 3") as process:
        assert process.stdout is not None
        orphan = int(process.stdout.readline())
        assert process.wait(LIMIT) == 3
        assert Path(f"/proc/{orphan}").exists()  # it is let live
        os.kill(orphan, signal.SIGKILL)


def test_one_that_writes_for_ever_does_not_either(desk: Desk) -> None:
    with running(desk, "--secret", "my-key", "--", "sh", "-c", "yes & echo first; exit 3") as process:
        out, _ = process.communicate(timeout=LIMIT)
        assert process.returncode == 3 and b"first\n" in out


def test_zombies_are_reaped(desk: Desk) -> None:
    """Orphans are adopted while the command runs, as init would."""
    script = "for n in 1 2 3; do (sh -c 'exit 0' & ); done; echo ready; read line"
    with running(desk, "--secret", "my-key", "--", "sh", "-c", script, stdin=PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        until(lambda: len(_children(process.pid)) == 1, "only the command is left")


# --- files ----------------------------------------------------------------------------------------------------------


def test_files(desk: Desk) -> None:
    script = 'stat -c "%a %U" "$CLAWSECRETS_FILES" "$KEY_FILE"; cat "$KEY_FILE" | wc -c; echo "${MY_KEY-none}"; ' \
             'stat -f -c %T "$CLAWSECRETS_FILES"; ls "$CLAWSECRETS_FILES"; echo "$CLAWSECRETS_FILES" >&2'
    out, err, code = sh(desk, script, "--files", "--secret", "my-key=KEY_FILE", "--secret", "db/password")
    me = subprocess.run(["id", "-un"], capture_output=True, check=True).stdout.strip()
    size = str(len(VALUE)).encode()
    assert out.split() == [b"700", me, b"400", me, size, b"none", b"tmpfs", b"db+password", b"my-key"]
    assert code == 0 and not Path(err.decode().strip()).exists()


def test_a_value_with_nul_can_be_a_file(desk: Desk) -> None:
    assert sh(desk, 'wc -c < "$CLAWSECRETS_FILES/binary"', "--files", "--secret", "binary")[0].strip() == b"15"


def test_files_that_a_kill_left_go_with_the_next_run_and_those_in_use_stay(desk: Desk) -> None:
    words = ("--secret", "my-key", "--files", "--", "sh", "-c", 'echo "$CLAWSECRETS_FILES"; exec sleep 600')
    with running(desk, *words) as killed, running(desk, *words) as alive:
        assert killed.stdout is not None and alive.stdout is not None
        left, used = (Path(one.stdout.readline().decode().strip()) for one in (killed, alive) if one.stdout)
        killed.kill()
        killed.wait(LIMIT)
        assert (left / "my-key").exists() and (used / "my-key").exists()
        sh(desk, "true", "--files")
        assert not left.exists() and (used / "my-key").exists()
        alive.terminate()
        assert alive.wait(LIMIT) == 128 + signal.SIGTERM and not used.exists()


def test_files_go_only_where_it_is_in_memory_and_ours(desk: Desk, tmp_path: Path) -> None:
    out, _, code = sh(desk, 'echo "$CLAWSECRETS_FILES"', "--files", XDG_RUNTIME_DIR=str(tmp_path))  # on a disk
    assert code == 0 and (out.startswith(b"/dev/shm/") or out.startswith(b"/run/"))


# --- nothing leaks ----------------------------------------------------------------------------------------------------


def test_nothing_of_it_stays_or_is_said(desk: Desk) -> None:
    heard = b""
    for words in ([], ["--files"], ["-v"], ["--files", "--secret", "pin"]):
        out, err, _ = sh(desk, 'env; cat "$CLAWSECRETS_FILES"/*; cat /proc/self/environ', *words)
        heard += out + err
    heard += desk.run("audit-log", "--json").everything.encode()
    assert MASK in heard and canaries.search(heard, VALUE) == []
    for path in desk.root.rglob("*"):
        assert not path.is_file() or canaries.search(path.read_bytes(), VALUE) == [], path


def test_the_audit_log_knows_it(desk: Desk) -> None:
    before = desk.run("audit-log", "--last", "0").out.count("value.read")
    sh(desk, "true", "--secret", "pin")
    assert desk.run("audit-log", "--last", "0").out.count("value.read") == before + 2


def test_a_command_that_ends_like_one_that_was_interrupted_says_so_itself(desk: Desk) -> None:
    ran = desk.run("run", "--secret", "my-key", "--", "sh", "-c", "exit 130")
    assert (ran.code, ran.err) == (130, "")
