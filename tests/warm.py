"""A process that has imported what takes seconds, and turns a copy of itself into each command that it is asked for.

Started by `conftest.command`. Reads one request per line, as JSON: the arguments that `python` would get, folder,
environment, and the files for both outputs; answers with the exit code. A copy ends as a process of its own does.
"""

import json
import os
import runpy
import sys


def main() -> None:
    """Serve until the last request; return in the copy, as a process that has just begun."""
    requests, answers = os.fdopen(os.dup(0)), os.fdopen(os.dup(1), "w")
    os.dup2(os.open(os.devnull, os.O_RDWR), 0)
    for line in requests:
        request = json.loads(line)
        copy = os.fork()
        if copy == 0:
            become(**request)
            return
        _, status = os.waitpid(copy, 0)
        print(os.waitstatus_to_exitcode(status), file=answers, flush=True)
    os._exit(0)


def become(arguments: list[str], cwd: str, env: dict[str, str], out: str, err: str) -> None:
    """Take on the folder, the environment, the outputs and the arguments of a command."""
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(env)
    for stream, path in ((1, out), (2, err)):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), stream)
    sys.argv = arguments


if __name__ == "__main__":
    sys.path[0] = sys.argv[1]
    import cl_bench.quick_exit  # first, as in run.py
    import cl_bench.experiment
    import cl_bench.mergers  # noqa: F401

    main()
    if sys.argv[0] == "-m":
        module, sys.argv = sys.argv[1], sys.argv[1:]
        sys.path.insert(0, os.getcwd())
        runpy.run_module(module, run_name="__main__", alter_sys=True)
    else:
        runpy.run_path(sys.argv[0], run_name="__main__")
