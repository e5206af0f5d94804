"""Whether the embedded store could be written now: by writing beside its database and its anchor, and taking that away.

What the system says of permissions is not enough: a disk may be full, mounted read-only, or over its quota.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from clawsecrets.errors import StoreError
from clawsecrets.stores.anchor import Anchor
from clawsecrets.stores.faults import LEAST, io_failed, kept_from


def unwritable(path: Path, anchor: Path) -> StoreError | None:
    """What would keep a commit from happening; None: nothing that can be seen before. Nothing is left behind."""
    path = path.resolve()
    if (known := kept_from(path)) is not None:
        return known
    try:
        with tempfile.TemporaryFile(dir=path.parent) as draft:  # without a name: a killed process leaves nothing either
            draft.write(bytes(LEAST))
            draft.flush()
            os.fsync(draft.fileno())
    except OSError as error:
        return io_failed("write beside", path, error)
    try:
        Anchor(anchor).try_out()
    except StoreError as error:
        return error
    return None
