"""The process that a command runs in: its environment, threads and garbage, and how it ends.

A command does all of its work within `command`, its imports included.

What this buys, in seconds of CPU of a run of two tasks with two steps each, 7.3 in all: 2.1 since the end does not take
objects apart, 1.1 since garbage is looked for less often, and 6.0 since threads that wait do not spin, where other
processes want the cores, too.
"""

import atexit
import gc
import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from cl_bench.runtime import signals, terminal
from cl_bench.runtime.cores import available_cores
from cl_bench.runtime.errors import unwritable

_ENVIRONMENT = {
    "GOMP_SPINCOUNT": "1000",  # OpenMP: how often a thread that waits looks for work before it sleeps
    "THP_MEM_ALLOC_ENABLE": "1",  # PyTorch: large tensors lie in huge pages, which are ready in half the time
}

OF_A_GROUP = ("RANK", "WORLD_SIZE", "LOCAL_", "GROUP_", "ROLE_", "MASTER_", "TORCHELASTIC_", "PL_")
"""How the variables of a process group begin; those of another launcher would confuse ours."""

OF_SLURM = ("SLURM_NTASKS",)
"""Lightning refuses some numbers of tasks, though here it starts none of them."""

_exit_code: int | None = None
_imports_are_collected = False


def tune() -> None:
    """Sets what libraries read when they are imported; variables that the user has set stay as they are."""
    for name, value in _ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    os.environ["HYDRA_FULL_ERROR"] = "1"  # Hydra passes its errors on; the command prints them
    gc.set_threshold(10_000, 20, 100)  # imports make half a million objects, and none of them is garbage


def spare_imports() -> None:
    """Lets garbage collection pass over what was imported: a million objects, through which every task would go once.

    Only in a command: the objects of a notebook, or of a test, may become garbage later.
    """
    global _imports_are_collected
    if _imports_are_collected:
        _imports_are_collected = False  # once: what a run of a sweep leaves has to be collected
        gc.freeze()


def limit_threads() -> None:
    """Gives PyTorch no more threads than cores that this process may use; it does not look at a container's quota."""
    import torch

    torch.set_num_threads(min(torch.get_num_threads(), available_cores()))


@contextmanager
def without_variables(*beginnings: tuple[str, ...]) -> Iterator[None]:
    """Hides environment variables within the block.

    Args:
        beginnings: How their names begin, such as `OF_SLURM`.
    """
    hidden = {name: os.environ.pop(name) for name in list(os.environ) if name.startswith(sum(beginnings, ()))}
    try:
        yield
    finally:
        os.environ.update(hidden)


@contextmanager
def command(parent: int | None = None) -> Iterator[None]:
    """Tunes the process, and ends it after the block: with the code of its `sys.exit`, of a signal, or with 0.

    As always, Python waits for threads, calls the functions of `atexit` and flushes outputs; but it does not take
    objects apart one by one, for memory that the system takes back anyway. If the block ends with an exception, or with
    `sys.exit` and a text, nothing is different. Outputs that cannot be written do not end the command.

    Args:
        parent: See `signals.handle`.
    """
    global _exit_code, _imports_are_collected
    code: str | int | None = None
    try:
        signals.handle(parent)
        terminal.guard()
        tune()
        _imports_are_collected = True
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
    if signals.exit_code() is not None:
        code = signals.exit_code()
    if not isinstance(code, str):
        _exit_code = int(code or 0)
    sys.exit(code)


@atexit.register  # importing this module registers it before all others, so it is called after them
def _end() -> None:
    if _exit_code is not None:
        signals.print_line()
        logging.shutdown()  # which Hydra may have registered earlier
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(_exit_code)
