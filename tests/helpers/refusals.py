"""What all data sets have in common when their files are missing or damaged."""

import pytest

from cl_bench.runtime.errors import UserError


def refuses(module, root, *words: str) -> None:
    """Loading must fail with one message that has all the words, and the command that mends it."""
    with pytest.raises(UserError) as caught:
        module.load.__wrapped__(root)
    for word in (*words, f"python -m cl_bench.datasets download {module.RELEASE.name} --data-dir {root}"):
        assert word in str(caught.value)
