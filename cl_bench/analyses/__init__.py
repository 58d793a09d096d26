"""Analyses of finished runs: what their stored weights say about task vectors and merged models, beyond accuracy.

Each analysis is one file. Its function `wants` says which runs it makes sense for, and `compute` turns one run into
plain data. The command writes them beside the run's record, where the figures find them.
"""
