"""The one place where any exception is caught: a fault in one secret's work must not stop the others'."""

from __future__ import annotations

import traceback
from collections.abc import Callable

from clawsecrets.daemon.logs import ERROR, Log
from clawsecrets.errors import ClawError, Fenced, LateEffect, StoreBusy


def guarded(log: Log, what: str, call: Callable[[], None], known: str = "", **about: object) -> str:
    """Do it. Empty when it was done, `busy` when another process is at work or has taken this over, else what went
    wrong, in one line. `known`: what was said of it before; the same fault is not logged again.

    A bug's traceback is logged without locals and without the exception's text, which could hold a value.
    """
    try:
        call()
    except StoreBusy as error:
        log.write("info", f"{what}.busy", **about, detail=error.message)
        return "busy"
    except Fenced as error:
        if isinstance(error, LateEffect):  # nobody else knows of it
            log.error(f"{what}.error", error, **about)
            return error.message
        log.write("info", f"{what}.taken-over", **about, detail=error.message)
        return "busy"
    except ClawError as error:
        if error.message != known:
            log.error(f"{what}.error", error, **about)
        return error.message
    except Exception as error:
        where = "".join(traceback.format_tb(error.__traceback__))
        log.write(ERROR, f"{what}.bug", **about, error=type(error).__name__, traceback=where)
        return f"a bug in clawsecrets ({type(error).__name__}); its log says where"
    return ""
