"""How much there is to read, counted by a thread beside the scan: only where somebody is shown how much is left."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import threading

    from clawsecrets.scan.pipeline import Told
    from clawsecrets.scan_ports import Source


@contextmanager
def counted(sources: Sequence[Source], told: Told) -> Iterator[None]:
    """While the block runs, `told` may come to know how much there is; afterwards nothing runs any more."""
    if not told.counts:
        yield
        return
    import threading

    enough = threading.Event()
    thread = threading.Thread(target=_count, args=(sources, told, enough), name="counting")
    thread.start()
    try:
        yield
    finally:
        enough.set()
        thread.join()


def _count(sources: Sequence[Source], told: Told, enough: threading.Event) -> None:
    total = 0
    for source in sources:
        work = source.work()
        if work is None:
            return
        for size in work:
            total += size
            if enough.is_set():
                return
    told.expects(total)
