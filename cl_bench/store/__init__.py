"""Files: weights as safetensors, fingerprints, locks, result records; every write is atomic."""

from cl_bench.store.fingerprint import fingerprint
from cl_bench.store.result import read_result, write_result
from cl_bench.store.stream import Stream

__all__ = ["Stream", "fingerprint", "read_result", "write_result"]
