"""What SIGTERM and Ctrl-C do to a command, and what becomes of a worker whose parent is gone.

A command that is told to stop ends in good order, with one line and the exit code that shells expect: 143 after SIGTERM
(SLURM, `docker stop`, `timeout`), 130 after Ctrl-C. One that has not ended some seconds later, because it waits inside
a library for another process, say, ends as it stands: what is finished lies in files that are whole.
"""

import atexit
import contextlib
import os
import select
import signal
import sys
import threading
import time
from types import FrameType, TracebackType

_WORDS = {signal.SIGTERM: "Terminated", signal.SIGINT: "Interrupted"}
_PATIENCE = 6.0  # seconds; `docker stop` waits for ten
_PATIENCE_WITH_A_WORKER = 2.0  # its parent waits for it
_POLL = 0.5  # seconds between two looks at the parent

_received: signal.Signals | None = None
_handled = _silent = False


class Stopped(SystemExit):
    """Raised in the main thread by the first signal. Libraries let a `SystemExit` pass, but not `KeyboardInterrupt`."""


def handle(parent: int | None = None) -> None:
    """Makes signals end this process in good order; does nothing the second time.

    A signal that the process was started to ignore stays ignored, as Ctrl-C is by what a script runs in the background.

    Args:
        parent: Of a worker: the process it works for. The worker ends when that does, and without a line of its own.
    """
    global _handled, _silent
    if _handled:
        return
    _handled, _silent = True, parent is not None
    keep()
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    threading.Thread(target=_watch, args=(reading, parent), daemon=True, name="signals").start()
    os.register_at_fork(after_in_child=_leave_to_parent)
    atexit.register(print_line)
    sys.excepthook = _show


def keep() -> None:
    """Takes the handlers back from a library that has put its own in their place, where there is something to take."""
    if _handled and _received is None:
        for number in _WORDS:
            if signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, stop)


def exit_code() -> int | None:
    """The exit code of a process that was told to stop; None for all others."""
    return None if _received is None else 128 + _received


def stop(number: int, frame: FrameType | None = None) -> None:
    """Stops this process as the signal of that number does; for libraries that catch it first, too.

    Raises:
        Stopped: Always.
    """
    global _received
    for other in _WORDS:
        signal.signal(other, signal.SIG_IGN)  # `timeout` sends two, and people press Ctrl-C more than once
    _received = _received or signal.Signals(number)
    raise Stopped(exit_code())


def print_line() -> None:
    """Says on standard error, once, that the process was told to stop; nothing where it was not, or is a worker."""
    global _silent
    if _received is None or _silent:
        return
    _silent = True
    with contextlib.suppress(OSError, ValueError):
        sys.stdout.flush()
        os.write(2, f"{_WORDS[_received]}. What was finished is kept; run the same again to go on.\n".encode())


def _show(kind: type[BaseException], error: BaseException, traceback: TracebackType | None) -> None:
    """Shows an exception that nobody caught, but not what a signal has become on its way through an import, say."""
    if _received is None:
        sys.__excepthook__(kind, error, traceback)
        return
    print_line()
    os._exit(128 + _received)


def _watch(wakeups: int, parent: int | None) -> None:
    """Ends the process where its main thread does not: no handler is called while that waits inside a library."""
    global _received
    end = None
    while parent is None or os.getppid() == parent:
        wait = None if parent is None and end is None else _POLL
        if select.select([wakeups], [], [], wait)[0]:
            arrived = _WORDS.keys() & set(os.read(wakeups, 64))
            if arrived and end is None:
                number, end = min(arrived), time.monotonic() + (_PATIENCE_WITH_A_WORKER if parent else _PATIENCE)
        if end is not None and time.monotonic() > end:
            _received = _received or signal.Signals(number)
            print_line()
            os._exit(128 + number)
    os._exit(1)


def _leave_to_parent() -> None:
    """In a copy of the process: Ctrl-C reaches the parent, too, which ends its workers; SIGTERM ends them at once."""
    global _handled, _silent
    _handled, _silent = False, True
    if threading.current_thread() is threading.main_thread():
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
