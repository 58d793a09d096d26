"""cl_bench: a benchmark suite for continual learning of CLIP image encoders by model merging."""
