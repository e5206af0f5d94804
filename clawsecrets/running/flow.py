"""One stream of the command on its way to ours, through the mask. Nothing here waits: a slow reader, or a terminal that
is held, must not keep signals from the command."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import time

from clawsecrets.running.mask import Mask

HOLD = 0.002
"""Seconds that the beginning of a value is kept back when nothing follows."""
MOST = 1 << 20
"""Bytes that wait for our reader before the command has to wait."""
AT_ONCE = 1 << 18
"""Bytes read at once."""
SURE = 4096
"""PIPE_BUF: so much can be written without waiting wherever poll(2) says that something can."""
_LEFT = frozenset((errno.EPIPE, errno.ECONNRESET))
"""What a write says when nobody reads any more."""


class Sink:
    """One of our standard streams, written to without waiting."""

    def __init__(self, number: int) -> None:
        self.number, self._own = number, False
        kind = os.fstat(number).st_mode
        self.waits = not stat.S_ISREG(kind) and not _is_null(number)
        """Whether it may be full. A file never is."""
        self._most = SURE if self.waits else AT_ONCE * 4
        if stat.S_ISFIFO(kind):
            # a description of our own: O_NONBLOCK on the inherited one would hit everybody who has it
            with contextlib.suppress(OSError):
                self.number = os.open(f"/proc/self/fd/{number}", os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
                self._own, self._most = True, AT_ONCE * 4

    def write(self, data: memoryview) -> int:
        """How much of it was written. OSError when it cannot be: nobody reads any more, the disk is full."""
        try:
            return os.write(self.number, data[:self._most])
        except BlockingIOError:
            return 0

    def left(self, error: OSError) -> bool:
        """Whether that was our reader's leaving; also that our terminal was hung up."""
        return error.errno in _LEFT or (error.errno == errno.EIO and os.isatty(self.number))

    def close(self) -> None:
        """Release what was opened here."""
        if self._own:
            os.close(self.number)


def _is_null(number: int) -> bool:
    try:
        return os.path.samestat(os.fstat(number), os.stat(os.devnull))
    except OSError:
        return False


class Flow:
    """From `source` (non-blocking; a pipe, or a terminal of the command's) to `sink`."""

    def __init__(self, source: int, sink: Sink, mask: Mask | None, *, terminal: bool) -> None:
        self.source, self.sink, self._mask, self._terminal = source, sink, mask, terminal
        self.open = True
        """More may come."""
        self.gone = False
        """Our reader left, or nothing more can be written."""
        self.lost = ""
        """Why something could not be written, other than that our reader left."""
        self._pending = memoryview(b"")  # a view: a slow reader takes it in many small parts
        self._fed = 0.0

    @property
    def wants(self) -> bool:
        """Whether it would read."""
        return self.open and len(self._pending) < MOST

    @property
    def full(self) -> bool:
        """Whether something waits to be written."""
        return bool(self._pending)

    @property
    def pause_at(self) -> float:
        """When what the mask keeps back is to be given out (time.monotonic); 0.0: it keeps nothing."""
        return self._fed + HOLD if self._mask is not None and self._mask.waiting else 0.0

    def read(self) -> int:
        """Read once; how much it was. `open` is False at the end."""
        try:
            data = os.read(self.source, AT_ONCE)
        except BlockingIOError:
            return 0
        except OSError as error:
            if error.errno != errno.EIO:  # EIO: nobody has the terminal open any more
                raise
            data = b""
        if not data:
            self.open = False
            self.pause()
            return 0
        if not self.gone:
            self._fed = time.monotonic()
            self._put(data if self._mask is None else self._mask.feed(data))
        return len(data)

    def pause(self) -> None:
        """Give out what the mask keeps back."""
        if self._mask is not None and not self.gone:
            self._put(self._mask.pause())

    def _put(self, data: bytes) -> None:
        if data:
            self._pending = memoryview(b"".join((self._pending, data)) if self._pending else data)
        if data and not self.sink.waits:
            self.write()

    def write(self) -> None:
        """Write what can be written now. When that is no longer possible (our reader has left, the disk is full), the
        command's pipe is closed, so that it learns it in the usual way (SIGPIPE); what a terminal of its own brings is
        dropped."""
        try:
            while self._pending:
                done = self.sink.write(self._pending)
                self._pending = self._pending[done:]
                if self.sink.waits:
                    return
        except OSError as error:
            self.gone, self._pending = True, memoryview(b"")
            if not self.sink.left(error):
                self.lost = os.strerror(error.errno) if error.errno else "the system refused"
            if not self._terminal:
                self.open = False
                os.close(self.source)
                self.source = -1

    def close(self) -> None:
        """Release both ends that are ours."""
        if self.source >= 0:
            os.close(self.source)
            self.source = -1
        self.sink.close()
