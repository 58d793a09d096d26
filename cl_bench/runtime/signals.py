"""How a command ends after SIGTERM or Ctrl-C, and a worker after its parent.

The command prints one line and returns the exit code that shells expect: 143 after SIGTERM (SLURM, `docker stop`,
`timeout`), 130 after Ctrl-C. It finishes the current training step first, and writes the progress of the task (`hold`,
`release`). If it has not ended after some seconds, for example because it waits inside a library for another process,
it is ended at once: everything finished is in complete files.
"""

import atexit
import contextlib
import os
import select
import signal
import sys
import threading
import time
from collections.abc import Callable
from types import FrameType, TracebackType

_WORDS = {signal.SIGTERM: "Terminated", signal.SIGINT: "Interrupted"}
_PATIENCE = 6.0  # seconds; `docker stop` waits for ten
_PATIENCE_WITH_A_WORKER = 2.0  # whose parent waits for it
_PATIENCE_WITHIN_A_STEP = 25.0  # of training, and until the checkpoint is written; SLURM waits for thirty
_PATIENCE_WITH_A_GROUP = 28.0  # whose processes do the same
_POLL = 0.5  # seconds between two looks at the parent

_received: signal.Signals | None = None
_handled = _silent = False
_holding = _grouped = _sweeping = False
_held: BaseException | None = None  # raised by a signal; waits for the end of a step
_kept: Callable[[], str] | None = None
_end_others: Callable[[], None] | None = None


class Stopped(SystemExit):
    """Raised in the main thread by the first signal; a `SystemExit`, since libraries catch a `KeyboardInterrupt`."""


def handle(parent: int | None = None) -> None:
    """Installs the handlers; does nothing the second time.

    A signal that the process ignores from its start stays ignored: a script's background processes ignore Ctrl-C.

    Args:
        parent: For a worker, the process that it works for. The worker ends when its parent does, and prints no line.
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
    """Installs the handlers again, after a library has replaced them by its own."""
    if _handled and _received is None:
        for number in _WORDS:
            if signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, stop)


def hold() -> None:
    """Makes signals wait for `release` from now on, unless one has acted before."""
    global _holding
    _holding = _received is None


def waiting() -> bool:
    """Whether a signal is waiting."""
    return _held is not None


def release() -> None:
    """Lets signals act at once again; one that has waited acts now.

    Raises:
        BaseException: `Stopped`, or what a library's handler has raised.
    """
    global _holding, _held
    _holding = False
    held, _held = _held, None
    if held is not None:
        raise held


def let_library_wait(number: int) -> None:
    """Makes a library's handler for a signal wait for `release` as well, if there is one."""
    handler = signal.getsignal(number)
    if not callable(handler):
        return

    def handle(number: int, frame: FrameType | None) -> None:
        try:
            handler(number, frame)
        except BaseException as error:
            _raise(error)

    signal.signal(number, handle)


def wait_for_group() -> None:
    """Gives this process more time to end, since it has started others, each of which finishes its step first."""
    global _grouped
    _grouped = True


def before_end(end: Callable[[], None]) -> None:
    """Registers a function that ends other processes, which have to end before this one."""
    global _end_others
    _end_others = end


def tell(kept: Callable[[], str] | None, sweep: bool = False) -> None:
    """Says what the line is to report when a signal stops the process.

    Args:
        kept: Returns what is kept of the run, in words; None: nothing is known of it.
        sweep: Whether the run is one of several.
    """
    global _kept, _sweeping
    _kept, _sweeping = kept, sweep or _sweeping


def kept() -> str | None:
    """What is kept of the run, in words."""
    return None if _kept is None else _kept()


def exit_code() -> int | None:
    """The exit code after a signal; None if there was none."""
    return None if _received is None else 128 + _received


def stop(number: int, frame: FrameType | None = None) -> None:
    """Stops this process as the signal of that number does; also for a signal that a library has caught first.

    Raises:
        Stopped: At once, or at `release` while signals are held back.
    """
    global _received
    for other in _WORDS:
        signal.signal(other, signal.SIG_IGN)  # `timeout` sends two, and people press Ctrl-C more than once
    _received = _received or signal.Signals(number)
    if _end_others is not None:
        _end_others()
    _raise(Stopped(exit_code()))


def _raise(error: BaseException) -> None:
    global _held
    if not _holding:
        raise error
    _held = _held or error


def print_line() -> None:
    """Prints once, on standard error, that a signal stopped the process and what is kept; nothing for a worker."""
    global _silent
    if _received is None or _silent:
        return
    _silent = True
    with contextlib.suppress(OSError, ValueError):
        sys.stdout.flush()
        os.write(2, f"{_WORDS[_received]}. {_remains()}\n".encode())


def _remains() -> str:
    if (words := kept()) is None:
        return "What was finished is kept; run the same again to go on."
    others = "the runs that ended, and of this one " if _sweeping else ""
    return f"Kept: {others}{words}. The same command goes on from there."


def _show(kind: type[BaseException], error: BaseException, traceback: TracebackType | None) -> None:
    """Shows an uncaught exception, unless it is what a signal has turned into, on its way through an import, say."""
    if _received is None:
        sys.__excepthook__(kind, error, traceback)
        return
    print_line()
    os._exit(128 + _received)


def _watch(wakeups: int, parent: int | None) -> None:
    """Ends the process if its main thread does not: no handler runs while that thread waits inside a library."""
    global _received
    arrived = None
    while True:
        if parent is not None and os.getppid() != parent:
            if not _holding:
                os._exit(1)
            if arrived is None:
                os.kill(os.getpid(), signal.SIGTERM)
        wait = None if parent is None and arrived is None else _POLL
        if select.select([wakeups], [], [], wait)[0]:
            numbers = _WORDS.keys() & set(os.read(wakeups, 64))
            if numbers and arrived is None:
                number, arrived = min(numbers), time.monotonic()
        if arrived is not None and time.monotonic() > arrived + _patience(parent):
            _received = _received or signal.Signals(number)
            print_line()
            os._exit(128 + number)


def _patience(parent: int | None) -> float:
    """Seconds from a signal until the process is ended at once."""
    if _holding:
        return _PATIENCE_WITHIN_A_STEP
    if _grouped:
        return _PATIENCE_WITH_A_GROUP
    return _PATIENCE if parent is None else _PATIENCE_WITH_A_WORKER


def _leave_to_parent() -> None:
    """In a forked copy: leaves Ctrl-C to the parent, which gets it, too, and ends its workers; SIGTERM acts at once."""
    global _handled, _silent, _holding
    _handled, _silent, _holding = False, True, False
    if threading.current_thread() is threading.main_thread():
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
