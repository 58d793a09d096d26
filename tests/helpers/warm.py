"""A process that has imported what takes seconds, and turns a copy of itself into each command that it is asked for.

Started by `tests.helpers.commands`, from which it reads one request per line, as JSON: `begin` a command, with the
arguments that `python` would get, folder, environment, and the files for both outputs, answered with the copy's number;
or wait for the `end` of that number, answered with its exit code. A copy ends as a process of its own does.
"""

import contextlib
import ctypes
import importlib
import json
import os
import runpy
import signal
import sys

# What a run of the default scenario imports, in its order.
_IMPORTED = (
    "hydra",
    "cl_bench.runtime.process",
    "cl_bench.experiment.run",
    "cl_bench.mergers",
    "sklearn.datasets",
    "cl_bench.reports.figures.heat_maps",
    "cl_bench.reports.summary",
    "cl_bench.reports.commands.table",
)


def main() -> None:
    """Serve until the last request; return in the copy, as a process that has just begun.

    A copy that nobody waits for any more, since the tests were killed, ends with its whole group.
    """
    begun = set[int]()
    requests, answers = os.fdopen(os.dup(0)), os.fdopen(os.dup(1), "w")
    os.dup2(os.open(os.devnull, os.O_RDWR), 0)
    for line in requests:
        request = json.loads(line)
        if "end" in request:
            answer = os.waitstatus_to_exitcode(os.waitpid(request["end"], 0)[1])
            begun.discard(request["end"])
        else:
            answer = os.fork()
            if answer == 0:
                become(**request["begin"])
                return
            begun.add(answer)
        print(answer, file=answers, flush=True)
    for left in begun:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(left, signal.SIGKILL)
    os._exit(0)


def become(
    arguments: list[str], cwd: str, env: dict[str, str], out: str, err: str, umask: int, powerless: bool
) -> None:
    """Take on the folder, the environment, the outputs and the arguments of a command, in a group of processes."""
    os.setsid()
    os.umask(umask)
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(env)
    sys.path[1:1] = filter(None, env.get("PYTHONPATH", "").split(os.pathsep))  # as Python does when it begins
    for stream, path in ((1, out), (2, err)):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), stream)
    sys.argv = arguments
    if powerless and os.geteuid() == 0:
        give_up_powers()


def give_up_powers() -> None:
    """Leave root what its files' modes leave others: without CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH, CAP_FOWNER."""
    libc = ctypes.CDLL(None, use_errno=True)
    header, capabilities = (ctypes.c_uint32 * 2)(0x20080522, 0), (ctypes.c_uint32 * 6)()
    libc.capget(header, capabilities)
    for word in range(3):
        capabilities[word] &= ~0b1110
    if libc.capset(header, capabilities):
        raise OSError(ctypes.get_errno(), "capset")


if __name__ == "__main__":
    sys.path[0] = sys.argv[1]
    for module in _IMPORTED:
        importlib.import_module(module)
    main()
    if sys.argv[0] == "-m":
        module, sys.argv = sys.argv[1], sys.argv[1:]
        sys.path.insert(0, os.getcwd())
        runpy.run_module(module, run_name="__main__", alter_sys=True)
    else:
        runpy.run_path(sys.argv[0], run_name="__main__")
