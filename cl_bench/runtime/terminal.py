"""Standard output and standard error that never end a command.

A terminal may lack a character, may be gone (`| head`) or closed from the start (`>&-`), and the disk behind `> file`
may be full. The results of a command are in its files, so it goes on, and its exit code says how that went.
"""

import contextlib
import errno
import io
import logging
import os
import select
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing_extensions import Buffer

_GONE = (errno.EPIPE, errno.EIO)  # nobody is left to read the output


def guard() -> None:
    """Guards both streams of this process and of those that it forks."""
    logging.raiseExceptions = False  # a log file that cannot be written does not end a command either
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:  # otherwise the next file that is opened would take the terminal's place
            _discard(descriptor)
    for descriptor, name in ((1, "stdout"), (2, "stderr")):
        guarded = _guarded(descriptor, getattr(sys, name))
        setattr(sys, name, guarded)
        setattr(sys, f"__{name}__", guarded)


class _Endless(io.FileIO):
    """A file descriptor whose writes always succeed."""

    def write(self, data: "Buffer", /) -> int:
        try:
            while (
                written := super().write(data)
            ) is None:  # a busy terminal that another program has made non-blocking
                select.select([], [self], [])
        except OSError as error:
            _discard(self.fileno())
            if error.errno not in _GONE and self.fileno() == 1:
                print(f"Standard output cannot be written ({error.strerror}); the command goes on.", file=sys.stderr)
            return memoryview(data).nbytes
        return written


def _guarded(descriptor: int, stream: io.TextIOWrapper | None) -> io.TextIOWrapper:
    if stream is not None:
        with contextlib.suppress(OSError):
            stream.flush()
    return io.TextIOWrapper(
        io.BufferedWriter(_Endless(descriptor, "w", closefd=False)),
        encoding=stream.encoding if stream else "utf-8",
        errors="replace" if descriptor == 1 else "backslashreplace",
        line_buffering=descriptor == 2 or os.isatty(descriptor),
        write_through=bool(stream and stream.write_through),
    )


def _discard(descriptor: int) -> None:
    """Makes a descriptor discard what is written to it."""
    nowhere = os.open(os.devnull, os.O_RDWR)
    os.dup2(nowhere, descriptor)
    if nowhere != descriptor:
        os.close(nowhere)
