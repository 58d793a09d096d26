"""`python -m cl_bench.reports COMMAND …`: see `command_line`."""

import sys

from cl_bench.reports.command_line import main
from cl_bench.runtime import process

if __name__ == "__main__":
    with process.command():
        sys.exit(main(sys.argv[1:]))
