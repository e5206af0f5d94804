"""Renders one template: a process of its own, started for each (rendering.py), because no template can be trusted to
end: two loops, a number to the power of another, a text a million times.

Standard input and output are lines of JSON. The first line in is the template's text and the limits, the first one out
is empty: it begins. Then, for every secret that the template asks for, its name goes out and its value comes in. At the
end the size of what was made goes out, and that behind it; or what is wrong with the template, in words of our own.
Values pass through the memory of this process and nothing else.

The template runs in Jinja's sandbox, without a loader (no include, no import), without automatic escaping: what format
the file has, the template says (`tojson`, `urlencode`). A name that is not there is an error, never empty text.
Messages name the line, and of Jinja's words only what stands in the template: its errors can hold values.
"""

from __future__ import annotations

import json
import math
import re
import resource
import sys
from collections.abc import Callable, Generator, Mapping
from contextlib import suppress
from types import TracebackType
from typing import Any, cast

import jinja2
from jinja2.sandbox import ImmutableSandboxedEnvironment

MEMORY = 512 << 20
"""Bytes of address space. Without a template the process has about 60 MiB."""
_SOURCE = "<template>"
_UNDEFINED = re.compile(r"'(\w+)' is undefined")

Ask = Callable[[str], str]
"""The value of a secret. NotGiven where there is none to give."""


class NotGiven(Exception):
    """Whoever asked for the rendering has a reason of its own not to give this value."""


class _TooMuch(Exception):
    """What is made grows beyond what it may."""


class _Fault(Exception):
    """What is wrong, and what to do."""


_FAULTS = (_Fault, _TooMuch, jinja2.TemplateError, ArithmeticError, AssertionError, AttributeError, LookupError,
           MemoryError, RecursionError, TypeError, ValueError)
"""What a template can make Python raise."""


def fill(text: str, most: int, ask: Ask) -> dict[str, Any]:
    """What is made (`made`, bytes), or the `line` and `fault` with its `hint`; no fault: `ask` gave no value."""
    environment = ImmutableSandboxedEnvironment(undefined=jinja2.StrictUndefined, autoescape=False,
                                                keep_trailing_newline=True, loader=jinja2.FunctionLoader(_no_other))
    environment.globals["secret"] = lambda name="": ask(_written(name, text))
    try:
        return {"made": _gathered(cast("Generator[str]", environment.from_string(text).generate()), most)}
    except NotGiven as error:
        return {"line": _line(error.__traceback__)}
    except _FAULTS as error:
        fault, hint = _told(error, text, most)
        line = error.lineno if isinstance(error, jinja2.TemplateSyntaxError) else _line(error.__traceback__)
        return {"line": line, "fault": fault, "hint": hint}


def _gathered(parts: Generator[str], most: int) -> bytes:
    made = bytearray()
    for part in parts:
        made += part.encode()
        if len(made) > most:
            parts.throw(_TooMuch())  # there, for its line
    return bytes(made)


def _told(error: Exception, text: str, most: int) -> tuple[str, str]:
    """What is wrong and what to do about it."""
    if isinstance(error, _Fault):
        return error.args[0], error.args[1]
    if isinstance(error, jinja2.TemplateSyntaxError):  # before anything is rendered no value can be in the words
        return (error.message or "it is no template").rstrip(".").replace("\n", " "), "mend the template"
    if isinstance(error, jinja2.TemplateNotFound):
        return "it can include and import no other file", "put everything into one template"
    if isinstance(error, jinja2.UndefinedError):
        return _undefined(error, text), 'a value is written {{ secret("name") }}'
    if isinstance(error, jinja2.exceptions.SecurityError):
        return "that is not allowed in a template", "leave it out"
    if isinstance(error, _TooMuch):
        return f"it makes more than {most >> 20} MiB", "mend the template"
    if isinstance(error, MemoryError):
        return "it takes too much memory", "mend the template"
    return f"it fails ({type(error).__name__})", "mend the template"


def _no_other(name: str) -> None:
    """There is no template but the one that was given."""


def _written(name: object, text: str) -> str:
    """A secret's name. Refused when it is not written in the template: what was computed may be a value, and would
    stand in the next message."""
    if not isinstance(name, str) or not name or name not in text:
        raise _Fault("the name of a secret must be written in the template", '{{ secret("name") }}')
    return name


def _undefined(error: jinja2.UndefinedError, text: str) -> str:
    """Which name is not defined, where the template itself has it; a key that was computed may be a value."""
    found = _UNDEFINED.search(error.message or "")
    name = found[1] if found is not None else ""
    return f"{name} is not defined" if name and name in text else "something in it is not defined"


def _line(trace: TracebackType | None) -> int:
    """The template's line that is at work (Jinja gives its own frames the template's line numbers)."""
    found = 0
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == _SOURCE:
            found = trace.tb_lineno
        trace = trace.tb_next
    return found


def confine(seconds: float) -> None:
    """No more memory and time than that, whatever becomes of whoever started this; no core, which would hold values."""
    for kind, most in ((resource.RLIMIT_AS, MEMORY), (resource.RLIMIT_CPU, math.ceil(seconds) + 1),
                       (resource.RLIMIT_CORE, 0)):
        with suppress(OSError, ValueError):  # it has a lower one
            resource.setrlimit(kind, (most, most))


def _asked(name: str) -> str:
    _say({"name": name})
    answer = json.loads(sys.stdin.buffer.readline())
    if "value" not in answer:
        raise NotGiven
    return str(answer["value"])


def _say(what: Mapping[str, object]) -> None:
    sys.stdout.buffer.write(json.dumps(what).encode() + b"\n")
    sys.stdout.buffer.flush()


def main() -> None:
    """Read the order, render, say what became of it."""
    order = json.loads(sys.stdin.buffer.readline())
    confine(order["seconds"])
    _say({})
    said = fill(order["text"], order["most"], _asked)
    made = said.get("made", b"")
    _say({"size": len(made)} if "made" in said else said)
    sys.stdout.buffer.write(made)
    sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
