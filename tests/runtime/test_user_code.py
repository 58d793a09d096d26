"""What is said of errors in code from outside the project."""

import pytest

from cl_bench.runtime.user_code import describe


def test_a_module_of_ours_that_has_moved_says_where_base_classes_come_from():
    with pytest.raises(ModuleNotFoundError) as caught:
        import cl_bench.mergers.base  # noqa: F401
    assert "from cl_bench.mergers import Merger" in describe(caught.value)
    assert "cl_bench.mergers" not in describe(ModuleNotFoundError("No module named 'nowhere'", name="nowhere"))
