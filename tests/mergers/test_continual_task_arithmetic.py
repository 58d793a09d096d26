import torch

from cl_bench.mergers import ContinualTaskArithmetic, RunningMerge
from tests.mergers.matrix_models import SHAPES, encoders


def test_each_task_vector_is_added_to_what_is_there() -> None:
    pretrained, *finetuned = encoders(4, seed=1)
    running, expected = RunningMerge(ContinualTaskArithmetic(), pretrained), dict(pretrained)
    for model in finetuned:
        running.add(model)
        merged = running.merged()
        for name in SHAPES:
            expected[name] = expected[name] + 0.3 * (model[name] - pretrained[name])
            torch.testing.assert_close(merged[name], expected[name])
