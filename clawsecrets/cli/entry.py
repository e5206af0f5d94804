"""The console script. It is here, and small, because OpenClaw starts `clawsecrets resolve` on every reload and gives
it five seconds: that path must not pay for typer, pydantic or the store.

Also the one place where an error becomes words and an exit code (design.md section 7).
"""

from __future__ import annotations

import os
import sys
import traceback
from types import TracebackType

from clawsecrets.errors import ClawError, UsageError

EXIT_BUG = 70
"""A fault of clawsecrets itself (sysexits.h EX_SOFTWARE)."""
EXIT_INTERRUPTED = 130


def main() -> None:
    """Run the command line and exit with its code."""
    sys.excepthook = _bug
    if sys.argv[1:2] == ["resolve"]:
        from clawsecrets.injectors.resolve import main as resolve

        sys.exit(resolve(sys.argv[2:]))
    sys.exit(run(sys.argv[1:]))


def run(argv: list[str]) -> int:
    """Run one command and give its exit code."""
    from typer.exceptions import TyperException

    from clawsecrets.cli.app import app

    try:
        answer = app(args=argv, prog_name="clawsecrets", standalone_mode=False)
        sys.stdout.flush()
        return answer if isinstance(answer, int) else 0
    except ClawError as error:
        return complain(error)
    except KeyboardInterrupt:
        print("clawsecrets: interrupted; `clawsecrets status` shows what is unfinished", file=sys.stderr)
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # the reader left; nothing more to say
        return 0
    except OSError as error:
        return complain(ClawError(_os_words(error), "check the disk and the permissions, then run it again"))
    except TyperException as error:
        return complain(UsageError(_usage_words(str(error)), "clawsecrets --help lists the commands"))


def complain(error: ClawError) -> int:
    """Print an error's words and give its exit code."""
    print(f"clawsecrets: error: {error.message}", file=sys.stderr)
    if error.hint:
        print(f"hint: {error.hint}", file=sys.stderr)
    return error.exit_code


def _os_words(error: OSError) -> str:
    what = os.strerror(error.errno) if error.errno else "the system refused"
    return f"{error.filename}: {what}" if error.filename else what


def _usage_words(said: str) -> str:
    """Typer repeats unexpected arguments; one of them may be a value that somebody typed by mistake."""
    if said.startswith("Got unexpected extra argument"):
        return "too many arguments (a value is never taken from the command line: give it on standard input)"
    return said.splitlines()[0] if said else "that is not how it is called"


def _bug(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """A traceback without locals and without the exception's text, which could hold a value."""
    print("clawsecrets: this is a bug, please report what follows (it holds no values):", file=sys.stderr)
    sys.stderr.writelines(traceback.format_tb(trace))
    print(kind.__name__, file=sys.stderr)
    sys.stderr.flush()
    os._exit(EXIT_BUG)
