import sys
from pathlib import Path

import pytest
import torch

from cl_bench.mergers.engine.memory import give_back_freed_memory, keep_freed_memory


def anonymous_mib() -> float:
    return int(Path("/proc/self/status").read_text().split("RssAnon:")[1].split()[0]) / 1024


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_freed_memory_is_kept_until_it_is_given_back() -> None:
    keep_freed_memory()
    megabytes = [torch.ones(2**18) for _ in range(100)]
    in_the_way = torch.ones(2**18)
    full = anonymous_mib()
    del megabytes
    kept = anonymous_mib()
    give_back_freed_memory()
    assert full - kept < 50 < full - anonymous_mib()
    assert in_the_way.sum() == 2**18
