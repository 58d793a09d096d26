"""What the stored streams of finished runs say of task vectors and merged models, beyond accuracy.

One file per analysis. Each says in `wants` which runs it makes sense for, and in `compute` what it makes of one; the
numbers are plain data, written beside the run's record, from where the figures take them.
"""
