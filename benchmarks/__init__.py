"""Scripts that measure; each runs in a process that is tuned as a command's is."""

from cl_bench.runtime import process

process.tune()
