"""cl_bench: a benchmark suite for continual learning of CLIP image encoders by model merging."""

import warnings

# Avalanche imports qpsolvers for a strategy that is not used here; without a solver it would complain at every start.
warnings.filterwarnings("ignore", message="no QP solver found")
