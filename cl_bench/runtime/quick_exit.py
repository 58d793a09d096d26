"""What every command has around it: how it ends, by itself or by a signal, and a terminal that cannot end it.

At its end its objects are not taken apart. Python does so one by one: 1.5 seconds for the half million of this
package's imports, and only for memory that the system takes back anyway.
"""

import atexit
import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from cl_bench.runtime import signals, terminal
from cl_bench.runtime.errors import unwritable

_code: int | None = None


@contextmanager
def quick_exit(parent: int | None = None) -> Iterator[None]:
    """Ends the process after the block, with the code of its `sys.exit`, or 0, or that of a signal.

    Threads are waited for, functions of `atexit` are called and outputs flushed, as always. Where the block ends with
    an exception, or `sys.exit` with a text, nothing is different.

    Args:
        parent: See `signals.handle`.
    """
    global _code
    code: object = None
    try:
        terminal.guard()
        signals.handle(parent)
        yield
    except SystemExit as end:
        code = end.code
    except BaseException as error:
        reason = unwritable(error) if isinstance(error, OSError) else None
        if signals.exit_code() is None and reason is None:
            raise
        if signals.exit_code() is None:
            print(f"Error: {reason}", file=sys.stderr)
            code = 2
    code = code if signals.exit_code() is None else signals.exit_code()
    if code is None or isinstance(code, int):
        _code = int(code or 0)
    sys.exit(code)


@atexit.register  # when this is imported, before all others: so it is called after them
def _end() -> None:
    if _code is not None:
        signals.print_line()
        logging.shutdown()  # Hydra's logging may have been imported earlier
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(_code)
