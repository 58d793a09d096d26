"""Seconds and peak memory of the stages of a run."""

import contextlib
import resource
import time
from collections.abc import Iterator
from pathlib import Path

import torch


class Meter:
    """Adds up seconds, and keeps the largest peak of memory, stage by stage.

    Memory is what PyTorch allocated on a GPU, else the resident memory of this process.

    Attributes:
        seconds: Per stage.
        peak_memory_mib: Per stage.
    """

    def __init__(self, device: torch.device) -> None:
        self.seconds: dict[str, float] = {}
        self.peak_memory_mib: dict[str, float] = {}
        self._device = device
        self._start = 0.0

    def start(self) -> None:
        """Begins a stage; stages must not overlap."""
        _forget_peak(self._device)
        self._start = time.perf_counter()

    def elapsed(self) -> float:
        """Seconds of the stage so far."""
        return time.perf_counter() - self._start

    def stop(self, stage: str) -> tuple[float, float]:
        """Ends the stage, under its name, and returns its seconds and peak memory in MiB."""
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)
        seconds, peak = self.elapsed(), _peak_mib(self._device)
        self.seconds[stage] = self.seconds.get(stage, 0.0) + seconds
        self.peak_memory_mib[stage] = max(self.peak_memory_mib.get(stage, 0.0), peak)
        return seconds, peak

    @contextlib.contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Measures a block as one stage."""
        self.start()
        yield
        self.stop(name)


def _forget_peak(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        return
    with contextlib.suppress(OSError):  # if it cannot be reset, the peak is that since the process began
        Path("/proc/self/clear_refs").write_text("5")  # Linux: resets the resident set's high-water mark


def _peak_mib(device: torch.device) -> float:
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**20
    try:
        status = Path("/proc/self/status").read_text()
        return int(status.split("VmHWM:")[1].split()[0]) / 2**10
    except (OSError, IndexError):
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10
