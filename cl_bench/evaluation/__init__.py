"""Evaluation: counting correct answers, accuracy matrices, and the metrics computed from them.

What counts loads Lightning and torchmetrics, so it is imported when it is asked for: reports read the metrics alone.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cl_bench.evaluation.counting import Counts, Kind, TaskAccuracy
    from cl_bench.evaluation.evaluator import Evaluator
    from cl_bench.evaluation.settings import Settings

__all__ = ["Counts", "Evaluator", "Kind", "Settings", "TaskAccuracy"]

_MODULES = {
    "Counts": "counting",
    "Evaluator": "evaluator",
    "Kind": "counting",
    "Settings": "settings",
    "TaskAccuracy": "counting",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_MODULES[name]}"), name)
