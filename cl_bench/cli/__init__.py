"""The command line and `cl_bench.run`: compose a configuration with Hydra, resolve it and hand plain data on."""
