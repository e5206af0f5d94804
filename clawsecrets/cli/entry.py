"""The console script. It is here, and small, because OpenClaw starts `clawsecrets resolve` on every reload and gives
it five seconds: that path must not pay for typer, pydantic or the store.

Also the one place where an error becomes words and an exit code. What was typed is not repeated, since it may be a
value in the wrong place: errors name the option or tell the nearest known word. Only names that the store knows, and
places of files and stores (which an error must name to be of use), come back, without what the rules know or what looks
random (wiring/hushing.py).
"""

from __future__ import annotations

import contextlib
import gc
import os
import sys
import threading
from collections.abc import Callable, Sequence
from types import TracebackType

from clawsecrets.errors import ClawError, Incomplete, UsageError, WorkLeft

EXIT_BUG = 70
"""A fault of clawsecrets itself (sysexits.h EX_SOFTWARE)."""
EXIT_INTERRUPTED = 130
MANY = 50_000
"""Objects after which a scan looks for cycles: it makes none, but what it imports are many objects."""
COMPLETION = "_CLAWSECRETS_COMPLETE"
"""Set by a shell's completion script: every command must be there."""


def main() -> None:
    """Run the command line and exit with its code."""
    sys.excepthook = _bug  # first: Ctrl-C may come at once
    _fill_closed()
    _guard()
    if sys.argv[1:2] == ["resolve"] and sys.argv[2:3] not in (["--help"], ["-h"]):
        from clawsecrets.injectors.resolve import main as resolve

        sys.exit(resolve(sys.argv[2:]))
    if sys.argv[1:2] == ["scan"]:
        gc.set_threshold(MANY)
        _leave(run(sys.argv[1:]))
    code = run(sys.argv[1:])
    _forget_unwritable()
    sys.exit(code)


def _leave(code: int) -> None:
    """End at once: a hook need not wait until the interpreter has taken itself apart."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
    os._exit(code)


def _fill_closed() -> None:
    """Standard streams that the caller closed lead nowhere: no file that is opened later gets their number, and what
    is read there is empty."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.dup2(os.open(os.devnull, os.O_RDWR), number)
            os.set_inheritable(number, True)
    if sys.stdin is None:
        sys.stdin = open(os.devnull)  # noqa: SIM115 - for as long as the process lives
    if sys.stdout is None:
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w")  # noqa: SIM115


def _guard() -> None:
    """No exception's text reaches a stream, from whatever corner; no character stops a message."""
    sys.unraisablehook = _ignored
    threading.excepthook = lambda fault: _report(fault.exc_type, fault.exc_traceback)
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(AttributeError, ValueError):
            stream.reconfigure(errors="replace")  # type: ignore[union-attr]


def run(argv: list[str]) -> int:
    """Run one command and give its exit code."""
    if argv[:1] == ["scan"] and COMPLETION not in os.environ:
        from clawsecrets.cli.scan_words import understood

        words = understood(argv[1:])
        if words is not None:
            from clawsecrets.cli.scan_run import scan

            return _scan(lambda: scan(words), argv)
    return _command(argv)


def _scan(call: Callable[[], int], argv: Sequence[str]) -> int:
    """A scan that needs no typer. The same errors as `_command` knows, less typer's."""
    try:
        return call()
    except ClawError as error:
        return complain(error, argv)
    except KeyboardInterrupt:
        print("clawsecrets: interrupted", file=sys.stderr)
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        _forget_stdout()  # the reader left: that is no word on what was found
        return EXIT_INTERRUPTED
    except OSError as error:
        _forget_stdout()
        return complain(Incomplete(_os_words(error), "check the disk and the permissions, then run it again"), argv)


def _command(argv: list[str]) -> int:
    from typer import Abort
    from typer.exceptions import TyperException
    from typer.main import get_command

    from clawsecrets.cli.app import build
    from clawsecrets.cli.output import heard

    argv = {(): ["--help"], ("--version",): ["version"]}.get(tuple(argv), argv)
    try:
        # not `app(…)`: that would put typer's own exception hook, which prints values, over ours
        answer = get_command(build(argv))(args=argv, prog_name="clawsecrets", standalone_mode=False)
        heard(lambda: None)
        ours = answer == EXIT_INTERRUPTED and argv[:1] != ["run"]  # there it is the code of the command that was run
        return _interrupted() if ours else answer if isinstance(answer, int) else 0
    except ClawError as error:
        return complain(error, argv)
    except KeyboardInterrupt:
        return _interrupted()
    except Abort:
        return complain(WorkLeft("not confirmed; nothing was done", "run it again when you are sure"))
    except BrokenPipeError:
        return _reader_left()
    except SystemExit as end:  # typer's own end for it
        if not isinstance(end.__context__, BrokenPipeError):
            raise
        return _reader_left()
    except OSError as error:
        _forget_stdout()
        return complain(Incomplete(_os_words(error), "check the disk and the permissions, then run it again"), argv)
    except TyperException as error:
        return complain(_usage(error), argv)


def complain(error: ClawError, argv: Sequence[str] = ()) -> int:
    """Print an error's words and give its exit code. `argv`: what was typed; of it, nothing that is a secret."""
    from clawsecrets.cli.output import say_if_possible
    from clawsecrets.wiring.hushing import hushed

    message, hint = hushed(error, argv)
    say_if_possible(f"clawsecrets: error: {message}")
    if hint:
        say_if_possible(f"hint: {hint}")
    return error.exit_code


def _interrupted() -> int:
    print("clawsecrets: interrupted; `clawsecrets status` shows what is unfinished", file=sys.stderr)
    return EXIT_INTERRUPTED


def _reader_left() -> int:
    """Nothing more is to be said."""
    _forget_stdout()
    return 0


def _forget_stdout() -> None:
    """What cannot be written is not tried again when the interpreter ends."""
    from clawsecrets.cli.output import forget

    forget(sys.stdout)


def _forget_unwritable() -> None:
    """The exit code stays ours: the interpreter gives another one where it cannot write what is left."""
    from clawsecrets.cli.output import forget

    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            forget(stream)


def _os_words(error: OSError) -> str:
    what = os.strerror(error.errno) if error.errno else "the system refused"
    return f"{error.filename}: {what}" if isinstance(error.filename, str) else what


def _usage(error: Exception) -> UsageError:
    """The parser's refusal in our words, without what was typed."""
    context = getattr(error, "ctx", None)
    path = context.command_path if context is not None else "clawsecrets"
    hint = f"{path} --help shows how it is called"
    kind, said = type(error).__name__, str(getattr(error, "message", ""))
    if kind == "NoSuchOption":
        from clawsecrets.cli.scan_words import belongs

        if belonging := belongs(path, str(getattr(error, "option_name", ""))):
            return UsageError(*belonging)
        near = ", ".join(sorted(getattr(error, "possibilities", None) or []))
        return UsageError("there is no such option" + (f"; did you mean {near}?" if near else ""), hint)
    if kind in ("MissingParameter", "BadOptionUsage"):
        words = error.format_message() if hasattr(error, "format_message") else said
        return UsageError(words.splitlines()[0].rstrip("."), hint)
    if kind == "BadParameter":
        return UsageError(_bad_parameter(error, said), hint)
    if said.startswith("No such command"):
        near = said.partition("Did you mean ")[2].replace("'", "").rstrip("?.")
        return UsageError("there is no such command" + (f"; did you mean {near}?" if near else ""), hint)
    return UsageError("too many arguments (a value is never taken from the command line: give it on standard input)",
                      hint)


def _bad_parameter(error: Exception, said: str) -> str:
    param = getattr(error, "param", None)
    name = "/".join(param.opts) if param is not None and param.param_type_name == "option" else \
        str(getattr(param, "human_readable_name", "an argument"))
    return f"{name}: " + ("a whole number is needed" if "integer" in said else "it does not take that")


def _bug(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """A traceback without locals and without the exception's text, which could hold a value. Ctrl-C outside of a
    command (modules are being loaded, or the interpreter ends) is none."""
    if issubclass(kind, KeyboardInterrupt):
        _stop_here()
    _report(kind, trace)
    os._exit(EXIT_BUG)


def _ignored(fault: sys.UnraisableHookArgs) -> None:
    """What Python would pass over, such as an error in a destructor. Not Ctrl-C."""
    if fault.exc_type is not None and issubclass(fault.exc_type, KeyboardInterrupt):
        _stop_here()
    _report(fault.exc_type, fault.exc_traceback)


def _stop_here() -> None:
    with contextlib.suppress(OSError):
        os.write(2, b"clawsecrets: interrupted\n")
    os._exit(EXIT_INTERRUPTED)


def _report(kind: type[BaseException] | None, trace: TracebackType | None) -> None:
    print("clawsecrets: this is a bug, please report what follows (it holds no values):", file=sys.stderr)
    while trace is not None:
        code = trace.tb_frame.f_code
        print(f'  File "{code.co_filename}", line {trace.tb_lineno}, in {code.co_name}', file=sys.stderr)
        trace = trace.tb_next
    print(kind.__name__ if kind else "", file=sys.stderr)
    sys.stderr.flush()
