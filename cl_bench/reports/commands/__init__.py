"""One file for each command of `python -m cl_bench.reports`: what may be typed, and what is written where."""
