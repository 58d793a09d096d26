"""A run of two processes that share one device, which NCCL refuses: two nodes of one device each, connected by gloo.

As a program under torchrun: `python -m tests.launching.two_on_one_device SETTINGS FOLDER`.
"""

import json
import os
import sys
from datetime import timedelta
from pathlib import Path

import torch.distributed as dist

from cl_bench.experiment.run import run

if __name__ == "__main__":
    os.environ["LOCAL_RANK"] = "0"  # of each node
    dist.init_process_group("gloo", timeout=timedelta(seconds=60))  # one that is left alone gives up then
    run(json.loads(Path(sys.argv[1]).read_text()), Path(sys.argv[2]))
    dist.destroy_process_group()
