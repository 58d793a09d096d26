"""The command `cl-bench export`, which is also `python -m cl_bench.export`: a run's weights for `transformers`."""

import argparse
import sys
from collections.abc import Sequence

from cl_bench.runtime import process, tilde
from cl_bench.runtime.commands import typed
from cl_bench.runtime.errors import UserError

_ABOUT = """Writes the weights of a finished run as folders that Hugging Face's transformers loads as a
CLIPVisionModelWithProjection: one for each task, named by the task where it is a data set, else task_01, task_02 and so
on; and one called merged, if the run was done with save_merged=true."""


def main(arguments: Sequence[str]) -> int:
    """Runs the command; returns the exit code, which is 2 for a mistake of the user."""
    parser = argparse.ArgumentParser(prog=typed("export"), description=_ABOUT)
    parser.add_argument("run", type=tilde.path, help="a run's folder, or its result.json")
    parser.add_argument("out", type=tilde.path, help="where the folders are made")
    parser.add_argument("--overwrite", action="store_true", help="replace folders of an earlier export")
    parser.add_argument(
        "--trust",
        action="append",
        default=[],
        metavar="PACKAGE",
        help="a package, module or class of yours that the record may name; may be given several times",
    )
    chosen = parser.parse_args(arguments)
    from cl_bench.export.write import export

    try:
        for model in export(chosen.run, chosen.out, chosen.overwrite, chosen.trust):
            print(f"{chosen.out / model.folder}: {model.task or 'the merged model'}", flush=True)
    except UserError as error:
        print(f"Error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    with process.command():
        sys.exit(main(sys.argv[1:]))
