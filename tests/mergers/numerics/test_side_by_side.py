"""Work on parameters, spread over threads."""

import threading

import pytest
import torch

from cl_bench.mergers.numerics.one_thread import one_thread
from cl_bench.mergers.numerics.side_by_side import side_by_side


@pytest.fixture(params=[1, 2, 3])
def threads(request):
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    assert torch.get_num_threads() == request.param  # whatever was done
    torch.set_num_threads(before)


def test_results_come_in_the_order_of_the_items(threads):
    assert list(side_by_side(lambda item: item * item, range(20))) == [item * item for item in range(20)]
    assert list(side_by_side(str, [])) == []


def test_as_many_threads_work_as_torch_has_and_in_each_torch_has_one(threads):
    meeting = threading.Barrier(threads, timeout=60)

    def work(_):
        meeting.wait()  # breaks unless that many are here at the same time
        return threading.get_ident(), torch.get_num_threads()

    seen = list(side_by_side(work, range(threads)))
    assert len({thread for thread, _ in seen}) == threads and {own for _, own in seen} == {1}


def test_work_within_one_thread_is_spread_but_not_work_within_an_item(threads):
    meeting = threading.Barrier(threads, timeout=60)

    def inner(_):
        return threading.get_ident()

    def outer(_):
        meeting.wait()
        return threading.get_ident(), set(side_by_side(inner, range(20)))

    with one_thread():
        seen = dict(side_by_side(outer, range(threads)))
    assert len(seen) == threads and all(inner == {thread} for thread, inner in seen.items())


def test_the_first_error_by_order_is_raised_and_what_has_not_begun_is_left_out(threads):
    begun = []

    def work(item):
        begun.append(item)
        if item in (1, 2):
            raise ValueError(f"item {item}")

    with pytest.raises(ValueError, match="item 1"):
        list(side_by_side(work, range(1000)))
    assert len(begun) < 1000
