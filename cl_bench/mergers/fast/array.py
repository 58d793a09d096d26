"""One block where all tasks are merged at once: NumPy rounds as torch does, and threads wait less in it."""

from typing import Any, TypeAlias

from numpy.typing import NDArray

Array: TypeAlias = NDArray[Any]
