"""One run, from the first task to the result.

Tasks arrive one after another; each is learned, its task vector is folded into the merged model, the merged model is
evaluated, and one row is written down.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cl_bench.experiment.evaluating import evaluate, evaluate_pretrained
from cl_bench.experiment.learning import learn, stored
from cl_bench.experiment.merging import merge
from cl_bench.experiment.record import write_result
from cl_bench.experiment.state import begin


def run(config: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """Does one run and writes its `result.json` into `folder`.

    Args:
        config: The resolved configuration, as plain data.
        folder: Where this run's outputs go.

    Returns:
        The result, as it is written.

    Raises:
        UserError: Something in the configuration, the data or the files has to be mended by the user.
    """
    run = begin(config)
    with run.shown_and_logged():
        evaluate_pretrained(run)
        for task in run.tasks:
            learned = stored(run, task) or learn(run, task)
            merge(run, task, learned)
            evaluate(run, task, learned)
    return write_result(run, folder)
