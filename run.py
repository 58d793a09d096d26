"""`cl-bench run` from a checkout."""

from cl_bench.cli.command import main

if __name__ == "__main__":
    main("run")
