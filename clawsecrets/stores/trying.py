"""Whether the embedded store could be written now: by writing beside its database and its anchor, and taking that away.

What the system says of permissions is not enough: a disk may be full, mounted read-only, or over its quota.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from clawsecrets.errors import StoreError
from clawsecrets.stores.anchor import Anchor
from clawsecrets.stores.faults import LEAST, io_failed, kept_from
from clawsecrets.stores.files import write_draft


def unwritable(path: Path, anchor: Path) -> StoreError | None:
    """What would keep a commit from happening; None: nothing that can be seen before. Nothing is left behind."""
    path = path.resolve()
    if (known := kept_from(path)) is not None:
        return known
    draft, failed = path.with_name(f".{path.name}.{os.getpid()}.new"), None
    try:
        write_draft(draft, bytes(LEAST))
    except OSError as error:
        failed = error
    finally:
        with suppress(OSError):
            draft.unlink(missing_ok=True)
    if failed is not None:
        return io_failed("write beside", path, failed)
    try:
        Anchor(anchor).try_out()
    except StoreError as error:
        return error
    return None
