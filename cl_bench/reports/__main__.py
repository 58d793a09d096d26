"""`python -m cl_bench.reports COMMAND …`: see `command_line`."""

import sys

from cl_bench.reports.command_line import main
from cl_bench.runtime.quick_exit import quick_exit

if __name__ == "__main__":
    with quick_exit():
        sys.exit(main(sys.argv[1:]))
