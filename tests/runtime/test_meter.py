import time

import torch

from cl_bench.runtime.meter import Meter


def test_stages_add_up_their_seconds_and_keep_their_largest_peak():
    meter = Meter(torch.device("cpu"))
    for size in (1, 200, 1):  # MiB
        with meter.stage("work"):
            held = torch.ones(size, 2**18)
            time.sleep(0.02)
            del held
    with meter.stage("rest"):
        time.sleep(0.01)
    assert 0.06 <= meter.seconds["work"] < 5 and 0.01 <= meter.seconds["rest"] < 1
    assert meter.peak_memory_mib["work"] > meter.peak_memory_mib["rest"] + 150
