"""Between the command and us, as long as it runs: output, keys, signals, the terminal's size, stopping, the end."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import time
from collections.abc import Sequence

from clawsecrets.running import child as children
from clawsecrets.running import linux
from clawsecrets.running.child import Child
from clawsecrets.running.flow import MOST, Flow
from clawsecrets.running.terminal import Keys, resize

_IN = select.POLLIN | select.POLLHUP | select.POLLERR
_DYING = (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM)


class Relay:
    """One run of the command. `master`: our side of its terminal, -1 without; `size_of`: whose size that has.

    `wake`: a descriptor that becomes readable when the command is to be started anew, -1 for never; it is then asked to
    end, and killed after `grace` seconds with everything below it.
    """

    def __init__(self, child: Child, flows: Sequence[Flow], signals: int, *, keys: Keys | None = None,
                 master: int = -1, size_of: int = -1, wake: int = -1, grace: float = 10.0) -> None:
        self._child, self._flows, self._signals, self._keys = child, flows, signals, keys
        self._master, self._size_of, self._wake, self._grace = master, size_of, wake, grace
        self._typed = b""
        self._keys_end = False
        self._poll = select.poll()
        self._asked: dict[int, int] = {}
        self._status: int | None = None
        self._listening = child.own_session
        self._given_up = False
        self._kill_at = 0.0
        self._after = 0
        """Bytes read since the command ended."""
        self.woken = False
        """It was ended to be started anew."""
        self.told_to_end = False
        """Somebody sent us a signal that ends processes."""

    def run(self) -> int:
        """Until the command has ended and what it said is written. Its wait status."""
        if self._keys is not None:
            self._keys.take()
        try:
            while not self._over():
                self._turn()
        finally:
            if self._keys is not None:
                self._keys.give_back()
        assert self._status is not None
        return self._status

    # --- the loop ---------------------------------------------------------------------------------------------------

    def _turn(self) -> None:
        ready = dict(self._wait())
        if self._signals in ready:
            for each in linux.came(self._signals):
                self._signal(each)
        if self._child.reports in ready:
            self._report()
        if self._wake in ready:
            self._wake = -1
            self._restart()
        self._type(ready)
        now = time.monotonic()
        for flow in self._flows:
            if flow.sink.number in ready and flow.full:
                flow.write()
            if flow.source in ready and self._reads(flow):
                self._read(flow)
            elif flow.pause_at and now >= flow.pause_at:
                flow.pause()
        if self._kill_at and now >= self._kill_at:
            self._kill_at = 0.0
            self._kill()

    def _wait(self) -> list[tuple[int, int]]:
        wanted = {self._signals: _IN}
        if self._listening:
            wanted[self._child.reports] = _IN
        if self._wake >= 0:
            wanted[self._wake] = _IN
        for flow in self._flows:
            if self._reads(flow):
                wanted[flow.source] = _IN
            if flow.full:
                wanted[flow.sink.number] = select.POLLOUT
        if self._keys is not None and self._keys.taken and not self._keys_end and not self._typed:
            wanted[self._keys.number] = wanted.get(self._keys.number, 0) | _IN
        if self._typed:
            wanted[self._master] = wanted.get(self._master, 0) | select.POLLOUT
        self._ask(wanted)
        ends = [flow.pause_at for flow in self._flows if flow.pause_at]
        if self._kill_at:
            ends.append(self._kill_at)
        if self._status is not None:  # only what is there already is still read
            return self._poll.poll(0 if not any(flow.full for flow in self._flows) else None)
        return self._poll.poll(max(0.0, min(ends) - time.monotonic()) * 1000 if ends else None)

    def _ask(self, wanted: dict[int, int]) -> None:
        if wanted == self._asked:
            return
        for number in self._asked.keys() - wanted.keys():
            with contextlib.suppress(KeyError):
                self._poll.unregister(number)
        for number, events in wanted.items():
            if self._asked.get(number) != events:
                self._poll.register(number, events)
        self._asked = wanted

    def _over(self) -> bool:
        """Ended, and nothing is left. What the command wrote before its end is within one pipe's size: whoever it left
        behind may go on writing for ever."""
        if self._status is None:
            return False
        if self._given_up:
            return True
        for flow in self._flows:
            while self._reads(flow) and self._read(flow):
                pass
            if not flow.full:
                flow.pause()
        return not any(flow.full or (self._reads(flow) and _more(flow)) for flow in self._flows)

    def _reads(self, flow: Flow) -> bool:
        return flow.wants and (self._status is None or self._after < MOST)

    def _read(self, flow: Flow) -> int:
        count = flow.read()
        if self._status is not None:
            self._after += count
        return count

    # --- what happens -----------------------------------------------------------------------------------------------

    def _signal(self, came: linux.Came) -> None:
        if came.number == signal.SIGCHLD:
            self._reap()
        elif came.number == signal.SIGWINCH:
            if self._master >= 0:
                resize(self._size_of, self._master)
        elif came.number == signal.SIGTSTP:
            self._stopped_too(came)
        elif came.number == signal.SIGCONT:
            self._go_on()
        else:
            self._forward(came)

    def _forward(self, came: linux.Came) -> None:
        if came.number in _DYING:
            self.told_to_end, self._given_up = True, self._status is not None
        if not came.by_kernel:
            self._child.send(came.number)
        elif self._child.own_session:  # a key, or the end, of a terminal that is not the command's
            self._in_front(came.number)
        elif came.number == signal.SIGHUP:
            self._child.send(came.number)

    def _in_front(self, number: int) -> None:
        """A signal to whatever is in the foreground of the command's terminal."""
        with contextlib.suppress(OSError):
            os.killpg(os.tcgetpgrp(self._master), number)

    def _report(self) -> None:
        for what, number in children.read(self._child.reports):
            if what == children.ENDED:
                self._status = number
            elif what == children.STOPPED:
                self._stop()
            elif what == children.LOST:  # its leader is gone: the command is our own child from now on
                self._listening = False

    def _reap(self) -> None:
        with contextlib.suppress(ChildProcessError):
            while True:
                pid, status = os.waitpid(-1, os.WNOHANG)
                if pid == 0:
                    return
                if pid == self._child.pid:
                    self._status = status

    def _stop(self) -> None:
        """The command was stopped on its terminal (Ctrl-Z): so are we and our group, until somebody continues us."""
        if linux.orphaned_group():
            self._continue()
            return
        if self._keys is not None:
            self._keys.give_back()
        with contextlib.suppress(OSError):
            os.killpg(0, signal.SIGTSTP)
        os.kill(os.getpid(), signal.SIGSTOP)
        self._go_on()

    def _stopped_too(self, came: linux.Came) -> None:
        """Ctrl-Z on our own terminal, or a signal to us."""
        if self._child.own_session and came.by_kernel:
            self._in_front(signal.SIGTSTP)  # its leader reports it
            return
        if linux.orphaned_group():
            return
        if not came.by_kernel:
            self._child.send(signal.SIGTSTP)
        os.kill(os.getpid(), signal.SIGSTOP)
        self._go_on()

    def _go_on(self) -> None:
        if self._keys is not None:
            self._keys.take()
        if self._master >= 0:
            resize(self._size_of, self._master)
        self._continue()

    def _continue(self) -> None:
        if self._child.own_session:
            with contextlib.suppress(OSError):
                os.killpg(self._child.pid, signal.SIGCONT)
        else:
            self._child.send(signal.SIGCONT)

    def _type(self, ready: dict[int, int]) -> None:
        """Keys to the command's terminal."""
        keys = self._keys
        if keys is not None and keys.taken and keys.number in ready and not self._typed and not self._keys_end:
            try:
                self._typed = os.read(keys.number, 4096)
            except OSError:
                self._typed = b""
            self._keys_end = not self._typed
        if self._typed:
            try:
                self._typed = self._typed[os.write(self._master, self._typed):]
            except BlockingIOError:
                pass
            except OSError:
                self._typed, self._keys_end = b"", True

    def _restart(self) -> None:
        self.woken = True
        self._child.send(signal.SIGTERM)
        self._child.send(signal.SIGCONT)
        self._kill_at = time.monotonic() + self._grace

    def _kill(self) -> None:
        for pid in linux.descendants(os.getpid()):
            if pid != self._child.direct or not self._child.own_session:
                with contextlib.suppress(OSError):
                    os.kill(pid, signal.SIGKILL)


def _more(flow: Flow) -> bool:
    """Whether something can be read at once."""
    poll = select.poll()
    poll.register(flow.source, select.POLLIN)
    return bool(poll.poll(0))


def end_all(grace: float) -> None:
    """End what a command left behind below us: SIGTERM, after `grace` seconds SIGKILL."""
    until = time.monotonic() + grace
    number = signal.SIGTERM
    told: set[int] = set()
    while True:
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        left = linux.descendants(os.getpid())
        if not left:
            return
        if time.monotonic() > until:
            number, told = signal.SIGKILL, set()
        for pid in left:
            if pid not in told:
                told.add(pid)
                with contextlib.suppress(OSError):
                    os.kill(pid, number)
        time.sleep(0.01)
