"""From what happened to a Reply: the one place where injectors turn errors into outcomes."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress

from clawsecrets.errors import Refused, StoreBusy
from clawsecrets.injectors.atomic import Changed
from clawsecrets.model.rotation import Outcome
from clawsecrets.model.secret import SecretValue
from clawsecrets.ports import Reply


def attempt(work: Callable[[], str], on_failure: Outcome = Outcome.UNKNOWN) -> Reply:
    """OK with what `work` says as proof; REFUSED, LATER for a busy target, `on_failure` for an I/O error."""
    try:
        return Reply(Outcome.OK, proof=work())
    except Refused as error:
        return Reply(Outcome.REFUSED, f"{error.message}; {error.hint}" if error.hint else error.message)
    except StoreBusy as error:
        return Reply(Outcome.LATER, error.message)
    except OSError as error:
        return Reply(on_failure, words(error))


def words(error: OSError) -> str:
    """One line for an I/O error: where and what."""
    if isinstance(error, Changed):
        return str(error)
    what = os.strerror(error.errno) if error.errno else "the system refused"
    return f"{error.filename}: {what}" if error.filename else what


def text_of(name: str, value: SecretValue) -> str:
    """The value as text. Refused when it is empty or not UTF-8, naming `name` only."""
    text = None
    with suppress(ValueError):
        text = value.reveal_text()
    if text is None:
        raise Refused(f"{name}: the value is not UTF-8 text, which this target cannot carry")
    if not text:
        raise Refused(f"{name}: the value is empty")
    return text
