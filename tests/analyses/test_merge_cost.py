"""Both ways to merge give the same model; what they take is measured, not assumed."""

import pytest
import torch

from cl_bench.analyses.merge_cost import kept, measure, running

MIB = 2**18  # float32 elements


def _stream(tasks, elements=4 * MIB):
    generator = torch.Generator().manual_seed(0)
    models = [{"w": torch.randn(elements, generator=generator).view(-1, MIB // 4)} for _ in range(tasks + 1)]
    return models[0], models[1:]


def test_both_ways_merge_to_the_same_bits():
    pretrained, finetuned = _stream(4, MIB)
    assert torch.equal(running(pretrained, finetuned)()["w"], kept(pretrained, finetuned)()["w"])


def test_the_running_merge_takes_the_same_memory_for_any_number_of_tasks_and_keeping_all_does_not():
    pretrained, finetuned = _stream(8)
    for way, fewest, most in ((running, 8, 16), (kept, 36, 120)):
        few, many = (measure(way, pretrained, finetuned[:tasks])[1] for tasks in (2, 8))
        assert fewest <= many <= most, way.__name__
        assert many == few if way is running else many > 2.5 * few


def test_memory_is_the_peak_of_what_is_allocated():
    def way(pretrained, finetuned):
        def merge():
            first = torch.zeros(4 * MIB)
            both = first + 1
            del first
            return {"w": both[: 2 * MIB].clone()}

        return merge

    assert measure(way, {}, [])[1] == pytest.approx(8, rel=1e-4)
