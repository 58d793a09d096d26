"""How far training has moved the weights."""

import pytest
import torch

from cl_bench.experiment.relative_change import relative_change


def test_it_is_the_change_of_all_weights_against_their_norm():
    start = {"a": torch.tensor([3.0, 0.0]), "b": torch.tensor(4.0)}
    end = {"a": torch.tensor([3.0, 1.0]), "b": torch.tensor(4.0)}
    assert relative_change(start, end) == pytest.approx(0.2)
    assert relative_change({"a": torch.zeros(2)}, {"a": torch.ones(2)}) == 1.0


def test_running_statistics_do_not_count():
    layer = {
        "a": torch.tensor([3.0, 4.0]),
        "bn.running_var": torch.tensor([1e4]),
        "bn.num_batches_tracked": torch.tensor(9),
    }
    changed = {**layer, "a": torch.tensor([3.0, 5.0]), "bn.running_var": torch.tensor([2e4])}
    assert relative_change(layer, changed) == pytest.approx(0.2)
