import numpy as np
import pytest

from cl_bench.datasets import mnist
from cl_bench.datasets.releases.idx import read_array
from cl_bench.runtime.errors import UserError


@pytest.mark.parametrize("shape", [(3,), (2, 3), (4, 2, 3)])
def test_an_array_is_read_with_its_shape(tmp_path, shape):
    array = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    header = bytes([0, 0, 8, len(shape)]) + b"".join(length.to_bytes(4, "big") for length in shape)
    (tmp_path / "array").write_bytes(header + array.tobytes())
    assert np.array_equal(read_array(mnist.RELEASE, tmp_path, "array", len(shape)), array)
    with pytest.raises(UserError, match="array is damaged"):
        read_array(mnist.RELEASE, tmp_path, "array", len(shape) + 1)
